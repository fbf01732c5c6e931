// Package topology holds a replica's picture of one tenant's graph in memory and keeps it fresh by the
// store's changes.
package topology

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Source is what a topology follows: some of graph.Store. What its reads show may lag behind its commits, but
// a read with View.AtLeast must see that revision. Its calls must end when their context does.
type Source interface {
	// Position is asked for the revision.
	Position(ctx context.Context, v graph.View) (graph.Position, error)
	// Entities is scanned, and asked for nodes by id.
	Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error)
	// Edges is scanned, and asked for the edges at nodes. A scan need not be one snapshot.
	Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error]
	// Changes must name every node whose facts or edges a commit changed: of an edge that came, went or
	// changed both ends, as they were and as they are: also a node that was joined to another.
	Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error]
}

// The defaults of Options.
const (
	DefaultPoll       = 200 * time.Millisecond
	DefaultStaleAfter = 2 * time.Second
	DefaultMaxStale   = time.Minute
	DefaultMaxBackoff = 5 * time.Second
	DefaultTimeout    = 30 * time.Second
	DefaultSaveEvery  = 10 * time.Minute
)

// ErrStale: the topology is not built yet, or has been behind for longer than Options.MaxStale.
var ErrStale = errors.New("topology is stale")

// Options of a topology; the zero value serves. Zero durations mean the defaults.
type Options struct {
	// Grade says of each node how much it matters, up to compact.MaxGrade; nil says 0 of all.
	Grade func(graph.Entity) uint8
	// History has the graph tell how edges were at earlier instants (compact.Graph.History), for the memory of the
	// sightings of those edges that were seen at several.
	History bool
	// Poll is the time from the end of one poll for changes to the next. A hint or a waiting View has it poll
	// at once, but never within a fortieth of Poll after the last.
	Poll time.Duration
	// StaleAfter is how long a graph may go without being confirmed before its snapshots are marked stale.
	StaleAfter time.Duration
	// MaxStale is how long it may before Ready fails.
	MaxStale time.Duration
	// MaxBackoff bounds the wait after an error of the source; the waits double from Poll, each cut by up to
	// half at random.
	MaxBackoff time.Duration
	// Timeout bounds a call of the source, for a stream the time from one item to a later one.
	Timeout time.Duration
	// Clock tells how far the graph is behind; nil means time.Now.
	Clock func() time.Time
	// Metrics measures this topology together with others; nil measures nothing.
	Metrics *Metrics
	// File is where the graph is saved, and begun from at the next start, where the store still has the commit that it is
	// as of; the directory must exist. It is for one tenant and one process. Whatever is wrong with it, the graph is
	// scanned then, as without one. Empty: none.
	File string
	// SaveEvery is how often it is saved, where it has changed; Close saves it too.
	SaveEvery time.Duration
	// Grading tells apart what Grade goes by: a file that was graded by anything else does not serve.
	Grading string
	// Log tells why a file does not serve, or could not be written; nil is silent. It must be safe for concurrent use.
	Log func(format string, args ...any)

	limits limits // smaller in tests
}

