package traverse

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Answer is what the sources lead to. Its methods may be called by several goroutines.
type Answer struct {
	// Sources are the canonical ids, in order.
	Sources []graph.ID
	// Score is the number of reachable targets, what is the same counted once (blastRadiusScore).
	Score int
	// WeightedScore is the sum of their weights, of what is the same the greatest (blastRadiusScoreWeighted).
	WeightedScore int
	// Targets is the number of targets, each counted that is the same as another.
	Targets int
	// Hops counts all that was reached, targets or not, by least hops, what is the same once; the first are
	// the sources.
	Hops []HopCount
	// Hubs that were reached and not walked through, in order of id.
	Hubs         []Hub
	Completeness Completeness

	mu     sync.Mutex
	asking *asking
	cut    *cuts
	// found is the search, for what is shown of it; nil after Release.
	found  *search
	routes routes
	// classes are those of the reached nodes that are the same as another.
	classes map[compact.Node]*class
}

// class are reached nodes that are the same.
type class struct {
	all []compact.Node // in order of id
	// targets among them, which count as the one that no other is merely the weak double of, the smallest id of
	// such, by the greatest weight.
	targets []compact.Node
	chief   compact.Node
	weight  int
}

// Target is one reachable asset.
type Target struct {
	ID graph.ID
	// Hops and Arrival are those of the way of the least hops; Arrival is zero for since ever.
	Hops    int
	Arrival time.Time
	// Weight is what the target adds to the weighted score.
	Criticality graph.Criticality
	Weight      int
	// SameAs is the target that this one is counted as; zero where it counts itself.
	SameAs graph.ID

	node compact.Node
}

// HopCount counts the nodes whose least hops are Hops.
type HopCount struct {
	Hops   int
	Total  int
	ByKind map[graph.Kind]int
}

// Hub is a node that too many share.
type Hub struct {
	ID graph.ID
	// Degree is the number of distinct nodes that shared moves lead to.
	Degree int
}

// Completeness says whether the answer is all there is, and what it took.
type Completeness struct {
	Complete bool
	Reason   Limit
	// Nodes reached and Edges read, as Budget counts them.
	Nodes, Edges int
}

// answer puts together what the search found.
func (s *search) answer(ctx context.Context, asked *asking, limit Limit) (*Answer, error) {
	s.ctx = ctx
	late, err := limitOf(failed(s.ctx, s.grade()))
	if err == nil && errors.Is(ctx.Err(), context.Canceled) {
		err = ctx.Err()
	}
	if err != nil {
		s.release()
		return nil, err
	}
	limit = cmp.Or(limit, late)
	a := &Answer{
		Sources: s.sourceIDs(), Hubs: s.hubList(), asking: asked, cut: s.cut, found: s, routes: routes{search: s},
		Completeness: Completeness{limit == LimitNone, limit, s.reached, s.edges},
	}
	a.count()
	return a, nil
}

// grade has the source bring the criticality of the targets; of those of which it could not it is unknown.
func (s *search) grade() error {
	if _, all := s.src.(whole); all {
		return nil
	}
	var targets []compact.Node
	for hop := 1; hop < s.hopCount(); hop++ {
		s.each(hop, func(_ int, n compact.Node) {
			if s.targets>>s.g.Mark(n).Kind()&1 != 0 {
				targets = append(targets, n)
			}
		})
	}
	s.sort(targets)
	err := s.src.grades(s.ctx, targets)
	s.look()
	return err
}

// hopCount is the number of hops at which there may be nodes, 0 among them.
func (s *search) hopCount() int { return len(s.starts) - 1 }

// each calls f for the first labels of a hop.
func (s *search) each(hop int, f func(label int, n compact.Node)) {
	for l := s.starts[hop]; l < s.starts[hop+1]; l++ {
		if s.first(l) {
			f(l, s.nodes[l])
		}
	}
}

func (s *search) isTarget(n compact.Node) bool {
	m := s.g.Mark(n)
	return s.counts(m.Kind(), graph.Criticality(m.Grade()))
}

// counts reports whether nodes of this kind and criticality are targets.
func (s *search) counts(k graph.Kind, c graph.Criticality) bool {
	return s.targets>>k&1 != 0 && c >= s.q.Least
}

// sourceIDs falls back to what was asked where time ran out before the ids were resolved.
func (s *search) sourceIDs() []graph.ID {
	var ids []graph.ID
	for _, n := range s.nodes[:s.sources] {
		ids = append(ids, s.g.ID(n))
	}
	if len(ids) == 0 {
		ids = slices.Clone(s.q.Sources)
	}
	slices.SortFunc(ids, graph.ID.Compare)
	return slices.Compact(ids)
}

