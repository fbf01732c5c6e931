package traverse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// MaxPaths is the greatest number of paths of one question.
const MaxPaths = 10

// PathsAnswer are the shortest paths from the sources to one node.
type PathsAnswer struct {
	// Routes by hops, arrival and ids (of the near and the far end of each hop, from the source on). None visits
	// anything twice; what is the same (possiblySameAs) is one thing, so that no two differ only within it.
	Routes       []Route
	Completeness Completeness
}

// Paths finds the k shortest paths from the sources to a node, at most MaxPaths; 0 means MaxPaths. Where the node is a
// source, or the same as one, there are none. It is Yen's algorithm (Management Science 17, 1971): after the best
// path, the next one is the best of those that leave one of those before at a node. Each search in it may take the
// question's budget; Completeness sums them up. Errors: those of BlastRadius, and graph.ErrNotFound for the node.
func Paths(ctx context.Context, on Ground, q Question, to graph.ID, k int) (PathsAnswer, error) {
	if k < 0 || k > MaxPaths {
		return PathsAnswer{}, fmt.Errorf("%w: %d paths, 1 to %d are possible", graph.ErrInvalid, k, MaxPaths)
	}
	setDefault(&k, MaxPaths)
	a, err := ask(on, q, to)
	if err != nil {
		return PathsAnswer{}, err
	}
	y := yen{asking: a, ctx: ctx}
	limit, err := limitOf(y.find(to, k))
	if err != nil {
		return PathsAnswer{}, err
	}
	out := PathsAnswer{Routes: []Route{}, Completeness: Completeness{limit == LimitNone, limit, y.nodes, y.edges}}
	for _, t := range y.found {
		out.Routes = append(out.Routes, y.route(t))
	}
	return out, nil
}

// yen is one run.
type yen struct {
	*asking
	ctx          context.Context
	sources      []compact.Node
	goal         compact.Node
	found        []trail
	rest         []trail // candidates, no two the same
	nodes, edges int
}

// trail is a path: the hops from a source on.
type trail struct {
	source compact.Node
	hops   []hop
}

// hop is a move over an arc that lies at a node, and the arrival behind it.
type hop struct {
	near compact.Node
	arc  compact.Arc
	at   compact.Instant
}

func (y *yen) find(to graph.ID, k int) error {
	ends, err := y.src.resolve(y.ctx, append([]graph.ID{to}, y.q.Sources...))
	if err != nil {
		return failed(y.ctx, err)
	}
	y.goal, y.sources = ends[0], ends[1:]
	err = y.branch(trail{}, y.sources, nil)
	for len(y.found) < k && len(y.rest) > 0 {
		best := y.take()
		y.found = append(y.found, best)
		if err == nil {
			err = y.deviate(best)
		}
		if _, failed := limitOf(err); failed != nil { // after a limit, what was found by then
			return failed
		}
	}
	return err
}

// take takes the best candidate.
func (y *yen) take() trail {
	i := 0
	for j := range y.rest {
		if y.compare(y.rest[j], y.rest[i]) < 0 {
			i = j
		}
	}
	best := y.rest[i]
	y.rest = slices.Delete(y.rest, i, i+1)
	return best
}

func (y *yen) compare(a, b trail) int {
	g := y.src.graph()
	if c := cmp.Or(cmp.Compare(len(a.hops), len(b.hops)), cmp.Compare(a.at(len(a.hops)), b.at(len(b.hops))), g.Compare(a.source, b.source)); c != 0 {
		return c
	}
	return slices.CompareFunc(a.hops, b.hops, func(x, y hop) int { return compareHops(g, x, y) })
}

func compareHops(g *compact.Graph, a, b hop) int {
	return cmp.Or(g.Compare(a.near, b.near), g.Compare(a.arc.Far(), b.arc.Far()),
		compareArcs(a.arc, b.arc))
}

// at is the arrival behind so many hops; behind none it does not matter.
func (t trail) at(hops int) compact.Instant {
	if hops == 0 {
		return compact.None
	}
	return t.hops[hops-1].at
}

