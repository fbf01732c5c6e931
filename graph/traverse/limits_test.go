package traverse_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
)

// fading is a context that ends after it was looked at so many times.
type fading struct {
	context.Context
	looks atomic.Int64
	most  int64
	err   error
}

func (f *fading) Err() error {
	if f.looks.Add(1) > f.most {
		return f.err
	}
	return nil
}

// The memory of a search is used again by the next, wherever it ended: levels that were given and not taken back would
// hide what it reaches.
func TestASearchThatEndedAnywhereLeavesNothingToTheNext(t *testing.T) {
	b, src := compact.NewBuilder(), identity("src")
	put := func(from, to graph.ID) {
		b.Insert(edge(graph.EdgeAdminOf, from, to, 1, 1), b.Node(from), b.Node(to))
	}
	const near, far = 5_000, 60_000
	for i := range near {
		put(src, device(fmt.Sprint("m", i)))
	}
	for i := range far {
		put(identity(fmt.Sprint("x", i)), device(fmt.Sprint("m", i%near)))
	}
	on, ended := traverse.Held(b.Graph()), 0
	for _, timeless := range []bool{true, false} {
		q := traverse.Question{Sources: []graph.ID{src}, EveryEdge: true, Timeless: timeless, MaxHops: 2}
		for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
			for looks := range int64(12) {
				a, err := traverse.BlastRadius(&fading{Context: t.Context(), most: looks, err: end}, on, q)
				if err == nil {
					a.Release()
				} else if ended++; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if a, err = traverse.BlastRadius(t.Context(), on, q); err != nil || a.Completeness.Nodes != near+far+1 {
					t.Fatalf("after %d looks the next search reaches %+v (%v)", looks, a.Completeness, err)
				}
				a.Release()
			}
		}
	}
	if ended == 0 {
		t.Error("no search was cancelled")
	}
}

// once stalls in one reading of possiblySameAs.
type once struct {
	*memory
	at, calls int
}

func (m *once) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	if slices.Equal(q.Kinds, []graph.EdgeKind{graph.EdgePossiblySame}) {
		if m.calls++; m.calls == m.at {
			return func(yield func(graph.Edge, error) bool) {
				<-ctx.Done()
				yield(graph.Edge{}, ctx.Err())
			}
		}
	}
	return m.memory.Edges(ctx, v, q)
}

// Two searches of one question share what was read. What the first was kept from reading must not pass for read.
func TestASearchReadsWhatTheOneBeforeItWasKeptFrom(t *testing.T) {
	m := newMemory(
		edge(graph.EdgeAdminOf, identity("s"), device("a"), 1, 1),
		graph.Edge{Kind: graph.EdgePossiblySame, From: device("a"), To: device("a2")},
		edge(graph.EdgeLoggedOn, device("a2"), identity("x"), 1, 5),
		edge(graph.EdgeAdminOf, identity("x"), device("y"), 1, 1),
	)
	m.edges[2].From, m.edges[2].To = identity("x"), device("a2")
	m = newMemory(m.edges...)
	for at := 1; at < 4; at++ {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		on := traverse.Stored(&once{memory: m, at: at}, graph.View{Tenant: "t"}, graph.Criticalities{})
		c, err := traverse.Contain(ctx, on, traverse.Question{Sources: []graph.ID{identity("s")}, Timeless: true}, nil)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if c.Before.Completeness.Reason != traverse.LimitDeadline || !c.After.Completeness.Complete || c.After.Score != 3 {
			t.Errorf("stalled at %d: before %+v, after %d and %+v", at, c.Before.Completeness, c.After.Score, c.After.Completeness)
		}
	}
}

func TestWhatAnIncompleteAnswerDidNotReachIsNotCutOff(t *testing.T) {
	m := newMemory(edge(graph.EdgeAdminOf, identity("s"), device("a"), 1, 1), edge(graph.EdgeAdminOf, identity("s"), device("b"), 1, 1))
	ctx := &fading{Context: t.Context(), most: 9, err: context.DeadlineExceeded}
	for ; ctx.most > 0; ctx.most-- { // some look is between the two searches
		ctx.looks.Store(0)
		c, err := traverse.Contain(ctx, m.held(), traverse.Question{Sources: []graph.ID{identity("s")}}, nil)
		if err != nil {
			continue
		}
		if !c.After.Completeness.Complete && (c.CutOff != 0 || len(c.List(nil, 10)) != 0) {
			t.Errorf("%d targets are cut off by nothing: %+v", c.CutOff, c.After.Completeness)
		}
	}
}

// apart are independent ones to critical devices, each over an account of its own.
func apart(n int) (m *memory, q traverse.PlanQuestion) {
	var edges []graph.Edge
	for i := range n {
		edges = append(edges, edge(graph.EdgeLoggedOn, identity(named("u", i)), device("host"), 1, 5),
			edge(graph.EdgeAdminOf, identity(named("u", i)), device(named("c", i)), 1, 1))
	}
	m = newMemory(edges...)
	for i := range n {
		m.grades[device(named("c", i))] = graph.CriticalityHigh
	}
	return m, traverse.PlanQuestion{Question: traverse.Question{Sources: []graph.ID{device("host")}, Timeless: true}}
}

