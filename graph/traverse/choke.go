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
	// Complete is not set where a limit cut the question that was asked without it: it loses at most so many then.
	Complete bool
}

// ChokePoints are the nodes whose removal takes most targets from the attacker, up to n of them, at most
// MaxChokePoints; sources are none. Candidates are found as dominators (Cooper, Harvey, Kennedy: A Simple, Fast
// Dominance Algorithm) of all that was reached over all that can be walked at the earliest arrivals, which lets
// through too much and never too little: a node that dominates targets loses them all, and may lose more by hops and
// time. So twice as many candidates as are asked for are taken out in turn and the question is asked again. Errors:
// those of BlastRadius; none after Release.
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
	dominated int
}

// without asks again where the candidate is not there.
func (a *Answer) without(ctx context.Context, c candidate) (ChokePoint, error) {
	less, err := a.asking.answer(ctx, without(c.node))
	if err != nil {
		return ChokePoint{}, err
	}
	defer less.Release()
	p := ChokePoint{ID: a.found.g.ID(c.node), Complete: less.Completeness.Complete}
	p.Lost, p.LostWeight = a.lost(less.found, c.node)
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
		if seen[c] || slices.Contains(c.all, but) || len(c.targets) == 0 || slices.ContainsFunc(c.targets, by.has) {
			continue
		}
		seen[c] = true
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
	lost := f.lost(func(n compact.Node) bool {
		c, double := a.classes[n]
		return a.found.isTarget(n) && (!double || c.chief == n)
	})
	best := smallest[candidate]{n: n, compare: func(x, y candidate) int {
		return cmp.Or(-cmp.Compare(x.dominated, y.dominated), a.found.g.Compare(x.node, y.node))
	}}
	for i, dominated := range lost {
		if i >= f.sources && dominated > 0 {
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
	// order is a reverse postorder from the sources, place the place in it, plus one; 0 is the root before them.
	order, place []int32
	// above is the immediate dominator by place.
	above []int32
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

// sort finds the reverse postorder.
func (f *flow) sort() {
	f.place = make([]int32, len(f.nodes))
	type frame struct{ node, next int32 }
	for i := range f.sources {
		if f.place[i] != 0 {
			continue
		}
		f.place[i] = -1
		for stack := []frame{{int32(i), 0}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if next := f.after(top.node); int(top.next) < len(next) {
				n := next[top.next]
				top.next++
				if f.place[n] == 0 {
					f.place[n] = -1
					stack = append(stack, frame{n, 0})
				}
				continue
			}
			f.order = append(f.order, top.node)
			stack = stack[:len(stack)-1]
		}
	}
	slices.Reverse(f.order)
	for at, n := range f.order {
		f.place[n] = int32(at) + 1
	}
}

// dominate finds the immediate dominators.
func (f *flow) dominate() {
	f.sort()
	f.above = make([]int32, len(f.order)+1)
	for i := range f.above {
		f.above[i] = -1
	}
	f.above[0] = 0
	for i := range f.sources {
		f.above[f.place[i]] = 0
	}
	for changed := true; changed; {
		changed = false
		for at, n := range f.order {
			for _, m := range f.after(n) {
				p := f.place[m]
				now := f.meet(int32(at)+1, f.above[p])
				if now != f.above[p] {
					f.above[p], changed = now, true
				}
			}
		}
	}
}

// meet is the nearest common dominator of two places, of which the second may have none yet.
func (f *flow) meet(a, b int32) int32 {
	if b < 0 {
		return a
	}
	for a != b {
		for a > b {
			a = f.above[a]
		}
		for b > a {
			b = f.above[b]
		}
	}
	return a
}

// lost counts for each node the targets that it dominates, without itself.
func (f *flow) lost(target func(compact.Node) bool) []int {
	below := make([]int, len(f.above))
	out := make([]int, len(f.nodes))
	for at := len(f.order) - 1; at >= 0; at-- { // a dominator comes before what it dominates
		p := int32(at) + 1
		n := f.order[at]
		out[n] = below[p]
		if target(f.nodes[n]) {
			below[p]++
		}
		below[f.above[p]] += below[p]
	}
	return out
}
