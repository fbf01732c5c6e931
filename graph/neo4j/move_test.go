package neo4j

import (
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

// TestMoves carries tenants between both stores, both ways: nothing is lost, and the files are the same.
func TestMoves(t *testing.T) {
	o, n := migrated(t), atomic.Int64{}
	run := time.Now().UnixNano()
	server := func(t graphtest.TB, clock func() time.Time) graphtest.Moving {
		prefix := graph.TenantID(fmt.Sprintf("move/%d/%d/", run, n.Add(1)))
		return graphtest.ApartMoving(openAt(t, o, clock), prefix)
	}
	directory := func(t graphtest.TB, clock func() time.Time) graphtest.Moving {
		s, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Clock: clock})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		return s
	}
	for name, way := range map[string][2]graphtest.Opener{
		"from directory to server": {directory, server},
		"from server to directory": {server, directory},
		"from server to server":    {server, server},
	} {
		t.Run(name, func(t *testing.T) { graphtest.RunMoves(t, way[0], way[1]) })
	}
}

// Two imports of one tenant at a time: the one that began last is whole, the other says that it was overtaken and
// has left nothing, and taken nothing away.
func TestAnImportIsOvertaken(t *testing.T) {
	o := migrated(t)
	one, two := openAt(t, o, time.Now), openAt(t, o, time.Now)
	from, to := graph.TenantID("from"), graph.TenantID("to")
	var b graph.Batch
	for i := range 1500 {
		b.Entities = append(b.Entities, device(i))
	}
	if _, err := one.Apply(t.Context(), from, b); err != nil {
		t.Fatal(err)
	}
	records, ends := []graph.Record{}, errors.New("the records end")
	for r, err := range one.Export(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	want, err := graph.Digest(t.Context(), one, graph.View{Tenant: from})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{0, 700} {
		for _, failing := range []bool{false, true} {
			to += "x"
			err := one.Import(t.Context(), to, func(yield func(graph.Record, error) bool) {
				for i, r := range records {
					if i == stop {
						if err := two.Import(t.Context(), to, each(records)); err != nil {
							t.Errorf("the import that began last: %v", err)
						}
					}
					if !yield(r, nil) {
						return
					}
				}
				if failing {
					yield(graph.Record{}, ends)
				}
			})
			if !errors.Is(err, graph.ErrConflict) && !(failing && errors.Is(err, ends)) {
				t.Errorf("the import that was overtaken after %d records: %v", stop, err)
			}
			if got, err := graph.Digest(t.Context(), one, graph.View{Tenant: to}); err != nil || got != want {
				t.Errorf("overtaken after %d records the tenant is another (%v)", stop, err)
			}
		}
	}
}

func each(records []graph.Record) iter.Seq2[graph.Record, error] {
	return func(yield func(graph.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}