func TestAPlanThatIsNotEnoughSaysSo(t *testing.T) {
	for n, exact := range map[int]bool{5: true, traverse.MaxPlanResponses + 36: false} {
		m, q := apart(n)
		p, err := traverse.PlanContainment(t.Context(), m.held(), q)
		if err != nil || p.Exact != exact || p.LowerBound < min(n, traverse.MaxPlanResponses) || len(p.Remaining)+len(p.Responses) != n {
			t.Errorf("%d ways: %d responses, %d remain, bound %d, exact %v (%v)", n, len(p.Responses), len(p.Remaining), p.LowerBound, p.Exact, err)
		}
	}
}

// Some ways take two acts, so that the last remedy may be one too many.
func TestAPlanNeverHasMoreResponsesThanItsLimit(t *testing.T) {
	const vaults = traverse.MaxPlanResponses / 2
	m := newMemory(edge(graph.EdgeAdminOf, identity("one"), device("critical"), 1, 1))
	sources := []graph.ID{identity("one")}
	for i := range vaults {
		m.edges = append(m.edges, edge(graph.EdgeAdminOf, identity(named("two", i)), id(graph.KindCloudResource, named("vault", i)), 1, 1))
		sources = append(sources, identity(named("two", i)))
	}
	m = newMemory(m.edges...)
	for _, e := range m.edges {
		m.grades[e.To] = graph.CriticalityHigh
	}
	q := traverse.PlanQuestion{Question: traverse.Question{Sources: sources, Timeless: true}}
	p, err := traverse.PlanContainment(t.Context(), m.held(), q)
	if err != nil || len(p.Responses) != 1+2*(vaults-1) || len(p.Remaining) != 1 || p.Exact {
		t.Errorf("%d responses, %d remain, exact %v (%v)", len(p.Responses), len(p.Remaining), p.Exact, err)
	}
	q.Sources = sources[:vaults]
	if p, err = traverse.PlanContainment(t.Context(), m.held(), q); err != nil || len(p.Responses) != 1+2*(vaults-1) || len(p.Remaining) != 0 {
		t.Errorf("within the limit: %d responses, %d remain (%v)", len(p.Responses), len(p.Remaining), err)
	}
}

// Wherever time runs out, the plan is not called exact unless it is, and what remains is told.
func TestAPlanForWhichTimeRunsOutSaysSo(t *testing.T) {
	m, q := apart(4)
	whole, cut := 0, 0
	for looks := range int64(400) {
		p, err := traverse.PlanContainment(&fading{Context: t.Context(), most: looks, err: context.DeadlineExceeded}, m.held(), q)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if p.Exact {
			whole++
			if len(p.Responses) != 4 || len(p.Remaining) != 0 {
				t.Fatalf("after %d looks: %+v", looks, p)
			}
		} else {
			cut++
		}
	}
	if whole == 0 || cut == 0 {
		t.Errorf("%d plans were whole, %d cut", whole, cut)
	}
}

func TestChokePointsAreThoseOfTheirOwnAnswer(t *testing.T) {
	var edges []graph.Edge
	for _, who := range []string{"a", "b"} {
		edges = append(edges, edge(graph.EdgeLoggedOn, identity(who), device("host"), 1, 5))
		for i := range 5 {
			edges = append(edges, edge(graph.EdgeAdminOf, identity(who), device(fmt.Sprint(i)), 1, 1))
		}
	}
	m := newMemory(edges...)
	for _, on := range []traverse.Ground{m.held(), m.stored()} {
		c, err := traverse.Contain(t.Context(), on, traverse.Question{Sources: []graph.ID{device("host")}, Timeless: true},
			[]traverse.Response{{Action: graph.ActionDisableUser, Entity: identity("a")}})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup // both ask the same store, and what it gave is kept in one place
		for range 4 {
			all.Go(func() {
				if p, err := c.Before.ChokePoints(t.Context(), 5); err != nil || len(p) != 0 {
					t.Errorf("before, either account does: %+v (%v)", p, err)
				}
			})
			all.Go(func() {
				if p, err := c.After.ChokePoints(t.Context(), 5); err != nil || len(p) != 1 || p[0].ID != identity("b") || p[0].Lost != 5 {
					t.Errorf("after, only one does: %+v (%v)", p, err)
				}
			})
		}
		all.Wait()
		c.Release()
	}
}

