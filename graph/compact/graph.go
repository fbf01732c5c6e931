package compact

import (
	"cmp"
	"math"
	"time"

	"github.com/clew-security/clew/graph"
)

// Limits of one graph.
const (
	// MaxNodes is the number of ids, those of joined nodes included.
	MaxNodes = 1 << nodeBits
	// MaxEdges is the number of edges; where arcs lie, 2^32 have room, with what is between lists.
	MaxEdges = 1 << 30
)

const (
	nodeBits = 27
	slotBits = 31
)

// Node is the number of a node in a graph and all that are made from it.
type Node uint32

// Arc is an edge as seen from one of its ends.
type Arc struct {
	far  uint32 // the other end; above nodeBits the kind
	slot uint32 // the edge's number; above slotBits whether this is its To
}

func arcOf(far Node, k graph.EdgeKind, edge uint32, backward bool) Arc {
	a := Arc{uint32(far) | uint32(k)<<nodeBits, edge}
	if backward {
		a.slot |= 1 << slotBits
	}
	return a
}

// Far is the node at the other end.
func (a Arc) Far() Node { return Node(a.far & (1<<nodeBits - 1)) }

// Reverse is the arc of the same edge at its other end, for one that lies at near.
func (a Arc) Reverse(near Node) Arc {
	return Arc{a.far&^(1<<nodeBits-1) | uint32(near), a.slot ^ 1<<slotBits}
}

// Kind of the edge.
func (a Arc) Kind() graph.EdgeKind { return graph.EdgeKind(a.far >> nodeBits) }

// Backward reports whether the edge leads here from Far.
func (a Arc) Backward() bool { return a.slot>>slotBits != 0 }

// Move is kind and direction as one number below Moves.
func (a Arc) Move() uint32 { return a.far>>nodeBits | a.slot>>slotBits<<(32-nodeBits) }

// Moves is one more than the greatest Arc.Move.
const Moves = 1 << (32 - nodeBits + 1)

// MoveOf is the Arc.Move of an edge kind walked in a direction.
func MoveOf(k graph.EdgeKind, backward bool) uint32 { return arcOf(0, k, 0, backward).Move() }

// Edge is the number of the edge, below Graph.Slots.
func (a Arc) Edge() uint32 { return a.slot & (1<<slotBits - 1) }

// None is the Instant that is not known: it is before all others.
const None Instant = math.MinInt64

// Instant is in microseconds since 1970.
type Instant int64

// InstantOf is the number of an instant, None for a zero one.
func InstantOf(t time.Time) Instant {
	if t.IsZero() {
		return None
	}
	return Instant(graph.MicroNumber(t))
}

// Time is the instant in UTC; zero for None.
func (i Instant) Time() time.Time {
	if i == None {
		return time.Time{}
	}
	return time.UnixMicro(int64(i)).UTC()
}

// Mark is what a search asks of every node it meets, in a place of its own.
type Mark uint16

const (
	markKind  = 1<<5 - 1
	markGrade = 5 // from this bit
	markSame  = 1 << 8
)

// MaxGrade is the greatest grade.
const MaxGrade = 1<<3 - 1

// Kind of the node.
func (m Mark) Kind() graph.Kind { return graph.Kind(m & markKind) }

// Grade is what Builder.Grade said, else 0.
func (m Mark) Grade() uint8 { return uint8(m>>markGrade) & MaxGrade }

// Same reports whether the node has possiblySameAs edges.
func (m Mark) Same() bool { return m&markSame != 0 }

// Graph is one tenant's graph at one instant. The zero Graph is empty.
type Graph struct {
	ids     *ids
	names   table[graph.ID]
	marks   table[Mark]
	places  table[place]
	records table[record]
	rest    rest
	chunks  [][]Arc
	nodes   int
	edges   int
	same    int
	ordered uint32
	memory  Memory
	// histories are those of edges, where the Builder kept them.
	histories table[string]
	remembers bool
	// past says that all is as of an instant; see AsOf.
	past bool
	at   Instant
}

// Size counts nodes and edges.
func (g *Graph) Size() (nodes, edges int) { return g.nodes, g.edges }

// AnySame reports whether there are possiblySameAs edges.
func (g *Graph) AnySame() bool { return g.same > 0 }

