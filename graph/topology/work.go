package topology

import (
	"cmp"
	"context"
	"errors"
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
	// fold bounds the nodes that changes are collected for before they are read again.
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

// errSlow ends a call of the source that took longer than Options.Timeout.
var errSlow = errors.New("source gave nothing within the timeout")

// reader asks the source about the tenant.
type reader struct {
	source  Source
	tenant  graph.TenantID
	options Options
}

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
	stale stale
	// told is what commits left, in their order, that is not taken in yet.
	told []*graph.Outcome
	// early are the nodes, as they were asked for and as they are, and the edges that were read since changes were last
	// collected to their end, early.all where everything was: later commits, which were not collected yet, may show in
	// them.
	early early
	// plan says how edges are read, until nothing is dirty; see choose.
	plan *plan
}

// stale is what is to be read again alone, where a change says which edges it was of.
type stale struct {
	nodes set[graph.ID]
	edges set[graph.EdgeKey]
}

type set[K comparable] map[K]struct{}

func (s set[K]) add(all ...K) {
	for _, k := range all {
		s[k] = struct{}{}
	}
}

func (s set[K]) has(k K) bool {
	_, there := s[k]
	return there
}

type early struct {
	stale
	all bool
}

// is reports whether an edge may be as a later commit left it.
func (e early) is(k graph.EdgeKey) bool {
	return e.all || e.edges.has(k) || e.nodes.has(k.From) || e.nodes.has(k.To)
}

func newWork(r reader, p *picture) *work {
	return &work{reader: r, picture: p, dirty: set[graph.ID]{}, stale: newStale(), early: early{stale: newStale()}}
}

func newStale() stale { return stale{set[graph.ID]{}, set[graph.EdgeKey]{}} }

// pending is how many things are to be read again or taken in.
func (w *work) pending() int {
	n := len(w.dirty) + len(w.stale.nodes) + len(w.stale.edges)
	for _, o := range w.told {
		n += len(o.Entities) + len(o.Edges) + len(o.Seen)
	}
	return n
}

// take notes what a change names.
func (w *work) take(c graph.Change) {
	switch {
	case c.Edges == nil:
		w.dirty.add(c.Entities...)
	case c.Outcome == nil || w.early.all: // of many commits, what is to be read is less
		w.stale.nodes.add(c.Entities...)
		w.stale.edges.add(c.Edges...)
	default:
		w.told = append(w.told, c.Outcome)
		w.stale.edges.add(w.untold(c)...)
	}
}

