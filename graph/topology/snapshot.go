package topology

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// Snapshot is a tenant's graph as it was held at one instant. It never changes, may be used by any number of
// goroutines for any time, and blocks nobody; while it is in use the memory of what has been replaced since
// is held. With D = traverse.Description it is a traverse.Adjacency.
type Snapshot[D any] struct {
	// Revision is the last commit of which all is here.
	Revision graph.Revision
	// Exact is set where nothing is here of later commits. Otherwise the store was written to so fast that
	// parts of later commits had to be taken in.
	Exact bool
	// Confirmed: all that was committed before this instant of the replica's clock is here, as far as the
	// source showed it then.
	Confirmed time.Time
	// Stale is set where Confirmed lies further back than Options.StaleAfter, or where changes are missing
	// for good and the graph is being built anew.
	Stale bool

	picture picture[D]
}

// Size counts nodes and observed edges.
func (s *Snapshot[D]) Size() (nodes, edges int) { return s.picture.nodes.size, s.picture.edges }

// Resolve returns the canonical id of each id, in order; a zero ID where there is no such node.
func (s *Snapshot[D]) Resolve(ctx context.Context, ids []graph.ID) ([]graph.ID, error) {
	out := make([]graph.ID, len(ids))
	for i, id := range ids {
		if n, ok := s.node(id); ok {
			out[i] = n.id
		}
	}
	return out, ctx.Err()
}

// Describe returns what Options.Describe made of each node, in order; the zero value for an id that is none.
func (s *Snapshot[D]) Describe(ctx context.Context, ids []graph.ID) ([]D, error) {
	out := make([]D, len(ids))
	for i, id := range ids {
		if n, ok := s.node(id); ok {
			out[i] = n.about
		}
	}
	return out, ctx.Err()
}

func (s *Snapshot[D]) node(id graph.ID) (*node[D], bool) {
	return s.picture.nodes.get(s.picture.canonical(id))
}

// Edges yields the edges at q.Nodes as graph.Reader does, an edge between two of them twice, with
// possiblySameAs where it is followed. The caller must not change what the edges' slices hold. It stops after
// the first error: ctx's, or graph.ErrInvalid for a question without nodes or with AsOf, which a joined edge
// cannot answer (what had not been seen by then is part of it): such a question goes to the store.
func (s *Snapshot[D]) Edges(ctx context.Context, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		if err := check(q); err != nil {
			yield(graph.Edge{}, err)
			return
		}
		if q.Direction == 0 {
			q.Direction = graph.Both
		}
		for _, id := range q.Nodes {
			if err := ctx.Err(); err != nil {
				yield(graph.Edge{}, err)
				return
			}
			if n, ok := s.node(id); ok && !n.yield(q, yield) {
				return
			}
		}
	}
}

func check(q graph.EdgeQuery) error {
	switch {
	case q.Nodes == nil:
		return fmt.Errorf("%w: a topology answers about nodes", graph.ErrInvalid)
	case !q.AsOf.IsZero():
		return fmt.Errorf("%w: a topology knows edges as of now only", graph.ErrInvalid)
	}
	return nil
}

// yield yields the edges at one node; it gives false where the caller wants no more.
func (n *node[D]) yield(q graph.EdgeQuery, yield func(graph.Edge, error) bool) bool {
	wanted := func(k graph.EdgeKind) bool { return q.Kinds == nil || slices.Contains(q.Kinds, k) }
	for _, side := range []struct {
		graph.Direction
		edges []*graph.Edge
	}{{graph.Out, n.out}, {graph.In, n.in}} {
		if q.Direction&side.Direction == 0 {
			continue
		}
		for _, e := range side.edges {
			if wanted(e.Kind) && !yield(*e, nil) {
				return false
			}
		}
	}
	return !wanted(graph.EdgePossiblySame) || n.yieldSame(q.Direction, yield)
}

// yieldSame yields the derived edges at the node.
func (n *node[D]) yieldSame(d graph.Direction, yield func(graph.Edge, error) bool) bool {
	same := func(from, to graph.ID) graph.Edge {
		return graph.Edge{Kind: graph.EdgePossiblySame, From: from, To: to, Count: 1, Inferred: true}
	}
	if d&graph.Out != 0 && !n.sameAs.IsZero() && !yield(same(n.id, n.sameAs), nil) {
		return false
	}
	if d&graph.In == 0 {
		return true
	}
	for _, f := range n.followers {
		if !yield(same(f, n.id), nil) {
			return false
		}
	}
	return true
}
