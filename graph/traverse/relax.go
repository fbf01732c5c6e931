package traverse

import (
	"iter"
	"sort"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// relax gives labels of one hop more to all that the hop's labels lead to earlier than before. It returns
// LimitEdges as soon as the budget is not enough.
func (s *search) relax(hop int) error {
	if s.gathers(hop) {
		return s.gather(hop)
	}
	var ahead window
	for l := s.starts[hop]; l < s.starts[hop+1]; l++ {
		n := s.nodes[l]
		arcs, mark := ahead.at(s, l, s.starts[hop+1])
		if s.strides += len(arcs) + 1; s.strides > stride {
			s.strides = 0
			if err := s.ctx.Err(); err != nil {
				return err
			}
		}
		if s.first(l) {
			if s.isLeft(n) {
				continue
			}
			if s.edges += s.ways.count(s.g, n, mark, arcs); s.edges > s.q.Budget.Edges {
				return limitMet(LimitEdges)
			}
		}
		row := s.rowOf(n, mark, arcs, hop)
		for part := range s.walked(n, row, s.cut.rest(s.g, n, arcs)) {
			if s.timed() {
				s.relaxTimed(row, part, s.ats[l])
			} else {
				s.relaxAll(row, part)
			}
		}
	}
	return nil
}

// fewArcs are looked at one by one; of more, those of a move that is not walked are skipped together.
const fewArcs = 32

// walked gives a node's arcs without most of those that the row does not walk.
func (s *search) walked(n compact.Node, row *row, arcs []compact.Arc) iter.Seq[[]compact.Arc] {
	return func(yield func([]compact.Arc) bool) {
		if len(arcs) < fewArcs || s.q.EveryEdge || s.cut != nil {
			yield(arcs)
			return
		}
		sorted := arcs[:s.g.Sorted(n)]
		for part := range runs(sorted) {
			if row[part[0].Move()] != 0 && !yield(part) {
				return
			}
		}
		yield(arcs[len(sorted):])
	}
}

// runs gives the arcs of each move, of arcs that are in order of it.
func runs(sorted []compact.Arc) iter.Seq[[]compact.Arc] {
	return func(yield func([]compact.Arc) bool) {
		for len(sorted) > 0 {
			n := runLength(sorted)
			if !yield(sorted[:n]) {
				return
			}
			sorted = sorted[n:]
		}
	}
}

// runLength is how many of the first arcs have the first one's move.
func runLength(sorted []compact.Arc) int {
	move, far := sorted[0].Move(), 1
	for far < len(sorted) && sorted[far].Move() == move {
		far *= 2
	}
	low := far / 2
	return low + 1 + sort.Search(min(far, len(sorted))-low-1, func(i int) bool { return sorted[low+1+i].Move() != move })
}

// gatherPart is the part of all nodes in the frontier from which on it pays to look back from those that are not
// reached, which stop at the first edge that leads there, instead of along all edges of the frontier
// (direction-optimizing search: Beamer, Asanovic, Patterson, SC '12).
const gatherPart = 16

// gathers reports whether to do so: where no order matters and every edge is walked both ways, and the budget of
// edges is enough.
func (s *search) gathers(hop int) bool {
	frontier := s.nodes[s.starts[hop]:s.starts[hop+1]]
	if s.timed() || !s.q.EveryEdge || s.cut != nil || len(frontier) < s.g.Numbers()/gatherPart || len(s.left) > 0 {
		return false
	}
	edges := s.edges
	for _, n := range frontier {
		edges += s.ways.count(s.g, n, s.g.Mark(n), s.g.Arcs(n))
	}
	if edges > s.q.Budget.Edges {
		return false
	}
	s.edges = edges
	return true
}

func (s *search) gather(hop int) error {
	here, levels, nodes := uint8(hop+1), s.levels, s.nodes
	defer func() { // whatever has a level must be among the nodes, or it keeps it
		s.reached += len(nodes) - len(s.nodes)
		s.nodes = nodes
	}()
	row := &s.ways.walk[0] // of all kinds the same
	for n := range compact.Node(s.g.Numbers()) {
		if n%stride == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if levels[n] != 0 {
			continue
		}
		for _, a := range s.g.Arcs(n) {
			if levels[a.Far()] == here && row[a.Move()] != 0 {
				levels[n] = here + 1
				nodes = append(nodes, n)
				break
			}
		}
	}
	return nil
}

// window looks up a few labels' nodes together: each look waits for memory, and these waits need not follow one
// another.
type window struct {
	from, n int
	arcs    [16][]compact.Arc
	marks   [16]compact.Mark
}

func (w *window) at(s *search, label, end int) ([]compact.Arc, compact.Mark) {
	if label >= w.from+w.n {
		w.from, w.n = label, min(len(w.arcs), end-label)
		for i, n := range s.nodes[label : label+w.n] {
			w.arcs[i], w.marks[i] = s.g.Arcs(n), s.g.Mark(n)
		}
	}
	return w.arcs[label-w.from], w.marks[label-w.from]
}

// rowOf is how the node's arcs are walked. A hub is judged once.
func (s *search) rowOf(n compact.Node, mark compact.Mark, arcs []compact.Arc, hop int) *row {
	if hop+s.begun > 0 && !s.q.ThroughHubs && len(arcs) > s.q.HubDegree && s.isHub(n, mark, arcs) {
		return &s.ways.pastHub[mark.Kind()]
	}
	return &s.ways.walk[mark.Kind()]
}

func (s *search) isHub(n compact.Node, mark compact.Mark, arcs []compact.Arc) bool {
	if _, hub := s.hubs[n]; hub {
		return true
	}
	shared, degree := &s.ways.shared[mark.Kind()], 0
	s.number(s.g.Numbers(), 1)
	for part := range s.walked(n, shared, arcs) {
		for _, a := range part {
			far := a.Far()
			if allowed := shared[a.Move()]; allowed == 0 || far == n || !s.allows(allowed, far) {
				continue
			}
			if _, counted := s.numbered(far); !counted {
				s.give(far, 0)
				degree++
			}
		}
	}
	if degree <= s.q.HubDegree {
		return false
	}
	if s.hubs == nil {
		s.hubs = map[compact.Node]int{}
	}
	s.hubs[n] = degree
	return true
}

func (s *search) allows(allowed kinds, far compact.Node) bool {
	return allowed == anyKind || allowed>>s.g.Mark(far).Kind()&1 != 0
}

func (s *search) relaxTimed(row *row, arcs []compact.Arc, at compact.Instant) {
	holds := s.holds
	for _, a := range arcs {
		allowed := row[a.Move()]
		if allowed == 0 {
			continue
		}
		far := a.Far()
		h := holds[far]
		if h.last != 0 && h.at <= at || !s.allows(allowed, far) { // no edge arrives before at
			continue
		}
		if arrival, ok := s.arrive(a, at); ok && (h.last == 0 || arrival < h.at) {
			s.put(far, arrival)
		}
	}
}

func (s *search) relaxAll(row *row, arcs []compact.Arc) {
	level, levels, nodes := uint8(len(s.starts)), s.levels, s.nodes
	for _, a := range arcs {
		far := a.Far()
		if allowed := row[a.Move()]; allowed == 0 || levels[far] != 0 || !s.allows(allowed, far) {
			continue
		}
		levels[far] = level
		nodes = append(nodes, far)
	}
	s.reached += len(nodes) - len(s.nodes)
	s.nodes = nodes
}

// arrive is graph.Edge.Arrive.
func (s *search) arrive(a compact.Arc, at compact.Instant) (arrival compact.Instant, ok bool) {
	first, last, ended := s.g.Seen(a.Edge())
	until := s.usableUntil(a.Kind(), last, ended)
	return max(at, first), until == compact.None || at <= until
}

// usableUntil is graph.Edge.UsableUntil.
func (s *search) usableUntil(k graph.EdgeKind, last, ended compact.Instant) compact.Instant {
	switch s.ways.tense[k] {
	case graph.Event:
		if last != compact.None {
			return last
		}
	case graph.Credential:
		if last != compact.None && (ended == compact.None || last+s.life < ended) {
			return last + s.life
		}
	}
	return ended
}
