package compact

import "github.com/clew-security/clew/graph"

// chunkArcs is the length of a chunk, but for one node with more arcs.
const chunkArcs = 1 << 16

// arena holds the arcs of nodes in chunks. A node's list grows where it lies while there is room, behind what graphs
// read; else it moves to where there is more. Chunks that are mostly left are swept: what is in use moves, node by node.
type arena struct {
	chunks [][]Arc
	open   uint32 // the chunk that is given out of, of which so many are
	used   uint32
	// total is the length of all chunks, taken the room of all nodes.
	total, taken int
	// Chunks below old are left; cursor is the next node to look at.
	old, cursor uint32
}

func (a *arena) at(p *place) []Arc {
	if p.n == 0 {
		return nil
	}
	return a.chunks[p.chunk][p.from : p.from+p.n : p.from+p.n]
}

// give finds room.
func (a *arena) give(p *place, room uint32) {
	switch {
	case room > chunkArcs/2: // a chunk of its own, the open one stays open
		a.chunks = append(a.chunks, make([]Arc, room))
		a.total += int(room)
		p.chunk, p.from = uint32(len(a.chunks)-1), 0
	case len(a.chunks) == 0 || a.open < a.old || a.used+room > uint32(len(a.chunks[a.open])):
		a.chunks = append(a.chunks, make([]Arc, chunkArcs))
		a.total += chunkArcs
		a.open, a.used = uint32(len(a.chunks)-1), 0
		fallthrough
	default:
		p.chunk, p.from = a.open, a.used
		a.used += room
	}
	a.taken += int(room)
	p.room = p.room&^(1<<roomBits-1) | room
}

func (a *arena) roomOf(p *place) uint32 { return p.room & (1<<roomBits - 1) }

// put lays the arcs where there is new room.
func (a *arena) put(p *place, arcs []Arc, room uint32) {
	a.taken -= int(a.roomOf(p))
	p.room &^= 1<<roomBits - 1
	p.n = uint32(len(arcs))
	if room > 0 {
		a.give(p, room)
		copy(a.chunks[p.chunk][p.from:], arcs)
	}
}

func (a *arena) add(p *place, arc Arc) {
	if p.n == a.roomOf(p) {
		a.put(p, a.at(p), p.n+p.n/2+1)
	}
	a.chunks[p.chunk][p.from+p.n] = arc
	p.n++
}

// cut leaves out arcs. The others get a place of their own: graphs read the old. It reports whether one of them is
// of what is the same.
func (a *arena) cut(p *place, gone func(Arc) bool) (same bool) {
	var kept []Arc
	for _, arc := range a.at(p) {
		if !gone(arc) {
			kept = append(kept, arc)
			same = same || arc.Kind() == graph.EdgePossiblySame
		}
	}
	a.put(p, kept, uint32(len(kept)))
	return same
}

// wasteful reports whether as much again as is taken, and more than a little, is left.
func (a *arena) wasteful() bool { return a.total > 2*a.taken+16*chunkArcs }

func (a *arena) sweeping() bool { return a.old > 0 }

func (a *arena) begin() { a.old, a.cursor = uint32(len(a.chunks)), 0 }

func (a *arena) isOld(p *place) bool {
	return p.room&nodeAlias == 0 && p.n > 0 && p.chunk < a.old
}

func (a *arena) move(p *place) { a.put(p, a.at(p), p.n) }

// end gives up what was swept.
func (a *arena) end() {
	for i := range a.chunks[:a.old] {
		a.total -= len(a.chunks[i])
		a.chunks[i] = nil
	}
	a.old, a.cursor = 0, 0
}
