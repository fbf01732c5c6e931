package compact

import (
	"errors"
	"fmt"

	"github.com/clew-security/clew/graph"
)

// When there is much waste, this many nodes' arcs are moved for every graph, and every so many new edges, at most.
const (
	sweepNodes = 4096
	sweepEvery = 1024
)

// ErrFull is the error of a Builder that met a limit.
var ErrFull = errors.New("graph is too large")

// Builder makes the next Graph; one goroutine uses it.
//
// Once a limit was met it takes in nothing more, and what it holds is not whole: Err tells. Graphs that were made before
// stay good.
type Builder struct {
	ids       *ids
	marks     draft[Mark]
	places    draft[place]
	records   draft[record]
	rest      restDraft
	arena     arena
	histories histories
	nodes     int
	edges     int
	same      int    // nodes with possiblySameAs edges
	ordered   uint32 // so many of the first numbers are in order of id
	edition   uint32
	free      []uint32 // numbers of edges that are gone
	err       error
	// The limits.
	maxNodes, maxEdges int
}

// NewBuilder begins with the empty graph.
func NewBuilder() *Builder {
	return &Builder{ids: new(ids), edition: 1, rest: restDraft{shared: newShares()}, maxNodes: MaxNodes, maxEdges: MaxEdges}
}

// Limit has the Builder take no more ids and edges than that, at most MaxNodes and MaxEdges.
func (b *Builder) Limit(nodes, edges int) {
	b.maxNodes, b.maxEdges = min(nodes, MaxNodes), min(edges, MaxEdges)
}

// Err wraps ErrFull once a limit was met. It must be asked before a Graph is used.
func (b *Builder) Err() error { return b.err }

// full notes the limit that was met.
func (b *Builder) full(format string, args ...any) {
	b.err = fmt.Errorf("%w: "+format, append([]any{ErrFull}, args...)...)
}

// Graph is what was built so far. What is built afterwards does not show in it.
func (b *Builder) Graph() *Graph {
	b.sweep(sweepNodes)
	g := &Graph{
		ids: b.ids, names: b.ids.names.show(), marks: b.marks.show(), places: b.places.show(), records: b.records.show(), rest: b.rest.show(),
		chunks: b.arena.show(), nodes: b.nodes, edges: b.edges, same: b.same, ordered: b.ordered, memory: b.memory(),
		histories: b.histories.show(), remembers: b.histories.kept,
	}
	b.edition++
	return g
}

// Node numbers an id. The number means nothing once Err tells of a limit.
func (b *Builder) Node(id graph.ID) Node {
	if n, known := b.Find(id); known || b.err != nil {
		return n
	}
	if b.ids.names.n >= b.maxNodes {
		b.full("more than %d ids", b.maxNodes)
		return 0
	}
	b.places.add(b.edition, place{})
	b.marks.add(b.edition, Mark(id.Kind())&markKind)
	n := b.ids.add(id)
	if uint32(n) == b.ordered && (n == 0 || b.ID(n-1).Compare(id) < 0) {
		b.ordered++
	}
	return n
}

// Find is Node for an id that has a number.
func (b *Builder) Find(id graph.ID) (n Node, ok bool) { return b.ids.find(&b.ids.names.table, id) }

// Numbers is Graph.Numbers so far.
func (b *Builder) Numbers() int { return b.ids.names.n }

// ID is the id that a number was given for.
func (b *Builder) ID(n Node) graph.ID { return *b.ids.names.at(uint32(n)) }

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
	if b.err != nil || b.Known(n) == known {
		return
	}
	p := b.change(n)
	p.n ^= placeKnown
	b.settle(p)
}

// Known is what Know said last.
func (b *Builder) Known(n Node) bool { return b.places.at(uint32(n)).n&placeKnown != 0 }

// Grade says up to MaxGrade how much a node matters.
func (b *Builder) Grade(n Node, grade uint8) {
	if b.err == nil {
		b.mark(n, MaxGrade<<markGrade, Mark(min(grade, MaxGrade))<<markGrade)
	}
}

func (b *Builder) mark(n Node, bits, as Mark) {
	if old := *b.marks.at(uint32(n)); old&bits != as {
		*b.marks.change(b.edition, uint32(n)) = old&^bits | as
		if bits&markSame != 0 {
			b.same += int(as>>8)*2 - 1
		}
	}
}

// Mark of a node so far.
func (b *Builder) Mark(n Node) Mark { return *b.marks.at(uint32(n)) }

// Alias makes n, which has no edges, another id of a node, and nothing is known of n itself any more; of itself
// where it was one: an id of its own again.
func (b *Builder) Alias(n, of Node) {
	if b.err != nil || b.Aliased(n) == of {
		return
	}
	p := b.change(n)
	if *p = (place{}); of != n {
		p.n = uint32(of) | placeAlias
	}
	b.settle(p)
}

// Aliased is the node that n is another id of, n itself where it is none.
func (b *Builder) Aliased(n Node) Node {
	if p := b.places.at(uint32(n)); p.alias() {
		return Node(p.count())
	}
	return n
}

// Arcs are the edges at a node so far; they must not be changed, and are void after the next change.
func (b *Builder) Arcs(n Node) []Arc { return lie(b.arena.chunks, b.places.at(uint32(n))) }

