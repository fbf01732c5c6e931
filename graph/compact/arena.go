package compact

import (
	"math/bits"
	"slices"

	"github.com/clew-security/clew/graph"
)

const (
	chunkBits = 16
	// chunkArcs is the length of a chunk, but for the first ones and for one node with more arcs.
	chunkArcs = 1 << chunkBits
	minChunk  = 1 << 8
	maxChunks = 1 << (32 - chunkBits)
)

// place is where a node's arcs lie, in few bytes: a search looks at one for every node it reaches.
type place struct {
	at uint32 // the chunk, and below chunkBits where in it
	n  uint32 // how many arcs; above countBits what the node is
}

const (
	countBits = 29
	countMask = 1<<countBits - 1

	placeTight = 1 << 29 // there is no room behind the arcs
	placeAlias = 1 << 30 // it is another id of the node that n is the number of
	placeKnown = 1 << 31 // somebody told of the node itself
)

func (p *place) count() uint32 { return p.n & countMask }

func (p *place) alias() bool { return p.n&placeAlias != 0 }

// there reports whether it is a node: one that was told of, or has edges.
func (p *place) there() bool { return !p.alias() && (p.n&placeKnown != 0 || p.count() > 0) }

// room is how many arcs fit.
func (p *place) room() uint32 {
	if p.n&placeTight != 0 {
		return p.count()
	}
	return roomFor(p.count())
}

// roomFor is the least of 0, 1, 2, 3, 4, 6, 8, 12, 16, … that is not less than n. Since it follows from n, a place
// need not say it.
func roomFor(n uint32) uint32 {
	if n <= 2 {
		return n
	}
	half := uint32(1) << (bits.Len32(n-1) - 1)
	if n <= half+half/2 {
		return half + half/2
	}
	return 2 * half
}

// sorted is how many of the first arcs are in order of Arc.Move, at least: those that were there when the list was laid
// here, with no room behind it or at the end of a shorter room.
func (p *place) sorted() uint32 {
	n := p.count()
	if p.n&placeTight != 0 || n <= 1 {
		return n
	}
	if n == 2 {
		return 1
	}
	room := roomFor(n)
	if half := room / 2; room&(room-1) == 0 {
		return half + half/2
	}
	return room / 3 * 2
}

// lie gives the arcs of a place.
func lie(chunks [][]Arc, p *place) []Arc {
	if p.alias() || p.count() == 0 {
		return nil
	}
	from := p.at % chunkArcs
	to := from + p.count()
	return chunks[p.at>>chunkBits][from:to:to]
}

// arena holds the arcs of nodes in chunks. A node's list grows where it lies while there is room, behind what graphs
// read; else it moves to where there is more. Chunks that are mostly left are swept: what is in use moves, node by node.
type arena struct {
	chunks [][]Arc
	spare  []uint32 // numbers of chunks that were given up
	// open is the chunk that is given out of, one more than its number; used is how much of it is.
	open, used uint32
	// total is the length of all chunks, taken the room of all nodes.
	total, taken int
	// leaving are the chunks that are swept, by number; cursor is the next node to look at.
	leaving []bool
	cursor  uint32
	// sorting is where arcs are put in order.
	sorting []Arc
}

// sort puts arcs in order of Arc.Move; of one move they stay in theirs.
func (a *arena) sort(arcs []Arc) {
	if slices.IsSortedFunc(arcs, compareMoves) {
		return
	}
	if len(arcs) < 32 {
		slices.SortStableFunc(arcs, compareMoves)
		return
	}
	var ends [Moves + 1]int
	for _, arc := range arcs {
		ends[arc.Move()+1]++
	}
	for m := range Moves {
		ends[m+1] += ends[m]
	}
	a.sorting = append(a.sorting[:0], arcs...)
	for _, arc := range a.sorting {
		arcs[ends[arc.Move()]] = arc
		ends[arc.Move()]++
	}
	if len(a.sorting) > chunkArcs { // rarely needed
		a.sorting = nil
	}
}

func compareMoves(a, b Arc) int { return int(a.Move()) - int(b.Move()) }

