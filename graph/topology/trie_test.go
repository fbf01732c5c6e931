package topology

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// drawID draws from few ids that differ in the first, the last or a middle half byte.
func drawID(t *rapid.T) (id graph.ID) {
	for _, at := range []int{0, 1, 8, 15} {
		id[at] = rapid.SampledFrom([]byte{0, 1, 16, 17}).Draw(t, "byte")
	}
	return id
}

func TestATrieIsAMapAndItsCopiesStayAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type copied struct {
			trie trie[int]
			want map[graph.ID]int
		}
		var now trie[int]
		var kept []copied
		want, by := map[graph.ID]int{}, new(edit)
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := drawID(t)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				now.remove(by, id)
				delete(want, id)
			case 1:
				kept = append(kept, copied{now, maps.Clone(want)})
				by = new(edit)
			default:
				now.set(by, id, i)
				want[id] = i
			}
		}
		for _, c := range append(kept, copied{now, want}) {
			checkTrie(t, c.trie, c.want)
		}
	})
}

func checkTrie(t *rapid.T, got trie[int], want map[graph.ID]int) {
	var order []graph.ID
	for id, v := range got.all() {
		order = append(order, id)
		if w, ok := want[id]; !ok || w != v {
			t.Fatalf("%x is %d, want %d (%v)", id, v, w, ok)
		}
		if v2, ok := got.get(id); !ok || v2 != v {
			t.Fatalf("%x is found as %d (%v), want %d", id, v2, ok, v)
		}
	}
	if len(order) != len(want) || got.size != len(want) || !slices.IsSortedFunc(order, graph.ID.Compare) {
		t.Fatalf("%d ids in order %v, size %d, want %d", len(order), order, got.size, len(want))
	}
	id := drawID(t)
	_, there := want[id]
	if v, ok := got.get(id); ok != there {
		t.Fatalf("%x is found as %d (%v), want %v", id, v, ok, there)
	}
}
