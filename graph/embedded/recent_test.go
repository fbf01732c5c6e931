package embedded

import (
	"testing"

	"github.com/clew-security/clew/graph"
)

func TestTheNewestChangesAreRemembered(t *testing.T) {
	var r recent
	const each = 1000
	for i := graph.Revision(1); i <= 500; i++ {
		r.put(&graph.Change{Revision: i, Edges: make([]graph.EdgeKey, each)})
		r.put(&graph.Change{Revision: i + 1000}) // of which nothing is known
		r.put(nil)
		if r.of(i) == nil || r.of(i+1000) != nil {
			t.Fatalf("of the newest it is remembered %d and %d", len(r.of(i)), len(r.of(i+1000)))
		}
	}
	if most := recentEdges / (each + 1); len(r.edges) != most || len(r.kept) != most || r.of(500-graph.Revision(most)) != nil || r.count != most*(each+1) {
		t.Errorf("%d changes are remembered, %d edges; want %d", len(r.edges), r.count, most)
	}
	var empty recent
	empty.put(&graph.Change{Revision: 1, Edges: []graph.EdgeKey{}})
	if empty.of(1) == nil || empty.of(2) != nil {
		t.Error("a change of no edges is not told from one that is not known")
	}
}
