package embedded

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/clew-security/clew/graph"
)

// What is remembered of a tenant's newest changes: so many keys of edges, and so many bytes of what they left.
const (
	recentEdges   = 100_000
	recentOutcome = 8 << 20
)

// recent remembers of the newest changes which edges they were of, and what they left. What is stored of a change tells
// its nodes alone: the rest is much, and of use only to who follows closely.
type recent struct {
	// asked is set once somebody asked for changes: who does follows, and outcomes are made for nobody else.
	asked atomic.Bool

	mu       sync.Mutex
	edges    newest[[]graph.EdgeKey]
	outcomes newest[*graph.Outcome]
}

// put remembers a change that is about to be committed; if it is not, nobody reads any more.
func (r *recent) put(c *graph.Change) {
	if c == nil || c.Edges == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edges.put(c.Revision, c.Edges, len(c.Edges), recentEdges)
	if o := c.Outcome; o != nil {
		r.outcomes.put(c.Revision, o, outcomeBytes(o), recentOutcome)
	}
}

// forget has nothing remembered: the tenant's revisions may come again.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edges, r.outcomes = newest[[]graph.EdgeKey]{}, newest[*graph.Outcome]{}
}

// tell adds to a change what is remembered of it.
func (r *recent) tell(c *graph.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Edges, c.Outcome = r.edges.of[c.Revision], r.outcomes.of[c.Revision]
}

// outcomeBytes estimates what an outcome takes.
func outcomeBytes(o *graph.Outcome) (n int) {
	const list = int(unsafe.Sizeof([]byte{}))
	for _, e := range o.Entities {
		n += int(unsafe.Sizeof(e)) + len(e.Members)*len(graph.ID{}) + len(e.Sources)*list
		for _, k := range e.Keys {
			n += int(unsafe.Sizeof(k)) + len(k.Value)
		}
		for name, p := range e.Properties {
			n += len(name) + int(unsafe.Sizeof(p)) + len(p.Value) + list
		}
	}
	for _, all := range [][]graph.Edge{o.Edges, o.Seen} {
		for _, e := range all {
			n += int(unsafe.Sizeof(e)) + len(e.Sources)*list + len(e.Alerts)*len(graph.ID{}) + len(e.Sightings)*int(unsafe.Sizeof(graph.Sighting{}))
		}
	}
	return n
}

// newest keeps things of the newest revisions.
type newest[V any] struct {
	of map[graph.Revision]V
	// kept are the revisions in order, with how much they hold; count is their sum.
	kept  []held
	count int
}

type held struct {
	revision graph.Revision
	size     int
}

// put lets go of the oldest where all hold more than most.
func (n *newest[V]) put(revision graph.Revision, v V, size, most int) {
	if n.of == nil {
		n.of = map[graph.Revision]V{}
	}
	n.of[revision], n.kept = v, append(n.kept, held{revision, 1 + size})
	for n.count += 1 + size; n.count > most; n.kept = n.kept[1:] {
		n.count -= n.kept[0].size
		delete(n.of, n.kept[0].revision)
	}
}
