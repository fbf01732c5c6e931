package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
)

// errSlow ends a call of the source that took longer than Options.Timeout.
var errSlow = errors.New("source gave nothing within the timeout")

// reader asks the source about the tenant.
type reader struct {
	source  Source
	tenant  graph.TenantID
	options Options
}

func (r reader) position(ctx context.Context, atLeast graph.Revision) (graph.Revision, error) {
	ctx, watch := r.watched(ctx)
	defer watch.stop()
	p, err := r.source.Position(ctx, r.view(atLeast))
	return p.Revision, watch.why(err)
}

// commitAt asks when a commit was made: zero where there is none of the revision, or its change is kept no more.
func (r reader) commitAt(ctx context.Context, v graph.View, revision graph.Revision) (at time.Time, err error) {
	ctx, watch := r.watched(ctx)
	defer watch.stop()
	for c, err := range r.source.Changes(ctx, v, revision-1) {
		switch {
		case errors.Is(err, graph.ErrTooOld):
			return time.Time{}, nil
		case err != nil:
			return time.Time{}, fmt.Errorf("topology: asking for a commit: %w", watch.why(err))
		case c.Revision == revision:
			return c.At, nil
		}
		break
	}
	return time.Time{}, nil
}

func (r reader) view(atLeast graph.Revision) graph.View {
	return graph.View{Tenant: r.tenant, AtLeast: atLeast}
}

// entities reads nodes of at least the collected revision.
func (w *work) entities(ctx context.Context, q graph.EntityQuery) ([]graph.Entity, error) {
	ctx, watch := w.watched(ctx)
	defer watch.stop()
	found, err := w.source.Entities(ctx, w.view(w.collected), q)
	return found, watch.why(err)
}

// named reads nodes by ids, one for each.
func (w *work) named(ctx context.Context, ids []graph.ID) ([]graph.Entity, error) {
	found, err := w.entities(ctx, graph.EntityQuery{IDs: ids})
	if err == nil && len(found) != len(ids) {
		err = fmt.Errorf("source gave %d entities for %d ids", len(found), len(ids))
	}
	return found, err
}

// edges calls found for each observed edge of at least the collected revision and of a kind in the table.
func (w *work) edges(ctx context.Context, q graph.EdgeQuery, found func(graph.Edge) error) error {
	ctx, watch := w.watched(ctx)
	defer watch.stop()
	q.Sightings = w.options.History
	n := 0
	for e, err := range w.source.Edges(ctx, w.view(w.collected), q) {
		if t := e.Kind.Tense(); err == nil && t != 0 && t != graph.Derived {
			err = found(e)
		}
		if err != nil {
			return watch.why(err)
		}
		if n++; n%256 == 0 {
			watch.alive()
		}
	}
	return nil
}

// watchdog ends a call's context when the source gives nothing for Options.Timeout.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func (r reader) watched(ctx context.Context) (context.Context, watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(r.options.Timeout, func() { cancel(errSlow) })
	return ctx, watchdog{ctx, cancel, timer, r.options.Timeout}
}

func (w watchdog) alive() { w.timer.Reset(w.limit) }

func (w watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// why is the error, or what ended the context where that caused it.
func (w watchdog) why(err error) error {
	if err == nil || w.ctx.Err() == nil {
		return err
	}
	return cmp.Or(context.Cause(w.ctx), err)
}
