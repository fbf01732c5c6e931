package embedded

import (
	"sync"

	"github.com/clew-security/clew/graph"
)

// recentEdges bounds the edges that are remembered of a tenant's newest changes.
const recentEdges = 100_000

// recent remembers which edges the newest changes were of. What is stored of a change tells its nodes alone: edges
// are many, and of use only to who follows closely.
type recent struct {
	mu    sync.Mutex
	edges map[graph.Revision][]graph.EdgeKey
	// kept are their revisions in order, and count is of how many edges they are.
	kept  []graph.Revision
	count int
}

// put remembers a change that is about to be committed; if it is not, nobody reads any more.
func (r *recent) put(c *graph.Change) {
	if c == nil || c.Edges == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.edges == nil {
		r.edges = map[graph.Revision][]graph.EdgeKey{}
	}
	r.edges[c.Revision], r.kept = c.Edges, append(r.kept, c.Revision)
	for r.count += 1 + len(c.Edges); r.count > recentEdges; r.kept = r.kept[1:] {
		r.count -= 1 + len(r.edges[r.kept[0]])
		delete(r.edges, r.kept[0])
	}
}

// of is what is remembered of a change; nil is nothing.
func (r *recent) of(revision graph.Revision) []graph.EdgeKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.edges[revision]
}
