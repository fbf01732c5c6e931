package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/internal/config"
)

// assembly is a configured store with all that stands around it.
type assembly struct {
	store  graph.Store
	record record
	reach  reach
	log    *slog.Logger
	routes []func(*http.ServeMux)
	ready  func(context.Context) error

	stop  context.CancelFunc
	tasks sync.WaitGroup
	ends  []func() error // in the order in which they were begun
}

// assemble opens the store and puts in order what stands before it: record, cache, hints. What runs beside
// begins, and ends with close.
func assemble(ctx context.Context, c config.Config, log *slog.Logger) (s *assembly, err error) {
	s = &assembly{log: log}
	ctx, s.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.reach.grade, err = criticalities(c.Criticality.Rules); err != nil {
		return s, fmt.Errorf("%s: %w", rulesKey, err)
	}
	meter, err := s.serveMetrics(c.Metrics.Listen)
	if err != nil {
		return s, err
	}
	if s.record, err = s.openServed(ctx, c, meter); err != nil {
		return s, err
	}
	s.store = s.record
	s.ends = append(s.ends, func() error { return s.store.Close() })
	if s.store, err = withCache(s.store, c, s.log, meter); err != nil {
		s.store = s.record
		return s, err
	}
	s.ready = s.store.Ready
	if err := s.replicate(ctx, c, meter); err != nil {
		return s, err
	}
	store := s.store // as it stands now that all is put before it
	s.beside(func() { keepPruned(ctx, store, devTenant, c, log) })
	return s, nil
}

// replicate keeps graphs in memory, the tenant's from the start. Where others write too, it tells them of what is written
// here, and there is no other way to know what they wrote than to follow them: then it is not ready without.
func (s *assembly) replicate(ctx context.Context, c config.Config, meter metric.Meter) error {
	m, err := topology.NewMetrics(meter)
	if err != nil {
		return err
	}
	all := follow(ctx, s.record, c, s.reach.grade, m, s.log)
	s.ends = append(s.ends, all.Close)
	if _, err := all.Of(devTenant); err != nil {
		return err
	}
	if dir := c.ReplicaDir(); dir != "" {
		s.beside(func() { tidyCopies(ctx, all, dir, s.log) })
	}
	if c.Store.Kind != config.StoreNeo4j {
		s.reach.ground = heldOf(all, s.record, s.reach.grade, s.record.Position)
		return nil
	}
	s.reach.ground = heldOf(all, s.record, s.reach.grade, nil)
	store := s.store
	s.ready = func(ctx context.Context) error {
		t, err := all.Of(devTenant)
		if err == nil {
			err = t.Ready(ctx)
		}
		return errors.Join(store.Ready(ctx), err)
	}
	client := hintClient(c, s.log)
	if client == nil {
		return nil
	}
	s.ends = append(s.ends, client.Close)
	s.store = withHints(ctx, s.store, client)
	s.beside(func() { heedHints(ctx, client, s.log, all.Hint) })
	return nil
}

// serveMetrics measures, and serves the measurements, where an address says so; else there is no meter.
func (s *assembly) serveMetrics(address string) (metric.Meter, error) {
	if address == "" {
		return nil, nil
	}
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	s.ends = append(s.ends, func() error { return provider.Shutdown(context.Background()) })
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10}
	s.beside(func() { _ = server.Serve(l) }) // ends when it is closed
	s.ends = append(s.ends, server.Close)
	return provider.Meter("clew"), nil
}

// beside runs what close waits for.
func (s *assembly) beside(run func()) {
	s.tasks.Go(run)
}

// close ends what was begun, the last first. The store ends last but for the measurements.
func (s *assembly) close() (err error) {
	s.stop()
	for i := len(s.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, s.ends[i]())
	}
	s.tasks.Wait()
	return err
}

// handler is the HTTP face.
func (s *assembly) handler() http.Handler {
	return newHandler(s.store, s.reach, s.ready, s.log, s.routes...)
}
