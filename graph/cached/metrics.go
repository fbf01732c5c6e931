package cached

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// The tiers that a hit is counted under: memory, Redis, and another caller's read that was under way.
const (
	tierMemory = "memory"
	tierRedis  = "redis"
	tierShared = "shared"
)

// The reasons for passing the cache over.
const (
	bypassQuery   = "query"   // a question that is not kept
	bypassFirst   = "first"   // asked for the first time in a while
	bypassExact   = "exact"   // the version itself, which must be read
	bypassUnknown = "unknown" // there is no such incident
	bypassLarge   = "large"   // too large to keep
	bypassMoved   = "moved"   // it changed while it was read
)

// The commands of Redis and the ways they fail.
const (
	opGet = "get"
	opSet = "set"

	failTimeout     = "timeout"
	failUnreachable = "unreachable"
	failRefused     = "refused" // Redis said no: out of memory, read-only, loading
	failDamaged     = "damaged" // what lies there is not what was written for the key
	failResting     = "resting" // not asked, because it failed before
)

// counters: every read of incidents, alerts or entities is one hit, miss or bypass of its kind. Where a version may
// be trusted, looking for it is one too, of kind incident or position. No tenant is told.
type counters struct{ hits, misses, bypasses, failures metric.Int64Counter }

func newCounters(m metric.Meter) (counters, error) {
	if m == nil {
		m = noop.NewMeterProvider().Meter("")
	}
	hits, err1 := m.Int64Counter("clew.cache.hits", metric.WithDescription("Reads answered from the cache, by kind and tier."))
	misses, err2 := m.Int64Counter("clew.cache.misses", metric.WithDescription("Reads that the cache had to take to the store, by kind."))
	bypasses, err3 := m.Int64Counter("clew.cache.bypasses", metric.WithDescription("Reads that went past the cache, by kind and reason."))
	failures, err4 := m.Int64Counter("clew.cache.redis.failures", metric.WithDescription("Redis commands that failed or were not tried, by operation and reason."))
	return counters{hits, misses, bypasses, failures}, errors.Join(err1, err2, err3, err4)
}

// found counts what a look for kept content gave; what is too large is counted as a bypass elsewhere.
func (c counters) found(ctx context.Context, k kind, f filled) {
	switch {
	case f.value.large:
	case f.moved:
		c.bypass(ctx, k, bypassMoved)
	case f.tier != "":
		c.hit(ctx, k, f.tier)
	default:
		c.miss(ctx, k)
	}
}

func (c counters) hit(ctx context.Context, k kind, tier string) {
	c.hits.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(k)), attribute.String("tier", tier)))
}

func (c counters) miss(ctx context.Context, k kind) {
	c.misses.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(k))))
}

func (c counters) bypass(ctx context.Context, k kind, reason string) {
	c.bypasses.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(k)), attribute.String("reason", reason)))
}

func (c counters) failed(ctx context.Context, op, reason string) {
	c.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("operation", op), attribute.String("reason", reason)))
}
