package traverse_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"pgregory.net/rapid"
)

// reachedWithout are the classes of what is reached where a node is not there, but for those that are held from the
// start with it.
func reachedWithout(edges []graph.Edge, q traverse.Question, gone graph.ID) map[graph.ID]bool {
	r := reference{edges: edges, q: q, found: map[graph.ID][]held{}, gone: gone}
	for _, s := range q.Sources {
		r.walk(s, held{0, q.Start})
	}
	out := map[graph.ID]bool{}
	for n := range r.found {
		out[classOf(edges, n)] = true
	}
	for n := range enumerate(edges, traverse.Question{Sources: q.Sources}) {
		delete(out, classOf(edges, n))
	}
	return out
}

func TestAChokePointLosesWhatIsNotReachedWithoutIt(t *testing.T) {
	var points int
	worlds(t, func(t *rapid.T, _ *rand.Rand, edges []graph.Edge, q traverse.Question) {
		m := newMemory(edges...)
		before := reachedWithout(edges, q, graph.ID{})
		got := m.chokePoints(t, q)
		for _, p := range got {
			want, without := 0, reachedWithout(edges, q, p.ID)
			for c := range before {
				if !without[c] && c != classOf(edges, p.ID) {
					want++
				}
			}
			if p.Lost != want || !p.Complete {
				t.Fatalf("without %s %d are lost: %+v", p.ID, want, p)
			}
			points++
		}
		if !slices.IsSortedFunc(got, func(a, b traverse.ChokePoint) int { return b.Lost - a.Lost }) {
			t.Fatalf("not the gravest first: %+v", got)
		}
	})
	t.Logf("%d choke points", points)
	if points == 0 {
		t.Error("the random graphs exercise too little")
	}
}

// Without time, and with as many hops as there are nodes, dominators are all there is.
func TestNoChokePointIsMissedWhereNeitherTimeNorHopsMatter(t *testing.T) {
	worlds(t, func(t *rapid.T, _ *rand.Rand, edges []graph.Edge, q traverse.Question) {
		edges = slices.DeleteFunc(slices.Clone(edges), func(e graph.Edge) bool { return e.Kind == graph.EdgePossiblySame })
		if len(edges) == 0 {
			return
		}
		q.Sources, q.Timeless, q.MaxHops = []graph.ID{edges[0].From}, true, traverse.MaxHops
		before := reachedWithout(edges, q, graph.ID{})
		if len(before) >= traverse.MaxHops {
			return
		}
		got := newMemory(edges...).chokePoints(t, q)
		for n := range before {
			less := reachedWithout(edges, q, n)
			found := slices.ContainsFunc(got, func(p traverse.ChokePoint) bool { return p.ID == n })
			if lost := len(before) - len(less) - 1; found != (lost > 0) {
				t.Fatalf("without %s %d are lost, found %v: %+v", n, lost, found, got)
			}
		}
	})
}

