package graphtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// TB is what both testing.TB and *rapid.T offer and the suite needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Subject is one store under test.
type Subject interface {
	// Open opens the store; what an earlier Open of this Subject left after Close is still there.
	Open(t TB, clock func() time.Time) graph.Store
	// Crash takes from what is open what a crash takes: nothing that it acknowledged is lost, and a later Open finds
	// that. What was open is not closed before, and is of no use afterwards but for closing it.
	Crash()
}

// Run runs the whole suite. fresh gives an empty subject; it is called many times.
func Run(t *testing.T, fresh func(t TB) Subject) {
	t.Helper()
	runAll(t, suite, fresh)
}

// RunReads runs what the suite asks of reads, for stores that promise less than the suite needs where a read does
// not say which revision it wants. See Elsewhere.
func RunReads(t *testing.T, fresh func(t TB) Subject) {
	t.Helper()
	runAll(t, reads, fresh)
}

func runAll(t *testing.T, checks []check, fresh func(t TB) Subject) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Skipped() {
					t.Error("a check was skipped: every store must pass all of them")
				}
			})
			c.run(t, fresh)
		})
	}
}

type check struct {
	name string
	run  func(t *testing.T, fresh func(t TB) Subject)
}

// reads are those of the suite that find an answer from before the last commit.
var reads = []check{
	{"changes name everything that a commit touched", checkChanges},
	{"what is read beside writers is what some commit left", checkBeside},
}

// suite lists every check by what it promises. Nothing may be skipped for any store.
var suite = []check{
	{"any order and batching of the same observations gives the same digest", checkOrder},
	{"every answer equals the map model's", checkModel},
	{"different questions about the same thing agree", checkAgree},
	{"the same batch again changes nothing", checkTwice},
	{"a reopened store answers as before", checkReopen},
	{"whatever was acknowledged is there after a crash", checkCrash},
	{"joined nodes keep all that either had", checkJoin},
	{"every id ever given resolves for ever", checkIDsResolve},
	{"replaying the same log gives the same incident ids", checkReplay},
	{"ticks are unique and increase whatever the clock does", checkTicks},
	{"a bounded read is complete for ever", checkBounded},
	{"a puller that asks for greater than the last seen misses nothing", checkPuller},
	{"a person's word is never overwritten by a source", checkEdits},
	{"an analyst's word on an asset stays whatever sources say", checkCriticality},
	{"an analyst's word on an asset proves no identity", checkWordClaimsNothing},
	{"a person's word on an incident keeps its facts", checkTriage},
	{"one instant is one version however it is written", checkInstants},
	{"a failed expectation writes nothing", checkExpect},
	{"a replayed key gives the first revision", checkReplayedKey},
	{"an invalid or too large batch writes nothing", checkRefused},
	{"a decision that breaks the rules of incidents is refused whole", checkDecisions},
	{"a decider is told all that may matter", checkDelta},
	{"pages are stable while written to", checkPaging},
	{"what is read beside writers is what some commit left", checkBeside},
	{"tenants never see each other", checkTenants},
	{"changes name everything that a commit touched", checkChanges},
	{"what changes only how an edge was is a change", checkPastChanges},
	{"documents commit with the graph", checkDocuments},
	{"what is over goes when it is asked to, and nothing else", checkExpiry},
	{"an edge that is over is one, of however many ids", checkExpiryJoined},
	{"a cancelled context stops reads and writes", checkCancel},
	{"a read waits for the revision it carries", checkAtLeast},
	{"a closed store says so", checkClosed},
}

var view = graph.View{Tenant: Tenant}

