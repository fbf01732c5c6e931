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

// unreached is later than all arrivals.
const unreached = always

// bareTimed answers what an attacker who holds the seed since start can reach within so many hops, by the same table
// (traverse.WalkTable) and the same rule of time (graph.Edge.Arrive) as the product, through hubs too: a layered search
// for the earliest arrival over arrays that hold only what can be walked. A node is searched from again when a later hop
// arrives earlier. It finds no witnesses. Any number of searches may run at once.
type bareTimed struct {
	*bare
	start compact.Instant
	// arcs from node n are those from offsets[n] to before offsets[n+1].
	offsets []uint32
	arcs    []timedArc
	idle    idle[*timedSearch]
}

// timedArc can be used until an instant by who holds its near end; he holds the far end then, but not before first.
type timedArc struct {
	first, until compact.Instant
	far          uint32
}

// timedSearch is the memory of one search, used again by the next.
type timedSearch struct {
	arrivals []compact.Instant
	// queued is the last hop that put the node in its frontier.
	queued         []uint8
	frontier, next []held
	// reached are the nodes in the order in which they were first reached; those of hop h end before ends[h].
	reached []uint32
	ends    []int
	// firstAt is when the hop that first reached it arrives at a node.
	firstAt []compact.Instant
}

// held is a node and since when, as the hop before left it.
type held struct {
	node uint32
	at   compact.Instant
}

func newBareTimed(b *bare, start compact.Instant) *bareTimed {
	t := &bareTimed{bare: b, start: start, offsets: make([]uint32, len(b.ids)+1)}
	b.eachMove(func(near, _ uint32, _ relation) { t.offsets[near+1]++ })
	for n := range b.ids {
		t.offsets[n+1] += t.offsets[n]
	}
	t.arcs = make([]timedArc, t.offsets[len(b.ids)])
	next := slices.Clone(t.offsets)
	b.eachMove(func(near, far uint32, r relation) {
		t.arcs[next[near]] = timedArc{r.first, r.until, far}
		next[near]++
	})
	t.idle = newIdle(func() *timedSearch {
		s := &timedSearch{arrivals: make([]compact.Instant, len(b.ids)), queued: make([]uint8, len(b.ids)), firstAt: make([]compact.Instant, len(b.ids))}
		for n := range s.arrivals {
			s.arrivals[n] = unreached
		}
		return s
	})
	return t
}

// eachMove calls f with both ends of every way in which the table lets a relation be walked.
func (g *reachGraph) eachMove(f func(near, far uint32, r relation)) {
	var rows [256][]traverse.Move
	for _, row := range traverse.WalkTable() {
		rows[row.Kind] = row.Moves
	}
	for _, r := range g.edges {
		for _, m := range rows[r.kind] {
			near, far := r.from, r.to
			if m.Backward {
				near, far = far, near
			}
			if allowed(m.Near, g.ids[near]) && allowed(m.Far, g.ids[far]) {
				f(near, far, r)
			}
		}
	}
}

func allowed(only []graph.Kind, id graph.ID) bool {
	return only == nil || slices.Contains(only, id.Kind())
}

func (t *bareTimed) name() string    { return "bare, by time" }
func (t *bareTimed) witnesses() bool { return false }

func (t *bareTimed) reach(_ context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	n, ok := t.number[seed]
	if !ok {
		return reachAnswer{}, fmt.Errorf("%w: %s", graph.ErrNotFound, seed)
	}
	s := t.idle.get()
	defer t.idle.put(s)
	t.search(s, n, hops)
	a := t.answer(s.reached, s.ends, func(a, b uint32) int { return cmp.Compare(s.firstAt[a], s.firstAt[b]) })
	for i := range a.first {
		a.first[i].at = s.firstAt[t.number[a.first[i].id]]
	}
	s.forget()
	return a, nil
}

// search fills s, which must be as new.
func (t *bareTimed) search(s *timedSearch, seed uint32, hops int) {
	s.arrivals[seed] = t.start
	s.reached, s.ends = append(s.reached, seed), append(s.ends, 1)
	s.frontier = append(s.frontier, held{seed, t.start})
	for hop := 1; hop <= hops; hop++ {
		for _, h := range s.frontier {
			for _, a := range t.arcs[t.offsets[h.node]:t.offsets[h.node+1]] {
				if at := max(h.at, a.first); h.at <= a.until && at < s.arrivals[a.far] {
					s.arrive(a.far, at, uint8(hop))
				}
			}
		}
		s.finish()
	}
}

// finish ends a hop: only now are its arrivals final.
func (s *timedSearch) finish() {
	for _, n := range s.reached[s.ends[len(s.ends)-1]:] {
		s.firstAt[n] = s.arrivals[n]
	}
	s.ends = append(s.ends, len(s.reached))
	for i := range s.next {
		s.next[i].at = s.arrivals[s.next[i].node]
	}
	s.frontier, s.next = s.next, s.frontier[:0]
}

// arrive notes an arrival that is earlier than all at the node before.
func (s *timedSearch) arrive(n uint32, at compact.Instant, hop uint8) {
	if s.arrivals[n] == unreached {
		s.reached = append(s.reached, n)
	}
	s.arrivals[n] = at
	if s.queued[n] != hop {
		s.queued[n] = hop
		s.next = append(s.next, held{node: n})
	}
}

// forget makes it as new at the cost of what it has reached.
func (s *timedSearch) forget() {
	for _, n := range s.reached {
		s.arrivals[n], s.queued[n] = unreached, 0
	}
	s.reached, s.ends, s.frontier, s.next = s.reached[:0], s.ends[:0], s.frontier[:0], s.next[:0]
}
