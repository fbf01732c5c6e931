package traverse

import (
	"sync"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// kinds is a set of node kinds.
type kinds uint32

const anyKind = ^kinds(0)

func kindsOf(ks []graph.Kind) kinds {
	if ks == nil {
		return anyKind
	}
	var set kinds
	for _, k := range ks {
		set |= 1 << k
	}
	return set
}

// row says of every move (compact.Arc.Move) from nodes of one kind to which kinds it may lead.
type row [compact.Moves]kinds

// ways is the walk table as a question wants it, by the kind of the near node.
type ways struct {
	// walk are the moves that are walked, pastHub those that are walked from a hub.
	walk, pastHub []row
	// shared are all shared moves, asked for or not: by them hubs are judged.
	shared []row
	// read are the moves whose edges are looked at, as bits.
	read []uint64
	// tense of every edge kind.
	tense [compact.Moves / 2]graph.Tense
}

const nearKinds = 32

// The ways of questions about all edge kinds.
var (
	usualWays   = sync.OnceValue(func() *ways { return makeWays(Question{}) })
	throughHubs = sync.OnceValue(func() *ways { return makeWays(Question{ThroughHubs: true}) })
	everyWay    = sync.OnceValue(func() *ways { return makeWays(Question{ThroughHubs: true, EveryEdge: true}) })
)

func newWays(q Question) *ways {
	switch {
	case q.EdgeKinds != nil:
		return makeWays(q)
	case q.EveryEdge:
		return everyWay()
	case q.ThroughHubs:
		return throughHubs()
	}
	return usualWays()
}

func makeWays(q Question) *ways {
	w := &ways{
		walk: make([]row, nearKinds), pastHub: make([]row, nearKinds), shared: make([]row, nearKinds), read: make([]uint64, nearKinds),
	}
	for _, r := range graph.EdgeKinds() {
		w.tense[r.Kind] = r.Tense
	}
	for near := range graph.Kind(nearKinds) {
		for _, r := range walkTable {
			if r.Kind == graph.EdgePossiblySame {
				continue
			}
			for _, backward := range []bool{false, true} {
				w.set(q, near, r.Kind, backward)
			}
		}
	}
	return w
}

func (w *ways) set(q Question, near graph.Kind, k graph.EdgeKind, backward bool) {
	move, asked := compact.MoveOf(k, backward), allows(q.EdgeKinds, k)
	m, ok := moveAt(k, backward, near)
	if q.EveryEdge {
		m, ok = Move{}, true
	}
	if !ok {
		return
	}
	far := kindsOf(m.Far)
	if asked {
		w.walk[near][move] = far
		if !m.Shared {
			w.pastHub[near][move] = far
		}
	}
	if m.Shared {
		w.shared[near][move] = far
	}
	if asked || m.Shared && !q.ThroughHubs {
		w.read[near] |= 1 << move
	}
}

// readKinds are the edge kinds that are read at nodes of a kind.
func (w *ways) readKinds(near graph.Kind, backward bool) (out []graph.EdgeKind) {
	for _, r := range walkTable {
		if w.read[near]>>compact.MoveOf(r.Kind, backward)&1 != 0 {
			out = append(out, r.Kind)
		}
	}
	return out
}

// count is the number of arcs at a node that are read.
func (w *ways) count(g *compact.Graph, near compact.Node, mark compact.Mark, arcs []compact.Arc) (n int) {
	read := w.read[mark.Kind()]
	if read == everyMove && !mark.Same() {
		return len(arcs)
	}
	if len(arcs) >= fewArcs {
		sorted := arcs[:g.Sorted(near)]
		for part := range runs(sorted) {
			n += len(part) * int(read>>part[0].Move()&1)
		}
		arcs = arcs[len(sorted):]
	}
	for _, a := range arcs {
		n += int(read >> a.Move() & 1)
	}
	return n
}

// everyMove are the moves of all edge kinds but possiblySameAs, as bits.
var everyMove = func() (all uint64) {
	for _, r := range walkTable {
		if r.Kind != graph.EdgePossiblySame {
			all |= 1<<compact.MoveOf(r.Kind, false) | 1<<compact.MoveOf(r.Kind, true)
		}
	}
	return all
}()