// must is for calls that the suite expects to work.
func must[V any](v V, err error) func(t TB) V {
	return func(t TB) V {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

func apply(t TB, s graph.Store, b graph.Batch) graph.Receipt {
	t.Helper()
	return must(s.Apply(context.Background(), Tenant, b))(t)
}

func digest(t TB, s graph.Store) string {
	t.Helper()
	return must(graph.Digest(context.Background(), s, view))(t)
}

func drawUnits(t *rapid.T) []Unit {
	return DrawUnits(t, 1, 12)
}

func checkOrder(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		units := drawUnits(t)
		model, clock := NewModel(NewClock().Now), NewClock()
		s := fresh(t).Open(t, clock.Now)
		defer s.Close()
		for _, b := range Group(t, units, UnionDecider{}) {
			apply(t, model, b)
		}
		for _, b := range Group(t, rapid.Permutation(units).Draw(t, "order"), UnionDecider{}) {
			clock.Move(time.Duration(rapid.IntRange(-60, 60).Draw(t, "skew")) * time.Minute)
			apply(t, s, b)
		}
		if digest(t, model) != digest(t, s) {
			t.Fatalf("digests differ:\n%s", cmp.Diff(content(t, model), content(t, s)))
		}
	})
}

func checkTwice(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		s := fresh(t).Open(t, NewClock().Now)
		defer s.Close()
		batches := Group(t, drawUnits(t), UnionDecider{})
		for _, b := range batches {
			apply(t, s, b)
		}
		before, at := digest(t, s), must(s.Position(context.Background(), view))(t)
		for _, b := range batches {
			r := apply(t, s, b)
			if r.NewAlerts+r.UpdatedAlerts+r.NewEdges+r.NewEntities > 0 || r.KnownEntities != len(b.Entities) || r.KnownEdges != len(b.Edges) || r.Revision != at.Revision {
				t.Fatalf("second time: %+v", r)
			}
		}
		if digest(t, s) != before || must(s.Position(context.Background(), view))(t) != at {
			t.Fatalf("applying twice changed the store")
		}
	})
}

func checkReopen(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		subject, clock := fresh(t), NewClock()
		model := NewModel(clock.Now)
		s := subject.Open(t, clock.Now)
		for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
			clock.Move(time.Second)
			apply(t, model, b)
			apply(t, s, b)
			if rapid.Bool().Draw(t, "reopen") {
				must(0, s.Close())(t)
				s = subject.Open(t, clock.Now)
			}
		}
		compare(t, model, s)
		must(0, s.Close())(t)
	})
}

// checkCrash: whatever was acknowledged is there, a batch that was under way is there whole or not at all, and
// writing it again makes it so, once.
func checkCrash(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		subject, clock := fresh(t), NewClock()
		model := NewModel(clock.Now)
		s := subject.Open(t, clock.Now)
		defer func() { s.Close() }()
		n := 0
		drawHistory(t, model, clock, func(b graph.Batch) {
			n++
			b.Key = fmt.Sprint("batch-", n)
			want := apply(t, model, b)
			switch rapid.IntRange(0, 3).Draw(t, "crash") {
			case 0:
				s = crashBeside(t, subject, s, clock, b)
				if got := apply(t, s, b); got.Revision != want.Revision || !got.Replayed && got != want {
					t.Fatalf("after a crash the batch gave %+v, want %+v", got, want)
				}
			case 1:
				apply(t, s, b)
				subject.Crash()
				must(0, s.Close())(t)
				s = subject.Open(t, clock.Now)
				if got := apply(t, s, b); !got.Replayed || got.Revision != want.Revision {
					t.Fatalf("an acknowledged batch gave %+v after a crash, want %+v replayed", got, want)
				}
			default:
				apply(t, s, b)
			}
			compare(t, model, s)
		})
	})
}

// crashBeside lets the batch begin, and gives the store that was opened after the crash.
func crashBeside(t TB, subject Subject, s graph.Store, clock *Clock, b graph.Batch) graph.Store {
	t.Helper()
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		close(begun)
		_, _ = s.Apply(context.Background(), Tenant, b)
		close(ended)
	}()
	<-begun
	subject.Crash()
	opened := subject.Open(t, clock.Now)
	<-ended
	_ = s.Close()
	return opened
}

