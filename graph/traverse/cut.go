package traverse

import (
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// cuts are ways that are not there. Hubs are judged as if nothing was cut.
type cuts struct {
	// gone are nodes that are not there.
	gone map[compact.Node]struct{}
	// arcs are cut in the one direction.
	arcs map[compact.Arc]struct{}
	// leaving and entering are ways that begin or end at a node, by which kinds the other end may be of.
	leaving, entering map[compact.Node][]barrier
}

// barrier cuts the ways of one compact.Arc.Move, as it is at their near end.
type barrier struct {
	move  uint32
	other kinds
}

// without cuts one node off.
func without(n compact.Node) *cuts { return &cuts{gone: map[compact.Node]struct{}{n: {}}} }

// cuts reports whether the way over an arc at a node is cut.
func (c *cuts) cuts(g *compact.Graph, near compact.Node, a compact.Arc) bool {
	if c == nil {
		return false
	}
	far := a.Far()
	if len(c.gone)+len(c.arcs) > 0 {
		_, from := c.gone[near]
		_, to := c.gone[far]
		if _, arc := c.arcs[a]; from || to || arc {
			return true
		}
	}
	return bars(c.leaving[near], a, g.Mark(far)) || bars(c.entering[far], a, g.Mark(near))
}

func bars(barriers []barrier, a compact.Arc, other compact.Mark) bool {
	for _, b := range barriers {
		if b.move == a.Move() && b.other>>other.Kind()&1 != 0 {
			return true
		}
	}
	return false
}

// rest are the arcs at a node that are not cut.
func (c *cuts) rest(g *compact.Graph, near compact.Node, arcs []compact.Arc) []compact.Arc {
	if c == nil {
		return arcs
	}
	for i, a := range arcs {
		if !c.cuts(g, near, a) {
			continue
		}
		rest := append(make([]compact.Arc, 0, len(arcs)), arcs[:i]...)
		for _, a := range arcs[i+1:] {
			if !c.cuts(g, near, a) {
				rest = append(rest, a)
			}
		}
		return rest
	}
	return arcs
}

// taken adds what actions on a node remove.
func (c *cuts) taken(g *compact.Graph, n compact.Node, actions ...graph.ResponseAction) {
	if c.leaving == nil {
		c.leaving, c.entering = map[compact.Node][]barrier{}, map[compact.Node][]barrier{}
	}
	for _, r := range graph.RemovalsOn(g.Mark(n).Kind(), actions...) {
		at, b := c.leaving, barrier{compact.MoveOf(r.Edge, r.Backward), kindsOf(r.Far)}
		if r.Entering {
			at = c.entering
		}
		if r.Via == 0 {
			at[n] = append(at[n], b)
			continue
		}
		for _, a := range g.Arcs(n) {
			if a.Kind() == r.Via && towards(a)&r.ViaDirection != 0 {
				at[a.Far()] = append(at[a.Far()], b)
			}
		}
	}
}

// towards is the direction of an arc's edge as seen from where it lies.
func towards(a compact.Arc) graph.Direction {
	if a.Backward() {
		return graph.In
	}
	return graph.Out
}

// vias are the kinds of edges over which actions reach what is next to the node they are taken on.
var vias = func() (out []graph.EdgeKind) {
	seen := map[graph.EdgeKind]bool{}
	for _, row := range graph.ContainmentTable() {
		for _, r := range row.Removes {
			if r.Via != 0 && !seen[r.Via] {
				seen[r.Via], out = true, append(out, r.Via)
			}
		}
	}
	return out
}()
