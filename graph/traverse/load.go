package traverse

import (
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// chunkSize bounds the nodes of one query.
const chunkSize = 512

// loadSame reads possiblySameAs around the frontier's nodes until nothing new is the same.
func (s *search) loadSame(frontier []int32) error {
	pending := s.nodesOf(frontier, func(n *node) bool { return !n.sameLoaded })
	for len(pending) > 0 {
		if err := s.loadChunks(pending, sameQueries, commitSame); err != nil {
			return err
		}
		var next []int32
		for _, n := range pending {
			for _, a := range s.nodes[n].same {
				next = append(next, a.far)
			}
		}
		pending = s.sorted(slices.DeleteFunc(next, func(n int32) bool { return s.nodes[n].sameLoaded }))
	}
	return nil
}

// loadArcs reads the moves of one hop of the frontier's nodes, but for those that were read before.
func (s *search) loadArcs(frontier []int32) error {
	pending := s.nodesOf(frontier, func(n *node) bool { return !n.arcsLoaded })
	return s.loadChunks(pending, s.hopQueries, s.commitArcs)
}

// nodesOf are the nodes of labels that pass, in order of id: of one kind together, and cut into chunks the
// same way whatever order the adjacency has.
func (s *search) nodesOf(labels []int32, pass func(*node) bool) []int32 {
	var out []int32
	for _, l := range labels {
		if n := s.labels[l].node; pass(&s.nodes[n]) {
			out = append(out, n)
		}
	}
	return s.sorted(out)
}

func (s *search) sorted(nodes []int32) []int32 {
	slices.SortFunc(nodes, func(a, b int32) int { return s.nodes[a].id.Compare(s.nodes[b].id) })
	return slices.Compact(nodes)
}

// query is one call of Adjacency.Edges.
type query struct {
	nodes     []int32
	direction graph.Direction
	kinds     []graph.EdgeKind
}

func sameQueries(nodes []int32) []query {
	return []query{{nodes, graph.Both, []graph.EdgeKind{graph.EdgePossiblySame}}}
}

// hopQueries asks, in each direction, together for those nodes that have the same kinds of edges to walk.
func (s *search) hopQueries(nodes []int32) []query {
	var out []query
	for _, d := range []graph.Direction{graph.Out, graph.In} {
		first := len(out)
		for rest := nodes; len(rest) > 0; {
			run := s.runOfKind(rest)
			kinds := s.kindsAt(s.nodes[run[0]].id.Kind(), d == graph.In)
			i := slices.IndexFunc(out[first:], func(q query) bool { return slices.Equal(q.kinds, kinds) })
			if i < 0 {
				i, out = len(out)-first, append(out, query{nil, d, kinds})
			}
			out[first+i].nodes = append(out[first+i].nodes, run...)
			rest = rest[len(run):]
		}
	}
	return slices.DeleteFunc(out, func(q query) bool { return len(q.kinds) == 0 })
}

// runOfKind cuts from nodes in order those of the first one's kind.
func (s *search) runOfKind(nodes []int32) []int32 {
	kind := s.nodes[nodes[0]].id.Kind()
	if n := slices.IndexFunc(nodes, func(n int32) bool { return s.nodes[n].id.Kind() != kind }); n > 0 {
		return nodes[:n]
	}
	return nodes
}

// kindsAt are the edge kinds to read at nodes of a kind: those asked for, and where hubs matter those that
// make one, so that a question about few kinds sees the same hubs.
func (s *search) kindsAt(near graph.Kind, backward bool) []graph.EdgeKind {
	var kinds []graph.EdgeKind
	for _, r := range walkTable {
		m, ok := moveAt(r.Kind, backward, near)
		if ok && r.Kind != graph.EdgePossiblySame && (allows(s.q.EdgeKinds, r.Kind) || m.Shared && !s.q.ThroughHubs) {
			kinds = append(kinds, r.Kind)
		}
	}
	return kinds
}

// loadChunks reads chunk by chunk. Where the budget does not hold a chunk it takes as many of its nodes, in
// order, as fit, then returns LimitEdges: a node is read wholly or not at all, for half a node's edges would
// make a hub look like none.
func (s *search) loadChunks(nodes []int32, ask func([]int32) []query, commit func(*node, []arc)) error {
	for chunk := range slices.Chunk(nodes, chunkSize) {
		err := s.loadChunk(chunk, ask, commit)
		if errors.Is(err, limitMet(LimitEdges)) && len(chunk) > 1 {
			half := len(chunk) / 2
			if err = s.loadChunks(chunk[:half], ask, commit); err == nil {
				err = s.loadChunks(chunk[half:], ask, commit)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *search) loadChunk(nodes []int32, ask func([]int32) []query, commit func(*node, []arc)) error {
	r := reading{s: s, arcs: map[int32][]arc{}, seen: map[sight]struct{}{}}
	for _, q := range ask(nodes) {
		if err := r.read(q); err != nil {
			return err
		}
	}
	s.edges += len(r.seen)
	for _, n := range nodes {
		arcs := r.arcs[n]
		slices.SortFunc(arcs, s.compareArcs)
		commit(&s.nodes[n], arcs)
	}
	return nil
}

func (s *search) compareArcs(a, b arc) int {
	if c := s.nodes[a.far].id.Compare(s.nodes[b.far].id); c != 0 {
		return c
	}
	return compareMoves(a, b)
}

func commitSame(n *node, same []arc) { n.same, n.sameLoaded = same, true }

// commitArcs keeps a node's moves and judges once whether it is a hub.
func (s *search) commitArcs(n *node, arcs []arc) {
	n.arcs, n.arcsLoaded = arcs, true
	last := int32(-1)
	for _, a := range arcs { // in order of the far end
		if a.shared && a.far != last {
			n.degree, last = n.degree+1, a.far
		}
	}
	n.hub = !s.q.ThroughHubs && n.degree > s.q.HubDegree
}

// reading gathers the moves of one chunk.
type reading struct {
	s    *search
	arcs map[int32][]arc
	seen map[sight]struct{}
}

// sight is an edge as seen from one end; an adjacency may yield it twice.
type sight struct {
	near     int32
	kind     graph.EdgeKind
	backward bool
	far      graph.ID
}

func (r reading) read(q query) error {
	if err := r.s.ctx.Err(); err != nil {
		return r.s.failed(err)
	}
	asked := make(map[graph.ID]int32, len(q.nodes))
	ids := make([]graph.ID, len(q.nodes))
	for i, n := range q.nodes {
		ids[i] = r.s.nodes[n].id
		asked[ids[i]] = n
	}
	ask := graph.EdgeQuery{Nodes: ids, Direction: q.direction, Kinds: q.kinds, AsOf: r.s.q.AsOf}
	for e, err := range r.s.adj.Edges(r.s.ctx, ask) {
		if err != nil {
			return r.s.failed(err)
		}
		if near, ok := asked[e.From]; ok && q.direction&graph.Out != 0 {
			r.take(e, near, e.To, false)
		}
		if near, ok := asked[e.To]; ok && q.direction&graph.In != 0 {
			r.take(e, near, e.From, true)
		}
		if r.s.edges+len(r.seen) > r.s.q.Budget.Edges {
			return limitMet(LimitEdges)
		}
	}
	return r.s.failed(nil)
}

// take keeps the edge as a move where the table has one.
func (r reading) take(e graph.Edge, near int32, far graph.ID, backward bool) {
	if e.From == e.To {
		return
	}
	key := sight{near, e.Kind, backward, far}
	if _, twice := r.seen[key]; twice {
		return
	}
	r.seen[key] = struct{}{}
	m, ok := moveAt(e.Kind, backward, r.s.nodes[near].id.Kind())
	if ok && allows(m.Far, far.Kind()) {
		r.arcs[near] = append(r.arcs[near], arc{e, r.s.intern(far), backward, m.Shared})
	}
}
