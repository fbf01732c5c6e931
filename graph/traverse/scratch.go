package traverse

import (
	"sync"

	"github.com/clew-security/clew/graph/compact"
)

// scratch is the memory of one search. It is as large as the graph, so it is used again.
type scratch struct {
	// holds say of every node what its labels are. Of a search that knows no time only the first label counts, and
	// levels say at how many hops it is, plus one.
	holds  []hold
	levels []uint8
	// The labels, hop by hop: nodes[i] is held since ats[i]. Without time there are no ats and befores.
	nodes []compact.Node
	ats   []compact.Instant
	// befores is the number of the node's label with fewer hops, plus one; 0 for a node's first.
	befores []uint32
	// starts[h] is the first label of h hops; behind them comes the end.
	starts []int
	// stamps mark nodes for one purpose at a time: those that have the present stamp.
	stamps []uint32
	stamp  uint32
}

// hold is the last label of a node: its number plus one, 0 for none, and its arrival.
type hold struct {
	at   compact.Instant
	last uint32
}

var scratches sync.Pool

func newScratch() *scratch {
	if s, ok := scratches.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

// fit makes room for the numbers of a graph, which may have grown.
func (s *scratch) fit(numbers int, timed bool) {
	if timed {
		s.holds = fitted(s.holds, numbers)
	} else {
		s.levels = fitted(s.levels, numbers)
	}
}

// fitted is list, all of it zero behind what it had.
func fitted[T any](list []T, n int) []T {
	if n <= len(list) {
		return list
	}
	if n > cap(list) { // some more: graphs grow
		list = append(make([]T, 0, n+n/8), list...)
	}
	return list[:n]
}

// mark begins to mark nodes anew.
func (s *scratch) mark(numbers int) {
	s.stamps = fitted(s.stamps, numbers)
	if s.stamp++; s.stamp == 0 {
		clear(s.stamps)
		s.stamp = 1
	}
}

// marked marks a node, and reports whether it was.
func (s *scratch) marked(n compact.Node) bool {
	was := s.stamps[n] == s.stamp
	s.stamps[n] = s.stamp
	return was
}

// release gives the memory to the next search.
func (s *scratch) release() {
	if len(s.nodes) > max(len(s.holds), len(s.levels))/8 {
		clear(s.holds)
		clear(s.levels)
	} else {
		for _, n := range s.nodes {
			if int(n) < len(s.holds) {
				s.holds[n] = hold{}
			}
			if int(n) < len(s.levels) {
				s.levels[n] = 0
			}
		}
	}
	s.nodes, s.ats, s.befores, s.starts = s.nodes[:0], s.ats[:0], s.befores[:0], s.starts[:0]
	scratches.Put(s)
}
