package graphtest

import (
	"context"
	"iter"

	"github.com/clew-security/clew/graph"
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

type apart struct {
	apartReader
	store graph.Store
}

// Apart gives a store of which all tenants have a prefix, so that one server serves many subjects.
func Apart(s graph.Store, prefix graph.TenantID) graph.Store {
	return apart{apartReader{s, prefix}, s}
}

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

// apartMoving is an apart store that also moves.
type apartMoving struct {
	apart
	mover graph.Mover
}

// ApartMoving is Apart for a store that also moves.
func ApartMoving(s Moving, prefix graph.TenantID) Moving {
	return apartMoving{apart{apartReader{s, prefix}, s}, s}
}

func (a apartMoving) Export(ctx context.Context, t graph.TenantID) iter.Seq2[graph.Record, error] {
	return a.mover.Export(ctx, a.name(t))
}

func (a apartMoving) Import(ctx context.Context, t graph.TenantID, records iter.Seq2[graph.Record, error]) error {
	return a.mover.Import(ctx, a.name(t), records)
}

func (a apartMoving) Abandon(ctx context.Context, t graph.TenantID) error {
	return a.mover.Abandon(ctx, a.name(t))
}
