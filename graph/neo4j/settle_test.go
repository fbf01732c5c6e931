package neo4j

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

var epoch = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)

func observed(kind graph.Kind, typ graph.KeyType, value string) graph.EntityObservation {
	k, ok := graph.NewKey(kind, typ, value)
	if !ok {
		panic("not a key: " + value)
	}
	return graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: epoch, Source: "endpoint"}
}

// logons is a batch of n new logons of users to a few devices; the same for the same numbers.
func logons(batch, n int) graph.Batch {
	var b graph.Batch
	for i := range 5 {
		b.Entities = append(b.Entities, observed(graph.KindDevice, graph.KeyMdeDeviceID, fmt.Sprint("device-", i)))
	}
	for i := range n {
		user := observed(graph.KindIdentity, graph.KeyAzureADUserID, fmt.Sprint("user-", i%100))
		b.Entities = append(b.Entities, user)
		b.Edges = append(b.Edges, graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: user.ID(), To: b.Entities[i%5].ID(), FirstSeen: epoch, Source: "endpoint",
			Observation: graph.NewID(graph.KindObservation, fmt.Sprint(batch, "/", i)),
		})
	}
	return b
}

// alertNamed is a batch of one alert about one device.
func alertNamed(name string) graph.Batch {
	d := observed(graph.KindDevice, graph.KeyMdeDeviceID, "device-"+name)
	return graph.Batch{
		Entities: []graph.EntityObservation{d},
		Alerts: []graph.AlertContent{{
			ProviderAlertID: name, Product: "product", Title: name, FirstActivity: epoch, LastActivity: epoch,
			Evidence: []graph.Evidence{{Entity: d.ID()}},
		}},
	}
}

