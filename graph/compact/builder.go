package compact

import (
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// sweepNodes is how many nodes' arcs one graph moves, at most.
const sweepNodes = 4096

// Builder makes the next Graph; one goroutine uses it.
type Builder struct {
	ids     *ids
	marks   draft[Mark]
	places  draft[place]
	records draft[record]
	rares   rares
	arena   arena
	nodes   int
	edges   int
	edition uint32
	free    []uint32 // numbers of edges that are gone
}

// NewBuilder begins with the empty graph.
func NewBuilder() *Builder { return &Builder{ids: new(ids), edition: 1, rares: newRares()} }

// Graph is what was built so far. What is built afterwards does not show in it.
func (b *Builder) Graph() *Graph {
	b.sweep(sweepNodes)
	g := &Graph{
		ids: b.ids, names: b.ids.names.show(), marks: b.marks.show(), places: b.places.show(), records: b.records.show(), rares: b.rares.show(),
		chunks: slices.Clone(b.arena.chunks), nodes: b.nodes, edges: b.edges,
	}
	b.edition++
	return g
}

// Node numbers an id. It panics beyond MaxNodes.
func (b *Builder) Node(id graph.ID) Node {
	n, fresh := b.ids.number(id)
	if fresh {
		if n >= MaxNodes {
			panic(fmt.Sprintf("compact: more than %d ids", MaxNodes))
		}
		b.places.add(b.edition, place{})
		b.marks.add(b.edition, Mark(id.Kind())&markKind)
	}
	return n
}

// change is the place of a node, to be changed; settle must follow.
func (b *Builder) change(n Node) *place {
	p := b.places.change(b.edition, uint32(n))
	if p.there() {
		b.nodes--
	}
	return p
}

func (b *Builder) settle(p *place) {
	if p.there() {
		b.nodes++
	}
}

// Know says whether somebody told of the node itself. A node of which nobody did is there as long as it has edges.
func (b *Builder) Know(n Node, known bool) {
	if (b.places.at(uint32(n)).room&nodeKnown != 0) == known {
		return
	}
	p := b.change(n)
	p.room ^= nodeKnown
	b.settle(p)
}

// Grade says up to MaxGrade how much a node matters.
func (b *Builder) Grade(n Node, grade uint8) {
	b.mark(n, MaxGrade<<markGrade, Mark(min(grade, MaxGrade))<<markGrade)
}

func (b *Builder) mark(n Node, bits, as Mark) {
	if old := *b.marks.at(uint32(n)); old&bits != as {
		*b.marks.change(b.edition, uint32(n)) = old&^bits | as
	}
}

// Alias makes n, which has no edges, another id of a node; of itself: an id of its own again.
func (b *Builder) Alias(n, of Node) {
	if p := b.change(n); of == n {
		*p = place{}
	} else {
		*p = place{n: uint32(of), room: nodeAlias}
	}
}

// Aliased is the node that n is another id of, n itself where it is none.
func (b *Builder) Aliased(n Node) Node {
	if p := b.places.at(uint32(n)); p.room&nodeAlias != 0 {
		return Node(p.n)
	}
	return n
}

// Arcs are the edges at a node so far; they must not be changed, and are void after the next change.
func (b *Builder) Arcs(n Node) []Arc {
	p := b.places.at(uint32(n))
	if p.room&nodeAlias != 0 {
		return nil
	}
	return b.arena.at(p)
}

// Insert puts in an edge that is not there. What its slices hold must not be changed any more. It panics beyond MaxEdges.
func (b *Builder) Insert(e graph.Edge, from, to Node) {
	r := record{halves(InstantOf(e.FirstSeen)), halves(InstantOf(e.LastSeen)), b.rares.take(b.edition, e)}
	var slot uint32
	if n := len(b.free); n > 0 {
		slot, b.free = b.free[n-1], b.free[:n-1]
		*b.records.change(b.edition, slot) = r
	} else if slot = b.records.add(b.edition, r); slot >= MaxEdges {
		panic(fmt.Sprintf("compact: more than %d edges", MaxEdges))
	}
	b.edges++
	for _, end := range []struct {
		at  Node
		arc Arc
	}{{from, arcOf(to, e.Kind, slot, false)}, {to, arcOf(from, e.Kind, slot, true)}} {
		p := b.change(end.at)
		b.arena.add(p, end.arc)
		b.settle(p)
		if e.Kind == graph.EdgePossiblySame {
			b.mark(end.at, markSame, markSame)
		}
	}
}

// Set changes what is known of an edge.
func (b *Builder) Set(edge uint32, e graph.Edge) {
	r := record{halves(InstantOf(e.FirstSeen)), halves(InstantOf(e.LastSeen)), b.rares.take(b.edition, e)}
	b.rares.give(b.edition, b.records.at(edge).rare)
	*b.records.change(b.edition, edge) = r
}

// Remove takes out edges, each given by its number, and the nodes at which they are.
func (b *Builder) Remove(edges map[uint32]struct{}, ends map[Node]struct{}) {
	for n := range ends {
		p := b.change(n)
		same := b.arena.cut(p, func(a Arc) bool { _, gone := edges[a.Edge()]; return gone })
		b.settle(p)
		if !same {
			b.mark(n, markSame, 0)
		}
	}
	for e := range edges {
		b.rares.give(b.edition, b.records.at(e).rare)
		b.free = append(b.free, e)
	}
	b.edges -= len(edges)
}

// Tidy lays every node's arcs beside the next one's, without room between.
func (b *Builder) Tidy() {
	b.arena.begin()
	b.sweep(b.places.n)
}

// sweep moves the arcs of so many nodes out of old chunks, when there is more room than is taken.
func (b *Builder) sweep(nodes int) {
	if !b.arena.sweeping() {
		if !b.arena.wasteful() {
			return
		}
		b.arena.begin()
	}
	for ; nodes > 0 && int(b.arena.cursor) < b.places.n; nodes-- {
		n := b.arena.cursor
		b.arena.cursor++
		if p := b.places.at(n); b.arena.isOld(p) {
			b.arena.move(b.places.change(b.edition, n))
		}
	}
	if int(b.arena.cursor) >= b.places.n {
		b.arena.end()
	}
}
