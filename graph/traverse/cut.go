package traverse

import (
	"maps"
	"slices"

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

// without cuts one node off besides.
func (c *cuts) without(n compact.Node) *cuts {
	out := new(cuts)
	if c != nil {
		*out = *c
	}
	out.gone = maps.Clone(out.gone)
	if out.gone == nil {
		out.gone = map[compact.Node]struct{}{}
	}
	out.gone[n] = struct{}{}
	return out
}

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

// via is an edge kind and a direction as seen from a node.
type via struct {
	edge      graph.EdgeKind
	direction graph.Direction
}

// reach says over which edges an action on a node of a kind takes ways at the nodes next to it; actedFrom over which
// edges a node lies next to such, and their kinds.
var reach, actedFrom = func() (map[graph.Kind][]via, map[via]kinds) {
	reach, from := map[graph.Kind][]via{}, map[via]kinds{}
	for _, row := range graph.ContainmentTable() {
		for _, r := range row.Removes {
			for _, d := range []graph.Direction{graph.Out, graph.In} {
				if r.Via == 0 || r.ViaDirection&d == 0 {
					continue
				}
				for _, k := range row.Kinds {
					reach[k] = append(reach[k], via{r.Via, d})
					from[via{r.Via, graph.Both &^ d}] |= 1 << k
				}
			}
		}
	}
	return reach, from
}()

// viasAt are the edge kinds to be read at a node of a kind, in a direction: those over which it is acted from, and those
// over which it acts.
func viasAt(k graph.Kind, d graph.Direction) (out []graph.EdgeKind) {
	for v := range actedFrom {
		if v.direction == d {
			out = append(out, v.edge)
		}
	}
	for _, v := range reach[k] {
		if v.direction == d {
			out = append(out, v.edge)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// actors are the nodes on which an action may take a way that begins or ends at a node, in order of arcs.
func actors(g *compact.Graph, n compact.Node) []compact.Node {
	out, seen := []compact.Node{n}, map[compact.Node]bool{n: true}
	for _, a := range g.Arcs(n) {
		far := a.Far()
		if actedFrom[via{a.Kind(), towards(a)}]>>g.Mark(far).Kind()&1 != 0 && !seen[far] {
			seen[far], out = true, append(out, far)
		}
	}
	return out
}
