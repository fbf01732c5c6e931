package traverse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// search is one run. Nodes are interned: an int32 is an index into nodes, and for labels into labels.
//
// A label says that a node is held at hops since an instant. Waiting is free and a later arrival never helps
// (graph.Edge.Arrive), so of the labels of a node only those are kept that arrive earlier than all with fewer
// hops. The search goes hop by hop; a node is in a hop's frontier if it got a label there, for the second or
// third time too.
type search struct {
	ctx    context.Context
	adj    Adjacency
	q      Question
	nodes  []node
	index  map[graph.ID]int32
	labels []label
	// reached are the nodes with a label, in the order in which they got their first.
	reached []int32
	// edges read so far.
	edges int
}

type node struct {
	id graph.ID
	// labels by rising hops and falling arrival.
	labels []int32
	// same and arcs are the loaded moves at zero hops and at one, in order.
	same, arcs             []arc
	sameLoaded, arcsLoaded bool
	// degree is the number of distinct nodes that shared moves lead to.
	degree int
	hub    bool
}

// arc is one move from a node.
type arc struct {
	edge     graph.Edge
	far      int32
	backward bool
	shared   bool
}

type label struct {
	node int32
	hops int
	at   time.Time
	// prev is the label it was made from, noLabel for a source's; arc the move between them.
	prev int32
	arc  arc
}

const noLabel = -1

func newSearch(ctx context.Context, adj Adjacency, q Question) *search {
	return &search{ctx: ctx, adj: adj, q: q, index: map[graph.ID]int32{}}
}

// run searches hop by hop. It returns a limitMet where it had to stop short.
func (s *search) run() error {
	first, err := s.sources()
	if err != nil {
		return err
	}
	for hop := 0; ; hop++ {
		frontier, err := s.admit(first)
		if err != nil {
			return err
		}
		if frontier, err = s.closeSame(frontier); err != nil || hop == s.q.MaxHops || len(frontier) == 0 {
			return err
		}
		stop := s.loadArcs(frontier)
		if stop != nil && !errors.Is(stop, limitMet(LimitEdges)) {
			return stop
		}
		first = s.relax(frontier)
		if stop != nil { // what was loaded still counts
			_, err := s.admit(first)
			return cmp.Or(err, stop)
		}
	}
}

// sources resolves the question's sources and labels them.
func (s *search) sources() ([]label, error) {
	ids, err := s.adj.Resolve(s.ctx, s.q.Sources)
	if err != nil {
		return nil, s.failed(err)
	}
	if len(ids) != len(s.q.Sources) {
		return nil, fmt.Errorf("traverse: adjacency resolved %d of %d ids", len(ids), len(s.q.Sources))
	}
	var out []label
	for i, id := range ids {
		if id.IsZero() {
			return nil, fmt.Errorf("%w: source %s", graph.ErrNotFound, s.q.Sources[i])
		}
		if _, twice := s.index[id]; !twice {
			out = append(out, label{node: s.intern(id), at: s.q.Start, prev: noLabel})
		}
	}
	return out, nil
}

func (s *search) intern(id graph.ID) int32 {
	n, ok := s.index[id]
	if !ok {
		n = int32(len(s.nodes))
		s.index[id] = n
		s.nodes = append(s.nodes, node{id: id})
	}
	return n
}

// admit gives nodes their new labels, earliest first, and returns these in order. It returns LimitNodes
// where nodes had to be left out.
func (s *search) admit(fresh []label) (frontier []int32, err error) {
	slices.SortFunc(fresh, s.compare)
	for _, l := range fresh {
		if !s.room(l.node) {
			err = limitMet(LimitNodes)
			continue
		}
		frontier = append(frontier, s.put(l))
	}
	return frontier, err
}

// room reports whether the budget lets the node be reached.
func (s *search) room(n int32) bool {
	return len(s.nodes[n].labels) > 0 || len(s.reached) < s.q.Budget.Nodes
}

// put gives a node a label; one of the same hop is replaced.
func (s *search) put(l label) int32 {
	i, n := int32(len(s.labels)), &s.nodes[l.node]
	s.labels = append(s.labels, l)
	if len(n.labels) == 0 {
		s.reached = append(s.reached, l.node)
	}
	if last := s.last(l.node); last != nil && last.hops == l.hops {
		n.labels = n.labels[:len(n.labels)-1]
	}
	n.labels = append(n.labels, i)
	return i
}

