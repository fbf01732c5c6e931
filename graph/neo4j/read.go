package neo4j

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// reader reads one tenant: as committed, or with a commit in the making upon it. It lives for one call, which is
// why it holds that call's context.
type reader struct {
	records
	ctx context.Context
	// at is where the tenant stands for this call.
	at settled
}

func newReader(ctx context.Context, run runner, tenant graph.TenantID, at settled) *reader {
	return &reader{records: records{run, tenant}, ctx: ctx, at: at}
}

// readerAt asks nobody about a tenant that has nothing to show.
func (s *Store) readerAt(ctx context.Context, id graph.TenantID, at settled) *reader {
	if at.row.Revision == 0 {
		return newReader(ctx, nothing{}, id, at)
	}
	return newReader(ctx, s.reads(), id, at)
}

// optimistic is how often an answer is looked for beside the writers.
const optimistic = 2

// read calls answer until nothing was applied meanwhile. Where writers come in between again and again, the last call
// keeps them out by holding the gate's lock. What looks damaged may only have been half applied.
func (s *Store) read(ctx context.Context, v graph.View, answer func(r *reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	at, err := s.settled(ctx, v, s.options.MaxStale)
	for attempt := 1; err == nil; attempt++ {
		said := answer(s.readerAt(ctx, v.Tenant, at))
		if said != nil && !errors.Is(said, errDamaged) {
			return said
		}
		before := at.seq
		if at, err = s.settle(ctx, v.Tenant); err == nil && at.seq == before {
			return said
		}
		if err == nil && attempt == optimistic {
			return s.readLocked(ctx, v.Tenant, answer)
		}
	}
	return err
}

// readLocked lets no commit be applied meanwhile.
func (s *Store) readLocked(ctx context.Context, id graph.TenantID, answer func(r *reader) error) error {
	return s.transact(ctx, func(ctx context.Context, run runner) (commit bool, err error) {
		found, err := run.query(ctx, passGate, map[string]any{"key": tk(id, "")})
		if err != nil {
			return false, err
		}
		var at settled
		if len(found) == 1 {
			at.row, at.seq = tenantOf(found[0])
		}
		if err := at.whole(id); err != nil {
			return false, err
		}
		return false, answer(newReader(ctx, run, id, at))
	})
}

// Entities implements graph.Reader.
func (s *Store) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) (out []graph.Entity, err error) {
	err = s.read(ctx, v, func(r *reader) (err error) { out, err = r.entities(q); return err })
	return out, err
}

// Lookup implements graph.Reader.
func (s *Store) Lookup(ctx context.Context, v graph.View, keys []graph.Key) (out [][]graph.ID, err error) {
	err = s.read(ctx, v, func(r *reader) (err error) { out, err = r.lookup(keys); return err })
	return out, err
}

// Edges implements graph.Reader. Up to edgeChunk nodes that are asked about, and edgePage of a scan, are one snapshot;
// between them there may be commits.
func (s *Store) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	if q.Keys != nil {
		return s.edgesOf(ctx, v, q)
	}
	if q.Nodes == nil {
		return rules.Stream(func(yield func(graph.Edge, error) bool) error {
			return allEdges(func(answer func(*reader) error) error { return s.read(ctx, v, answer) }, q, yield)
		})
	}
	return rules.Stream(func(yield func(graph.Edge, error) bool) error {
		for part := range chunks(q.Nodes, edgeChunk) {
			var found []graph.Edge
			q.Nodes = part
			err := s.read(ctx, v, func(r *reader) (err error) { found, err = r.edges(q); return err })
			if err != nil || !yieldAll(found, yield) {
				return err
			}
		}
		return nil
	})
}

// edgesOf yields single edges.
func (s *Store) edgesOf(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return rules.Stream(func(yield func(graph.Edge, error) bool) error {
		for part := range chunks(q.Keys, edgeChunk) {
			var found []graph.Edge
			q.Keys = part
			err := s.read(ctx, v, func(r *reader) (err error) { found, err = r.edges(q); return err })
			if err != nil || !yieldAll(found, yield) {
				return err
			}
		}
		return nil
	})
}

// beside calls answer once, from a position that may be so old: it may show what is committed while it runs.
func (s *Store) beside(ctx context.Context, v graph.View, stale time.Duration, answer func(r *reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	at, err := s.settled(ctx, v, stale)
	if err != nil {
		return err
	}
	return answer(s.readerAt(ctx, v.Tenant, at))
}

// Alerts implements graph.Reader.
func (s *Store) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (out graph.AlertPage, err error) {
	bound, err := s.bound(ctx, v, q.Paging)
	if err != nil {
		return out, err
	}
	err = s.read(ctx, v, func(r *reader) (err error) { out, err = r.alerts(q, bound); return err })
	return out, err
}

// Incidents implements graph.Reader.
func (s *Store) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (out graph.IncidentPage, err error) {
	bound, err := s.bound(ctx, v, q.Paging)
	if err != nil {
		return out, err
	}
	err = s.read(ctx, v, func(r *reader) (err error) { out, err = r.incidents(q, bound); return err })
	return out, err
}

// bound is what a read may promise; 0 where it is not bounded above.
func (s *Store) bound(ctx context.Context, v graph.View, p graph.Paging) (graph.Tick, error) {
	want := p.Wanted()
	if want == 0 {
		return 0, nil
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.bind(ctx, v.Tenant, want)
}

// Documents implements graph.Reader.
func (s *Store) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) (out []graph.Document, err error) {
	err = s.read(ctx, v, func(r *reader) (err error) { out, err = r.documents(q); return err })
	return out, err
}

// Position implements graph.Reader.
func (s *Store) Position(ctx context.Context, v graph.View) (out graph.Position, err error) {
	err = s.beside(ctx, v, s.options.MaxStale, func(r *reader) error { out = r.at.row.Position; return nil })
	return out, err
}

// Changes implements graph.Store. The newest Options.KeepChanges are kept. It is never stale: who asks follows, and
// judges by the answer how far behind it is.
func (s *Store) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return rules.Stream(func(yield func(graph.Change, error) bool) error {
		return s.beside(ctx, v, 0, func(r *reader) error { return r.changes(since, yield) })
	})
}

func yieldAll[T any](all []T, yield func(T, error) bool) (more bool) {
	for _, item := range all {
		if !yield(item, nil) {
			return false
		}
	}
	return true
}

// chunks is slices.Chunk, but gives one empty chunk of an empty list: such a call is checked like any other.
func chunks[T any](all []T, n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for more := true; more && len(all) > n; all = all[n:] {
			if more = yield(all[:n]); !more {
				return
			}
		}
		yield(all)
	}
}
