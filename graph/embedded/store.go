// Package embedded is the default graph.Store: one process, one directory, crash safe, on Pebble.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// DefaultKeepChanges is how many of a tenant's newest changes are kept for Changes.
const DefaultKeepChanges = 10_000

// DefaultCacheBytes is the size of the cache of decompressed blocks.
const DefaultCacheBytes = 256 << 20

// defaultMemTableBytes is what gathers in memory before it goes to a file, beside the log that has it already. What
// is seen again and again is replaced there, and written out once.
const defaultMemTableBytes = 64 << 20

// Options of a store; the zero value serves.
type Options struct {
	// Clock gives the wall clock for ticks; nil means time.Now. It may jump.
	Clock func() time.Time
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Log takes what the storage engine complains about, as printf does; nil means silence.
	Log func(format string, args ...any)
	// KeepChanges is how many of a tenant's newest changes are kept; 0 means DefaultKeepChanges.
	KeepChanges int
	// CacheBytes bounds the block cache; 0 means DefaultCacheBytes.
	CacheBytes int64
	// Salvage is for finding and saving what can be read of a store with damaged files: these are then errors of
	// the reads that meet them and do not stop the store, and Check reports what Open found. The store takes no
	// writes, and nothing in the directory but its lock is made, changed or removed, unless it is of an older format
	// and must be upgraded to be read: else it need not be writable, and is opened without its lock where that
	// cannot be taken.
	Salvage bool

	memTableBytes uint64 // small in tests, so that files change hands often
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.KeepChanges <= 0 {
		o.KeepChanges = DefaultKeepChanges
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.memTableBytes == 0 {
		o.memTableBytes = defaultMemTableBytes
	}
	return o
}

// Store is a graph.Store in a directory. One process at a time may have it open.
//
// Writers of one tenant take turns; readers see a snapshot and block nobody. A write that the storage
// refuses (a full or failing disk) stops the store: that call and all later ones return an error that wraps
// the cause, until the store is closed and opened again. What was acknowledged before is then there; the
// failed batch is there as a whole or not at all.
type Store struct {
	options Options
	dir     string
	// upgraded says what Open did about an older format.
	upgraded string
	// name is that of the engine's files in dir.
	name string
	// begun is set where they are made anew.
	begun bool
	// found are the problems that were met when a store was opened to be salvaged.
	found   []Problem
	db      *pebble.DB
	lock    io.Closer
	failure *failure
	write   *pebble.WriteOptions

	mu       sync.Mutex
	tenants  map[graph.TenantID]*tenant
	inFlight sync.WaitGroup // entered under mu while not closed
	closed   bool
	closing  chan struct{}
	// acknowledged is the number behind the last key that is known to be durable in the engine's log.
	acknowledged atomic.Uint64
	backups      atomic.Int64 // ever begun
	corruptions  atomic.Int64 // ever met
	// open ends when the store closes, for what runs beside the calls.
	open context.Context
	shut context.CancelFunc

	closeOnce sync.Once
	closeErr  error
}

var _ graph.Store = (*Store)(nil)

// tenant is what is kept in memory of one tenant: nothing that the directory does not say better.
type tenant struct {
	turn chan struct{} // holds one token; who has it writes
	// memory belongs to who has the turn.
	memory *rules.Memory

	recent recent

	mu      sync.Mutex
	moved   chan struct{} // closed and replaced when a commit has become visible
	syncing chan struct{} // closed when the commit in flight is durable; nil where there is none
}

// Open opens the store in dir and creates it where there is none. A directory of an older format is upgraded, see
// Upgraded. Errors: graph.ErrInUse where a process has it open; graph.ErrVersion where the directory holds
// something else or a newer format; ErrDamaged where files are missing or not what they were; the storage's own.
//
// What was acknowledged and is not there is found where something shows it: a file that other files name, what the
// log says of earlier commits, where log and manifest ended when the store was closed. Where it was not closed, a
// log that is cut short or damaged in its last commit (or in those that tenants made at the same instant) is what a
// crash leaves of a commit that was not acknowledged, and is taken for that.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Salvage {
		if there, err := Exists(o.FS, dir); err != nil || !there {
			return nil, cmp.Or(err, fmt.Errorf("%w: there is no store in %s", graph.ErrNotFound, dir))
		}
	}
	dir, err := plainPath(o.FS, dir)
	if err != nil {
		return nil, err
	}
	p, err := prepare(o, dir)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", cannotWrite(o.FS, dir, err))
	}
	s := &Store{
		options: o, dir: dir, name: p.name, begun: p.begun, found: p.found, upgraded: p.notice, lock: p.lock,
		failure: newFailure(), write: pebble.Sync, tenants: map[graph.TenantID]*tenant{}, closing: make(chan struct{}),
	}
	s.open, s.shut = context.WithCancel(context.Background())
	if err := s.openPebble(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store in %s: %w", dir, err), p.lock.Close())
	}
	if o.Salvage {
		return s, nil
	}
	if err := markCreated(o.FS, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store in %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// openPebble opens the engine's files, to be salvaged also without tables that are lost: whoever reads one is told.
func (s *Store) openPebble() error {
	err := s.openEngine(nil)
	var lost lostTables
	if s.options.Salvage && errors.As(err, &lost) {
		return s.openEngine(lost)
	}
	return err
}

// openEngine opens the engine's files, of which those tables are lost. It gives up as soon as a write fails. Pebble
// would try again for ever (a full disk, while it flushes what it recovered); its goroutines stand still from then on
// and nothing more reaches the directory.
func (s *Store) openEngine(lost lostTables) error {
	disk := &openingFS{FS: s.options.FS}
	i := &inspector{
		FS: s.sparing(failStopFS{disk, s.failure}), dir: s.dir, name: s.name, salvage: s.options.Salvage,
		found: slices.Clone(lost),
	}
	if !s.begun {
		if err := i.look(s.options.FS); err != nil {
			return err
		}
	}
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	defer func() {
		if s.failure.err() != nil {
			disk.failed()
		} else {
			disk.open.Store(true)
		}
	}()
	i.opening.Store(true)
	options := s.pebbleOptions(i)
	options.DisableConsistencyCheck = len(lost) > 0
	go func() {
		var o opened
		defer func() {
			if p := recover(); p != nil {
				o.err = s.panicked(p)
			}
			done <- o
		}()
		o.db, o.err = pebble.Open(i.PathJoin(s.dir, s.name), options)
	}()
	select {
	case o := <-done:
		i.opening.Store(false)
		if o.err == nil {
			s.db, s.found = o.db, append(s.found, i.found...)
		}
		return i.because(s.plain(o.err))
	case <-s.failure.done:
		return s.failure.err()
	}
}

func (s *Store) pebbleOptions(fs vfs.FS) *pebble.Options {
	log := pebbleLog{s.failure, s.options.Log}
	o := &pebble.Options{
		FS: fs, Logger: log, CacheSize: s.options.CacheBytes,
		FormatMajorVersion: pebble.FormatColumnarBlocks,
		ErrorIfNotExists:   !s.begun, ReadOnly: s.options.Salvage,
		MemTableSize: s.options.memTableBytes, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 24,
		DisableTableStats: s.options.Salvage, DisableAutomaticCompactions: s.options.Salvage,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { log.Errorf("background: %v", err) },
			DataCorruption:  s.corrupted,
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most writes ask for keys that are not there
	}
	return o
}

// enter admits a call; leave must follow. It does not admit after Close or a storage failure.
func (s *Store) enter(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return graph.ErrClosed
	}
	if err := s.failure.err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.inFlight.Add(1)
	return nil
}