// Edge is the edge of an arc at a node so far, whole. What its slices hold must not be changed.
func (b *Builder) Edge(near Node, a Arc) graph.Edge {
	return whole(&b.ids.names.table, &b.records.table, b.rest.rest(), near, a)
}

// Insert puts in an edge that is not there.
func (b *Builder) Insert(e graph.Edge, from, to Node) {
	if b.err != nil {
		return
	}
	slot, ok := b.slot(b.record(&e))
	if !ok {
		return
	}
	if b.edges++; b.edges%sweepEvery == 0 {
		b.sweep(sweepNodes)
	}
	b.arc(from, arcOf(to, e.Kind, slot, false))
	b.arc(to, arcOf(from, e.Kind, slot, true))
	b.remember(slot, &e)
}

// record notes what an edge has; Err tells where that cannot be.
func (b *Builder) record(e *graph.Edge) record {
	first, last := InstantOf(e.FirstSeen), InstantOf(e.LastSeen)
	number, ok := b.rest.take(b.edition, e, first, last)
	if !ok {
		b.full("more than %d kinds of what edges share, or as many ended", maxRest+1)
	}
	return recordOf(first, last, number)
}

// slot gives a record the number of an edge.
func (b *Builder) slot(r record) (slot uint32, ok bool) {
	switch n := len(b.free); {
	case b.err != nil:
		return 0, false
	case n > 0:
		slot, b.free = b.free[n-1], b.free[:n-1]
		*b.records.change(b.edition, slot) = r
		return slot, true
	case b.records.n >= b.maxEdges:
		b.full("more than %d edges", b.maxEdges)
		return 0, false
	}
	return b.records.add(b.edition, r), true
}

// arc puts one in at a node.
func (b *Builder) arc(n Node, a Arc) {
	p := b.change(n)
	if !b.arena.add(p, a) {
		b.noRoom()
	}
	b.settle(p)
	if a.Kind() == graph.EdgePossiblySame {
		b.mark(n, markSame, markSame)
	}
}

func (b *Builder) noRoom() { b.full("no room for the edges of its nodes") }

// Set changes what is known of an edge.
func (b *Builder) Set(edge uint32, e graph.Edge) {
	if b.err != nil {
		return
	}
	r := b.record(&e)
	b.rest.give(b.edition, b.records.at(edge).rest())
	*b.records.change(b.edition, edge) = r
	b.remember(edge, &e)
}

// Remove takes out edges, each given by its number, and the nodes at which they are.
func (b *Builder) Remove(edges map[uint32]struct{}, ends map[Node]struct{}) {
	if b.err != nil {
		return
	}
	for n := range ends {
		p := b.change(n)
		same, ok := b.arena.cut(p, func(a Arc) bool { _, gone := edges[a.Edge()]; return gone })
		b.settle(p)
		if !ok {
			b.noRoom()
		}
		if !same {
			b.mark(n, markSame, 0)
		}
	}
	for e := range edges {
		b.rest.give(b.edition, b.records.at(e).rest())
		b.histories.set(b.edition, e, nil)
		b.free = append(b.free, e)
	}
	b.edges -= len(edges)
}

// Tidy lays every node's arcs beside the next one's, without room between, and numbers the edges anew: what is seen
// from a node with many edges then lies together.
func (b *Builder) Tidy() {
	b.arena.begin()
	b.sweep(b.places.n)
	if b.err == nil {
		b.renumber()
	}
}

// renumber gives edges numbers in the order in which they lie at that of their ends which has more of them. No Graph
// reads the arcs, which were moved just before.
func (b *Builder) renumber() {
	fresh := make([]uint32, b.records.n) // by the old number, plus one
	records := draft[record]{}
	b.eachArc(func(n Node, a *Arc) {
		here, there := b.places.at(uint32(n)).count(), b.places.at(uint32(a.Far())).count()
		if e := a.Edge(); fresh[e] == 0 && (here > there || here == there && n <= a.Far()) {
			fresh[e] = records.add(b.edition, *b.records.at(e)) + 1
		}
	})
	b.eachArc(func(_ Node, a *Arc) { a.slot = a.slot&^(1<<slotBits-1) | (fresh[a.Edge()] - 1) })
	b.records, b.free = records, nil
	b.histories.renumber(b.edition, fresh)
}

func (b *Builder) eachArc(f func(Node, *Arc)) {
	for n := range Node(b.places.n) {
		arcs := lie(b.arena.chunks, b.places.at(uint32(n)))
		for i := range arcs {
			f(n, &arcs[i])
		}
	}
}

// sweep moves the arcs of so many nodes out of chunks that are left, when there is more room than is taken.
func (b *Builder) sweep(nodes int) {
	if !b.arena.sweeping() {
		if !b.arena.wasteful() {
			return
		}
		b.arena.begin()
	}
	for ; b.err == nil && nodes > 0 && int(b.arena.cursor) < b.places.n; nodes-- {
		n := b.arena.cursor
		b.arena.cursor++
		if b.arena.left(b.places.at(n)) && !b.arena.move(b.places.change(b.edition, n)) {
			b.noRoom()
		}
	}
	if b.err == nil && int(b.arena.cursor) >= b.places.n {
		b.arena.end()
	}
}