func (o Options) withDefaults() Options {
	if o.Grade == nil {
		o.Grade = func(graph.Entity) uint8 { return 0 }
	}
	for _, d := range []struct {
		set   *time.Duration
		usual time.Duration
	}{
		{&o.Poll, DefaultPoll}, {&o.StaleAfter, DefaultStaleAfter}, {&o.MaxStale, DefaultMaxStale},
		{&o.MaxBackoff, DefaultMaxBackoff}, {&o.Timeout, DefaultTimeout}, {&o.SaveEvery, DefaultSaveEvery},
	} {
		if *d.set <= 0 {
			*d.set = d.usual
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.limits == (limits{}) {
		o.limits = usualLimits
	}
	return o
}

// Topology follows one tenant with one goroutine. All methods are safe for concurrent use.
type Topology struct {
	reader
	hint chan struct{}
	stop context.CancelFunc
	done chan struct{}

	work *work // the goroutine's; nil where a scan is due
	keeper

	mu       sync.Mutex
	shown    *Snapshot     // without Confirmed and Stale; nil before the first is built
	moved    chan struct{} // closed and replaced when another is shown
	at       time.Time     // Snapshot.Confirmed; before the first, when following began
	trimmed  bool          // changes are missing
	failure  error         // the source's last, nil after a poll that worked
	finished bool
}

// Follow begins to hold the tenant's graph, until ctx ends or Close. It returns at once; View waits until the
// first graph is built. A source that fails is tried again for ever. Errors: graph.ErrInvalid for no tenant.
func Follow(ctx context.Context, source Source, tenant graph.TenantID, o Options) (*Topology, error) {
	if err := tenant.Check(); err != nil {
		return nil, err
	}
	t := newTopology(source, tenant, o)
	ctx, t.stop = context.WithCancel(ctx)
	o.Metrics.add(t)
	go func() {
		t.run(ctx)
		t.finish()
	}()
	return t, nil
}

// Build gives the tenant's graph as it is now, and follows nothing; it uses no file. Errors: as of Follow, ctx's and the
// source's; graph.ErrTooOld where changes were trimmed faster than it could read, so that it may be asked again;
// compact.ErrFull.
func Build(ctx context.Context, source Source, tenant graph.TenantID, o Options) (*Snapshot, error) {
	if err := tenant.Check(); err != nil {
		return nil, err
	}
	o.File = ""
	t := newTopology(source, tenant, o)
	if err := t.advance(ctx); err != nil {
		return nil, err
	}
	s, _, err := t.current()
	return s, err
}

func newTopology(source Source, tenant graph.TenantID, o Options) *Topology {
	o = o.withDefaults()
	return &Topology{
		reader: reader{source, tenant, o}, hint: make(chan struct{}, 1), stop: func() {}, done: make(chan struct{}),
		moved: make(chan struct{}), at: o.Clock(),
	}
}

// Close stops following and waits for the goroutine to end. Where there is a file that is older than the graph, it is
// saved first; that takes as long as writing it, and up to two seconds more where changes are to be taken in, for which
// the source is asked. Snapshots stay good. Closing twice is harmless.
func (t *Topology) Close() error {
	t.stop()
	<-t.done
	return nil
}

// Hint says that the store has probably moved: the topology polls now. It never blocks.
func (t *Topology) Hint() {
	select {
	case t.hint <- struct{}{}:
	default: // one is pending
	}
}

// View returns the graph as it is held, once it has all of atLeast; 0 waits for nothing but the first graph. It
// has the topology poll now where it must wait. It answers during an outage too: see Snapshot.Stale. Errors:
// ctx's, with the source's last beside it, and graph.ErrClosed.
func (t *Topology) View(ctx context.Context, atLeast graph.Revision) (*Snapshot, error) {
	for {
		s, moved, err := t.current()
		if err != nil || s != nil && s.Revision >= atLeast {
			return s, err
		}
		t.Hint()
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, t.waited(ctx.Err(), s, atLeast)
		}
	}
}

// waited says what a View waited for in vain.
func (t *Topology) waited(err error, s *Snapshot, atLeast graph.Revision) error {
	var at graph.Revision
	if s != nil {
		at = s.Revision
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err = fmt.Errorf("topology: waiting for revision %d at %d: %w", atLeast, at, err)
	if t.failure != nil {
		err = fmt.Errorf("%w (source: %w)", err, t.failure)
	}
	return err
}

// current is the snapshot of now, nil before the first is built.
func (t *Topology) current() (*Snapshot, <-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return nil, nil, graph.ErrClosed
	}
	if t.shown == nil {
		return nil, t.moved, nil
	}
	s := *t.shown
	s.Confirmed = t.at
	s.Stale = t.trimmed || t.options.Clock().Sub(t.at) > t.options.StaleAfter
	return &s, t.moved, nil
}

// Ready reports whether the graph is fit for answers: built, and confirmed within Options.MaxStale. Errors:
// ErrStale with the source's last error beside it, graph.ErrClosed, ctx's.
func (t *Topology) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	behind := t.options.Clock().Sub(t.at)
	var err error
	switch {
	case t.finished:
		return graph.ErrClosed
	case t.shown == nil:
		err = fmt.Errorf("%w: not built since %s", ErrStale, behind)
	case behind > t.options.MaxStale:
		err = fmt.Errorf("%w: behind for up to %s", ErrStale, behind)
	default:
		return nil
	}
	if t.failure != nil {
		err = fmt.Errorf("%w: %w", err, t.failure)
	}
	return err
}