func mustApply(t testing.TB, s graph.Writer, tenant graph.TenantID, b graph.Batch) graph.Receipt {
	t.Helper()
	r, err := s.Apply(context.Background(), tenant, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holdLock opens a transaction that has the tenant's lock and is in the middle of a commit.
func holdLock(t testing.TB, s *Store, tenant graph.TenantID) (run runner, release func(commit bool)) {
	t.Helper()
	ctx := context.Background()
	session := s.session(ctx, driver.AccessModeWrite)
	tx, err := session.BeginTransaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (writing{tx}).query(ctx, begin, map[string]any{"in": map[string]any{"key": tk(tenant, "")}}); err != nil {
		t.Fatal(err)
	}
	return writing{tx}, func(commit bool) {
		t.Helper()
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := errors.Join(end(ctx), session.Close(ctx)); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitBlocked returns once a statement with these words waits for a lock; it fails where done comes first.
func awaitBlocked(t testing.TB, s *Store, words string, done <-chan error) {
	t.Helper()
	for {
		found := ask(t, s, `SHOW TRANSACTIONS YIELD currentQuery, status WHERE currentQuery CONTAINS $words AND status STARTS WITH 'Blocked' RETURN count(*)`,
			map[string]any{"words": words})
		if number(found[0].Values[0]) > 0 {
			return
		}
		select {
		case err := <-done:
			t.Fatalf("it did not wait for the lock (%v)", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestSettlingWaitsForTheCommitOfAnotherSession(t *testing.T) {
	s := open(t, migrated(t))
	tenant := tenantOfTest(t)
	mustApply(t, s, tenant, alertNamed("1"))
	run, release := holdLock(t, s, tenant)
	in := map[string]any{"key": tk(tenant, "")}
	if _, err := run.query(context.Background(), closeGate+`
MATCH (t:Tenant {key: $in.key}) SET t.revision = 77, t.seq = 78`, map[string]any{"in": in}); err != nil {
		t.Fatal(err)
	}
	done, got := make(chan error, 1), graph.Revision(0)
	go func() {
		now, err := s.settle(context.Background(), tenant)
		got = now.row.Revision
		done <- err
	}()
	awaitBlocked(t, s, "SET g.lock", done)
	release(true)
	if err := <-done; err != nil || got != 77 {
		t.Errorf("settled at revision %d (%v), want 77", got, err)
	}
}

func TestATenantThatIsBeingImportedIsShownToNobody(t *testing.T) {
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	mustApply(t, s, tenant, alertNamed("1"))
	ask(t, s, `MATCH (t:Tenant {key: $key}) SET t.loading = true, t.seq = t.seq + 1`, map[string]any{"key": tk(tenant, "")})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that waits for the revision waits for ever
	defer cancel()
	v := graph.View{Tenant: tenant}
	later := graph.View{Tenant: tenant, AtLeast: 99}
	bounded := graph.Paging{Updated: graph.TickRange{Before: graph.TickOf(time.Now())}}
	for name, read := range map[string]func() error{
		"a position":             func() error { _, err := s.Position(ctx, v); return err },
		"a later position":       func() error { _, err := s.Position(ctx, later); return err },
		"entities":               func() error { _, err := s.Entities(ctx, v, graph.EntityQuery{}); return err },
		"later entities":         func() error { _, err := s.Entities(ctx, later, graph.EntityQuery{}); return err },
		"alerts up to a tick":    func() error { _, err := s.Alerts(ctx, v, graph.AlertQuery{Paging: bounded}); return err },
		"incidents up to a tick": func() error { _, err := s.Incidents(ctx, v, graph.IncidentQuery{Paging: bounded}); return err },
		"all edges":              func() error { return failure(s.Edges(ctx, v, graph.EdgeQuery{})) },
		"changes":                func() error { return failure(s.Changes(ctx, v, 0)) },
		"with commits kept out":  func() error { return s.readLocked(ctx, tenant, func(*reader) error { return nil }) },
	} {
		if err := read(); !errors.Is(err, graph.ErrImporting) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// failure is the first error of a stream.
func failure[T any](all iter.Seq2[T, error]) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// An export holds the tenant's lock as long as it takes.
func TestAnExportHoldsNoReadUp(t *testing.T) {
	o, tenant := migrated(t), tenantOfTest(t)
	other := open(t, o)
	o.QueryTimeout, o.RetryTime = 10*time.Second, time.Millisecond
	s := open(t, o)
	mustApply(t, s, tenant, alertNamed("1"))
	bounded := graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: graph.TickOf(time.Now().Add(time.Minute))}}}
	for _, err := range other.Export(t.Context(), tenant) {
		if err != nil {
			t.Fatal(err)
		}
		v := graph.View{Tenant: tenant, AtLeast: 1}
		p, err := s.Position(t.Context(), v)
		if err != nil || p.Alerts != 1 {
			t.Errorf("%d alerts (%v)", p.Alerts, err)
		}
		if page, err := s.Alerts(t.Context(), v, graph.AlertQuery{}); err != nil || len(page.Items) != 1 {
			t.Errorf("%d alerts (%v)", len(page.Items), err)
		}
		page, err := s.Alerts(t.Context(), v, bounded) // the clock cannot be moved, so it stands for the bound
		if err != nil || len(page.Items) != 1 || page.Bound != p.Clock+1 {
			t.Errorf("%d alerts up to %v (%v), the clock is at %v", len(page.Items), page.Bound, err, p.Clock)
		}
		return
	}
	t.Error("nothing was exported")
}

func TestAWriterThatWaitsTooLongForAnotherIsTold(t *testing.T) {
	o, tenant := migrated(t), tenantOfTest(t)
	o.QueryTimeout, o.RetryTime = time.Second, time.Millisecond
	s := open(t, o)
	mustApply(t, s, tenant, logons(0, 1))
	_, release := holdLock(t, open(t, migrated(t)), tenant)
	defer release(false)
	if _, err := s.Apply(t.Context(), tenant, logons(1, 1)); err == nil || !strings.Contains(err.Error(), "try again when that has ended") {
		t.Errorf("a writer that waited says %v", err)
	}
}

func TestACancelledApplyThatWaitsForTheLockWritesNothing(t *testing.T) {
	s := open(t, migrated(t))
	tenant := tenantOfTest(t)
	mustApply(t, s, tenant, alertNamed("1"))
	_, release := holdLock(t, s, tenant)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := s.Apply(ctx, tenant, alertNamed("2"))
		done <- err
	}()
	awaitBlocked(t, s, "MERGE (t:Tenant", done)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	release(false)
	if p, err := s.Position(context.Background(), graph.View{Tenant: tenant}); err != nil || p.Alerts != 1 {
		t.Errorf("%d alerts (%v), want 1", p.Alerts, err)
	}
}

// A bounded read of one process that waits while another commits, and finds the clock moved by that: what the first
// process remembers was before the commit and must not be taken for what is after it.
func TestABoundedReadKeepsNoOldMemory(t *testing.T) {
	o, tenant, ctx := migrated(t), tenantOfTest(t), context.Background()
	one, two := open(t, o), open(t, o)
	mustApply(t, one, tenant, alertNamed("1")) // of a new tenant all is remembered
	before := graph.TickOf(time.Now())
	deciding, goOn, done := make(chan bool), make(chan bool), make(chan error, 2)
	b := logons(0, 20)
	b.Alerts, b.Entities = alertNamed("2").Alerts, append(b.Entities, alertNamed("2").Entities...)
	decided := b
	decided.Decide = decide(func() []graph.IncidentChange {
		deciding <- true
		<-goOn
		return []graph.IncidentChange{{Facts: &graph.IncidentFacts{DisplayName: "one"}, Alerts: []graph.ID{b.Alerts[0].ID()}}}
	})
	go func() {
		_, err := two.Apply(ctx, tenant, decided)
		done <- err
	}()
	<-deciding
	go func() {
		_, err := one.Alerts(ctx, graph.View{Tenant: tenant}, graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: before}}})
		done <- err
	}()
	awaitBlocked(t, one, "SET t.lock", done)
	close(goOn)
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	at := func() graph.Position {
		p, err := one.Position(ctx, graph.View{Tenant: tenant, AtLeast: 2})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := at()
	if r := mustApply(t, one, tenant, b); r.NewEdges+r.NewEntities+r.NewAlerts > 0 || at() != want {
		t.Errorf("what the other process committed is new again: %+v, at %+v, want %+v", r, at(), want)
	}
}

// A moved clock is a write, but not of anything that is remembered.
func TestAMovedClockForgetsNothing(t *testing.T) {
	o, tenant, ctx := migrated(t), tenantOfTest(t), context.Background()
	one, two := open(t, o), open(t, o)
	mustApply(t, one, tenant, alertNamed("1"))
	before := graph.TickOf(time.Now())
	if _, err := two.Alerts(ctx, graph.View{Tenant: tenant}, graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: before}}}); err != nil {
		t.Fatal(err)
	}
	mustApply(t, one, tenant, alertNamed("2"))
	if !one.tenant(tenant).memory.Complete() {
		t.Error("a read of another process made a writer forget what exists")
	}
	mustApply(t, two, tenant, alertNamed("3"))
	mustApply(t, one, tenant, alertNamed("4"))
	if one.tenant(tenant).memory.Complete() {
		t.Error("a commit of another process made a writer forget nothing")
	}
}

// Followers judge by Changes how far behind they are.
func TestChangesAreNeverStale(t *testing.T) {
	o, tenant, ctx := migrated(t), tenantOfTest(t), context.Background()
	o.MaxStale = time.Hour
	one, two := open(t, o), open(t, o)
	v := graph.View{Tenant: tenant}
	for n := range graph.Revision(3) {
		mustApply(t, one, tenant, alertNamed(fmt.Sprint(n)))
		var last graph.Revision
		for c, err := range two.Changes(ctx, v, n) {
			if err != nil {
				t.Fatal(err)
			}
			last = c.Revision
		}
		if last != n+1 {
			t.Errorf("after revision %d the changes end with %d", n+1, last)
		}
	}
}

// Two processes write, a third one pulls.
func TestWhoeverPullsByTickOrRevisionLosesNothingWhileTwoStoresWrite(t *testing.T) {
	const each = 12
	o, tenant, ctx := migrated(t), tenantOfTest(t), context.Background()
	writers, reader := []*Store{open(t, o), open(t, o)}, open(t, o)
	revisions := make([][]graph.Revision, len(writers))
	var wg sync.WaitGroup
	for w, s := range writers {
		wg.Go(func() {
			for i := range each {
				b := logons(i, 20)
				one := alertNamed(fmt.Sprint(w, "-", i))
				b.Entities, b.Alerts = append(b.Entities, one.Entities...), one.Alerts
				r, err := s.Apply(ctx, tenant, b)
				if err != nil {
					t.Error(err)
					return
				}
				revisions[w] = append(revisions[w], r.Revision)
			}
		})
	}
	view := graph.View{Tenant: tenant}
	var seen []string
	var last graph.Tick
	var at graph.Revision
	for ended := false; ; {
		page, err := reader.Alerts(ctx, view, graph.AlertQuery{Paging: graph.Paging{Order: graph.OldestUpdated, After: last, Limit: 3}})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Items {
			seen, last = append(seen, a.Title), a.Updated
		}
		for c, err := range reader.Changes(ctx, view, at) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Revision != at+1 {
				t.Errorf("change %d follows %d", c.Revision, at)
			}
			at = c.Revision
		}
		if ended && len(page.Items) == 0 {
			break
		}
		if !ended {
			ended = len(seen) == 2*each || t.Failed() || isDone(&wg)
		}
	}
	wg.Wait()
	slices.Sort(seen)
	if all := slices.Compact(slices.Clone(seen)); len(seen) != 2*each || len(all) != 2*each {
		t.Errorf("pulled %d alerts, %d different ones, want %d", len(seen), len(all), 2*each)
	}
	for w := range revisions {
		if !slices.IsSorted(revisions[w]) {
			t.Errorf("revisions of writer %d: %v", w, revisions[w])
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(revisions...)))
	if got := slices.Compact(slices.Clone(all)); len(got) != 2*each || at != graph.Revision(2*each) {
		t.Errorf("%d revisions and %d changes of %d commits", len(got), at, 2*each)
	}
	sameAsModel(t, reader, tenant, func(m *graphtest.Model) {
		for w := range writers {
			for i := range each {
				b := logons(i, 20)
				one := alertNamed(fmt.Sprint(w, "-", i))
				b.Entities, b.Alerts = append(b.Entities, one.Entities...), one.Alerts
				mustApply(t, m, tenant, b)
			}
		}
	})
}