// untold are the edges that a change leaves to be read: also those that it saw again of which that may have been read
// already. All its lists are in order.
func (w *work) untold(c graph.Change) (out []graph.EdgeKey) {
	whole, seen := c.Outcome.Edges, c.Outcome.Seen
	for _, k := range c.Edges {
		switch {
		case len(whole) > 0 && whole[0].Key() == k:
			whole = whole[1:]
		case len(seen) > 0 && seen[0].Key() == k && !w.early.is(k):
			seen = seen[1:]
		case len(seen) > 0 && seen[0].Key() == k:
			seen, out = seen[1:], append(out, k)
		default:
			out = append(out, k)
		}
	}
	return out
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

func (r reader) position(ctx context.Context, atLeast graph.Revision) (graph.Revision, error) {
	ctx, watch := r.watched(ctx)
	defer watch.stop()
	p, err := r.source.Position(ctx, r.view(atLeast))
	return p.Revision, watch.why(err)
}

func (r reader) view(atLeast graph.Revision) graph.View {
	return graph.View{Tenant: r.tenant, AtLeast: atLeast}
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
		w.complete, w.early = asked, early{stale: newStale()}
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

// takeIn takes in what commits left, one after the other. A read may have shown more since, which is then as it was
// until the later commits are taken in too.
func (w *work) takeIn() error {
	for len(w.told) > 0 {
		u := w.picture.update()
		for _, e := range w.told[0].Entities {
			w.know(u, e)
		}
		for _, e := range w.told[0].Edges {
			u.put(e)
		}
		for _, e := range w.told[0].Seen {
			w.join(u, e)
		}
		if err := u.apply(); err != nil {
			return err
		}
		w.told = w.told[1:]
	}
	return nil
}

// join takes in that an edge was seen again. It is as the commit before left it, or is read again anyway. Where not all
// of its sightings are known, it is stale.
func (w *work) join(u *update, seen graph.Edge) {
	e, ok := w.picture.edge(seen.Key())
	if !ok {
		w.stale.edges.add(seen.Key())
		return
	}
	for _, s := range seen.Sightings {
		e = e.Join(s)
	}
	e.Sightings = append(e.Sightings, seen.Sightings...)
	u.put(e)
}

// know takes in a node without its edges, which then must be as they are. Of one that gained or lost ids they are not: it
// is dirty, unless there are none yet under any of its ids.
func (w *work) know(u *update, e graph.Entity) {
	if w.regrouped(e) && !w.picture.blank(e) {
		w.dirty.add(e.ID)
	} else {
		u.know(e, w.options.Grade(e))
	}
}

// freshenNodes reads stale nodes again, without their edges.
func (w *work) freshenNodes(ctx context.Context) error {
	for ids := range slices.Chunk(slices.SortedFunc(maps.Keys(w.stale.nodes), graph.ID.Compare), graph.MaxPage) {
		found, err := w.named(ctx, ids)
		if err != nil {
			return err
		}
		u := w.picture.update()
		for i, e := range found {
			if e.ID != ids[i] {
				w.dirty.add(ids[i])
			} else {
				w.know(u, e)
			}
		}
		if err := u.apply(); err != nil {
			return err
		}
		for _, id := range ids {
			delete(w.stale.nodes, id)
		}
	}
	return nil
}

// freshenEdges reads stale edges again. Of one that is there no more the ends are dirty: it may be another node's.
func (w *work) freshenEdges(ctx context.Context) error {
	for keys := range slices.Chunk(slices.SortedFunc(maps.Keys(w.stale.edges), graph.EdgeKey.Compare), graph.MaxPage) {
		u, there := w.picture.update(), make(map[graph.EdgeKey]bool, len(keys))
		w.early.edges.add(keys...)
		err := w.edges(ctx, graph.EdgeQuery{Keys: keys}, func(e graph.Edge) error {
			there[e.Key()] = true
			u.put(e)
			return nil
		})
		if err == nil {
			err = u.apply()
		}
		if err != nil {
			return err
		}
		for _, k := range keys {
			if delete(w.stale.edges, k); !there[k] {
				w.dirty.add(k.From, k.To)
			}
		}
	}
	return nil
}

// plan says at which end edges are read. An edge that changed made both its ends dirty, so one is enough, and
// a hub need not be read whole for every edge it gets; but it must be the same end until nothing is dirty, or
// an edge might be read at neither.
type plan struct {
	// in are the kinds that are read at To, out those that are read at From.
	in, out []graph.EdgeKind
}

// observed are the kinds of edges that are read. Derived ones are not: whom a node is followed to is told by the node.
var observed = func() (out []graph.EdgeKind) {
	for _, r := range graph.EdgeKinds() {
		if r.Tense != graph.Derived {
			out = append(out, r.Kind)
		}
	}
	return out
}()

func (p *plan) inward(k graph.EdgeKind) bool { return slices.Contains(p.in, k) }

// choose has edges read at From, but for kinds of which the dirty nodes have far fewer coming in than going out.
func (w *work) choose() *plan {
	turn, edges := w.options.limits.turn, 0
	for id := range w.dirty {
		edges += len(w.picture.at(id))
	}
	if edges <= turn {
		return &plan{out: observed}
	}
	var balance [256]int
	for id := range w.dirty {
		for _, a := range w.picture.at(id) {
			if a.Backward() {
				balance[a.Kind()]--
			} else {
				balance[a.Kind()]++
			}
		}
	}
	return planFor(balance, turn)
}

func planFor(balance [256]int, turn int) *plan {
	p := &plan{}
	for _, k := range observed {
		if balance[k] > turn {
			p.in = append(p.in, k)
		} else {
			p.out = append(p.out, k)
		}
	}
	return p
}

// portion is the number of first ids that one call may ask for.
func (w *work) portion(ids []graph.ID) int {
	degree := 0
	for i, id := range ids {
		for _, a := range w.picture.at(id) {
			if w.plan.in != nil || !a.Backward() {
				degree++
			}
		}
		if i == w.options.limits.nodes || i > 0 && degree > w.options.limits.degree {
			return i
		}
	}
	return len(ids)
}

// reread replaces the nodes and by the plan the edges at them. An id that now belongs to another node takes
// its edges along, and that node is read too.
func (w *work) reread(ctx context.Context, ids []graph.ID) error {
	w.early.nodes.add(ids...)
	found, err := w.named(ctx, ids)
	if err != nil {
		return err
	}
	u, seen := w.picture.update(), map[graph.ID]bool{}
	var planned, whole []graph.ID
	for i, e := range found {
		if e.ID != ids[i] {
			u.drop(ids[i])
		}
		if e.ID.IsZero() || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		w.early.nodes.add(e.ID) // which may be another's by a later commit
		if w.regrouped(e) {
			whole = append(whole, e.ID)
			u.replace(e.ID)
		} else {
			planned = append(planned, e.ID)
			u.replaceBy(w.plan, e.ID)
		}
		u.know(e, w.options.Grade(e))
	}
	err = w.rereadEdges(ctx, planned, whole, func(e graph.Edge) error { u.put(e); return nil })
	if err == nil {
		err = u.apply()
	}
	return err
}

// regrouped reports whether the node gained or lost ids, or was another's. Its edges are then read whole: the commit that did it
// may be a later one, of which nothing is dirty yet, and the edges of a node that is dropped for having been
// joined must not be missing until it is.
func (w *work) regrouped(e graph.Entity) bool {
	return w.picture.parted(e.ID) || !slices.Equal(w.picture.members[e.ID], e.Members)
}

func (w *work) rereadEdges(ctx context.Context, planned, whole []graph.ID, found func(graph.Edge) error) error {
	for _, q := range []graph.EdgeQuery{
		{Nodes: whole, Kinds: observed},
		{Nodes: planned, Direction: graph.Out, Kinds: w.plan.out},
		{Nodes: planned, Direction: graph.In, Kinds: w.plan.in},
	} {
		if len(q.Nodes) == 0 || len(q.Kinds) == 0 { // no nodes would mean all, and no kinds
			continue
		}
		if err := w.edges(ctx, q, found); err != nil {
			return err
		}
	}
	return nil
}

// handOut gives the graph to readers.
func (w *work) handOut() *compact.Graph {
	w.options.Metrics.taken(w.options.Clock(), w.unseen)
	w.unseen = nil
	return w.picture.Graph()
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
