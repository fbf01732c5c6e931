package neo4j

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// apartReader reads with the names that the suite knows: all tenants have a prefix.
type apartReader struct {
	graph.Reader
	prefix graph.TenantID
}

func (a apartReader) name(t graph.TenantID) graph.TenantID {
	if t == "" {
		return t
	}
	return a.prefix + t
}

func (a apartReader) view(v graph.View) graph.View { v.Tenant = a.name(v.Tenant); return v }

func (a apartReader) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	return a.Reader.Entities(ctx, a.view(v), q)
}

func (a apartReader) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	return a.Reader.Lookup(ctx, a.view(v), keys)
}

func (a apartReader) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return a.Reader.Edges(ctx, a.view(v), q)
}

func (a apartReader) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	return a.Reader.Alerts(ctx, a.view(v), q)
}

func (a apartReader) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	return a.Reader.Incidents(ctx, a.view(v), q)
}

func (a apartReader) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	return a.Reader.Documents(ctx, a.view(v), q)
}

func (a apartReader) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	return a.Reader.Position(ctx, a.view(v))
}

// apart is a store of which all tenants have a prefix, so that one server serves many subjects.
type apart struct {
	apartReader
	store *Store
}

var _ graph.Store = apart{}

func (a apart) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return a.store.Changes(ctx, a.view(v), since)
}

func (a apart) Apply(ctx context.Context, t graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if b.Decide != nil {
		b.Decide = apartDecider{b.Decide, t, a.prefix}
	}
	return a.store.Apply(ctx, a.name(t), b)
}

func (a apart) Ready(ctx context.Context) error { return a.store.Ready(ctx) }
func (a apart) Close() error                    { return a.store.Close() }

// apartDecider hands the decider the name of its tenant that the suite knows.
type apartDecider struct {
	graph.Decider
	tenant, prefix graph.TenantID
}

func (d apartDecider) Decide(ctx context.Context, r graph.Reader, v graph.View, delta graph.Delta) ([]graph.IncidentChange, error) {
	v.Tenant = d.tenant
	return d.Decider.Decide(ctx, apartReader{r, d.prefix}, v, delta)
}

// subject is an empty database as far as its own tenants go.
type subject struct {
	options Options
	prefix  graph.TenantID
}

func (s subject) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	o := s.options
	o.Clock = clock
	store, err := Open(context.Background(), o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return apart{apartReader{store, s.prefix}, store}
}

var (
	subjects atomic.Int64
	run      = time.Now().UnixNano()
)

// freshSubject is empty. The test must have called migrated.
func freshSubject(t graphtest.TB) subject {
	t.Helper()
	if prepared.URI == "" {
		t.Fatalf("migrated was not called")
	}
	return subject{prepared, graph.TenantID(fmt.Sprintf("%d/%d/", run, subjects.Add(1)))}
}

func TestConformance(t *testing.T) {
	migrated(t)
	graphtest.Run(t, func(t graphtest.TB) graphtest.Subject { return freshSubject(t) })
}