// give finds room; ok is false where no chunk has a number left.
func (a *arena) give(room uint32) (at uint32, ok bool) {
	if room > chunkArcs/2 { // a chunk of its own, the open one stays open
		i, ok := a.chunk(room)
		return i << chunkBits, ok
	}
	if a.open == 0 || a.used+room > uint32(len(a.chunks[a.open-1])) {
		i, ok := a.chunk(max(room, uint32(min(chunkArcs, max(minChunk, a.taken)))))
		if !ok {
			return 0, false
		}
		a.open, a.used = i+1, 0
	}
	at = (a.open-1)<<chunkBits | a.used
	a.used += room
	return at, true
}

// chunk makes one. The number may be that of one which earlier graphs read: they have lists of their own.
func (a *arena) chunk(length uint32) (number uint32, ok bool) {
	c := make([]Arc, length)
	if n := len(a.spare); n > 0 {
		number, a.spare = a.spare[n-1], a.spare[:n-1]
		a.chunks[number] = c
	} else if len(a.chunks) == maxChunks {
		return 0, false
	} else {
		number, a.chunks = uint32(len(a.chunks)), append(a.chunks, c)
	}
	a.total += int(length)
	return number, true
}

// put lays the arcs where there is new room, or just enough where tight.
func (a *arena) put(p *place, arcs []Arc, room uint32, tight bool) (ok bool) {
	at := uint32(0)
	if room > 0 {
		if at, ok = a.give(room); !ok {
			return false
		}
		lain := a.chunks[at>>chunkBits][at%chunkArcs:][:len(arcs)]
		copy(lain, arcs)
		a.sort(lain)
	}
	a.taken += int(room) - int(p.room())
	p.at, p.n = at, p.n&^(countMask|placeTight)|uint32(len(arcs))
	if tight {
		p.n |= placeTight
	}
	return true
}

// reserve lays as many arcs as there will be, to be filled in at once, in order.
func (a *arena) reserve(p *place, arcs uint32) (ok bool) {
	at := uint32(0)
	if arcs > 0 {
		if at, ok = a.give(arcs); !ok {
			return false
		}
	}
	a.taken += int(arcs)
	p.at, p.n = at, p.n|arcs|placeTight
	return true
}

func (a *arena) add(p *place, arc Arc) (ok bool) {
	n := p.count()
	if n == countMask || n == p.room() && !a.put(p, lie(a.chunks, p), roomFor(n+1), false) {
		return false
	}
	a.chunks[p.at>>chunkBits][p.at%chunkArcs+n] = arc
	p.n++
	return true
}

// cut leaves out arcs. The others get a place of their own: graphs read the old. It reports whether one of them is
// of what is the same.
func (a *arena) cut(p *place, gone func(Arc) bool) (same, ok bool) {
	var kept []Arc
	for _, arc := range lie(a.chunks, p) {
		if !gone(arc) {
			kept = append(kept, arc)
			same = same || arc.Kind() == graph.EdgePossiblySame
		}
	}
	return same, a.put(p, kept, uint32(len(kept)), true)
}

// wasteful reports whether as much again as is taken, and more than a little, is left.
func (a *arena) wasteful() bool { return a.total > 2*a.taken+16*chunkArcs }

func (a *arena) sweeping() bool { return a.leaving != nil }

// begin leaves all chunks.
func (a *arena) begin() {
	a.leaving, a.open, a.cursor = make([]bool, len(a.chunks)), 0, 0
	for i, c := range a.chunks {
		a.leaving[i] = c != nil
	}
}

// left reports whether the arcs lie in a chunk that is left.
func (a *arena) left(p *place) bool {
	chunk := int(p.at >> chunkBits)
	return !p.alias() && p.count() > 0 && chunk < len(a.leaving) && a.leaving[chunk]
}

func (a *arena) move(p *place) (ok bool) { return a.put(p, lie(a.chunks, p), p.count(), true) }

// end gives up what was swept.
func (a *arena) end() {
	for i, left := range a.leaving {
		if left {
			a.total -= len(a.chunks[i])
			a.chunks[i], a.spare = nil, append(a.spare, uint32(i))
		}
	}
	a.leaving = nil
}

func (a *arena) show() [][]Arc { return slices.Clone(a.chunks) }
