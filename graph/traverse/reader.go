package traverse

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/clew-security/clew/graph"
)

// ReaderAdjacency is an Adjacency that asks a store. Each call sees a snapshot of its own: a question that
// runs while the store is written to may see a part of a commit.
type ReaderAdjacency struct {
	r     graph.Reader
	v     graph.View
	calls atomic.Int64
}

var _ Adjacency = (*ReaderAdjacency)(nil)

// OverReader is the adjacency of the tenant in v.
func OverReader(r graph.Reader, v graph.View) *ReaderAdjacency { return &ReaderAdjacency{r: r, v: v} }

// Calls is the number of calls made to the store so far.
func (a *ReaderAdjacency) Calls() int { return int(a.calls.Load()) }

// Resolve reads the entities of the ids.
func (a *ReaderAdjacency) Resolve(ctx context.Context, ids []graph.ID) ([]graph.ID, error) {
	return bulk(ctx, a, ids, func(e graph.Entity) graph.ID { return e.ID })
}

// Edges passes the query on.
func (a *ReaderAdjacency) Edges(ctx context.Context, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	a.calls.Add(1)
	return a.r.Edges(ctx, a.v, q)
}

// Describe reads the entities of the ids.
func (a *ReaderAdjacency) Describe(ctx context.Context, ids []graph.ID) ([]Description, error) {
	return bulk(ctx, a, ids, func(e graph.Entity) Description {
		if e.ID.IsZero() {
			return Description{}
		}
		return Description{e.DisplayName(), CriticalityOf(e)}
	})
}

// bulk reads entities in chunks of a page.
func bulk[T any](ctx context.Context, a *ReaderAdjacency, ids []graph.ID, of func(graph.Entity) T) ([]T, error) {
	out := make([]T, 0, len(ids))
	for chunk := range slices.Chunk(ids, graph.MaxPage) {
		a.calls.Add(1)
		found, err := a.r.Entities(ctx, a.v, graph.EntityQuery{IDs: chunk})
		if err != nil {
			return nil, err
		}
		if len(found) != len(chunk) {
			return nil, fmt.Errorf("traverse: store gave %d entities for %d ids", len(found), len(chunk))
		}
		for _, e := range found {
			out = append(out, of(e))
		}
	}
	return out, nil
}
