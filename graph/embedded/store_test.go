package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/rules"
)

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		file, text, says string
	}{
		"a newer format":          {formatName, formatHead + "99\n", "format 99"},
		"a damaged format file":   {formatName, "\x00\x00", "not a format file"},
		"an empty format file":    {formatName, "", "name an empty or new directory"},
		"a directory of another":  {"letters.txt", "dear", "letters.txt"},
		"a database of another's": {"CURRENT", "MANIFEST-000001\n", "CURRENT"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := fs.MkdirAll("store", 0o700); err != nil {
				t.Fatal(err)
			}
			putFile(t, fs, fs.PathJoin("store", c.file), c.text)
			before, _ := fs.List("store")
			_, err := Open("store", Options{FS: fs})
			if !errors.Is(err, graph.ErrVersion) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error is %v", err)
			}
			if after, _ := fs.List("store"); c.file != formatName && len(after) != len(before) {
				t.Errorf("the foreign directory now holds %v", after)
			}
		})
	}
}

func TestOpenFinishesWhatACrashInterrupted(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("store", 0o700); err != nil {
		t.Fatal(err)
	}
	putFile(t, fs, fs.PathJoin("store", formatNewName), "")
	closeStore(t, openAt(t, Options{FS: fs}))
	closeStore(t, openAt(t, Options{FS: fs}))
}

func TestDirectoryInUseIsRefusedByName(t *testing.T) {
	dir := t.TempDir() + "/store"
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{dir, dir + "/../store/."} {
		if _, err := Open(same, Options{}); !errors.Is(err, graph.ErrInUse) || !strings.Contains(fmt.Sprint(err), "/store ") {
			t.Errorf("opening %s twice gave %v", same, err)
		}
	}
	closeStore(t, s)
	s, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
}

func TestEveryMethodOfAClosedStoreSaysSo(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	closeStore(t, s)
	closeStore(t, s)
	ctx, v := context.Background(), graph.View{Tenant: "contoso", AtLeast: 7}
	errs := map[string]error{}
	_, errs["Apply"] = s.Apply(ctx, "contoso", graph.Batch{})
	_, errs["Entities"] = s.Entities(ctx, v, graph.EntityQuery{})
	_, errs["Lookup"] = s.Lookup(ctx, v, nil)
	_, errs["Alerts"] = s.Alerts(ctx, v, graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: 1}}})
	_, errs["Incidents"] = s.Incidents(ctx, v, graph.IncidentQuery{})
	_, errs["Documents"] = s.Documents(ctx, v, graph.DocumentQuery{})
	_, errs["Position"] = s.Position(ctx, v)
	errs["Ready"] = s.Ready(ctx)
	for _, err := range s.Edges(ctx, v, graph.EdgeQuery{}) {
		errs["Edges"] = err
	}
	for _, err := range s.Changes(ctx, v, 0) {
		errs["Changes"] = err
	}
	if len(errs) != 10 {
		t.Errorf("only %d methods answered", len(errs))
	}
	for name, err := range errs {
		if !errors.Is(err, graph.ErrClosed) {
			t.Errorf("%s gave %v", name, err)
		}
	}
}

func TestCloseWaitsForAnIterationAndWakesWaiters(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	if _, err := s.Apply(ctx, v.Tenant, logonBatch(0, 10)); err != nil {
		t.Fatal(err)
	}
	waiter, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Position(ctx, graph.View{Tenant: v.Tenant, AtLeast: 99})
		waiter <- err
	}()
	seen := 0
	for _, err := range s.Edges(ctx, v, graph.EdgeQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 {
			go func() { closed <- s.Close() }()
			if err := <-waiter; !errors.Is(err, graph.ErrClosed) {
				t.Errorf("the waiting read ended with %v", err)
			}
		}
		select {
		case <-closed:
			t.Fatal("Close did not wait for the iteration")
		default:
		}
	}
	if err := <-closed; err != nil || seen != 10 {
		t.Errorf("saw %d edges of 10; closing gave %v", seen, err)
	}
}

func TestAnIterationSeesOneSnapshotAndMayReadAndWrite(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	batch := 0
	write := func() {
		t.Helper()
		if _, err := s.Apply(ctx, v.Tenant, logonBatch(batch, 5)); err != nil {
			t.Fatal(err)
		}
		batch++
	}
	write()
	seen := 0
	for e, err := range s.Edges(ctx, v, graph.EdgeQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if found, err := s.Entities(ctx, v, graph.EntityQuery{IDs: []graph.ID{e.From}}); err != nil || found[0].ID != e.From {
			t.Fatalf("reading inside: %v, %v", found, err)
		}
		write()
		seen++
	}
	if seen != 5 {
		t.Errorf("the iteration saw %d edges, the snapshot has 5", seen)
	}
}

