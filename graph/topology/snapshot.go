package topology

import (
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Snapshot is a tenant's graph as it was held at one instant. It never changes, may be used by any number of
// goroutines for any time, and blocks nobody; while it is in use the memory of what has been replaced since
// is held.
type Snapshot struct {
	// Revision is the last commit of which all is here.
	Revision graph.Revision
	// Exact is set where nothing is here of later commits. Otherwise the store was written to so fast that
	// parts of later commits had to be taken in.
	Exact bool
	// Confirmed: all that was committed before this instant of the replica's clock is here, as far as the
	// source showed it then.
	Confirmed time.Time
	// Stale is set where Confirmed lies further back than Options.StaleAfter, or where changes are missing
	// for good and the graph is being built anew.
	Stale bool

	graph *compact.Graph
	edges int
}

// Graph is the graph: the nodes, graded by Options.Grade, under all their ids; the observed edges as they are now; and
// possiblySameAs, inferred and without instants, from each node that is followed to another. With Options.History it
// has compact.Graph.History.
func (s *Snapshot) Graph() *compact.Graph { return s.graph }

// Size counts nodes and observed edges.
func (s *Snapshot) Size() (nodes, edges int) {
	nodes, _ = s.graph.Size()
	return nodes, s.edges
}
