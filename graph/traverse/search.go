package traverse

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// search is one run.
//
// A label says that a node is held at hops since an instant. Waiting is free and a later arrival never helps
// (graph.Edge.Arrive), so of the labels of a node only those are kept that arrive earlier than all with fewer
// hops. The search goes hop by hop; a node is in a hop's frontier if it got a label there, for the second or
// third time too. By which way a label came is not kept: routes find it again for what is shown.
type search struct {
	*scratch
	ctx  context.Context
	src  source
	g    *compact.Graph
	q    Question
	ways *ways
	life compact.Instant // how long credentials live
	// targets are the kinds that count.
	targets kinds
	// cut are the moves that are not there at nodes.
	cut *cuts
	// goal ends the search at the hop at which it is reached, where seeks says that there is one.
	goal  compact.Node
	seeks bool
	// begun is how many hops were made before, so that the start may be a hub.
	begun int
	// sources are so many of the first labels.
	sources int
	// reached counts the nodes with a label, edges those that were read.
	reached, edges int
	// hubs that were not walked through, and their degree.
	hubs map[compact.Node]int
	// left are the nodes of the last hop from which no edge was walked, for the budget of edges; in order of id.
	left []compact.Node
	// strides counts arcs until the context is asked.
	strides int
}

// stride is how many arcs are looked at between two looks at the context: well under a millisecond.
const stride = 1 << 15

func newSearch(ctx context.Context, src source, q Question, w *ways) *search {
	s := &search{scratch: newScratch(), ctx: ctx, src: src, q: q, ways: w, life: compact.Instant(q.CredentialLife.Microseconds()), targets: kindsOf(q.TargetKinds)}
	s.look()
	return s
}

// look takes the graph as it is by now.
func (s *search) look() {
	s.g = s.src.graph()
	s.fit(s.g.Numbers(), s.timed())
}

func (s *search) timed() bool { return !s.q.Timeless }

// run searches and closes the list of labels. It returns a limitMet where it had to stop short.
func (s *search) run() error { return s.runFrom(s.begin) }

func (s *search) runFrom(begin func() error) error {
	err := begin()
	if err == nil {
		err = s.hops()
	}
	err = failed(s.ctx, err)
	if n := len(s.starts); n == 0 || s.starts[n-1] != len(s.nodes) {
		s.starts = append(s.starts, len(s.nodes))
	}
	return err
}

func (s *search) hops() error {
	for hop := 0; ; hop++ {
		stop := s.closeSame(s.starts[hop])
		s.starts = append(s.starts, len(s.nodes))
		if stop != nil || hop == s.q.MaxHops || s.starts[hop] == s.starts[hop+1] || s.seeks && s.has(s.goal) {
			return stop
		}
		if err := s.expand(hop); err != nil {
			return err
		}
	}
}

// begin labels the sources.
func (s *search) begin() error {
	sources, err := s.src.resolve(s.ctx, s.q.Sources)
	if err != nil {
		return err
	}
	return s.beginAt(sources, compact.InstantOf(s.q.Start))
}

func (s *search) beginAt(sources []compact.Node, at compact.Instant) error {
	s.look()
	s.starts = append(s.starts, 0)
	for _, n := range sources {
		if !s.has(n) {
			s.put(n, at)
		}
	}
	err := s.trim(0)
	s.sources = len(s.nodes)
	return err
}

// has reports whether the node is held.
func (s *search) has(n compact.Node) bool {
	if s.timed() {
		return s.holds[n].last != 0
	}
	return s.levels[n] != 0
}

// better reports whether an arrival at the node would be earlier than all it has.
func (s *search) better(n compact.Node, at compact.Instant) bool {
	if !s.timed() {
		return s.levels[n] == 0
	}
	h := &s.holds[n]
	return h.last == 0 || at < h.at
}