// isDone reports whether nobody is waited for any more.
func isDone(wg *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(time.Millisecond):
		return false
	}
}

// sameAsModel compares digests with the map model that fill filled.
func sameAsModel(t testing.TB, s graph.Reader, tenant graph.TenantID, fill func(*graphtest.Model)) {
	t.Helper()
	m := graphtest.NewModel(time.Now)
	fill(m)
	want, err1 := graph.Digest(context.Background(), m, graph.View{Tenant: tenant})
	got, err2 := graph.Digest(context.Background(), s, graph.View{Tenant: tenant})
	if err := errors.Join(err1, err2); err != nil || got != want {
		t.Errorf("the content differs from the model's (%v)", err)
	}
}

func TestTwoStoresThatTakeTurnsKeepWhatTheOtherLearned(t *testing.T) {
	o, tenant := migrated(t), tenantOfTest(t)
	stores := []*Store{open(t, o), open(t, o)}
	batch := func(i int) graph.Batch {
		d := observed(graph.KindDevice, graph.KeyMdeDeviceID, "device")
		d.Properties = map[string]json.RawMessage{fmt.Sprint("property ", i): json.RawMessage("1")}
		return graph.Batch{Entities: []graph.EntityObservation{d}}
	}
	for i := range 6 {
		if r := mustApply(t, stores[i%2], tenant, batch(i)); r.Revision != graph.Revision(i+1) {
			t.Errorf("batch %d made revision %d", i, r.Revision)
		}
	}
	sameAsModel(t, stores[0], tenant, func(m *graphtest.Model) {
		for i := range 6 {
			mustApply(t, m, tenant, batch(i))
		}
	})
}

// A follower that missed a change would show less for ever.
func TestChangesOfWhichOneIsMissingAreTooOld(t *testing.T) {
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	for _, name := range []string{"1", "2", "3"} {
		mustApply(t, s, tenant, alertNamed(name))
	}
	ask(t, s, `MATCH (c:Change {key: $key}) DELETE c`, map[string]any{"key": numberKey(tenant, graph.Revision(2))})
	var met []graph.Revision
	for c, err := range s.Changes(t.Context(), graph.View{Tenant: tenant}, 0) {
		if err != nil {
			if !errors.Is(err, graph.ErrTooOld) {
				t.Errorf("error is %v", err)
			}
			break
		}
		met = append(met, c.Revision)
	}
	if len(met) != 1 || met[0] != 1 {
		t.Errorf("shown are the changes of %d, want of 1 only", met)
	}
}