func (s *search) hubList() []Hub {
	var out []Hub
	for n, degree := range s.hubs {
		out = append(out, Hub{s.g.ID(n), degree})
	}
	slices.SortFunc(out, func(a, b Hub) int { return a.ID.Compare(b.ID) })
	return out
}

// tally counts nodes by kind and grade.
type tally [nearKinds][compact.MaxGrade + 1]int

// count fills in how much was reached.
func (a *Answer) count() {
	s, classes := a.found, a.findClasses()
	for hop := range s.hopCount() {
		var all tally
		s.each(hop, func(_ int, n compact.Node) {
			m := s.g.Mark(n)
			all[m.Kind()][m.Grade()]++
		})
		h := HopCount{Hops: hop, ByKind: map[graph.Kind]int{}}
		for kind := range graph.Kind(nearKinds) {
			for grade, n := range all[kind] {
				if n > 0 {
					a.add(&h, kind, graph.Criticality(grade), n)
				}
			}
		}
		a.Hops = append(a.Hops, h)
	}
	for _, c := range classes {
		a.once(c)
	}
	for len(a.Hops) > 0 && a.Hops[len(a.Hops)-1].Total == 0 {
		a.Hops = a.Hops[:len(a.Hops)-1]
	}
}

// add counts n nodes of a kind and criticality.
func (a *Answer) add(h *HopCount, kind graph.Kind, c graph.Criticality, n int) {
	h.Total += n
	h.ByKind[kind] += n
	if h.Hops > 0 && a.found.counts(kind, c) {
		a.Targets += n
		a.Score += n
		a.WeightedScore += n * Weight(kind, c)
	}
}

// findClasses finds the reached nodes that are the same.
func (a *Answer) findClasses() (out []*class) {
	s := a.found
	a.classes = map[compact.Node]*class{}
	if !s.g.AnySame() {
		return nil
	}
	for hop := range s.hopCount() {
		s.each(hop, func(_ int, n compact.Node) {
			if !s.g.Mark(n).Same() || a.classes[n] != nil {
				return
			}
			if c := s.classOf(n); len(c.all) > 1 {
				out = append(out, c)
				for _, n := range c.all {
					a.classes[n] = c
				}
			}
		})
	}
	return out
}

func (s *search) classOf(n compact.Node) *class {
	c := &class{all: s.sames(n, s.has)}
	s.sort(c.all)
	chiefWeak := true
	for _, n := range c.all {
		if s.hopsOf(n) == 0 || !s.isTarget(n) {
			continue
		}
		c.targets = append(c.targets, n)
		c.weight = max(c.weight, s.weight(n))
		if len(c.targets) == 1 || chiefWeak && !s.weak(n) {
			c.chief, chiefWeak = n, s.weak(n)
		}
	}
	return c
}

// once takes back what was counted of a class, but for one: of all, one of the least hops; of the targets the chief.
func (a *Answer) once(c *class) {
	s := a.found
	first := slices.MinFunc(c.all, func(x, y compact.Node) int { return cmp.Compare(s.hopsOf(x), s.hopsOf(y)) })
	for _, n := range c.all {
		if n != first {
			a.uncount(s.hopsOf(n), s.g.Mark(n).Kind())
		}
	}
	if len(c.targets) == 0 {
		return
	}
	for _, n := range c.targets {
		a.Score, a.WeightedScore = a.Score-1, a.WeightedScore-s.weight(n)
	}
	a.Score, a.WeightedScore = a.Score+1, a.WeightedScore+c.weight
}

func (a *Answer) uncount(hop int, kind graph.Kind) {
	h := &a.Hops[hop]
	h.Total--
	if h.ByKind[kind]--; h.ByKind[kind] == 0 {
		delete(h.ByKind, kind)
	}
}

// hopsOf is the least hops to a node that was reached.
func (s *search) hopsOf(n compact.Node) int {
	if !s.timed() {
		return int(s.levels[n]) - 1
	}
	hop, _ := slices.BinarySearch(s.starts, s.firstLabel(n)+1)
	return hop - 1
}

// firstLabel of a node that was reached.
func (s *search) firstLabel(n compact.Node) int {
	l := s.holds[n].last
	for s.befores[l-1] != 0 {
		l = s.befores[l-1]
	}
	return int(l) - 1
}