// put gives a node a label of the present hop; one of the same hop is changed.
func (s *search) put(n compact.Node, at compact.Instant) {
	if !s.timed() {
		s.levels[n] = uint8(len(s.starts))
		s.nodes = append(s.nodes, n)
		s.reached++
		return
	}
	h := &s.holds[n]
	h.at = at
	if int(h.last) > s.starts[len(s.starts)-1] {
		s.ats[h.last-1] = at
		return
	}
	if h.last == 0 {
		s.reached++
	}
	s.nodes, s.ats, s.befores = append(s.nodes, n), append(s.ats, at), append(s.befores, h.last)
	h.last = uint32(len(s.nodes))
}

// takeBack takes the label back that was given last.
func (s *search) takeBack() {
	i := len(s.nodes) - 1
	n := s.nodes[i]
	s.nodes = s.nodes[:i]
	if !s.timed() {
		s.levels[n] = 0
		s.reached--
		return
	}
	before := s.befores[i]
	s.ats, s.befores = s.ats[:i], s.befores[:i]
	if s.holds[n] = (hold{}); before == 0 {
		s.reached--
	} else {
		s.holds[n] = hold{s.ats[before-1], before}
	}
}

// at is a label's arrival.
func (s *search) at(label int) compact.Instant {
	if !s.timed() {
		return compact.None
	}
	return s.ats[label]
}

// first reports whether it is its node's label of the fewest hops.
func (s *search) first(label int) bool { return !s.timed() || s.befores[label] == 0 }

// trim leaves out nodes of the labels from one on where there are more than the budget allows: those that come
// last by arrival and id. It returns LimitNodes then.
func (s *search) trim(from int) error {
	if s.reached <= s.q.Budget.Nodes {
		return nil
	}
	order := s.ordered(from)
	type given struct {
		n  compact.Node
		at compact.Instant
	}
	all := make([]given, len(order))
	for i, l := range order {
		all[i] = given{s.nodes[l], s.at(l)}
	}
	for len(s.nodes) > from {
		s.takeBack()
	}
	for _, x := range all {
		if s.has(x.n) || s.reached < s.q.Budget.Nodes {
			s.put(x.n, x.at)
		}
	}
	return limitMet(LimitNodes)
}

// ordered are the labels from one on by arrival and id.
func (s *search) ordered(from int) []int {
	order := make([]int, len(s.nodes)-from)
	for i := range order {
		order[i] = from + i
	}
	slices.SortFunc(order, s.compare)
	return order
}

// compare orders labels by arrival and id.
func (s *search) compare(a, b int) int {
	if c := cmp.Compare(s.at(a), s.at(b)); c != 0 {
		return c
	}
	return s.g.Compare(s.nodes[a], s.nodes[b])
}

// closeSame follows possiblySameAs from the labels from one on, at no hops and no time.
func (s *search) closeSame(from int) error {
	if err := s.src.same(s.ctx, s.nodes[from:]); err != nil {
		return err
	}
	s.look()
	if !s.g.AnySame() {
		return nil
	}
	var seeds []int
	for l := from; l < len(s.nodes); l++ {
		if s.g.Mark(s.nodes[l]).Same() {
			seeds = append(seeds, l)
		}
	}
	if seeds == nil {
		return nil
	}
	return s.spread(seeds)
}

// spread gives all that is the same as a seed's node the seed's arrival, from the earliest seed on.
func (s *search) spread(seeds []int) error {
	slices.SortFunc(seeds, s.compare)
	var stop error
	for _, seed := range seeds {
		at, queue := s.at(seed), []compact.Node{s.nodes[seed]} // an earlier seed may have changed its arrival
		for i := 0; i < len(queue); i++ {
			for _, far := range s.sameAs(queue[i]) {
				switch {
				case !s.better(far, at):
				case !s.has(far) && s.reached >= s.q.Budget.Nodes:
					stop = limitMet(LimitNodes)
				default:
					s.put(far, at)
					queue = append(queue, far)
				}
			}
		}
	}
	return stop
}