// What leads on over possiblySameAs alone dominates what lies behind it.
func TestAChokePointIsFoundOnEitherSideOfADouble(t *testing.T) {
	m := newMemory(
		edge(graph.EdgeAdminOf, identity("x"), device("a"), 1, 1),
		graph.Edge{Kind: graph.EdgePossiblySame, From: device("double"), To: device("a")},
		edge(graph.EdgeLoggedOn, identity("y"), device("double"), 1, 9), edge(graph.EdgeAdminOf, identity("y"), device("z"), 1, 1),
	)
	a, err := traverse.BlastRadius(t.Context(), m.held(), traverse.Question{Sources: []graph.ID{identity("x")}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	lost := map[graph.ID]int{}
	points, err := a.ChokePoints(t.Context(), 5)
	for _, p := range points {
		lost[p.ID] = p.Lost
	}
	if want := map[graph.ID]int{device("a"): 2, device("double"): 2, identity("y"): 1}; err != nil || !maps.Equal(lost, want) {
		t.Errorf("lost are %v, want %v (%v)", lost, want, err)
	}
}

// Whoever holds the second source need not pass what lies before it. Where a limit was met, dominators alone say so.
func TestWhatLeadsToASourceIsNoChokePoint(t *testing.T) {
	m := newMemory(
		edge(graph.EdgeAdminOf, identity("a"), identity("x"), 1, 1), edge(graph.EdgeAdminOf, identity("x"), identity("b"), 1, 1),
		edge(graph.EdgeAdminOf, identity("b"), identity("t"), 1, 1),
		edge(graph.EdgeAdminOf, identity("t"), device("u"), 1, 1), edge(graph.EdgeAdminOf, identity("t"), device("v"), 1, 1),
	)
	for nodes, want := range map[int]int{4: 0, 6: 1} { // for all of it, what the target leads to
		q := traverse.Question{Sources: []graph.ID{identity("a"), identity("b")}, Budget: traverse.Budget{Nodes: nodes}}
		a, err := traverse.BlastRadius(t.Context(), m.held(), q)
		if err != nil || a.Completeness.Complete != (nodes == 6) {
			t.Fatalf("%+v (%v)", a.Completeness, err)
		}
		points, err := a.ChokePoints(t.Context(), 5)
		if err != nil || len(points) != want || want == 1 && (points[0].ID != identity("t") || points[0].Lost != 2) {
			t.Errorf("of %d nodes: %+v (%v)", nodes, points, err)
		}
		a.Release()
	}
}

// Where a limit is met with and without it, what it dominates is told, and of that what is the same once.
func TestUnderALimitAChokePointLosesADoubleOnce(t *testing.T) {
	middle := []graph.ID{identity("x"), identity("y")}
	slices.SortFunc(middle, graph.ID.Compare)
	edges := []graph.Edge{
		edge(graph.EdgeAdminOf, identity("a"), middle[0], 1, 1), edge(graph.EdgeAdminOf, identity("a"), middle[1], 1, 1),
		edge(graph.EdgeAdminOf, middle[0], device("d"), 1, 1), {Kind: graph.EdgePossiblySame, From: device("double"), To: device("d")},
	}
	for i := range 5 { // for which the budget is not enough
		edges = append(edges, edge(graph.EdgeAdminOf, middle[1], device(named("far", i)), 1, 1))
	}
	q := traverse.Question{Sources: []graph.ID{identity("a")}, Budget: traverse.Budget{Edges: 4}}
	a, err := traverse.BlastRadius(t.Context(), newMemory(edges...).held(), q)
	if err != nil || a.Completeness.Reason != traverse.LimitEdges || a.Targets != 4 || a.Score != 3 {
		t.Fatalf("%d targets, score %d, %+v (%v)", a.Targets, a.Score, a.Completeness, err)
	}
	defer a.Release()
	points, err := a.ChokePoints(t.Context(), 5)
	i := slices.IndexFunc(points, func(p traverse.ChokePoint) bool { return p.ID == middle[0] })
	if err != nil || i < 0 || points[i].Lost != 1 || points[i].LostWeight != 1 || points[i].Complete {
		t.Errorf("%+v (%v)", points, err)
	}
}

func (m *memory) chokePoints(t *rapid.T, q traverse.Question) []traverse.ChokePoint {
	var got [2][]traverse.ChokePoint
	for i, on := range []traverse.Ground{m.held(), m.stored()} {
		a, err := traverse.BlastRadius(t.Context(), on, q)
		if err != nil {
			t.Fatal(err)
		}
		if got[i], err = a.ChokePoints(t.Context(), traverse.MaxChokePoints); err != nil {
			t.Fatal(err)
		}
		a.Release()
	}
	if fmt.Sprint(got[0]) != fmt.Sprint(got[1]) {
		t.Fatalf("held %+v, stored %+v", got[0], got[1])
	}
	return got[0]
}
