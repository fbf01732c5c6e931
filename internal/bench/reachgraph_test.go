package bench

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/estate"
)

// always is the instant until which what has no end can be used.
const always compact.Instant = math.MaxInt64

// relation is one edge, joined over all its sightings; its ends are numbers of nodes.
type relation struct {
	from, to uint32
	kind     graph.EdgeKind
	// first is when it was first seen; until is the last instant at which it can be used (graph.Edge.UsableUntil).
	first, until compact.Instant
}

// reachGraph is a graph as all sides of the benchmark get it. Nodes are numbers in the order in which the estate tells
// of them, device by device: what lies near in the company lies near in memory, for whoever keeps that order.
type reachGraph struct {
	ids    []graph.ID // of the nodes
	number map[graph.ID]uint32
	// rank is each node's place in the order of ids; byRank is its inverse.
	rank, byRank []uint32
	// edges by from, to and kind.
	edges []relation
	seen  []sighting // until the edges are made of them
}

func newReachGraph() *reachGraph { return &reachGraph{number: map[graph.ID]uint32{}} }

// readEstate makes the graph that a store would hold after taking in the estate. It has no possiblySameAs, which the
// searches here would take for a hop: no two things of an estate share a weak key.
func readEstate(o estate.Options) *reachGraph {
	g := newReachGraph()
	for b := range estate.Batches(o) {
		for _, e := range b.Edges {
			g.see(e)
		}
	}
	g.finish()
	return g
}

// see takes in an observation; finish is to follow the last one.
func (g *reachGraph) see(o graph.EdgeObservation) {
	s := o.Sighting()
	g.seen = append(g.seen, sighting{
		g.add(o.From), g.add(o.To), o.Kind,
		compact.InstantOf(s.FirstSeen), compact.InstantOf(s.LastSeen), compact.InstantOf(s.EndedAt),
	})
}

func (g *reachGraph) finish() {
	g.edges, g.seen = join(g.seen), nil
	g.sortIDs()
}

// add gives the id a number unless it has one.
func (g *reachGraph) add(id graph.ID) uint32 {
	n, ok := g.number[id]
	if !ok {
		n = uint32(len(g.ids))
		g.number[id], g.ids = n, append(g.ids, id)
	}
	return n
}

func (g *reachGraph) sortIDs() {
	g.byRank, g.rank = make([]uint32, len(g.ids)), make([]uint32, len(g.ids))
	for i := range g.byRank {
		g.byRank[i] = uint32(i)
	}
	slices.SortFunc(g.byRank, func(a, b uint32) int { return g.ids[a].Compare(g.ids[b]) })
	for r, n := range g.byRank {
		g.rank[n] = uint32(r)
	}
}

// degrees counts each node's edges, both ways.
func (g *reachGraph) degrees() []uint32 {
	out := make([]uint32, len(g.ids))
	for _, e := range g.edges {
		out[e.from]++
		out[e.to]++
	}
	return out
}

// sighting of a relation, in few bytes: all of an estate's are held at once.
type sighting struct {
	from, to           uint32
	kind               graph.EdgeKind
	first, last, ended compact.Instant
}

func (s sighting) compare(t sighting) int {
	return cmp.Or(cmp.Compare(s.from, t.from), cmp.Compare(s.to, t.to), cmp.Compare(s.kind, t.kind))
}

// join makes one relation of all sightings of it, as graph.EdgeQuery.Join does. It sorts them.
func join(seen []sighting) (out []relation) {
	slices.SortFunc(seen, sighting.compare)
	for len(seen) > 0 {
		whole, n := seen[0], 1
		for ; n < len(seen) && whole.compare(seen[n]) == 0; n++ {
			whole = whole.merge(seen[n])
		}
		out = append(out, whole.relation())
		seen = seen[n:]
	}
	return out
}

// merge relies on an unknown instant being before all others.
func (s sighting) merge(t sighting) sighting {
	if s.first == compact.None || (t.first != compact.None && t.first < s.first) {
		s.first = t.first
	}
	s.last, s.ended = max(s.last, t.last), max(s.ended, t.ended)
	return s
}

func (s sighting) relation() relation {
	e := graph.Edge{Kind: s.kind, LastSeen: s.last.Time()}
	if s.ended >= s.last {
		e.EndedAt = s.ended.Time()
	}
	r := relation{s.from, s.to, s.kind, s.first, always}
	if until := e.UsableUntil(traverse.DefaultCredentialLife); !until.IsZero() {
		r.until = compact.InstantOf(until)
	}
	return r
}

// seeds draws n different nodes to ask about: half of them uniformly, which gives mostly leaves; a quarter with a
// chance proportional to their degree, as an alert's entities come; a quarter are the nodes of the highest degree.
// They are shuffled, so that the first few of them are such a mix too. The same draw gives the same seeds.
func (g *reachGraph) seeds(n int, draw uint64) []uint32 {
	dice := rand.New(rand.NewPCG(draw, uint64(len(g.ids))))
	n = min(n, len(g.ids)/2) // each draw soon finds one that is new
	chosen := g.hubs(n / 4)
	taken := map[uint32]bool{}
	for _, c := range chosen {
		taken[c] = true
	}
	for len(chosen) < n {
		next := uint32(dice.IntN(len(g.ids)))
		if len(chosen) < n/2 {
			next = g.someEnd(dice)
		}
		if !taken[next] {
			taken[next], chosen = true, append(chosen, next)
		}
	}
	dice.Shuffle(n, func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// hubs are the n nodes of the highest degree.
func (g *reachGraph) hubs(n int) []uint32 {
	degrees, all := g.degrees(), slices.Clone(g.byRank)
	slices.SortStableFunc(all, func(a, b uint32) int { return cmp.Compare(degrees[b], degrees[a]) })
	return all[:n]
}

// someEnd is an end of an edge, of which a node has as many as its degree.
func (g *reachGraph) someEnd(dice *rand.Rand) uint32 {
	e := g.edges[dice.IntN(len(g.edges))]
	if dice.IntN(2) == 0 {
		return e.from
	}
	return e.to
}
