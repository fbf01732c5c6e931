package neo4j

import (
	"context"
	"iter"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// staged shows a decider the tenant with the batch upon it. It waits for no revision, and a bound moves no clock:
// the decider runs under the tenant's lock.
type staged struct {
	run runner
	// row is the tenant's record as written last.
	row  func() rules.Tenant
	wall time.Time
}

func stagedReader(run runner, row func() rules.Tenant, wall time.Time) graph.Reader {
	return staged{run, row, wall}
}

func (s staged) reader(ctx context.Context, v graph.View) (*reader, error) {
	return newReader(ctx, s.run, v.Tenant, settled{row: s.row()}), ctx.Err()
}

func (s staged) bound(p graph.Paging) graph.Tick { return p.Promise(s.wall, s.row().Clock) }

// Entities implements graph.Reader.
func (s staged) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	r, err := s.reader(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.entities(q)
}

// Lookup implements graph.Reader.
func (s staged) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	r, err := s.reader(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.lookup(keys)
}

// Edges implements graph.Reader.
func (s staged) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return rules.Stream(func(yield func(graph.Edge, error) bool) error {
		r, err := s.reader(ctx, v)
		if err != nil {
			return err
		}
		if q.Nodes == nil && q.Keys == nil {
			return allEdges(func(answer func(*reader) error) error { return answer(r) }, q, yield)
		}
		found, err := r.edges(q)
		if err == nil {
			yieldAll(found, yield)
		}
		return err
	})
}

// Alerts implements graph.Reader.
func (s staged) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	r, err := s.reader(ctx, v)
	if err != nil {
		return graph.AlertPage{}, err
	}
	return r.alerts(q, s.bound(q.Paging))
}

// Incidents implements graph.Reader.
func (s staged) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	r, err := s.reader(ctx, v)
	if err != nil {
		return graph.IncidentPage{}, err
	}
	return r.incidents(q, s.bound(q.Paging))
}

// Documents implements graph.Reader.
func (s staged) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	r, err := s.reader(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.documents(q)
}

// Position implements graph.Reader.
func (s staged) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	r, err := s.reader(ctx, v)
	return r.at.row.Position, err
}
