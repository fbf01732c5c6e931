package topology

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/clew-security/clew/graph"
)

// Metrics measures all topologies of a replica together, without telling tenants apart:
//
//   - clew.replica.lag: seconds since the earliest Snapshot.Confirmed, an upper bound of the age of the oldest
//     commit that is not held, by the replica's clock alone. It rises to Options.Poll between the polls of a
//     tenant that nobody writes to, and without end while a source cannot be asked.
//   - clew.replica.delay: seconds from Change.At to when readers could see the commit, for each change; 0
//     where the writer's clock is ahead of the replica's.
//   - clew.replica.revision: the sum of the revisions that are held, equal on replicas that hold the same.
//   - clew.replica.edges: observed edges held.
//   - clew.replica.bytes: memory that the graphs take, in part estimated.
//   - clew.replica.changes: changes that readers can see.
//   - clew.replica.rebuilds: times that changes had been trimmed, so that a scan became due.
//   - clew.replica.failures: polls that failed otherwise.
//   - clew.replica.unsaved: times that a graph could not be saved to its file.
type Metrics struct {
	changes, rebuilds, failures, lost metric.Int64Counter
	delay                             metric.Float64Histogram

	mu        sync.Mutex
	followers map[follower]struct{}
}

// follower is a topology as measured.
type follower interface {
	measure() measured
}

// measured is what a topology shows, or all do.
type measured struct {
	lag          float64
	revision     graph.Revision
	edges, bytes int
}

// NewMetrics makes the instruments; a nil meter measures nothing. One is enough for a process.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	m := &Metrics{followers: map[follower]struct{}{}}
	var errs [10]error
	m.changes, errs[0] = meter.Int64Counter("clew.replica.changes", metric.WithUnit("{change}"), metric.WithDescription("Changes that readers can see."))
	m.rebuilds, errs[1] = meter.Int64Counter("clew.replica.rebuilds", metric.WithUnit("{rebuild}"), metric.WithDescription("Times that a scan became due because changes had been trimmed."))
	m.failures, errs[2] = meter.Int64Counter("clew.replica.failures", metric.WithUnit("{poll}"), metric.WithDescription("Polls of the store that failed."))
	m.lost, errs[9] = meter.Int64Counter("clew.replica.unsaved", metric.WithUnit("{save}"), metric.WithDescription("Times that a graph could not be saved to its file."))
	lag, err := meter.Float64ObservableGauge("clew.replica.lag", metric.WithUnit("s"), metric.WithDescription("Upper bound of the age of the oldest commit that is not held."))
	errs[3] = err
	revision, err := meter.Int64ObservableGauge("clew.replica.revision", metric.WithDescription("Sum over tenants of the revisions held."))
	errs[4] = err
	edges, err := meter.Int64ObservableGauge("clew.replica.edges", metric.WithUnit("{edge}"), metric.WithDescription("Observed edges held."))
	errs[5] = err
	bytes, err := meter.Int64ObservableGauge("clew.replica.bytes", metric.WithUnit("By"), metric.WithDescription("Memory that the graphs take."))
	errs[6] = err
	_, errs[7] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		all := m.total()
		o.ObserveFloat64(lag, all.lag)
		o.ObserveInt64(revision, int64(all.revision))
		o.ObserveInt64(edges, int64(all.edges))
		o.ObserveInt64(bytes, int64(all.bytes))
		return nil
	}, lag, revision, edges, bytes)
	m.delay, errs[8] = meter.Float64Histogram("clew.replica.delay", metric.WithUnit("s"),
		metric.WithDescription("From a commit to when readers could see it."),
		metric.WithExplicitBucketBoundaries(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 60))
	return m, errors.Join(errs[:]...)
}

func (m *Metrics) total() (all measured) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for f := range m.followers {
		one := f.measure()
		all.lag = max(all.lag, one.lag)
		all.revision += one.revision
		all.edges += one.edges
		all.bytes += one.bytes
	}
	return all
}

func (t *Topology) measure() measured {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := measured{lag: t.options.Clock().Sub(t.at).Seconds()}
	if t.shown != nil {
		m.revision, m.edges, m.bytes = t.shown.Revision, t.shown.edges, t.shown.graph.Memory().Total()
	}
	return m
}

func (m *Metrics) add(f follower) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.followers[f] = struct{}{}
}

func (m *Metrics) remove(f follower) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.followers, f)
}

// taken counts the changes committed at these instants, which readers can see now.
func (m *Metrics) taken(now time.Time, commits []time.Time) {
	if m == nil {
		return
	}
	m.changes.Add(context.Background(), int64(len(commits)))
	for _, at := range commits {
		m.delay.Record(context.Background(), max(0, now.Sub(at).Seconds()))
	}
}

func (m *Metrics) rebuild() {
	if m != nil {
		m.rebuilds.Add(context.Background(), 1)
	}
}

func (m *Metrics) fail() {
	if m != nil {
		m.failures.Add(context.Background(), 1)
	}
}

func (m *Metrics) unsaved() {
	if m != nil {
		m.lost.Add(context.Background(), 1)
	}
}
