// Package cached keeps hot incidents in front of a store: a decorator graph.Store → graph.Store that makes
// reads faster and, whatever happens to its memory or its Redis, never another answer.
//
// Nothing is ever invalidated: the key of what is kept holds tenant, access, kind of answer, id and the
// version of the content, and the version is read from the store each time (or trusted for a moment, see
// Options.Trust).
//
// What is kept, and by which version:
//   - The alerts of one incident with all their evidence, in memory and in Redis. Their version is the
//     incident's own revision and ticks: the contract of graph.IncidentChange moves these with every alert
//     that changes, comes or goes, and reading them costs one row. Incident.ContentVersion would also move with
//     every entity, which these answers do not hold, and costs reading all that is shown. One value serves every
//     page, order and count of the incident.
//   - Entities asked for by id, as the page of an incident asks, in memory only. Their version is where the
//     tenant stands, for no revision of its own tells of Entity.PossiblySameAs.
//   - Incidents asked for by id, in memory, for as long as their version may be trusted: they are the version.
package cached

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/clew-security/clew/graph"
)

// What an Options that leaves them zero means.
const (
	DefaultMemoryBytes   = 64 << 20
	DefaultMaxValueBytes = 1 << 20
	DefaultKeep          = 10 * time.Minute
)

// MaxTrust is the longest that a version may be trusted: the rules of the domain let a read without a
// minimum revision be that stale.
const MaxTrust = time.Second

// Options of a cache; the zero value is an exact cache in memory.
type Options struct {
	// MemoryBytes bounds what is held in memory, approximately; 0 means DefaultMemoryBytes.
	MemoryBytes int64
	// MaxValueBytes bounds one kept answer; larger ones are always read from the store. 0 means
	// DefaultMaxValueBytes.
	MaxValueBytes int
	// Keep is how long a value is kept, in memory and in Redis, and how soon something must be asked for again
	// to be kept at all; 0 means DefaultKeep.
	Keep time.Duration
	// Trust is how long a version that was read serves reads without View.AtLeast, at most MaxTrust; 0 reads it
	// each time, and then every answer is as fresh as the store's. A read with View.AtLeast always reads it.
	Trust time.Duration
	// Redis is the second tier, nil for none.
	Redis *Redis
	// Meter takes clew.cache.hits, clew.cache.misses, clew.cache.bypasses and clew.cache.redis.failures; nil
	// for none.
	Meter metric.Meter
	// Log is told, as printf is, when Redis begins to fail, and when it works again; nil tells nobody.
	Log func(format string, args ...any)

	clock func() time.Time // of versions and of what was asked for, in tests
	eager bool             // keep at the first request, in tests
}

func (o Options) withDefaults() (Options, error) {
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = DefaultMemoryBytes
	}
	if o.MaxValueBytes <= 0 {
		o.MaxValueBytes = DefaultMaxValueBytes
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Trust < 0 || o.Trust > MaxTrust {
		return o, fmt.Errorf("%w: a version may be trusted for %v at most, not %v", graph.ErrInvalid, MaxTrust, o.Trust)
	}
	return o, nil
}

// decorated passes everything through that is not about what is kept.
type decorated = graph.Store

// Store is a graph.Store that answers hot reads from memory or Redis and everything else from the store it
// decorates. It is safe for concurrent use. Answers share nothing with what is kept.
type Store struct {
	decorated
	options Options
	memory  *memory
	redis   *redisTier // nil where there is none
	asked   *recent
	running *flights
	count   counters

	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

var _ graph.Store = (*Store)(nil)

// New puts a cache in front of a store, which the cache then owns: its Close closes the store. The error
// wraps graph.ErrInvalid for options that cannot be. Redis is not asked: it may come and go.
func New(store graph.Store, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{decorated: store, options: o, asked: newRecent(o.Keep), running: newFlights()}
	if s.count, err = newCounters(o.Meter); err != nil {
		return nil, err
	}
	if o.Redis != nil {
		if s.redis, err = newRedisTier(*o.Redis, o, s.count); err != nil {
			return nil, err
		}
	}
	if s.memory, err = newMemory(o); err != nil {
		s.redis.close()
		return nil, err
	}
	return s, nil
}

// Close implements graph.Store: it ends the reads that callers share, forgets everything and closes the store.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.closed.Store(true)
		s.running.close()
		s.memory.close()
		s.redis.close()
		s.closeErr = s.decorated.Close()
	})
	return s.closeErr
}

// enter is the first thing every read asks that may not reach the store.
func (s *Store) enter(ctx context.Context) error {
	if s.closed.Load() {
		return graph.ErrClosed
	}
	return ctx.Err()
}

// again reports whether something is asked for again, and so worth keeping.
func (s *Store) again(k key) bool {
	return s.options.eager || s.asked.again(k, s.options.clock())
}

// exact reports whether the read must see a version that is read for it.
func (s *Store) exact(v graph.View) bool { return s.options.Trust == 0 || v.AtLeast > 0 }

// find gives what is kept under the key, else has fill read it once for all who ask at the same time.
func (s *Store) find(ctx context.Context, k key, fill func(context.Context) (filled, error)) (*value, error) {
	if v, ok := s.memory.get(k); ok {
		s.count.found(ctx, k.kind, filled{value: v, tier: tierMemory})
		return v, nil
	}
	f, joined, err := s.running.do(ctx, k, time.Time{}, s.options.clock(), func(ctx context.Context) (filled, error) {
		if v, ok := s.memory.get(k); ok { // kept since this caller looked
			return filled{value: v, tier: tierMemory}, nil
		}
		if v, ok := s.redis.get(ctx, k); ok {
			s.memory.put(k, v)
			return filled{value: v, tier: tierRedis}, nil
		}
		return fill(ctx)
	})
	if err != nil {
		return nil, err
	}
	if joined {
		f.tier = tierShared
	}
	s.count.found(ctx, k.kind, f)
	return f.value, nil
}

// keep puts a value that was read under the version it was found to have.
func (s *Store) keep(k key, v *value) filled {
	if v.bytes > s.options.MaxValueBytes {
		s.memory.put(k, &value{large: true})
		return filled{value: v}
	}
	s.memory.put(k, v)
	if s.redis == nil || k.kind != kindAlerts {
		return filled{value: v}
	}
	return filled{value: v, after: func(ctx context.Context) { s.redis.put(ctx, k, v) }}
}
