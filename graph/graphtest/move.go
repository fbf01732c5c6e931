package graphtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/archive"
)

// Moving is a store whose tenants can be carried elsewhere.
type Moving interface {
	graph.Store
	graph.Mover
}

// Opener opens a fresh store.
type Opener func(t TB, clock func() time.Time) Moving

// RunMoves checks that a tenant carried from one store to the other loses nothing. To be run for every pair.
func RunMoves(t *testing.T, from, to Opener) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, from, to Opener)
	}{
		{"a carried tenant answers and goes on as if it had never moved", checkMove},
		{"an import needs an empty tenant", checkMoveOnto},
		{"an import that was cut short takes no writes and can be made again", checkMoveCut},
		{"an import that was cut short can be given up", checkMoveAbandoned},
		{"records that contradict one another are refused", checkMoveLies},
		{"records that are sound and contradict one another are refused by name", checkMoveContradictions},
		{"records that come twice or in another order are refused", checkMoveOdd},
		{"a tenant that was carried goes on only as far as it can be carried again", checkMoveLimits},
		{"a tenant without anything cannot be exported", checkMoveNothing},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, from, to) })
	}
}

// pack exports a tenant as a file and reads it again, as a person would carry it.
func pack(t TB, s Moving) []byte {
	t.Helper()
	var b bytes.Buffer
	must(archive.Write(&b, Tenant, s.Export(context.Background(), Tenant)))(t)
	return b.Bytes()
}

func unpack(t TB, b []byte) iter.Seq2[graph.Record, error] {
	t.Helper()
	return must(archive.NewReader(bytes.NewReader(b)))(t).Records()
}

func checkMove(t *testing.T, from, to Opener) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		model, one, two := NewModel(clock.Now), from(t, clock.Now), to(t, clock.Now)
		defer one.Close()
		defer two.Close()
		batches := Group(t, drawUnits(t), UnionDecider{})
		batches[0].Documents = []graph.Document{{DocumentKey: graph.DocumentKey{Collection: "views", Key: "a\n\x00"}, Value: []byte{}}}
		for i := range batches {
			batches[i].Key = fmt.Sprint("batch-", i)
		}
		cut := rapid.IntRange(1, len(batches)).Draw(t, "cut")
		for _, b := range batches[:cut] {
			clock.Move(time.Second)
			apply(t, model, b)
			apply(t, one, b)
		}
		file := pack(t, one)
		if err := two.Import(context.Background(), Tenant, unpack(t, file)); err != nil {
			t.Fatalf("importing: %v\n%s", err, file)
		}
		if again := pack(t, two); !bytes.Equal(file, again) {
			t.Fatalf("what was imported is exported as\n%s\nwant\n%s", again, file)
		}
		compare(t, model, two)
		at := must(model.Position(context.Background(), view))(t)
		if got := must(two.Position(context.Background(), view))(t); got != at {
			t.Fatalf("the carried tenant stands at %+v, want %+v", got, at)
		}
		goOn(t, model, two, batches, cut, clock)
	})
}

// goOn writes on: known batches are known, new ones mean what they would have meant.
func goOn(t TB, model, two graph.Store, batches []graph.Batch, cut int, clock *Clock) {
	t.Helper()
	if r := apply(t, two, batches[cut-1]); !r.Replayed {
		t.Fatalf("a batch that was committed before the move gave %+v", r)
	}
	for _, b := range batches[cut:] {
		clock.Move(time.Second)
		want, got := apply(t, model, b), apply(t, two, b)
		if want != got {
			t.Fatalf("after the move a batch gave %+v, want %+v", got, want)
		}
	}
	compare(t, model, two)
}

func checkMoveOnto(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	apply(t, one, oneAlert("1"))
	apply(t, two, oneAlert("2"))
	before := digest(t, two)
	if err := two.Import(context.Background(), Tenant, one.Export(context.Background(), Tenant)); !errors.Is(err, graph.ErrConflict) {
		t.Errorf("importing onto a graph: %v", err)
	}
	if digest(t, two) != before {
		t.Error("a refused import changed the graph")
	}
}

