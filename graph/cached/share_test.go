package cached

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// gate holds reads of alerts back, and says when one has come to it.
type gate struct {
	came, open chan struct{}
	ended      chan error
}

func newGate() *gate {
	return &gate{came: make(chan struct{}, 100), open: make(chan struct{}), ended: make(chan error, 100)}
}

func (g *gate) pass(ctx context.Context) error {
	g.came <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		g.ended <- ctx.Err()
		return ctx.Err()
	}
}

// waiting is the number of callers that wait for a shared read.
func (g *flights) waitingFor() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.running {
		n += f.waiting
	}
	return n
}

// cold is a cache before incident 1 that keeps at the first request and holds nothing.
func cold(t *testing.T, o Options) (*Store, *watched, graph.Store) {
	t.Helper()
	noLeaks(t)
	store := openStore(t)
	apply(t, store, graphtest.Tenant, alertAbout("1", "pc1"))
	o.eager = true
	s, w := open(t, store, o)
	return s, w, store
}

func TestCallersAtTheSameTimeShareOneRead(t *testing.T) {
	s, w, store := cold(t, Options{})
	g := newGate()
	w.whenAlerts(g.pass)
	want := readOne(t, store, view, 1)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := s.Alerts(t.Context(), view, oneIncident(1)); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return s.running.waitingFor() == 20 })
	close(g.open)
	all.Wait()
	if n := w.alerts.Load(); n != 1 {
		t.Errorf("%d reads", n)
	}
}

func TestWhoAskedFirstMayLeaveWithoutTheOthers(t *testing.T) {
	s, w, _ := cold(t, Options{})
	g := newGate()
	w.whenAlerts(g.pass)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	read := func(ctx context.Context, out chan error) {
		page, err := s.Alerts(ctx, view, oneIncident(1))
		if err == nil && len(page.Items) != 1 {
			err = errors.New("no alerts")
		}
		out <- err
	}
	go read(ctx, first)
	<-g.came
	go read(t.Context(), second)
	eventually(t, "both wait", func() bool { return s.running.waitingFor() == 2 })
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(g.open)
	if err := <-second; err != nil {
		t.Errorf("who stayed got %v", err)
	}
	if w.alerts.Load() != 1 {
		t.Errorf("%d reads", w.alerts.Load())
	}
}

