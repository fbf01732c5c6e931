package topology

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/graphtest"
)

func TestAScannedGraphIsTheStores(t *testing.T) {
	aliases, derived := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := openStore(t, 0)
		defer s.Close()
		for _, b := range drawBatches(t, 8, 24) {
			apply(t, s, b)
		}
		v := must(Build(context.Background(), s, graphtest.Tenant, Options{Grade: facts}))(t)
		compare(t, truthOf(t, s), v)
		_, all := v.Graph().Size()
		_, observed := v.Size()
		aliases, derived = aliases+aliasesIn(v.Graph()), derived+all-observed
	})
	if t.Logf("%d aliases, %d edges of what is the same", aliases, derived); aliases == 0 || derived == 0 {
		t.Error("the runs did not meet what they are for")
	}
}

// shaky is a source that now and then fails or takes its time.
func shaky(s Source, on *atomic.Bool) Source {
	return &hooked{Source: s, page: 7, before: func(ctx context.Context, call string) error {
		switch n := rand.IntN(40); {
		case !on.Load():
		case n == 0:
			return errFault
		case n < 3:
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		}
		return nil
	}}
}

// TestReadersAndFollowersRunTogether is for the race detector; followers poll all the time, few changes are
// kept, and sources are shaky.
func TestReadersAndFollowersRunTogether(t *testing.T) {
	checkLeaks(t)
	s := openStore(t, 5)
	defer s.Close()
	var on atomic.Bool
	on.Store(true)
	var followers []*Topology
	for range 2 {
		o := Options{Grade: facts, Poll: 200 * time.Microsecond, MaxBackoff: time.Millisecond}
		f := must(Follow(t.Context(), shaky(s, &on), graphtest.Tenant, o))(t)
		defer f.Close()
		followers = append(followers, f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	var reads atomic.Int64
	for _, f := range followers {
		for range 2 {
			readers.Go(func() {
				for ctx.Err() == nil {
					readWhole(t, f)
					reads.Add(1)
					time.Sleep(100 * time.Microsecond)
				}
			})
		}
	}
	batches := rapid.Custom(func(t *rapid.T) []graph.Batch { return drawBatches(t, 120, 150) }).Example(1)
	for i, b := range batches {
		r := apply(t, s, b)
		f := followers[i%2]
		if i%3 == 0 {
			if v := must(f.View(t.Context(), r))(t); v.Revision < r {
				t.Errorf("asked for %d, got %d", r, v.Revision)
			}
		}
		f.Hint()
	}
	on.Store(false)
	want := truthOf(t, s)
	for _, f := range followers {
		for v := must(f.View(t.Context(), want.revision))(t); ; v = must(f.View(t.Context(), want.revision))(t) {
			if v.Exact {
				compare(t, want, v)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	readers.Wait()
	t.Logf("%d commits, %d whole reads", want.revision, reads.Load())
}

// readWhole reads a snapshot twice: both ends tell of every edge, and it does not change.
func readWhole(t *testing.T, f *Topology) {
	v, err := f.View(t.Context(), 0)
	if err != nil {
		t.Errorf("view: %v", err)
		return
	}
	for range 2 {
		out, in, derived := 0, 0, 0
		g := v.Graph()
		for n := range compact.Node(g.Numbers()) {
			for _, a := range g.Arcs(n) {
				switch e := g.Edge(n, a); {
				case len(g.Arcs(a.Far())) == 0:
					t.Errorf("edge %v hangs", e)
				case e.Kind == graph.EdgePossiblySame:
					derived++
				case a.Backward():
					in++
				default:
					out++
				}
			}
		}
		_, edges := v.Size()
		if _, all := g.Size(); out != edges || in != edges || derived != 2*(all-edges) {
			t.Errorf("%d edges of %d, %d out, %d in, %d times seen what is the same", edges, all, out, in, derived)
		}
	}
}

func TestMetrics(t *testing.T) {
	reader := sdk.NewManualReader()
	metrics := must(NewMetrics(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")))(t)
	clock := graphtest.NewClock()
	store := graphtest.NewModel(clock.Now)
	o := Options{Clock: clock.Now, Metrics: metrics}
	one, two := newTopology(store, graphtest.Tenant, o), newTopology(store, "fabrikam", o)
	metrics.add(one)
	metrics.add(two)
	apply(t, store, logon(t, 1, 1))
	must(0, two.advance(t.Context()))(t)
	clock.Move(3 * time.Second)
	must(0, one.advance(t.Context()))(t)
	apply(t, store, logon(t, 2, 1))
	clock.Move(time.Second)
	must(0, one.advance(t.Context()))(t)
	one.note(graph.ErrTooOld)
	one.note(errFault)
	checkMetrics(t, reader, map[string]float64{
		"clew.replica.bytes": float64(one.shown.Graph().Memory().Total() + two.shown.Graph().Memory().Total()),
		"clew.replica.lag":   4, "clew.replica.revision": 2, "clew.replica.edges": 2, "clew.replica.changes": 1,
		"clew.replica.delay": 1, "clew.replica.rebuilds": 1, "clew.replica.failures": 1,
	})
	metrics.remove(two)
	checkMetrics(t, reader, map[string]float64{"clew.replica.lag": 0})
}

func checkMetrics(t *testing.T, reader sdk.Reader, want map[string]float64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Gauge[float64]:
			got[m.Name] = d.DataPoints[0].Value
		case metricdata.Gauge[int64]:
			got[m.Name] = float64(d.DataPoints[0].Value)
		case metricdata.Sum[int64]:
			got[m.Name] = float64(d.DataPoints[0].Value)
		case metricdata.Histogram[float64]:
			got[m.Name] = d.DataPoints[0].Sum
		}
	}
	for name, v := range want {
		if w, ok := got[name]; !ok || w != v {
			t.Errorf("%s is %v (%v), want %v", name, w, ok, v)
		}
	}
}

func TestAMeterIsOptional(t *testing.T) {
	var none metric.Meter
	metrics := must(NewMetrics(none))(t)
	o := Options{Metrics: metrics, Poll: time.Millisecond}
	f := must(Follow(t.Context(), graphtest.NewModel(time.Now), graphtest.Tenant, o))(t)
	must(f.View(t.Context(), 0))(t)
	f.Close()
	if len(metrics.followers) != 0 {
		t.Error("a closed topology is still measured")
	}
}
