package embedded

import (
	"context"
	"iter"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Staged implements rules.Tx.
func (t *tx) Staged() graph.Reader { return stagedReader{t} }

// stagedReader shows a decider the tenant with the batch upon it. It waits for no revision, and a bound moves
// no clock: the decider runs in the only writer's turn.
type stagedReader struct{ t *tx }

func (s stagedReader) view(ctx context.Context, v graph.View) (view, error) {
	return view{ctx, s.t.batch, keysOf(v.Tenant)}, ctx.Err()
}

func (s stagedReader) bound(p graph.Paging) graph.Tick { return p.Promise(s.t.wall, s.t.row.Clock) }

// Entities implements graph.Reader.
func (s stagedReader) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.entities(q)
}

// Lookup implements graph.Reader.
func (s stagedReader) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.lookup(keys)
}

// Edges implements graph.Reader.
func (s stagedReader) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return rules.Stream(func(yield func(graph.Edge, error) bool) error {
		r, err := s.view(ctx, v)
		if err != nil {
			return err
		}
		return r.edges(q, yield)
	})
}

// Alerts implements graph.Reader.
func (s stagedReader) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.AlertPage{}, err
	}
	return r.alerts(q, s.bound(q.Paging))
}

// Incidents implements graph.Reader.
func (s stagedReader) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.IncidentPage{}, err
	}
	return r.incidents(q, s.bound(q.Paging))
}

// Documents implements graph.Reader.
func (s stagedReader) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.documents(q)
}

// Position implements graph.Reader.
func (s stagedReader) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.Position{}, err
	}
	return r.position()
}
