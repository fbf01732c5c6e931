package topology

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// limits bound one step of the work.
type limits struct {
	// nodes and degree bound what one re-read asks for: ids, and the edges that the nodes had.
	nodes, degree int
	// fold bounds the things that changes are collected for before they are taken in or read again.
	fold int
	// rounds bounds the rounds before a graph is shown that is not of one revision.
	rounds int
	// turn is the number of edges that must be saved for a kind of edge to be read backward; see work.choose.
	turn int
	// batch is the number of scanned edges that are put in at once.
	batch int
	// ids bounds the graph; 0 does not.
	ids int
}

var usualLimits = limits{nodes: 128, degree: 50_000, fold: 100_000, rounds: 4, turn: 5000, batch: 10_000}

// work is a graph in the making. Its invariant: all that any commit after the first build's revision and up to collected
// has changed is as that commit or a later one left it, or told, or stale, or at a node that is dirty.
type work struct {
	reader
	picture *picture
	// collected is the revision up to which changes were collected; at is when that commit was made, where that is
	// known.
	collected graph.Revision
	at        time.Time
	// asked is when collecting last began, complete when a collecting began that came to the end.
	asked, complete time.Time
	// unseen are the instants of the commits that were collected since the graph was last handed out.
	unseen []time.Time
	// dirty are the nodes to be read again with all their edges.
	dirty set[graph.ID]
	// stale are those to be read again alone, where a change says which edges it was of.
	stale things
	// told is what commits left, in their order, that is not taken in yet.
	told []*graph.Outcome
	// early has the nodes, as they were asked for and as they are, and the edges that were read since changes were last
	// collected to their end.
	early early
	// plan says how edges are read, until nothing is dirty; see choose.
	plan *plan
}

func newWork(r reader, p *picture) *work {
	return &work{reader: r, picture: p, dirty: set[graph.ID]{}, stale: newThings(), early: early{things: newThings()}}
}

// scan builds a graph from nothing. The revision is noted before, so that the changes after it repair what the
// scan saw of later commits, in part, or not at all. They are collected on the way, since a long scan might
// outlive them. The scan sees at least the given revision.
func (r reader) scan(ctx context.Context, atLeast graph.Revision) (*work, error) {
	now := r.options.Clock()
	w := newWork(r, newPicture(r.options))
	w.asked, w.complete, w.early.all = now, now, true
	var err error
	w.collected, err = w.position(ctx, atLeast)
	if err == nil && w.collected > 0 {
		w.at, err = w.commitAt(ctx, w.view(w.collected), w.collected)
	}
	if err == nil {
		err = w.scanNodes(ctx)
	}
	if err == nil {
		err = w.scanEdges(ctx)
	}
	if err == nil {
		w.picture.Tidy()
		err = w.picture.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("topology: scanning: %w", err)
	}
	return w, nil
}

func (w *work) scanNodes(ctx context.Context) error {
	for q := (graph.EntityQuery{}); ; {
		found, err := w.entities(ctx, q)
		if err != nil || len(found) == 0 {
			return err
		}
		q.After = found[len(found)-1].ID
		u := w.picture.update()
		for _, e := range found {
			u.know(e, w.options.Grade(e))
		}
		err = u.apply()
		if err == nil {
			err = w.keepUp(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (w *work) scanEdges(ctx context.Context) error {
	u, n := w.picture.update(), 0
	err := w.edges(ctx, graph.EdgeQuery{}, func(e graph.Edge) error {
		u.put(e)
		if n++; n%w.options.limits.batch > 0 {
			return nil
		}
		err := u.apply()
		u = w.picture.update()
		if err == nil {
			err = w.keepUp(ctx)
		}
		return err
	})
	if err == nil {
		err = u.apply()
	}
	return err
}

// keepUp collects changes during a scan, all there are: they cannot be read yet, since what the scan still
// gives may be older.
func (w *work) keepUp(ctx context.Context) error {
	if w.options.Clock().Sub(w.asked) < w.options.Poll {
		return nil
	}
	_, err := w.collect(ctx, 0)
	w.early.all = true // what comes of the scan may be later still
	return err
}

// collect notes what later commits touched, until that is more than fold things (0: no limit). It reports
// whether there was any commit. After an error what it took in counts.
//
// The commit that it has come to is asked for as well: a store that was set back, and went another way, has another one
// of that revision. One that shows none yet, or no more, has not been asked as far as here.
func (w *work) collect(ctx context.Context, fold int) (moved bool, err error) {
	asked := w.options.Clock()
	w.asked = asked
	ctx, watch := w.watched(ctx)
	defer watch.stop()
	since, met := w.collected, w.at.IsZero()
	if !met {
		since--
	}
	for c, err := range w.source.Changes(ctx, w.view(0), since) {
		if err == nil && !met && (c.Revision != w.collected || !c.At.Equal(w.at)) {
			err = fmt.Errorf("%w: commit %d is another than before", graph.ErrTooOld, w.collected)
		}
		if err != nil {
			return moved, fmt.Errorf("topology: asking for changes: %w", watch.why(err))
		}
		if !met {
			met = true
			continue
		}
		w.take(c)
		w.collected, w.at, moved = c.Revision, c.At, true
		w.unseen = append(w.unseen, c.At)
		if fold > 0 && w.pending() >= fold {
			return true, nil
		}
		watch.alive()
	}
	if met {
		w.complete, w.early = asked, early{things: newThings()}
	}
	return moved, nil
}

// refresh takes in what was told and then reads all again that is stale or dirty, some at a time. What was done before an
// error is done.
func (w *work) refresh(ctx context.Context) error {
	err := w.takeIn()
	if err == nil {
		err = w.freshenNodes(ctx)
	}
	if err == nil {
		err = w.freshenEdges(ctx)
	}
	if err != nil {
		return fmt.Errorf("topology: reading what changed: %w", err)
	}
	if w.plan == nil {
		w.plan = w.choose()
	}
	pending := slices.SortedFunc(maps.Keys(w.dirty), graph.ID.Compare)
	for len(pending) > 0 {
		n := w.portion(pending)
		if err := w.reread(ctx, pending[:n]); err != nil {
			return fmt.Errorf("topology: reading changed nodes: %w", err)
		}
		for _, id := range pending[:n] {
			delete(w.dirty, id)
		}
		pending = pending[n:]
	}
	w.plan = nil
	return nil
}

// handOut gives the graph to readers.
func (w *work) handOut() *compact.Graph {
	w.options.Metrics.taken(w.options.Clock(), w.unseen)
	w.unseen = nil
	return w.picture.Graph()
}