func (s *Store) leave() { s.inFlight.Done() }

// tenant returns the tenant's in-memory part, made on first use.
func (s *Store) tenant(id graph.TenantID) *tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tenants[id]
	if !ok {
		t = &tenant{turn: make(chan struct{}, 1), memory: rules.NewMemory(), moved: make(chan struct{})}
		t.turn <- struct{}{}
		s.tenants[id] = t
	}
	return t
}

// takeTurn waits to be the tenant's only writer; giveTurn must follow.
func (t *tenant) takeTurn(ctx context.Context, s *Store) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failure.done:
		return s.failure.err()
	}
}

func (t *tenant) giveTurn() { t.turn <- struct{}{} }

func (t *tenant) movedChan() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved
}

// beginSync says that what is about to become visible is not durable yet; endSync says that it is.
func (t *tenant) beginSync() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.syncing = make(chan struct{})
}

func (t *tenant) endSync() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.syncing)
	t.syncing = nil
}

// awaitSync waits until all that was visible when it was called is durable.
func (t *tenant) awaitSync(ctx context.Context, s *Store) error {
	t.mu.Lock()
	syncing := t.syncing
	t.mu.Unlock()
	if syncing == nil {
		return nil
	}
	select {
	case <-syncing:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failure.done:
		return s.failure.err()
	}
}

func (t *tenant) announce() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.moved)
	t.moved = make(chan struct{})
}

// commit makes the batch durable and visible. On an error the outcome is open and the store has failed. In the log
// the batch says up to where earlier ones are durable, so that damage there is not taken for what a crash left.
func (s *Store) commit(b *pebble.Batch) error {
	if err := b.LogData(promise(s.acknowledged.Load()), nil); err != nil {
		return err
	}
	err := s.apart(func() error {
		if err := s.db.Apply(b, s.write); err != nil || !s.write.Sync {
			return err
		}
		s.acknowledge(uint64(b.SeqNum()) + uint64(b.Count()))
		return nil
	})
	if err != nil {
		return err
	}
	return s.failure.err()
}

// acknowledge raises the number, whichever commit returns first.
func (s *Store) acknowledge(next uint64) {
	for {
		now := s.acknowledged.Load()
		if next <= now || s.acknowledged.CompareAndSwap(now, next) {
			return
		}
	}
}

// apart waits for work that writes, or for the store to fail: Pebble does not come back from a write that cannot
// be done.
func (s *Store) apart(work func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.failure.set(s.panicked(p))
			}
		}()
		done <- work()
	}()
	select {
	case err := <-done:
		return err
	case <-s.failure.done:
		return s.failure.err()
	}
}

// Upgraded says, for the user, what Open did where the directory had an older format: which, and where the store
// as it was is kept. Empty where it had not.
func (s *Store) Upgraded() string { return s.upgraded }

// Found returns what Open passed over because of Options.Salvage: the files that are missing or damaged. Empty
// otherwise.
func (s *Store) Found() []Problem { return slices.Clone(s.found) }

// Ready implements graph.Store.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.leave()
	return nil
}

// Close waits for the calls in flight, iterations included, and releases the directory. It must not be
// called from inside an iteration.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		s.shut()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// release closes Pebble, unless the storage failed: then Pebble stands still with what it holds, cannot
// write any more, and is left to the end of the process.
func (s *Store) release() error {
	idle := make(chan struct{})
	go func() { s.inFlight.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-s.failure.done:
	}
	if s.failure.err() != nil {
		return s.lock.Close()
	}
	done := make(chan error, 1)
	go func() { done <- s.db.Close() }()
	select {
	case err := <-done:
		if err == nil && !s.options.Salvage {
			err = s.noteEnds()
		}
		return errors.Join(err, s.lock.Close())
	case <-s.failure.done: // the last write failed
		return errors.Join(s.failure.err(), s.lock.Close())
	}
}