func TestAReadThatNobodyWaitsForEnds(t *testing.T) {
	s, w, _ := cold(t, Options{})
	g := newGate()
	w.whenAlerts(g.pass)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Alerts(ctx, view, oneIncident(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	eventually(t, "the read ends", func() bool { return len(g.ended) == 1 })
	w.whenAlerts(nil)
	if page, err := s.Alerts(t.Context(), view, oneIncident(1)); err != nil || len(page.Items) != 1 {
		t.Errorf("the next caller got %v", err)
	}
}

func TestAFailureIsToldAndNotKept(t *testing.T) {
	s, w, _ := cold(t, Options{})
	broken := errors.New("disk")
	w.whenAlerts(func(context.Context) error { return broken })
	if _, err := s.Alerts(t.Context(), view, oneIncident(1)); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	w.whenAlerts(func(context.Context) error { panic("a fault in the store") })
	if _, err := s.Alerts(t.Context(), view, oneIncident(1)); err == nil {
		t.Error("no error after a panic")
	}
	w.whenAlerts(nil)
	if page, err := s.Alerts(t.Context(), view, oneIncident(1)); err != nil || len(page.Items) != 1 {
		t.Errorf("afterwards: %v", err)
	}
}

func TestClosingEndsReadsUnderWay(t *testing.T) {
	s, w, _ := cold(t, Options{})
	g := newGate()
	w.whenAlerts(g.pass)
	got := make(chan error, 1)
	go func() {
		_, err := s.Alerts(context.Background(), view, oneIncident(1))
		got <- err
	}()
	<-g.came
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, graph.ErrClosed) {
		t.Errorf("error is %v", err)
	}
}

// A commit between the two reads of a fill: the answer is right, and is kept under no version.
func TestWhatChangedWhileItWasReadIsNotKept(t *testing.T) {
	for _, trust := range []time.Duration{0, MaxTrust} {
		t.Run(fmt.Sprint("trust ", trust), func(t *testing.T) { checkMoved(t, trust) })
	}
}

func checkMoved(t *testing.T, trust time.Duration) {
	o := Options{Trust: trust, clock: func() time.Time { return graphtest.Epoch }}
	m := newMeter(&o)
	s, w, store := cold(t, o)
	n := 1
	w.whenAlerts(func(ctx context.Context) error {
		n++
		_, err := store.Apply(ctx, graphtest.Tenant, alertAbout(fmt.Sprint(n), "pc1"))
		return err
	})
	if got := readOne(t, s, view, 1); len(got.Items) != 1 {
		t.Errorf("%d alerts", len(got.Items))
	}
	w.whenAlerts(nil)
	if got := readOne(t, s, view, 1); len(got.Items) != 2 {
		t.Errorf("trust %v: %d alerts after the commit, want 2", trust, len(got.Items))
	}
	if m.sum(t, "clew.cache.bypasses", "reason", "moved") != 1 {
		t.Errorf("trust %v: it was kept", trust)
	}
}

func TestAVersionIsTrustedForItsTimeAndNoLonger(t *testing.T) {
	var mu sync.Mutex
	now := graphtest.Epoch
	move := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	o := Options{Trust: MaxTrust, clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}
	s, w, store := cold(t, o)
	q, e := graph.IncidentQuery{IDs: []graph.IncidentID{1}}, graph.EntityQuery{IDs: []graph.ID{device("pc1").ID()}}
	reads := func(r graph.Reader, v graph.View) string {
		return fmt.Sprintf("%+v", []any{readOne(t, r, v, 1), must(r.Incidents(t.Context(), v, q))(t), must(r.Entities(t.Context(), v, e))(t)})
	}
	old := reads(s, view)
	for i := range 3 {
		change := alertAbout(fmt.Sprint("more", i), "pc1")
		change.Entities[0].Properties["riskScore"] = []byte(fmt.Sprint(i))
		change.Entities[0].ObservedAt = graphtest.Epoch.Add(time.Duration(i+1) * time.Hour)
		apply(t, store, graphtest.Tenant, change)
		calls := w.alerts.Load() + w.incidents.Load() + w.entities.Load() + w.positions.Load()
		move(MaxTrust - 1)
		if got := reads(s, view); got != old {
			t.Errorf("commit %d: within the time the answers were not the kept ones", i)
		}
		if n := w.alerts.Load() + w.incidents.Load() + w.entities.Load() + w.positions.Load(); n != calls {
			t.Errorf("commit %d: %d calls of the store within the time", i, n-calls)
		}
		fresh := reads(store, view)
		move(1)
		if got := reads(s, view); got != fresh {
			t.Errorf("commit %d: after the time the answers are old", i)
		}
		old = fresh
	}
}

// A reader with a minimum revision sees it however young the trusted version is, and who comes behind gains.
func TestAMinimumRevisionIsSeenWhateverIsTrusted(t *testing.T) {
	s, w, store := cold(t, Options{Trust: MaxTrust, clock: func() time.Time { return graphtest.Epoch }})
	q, e := graph.IncidentQuery{IDs: []graph.IncidentID{1}}, graph.EntityQuery{IDs: []graph.ID{device("pc1").ID()}}
	for i := range 5 {
		readOne(t, s, view, 1)
		v := view
		v.AtLeast = apply(t, store, graphtest.Tenant, alertAbout(fmt.Sprint("more", i), "pc1")).Revision
		same(t, "alerts", readOne(t, store, view, 1), readOne(t, s, v, 1))
		same(t, "incidents", must(store.Incidents(t.Context(), view, q))(t), must(s.Incidents(t.Context(), v, q))(t))
		same(t, "entities", must(store.Entities(t.Context(), view, e))(t), must(s.Entities(t.Context(), v, e))(t))
		calls := w.alerts.Load() + w.incidents.Load()
		same(t, "alerts of who comes behind", readOne(t, store, view, 1), readOne(t, s, view, 1))
		if w.alerts.Load()+w.incidents.Load() != calls {
			t.Error("who comes behind had to ask the store")
		}
		v.AtLeast++
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Alerts(ctx, v, oneIncident(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read of a future revision ended with %v", err)
		}
		cancel()
	}
}

// A read that joins another must not get what was current before its time of trust.
func TestNobodyJoinsAReadThatBeganTooLongAgo(t *testing.T) {
	var mu sync.Mutex
	now := graphtest.Epoch
	move := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	g := newFlights()
	defer g.close()
	release := make(chan struct{})
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	ask := func(reads chan int, n int) {
		_, _, _ = g.do(context.Background(), key{}, clock().Add(-MaxTrust), clock(), func(context.Context) (filled, error) {
			reads <- n
			<-release
			return filled{}, nil
		})
	}
	reads := make(chan int, 3)
	var all sync.WaitGroup
	all.Go(func() { ask(reads, 1) })
	if <-reads != 1 {
		t.Fatal("not the first")
	}
	move(MaxTrust)
	all.Go(func() { ask(reads, 2) })
	eventually(t, "the second joins", func() bool { return g.waitingFor() == 2 })
	move(1)
	all.Go(func() { ask(reads, 3) })
	eventually(t, "the third reads for itself", func() bool { return len(reads) == 1 || g.waitingFor() == 3 })
	if len(reads) != 1 {
		t.Error("the third joined")
	}
	close(release)
	all.Wait()
}
