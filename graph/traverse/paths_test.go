package traverse_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"pgregory.net/rapid"
)

// walkers enumerates every simple path, class by class: slow and obvious.
type walker struct {
	edges []graph.Edge
	q     traverse.Question
	goal  graph.ID
	paths []wayfaring
}

type wayfaring struct {
	source graph.ID
	hops   []stride
	at     time.Time
}

type stride struct {
	near, far graph.ID
	kind      graph.EdgeKind
	backward  bool
}

func allPaths(edges []graph.Edge, q traverse.Question, goal graph.ID) []wayfaring {
	w := &walker{edges: edges, q: q, goal: classOf(edges, goal)}
	for _, s := range q.Sources {
		w.walk(wayfaring{s, nil, q.Start}, []graph.ID{classOf(edges, s)})
	}
	slices.SortFunc(w.paths, compareWayfarings)
	return slices.CompactFunc(w.paths, func(a, b wayfaring) bool { return compareWayfarings(a, b) == 0 })
}

func compareWayfarings(a, b wayfaring) int {
	return cmp.Or(cmp.Compare(len(a.hops), len(b.hops)), a.at.Compare(b.at), a.source.Compare(b.source),
		slices.CompareFunc(a.hops, b.hops, func(x, y stride) int {
			c := cmp.Or(x.near.Compare(y.near), x.far.Compare(y.far), cmp.Compare(x.kind, y.kind))
			if c == 0 && x.backward != y.backward {
				c = 1
				if y.backward {
					c = -1
				}
			}
			return c
		}))
}

func (w *walker) walk(p wayfaring, visited []graph.ID) {
	here := visited[len(visited)-1]
	if here == w.goal {
		if len(p.hops) > 0 {
			w.paths = append(w.paths, p)
		}
		return
	}
	if len(p.hops) == w.q.MaxHops {
		return
	}
	for _, e := range w.edges {
		for _, backward := range []bool{false, true} {
			near, far := ends(e, backward)
			if e.Kind == graph.EdgePossiblySame || classOf(w.edges, near) != here || slices.Contains(visited, classOf(w.edges, far)) {
				continue
			}
			if at, ok := usable(w.edges, w.q, e, backward, held{len(p.hops), p.at}); ok {
				hops := append(slices.Clone(p.hops), stride{near, far, e.Kind, backward})
				w.walk(wayfaring{p.source, hops, at}, append(slices.Clone(visited), classOf(w.edges, far)))
			}
		}
	}
}

// oneSource keeps of sources that are the same the first by id: a path starts at it.
func oneSource(edges []graph.Edge, sources []graph.ID) []graph.ID {
	sorted := slices.SortedFunc(slices.Values(sources), graph.ID.Compare)
	return slices.CompactFunc(sorted, func(a, b graph.ID) bool { return classOf(edges, a) == classOf(edges, b) })
}

func TestPathsAreTheFirstOfAllSimplePaths(t *testing.T) {
	counts := map[int]int{}
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		q.Sources = oneSource(edges, q.Sources)
		goal := pick(r, edges).To
		k := 1 + r.IntN(traverse.MaxPaths)
		got, err := newMemory(edges...).paths(context.Background(), q, goal, k)
		if err != nil {
			t.Fatal(err)
		}
		want := allPaths(edges, q, goal)
		if slices.ContainsFunc(q.Sources, func(s graph.ID) bool { return classOf(edges, s) == classOf(edges, goal) }) {
			want = nil
		}
		want = want[:min(k, len(want))]
		counts[len(want)]++
		if !got.Completeness.Complete || len(got.Routes) != len(want) {
			t.Fatalf("%d paths, want %d: %+v\n%+v", len(got.Routes), len(want), got, want)
		}
		for i, route := range got.Routes {
			checkRoute(t, edges, q, goal, route)
			if way := wayfaringOf(route); compareWayfarings(way, want[i]) != 0 {
				t.Fatalf("path %d is\n%+v\nwant\n%+v", i, way, want[i])
			}
		}
	})
	t.Log(counts)
	if len(counts) < 6 || counts[0] == 0 {
		t.Error("the random graphs exercise too little")
	}
}

// wayfaringOf leaves out what only leads to the same.
func wayfaringOf(r traverse.Route) wayfaring {
	w := wayfaring{at: r.Arrival}
	for i, s := range r.Steps {
		near, far := s.From, s.To
		if s.Backward {
			near, far = far, near
		}
		if i == 0 {
			w.source = near
		}
		if s.Kind != graph.EdgePossiblySame {
			w.hops = append(w.hops, stride{near, far, s.Kind, s.Backward})
		}
	}
	return w
}

// paths asks on both grounds, which must say the same.
func (m *memory) paths(ctx context.Context, q traverse.Question, to graph.ID, k int) (traverse.PathsAnswer, error) {
	a, err := traverse.Paths(ctx, m.held(), q, to, k)
	b, errStored := traverse.Paths(ctx, m.stored(), q, to, k)
	if fmt.Sprint(err, a) != fmt.Sprint(errStored, b) {
		return a, fmt.Errorf("held: %+v (%v)\nstored: %+v (%v)", a, err, b, errStored)
	}
	return a, err
}
