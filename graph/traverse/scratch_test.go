package traverse

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph/compact"
)

// Numbers of nodes are those that were given since number was called, also where the stamps begin anew.
func TestNodesHaveTheNumbersThatTheyWereGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(scratch)
		nodes := rapid.IntRange(1, 6)
		for i := range rapid.IntRange(1, 40).Draw(t, "times") {
			if i == 5 { // and four billion later
				s.base = math.MaxUint32 - 40
			}
			n, size := nodes.Draw(t, "nodes"), rapid.IntRange(1, 20).Draw(t, "size")
			s.number(n, uint32(size))
			want := map[compact.Node]int{}
			for range rapid.IntRange(0, 4).Draw(t, "given") {
				node, number := compact.Node(rapid.IntRange(0, n-1).Draw(t, "node")), rapid.IntRange(0, size-1).Draw(t, "number")
				s.give(node, number)
				want[node] = number
			}
			for node := range compact.Node(n) {
				number, ok := s.numbered(node)
				if w, given := want[node]; ok != given || ok && number != w {
					t.Fatalf("node %d has the number %d, %t; want %d, %t", node, number, ok, w, given)
				}
			}
		}
	})
}

func TestTheSmallestAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 60).Draw(t, "all")
		h := smallest[int]{n: rapid.IntRange(1, 70).Draw(t, "n"), compare: cmp.Compare[int]}
		for _, x := range all {
			h.add(x)
		}
		slices.Sort(all)
		if want, got := all[:min(h.n, len(all))], h.sorted(); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