// fill gives a tenant several parts.
func fill(t TB, s graph.Store) {
	t.Helper()
	var b graph.Batch
	for i := range 800 {
		a := oneAlert(fmt.Sprint(i))
		b.Entities, b.Alerts, b.Decide = append(b.Entities, a.Entities...), append(b.Alerts, a.Alerts...), a.Decide
	}
	apply(t, s, b)
}

// until yields records up to a number of them, and then calls at, whose error is the source's.
func until(records iter.Seq2[graph.Record, error], stop int, at func() error) iter.Seq2[graph.Record, error] {
	return func(yield func(graph.Record, error) bool) {
		n := 0
		for r, err := range records {
			if n++; n == stop+1 {
				if err := at(); err != nil {
					yield(graph.Record{}, err)
					return
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// isImporting asks everything there is to ask about a tenant.
func isImporting(t TB, s graph.Store) {
	t.Helper()
	ctx, v := context.Background(), view
	v.AtLeast = 1 // not waited for
	_, entities := s.Entities(ctx, view, graph.EntityQuery{})
	_, waiting := s.Position(ctx, v)
	_, lookup := s.Lookup(ctx, view, oneAlert("1").Entities[0].Keys)
	_, alerts := s.Alerts(ctx, view, graph.AlertQuery{})
	_, bounded := s.Incidents(ctx, view, graph.IncidentQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: 1 << 50}}})
	_, documents := s.Documents(ctx, view, graph.DocumentQuery{Collection: "views"})
	all := map[string]error{"entities": entities, "position": waiting, "lookup": lookup, "alerts": alerts, "incidents": bounded, "documents": documents}
	for _, err := range s.Edges(ctx, view, graph.EdgeQuery{}) {
		all["edges"] = err
	}
	for _, err := range s.Changes(ctx, view, 0) {
		all["changes"] = err
	}
	for _, err := range s.(Moving).Export(ctx, Tenant) {
		all["export"] = err
	}
	for name, err := range all {
		if !errors.Is(err, graph.ErrImporting) {
			t.Errorf("%s of half a tenant: %v", name, err)
		}
	}
	if len(all) != 9 {
		t.Errorf("half a tenant gave edges, changes or an export: %v", all)
	}
}

func checkMoveCut(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	fill(t, one)
	broken := errors.New("the line went dead")
	for _, stop := range []int{0, 1, 1500, 2390} {
		if err := two.Import(context.Background(), Tenant, until(one.Export(context.Background(), Tenant), stop, func() error {
			isImporting(t, two)
			return broken
		})); !errors.Is(err, broken) {
			t.Fatalf("an import that failed after %d records: %v", stop, err)
		}
		if p := must(two.Position(context.Background(), view))(t); p != (graph.Position{}) {
			t.Fatalf("an import that failed after %d records left the tenant at %+v", stop, p)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := two.Import(ctx, Tenant, until(one.Export(context.Background(), Tenant), stop, func() error {
			cancel()
			return ctx.Err()
		})); !errors.Is(err, context.Canceled) {
			t.Fatalf("an import that was cut short after %d records: %v", stop, err)
		}
		isImporting(t, two)
		if _, err := two.Apply(context.Background(), Tenant, oneAlert("1")); !errors.Is(err, graph.ErrImporting) {
			t.Fatalf("a write into half a tenant: %v", err)
		}
	}
	if err := two.Import(context.Background(), Tenant, one.Export(context.Background(), Tenant)); err != nil {
		t.Fatal(err)
	}
	if digest(t, one) != digest(t, two) {
		t.Error("the second import is not whole")
	}
}

func checkMoveAbandoned(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	fill(t, one)
	ctx, cancel := context.WithCancel(context.Background())
	if err := two.Import(ctx, Tenant, until(one.Export(context.Background(), Tenant), 2390, func() error {
		cancel()
		return ctx.Err()
	})); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range 2 {
		if err := two.Abandon(context.Background(), Tenant); err != nil {
			t.Fatal(err)
		}
	}
	want := to(t, NewClock().Now)
	defer want.Close()
	apply(t, want, oneAlert("1"))
	apply(t, two, oneAlert("1"))
	if digest(t, two) != digest(t, want) {
		t.Error("something of the import is left")
	}
	if err := two.Abandon(context.Background(), Tenant); !errors.Is(err, graph.ErrConflict) {
		t.Errorf("giving up a whole tenant: %v", err)
	}
}

func checkMoveNothing(t *testing.T, from, _ Opener) {
	s := from(t, NewClock().Now)
	defer s.Close()
	for _, err := range s.Export(context.Background(), Tenant) {
		if !errors.Is(err, graph.ErrNotFound) {
			t.Errorf("exporting nothing: %v", err)
		}
	}
	for _, none := range noTenants {
		if err := s.Import(context.Background(), none, nil); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("importing into the tenant %.80q: %v", none, err)
		}
	}
}

// lies are changes of single records that make the whole untrue.
var lies = map[string]func(r *graph.Record) bool{
	"an entity under another id": func(r *graph.Record) bool {
		return r.Home != nil && lie(&r.Home.ID, graph.NewID(graph.KindDevice, "x"))
	},
	"an entity that is in no node": func(r *graph.Record) bool {
		return r.Home != nil && lie(&r.Home.Node, graph.NewID(graph.KindDevice, "x"))
	},
	"a member too many": func(r *graph.Record) bool { return r.Home != nil && lie(&r.Home.Members, 7) },
	"an edge to nowhere": func(r *graph.Record) bool {
		return r.Sighting != nil && lie(&r.Sighting.To, graph.NewID(graph.KindDevice, "x"))
	},
	"an edge of no kind":             func(r *graph.Record) bool { return r.Sighting != nil && lie(&r.Sighting.Kind, graph.EdgeInIncident) },
	"a tick beyond the clock":        func(r *graph.Record) bool { return r.Alert != nil && lie(&r.Alert.Updated, 1<<60) },
	"a revision beyond the tenant's": func(r *graph.Record) bool { return r.Alert != nil && lie(&r.Alert.Revision, 99) },
	"an alert in another incident":   func(r *graph.Record) bool { return r.Alert != nil && lie(&r.Alert.Incident, 99) },
	"an alert under another id":      func(r *graph.Record) bool { return r.Alert != nil && lie(&r.Alert.ProviderAlertID, "other") },
	"more alerts than there are":     func(r *graph.Record) bool { return r.Incident != nil && lie(&r.Incident.AlertCount, 9) },
	"an incident that was not made":  func(r *graph.Record) bool { return r.Incident != nil && lie(&r.Incident.ID, 99) },
	"a redirect to nowhere":          func(r *graph.Record) bool { return r.Incident != nil && lie(&r.Incident.RedirectTo, 99) },
	"a revision without a next":      func(r *graph.Record) bool { return r.Tenant != nil && lie(&r.Tenant.Revision, 1<<64-1) },
	"a clock that ends":              func(r *graph.Record) bool { return r.Tenant != nil && lie(&r.Tenant.Clock, 1<<63-1) },
	"a clock before all":             func(r *graph.Record) bool { return r.Tenant != nil && lie(&r.Tenant.Clock, -1) },
	"an incident without a next":     func(r *graph.Record) bool { return r.Tenant != nil && lie(&r.Tenant.Incidents, 1<<64-1) },
	"no tenant":                      func(r *graph.Record) bool { return r.Tenant != nil && lie(&r.Tenant, nil) },
}

func lie[T comparable](field *T, untrue T) bool {
	*field = untrue
	return true
}

func checkMoveLies(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	b := oneAlert("1")
	d := b.Entities[0].ID()
	b.Edges = []graph.EdgeObservation{{Kind: graph.EdgeAdminOf, From: d, To: d, Observation: graph.NewID(graph.KindObservation, "1")}}
	apply(t, one, b)
	for name, change := range lies {
		told := false
		err := two.Import(context.Background(), Tenant, func(yield func(graph.Record, error) bool) {
			for r, err := range unpack(t, pack(t, one)) {
				if !told {
					told = change(&r)
				}
				if !yield(r, err) {
					return
				}
			}
		})
		if !told || !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s (told: %t): %v", name, told, err)
		}
		if p := must(two.Position(context.Background(), view))(t); p != (graph.Position{}) {
			t.Fatalf("%s: the tenant stands at %+v", name, p)
		}
	}
}

// checkMoveLimits: an import took a tenant that stood at the last number there is; its next commit went beyond, and
// what it was exported to could not be imported.
func checkMoveLimits(t *testing.T, from, to Opener) {
	one := from(t, NewClock().Now)
	defer one.Close()
	apply(t, one, oneAlert("1"))
	latest := graph.TickOf(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, c := range map[string]struct {
		at   func(r *graph.TenantRecord, left int)
		each int // what one commit takes
	}{
		"revision":  {func(r *graph.TenantRecord, left int) { r.Revision = 1<<53 - graph.Revision(left) }, 1},
		"clock":     {func(r *graph.TenantRecord, left int) { r.Clock = latest - graph.Tick(left) }, 2},
		"incidents": {func(r *graph.TenantRecord, left int) { r.Incidents = 1<<53 - graph.IncidentID(left) }, 1},
	} {
		for left := range 2 {
			two := to(t, NewClock().Now)
			must(0, two.Import(context.Background(), Tenant, func(yield func(graph.Record, error) bool) {
				for r, err := range one.Export(context.Background(), Tenant) {
					if r.Tenant != nil {
						c.at(r.Tenant, left*c.each)
					}
					if !yield(r, err) {
						return
					}
				}
			}))(t)
			for i := range 2 {
				_, err := two.Apply(context.Background(), Tenant, oneAlert(fmt.Sprint("more", i)))
				if goesOn := i < left; goesOn != (err == nil) || !goesOn && !errors.Is(err, graph.ErrInvalid) {
					t.Errorf("%s with room for %d commits: number %d ended with %v", name, left, i+1, err)
				}
			}
			three := to(t, NewClock().Now)
			if err := three.Import(context.Background(), Tenant, unpack(t, pack(t, two))); err != nil {
				t.Errorf("%s with room for %d commits: importing it again: %v", name, left, err)
			}
			two.Close()
			three.Close()
		}
	}
}

// checkMoveOdd: what no rule about single records refuses is noticed because the store would hold something else.
func checkMoveOdd(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	b := oneAlert("1")
	b.Documents = []graph.Document{{DocumentKey: graph.DocumentKey{Collection: "views", Key: "b"}, Value: []byte("1")}}
	b.Key = "batch"
	apply(t, one, b)
	other := graph.DocumentRecord{Collection: "views", Key: "a", Revision: 1, Value: []byte("2")}
	again := graph.DocumentRecord{Collection: "views", Key: "b", Revision: 1, Value: []byte("2")}
	for name, more := range map[string]graph.Record{
		"a document twice":        {Document: &again},
		"a document out of order": {Document: &other},
		"a batch key twice":       {BatchKey: &graph.BatchKeyRecord{Key: "batch", Revision: 1}},
	} {
		err := two.Import(context.Background(), Tenant, func(yield func(graph.Record, error) bool) {
			for r, err := range one.Export(context.Background(), Tenant) {
				odd := more.Document != nil && r.Document != nil || more.BatchKey != nil && r.BatchKey != nil
				if !yield(r, err) || odd && !yield(more, nil) {
					return
				}
			}
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if p := must(two.Position(context.Background(), view))(t); p != (graph.Position{}) {
			t.Errorf("%s: the tenant stands at %+v", name, p)
		}
	}
}