// sameAs are the other ends of possiblySameAs at a node, in order of id.
func (s *search) sameAs(n compact.Node) (out []compact.Node) {
	for _, a := range s.sameArcs(n) {
		out = append(out, a.Far())
	}
	return out
}

// sameArcs are possiblySameAs at a node, one to each other end, forward where there are both, in order of its id.
func (s *search) sameArcs(n compact.Node) (out []compact.Arc) {
	if !s.g.Mark(n).Same() {
		return nil
	}
	for _, a := range s.g.Arcs(n) {
		if a.Kind() == graph.EdgePossiblySame && a.Far() != n && !s.cut.cuts(s.g, n, a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b compact.Arc) int {
		if c := s.g.Compare(a.Far(), b.Far()); c != 0 {
			return c
		}
		return compareArcs(a, b)
	})
	return slices.CompactFunc(out, func(a, b compact.Arc) bool { return a.Far() == b.Far() })
}

// sames are the node and all that is the same and passes, as far as it is not cut.
func (s *search) sames(n compact.Node, pass func(compact.Node) bool) []compact.Node {
	all, seen := []compact.Node{n}, map[compact.Node]bool{n: true}
	for i := 0; i < len(all); i++ {
		for _, far := range s.sameAs(all[i]) {
			if !seen[far] && pass(far) {
				seen[far], all = true, append(all, far)
			}
		}
	}
	return all
}

func anyNode(compact.Node) bool { return true }

// sort orders nodes by id.
func (s *search) sort(nodes []compact.Node) {
	slices.SortFunc(nodes, s.g.Compare)
}

// expand walks from all labels of a hop, or from those for which the budget of edges is enough.
func (s *search) expand(hop int) error {
	if err := s.provide(hop); err != nil {
		return err
	}
	begun, edges := len(s.nodes), s.edges
	err := s.relax(hop)
	if errors.Is(err, limitMet(LimitEdges)) {
		for len(s.nodes) > begun {
			s.takeBack()
		}
		s.edges = edges
		s.leave(hop)
		err = s.relax(hop)
	}
	if err == nil {
		err = s.trim(begun)
	}
	if err == nil && len(s.left) > 0 {
		err = limitMet(LimitEdges)
	}
	if limit, _ := limitOf(err); limit == LimitNodes || limit == LimitEdges { // what was found is closed all the same
		if _, failed := limitOf(s.closeSame(begun)); failed != nil {
			return failed
		}
	}
	return err
}

// provide has the source bring the edges at a hop's nodes.
func (s *search) provide(hop int) error {
	if _, all := s.src.(whole); all {
		return nil
	}
	left, err := s.src.arcs(s.ctx, s.fresh(hop), s.q.Budget.Edges-s.edges)
	s.left = left
	s.look()
	return err
}

// fresh are the nodes of which the hop's is the first label, in order of id.
func (s *search) fresh(hop int) (out []compact.Node) {
	for l := s.starts[hop]; l < s.starts[hop+1]; l++ {
		if s.first(l) {
			out = append(out, s.nodes[l])
		}
	}
	s.sort(out)
	return out
}

// leave cuts off, in order of id, the nodes for which the budget of edges is not enough.
func (s *search) leave(hop int) {
	fresh, room := s.fresh(hop), s.q.Budget.Edges-s.edges
	for i, n := range fresh {
		if room -= s.ways.count(s.g, n, s.g.Mark(n), s.g.Arcs(n)); room < 0 {
			s.left = fresh[i:]
			break
		}
	}
	for _, n := range s.left { // not judged then
		delete(s.hubs, n)
	}
}

// isLeft reports whether no edge was walked from the node at the last hop.
func (s *search) isLeft(n compact.Node) bool {
	if len(s.left) == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(s.left, n, s.g.Compare)
	return found
}

// failed turns an error of the source into the limit or the caller's cancellation behind it.
func failed(ctx context.Context, err error) error {
	if err == nil || errors.As(err, new(limitMet)) {
		return err
	}
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded):
		return limitMet(LimitDeadline)
	case ended != nil:
		return ended
	}
	return err
}
