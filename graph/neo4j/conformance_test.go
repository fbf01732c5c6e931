package neo4j

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/cached"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// subject is an empty database as far as its own tenants go.
type subject struct {
	options Options
	prefix  graph.TenantID
}

func (s subject) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	return graphtest.Apart(openAt(t, s.options, clock), s.prefix)
}

// Crash is nothing that the database would notice: a store keeps nothing that is not there.
func (s subject) Crash() {}

func openAt(t graphtest.TB, o Options, clock func() time.Time) *Store {
	t.Helper()
	o.Clock = clock
	store, err := Open(context.Background(), o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return store
}

var (
	subjects atomic.Int64
	run      = time.Now().UnixNano()
)

// freshSubject is empty. The test must have called migrated.
func freshSubject(t graphtest.TB) subject {
	t.Helper()
	if prepared.URI == "" {
		t.Fatalf("migrated was not called")
	}
	return subject{prepared, graph.TenantID(fmt.Sprintf("%d/%d/", run, subjects.Add(1)))}
}

func TestConformance(t *testing.T) {
	migrated(t)
	graphtest.Run(t, func(t graphtest.TB) graphtest.Subject { return freshSubject(t) })
}

// staleSubject is written to in one process and read in another, which may be behind as far as is usual.
type staleSubject struct{ subject }

func (s staleSubject) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	behind := s.subject
	behind.options.MaxStale = DefaultMaxStale
	return graphtest.Elsewhere(s.subject.Open(t, clock), behind.Open(t, clock))
}

func TestReadsOfARevisionAreNotStale(t *testing.T) {
	migrated(t)
	graphtest.RunReads(t, func(t graphtest.TB) graphtest.Subject { return staleSubject{freshSubject(t)} })
}

// cachedSubject is a subject under the cache, which has both its tiers.
type cachedSubject struct {
	subject
	cache cached.Options
}

func (s cachedSubject) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	store, err := cached.New(s.subject.Open(t, clock), s.cache)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return insistent{store}
}

// insistent asks three times: the cache keeps what is asked for again, and then has it.
type insistent struct{ graph.Store }

func thrice[A any](read func() (A, error)) (a A, err error) {
	for range 3 {
		if a, err = read(); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (s insistent) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	return thrice(func() ([]graph.Entity, error) { return s.Store.Entities(ctx, v, q) })
}

func (s insistent) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	return thrice(func() (graph.AlertPage, error) { return s.Store.Alerts(ctx, v, q) })
}

func (s insistent) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	return thrice(func() (graph.IncidentPage, error) { return s.Store.Incidents(ctx, v, q) })
}

func TestConformanceUnderTheCache(t *testing.T) {
	migrated(t)
	reader := sdkmetric.NewManualReader()
	redisServer := realserver.Redis(t, realserver.RedisOptions{Own: true})
	o := cached.Options{
		Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"),
		Redis: &cached.Redis{
			Connect: redis.UniversalOptions{Addrs: []string{redisServer.Addr}}, Timeout: 5 * time.Second,
			Secret: bytes.Repeat([]byte("s"), cached.MinSecretBytes),
		},
	}
	graphtest.Run(t, func(t graphtest.TB) graphtest.Subject { return cachedSubject{freshSubject(t), o} })
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("%+v", data.ScopeMetrics)
	if !strings.Contains(said, "clew.cache.hits") || strings.Contains(said, "clew.cache.redis.failures") {
		t.Errorf("the suite did not reach the cache, or Redis failed: %s", said)
	}
}
