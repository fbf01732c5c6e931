package traverse

import (
	"context"
	"fmt"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Ground is where a question is asked: a tenant's graph in memory, or in a store. The answers are the same; in
// a store it takes as many reads as the question has hops, at least.
type Ground struct {
	held   *compact.Graph
	reader graph.Reader
	view   graph.View
	grade  graph.Criticalities
}

// Held is a graph in memory. A node's grade is its Criticality. As of an earlier instant it answers where it has
// compact.Graph.History.
func Held(g *compact.Graph) Ground { return Ground{held: g} }

// Stored is what a store shows of the tenant in v, graded by grade. Each read sees a snapshot of its own: a question
// that runs while the store is written to may see a part of a commit.
func Stored(r graph.Reader, v graph.View, grade graph.Criticalities) Ground {
	return Ground{reader: r, view: v, grade: grade}
}

// OrStored asks the store of s instead where an entity that a question names is not in the graph in memory, for it may
// be too new, and where the question is as of an earlier instant and the graph in memory has no history.
func (g Ground) OrStored(s Ground) Ground {
	g.reader, g.view, g.grade = s.reader, s.view, s.grade
	return g
}

// knowing is the store, if there is one, instead of a graph in memory that does not know the instant or all that is
// named.
func (g Ground) knowing(q Question, named []graph.ID) Ground {
	if g.held == nil || g.reader == nil {
		return g
	}
	if !q.AsOf.IsZero() && !g.held.History() {
		return Stored(g.reader, g.view, g.grade)
	}
	for _, ids := range [][]graph.ID{q.Sources, named} {
		for _, id := range ids {
			if _, known := g.held.Find(id); !known {
				return Stored(g.reader, g.view, g.grade)
			}
		}
	}
	return g
}

// budget of a question that sets none.
func (g Ground) budget() Budget {
	if g.held != nil {
		return Budget{DefaultHeldNodes, DefaultHeldEdges}
	}
	return Budget{DefaultNodes, DefaultEdges}
}

// source gives a search the graph that it walks on: all of it, or what it asks for.
type source interface {
	// graph is what there is so far. An earlier one stays good.
	graph() *compact.Graph
	// resolve gives the nodes of ids, which it checked; earlier ids resolve. The error wraps graph.ErrNotFound.
	resolve(ctx context.Context, ids []graph.ID) ([]compact.Node, error)
	// same makes sure that possiblySameAs is there at nodes, and at what they lead to by it.
	same(ctx context.Context, nodes []compact.Node) error
	// arcs makes sure that the edges are there that ways.read names, at as many of the nodes, in order of id, as
	// have no more than most of them together. It returns the nodes at which they are not.
	arcs(ctx context.Context, nodes []compact.Node, most int) (left []compact.Node, err error)
	// around makes sure that the edges are there at nodes over which actions reach what is next to these.
	// It reads no more than most of them, and returns LimitEdges where that is not all.
	around(ctx context.Context, nodes []compact.Node, most int) error
	// grades makes sure that the criticality of nodes is there.
	grades(ctx context.Context, nodes []compact.Node) error
}

func (g Ground) open(q Question, w *ways) (source, error) {
	switch {
	case g.held == nil:
		return newReading(g, q.AsOf, w), nil
	case q.AsOf.IsZero():
		return whole{g.held}, nil
	case g.held.History():
		return whole{g.held.AsOf(compact.InstantOf(q.AsOf))}, nil
	}
	return nil, fmt.Errorf("%w: this graph in memory has no history", graph.ErrInvalid)
}

// whole is a graph of which all is there.
type whole struct{ g *compact.Graph }

func (w whole) graph() *compact.Graph { return w.g }

func (w whole) resolve(ctx context.Context, ids []graph.ID) ([]compact.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	nodes := make([]compact.Node, len(ids))
	for i, id := range ids {
		n, ok := w.g.Find(id)
		if !ok {
			return nil, unknown(id)
		}
		nodes[i] = n
	}
	return nodes, nil
}

func unknown(id graph.ID) error { return fmt.Errorf("%w: entity %s", graph.ErrNotFound, id) }

// arcs leaves it to the search to count.
func (whole) arcs(ctx context.Context, _ []compact.Node, _ int) ([]compact.Node, error) {
	return nil, ctx.Err()
}

func (whole) same(ctx context.Context, _ []compact.Node) error          { return ctx.Err() }
func (whole) around(ctx context.Context, _ []compact.Node, _ int) error { return ctx.Err() }
func (whole) grades(ctx context.Context, _ []compact.Node) error        { return ctx.Err() }