func checkIDsResolve(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		s := fresh(t).Open(t, NewClock().Now)
		defer s.Close()
		given, incidents := []graph.ID{}, []graph.IncidentID{}
		for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
			apply(t, s, b)
			for _, e := range must(s.Entities(context.Background(), view, graph.EntityQuery{}))(t) {
				given = append(given, e.ID)
			}
			for _, i := range must(s.Incidents(context.Background(), view, graph.IncidentQuery{}))(t).Items {
				incidents = append(incidents, i.ID)
			}
		}
		for i, e := range must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: given}))(t) {
			if e.ID != given[i] && !slices.Contains(e.Members, given[i]) {
				t.Fatalf("%s resolves to %s, which does not have it", given[i], e.ID)
			}
		}
		alerts := must(s.Alerts(context.Background(), view, graph.AlertQuery{Incidents: incidents}))(t).Items
		if all := must(graph.AllAlerts(context.Background(), s, view, graph.AlertQuery{}))(t); len(alerts) != len(all) {
			t.Fatalf("incidents ever given hold %d alerts of %d", len(alerts), len(all))
		}
		for _, id := range incidents {
			if page := must(s.Alerts(context.Background(), view, graph.AlertQuery{Incidents: []graph.IncidentID{id}}))(t); len(page.Items) == 0 {
				t.Fatalf("incident %s resolves to nothing", id)
			}
		}
	})
}

func checkReplay(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		one, two := fresh(t).Open(t, NewClock().Now), fresh(t).Open(t, func() time.Time { return Epoch.Add(time.Hour) })
		defer one.Close()
		defer two.Close()
		for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
			apply(t, one, b)
			apply(t, two, b)
		}
		ids := func(s graph.Store) map[graph.ID]graph.IncidentID {
			out := map[graph.ID]graph.IncidentID{}
			for _, a := range must(graph.AllAlerts(context.Background(), s, view, graph.AlertQuery{}))(t) {
				out[a.ID] = a.Incident
			}
			return out
		}
		if d := cmp.Diff(ids(one), ids(two)); d != "" {
			t.Fatalf("incident ids differ between replays:\n%s", d)
		}
	})
}

func checkCancel(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	apply(t, s, oneAlert("1"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Apply(ctx, Tenant, oneAlert("2"))
	_, err1 := s.Entities(ctx, view, graph.EntityQuery{})
	_, err2 := s.Alerts(ctx, view, graph.AlertQuery{})
	_, err3 := s.Incidents(ctx, view, graph.IncidentQuery{})
	_, err4 := s.Lookup(ctx, view, nil)
	_, err5 := s.Documents(ctx, view, graph.DocumentQuery{})
	_, err6 := s.Position(ctx, view)
	var err7 error
	for _, e := range s.Edges(ctx, view, graph.EdgeQuery{}) {
		err7 = e
	}
	for i, err := range []error{err, err1, err2, err3, err4, err5, err6, err7} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: error is %v, want context.Canceled", i, err)
		}
	}
	if n := must(s.Position(context.Background(), view))(t).Alerts; n != 1 {
		t.Errorf("%d alerts after a cancelled write, want 1", n)
	}
}

func checkAtLeast(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	v := view
	v.AtLeast = apply(t, s, oneAlert("1")).Revision + 1
	got := make(chan graph.Position, 1)
	go func() {
		p, _ := s.Position(context.Background(), v)
		got <- p
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Position(ctx, v); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read of a future revision ended with %v", err)
	}
	apply(t, s, oneAlert("2"))
	if p := <-got; p.Revision != v.AtLeast {
		t.Errorf("the waiting read saw revision %d, want %d", p.Revision, v.AtLeast)
	}
}

func checkClosed(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	must(0, s.Close())(t)
	must(0, s.Close())(t)
	_, err := s.Apply(context.Background(), Tenant, oneAlert("1"))
	_, err1 := s.Entities(context.Background(), view, graph.EntityQuery{})
	_, err2 := s.Alerts(context.Background(), view, graph.AlertQuery{})
	_, err3 := s.Position(context.Background(), view)
	err4 := s.Ready(context.Background())
	var err5, err6 error
	for _, e := range s.Edges(context.Background(), view, graph.EdgeQuery{}) {
		err5 = e
	}
	for _, e := range s.Changes(context.Background(), view, 0) {
		err6 = e
	}
	for i, err := range []error{err, err1, err2, err3, err4, err5, err6} {
		if !errors.Is(err, graph.ErrClosed) {
			t.Errorf("call %d: error is %v, want ErrClosed", i, err)
		}
	}
}