// deviate adds the candidates that go along with a path up to some node, and leave it there.
func (y *yen) deviate(path trail) error {
	var others []compact.Node // sources of no path so far
	for _, n := range y.sources {
		if !slices.ContainsFunc(y.found, func(t trail) bool { return slices.Contains(y.class(t.source), n) }) {
			others = append(others, n)
		}
	}
	if len(others) > 0 && len(others) < len(y.sources) {
		if err := y.branch(trail{}, others, nil); err != nil {
			return err
		}
	}
	for n := range path.hops {
		prefix := trail{path.source, path.hops[:n]}
		if err := y.branch(prefix, []compact.Node{prefix.end()}, y.barred(prefix)); err != nil {
			return err
		}
	}
	return nil
}

func (t trail) end() compact.Node {
	if n := len(t.hops); n > 0 {
		return t.hops[n-1].arc.Far()
	}
	return t.source
}

// branch adds the best path that begins with the prefix and goes on from one of the nodes by what is not cut.
func (y *yen) branch(prefix trail, from []compact.Node, cut *cuts) error {
	s := y.search(y.ctx, cut)
	defer s.release()
	s.q.MaxHops -= len(prefix.hops)
	s.begun, s.goal, s.seeks = len(prefix.hops), y.goal, true
	at := compact.InstantOf(y.q.Start)
	if len(prefix.hops) > 0 {
		at = prefix.at(len(prefix.hops))
	}
	if !s.timed() {
		at = compact.None
	}
	err := s.runFrom(func() error { return s.beginAt(from, at) })
	y.nodes, y.edges = y.nodes+s.reached, y.edges+s.edges
	if rest, ok := s.best(y.goal); ok {
		if len(prefix.hops) > 0 {
			rest.source = prefix.source
		}
		rest.hops = slices.Concat(prefix.hops, rest.hops)
		if !slices.ContainsFunc(y.rest, func(t trail) bool { return y.compare(t, rest) == 0 }) {
			y.rest = append(y.rest, rest)
		}
	}
	return err
}

// barred cuts what the prefix has visited, and the hops by which paths that were found go on behind it.
func (y *yen) barred(prefix trail) *cuts {
	c := &cuts{gone: map[compact.Node]struct{}{}, arcs: map[compact.Arc]struct{}{}}
	for i := range prefix.hops {
		for _, n := range y.class(trail{prefix.source, prefix.hops[:i]}.end()) {
			c.gone[n] = struct{}{}
		}
	}
	for _, t := range y.found {
		if n := len(prefix.hops); t.source == prefix.source && len(t.hops) > n && slices.Equal(t.hops[:n], prefix.hops) {
			c.arcs[t.hops[n].arc] = struct{}{}
		}
	}
	return c
}

// class is the node and all that is the same.
func (y *yen) class(n compact.Node) []compact.Node {
	return (&search{g: y.src.graph()}).sames(n, anyNode)
}

// best is the path to the goal of a search that ended there: of the least hops and earliest arrival the first by ids.
// What leads there in time is found backwards first.
func (s *search) best(goal compact.Node) (trail, bool) {
	last := len(s.starts) - 2
	end, ok := point{}, false
	if last > 0 {
		end, ok = s.label(goal, last)
	}
	if !ok {
		return trail{}, false
	}
	layers := make([]map[compact.Node]compact.Instant, last+1)
	layers[last] = map[compact.Node]compact.Instant{goal: end.at}
	s.closeLatest(layers[last], last)
	for h := last; h > 0; h-- {
		layers[h-1] = s.latest(layers[h], h)
	}
	return s.forward(layers), true
}

// latest says of the nodes one hop before a layer until when an attacker must be there to be in time in the layer.
func (s *search) latest(layer map[compact.Node]compact.Instant, h int) map[compact.Node]compact.Instant {
	before := map[compact.Node]compact.Instant{}
	for n, until := range layer {
		for _, a := range s.g.Arcs(n) {
			p, ok := s.label(a.Far(), h-1)
			if !ok || a.Far() == n {
				continue
			}
			l, ok := s.inTime(hop{near: p.node, arc: a.Reverse(n)}, until)
			if have, there := before[p.node]; ok && p.at <= l && (!there || l > have) {
				before[p.node] = l
			}
		}
	}
	s.closeLatest(before, h-1)
	return before
}

