package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/internal/config"
)

// follow keeps in memory the graphs of the tenants that are asked about, fresh by the store's changes, with copies for
// the next start.
func follow(ctx context.Context, store graph.Store, c config.Config, grade graph.Criticalities, m *topology.Metrics, log *slog.Logger) *topology.Tenants {
	copies, grading := copiesIn(c.ReplicaDir(), log), grade.Digest()
	return topology.NewTenants(ctx, store, c.Replica.Bytes, func(tenant graph.TenantID) topology.Options {
		return topology.Options{
			Grade: gradeBy(grade), Grading: grading, History: true, File: copies(tenant),
			Poll: c.Replica.Poll, MaxStale: c.Replica.MaxStale, Metrics: m, Log: logf(log),
		}
	})
}

// copiesIn names the files for copies of graphs in a directory, which it makes; none where there is no directory, or
// where it cannot be made: they spare time, no more.
func copiesIn(dir string, log *slog.Logger) func(graph.TenantID) string {
	err := errors.New("off")
	if dir != "" {
		if err = os.MkdirAll(dir, 0o700); err != nil {
			log.Warn("the next start will read the whole store", "error", err)
		}
	}
	return func(tenant graph.TenantID) string {
		if err != nil {
			return ""
		}
		return topology.FileIn(dir, tenant)
	}
}

// tidyCopies removes the copies from which no start could begin, of tenants that are not asked about.
func tidyCopies(ctx context.Context, all *topology.Tenants, dir string, log *slog.Logger) {
	err := all.Tidy(ctx, dir, func(name string, why error) {
		log.Info("removed a copy of a graph that is of no use", "file", name, "reason", why)
	})
	if err != nil && ctx.Err() == nil {
		log.Warn("copies of graphs that are of no use may be left", "error", err)
	}
}

// gradeBy is a node's grade in the graph in memory.
func gradeBy(c graph.Criticalities) func(graph.Entity) uint8 {
	return func(e graph.Entity) uint8 { return uint8(c.Of(e).Criticality) }
}

// movedChannel is where replicas tell each other that a tenant has moved. It is a hint: a replica that hears
// nothing polls, and one that hears lies polls once too often.
const movedChannel = "clew:moved"

// hinting is a store that tells other replicas of its commits.
type hinting struct {
	graph.Store
	client redis.UniversalClient
	queue  chan graph.TenantID
}

// withHints tells others of what is committed through the store, until ctx ends. What cannot be told soon is not.
func withHints(ctx context.Context, store graph.Store, client redis.UniversalClient) graph.Store {
	h := hinting{store, client, make(chan graph.TenantID, 16)}
	go func() {
		for {
			select {
			case tenant := <-h.queue:
				_ = client.Publish(ctx, movedChannel, string(tenant)).Err() // replicas poll anyway
			case <-ctx.Done():
				return
			}
		}
	}()
	return h
}

// Apply implements graph.Writer.
func (h hinting) Apply(ctx context.Context, tenant graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	r, err := h.Store.Apply(ctx, tenant, b)
	if err == nil {
		select {
		case h.queue <- tenant:
		default:
		}
	}
	return r, err
}

// hintRest is how long a Redis that refuses is left alone: hints save a little time, no more.
const hintRest = time.Second

// heedHints calls moved when another replica says that a tenant has moved, until ctx ends. The name is whatever was sent.
func heedHints(ctx context.Context, client redis.UniversalClient, log *slog.Logger, moved func(graph.TenantID)) {
	sub := client.Subscribe(ctx, movedChannel)
	defer sub.Close()
	for told := false; ; {
		m, err := sub.ReceiveMessage(ctx) // connects again by itself
		if ctx.Err() != nil || errors.Is(err, redis.ErrClosed) {
			return
		}
		if err != nil { // a wrong password, say, is told at once each time
			if !told {
				log.Warn("no hints from other replicas: polling", "error", err)
				told = true
			}
			select {
			case <-ctx.Done():
			case <-time.After(hintRest):
			}
			continue
		}
		told = false
		moved(graph.TenantID(m.Payload))
	}
}

// hintClient connects to the configured Redis; nil where none is.
func hintClient(c config.Config, log *slog.Logger) redis.UniversalClient {
	if c.Cache.Kind != config.CacheRedis {
		return nil
	}
	r, err := redisOptions(c)
	if err != nil {
		log.Warn("replicas poll without hints", "error", err)
		return nil
	}
	o := r.Connect
	o.DialTimeout, o.WriteTimeout = r.Timeout, r.Timeout
	return redis.NewUniversalClient(&o)
}

// driverLog takes what the Redis driver tells of each connection, which is of use only to find out why Redis is not
// what it should be.
type driverLog struct{ log *slog.Logger }

// Printf implements the driver's logger.
func (l driverLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis: "+fmt.Sprintf(format, args...))
}
