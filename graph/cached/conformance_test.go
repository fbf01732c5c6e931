package cached

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// subject is a store in memory behind a cache.
type subject struct {
	fs      *vfs.MemFS
	options Options
}

// Crash takes all that was not synced, and the memory.
func (s *subject) Crash() { s.fs = s.fs.CrashClone(vfs.CrashCloneCfg{}) }

func (s *subject) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	inner := must(embedded.Open("store", embedded.Options{FS: s.fs, Clock: clock, CacheBytes: 1 << 20}))(t)
	return must(New(inner, s.options))(t)
}

// The suite asks most things once: kept at the first request, they come from the cache ever after.
func TestConformanceKeepingEverything(t *testing.T) {
	noLeaks(t)
	o := Options{eager: true}
	m := newMeter(&o)
	graphtest.Run(t, func(graphtest.TB) graphtest.Subject { return &subject{vfs.NewCrashableMem(), o} })
	hits, misses := m.sum(t, "clew.cache.hits"), m.sum(t, "clew.cache.misses")
	if t.Logf("%d hits, %d misses", hits, misses); hits == 0 || misses == 0 {
		t.Error("the suite did not reach the cache")
	}
}

// trusting is a subject whose reads all say which revision they want.
type trusting struct{ *subject }

func (s trusting) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	store := s.subject.Open(t, clock)
	return graphtest.Elsewhere(store, store)
}

func TestReadsOfARevisionAreNotStale(t *testing.T) {
	noLeaks(t)
	o := Options{eager: true, Trust: MaxTrust}
	m := newMeter(&o)
	graphtest.RunReads(t, func(graphtest.TB) graphtest.Subject { return trusting{&subject{vfs.NewCrashableMem(), o}} })
	if m.sum(t, "clew.cache.hits") == 0 {
		t.Error("the suite did not reach the cache")
	}
}

// Each subject is another store with the same clock, so each has a secret of its own, as deployments have.
// Memory has no room, so that Redis must answer.
func TestConformanceOverRedis(t *testing.T) {
	noLeaks(t)
	server := startRedis(t, realserver.RedisOptions{})
	o := Options{eager: true, MemoryBytes: 1}
	m := newMeter(&o)
	graphtest.Run(t, func(graphtest.TB) graphtest.Subject {
		o := o
		o.Redis = tier(server.Addr)
		return &subject{vfs.NewCrashableMem(), o}
	})
	if n := m.sum(t, "clew.cache.redis.failures"); n != 0 {
		t.Errorf("%d commands failed", n)
	}
	if hits := m.sum(t, "clew.cache.hits", "tier", "redis"); hits == 0 {
		t.Error("the suite did not reach Redis")
	}
}
