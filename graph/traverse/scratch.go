package traverse

import (
	"math"
	"sync"
	"sync/atomic"

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
	// stamps number some nodes for one purpose at a time: from base on, below base+size.
	stamps     []uint32
	base, size uint32
}

// hold is the last label of a node: its number plus one, 0 for none, and its arrival.
type hold struct {
	at   compact.Instant
	last uint32
}

// scratches are idle; the collector takes those that are for long. One stays in lastUsed: where questions come now and
// then, making it anew would take longer than most of them. It has up to 24 bytes for each node of the largest graph it
// was used for, and 16 for each that one search reached, which no bound of graphs in memory counts.
var (
	scratches sync.Pool
	lastUsed  atomic.Pointer[scratch]
)

func newScratch() *scratch {
	if s := lastUsed.Swap(nil); s != nil {
		return s
	}
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

// number begins to number nodes anew, by numbers below size.
func (s *scratch) number(numbers int, size uint32) {
	s.stamps = fitted(s.stamps, numbers)
	if s.base += s.size; s.base == 0 || s.base > math.MaxUint32-size {
		clear(s.stamps)
		s.base = 1
	}
	s.size = size
}

// give gives a node a number.
func (s *scratch) give(n compact.Node, number int) { s.stamps[n] = s.base + uint32(number) }

// numbered is the node's number, if it has one.
func (s *scratch) numbered(n compact.Node) (number int, ok bool) {
	i := s.stamps[n] - s.base
	return int(i), i < s.size
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
	if !lastUsed.CompareAndSwap(nil, s) {
		scratches.Put(s)
	}
}
