package embedded

import (
	"context"
	"errors"
	"iter"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// read calls answer with a snapshot of the tenant, which waits for v.AtLeast. Pebble shows a commit before it is
// durable; what a crash could take back is waited for, so that nobody has seen what is then gone.
func (s *Store) read(ctx context.Context, v graph.View, answer func(view) error) (err error) {
	if err := s.awaitRevision(ctx, v); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(s.damaged(err), snapshot.Close()) }()
	if err := s.durable(ctx, v.Tenant); err != nil {
		return err
	}
	r := view{ctx, snapshot, keysOf(v.Tenant)}
	if _, err := r.wholeRow(v.Tenant); err != nil {
		return err
	}
	return answer(r)
}

// wholeRow is tenantRow, or graph.ErrImporting where the tenant has only a part of what it will have.
func (v view) wholeRow(id graph.TenantID) (rules.Tenant, error) {
	row, err := v.tenantRow()
	if err == nil && row.Loading {
		err = graph.Importing(id)
	}
	return row, err
}

// durable waits until what was visible of the tenant when it was called is durable. A tenant that nobody wrote to
// or waited for since the store was opened has nothing that is not.
func (s *Store) durable(ctx context.Context, id graph.TenantID) error {
	s.mu.Lock()
	t, ok := s.tenants[id]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	return t.awaitSync(ctx, s)
}

// awaitRevision does not hold up Close while it waits. For the end of an import, which may never come, it does not
// wait.
func (s *Store) awaitRevision(ctx context.Context, v graph.View) error {
	for v.AtLeast > 0 {
		moved := s.tenant(v.Tenant).movedChan()
		if err := s.enter(ctx); err != nil {
			return err
		}
		row, err := view{ctx, s.db, keysOf(v.Tenant)}.wholeRow(v.Tenant)
		s.leave()
		if err != nil || row.Revision >= v.AtLeast {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return graph.ErrClosed
		case <-s.failure.done:
			return s.failure.err()
		}
	}
	return nil
}

// bind moves the tenant's clock, durably, for a read that is bounded above by want, and returns the bound
// that the read may promise; 0 where want is. A tenant without a commit is given no clock, so that asking
// about one makes none: the bound is then 1, the first tick there can be, whatever the wall clock will say.
func (s *Store) bind(ctx context.Context, id graph.TenantID, want graph.Tick) (graph.Tick, error) {
	if want == 0 {
		return 0, nil
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	v := view{ctx, s.db, keysOf(id)}
	if row, err := v.wholeRow(id); err != nil || row.Revision == 0 {
		return min(want, row.Clock+1), err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx, s); err != nil {
		return 0, err
	}
	defer t.giveTurn()
	row, err := v.wholeRow(id)
	if err != nil {
		return 0, err
	}
	bound, clock := graph.BoundClock(s.options.Clock(), row.Clock, want)
	if clock == row.Clock {
		return bound, nil
	}
	row.Clock = clock
	b := s.db.NewBatch()
	if err := b.Set(v.keys.of(tableTenant), encodeTenant(row), nil); err != nil {
		return 0, err
	}
	return bound, s.commitOf(t, b)
}

// Entities implements graph.Reader.
func (s *Store) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) (out []graph.Entity, err error) {
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.entities(q); return err })
	return out, err
}

// Lookup implements graph.Reader.
func (s *Store) Lookup(ctx context.Context, v graph.View, keys []graph.Key) (out [][]graph.ID, err error) {
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.lookup(keys); return err })
	return out, err
}

// Edges implements graph.Reader. The iteration holds a snapshot, and Close waits for it. All edges at one
// node are in memory at a time. An edge that joining made one from a node to itself is not shown. A weak key
// that more than 1,000 weak-only nodes bear is followed to 1,000 of them.
func (s *Store) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return rules.Stream(func(yield func(graph.Edge, error) bool) error {
		return s.read(ctx, v, func(r view) error { return r.edges(q, yield) })
	})
}

// Alerts implements graph.Reader.
func (s *Store) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (out graph.AlertPage, err error) {
	bound, err := s.bind(ctx, v.Tenant, q.Paging.Wanted())
	if err != nil {
		return out, err
	}
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.alerts(q, bound); return err })
	return out, err
}

// Incidents implements graph.Reader.
func (s *Store) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (out graph.IncidentPage, err error) {
	bound, err := s.bind(ctx, v.Tenant, q.Paging.Wanted())
	if err != nil {
		return out, err
	}
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.incidents(q, bound); return err })
	return out, err
}

// Documents implements graph.Reader.
func (s *Store) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) (out []graph.Document, err error) {
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.documents(q); return err })
	return out, err
}

// Position implements graph.Reader.
func (s *Store) Position(ctx context.Context, v graph.View) (out graph.Position, err error) {
	err = s.read(ctx, v, func(r view) (err error) { out, err = r.position(); return err })
	return out, err
}

// Changes implements graph.Store. The newest Options.KeepChanges are kept.
func (s *Store) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return rules.Stream(func(yield func(graph.Change, error) bool) error {
		recent := &s.tenant(v.Tenant).recent
		recent.asked.Store(true)
		return s.read(ctx, v, func(r view) error {
			return r.changes(since, func(c graph.Change, err error) bool {
				recent.tell(&c)
				return yield(c, err)
			})
		})
	})
}

func (v view) changes(since graph.Revision, yield func(graph.Change, error) bool) error {
	row, err := v.tenantRow()
	if err != nil || since >= row.Revision {
		return err
	}
	if since < row.Trimmed {
		return graph.ErrTooOld
	}
	s := span{lower: v.keys.of(tableChange, number(since+1)), upper: after(v.keys.of(tableChange))}
	return v.scan(s, func(key, value []byte) (bool, error) {
		c, err := decodeChange(readNumber[graph.Revision](key), value)
		return err == nil && !yield(c, nil), err
	})
}
