package traverse

import (
	"cmp"
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// MaxChokePoints is the greatest number of choke points of one question.
const MaxChokePoints = 20

// ChokePoint is a node without which targets would not be reached.
type ChokePoint struct {
	ID graph.ID
	// Lost is how many targets besides it would not be reached, what is the same counted once; LostWeight is the sum
	// of their weights.
	Lost, LostWeight int
	// Complete is not set where a limit cut the question, or the one that was asked without the node: it loses so many
	// then as far as what was reached tells.
	Complete bool
}

// ChokePoints are the nodes whose removal takes most targets from the attacker, up to n of them, at most
// MaxChokePoints; sources are none. Candidates are found as dominators of all that was reached over all that can be
// walked at the earliest arrivals, which lets through too much and never too little: a node that dominates targets
// loses them all, and may lose more by hops and time. So twice as many candidates as are asked for are taken out in
// turn and the question is asked again. Errors: those of BlastRadius; none after Release.
func (a *Answer) ChokePoints(ctx context.Context, n int) ([]ChokePoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil || n <= 0 {
		return nil, nil
	}
	n = min(n, MaxChokePoints)
	candidates, err := a.dominators(ctx, 2*n)
	if err != nil {
		return nil, err
	}
	var out []ChokePoint
	for _, c := range candidates {
		p, err := a.without(ctx, c)
		if err != nil {
			return nil, err
		}
		if p.Lost > 0 { // it may have dominated only what is the same
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y ChokePoint) int {
		return cmp.Or(-cmp.Compare(x.Lost, y.Lost), -cmp.Compare(x.LostWeight, y.LostWeight), x.ID.Compare(y.ID))
	})
	return out[:min(n, len(out))], nil
}

// candidate is a node that dominates targets.
type candidate struct {
	node      compact.Node
	dominated loss
}

// loss is a number of targets and the sum of their weights.
type loss struct{ count, weight int }

// without asks again where the candidate is not there.
func (a *Answer) without(ctx context.Context, c candidate) (ChokePoint, error) {
	less, err := a.asking.answer(ctx, a.cut.without(c.node))
	if err != nil {
		return ChokePoint{}, err
	}
	defer less.Release()
	p := ChokePoint{ID: a.found.g.ID(c.node), Complete: a.Completeness.Complete && less.Completeness.Complete}
	if less.Completeness.Complete {
		p.Lost, p.LostWeight = a.lost(less.found, c.node)
	} else {
		p.Lost, p.LostWeight = c.dominated.count, c.dominated.weight
	}
	return p, nil
}

// lost counts the targets that are not reached by another search on the same ground, what is the same once and only
// where none of it is reached; but for what is the same as one node.
func (a *Answer) lost(by *search, but compact.Node) (count, weight int) {
	s := a.found
	for hop := 1; hop < s.hopCount(); hop++ {
		s.each(hop, func(_ int, n compact.Node) {
			if _, double := a.classes[n]; !double && n != but && s.isTarget(n) && !by.has(n) {
				count, weight = count+1, weight+s.weight(n)
			}
		})
	}
	seen := map[*class]bool{}
	for _, c := range a.classes {
		if seen[c] {
			continue
		}
		seen[c] = true
		if slices.Contains(c.all, but) || len(c.targets) == 0 || slices.ContainsFunc(c.targets, by.has) {
			continue
		}
		count, weight = count+1, weight+c.weight
	}
	return count, weight
}

// dominators are up to n nodes that dominate the most targets.
func (a *Answer) dominators(ctx context.Context, n int) ([]candidate, error) {
	f := newFlow(a.found)
	if err := f.connect(ctx); err != nil {
		return nil, err
	}
	f.dominate()
	lost := f.lost(func(n compact.Node) loss {
		c, double := a.classes[n]
		switch {
		case !a.found.isTarget(n) || double && c.chief != n:
			return loss{}
		case double:
			return loss{1, c.weight}
		}
		return loss{1, a.found.weight(n)}
	})
	best := smallest[candidate]{n: n, compare: func(x, y candidate) int {
		return cmp.Or(-cmp.Compare(x.dominated.count, y.dominated.count), a.found.g.Compare(x.node, y.node))
	}}
	for i, dominated := range lost {
		if i >= f.sources && dominated.count > 0 {
			best.add(candidate{f.nodes[i], dominated})
		}
	}
	return best.sorted(), nil
}

// flow is what was reached and how it can be walked, numbered anew: the sources first.
type flow struct {
	s       *search
	nodes   []compact.Node
	sources int
	number  map[compact.Node]int32
	// next are the successors of each, in one list by from.
	next []int32
	from []int32
	// order is that of a depth-first search from the sources, place the place in it, plus one; 0 is the root before
	// them. parent is who led there, above the immediate dominator, both by place.
	order, place  []int32
	parent, above []int32
}

func newFlow(s *search) *flow {
	f := &flow{s: s, number: map[compact.Node]int32{}}
	for hop := range s.hopCount() {
		s.each(hop, func(_ int, n compact.Node) {
			f.number[n] = int32(len(f.nodes))
			f.nodes = append(f.nodes, n)
		})
		if hop == 0 {
			f.sources = len(f.nodes)
		}
	}
	return f
}

// connect finds the successors.
func (f *flow) connect(ctx context.Context) error {
	s := f.s
	for i, n := range f.nodes {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		f.from = append(f.from, int32(len(f.next)))
		for _, far := range s.sameAs(n) {
			f.lead(far)
		}
		if s.hopsOf(n) == s.q.MaxHops {
			continue // nothing was walked from here
		}
		for _, a := range s.g.Arcs(n) {
			if !s.has(a.Far()) || !s.walks(n, a) {
				continue
			}
			if s.timed() {
				if _, ok := s.arrive(a, s.holds[n].at); !ok {
					continue
				}
			}
			f.lead(a.Far())
		}
	}
	f.from = append(f.from, int32(len(f.next)))
	return nil
}

func (f *flow) lead(far compact.Node) {
	if i, reached := f.number[far]; reached {
		f.next = append(f.next, i)
	}
}

// after are the successors of a node.
func (f *flow) after(i int32) []int32 { return f.next[f.from[i]:f.from[i+1]] }

// sort numbers what was reached in the order of a depth-first search, from the root before all sources.
func (f *flow) sort() {
	f.place = make([]int32, len(f.nodes))
	f.order, f.parent = make([]int32, 0, len(f.nodes)), []int32{0}
	enter := func(n, parent int32) {
		f.order, f.parent = append(f.order, n), append(f.parent, parent)
		f.place[n] = int32(len(f.order))
	}
	type frame struct{ node, next int32 }
	for i := range int32(f.sources) {
		if f.place[i] != 0 {
			continue
		}
		enter(i, 0)
		for stack := []frame{{i, 0}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			next := f.after(top.node)
			if int(top.next) == len(next) {
				stack = stack[:len(stack)-1]
				continue
			}
			n := next[top.next]
			top.next++
			if f.place[n] == 0 {
				enter(n, f.place[top.node])
				stack = append(stack, frame{n, 0})
			}
		}
	}
}

// before are the predecessors by place, in one list by from.
func (f *flow) before() (list, from []int32) {
	from = make([]int32, len(f.order)+2)
	for _, n := range f.order {
		for _, m := range f.after(n) {
			from[f.place[m]+1]++
		}
	}
	for i := range from[1:] {
		from[i+1] += from[i]
	}
	list, put := make([]int32, len(f.next)), slices.Clone(from)
	for at, n := range f.order {
		for _, m := range f.after(n) {
			p := f.place[m]
			list[put[p]] = int32(at) + 1
			put[p]++
		}
	}
	return list, from
}

// dominate finds the immediate dominators, by semidominators (Lengauer and Tarjan: A Fast Algorithm for Finding
// Dominators in a Flowgraph, the simple version).
func (f *flow) dominate() {
	f.sort()
	count := len(f.order) + 1
	forest := newForest(count)
	f.above = make([]int32, count)
	buckets := make([][]int32, count)
	preds, from := f.before()
	for w := int32(count) - 1; w > 0; w-- {
		if int(f.order[w-1]) < f.sources {
			forest.semi[w] = 0
		}
		for _, v := range preds[from[w]:from[w+1]] {
			forest.semi[w] = min(forest.semi[w], forest.semi[forest.least(v)])
		}
		s, parent := forest.semi[w], f.parent[w]
		buckets[s] = append(buckets[s], w)
		forest.above[w] = parent
		for _, v := range buckets[parent] {
			f.above[v] = parent
			if u := forest.least(v); forest.semi[u] < forest.semi[v] {
				f.above[v] = u
			}
		}
		buckets[parent] = nil
	}
	for w := 1; w < count; w++ {
		if f.above[w] != forest.semi[w] {
			f.above[w] = f.above[f.above[w]]
		}
	}
}

// forest are the trees that dominate links, with compressed paths.
type forest struct {
	semi, above, best []int32
	path              []int32
}

func newForest(n int) *forest {
	f := &forest{semi: make([]int32, n), above: make([]int32, n), best: make([]int32, n)}
	for i := range int32(n) {
		f.semi[i], f.above[i], f.best[i] = i, -1, i
	}
	return f
}

// least is the node of the least semidominator on the way up from v, without the root of its tree.
func (f *forest) least(v int32) int32 {
	if f.above[v] < 0 {
		return v
	}
	f.path = f.path[:0]
	for x := v; f.above[f.above[x]] >= 0; x = f.above[x] {
		f.path = append(f.path, x)
	}
	for i := len(f.path) - 1; i >= 0; i-- {
		x := f.path[i]
		up := f.above[x]
		if f.semi[f.best[up]] < f.semi[f.best[x]] {
			f.best[x] = f.best[up]
		}
		f.above[x] = f.above[up]
	}
	return f.best[v]
}

// lost counts for each node the targets that it dominates, without itself.
func (f *flow) lost(of func(compact.Node) loss) []loss {
	below := make([]loss, len(f.above))
	out := make([]loss, len(f.nodes))
	for at := len(f.order) - 1; at >= 0; at-- { // a dominator comes before what it dominates
		p := int32(at) + 1
		n := f.order[at]
		out[n] = below[p]
		own := of(f.nodes[n])
		below[p] = loss{below[p].count + own.count, below[p].weight + own.weight}
		up := &below[f.above[p]]
		up.count, up.weight = up.count+below[p].count, up.weight+below[p].weight
	}
	return out
}
