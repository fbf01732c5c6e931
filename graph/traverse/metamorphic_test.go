package traverse_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// within fails where a reaches what b does not.
func within(t *rapid.T, what string, a, b answer) {
	for _, n := range targets(a) {
		if !slices.Contains(targets(b), n) {
			t.Fatalf("%s: %s is reached anew", what, n)
		}
	}
}

func TestRemovingAnEdgeNeverEnlargesTheRadiusWhereHubsAreWalked(t *testing.T) {
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		q.ThroughHubs = true
		q.Sources = q.Sources[:1]
		full := askRapid(t, edges, q)
		i := r.IntN(len(edges))
		less := newMemory(slices.Delete(slices.Clone(edges), i, i+1)...)
		less.extra = q.Sources
		a, err := less.both(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		// What was the same as a source can become a target of its own: it was reached before too.
		for _, n := range targets(a) {
			if !slices.Contains(targets(full), n) && classOf(edges, n) != classOf(edges, q.Sources[0]) {
				t.Fatalf("%s is reached anew", n)
			}
		}
		if a.Completeness.Nodes > full.Completeness.Nodes {
			t.Fatalf("%d nodes without the edge, %d with it", a.Completeness.Nodes, full.Completeness.Nodes)
		}
	})
}

// Nor is anything reached in fewer hops, or earlier.
func TestRemovingANodeNeverEnlargesTheRadiusWhereHubsAreWalked(t *testing.T) {
	var smaller int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		q.ThroughHubs = true
		gone := pick(r, edges).To
		isGone := func(n graph.ID) bool { return n == gone }
		if q.Sources = slices.DeleteFunc(slices.Clone(q.Sources), isGone); len(q.Sources) == 0 {
			return
		}
		full := askRapid(t, edges, q)
		less := newMemory(slices.DeleteFunc(slices.Clone(edges), func(e graph.Edge) bool { return isGone(e.From) || isGone(e.To) })...)
		less.extra = q.Sources
		a, err := less.both(t.Context(), q)
		if err != nil || !a.Completeness.Complete {
			t.Fatalf("%+v (%v)", a.Completeness, err)
		}
		for _, n := range a.Targets {
			i := slices.IndexFunc(full.Targets, func(f found) bool { return f.ID == n.ID })
			if i < 0 && !slices.ContainsFunc(q.Sources, func(s graph.ID) bool { return classOf(edges, s) == classOf(edges, n.ID) }) {
				t.Fatalf("%s is reached anew without %s", n.ID, gone)
			}
			if i >= 0 && (n.Nearest.Hops < full.Targets[i].Nearest.Hops || n.Earliest.Arrival.Before(full.Targets[i].Earliest.Arrival)) {
				t.Fatalf("without %s %s is reached sooner: %+v, with it %+v", gone, n.ID, n, full.Targets[i])
			}
		}
		if slices.ContainsFunc(targets(a), isGone) || a.Completeness.Nodes > full.Completeness.Nodes {
			t.Fatalf("%d nodes without %s, %d with it", a.Completeness.Nodes, gone, full.Completeness.Nodes)
		}
		if a.Completeness.Nodes < full.Completeness.Nodes-1 {
			smaller++
		}
	})
	if smaller == 0 {
		t.Error("no node ever mattered to others")
	}
}

func TestALaterStartNeverEnlargesTheRadius(t *testing.T) {
	var smaller int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		q.Timeless = false
		early := askRapid(t, edges, q)
		q.Start = graph.Later(q.Start, at(1+r.IntN(9)))
		late := askRapid(t, edges, q)
		within(t, "later start", late, early)
		if len(late.Targets) < len(early.Targets) {
			smaller++
		}
	})
	if smaller == 0 {
		t.Error("no start ever mattered")
	}
}

func TestMoreHopsNeverShrinkTheRadius(t *testing.T) {
	var larger int
	worlds(t, func(t *rapid.T, _ *rand.Rand, edges []graph.Edge, q traverse.Question) {
		near := askRapid(t, edges, q)
		q.MaxHops++
		far := askRapid(t, edges, q)
		within(t, "fewer hops", near, far)
		if len(far.Targets) > len(near.Targets) {
			larger++
		}
	})
	if larger == 0 {
		t.Error("no hop ever mattered")
	}
}

func TestTheAnswerDoesNotDependOnTheOrderOfTheAdjacency(t *testing.T) {
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		q.Budget = traverse.Budget{
			Nodes: 1 + r.IntN(12),
			Edges: 1 + r.IntN(40),
		}
		a, err := newMemory(edges...).both(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := slices.Clone(edges)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		shuffled = append(shuffled, shuffled[0]) // an edge may come twice
		slices.Reverse(q.Sources)
		b, err := newMemory(shuffled...).both(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Fatal(d)
		}
	})
}

func TestABudgetOnlyTakesAwayAndSaysSo(t *testing.T) {
	limits := map[traverse.Limit]int{}
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		full := askRapid(t, edges, q)
		q.Budget = traverse.Budget{
			Nodes: 1 + r.IntN(10),
			Edges: 1 + r.IntN(30),
		}
		some, err := newMemory(edges...).both(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		c := some.Completeness
		limits[c.Reason]++
		if c.Nodes > q.Budget.Nodes || c.Edges > q.Budget.Edges || c.Complete != (c.Reason == traverse.LimitNone) {
			t.Fatalf("budget %+v, but %+v", q.Budget, c)
		}
		for _, n := range some.Targets {
			if !slices.Contains(targets(full), n.ID) && !slices.Contains(full.Sources, n.ID) {
				t.Fatalf("%s is only reached under a budget", n.ID)
			}
			checkRoute(t, edges, q, n.ID, n.Nearest)
		}
		if c.Complete {
			if d := cmp.Diff(full, some); d != "" {
				t.Fatalf("complete, but not the same: %s", d)
			}
		}
	})
	t.Log(limits)
	if len(limits) != 3 {
		t.Errorf("the random budgets exercise too little: %v", limits)
	}
}
