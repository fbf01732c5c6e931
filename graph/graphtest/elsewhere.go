package graphtest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/clew-security/clew/graph"
)

// elsewhere writes in one place and reads in another.
type elsewhere struct {
	writer graph.Store
	reader graph.Store

	mu      sync.Mutex
	written map[graph.TenantID]graph.Revision
}

// Elsewhere gives a store that writes to one and reads from another store of the same graph, as two processes do.
// Each read carries the revision of the last write: a store that may be a little behind must not be so then.
func Elsewhere(writer, reader graph.Store) graph.Store {
	return &elsewhere{writer: writer, reader: reader, written: map[graph.TenantID]graph.Revision{}}
}

func (e *elsewhere) view(v graph.View) graph.View {
	e.mu.Lock()
	defer e.mu.Unlock()
	v.AtLeast = max(v.AtLeast, e.written[v.Tenant])
	return v
}

func (e *elsewhere) Apply(ctx context.Context, t graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	r, err := e.writer.Apply(ctx, t, b)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written[t] = max(e.written[t], r.Revision)
	return r, err
}

func (e *elsewhere) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	return e.reader.Entities(ctx, e.view(v), q)
}

func (e *elsewhere) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	return e.reader.Lookup(ctx, e.view(v), keys)
}

func (e *elsewhere) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return e.reader.Edges(ctx, e.view(v), q)
}

func (e *elsewhere) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	return e.reader.Alerts(ctx, e.view(v), q)
}

func (e *elsewhere) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	return e.reader.Incidents(ctx, e.view(v), q)
}

func (e *elsewhere) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	return e.reader.Documents(ctx, e.view(v), q)
}

func (e *elsewhere) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	return e.reader.Position(ctx, e.view(v))
}

func (e *elsewhere) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return e.reader.Changes(ctx, e.view(v), since)
}

func (e *elsewhere) Ready(ctx context.Context) error {
	return errors.Join(e.writer.Ready(ctx), e.reader.Ready(ctx))
}

func (e *elsewhere) Close() error { return errors.Join(e.reader.Close(), e.writer.Close()) }