func (s *search) weight(n compact.Node) int {
	m := s.g.Mark(n)
	return Weight(m.Kind(), graph.Criticality(m.Grade()))
}

// weak reports whether the node is only possibly another.
func (s *search) weak(n compact.Node) bool {
	return slices.ContainsFunc(s.g.Arcs(n), func(a compact.Arc) bool { return a.Kind() == graph.EdgePossiblySame && !a.Backward() })
}

// Release gives the answer's memory to the next question. List and routes then give nothing. It need not be called.
func (a *Answer) Release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found != nil {
		a.found.release()
		a.found, a.routes = nil, routes{}
	}
}

// List gives up to n targets by least hops, arrival and id, those after one that it gave; from the first where after
// is nil. Sources, and what is the same as one, are no targets.
func (a *Answer) List(after *Target, n int) []Target {
	return a.list(after, n, func(compact.Node) bool { return true })
}

// list is List of those that pass.
func (a *Answer) list(after *Target, n int, pass func(compact.Node) bool) []Target {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil || n <= 0 {
		return nil
	}
	hop := 1
	if after != nil {
		hop = after.Hops
	}
	var out []Target
	for ; hop < a.found.hopCount() && len(out) < n; hop++ {
		out = a.listHop(out, hop, after, n-len(out), pass)
	}
	a.routes.shown = slices.Grow(a.routes.shown[:0], min(len(out), mostShown))
	for _, t := range out[:min(len(out), mostShown)] {
		a.routes.shown = append(a.routes.shown, point{t.node, t.Hops, compact.InstantOf(t.Arrival)})
	}
	return out
}

// listHop gives also the first n targets at so many hops, in order.
func (a *Answer) listHop(out []Target, hop int, after *Target, n int, pass func(compact.Node) bool) []Target {
	s := a.found
	best := smallest[listed]{n: n, compare: func(x, y listed) int {
		if x.at != y.at {
			return cmp.Compare(x.at, y.at)
		}
		return s.g.Compare(x.node, y.node)
	}}
	best.items = make([]listed, 0, min(n, s.starts[hop+1]-s.starts[hop]))
	s.each(hop, func(l int, node compact.Node) {
		x := listed{node, s.at(l)}
		if best.refuses(x) || !s.isTarget(node) || !pass(node) {
			return
		}
		if after != nil && hop == after.Hops &&
			cmp.Or(cmp.Compare(x.at, compact.InstantOf(after.Arrival)), s.g.ID(node).Compare(after.ID)) <= 0 {
			return
		}
		best.add(x)
	})
	out = slices.Grow(out, len(best.items))
	for _, x := range best.sorted() {
		out = append(out, a.target(x, hop))
	}
	return out
}

// listed is a target at its least hops.
type listed struct {
	node compact.Node
	at   compact.Instant
}

func (a *Answer) target(x listed, hop int) Target {
	s := a.found
	t := Target{
		ID: s.g.ID(x.node), Hops: hop, Arrival: x.at.Time(), node: x.node,
		Criticality: graph.Criticality(s.g.Mark(x.node).Grade()), Weight: s.weight(x.node),
	}
	if c, double := a.classes[x.node]; double && c.chief != x.node {
		t.SameAs = s.g.ID(c.chief)
	}
	return t
}

// Nearest is the route of the least hops to a target of List.
func (a *Answer) Nearest(t Target) Route {
	return a.route(func(*search) (point, bool) { return a.found.label(t.node, t.Hops) })
}

// Previous is what comes before a target of List on the way of the least hops; zero after Release.
func (a *Answer) Previous(t Target) graph.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		return graph.ID{}
	}
	p, ok := a.found.label(t.node, t.Hops)
	if !ok {
		return graph.ID{}
	}
	if l := a.routes.leg(p); l != nil {
		return a.found.g.ID(l.prev.node)
	}
	return graph.ID{}
}

// Earliest is the route to a target of List that arrives first, with the least hops of such; often it is the nearest.
func (a *Answer) Earliest(t Target) Route {
	return a.route(func(s *search) (point, bool) {
		if !s.timed() {
			return s.label(t.node, t.Hops)
		}
		h := s.holds[t.node]
		hop, _ := slices.BinarySearch(s.starts, int(h.last))
		return point{t.node, hop - 1, h.at}, true
	})
}

func (a *Answer) route(end func(*search) (point, bool)) Route {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		return Route{}
	}
	p, ok := end(a.found)
	if !ok {
		return Route{}
	}
	return a.routes.to(p)
}