// In time that grows with the square of what is the same this would take minutes.
func TestLongChainsOfTheSameAreWalkedOnce(t *testing.T) {
	const n = 20_000
	var edges []graph.Edge
	for i := range n {
		edges = append(edges, graph.Edge{Kind: graph.EdgePossiblySame, From: device(fmt.Sprint(i)), To: device(fmt.Sprint(i + 1))})
	}
	edges = append(edges, edge(graph.EdgeAdminOf, identity("x"), device("0"), 1, 1), edge(graph.EdgeSpawned, device(fmt.Sprint(n)), device("end"), 1, 9))
	m := newMemory(edges...)
	q := traverse.Question{Sources: []graph.ID{identity("x")}}
	a, err := traverse.BlastRadius(t.Context(), m.held(), q)
	if err != nil || a.Score != 2 {
		t.Fatalf("score %d (%v)", a.Score, err)
	}
	listed := a.List(nil, n+3)
	if r := a.Nearest(listed[len(listed)-1]); len(r.Steps) != n+2 {
		t.Errorf("%d steps to the end", len(r.Steps))
	}
	if _, err := a.ChokePoints(t.Context(), 3); err != nil {
		t.Error(err)
	}
	if p, err := traverse.Paths(t.Context(), m.held(), q, device("end"), 3); err != nil || len(p.Routes) != 1 {
		t.Errorf("%d paths (%v)", len(p.Routes), err)
	}
}

func TestWhatLiesAroundAResponseIsReadWithinTheBudget(t *testing.T) {
	edges := []graph.Edge{edge(graph.EdgeAdminOf, identity("s"), device("d"), 1, 1)}
	for i := range 3000 {
		edges = append(edges, edge(graph.EdgeRan, id(graph.KindProcess, fmt.Sprint(i)), device("d"), 1, 1))
	}
	s := newStore(edges...)
	c, err := traverse.Contain(t.Context(), traverse.Stored(s, graph.View{Tenant: "t"}, graph.Criticalities{}),
		traverse.Question{Sources: []graph.ID{identity("s")}, Budget: traverse.Budget{Edges: 10}},
		[]traverse.Response{{Action: graph.ActionIsolateDevice, Entity: device("d")}})
	if err != nil || c.After.Completeness.Complete || c.After.Completeness.Reason != traverse.LimitEdges {
		t.Errorf("%+v (%v)", c.After.Completeness, err)
	}
	if s.edgesYielded > 100 {
		t.Errorf("%d edges were read for a budget of 10", s.edgesYielded)
	}
}

func TestPathsFoundBeforeALimitAreGiven(t *testing.T) {
	var edges []graph.Edge
	for i := range 4 {
		edges = append(edges, edge(graph.EdgeAdminOf, identity("s"), device(fmt.Sprint(i)), 1, 1))
	}
	m := newMemory(edges...)
	q := traverse.Question{Sources: []graph.ID{identity("s")}, Budget: traverse.Budget{Nodes: 3}}
	a := ask(t, m, q)
	for _, target := range a.Targets {
		p, err := m.paths(t.Context(), q, target.ID, 1)
		if err != nil || len(p.Routes) != 1 || p.Completeness.Reason != traverse.LimitNodes {
			t.Errorf("%+v (%v)", p, err)
		}
	}
}

// The first path by ids would lead on from the node for which the budget was not enough, and whose edges a store was
// not asked for.
func TestNoPathLeadsOnFromWhatTheBudgetLeftOut(t *testing.T) {
	sources, between := []graph.ID{identity("a"), identity("b")}, []graph.ID{device("k"), device("l")}
	slices.SortFunc(sources, graph.ID.Compare)
	slices.SortFunc(between, graph.ID.Compare)
	goal := device("goal")
	m := newMemory(
		edge(graph.EdgeAdminOf, sources[0], between[1], 1, 1), edge(graph.EdgeAdminOf, sources[1], between[0], 1, 1),
		edge(graph.EdgeAdminOf, between[0], goal, 1, 1), edge(graph.EdgeAdminOf, between[1], goal, 1, 1),
	)
	for edges, from := range map[int]graph.ID{3: sources[1], 4: sources[0]} {
		q := traverse.Question{Sources: sources, Budget: traverse.Budget{Edges: edges}}
		p, err := m.paths(t.Context(), q, goal, 1)
		if err != nil || len(p.Routes) != 1 || p.Routes[0].Steps[0].From != from {
			t.Errorf("with %d edges, want it from %s: %+v (%v)", edges, from, p, err)
		}
	}
}

func TestWhatTheGraphInMemoryDoesNotKnowYetIsAskedOfTheStore(t *testing.T) {
	old := newMemory(edge(graph.EdgeAdminOf, identity("s"), device("a"), 1, 1))
	now := newMemory(edge(graph.EdgeAdminOf, identity("s"), device("a"), 1, 1), edge(graph.EdgeAdminOf, identity("new"), device("b"), 1, 1))
	on := old.held().OrStored(now.stored())
	if a, err := blast(t.Context(), on, traverse.Question{Sources: []graph.ID{identity("new")}}); err != nil || a.Score != 1 {
		t.Errorf("score %d (%v)", a.Score, err)
	}
	if p, err := traverse.Paths(t.Context(), on, traverse.Question{Sources: []graph.ID{identity("s")}}, device("b"), 1); err != nil || len(p.Routes) != 0 {
		t.Errorf("%+v (%v)", p, err)
	}
	if _, err := blast(t.Context(), on, traverse.Question{Sources: []graph.ID{identity("nobody")}}); !errors.Is(err, graph.ErrNotFound) {
		t.Error(err)
	}
}