// Compare compares the ids of nodes. Where a graph was built in order of id, as scans give it, it need not look at
// them.
func (g *Graph) Compare(a, b Node) int {
	if uint32(a) < g.ordered && uint32(b) < g.ordered {
		return cmp.Compare(a, b)
	}
	return g.ID(a).Compare(g.ID(b))
}

// Numbers is one more than the greatest Node.
func (g *Graph) Numbers() int { return g.names.n }

// Slots is one more than the greatest Arc.Edge.
func (g *Graph) Slots() int { return g.records.n }

// Find gives the node that an id, or an earlier one of it, belongs to.
func (g *Graph) Find(id graph.ID) (Node, bool) {
	if g.ids == nil {
		return 0, false
	}
	n, ok := g.ids.find(&g.names, id)
	if !ok {
		return 0, false
	}
	p := g.places.at(uint32(n))
	if p.alias() {
		n = Node(p.count())
		p = g.places.at(uint32(n))
	}
	return n, p.there()
}

// ID of a node.
func (g *Graph) ID(n Node) graph.ID { return *g.names.at(uint32(n)) }

// Mark of a node.
func (g *Graph) Mark(n Node) Mark { return *g.marks.at(uint32(n)) }

// Sorted is how many of the first of Arcs are in order of Arc.Move, at least.
func (g *Graph) Sorted(n Node) int {
	p := g.places.at(uint32(n))
	if p.alias() || g.past {
		return 0
	}
	return int(p.sorted())
}

// Arcs are the edges at a node; they must not be changed.
func (g *Graph) Arcs(n Node) []Arc {
	arcs := lie(g.chunks, g.places.at(uint32(n)))
	if g.past {
		return g.then(arcs)
	}
	return arcs
}

// Seen is when an edge was seen first and last; ended where it has an end of its own, else None.
func (g *Graph) Seen(edge uint32) (first, last, ended Instant) {
	if g.past {
		return g.seenAt(edge, g.at)
	}
	return g.records.at(edge).seen(&g.rest)
}

// Edge is the edge of an arc at a node, whole. What its slices hold must not be changed.
func (g *Graph) Edge(near Node, a Arc) graph.Edge {
	if g.past {
		e, _ := g.EdgeAt(near, a, g.at)
		return e
	}
	return whole(&g.names, &g.records, &g.rest, near, a)
}

// Together is how many edges Edges looks up at once.
const Together = 16

// Edges puts Edge of arcs, each at the node in its place, into out, which must have room. An edge lies in several
// places, and each look waits for memory: these waits need not follow one another.
func (g *Graph) Edges(near []Node, arcs []Arc, out []graph.Edge) {
	var records [Together]record
	var shares [Together]*shared
	for len(near) > 0 && !g.past {
		n := min(Together, len(near))
		for i, a := range arcs[:n] {
			records[i] = *g.records.at(a.Edge())
		}
		for i := range n {
			shares[i] = g.rest.sharedBy(&records[i])
		}
		for i, a := range arcs[:n] {
			out[i].From, out[i].To = ends(&g.names, near[i], a)
		}
		for i, a := range arcs[:n] {
			out[i] = edgeOf(out[i].From, out[i].To, a.Kind(), &records[i], shares[i], &g.rest)
		}
		near, arcs, out = near[n:], arcs[n:], out[n:]
	}
	for i := range near {
		out[i] = g.Edge(near[i], arcs[i])
	}
}

func ends(names *table[graph.ID], near Node, a Arc) (from, to graph.ID) {
	from, to = *names.at(uint32(near)), *names.at(uint32(a.Far()))
	if a.Backward() {
		return to, from
	}
	return from, to
}

func whole(names *table[graph.ID], records *table[record], rest *rest, near Node, a Arc) graph.Edge {
	r := records.at(a.Edge())
	from, to := ends(names, near, a)
	return edgeOf(from, to, a.Kind(), r, rest.sharedBy(r), rest)
}

func edgeOf(from, to graph.ID, k graph.EdgeKind, r *record, x *shared, rest *rest) graph.Edge {
	first, last, ended := r.seen(rest)
	return graph.Edge{
		Kind: k, From: from, To: to,
		FirstSeen: first.Time(), LastSeen: last.Time(), EndedAt: ended.Time(),
		Count: x.count, Inferred: x.inferred, Sources: x.sources, Alerts: x.alerts,
	}
}