func TestChangesAreTrimmedToTheNewest(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, Options{FS: fs, KeepChanges: 10})
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	apply := func(s *Store, n int) {
		if _, err := s.Apply(ctx, v.Tenant, graph.Batch{Entities: []graph.EntityObservation{device(fmt.Sprint("d", n))}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 25 {
		apply(s, i)
	}
	closeStore(t, s)
	s = openAt(t, Options{FS: fs, KeepChanges: 4})
	defer closeStore(t, s)
	apply(s, 25) // 26 revisions, of which 23 to 26 are left
	for since, want := range map[graph.Revision]int{22: 4, 25: 1, 26: 0, 99: 0} {
		n := 0
		for c, err := range s.Changes(ctx, v, since) {
			if n++; err != nil || c.Revision != since+graph.Revision(n) || len(c.Entities) != 1 {
				t.Errorf("since %d: %+v, %v", since, c, err)
			}
		}
		if n != want {
			t.Errorf("since %d: %d changes, want %d", since, n, want)
		}
	}
	for _, err := range s.Changes(ctx, v, 21) {
		if !errors.Is(err, graph.ErrTooOld) {
			t.Errorf("trimmed changes gave %v", err)
		}
	}
}

func TestTenantsWriteAndAreReadAtOnce(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem(), memTableBytes: smallFiles})
	defer closeStore(t, s)
	const batches, edges = 30, 20
	ctx, stop := context.WithCancel(context.Background())
	var writers, readers sync.WaitGroup
	for _, tenant := range []graph.TenantID{"contoso", "fabrikam"} {
		for w := range 2 {
			writers.Go(func() {
				for i := range batches {
					if _, err := s.Apply(context.Background(), tenant, logonBatch(w*batches+i, edges)); err != nil {
						t.Errorf("%s: %v", tenant, err)
					}
				}
			})
		}
		readers.Go(func() {
			for ctx.Err() == nil {
				n, v := 0, graph.View{Tenant: tenant}
				for _, err := range s.Edges(context.Background(), v, graph.EdgeQuery{}) {
					if n++; err != nil {
						t.Errorf("%s: %v", tenant, err)
						return
					}
				}
				if n%edges != 0 {
					t.Errorf("%s: a reader saw %d edges, part of a batch of %d", tenant, n, edges)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	for _, tenant := range []graph.TenantID{"contoso", "fabrikam"} {
		verifyRows(t, s, tenant)
		if p, err := s.Position(context.Background(), graph.View{Tenant: tenant}); err != nil || p.Revision != 2*batches || p.Edges != 2*batches*edges {
			t.Errorf("%s ends at %+v, %v", tenant, p, err)
		}
	}
}

func TestTicksGoOnWhenTheClockJumpsBackAcrossAReopening(t *testing.T) {
	fs, now := vfs.NewMem(), epoch
	clock := func() time.Time { return now }
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	var last graph.Tick
	for i, jump := range []time.Duration{0, -time.Hour, -time.Hour, 3 * time.Hour} {
		now = now.Add(jump)
		s := openAt(t, Options{FS: fs, Clock: clock})
		b := graph.Batch{Alerts: []graph.AlertContent{{Product: "p", ProviderAlertID: fmt.Sprint(i)}}}
		if _, err := s.Apply(ctx, v.Tenant, b); err != nil {
			t.Fatal(err)
		}
		page, err := s.Alerts(ctx, v, graph.AlertQuery{IDs: []graph.ID{b.Alerts[0].ID()}})
		if err != nil || len(page.Items) != 1 || page.Items[0].Updated <= last {
			t.Fatalf("alert %d: last tick %s, then %+v, %v", i, last, page.Items, err)
		}
		last = page.Items[0].Updated
		closeStore(t, s)
	}
	if last != graph.TickOf(now) {
		t.Errorf("the last tick is %s, the clock is ahead of all others at %s", last, now)
	}
}

func TestABatchKeyOfNothingIsRememberedAcrossAReopening(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, Options{FS: fs})
	ctx := context.Background()
	if r, err := s.Apply(ctx, "contoso", graph.Batch{Key: "k"}); err != nil || r != (graph.Receipt{}) {
		t.Fatalf("%+v, %v", r, err)
	}
	closeStore(t, s)
	s = openAt(t, Options{FS: fs})
	defer closeStore(t, s)
	b := logonBatch(0, 1)
	b.Key = "k"
	if r, err := s.Apply(ctx, "contoso", b); err != nil || !r.Replayed || r.Revision != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAnEdgeAloneMakesARevision(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	ctx, b := context.Background(), logonBatch(0, 1)
	for i, want := range []graph.Revision{1, 1, 2, 3, 3} {
		switch i {
		case 2:
			b.Edges[0].Observation = graph.NewID(graph.KindObservation, "another")
		case 3:
			b.Edges[0].LastSeen = epoch.Add(time.Hour)
		}
		if r, err := s.Apply(ctx, "contoso", b); err != nil || r.Revision != want {
			t.Errorf("batch %d gave %+v, %v, want revision %d", i, r, err, want)
		}
	}
}

func TestAlertThatDoesNotEncodeIsInvalid(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	a := graph.AlertContent{Product: "p", ProviderAlertID: "1", Source: []byte("{")}
	for range 2 {
		if _, err := s.Apply(context.Background(), "contoso", graph.Batch{Alerts: []graph.AlertContent{a}}); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("error is %v", err)
		}
	}
}

// A name that many bear costs bounded work.
func TestCommonNameIsFollowedWithinBounds(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	ctx, v := context.Background(), graph.View{Tenant: graphtest.Tenant}
	named := func(typ graph.KeyType, value string) graph.EntityObservation {
		o := observed(graph.KindFile, typ, value)
		name := observed(graph.KindFile, graph.KeyFileName, "svchost.exe")
		o.Keys = append(o.Keys, name.Keys...)
		return o
	}
	var b graph.Batch
	for i := range rules.MaxBearers + 200 {
		b.Entities = append(b.Entities, named(graph.KeyDevicePath, fmt.Sprintf(`device\x\svchost-%d.exe`, i)))
	}
	strong := named(graph.KeySHA1, strings.Repeat("ab", 20))
	b.Entities = append(b.Entities, strong)
	if _, err := s.Apply(ctx, v.Tenant, b); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range s.Edges(ctx, v, graph.EdgeQuery{Nodes: []graph.ID{strong.ID()}, Direction: graph.In}) {
		if n++; err != nil || e.Kind != graph.EdgePossiblySame || e.To != strong.ID() {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	if n != rules.MaxBearers {
		t.Errorf("%d followers, want the bound %d", n, rules.MaxBearers)
	}
}