// run polls until ctx ends.
func (t *Topology) run(ctx context.Context) {
	for failures := 0; ; {
		err := t.advance(ctx)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		t.note(err)
		t.keep()
		if !t.pause(ctx, failures) {
			return
		}
	}
}

func (t *Topology) finish() {
	t.options.Metrics.remove(t)
	t.stop()
	t.mu.Lock()
	t.finished = true
	close(t.moved)
	t.mu.Unlock()
	t.keepLast()
	close(t.done)
}

// advance brings the graph to where the source stands, from a file or by a scan where there is none or changes are
// missing. A tenant that is too large has none: what was shown before goes stale.
// What it did before an error is kept for the next time, but for a scan.
func (t *Topology) advance(ctx context.Context) error {
	if t.work == nil {
		w, err := t.begin(ctx)
		if err != nil {
			return err
		}
		t.work = w
	}
	err := t.catchUp(ctx)
	if errors.Is(err, graph.ErrTooOld) || errors.Is(err, compact.ErrFull) {
		t.work = nil
	}
	return err
}

// begin gives the graph to go on from.
func (t *Topology) begin(ctx context.Context) (*work, error) {
	if w, err := t.open(ctx); w != nil || err != nil {
		return w, err
	}
	t.exact = nil
	return t.scan(ctx, t.revision())
}

// catchUp folds rounds of changes into the graph. After a round that the source was not written to in, all of
// the graph is of one revision and is shown; otherwise it is shown nevertheless, after a few rounds or Poll.
func (t *Topology) catchUp(ctx context.Context) error {
	began := t.options.Clock()
	for round := 0; ; round++ {
		if err := t.work.refresh(ctx); err != nil {
			return err
		}
		slow := round > 0 && t.options.Clock().Sub(began) > t.options.Poll
		if slow || round == t.options.limits.rounds {
			t.show(false)
			return nil
		}
		moved, err := t.work.collect(ctx, t.options.limits.fold)
		if err != nil {
			return err
		}
		if !moved {
			t.show(true)
			return nil
		}
	}
}

// show gives readers the graph of the goroutine's work.
func (t *Topology) show(exact bool) {
	g := t.work.handOut()
	if t.exact, t.exactAt = nil, t.work.collected; exact {
		t.exact = g
	}
	_, edges := g.Size()
	s := &Snapshot{Revision: t.work.collected, Exact: exact, graph: g, edges: edges - t.work.picture.derived}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return
	}
	before := t.shown
	t.shown, t.at, t.trimmed = s, t.work.complete, false
	if before == nil || before.Revision != s.Revision {
		close(t.moved)
		t.moved = make(chan struct{})
	}
}

// revision is the one that is shown.
func (t *Topology) revision() graph.Revision {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shown == nil {
		return 0
	}
	return t.shown.Revision
}

// note keeps how a poll ended.
func (t *Topology) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failure = err
	switch {
	case errors.Is(err, graph.ErrTooOld):
		t.trimmed = true
		t.options.Metrics.rebuild()
	case err != nil:
		t.options.Metrics.fail()
	}
}

// pause waits until the next poll is due; it gives false where ctx ended. After failures neither hints nor
// waiting readers shorten it: they would keep a source down that is.
func (t *Topology) pause(ctx context.Context, failures int) bool {
	if failures > 0 {
		return sleep(ctx, t.backoff(failures), nil)
	}
	gap := t.options.Poll / 40
	return sleep(ctx, gap, nil) && sleep(ctx, t.options.Poll-gap, t.hint)
}

func (t *Topology) backoff(failures int) time.Duration {
	d := t.options.Poll
	for range failures {
		if d = 2 * d; d >= t.options.MaxBackoff {
			d = t.options.MaxBackoff
			break
		}
	}
	return d - rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}
