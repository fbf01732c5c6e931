package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
)

// sameArrays is bareTimed over the graph as the product keeps it, which has every edge at both ends, its times apart,
// and can change: what the search over it could cost at best.
type sameArrays struct {
	*bareTimed
	held *compact.Graph
	// far are the kinds to which a move may lead from a kind, as bits; none where it is not walked.
	far   [32][compact.Moves]uint32
	nodes []compact.Node // by the number in reachGraph
	names []uint32       // the other way
	idle  idle[*timedSearch]
}

func newSameArrays(t *bareTimed, held *compact.Graph) *sameArrays {
	s := &sameArrays{bareTimed: t, held: held, nodes: make([]compact.Node, len(t.ids)), names: make([]uint32, held.Numbers())}
	for i, id := range t.ids {
		n, _ := held.Find(id)
		s.nodes[i], s.names[n] = n, uint32(i)
	}
	for _, row := range traverse.WalkTable() {
		for _, m := range row.Moves {
			for near := range graph.Kind(32) {
				if m.Near != nil && !slices.Contains(m.Near, near) {
					continue
				}
				for far := range graph.Kind(32) {
					if m.Far == nil || slices.Contains(m.Far, far) {
						s.far[near][compact.MoveOf(row.Kind, m.Backward)] |= 1 << far
					}
				}
			}
		}
	}
	s.idle = newIdle(t.idle.make)
	return s
}

func (s *sameArrays) name() string { return "bare, over the product's arrays" }

func (s *sameArrays) reach(_ context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	n, ok := s.held.Find(seed)
	if !ok {
		return reachAnswer{}, fmt.Errorf("%w: %s", graph.ErrNotFound, seed)
	}
	x := s.idle.get()
	defer s.idle.put(x)
	s.search(x, n, hops)
	named := make([]uint32, len(x.reached))
	for i, n := range x.reached {
		named[i] = s.names[n]
	}
	at := func(n uint32) compact.Instant { return x.firstAt[s.nodes[n]] }
	a := s.answer(named, x.ends, func(a, b uint32) int { return cmp.Compare(at(a), at(b)) })
	for i := range a.first {
		a.first[i].at = at(s.number[a.first[i].id])
	}
	x.forget()
	return a, nil
}

// search fills x, which must be as new, with numbers of the product's graph.
func (s *sameArrays) search(x *timedSearch, seed compact.Node, hops int) {
	x.arrivals[seed] = s.start
	x.reached, x.ends = append(x.reached, uint32(seed)), append(x.ends, 1)
	x.frontier = append(x.frontier, held{uint32(seed), s.start})
	life := compact.Instant(traverse.DefaultCredentialLife.Microseconds())
	for hop := 1; hop <= hops; hop++ {
		for _, h := range x.frontier {
			row := &s.far[s.held.Mark(compact.Node(h.node)).Kind()]
			for _, a := range s.held.Arcs(compact.Node(h.node)) {
				far := a.Far()
				if row[a.Move()]>>s.held.Mark(far).Kind()&1 == 0 {
					continue
				}
				first, last, ended := s.held.Seen(a.Edge())
				until := ended
				switch a.Kind().Tense() {
				case graph.Event:
					until = last
				case graph.Credential:
					until = last + life
				}
				if at := max(h.at, first); (until == compact.None || h.at <= until) && at < x.arrivals[far] {
					x.arrive(uint32(far), at, uint8(hop))
				}
			}
		}
		x.finish()
	}
}
