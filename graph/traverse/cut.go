package traverse

import "github.com/clew-security/clew/graph/compact"

// cuts are moves that are not there. Hubs are judged as if nothing was cut.
type cuts struct {
	// moves are cut of all arcs that lie at a node, as bits by compact.Arc.Move, and so at the other end.
	moves map[compact.Node]uint64
	// arcs are cut in the one direction.
	arcs map[compact.Arc]struct{}
}

const wholeNode = ^uint64(0)

// cuts reports whether an arc at a node is cut.
func (c *cuts) cuts(near compact.Node, a compact.Arc) bool {
	if c == nil {
		return false
	}
	_, cut := c.arcs[a]
	return cut || c.moves[near]>>a.Move()&1 != 0 || c.moves[a.Far()]>>a.Reverse(near).Move()&1 != 0
}

// rest are the arcs at a node that are not cut.
func (c *cuts) rest(near compact.Node, arcs []compact.Arc) []compact.Arc {
	if c == nil {
		return arcs
	}
	for i, a := range arcs {
		if !c.cuts(near, a) {
			continue
		}
		rest := append(make([]compact.Arc, 0, len(arcs)), arcs[:i]...)
		for _, a := range arcs[i+1:] {
			if !c.cuts(near, a) {
				rest = append(rest, a)
			}
		}
		return rest
	}
	return arcs
}
