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

// key tells the points of a search apart: at follows from the others.
func (p point) key() uint64 { return uint64(p.hop)<<32 | uint64(p.node) }

// way leads to a point from the one before over an arc, as it lies at the node before; none leads to a source.
type way struct {
	prev point
	arc  compact.Arc
}

// leg is the way that leads to a point.
type leg struct {
	way
	to compact.Instant // the point's arrival
	// back is the one that leads to prev, nil where prev is a source, once it is traced.
	back   *leg
	traced bool
	// step is what is told of it, nil before it is.
	step *Step
}

// routes finds ways again that a search went, each once.
type routes struct {
	*search
	// known are legs by the key of the point they lead to; nil for a source.
	known map[uint64]*leg
	// shown are points to which ways will probably be asked for.
	shown []point
	// untold are legs of which no steps were told.
	untold []*leg
	// room is for steps of routes, in blocks: who keeps one keeps its block.
	room []Step
}

// to is the route to a point.
func (r *routes) to(p point) Route {
	last, n := r.leg(p), 0
	for l := last; l != nil; l = r.before(l) {
		n++
	}
	out := Route{Hops: p.hop, Arrival: p.at.Time(), Steps: r.roomFor(n)}
	for l := last; l != nil; l = l.back {
		n--
		out.Steps[n] = *r.tell(l)
		out.Inferred = out.Inferred || out.Steps[n].Inferred
	}
	return out
}

func (r *routes) roomFor(n int) (steps []Step) {
	if len(r.room) < n {
		r.room = make([]Step, max(n, compact.Together))
	}
	steps, r.room = r.room[:n:n], r.room[n:]
	return steps
}

// tell gives a leg's step. It makes the steps of all legs that are known, also for who asks for one: their memory is
// looked up together, and a page's will be asked for.
func (r *routes) tell(l *leg) *Step {
	if l.step != nil {
		return l.step
	}
	var near [compact.Together]compact.Node
	var arcs [compact.Together]compact.Arc
	var edges [compact.Together]graph.Edge
	steps := make([]Step, len(r.untold))
	for some := range slices.Chunk(r.untold, compact.Together) {
		for i, l := range some {
			near[i], arcs[i] = l.prev.node, l.arc
		}
		r.g.Edges(near[:len(some)], arcs[:], edges[:])
		for i, l := range some {
			steps[i] = r.stepOf(&edges[i], &l.way, l.to)
			l.step = &steps[i]
		}
		steps = steps[len(some):]
	}
	r.untold = r.untold[:0]
	return l.step
}

// step is the move of who held the way's near end since its arrival there, and is at the far end at this instant.
func (r *routes) step(w *way, at compact.Instant) Step {
	e := r.g.Edge(w.prev.node, w.arc)
	return r.stepOf(&e, w, at)
}

func (r *routes) stepOf(e *graph.Edge, w *way, at compact.Instant) Step {
	since, same := w.prev.at.Time(), e.Kind == graph.EdgePossiblySame
	return Step{
		Kind: e.Kind, From: e.From, To: e.To, Backward: w.arc.Backward(), At: at.Time(),
		Inferred:  e.Inferred || same,
		Gap:       !same && r.timed() && e.Count > 1 && since.After(e.FirstSeen) && since.Before(e.LastSeen),
		FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, Sources: e.Sources, Alerts: e.Alerts,
	}
}

// leg is how the search came to the point, nil for a source.
func (r *routes) leg(p point) *leg {
	l, known := r.known[p.key()]
	if !known && r.together(p) {
		l, known = r.known[p.key()]
	}
	if !known {
		if l = r.hopTo(p); l != nil || r.isSource(p) {
			r.know(p, l)
		} else {
			l = r.sameTo(p)
		}
	}
	return l
}

// know keeps the leg to a point, nil to a source.
func (r *routes) know(p point, l *leg) {
	if l != nil {
		l.to = p.at
		r.untold = append(r.untold, l)
	}
	if r.known == nil {
		r.known = map[uint64]*leg{}
	}
	r.known[p.key()] = l
}

// before is the leg that leads to where this one begins, nil for the first.
func (r *routes) before(l *leg) *leg {
	if !l.traced {
		l.back, l.traced = r.leg(l.prev), true
	}
	return l.back
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
	best, found := make([]leg, len(wanted)), make([]bool, len(wanted))
	r.number(r.g.Numbers(), uint32(len(wanted)))
	for i, p := range wanted {
		r.give(p.node, i)
	}
	for l := from; l < to; l++ {
		prev := point{r.nodes[l], wanted[0].hop - 1, r.at(l)}
		for _, a := range r.g.Arcs(prev.node) {
			i, is := r.numbered(a.Far())
			if !is || a.Far() == prev.node {
				continue
			}
			w := way{prev, a}
			if found[i] && r.compare(&w, &best[i].way) >= 0 {
				continue
			}
			if at, ok := r.walks(&w); ok && at == wanted[i].at {
				best[i].way, found[i] = w, true
			}
		}
	}
	r.untold = slices.Grow(r.untold, len(wanted))
	if r.known == nil {
		r.known = make(map[uint64]*leg, 2*len(wanted))
	}
	for i, p := range wanted {
		if _, known := r.known[p.key()]; found[i] && !known {
			r.know(p, &best[i])
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
func (r *routes) hopTo(p point) *leg {
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
	return &leg{way: best}
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
func (r *routes) sameTo(p point) *leg {
	all := r.sames(p.node, func(n compact.Node) bool {
		l, ok := r.label(n, p.hop)
		return ok && l.at == p.at
	})
	r.sort(all)
	var queue []compact.Node
	within := map[compact.Node]bool{} // to which the way is still to be found
	for _, n := range all {
		o := point{n, p.hop, p.at}
		if l := r.hopTo(o); l != nil || r.isSource(o) {
			r.know(o, l)
			queue = append(queue, n)
		} else {
			within[n] = true
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		near := point{queue[0], p.hop, p.at}
		for _, a := range r.sameArcs(near.node) {
			if n := a.Far(); within[n] {
				r.know(point{n, p.hop, p.at}, &leg{way: way{near, a}})
				within[n] = false
				queue = append(queue, n)
			}
		}
	}
	return r.known[p.key()]
}

// sameArc is possiblySameAs from one node to another, forward where there are both.
func (s *search) sameArc(from, to compact.Node) compact.Arc {
	arcs := s.sameArcs(from)
	i := slices.IndexFunc(arcs, func(a compact.Arc) bool { return a.Far() == to })
	return arcs[i]
}
