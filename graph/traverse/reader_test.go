package traverse_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
)

// store counts what a Reader is asked.
type store struct {
	*memory
	edgeCalls, nodeCalls int
	edgesYielded         int
	widest               int
	views                map[graph.View]bool
	asOf                 map[string]bool
}

func (s *store) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	s.nodeCalls++
	s.views[v] = true
	s.widest = max(s.widest, len(q.IDs))
	return s.memory.Entities(ctx, v, q)
}

func (s *store) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	s.edgeCalls++
	s.views[v] = true
	s.asOf[q.AsOf.String()] = true
	s.widest = max(s.widest, len(q.Nodes))
	return func(yield func(graph.Edge, error) bool) {
		for e, err := range s.memory.Edges(ctx, v, q) {
			if s.edgesYielded++; !yield(e, err) {
				return
			}
		}
	}
}

func newStore(edges ...graph.Edge) *store {
	return &store{memory: newMemory(edges...), views: map[graph.View]bool{}, asOf: map[string]bool{}}
}

func TestTheReaderIsAskedInBulkByLevelAndNotByNode(t *testing.T) {
	const wide = 1500
	x := identity("x")
	var edges []graph.Edge
	for i := range wide {
		edges = append(edges, edge(graph.EdgeAdminOf, x, device(named("d", i)), 1, 1))
	}
	s := newStore(edges...)
	a, err := blast(t.Context(), traverse.Stored(s, graph.View{Tenant: "t"}, graph.Criticalities{}), traverse.Question{Sources: []graph.ID{x}, AsOf: at(30)})
	if err != nil || a.Score != wide || a.Completeness.Edges != wide {
		t.Fatalf("score %d, %+v", a.Score, a.Completeness)
	}
	// The source: doubles, out, in. The devices: three chunks of each. Entities: the source, two pages.
	if want := 3 + 3*3 + 1 + 2; s.edgeCalls+s.nodeCalls != want || s.widest > graph.MaxPage {
		t.Errorf("%d edges, %d entities, want %d", s.edgeCalls, s.nodeCalls, want)
	}
	if len(s.views) != 1 || !s.views[graph.View{Tenant: "t"}] || len(s.asOf) != 1 || !s.asOf[at(30).String()] {
		t.Errorf("views %v, as of %v", s.views, s.asOf)
	}
}

func TestAGraphWithoutHistoryIsAsOfNowUnlessThereIsAStore(t *testing.T) {
	x, s := identity("x"), newStore(edge(graph.EdgeAdminOf, identity("x"), device("d"), 1, 1))
	b := compact.NewBuilder()
	b.Insert(s.edges[0], b.Node(x), b.Node(device("d")))
	on, q := traverse.Held(b.Graph()), traverse.Question{Sources: []graph.ID{x}, AsOf: at(30)}
	if _, err := traverse.BlastRadius(t.Context(), on, q); !errors.Is(err, graph.ErrInvalid) {
		t.Error(err)
	}
	on = on.OrStored(traverse.Stored(s, graph.View{Tenant: "t"}, graph.Criticalities{}))
	if a, err := blast(t.Context(), on, q); err != nil || a.Score != 1 || !s.asOf[at(30).String()] {
		t.Errorf("score %d, the store was asked as of %v (%v)", a.Score, s.asOf, err)
	}
	calls := s.edgeCalls + s.nodeCalls
	if a, err := blast(t.Context(), s.held().OrStored(on), q); err != nil || a.Score != 1 || s.edgeCalls+s.nodeCalls > calls {
		t.Errorf("score %d, the store was asked %d times more (%v)", a.Score, s.edgeCalls+s.nodeCalls-calls, err)
	}
}
