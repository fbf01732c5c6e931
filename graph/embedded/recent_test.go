package embedded

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

func TestTheNewestChangesAreRemembered(t *testing.T) {
	var r recent
	const each = 1000
	size := 0
	of := func(revision graph.Revision) (c graph.Change) {
		c.Revision = revision
		r.tell(&c)
		return c
	}
	for i := graph.Revision(1); i <= 500; i++ {
		o := &graph.Outcome{Entities: make([]graph.Entity, each/2), Edges: make([]graph.Edge, each/4), Seen: make([]graph.Edge, each/4)}
		size = outcomeBytes(o)
		r.put(&graph.Change{Revision: i, Edges: make([]graph.EdgeKey, each), Outcome: o})
		r.put(&graph.Change{Revision: i + 1000}) // of which nothing is known
		r.put(nil)
		if c := of(i); len(c.Edges) != each || c.Outcome != o {
			t.Fatalf("of the newest is remembered %d edges, outcome %p", len(c.Edges), c.Outcome)
		}
		if c := of(i + 1000); c.Edges != nil || c.Outcome != nil {
			t.Fatalf("of what was not told is remembered %+v", c)
		}
	}
	edges, outcomes := graph.Revision(recentEdges/(each+1)), graph.Revision(recentOutcome/(size+1))
	for i := graph.Revision(1); i <= 500; i++ {
		if c := of(i); (c.Edges != nil) != (i > 500-edges) || (c.Outcome != nil) != (i > 500-outcomes) {
			t.Fatalf("of change %d its edges are remembered: %t, its outcome: %t", i, c.Edges != nil, c.Outcome != nil)
		}
	}
	if len(r.edges.kept) != int(edges) || len(r.outcomes.kept) != int(outcomes) || r.edges.count != int(edges)*(each+1) {
		t.Errorf("%d and %d changes are kept, of %d edges", len(r.edges.kept), len(r.outcomes.kept), r.edges.count)
	}
	if r.forget(); of(500).Edges != nil || of(500).Outcome != nil {
		t.Error("what was to be forgotten is remembered")
	}
	r.put(&graph.Change{Revision: 1, Edges: []graph.EdgeKey{}})
	if of(1).Edges == nil || of(2).Edges != nil {
		t.Error("a change of no edges is not told from one that is not known")
	}
	r.put(&graph.Change{Revision: 2, Edges: make([]graph.EdgeKey, recentEdges)})
	if of(1).Edges != nil || of(2).Edges != nil {
		t.Error("more is remembered than may be")
	}
}

// An outcome may hold few things that are large.
func TestWhatIsRememberedIsBoundedByItsSize(t *testing.T) {
	big := json.RawMessage(strings.Repeat("x", 1<<20))
	for name, o := range map[string]*graph.Outcome{
		"properties": {Entities: []graph.Entity{{Facts: graph.Facts{Properties: map[string]graph.Property{"p": {Value: big}}}}}},
		"sightings":  {Edges: []graph.Edge{{Sightings: make([]graph.Sighting, 10_000)}}},
		"seen again": {Seen: []graph.Edge{{Sightings: make([]graph.Sighting, 10_000)}}},
		"members":    {Entities: []graph.Entity{{Members: make([]graph.ID, 1<<16)}}},
		"alerts":     {Edges: make([]graph.Edge, 5000)},
	} {
		var r recent
		for i := range graph.Revision(100) {
			r.put(&graph.Change{Revision: i, Edges: []graph.EdgeKey{}, Outcome: o})
		}
		if n := len(r.outcomes.of); n == 0 || n > 10 || n != len(r.outcomes.kept) {
			t.Errorf("%s: %d outcomes of some megabyte are remembered", name, n)
		}
	}
}