// last is the node's label of the most hops, so the earliest; nil where it has none.
func (s *search) last(n int32) *label {
	if ls := s.nodes[n].labels; len(ls) > 0 {
		return &s.labels[ls[len(ls)-1]]
	}
	return nil
}

// better reports whether an arrival at the node would be earlier than all it has.
func (s *search) better(n int32, at time.Time) bool {
	last := s.last(n)
	return last == nil || at.Before(last.at)
}

// closeSame follows possiblySameAs from the frontier at no hops and no time, and returns the frontier with
// what that adds, in order.
func (s *search) closeSame(frontier []int32) ([]int32, error) {
	stop := s.loadSame(frontier)
	var closed []int32
	for _, seed := range frontier {
		more, err := s.spread(seed)
		closed, stop = append(closed, more...), cmp.Or(stop, err)
	}
	slices.SortFunc(closed, func(a, b int32) int { return s.compare(s.labels[a], s.labels[b]) })
	return closed, stop
}

// spread gives all that is the same as the seed's node the seed's arrival, and returns the labels, the
// seed's first. Seeds come earliest first, so a seed that an earlier one has reached is void.
func (s *search) spread(seed int32) ([]int32, error) {
	if current := s.nodes[s.labels[seed].node].labels; current[len(current)-1] != seed {
		return nil, nil
	}
	queue, stop := []int32{seed}, error(nil)
	for i := 0; i < len(queue); i++ {
		l := s.labels[queue[i]]
		for _, a := range s.nodes[l.node].same {
			switch {
			case !s.better(a.far, l.at):
			case !s.room(a.far):
				stop = limitMet(LimitNodes)
			default:
				queue = append(queue, s.put(label{a.far, l.hops, l.at, queue[i], a}))
			}
		}
	}
	return queue, stop
}

// relax returns, for each node that the frontier leads to earlier than before, its best new label.
func (s *search) relax(frontier []int32) []label {
	var fresh []label
	at := map[int32]int{}
	for _, i := range frontier {
		l := s.labels[i]
		for _, a := range s.nodes[l.node].arcs {
			arrival, ok := s.usable(l, a)
			if !ok || !s.better(a.far, arrival) {
				continue
			}
			n := label{a.far, l.hops + 1, arrival, i, a}
			if j, seen := at[a.far]; !seen {
				at[a.far] = len(fresh)
				fresh = append(fresh, n)
			} else if s.compare(n, fresh[j]) < 0 {
				fresh[j] = n
			}
		}
	}
	return fresh
}

// usable applies the question's edge kinds, the hub rule (sources are no hubs) and time.
func (s *search) usable(l label, a arc) (time.Time, bool) {
	if !allows(s.q.EdgeKinds, a.edge.Kind) || (a.shared && l.hops > 0 && s.nodes[l.node].hub) {
		return time.Time{}, false
	}
	return a.edge.Arrive(l.at, s.q.CredentialLife)
}

// compare orders labels of one hop by arrival and node; for one node by the id before it and the move, so
// that a witness does not depend on the order of the adjacency.
func (s *search) compare(a, b label) int {
	if c := cmp.Or(a.at.Compare(b.at), s.nodes[a.node].id.Compare(s.nodes[b.node].id)); c != 0 || a.prev == noLabel {
		return c
	}
	before := func(l label) graph.ID { return s.nodes[s.labels[l.prev].node].id }
	return cmp.Or(before(a).Compare(before(b)), compareMoves(a.arc, b.arc))
}

// compareMoves orders the moves between two nodes.
func compareMoves(a, b arc) int {
	return cmp.Or(cmp.Compare(a.edge.Kind, b.edge.Kind), compareBool(a.backward, b.backward))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// failed turns an error of the adjacency into the limit or the caller's cancellation behind it.
func (s *search) failed(err error) error {
	switch ended := s.ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded):
		return limitMet(LimitDeadline)
	case ended != nil:
		return ended
	}
	return err
}
