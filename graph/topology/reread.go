package topology

import (
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
)

// plan says at which end edges are read. An edge that changed made both its ends dirty, so one is enough, and
// a hub need not be read whole for every edge it gets; but it must be the same end until nothing is dirty, or
// an edge might be read at neither.
type plan struct {
	// in are the kinds that are read at To, out those that are read at From.
	in, out []graph.EdgeKind
}

// observed are the kinds of edges that are read. Derived ones are not: whom a node is followed to is told by the node.
var observed = func() (out []graph.EdgeKind) {
	for _, r := range graph.EdgeKinds() {
		if r.Tense != graph.Derived {
			out = append(out, r.Kind)
		}
	}
	return out
}()

func (p *plan) inward(k graph.EdgeKind) bool { return slices.Contains(p.in, k) }

// choose has edges read at From, but for kinds of which the dirty nodes have far fewer coming in than going out.
func (w *work) choose() *plan {
	turn, edges := w.options.limits.turn, 0
	for id := range w.dirty {
		edges += len(w.picture.at(id))
	}
	if edges <= turn {
		return &plan{out: observed}
	}
	var balance [256]int
	for id := range w.dirty {
		for _, a := range w.picture.at(id) {
			if a.Backward() {
				balance[a.Kind()]--
			} else {
				balance[a.Kind()]++
			}
		}
	}
	return planFor(balance, turn)
}

func planFor(balance [256]int, turn int) *plan {
	p := &plan{}
	for _, k := range observed {
		if balance[k] > turn {
			p.in = append(p.in, k)
		} else {
			p.out = append(p.out, k)
		}
	}
	return p
}

// portion is the number of first ids that one call may ask for.
func (w *work) portion(ids []graph.ID) int {
	degree := 0
	for i, id := range ids {
		for _, a := range w.picture.at(id) {
			if w.plan.in != nil || !a.Backward() {
				degree++
			}
		}
		if i == w.options.limits.nodes || i > 0 && degree > w.options.limits.degree {
			return i
		}
	}
	return len(ids)
}

// reread replaces the nodes and by the plan the edges at them. An id that now belongs to another node takes
// its edges along, and that node is read too.
func (w *work) reread(ctx context.Context, ids []graph.ID) error {
	w.early.nodes.add(ids...)
	found, err := w.named(ctx, ids)
	if err != nil {
		return err
	}
	u, seen := w.picture.update(), map[graph.ID]bool{}
	var planned, whole []graph.ID
	for i, e := range found {
		if e.ID != ids[i] {
			u.drop(ids[i])
		}
		if e.ID.IsZero() || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		w.early.nodes.add(e.ID) // which may be another's by a later commit
		if w.regrouped(e) {
			whole = append(whole, e.ID)
			u.replace(e.ID)
		} else {
			planned = append(planned, e.ID)
			u.replaceBy(w.plan, e.ID)
		}
		u.know(e, w.options.Grade(e))
	}
	err = w.rereadEdges(ctx, planned, whole, func(e graph.Edge) error { u.put(e); return nil })
	if err == nil {
		err = u.apply()
	}
	return err
}

// regrouped reports whether the node gained or lost ids, or was another's. Its edges are then read whole: the commit that did it
// may be a later one, of which nothing is dirty yet, and the edges of a node that is dropped for having been
// joined must not be missing until it is.
func (w *work) regrouped(e graph.Entity) bool {
	return w.picture.parted(e.ID) || !slices.Equal(w.picture.members[e.ID], e.Members)
}

func (w *work) rereadEdges(ctx context.Context, planned, whole []graph.ID, found func(graph.Edge) error) error {
	for _, q := range []graph.EdgeQuery{
		{Nodes: whole, Kinds: observed},
		{Nodes: planned, Direction: graph.Out, Kinds: w.plan.out},
		{Nodes: planned, Direction: graph.In, Kinds: w.plan.in},
	} {
		if len(q.Nodes) == 0 || len(q.Kinds) == 0 { // no nodes would mean all, and no kinds
			continue
		}
		if err := w.edges(ctx, q, found); err != nil {
			return err
		}
	}
	return nil
}
