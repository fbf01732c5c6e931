package traverse

import (
	"cmp"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Route is a witness: one way that exists, the first by hops, arrival and ids.
type Route struct {
	Hops int
	// Arrival is when the attacker can be there; zero is since ever, and where time is ignored.
	Arrival time.Time
	// Inferred is set where any step is.
	Inferred bool
	// Steps from a source to the target; possiblySameAs steps take no hop.
	Steps []Step
}

// Step is one move over one edge.
type Step struct {
	Kind graph.EdgeKind
	// From and To are the edge's.
	From, To graph.ID
	// Backward is set where it was walked from To to From.
	Backward bool
	// At is the arrival at the end that the step leads to.
	At time.Time
	// Inferred marks an edge that was only implied, and possiblySameAs.
	Inferred bool
	// Gap is set where the edge had to be used between two sightings, when nothing says it was there.
	Gap bool
	// FirstSeen and LastSeen are the edge's, Sources who said so, and Alerts those that prove it.
	FirstSeen, LastSeen time.Time
	Sources             []string
	Alerts              []graph.ID
}

// point is a node as held at a hop: a label, found by its node.
type point struct {
	node compact.Node
	hop  int
	at   compact.Instant
}

// way leads to a point from the one before over an arc, as it lies at the node before; none leads to a source.
type way struct {
	prev point
	arc  compact.Arc
}

// routes finds ways again that a search went, each once.
type routes struct {
	*search
	known map[point]*way
	// shown are points to which ways will probably be asked for.
	shown []point
}

// to is the route to a point.
func (r *routes) to(p point) Route {
	out := Route{Hops: p.hop, Arrival: p.at.Time(), Steps: make([]Step, 0, p.hop)}
	for w := r.way(p); w != nil; w = r.way(p) {
		step := r.step(w, p.at)
		out.Steps = append(out.Steps, step)
		out.Inferred = out.Inferred || step.Inferred
		p = w.prev
	}
	slices.Reverse(out.Steps)
	return out
}

// step is the move of who held the way's near end since its arrival there, and is at the far end at this instant.
func (r *routes) step(w *way, at compact.Instant) Step {
	e, since := r.g.Edge(w.prev.node, w.arc), w.prev.at.Time()
	same := e.Kind == graph.EdgePossiblySame
	return Step{
		Kind: e.Kind, From: e.From, To: e.To, Backward: w.arc.Backward(), At: at.Time(),
		Inferred:  e.Inferred || same,
		Gap:       !same && r.timed() && e.Count > 1 && since.After(e.FirstSeen) && since.Before(e.LastSeen),
		FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, Sources: e.Sources, Alerts: e.Alerts,
	}
}

// way is how the search came to the point, nil for a source.
func (r *routes) way(p point) *way {
	w, known := r.known[p]
	if !known && r.together(p) {
		w, known = r.known[p]
	}
	if !known {
		if w = r.hopTo(p); w == nil && !r.isSource(p) {
			w = r.sameTo(p)
		}
		r.known[p] = w
	}
	return w
}

// mostShown bounds routes.shown: who lists more than that counts them.
const mostShown = 1000

// together finds the moves of one hop to all that is shown at p's, where it is less work to look from the hop before
// than from each: a few sources have a hub beside them, say. It reports whether it did.
func (r *routes) together(p point) bool {
	if p.hop == 0 || !slices.Contains(r.shown, p) {
		return false
	}
	var wanted []point
	r.shown = slices.DeleteFunc(r.shown, func(s point) bool {
		if s.hop == p.hop {
			wanted = append(wanted, s)
		}
		return s.hop == p.hop
	})
	arcs := 0
	for _, s := range wanted {
		arcs += len(r.g.Arcs(s.node))
	}
	from, to := r.starts[p.hop-1], r.starts[p.hop]
	for _, n := range r.nodes[from:to] {
		if arcs -= len(r.g.Arcs(n)) + 1; arcs < 0 {
			return false
		}
	}
	r.hopsTo(wanted, from, to)
	return true
}

// hopsTo is hopTo for several points of one hop, by the labels of the hop before.
func (r *routes) hopsTo(wanted []point, from, to int) {
	best, places := make([]way, len(wanted)), make(map[compact.Node]int, len(wanted))
	r.mark(r.g.Numbers())
	for i, p := range wanted {
		places[p.node] = i
		r.marked(p.node)
	}
	for l := from; l < to; l++ {
		prev := point{r.nodes[l], wanted[0].hop - 1, r.at(l)}
		for _, a := range r.g.Arcs(prev.node) {
			if r.stamps[a.Far()] != r.stamp || a.Far() == prev.node {
				continue
			}
			p, w := wanted[places[a.Far()]], way{prev, a}
			found := r.known[p] != nil
			if found && r.compare(&w, r.known[p]) >= 0 {
				continue
			}
			if at, ok := r.walks(&w); ok && at == p.at {
				best[places[p.node]] = w
				r.known[p] = &best[places[p.node]]
			}
		}
	}
}

func (r *routes) isSource(p point) bool {
	return p.hop == 0 && slices.Contains(r.nodes[:r.sources], p.node)
}

// label is the node's label of exactly these hops, as a point.
func (s *search) label(n compact.Node, hop int) (point, bool) {
	if !s.timed() {
		return point{n, hop, compact.None}, int(s.levels[n]) == hop+1
	}
	for l := s.holds[n].last; l != 0; l = s.befores[l-1] {
		if i := int(l) - 1; i < s.starts[hop+1] {
			return point{n, hop, s.ats[i]}, i >= s.starts[hop]
		}
	}
	return point{}, false
}

// hopTo is the move of one hop that made the point: of those that arrive then, the first by the id before, kind and
// direction. It is nil where none did.
func (r *routes) hopTo(p point) *way {
	if p.hop == 0 {
		return nil
	}
	var best way
	found := false
	for _, a := range r.g.Arcs(p.node) {
		prev, ok := r.label(a.Far(), p.hop-1)
		if !ok || a.Far() == p.node {
			continue
		}
		w := way{prev, a.Reverse(p.node)}
		if found && r.compare(&w, &best) >= 0 {
			continue
		}
		if at, ok := r.walks(&w); ok && at == p.at {
			best, found = w, true
		}
	}
	if !found {
		return nil
	}
	return &best
}

// walks reports whether the search walked the way, and when it arrives.
func (r *routes) walks(w *way) (at compact.Instant, ok bool) {
	if !r.search.walks(w.prev.node, w.arc) {
		return 0, false
	}
	if !r.timed() {
		return compact.None, true
	}
	return r.arrive(w.arc, w.prev.at)
}

// walks reports whether the search walks over an arc at a node that it walked from, in time or not.
func (s *search) walks(near compact.Node, a compact.Arc) bool {
	mark := s.g.Mark(near)
	row := &s.ways.walk[mark.Kind()]
	if _, hub := s.hubs[near]; hub {
		row = &s.ways.pastHub[mark.Kind()]
	}
	allowed := row[a.Move()]
	return allowed != 0 && s.allows(allowed, a.Far()) && !s.cut.cuts(s.g, near, a) && !s.isLeft(near)
}

func (r *routes) compare(a, b *way) int {
	if c := r.g.Compare(a.prev.node, b.prev.node); c != 0 {
		return c
	}
	return compareArcs(a.arc, b.arc)
}

// compareArcs orders arcs between two nodes by kind, forward first.
func compareArcs(a, b compact.Arc) int {
	return cmp.Or(cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(a.Move(), b.Move()))
}

// sameTo finds the ways over possiblySameAs to all that is the same as a point, at its hop and arrival: each the shortest
// chain from one to which a hop led, or a source, of several the first by ids. It gives that to the point itself.
func (r *routes) sameTo(p point) *way {
	all := r.sames(p.node, func(n compact.Node) bool {
		l, ok := r.label(n, p.hop)
		return ok && l.at == p.at
	})
	r.sort(all)
	var queue []compact.Node
	within := map[compact.Node]bool{} // to which the way is still to be found
	for _, n := range all {
		o := point{n, p.hop, p.at}
		if w := r.hopTo(o); w != nil || r.isSource(o) {
			r.known[o] = w
			queue = append(queue, n)
		} else {
			within[n] = true
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		near := point{queue[0], p.hop, p.at}
		for _, a := range r.sameArcs(near.node) {
			if n := a.Far(); within[n] {
				r.known[point{n, p.hop, p.at}], within[n] = &way{near, a}, false
				queue = append(queue, n)
			}
		}
	}
	return r.known[p]
}

// sameArc is possiblySameAs from one node to another, forward where there are both.
func (s *search) sameArc(from, to compact.Node) compact.Arc {
	arcs := s.sameArcs(from)
	i := slices.IndexFunc(arcs, func(a compact.Arc) bool { return a.Far() == to })
	return arcs[i]
}