// inTime is the latest instant at the near end from which the hop is behind it until then.
func (s *search) inTime(x hop, then compact.Instant) (compact.Instant, bool) {
	if !s.walks(x.near, x.arc) {
		return 0, false
	}
	if !s.timed() {
		return compact.None, true
	}
	first, last, ended := s.g.Seen(x.arc.Edge())
	until := s.usableUntil(x.arc.Kind(), last, ended)
	if until == compact.None {
		until = then
	}
	return min(until, then), first <= then
}

// closeLatest gives all that is the same the latest instant of any.
func (s *search) closeLatest(layer map[compact.Node]compact.Instant, h int) {
	if !s.g.AnySame() {
		return
	}
	closed := map[compact.Node]bool{}
	for _, n := range slices.Collect(maps.Keys(layer)) {
		if closed[n] || !s.g.Mark(n).Same() {
			continue
		}
		all, until := s.sames(n, anyNode), layer[n]
		for _, other := range all {
			closed[other] = true
			if at, there := layer[other]; there {
				until = max(until, at)
			}
		}
		for _, other := range all {
			if _, ok := s.label(other, h); ok {
				layer[other] = until
			}
		}
	}
}

// forward walks through the layers, by the least ids.
func (s *search) forward(layers []map[compact.Node]compact.Instant) trail {
	sources := slices.DeleteFunc(slices.Clone(s.nodes[:s.sources]), func(n compact.Node) bool { _, ok := layers[0][n]; return !ok })
	t := trail{source: slices.MinFunc(sources, s.g.Compare)}
	at := s.at(0)
	for h := range len(layers) - 1 {
		best, found := hop{}, false
		for _, near := range s.sames(t.end(), anyNode) {
			for _, a := range s.g.Arcs(near) {
				x := hop{near: near, arc: a}
				until, ok := layers[h+1][a.Far()]
				if !ok || a.Far() == near || !s.walks(x.near, x.arc) {
					continue
				}
				x.at = compact.None
				if s.timed() {
					x.at, ok = s.arrive(a, at)
				}
				if ok && x.at <= until && (!found || compareHops(s.g, x, best) < 0) {
					best, found = x, true
				}
			}
		}
		t.hops, at = append(t.hops, best), best.at
	}
	return t
}

// route is a trail with its steps.
func (y *yen) route(t trail) Route {
	s := &search{g: y.src.graph(), q: y.q}
	r := &routes{search: s}
	out := Route{Hops: len(t.hops), Arrival: t.at(len(t.hops)).Time()}
	at := compact.InstantOf(y.q.Start)
	if !s.timed() {
		at = compact.None
	}
	n := t.source
	for _, x := range t.hops {
		out.Steps = append(out.Steps, r.chain(n, x.near, at)...)
		out.Steps = append(out.Steps, r.step(&way{point{node: x.near, at: at}, x.arc}, x.at))
		n, at = x.arc.Far(), x.at
	}
	out.Steps = append(out.Steps, r.chain(n, y.goal, at)...)
	out.Inferred = slices.ContainsFunc(out.Steps, func(s Step) bool { return s.Inferred })
	return out
}

// chain are the steps over possiblySameAs from one node to another.
func (r *routes) chain(from, to compact.Node, at compact.Instant) (steps []Step) {
	next := map[compact.Node]compact.Node{to: to}
	for queue := []compact.Node{to}; len(queue) > 0; queue = queue[1:] {
		for _, far := range r.sameAs(queue[0]) {
			if _, seen := next[far]; !seen {
				next[far], queue = queue[0], append(queue, far)
			}
		}
	}
	for n := from; n != to; n = next[n] {
		steps = append(steps, r.step(&way{point{node: n, at: at}, r.sameArc(n, next[n])}, at))
	}
	return steps
}
