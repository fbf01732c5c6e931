package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// bare answers what is within so many hops over every edge, both ways, at any time. It is the bar for an engine: a
// breadth-first search over the neighbours of all nodes in one array, which can do nothing else. It finds no witnesses
// (an answer's prev is zero), and its graph cannot change. Any number of searches may run at once.
type bare struct {
	*reachGraph
	// neighbours of node n are those from offsets[n] to before offsets[n+1].
	offsets    []uint32
	neighbours []uint32
	kinds      []graph.Kind
	idle       idle[*bareSearch]
}

// idle is memory that is used again. Unlike a sync.Pool's the collector takes none of it while other sides answer.
type idle[T any] struct {
	make func() T
	kept chan T
}

func newIdle[T any](one func() T) idle[T] { return idle[T]{one, make(chan T, manyClients)} }

func (i idle[T]) get() T {
	select {
	case x := <-i.kept:
		return x
	default:
		return i.make()
	}
}

func (i idle[T]) put(x T) {
	select {
	case i.kept <- x:
	default:
	}
}

// bareSearch is the memory of one search, used again by the next.
type bareSearch struct {
	seen []uint64 // a bit for each node
	// reached are the nodes by hops, the seed first; those of hop h end before ends[h].
	reached []uint32
	ends    []int
}

func newBare(g *reachGraph) *bare {
	b := &bare{reachGraph: g, offsets: make([]uint32, len(g.ids)+1), kinds: make([]graph.Kind, len(g.ids))}
	for n, d := range g.degrees() {
		b.offsets[n+1] = b.offsets[n] + d
		b.kinds[n] = g.ids[n].Kind()
	}
	b.neighbours = make([]uint32, 2*len(g.edges))
	next := slices.Clone(b.offsets)
	put := func(at, far uint32) { b.neighbours[next[at]] = far; next[at]++ }
	for _, e := range g.edges {
		put(e.from, e.to)
		put(e.to, e.from)
	}
	b.idle = newIdle(func() *bareSearch { return &bareSearch{seen: make([]uint64, len(g.ids)/64+1)} })
	return b
}

func (b *bare) name() string    { return "bare" }
func (b *bare) witnesses() bool { return false }

func (b *bare) reach(_ context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	n, ok := b.number[seed]
	if !ok {
		return reachAnswer{}, fmt.Errorf("%w: %s", graph.ErrNotFound, seed)
	}
	s := b.idle.get()
	defer b.idle.put(s)
	b.search(s, n, hops)
	a := b.answer(s.reached, s.ends, func(_, _ uint32) int { return 0 })
	s.forget()
	return a, nil
}

// search fills s, which must be as new.
func (b *bare) search(s *bareSearch, seed uint32, hops int) {
	s.visit(seed)
	s.ends = append(s.ends, 1)
	for from := 0; hops > 0; hops-- {
		frontier := s.reached[from:]
		from = len(s.reached)
		for _, n := range frontier {
			for _, far := range b.neighbours[b.offsets[n]:b.offsets[n+1]] {
				if s.seen[far/64]&(1<<(far%64)) == 0 {
					s.visit(far)
				}
			}
		}
		s.ends = append(s.ends, len(s.reached))
	}
}

func (s *bareSearch) visit(n uint32) {
	s.seen[n/64] |= 1 << (n % 64)
	s.reached = append(s.reached, n)
}

// forget makes it as new at the cost of what it has seen.
func (s *bareSearch) forget() {
	for _, n := range s.reached {
		s.seen[n/64] = 0
	}
	s.reached, s.ends = s.reached[:0], s.ends[:0]
}

// answer counts the nodes that a search reached and finds the first of them, of one hop by an order and then by id.
func (b *bare) answer(reached []uint32, ends []int, order func(a, b uint32) int) reachAnswer {
	var counts [256]int
	for _, n := range reached[1:] {
		counts[b.kinds[n]]++
	}
	a := reachAnswer{counts: map[graph.Kind]int{}}
	for k, n := range counts {
		if n > 0 {
			a.counts[graph.Kind(k)] = n
		}
	}
	for h := 1; h < len(ends) && len(a.first) < firstNodes; h++ {
		for _, n := range b.least(reached[ends[h-1]:ends[h]], firstNodes-len(a.first), order) {
			a.first = append(a.first, reachedNode{id: b.ids[n], hops: h})
		}
	}
	return a
}

// least are the n nodes that are first by an order and then by id.
func (g *reachGraph) least(of []uint32, n int, order func(a, b uint32) int) []uint32 {
	compare := func(a, b uint32) int { return cmp.Or(order(a, b), int(g.rank[a])-int(g.rank[b])) }
	out, full := make([]uint32, 0, min(len(of), 2*n)), false // full: the first n are, in order
	for _, node := range of {
		if full && compare(node, out[n-1]) >= 0 {
			continue
		}
		if out = append(out, node); len(out) == 2*n {
			slices.SortFunc(out, compare)
			out, full = out[:n], true
		}
	}
	slices.SortFunc(out, compare)
	return out[:min(len(out), n)]
}
