package bench

import (
	"context"
	"fmt"
	"maps"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// firstNodes is how many nodes an answer shows.
const firstNodes = 100

// side is one way of answering the question which nodes are within so many hops of a seed. It must be safe for
// concurrent use.
type side interface {
	name() string
	// reach answers for a seed that is a node of the graph, and one hop or more.
	reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error)
	// witnesses says whether every node that it shows has a prev.
	witnesses() bool
}

// reachAnswer tells of the nodes within so many hops of the seed, without the seed.
type reachAnswer struct {
	// counts are all nodes by kind; no kind with none.
	counts map[graph.Kind]int
	// first are the first nodes by hops, arrival and id, at most firstNodes.
	first []reachedNode
}

// reachedNode is one node of an answer.
type reachedNode struct {
	id   graph.ID
	hops int
	// prev is the node before it on some shortest path; zero from a side that finds no witnesses.
	prev graph.ID
	// at is the arrival by the least hops; zero where the question has no time.
	at compact.Instant
}

// differs says in what an answer is not the wanted one; nil where it is. Witnesses may differ.
func (a reachAnswer) differs(want reachAnswer) error {
	if !maps.Equal(a.counts, want.counts) {
		return fmt.Errorf("it counts %v, want %v", a.counts, want.counts)
	}
	if len(a.first) != len(want.first) {
		return fmt.Errorf("it shows %d nodes, want %d", len(a.first), len(want.first))
	}
	for i, n := range a.first {
		if w := want.first[i]; n.id != w.id || n.hops != w.hops || n.at != w.at {
			return fmt.Errorf("node %d is %s at %d hops and %d, want %s at %d and %d", i, n.id, n.hops, n.at, w.id, w.hops, w.at)
		}
	}
	return nil
}
