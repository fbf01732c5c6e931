package topology

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/neo4j"
	estates "github.com/clew-security/clew/internal/estate"
	"github.com/clew-security/clew/internal/realserver"
)

const heldEdges = 100_000

// estate is a store with edges from 20,000 users to 500 devices.
func estate(b *testing.B, fs vfs.FS, dir string) graph.Store {
	b.Helper()
	s, err := embedded.Open(dir, embedded.Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for i := range heldEdges / 1000 {
		apply(b, s, someLogons(b, i, 1000))
	}
	return s
}

// someLogons are n edges of n users to 20 devices.
func someLogons(b *testing.B, batch, n int) graph.Batch {
	var out graph.Batch
	for i := range 20 {
		out.Entities = append(out.Entities, device(b, (batch*20+i)%500))
	}
	for i := range n {
		u := user(b, (batch*n+i)%20_000)
		out.Entities = append(out.Entities, u)
		out.Edges = append(out.Edges, graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: u.ID(), To: out.Entities[i%20].ID(), FirstSeen: graphtest.Epoch, Source: "endpoint",
			Observation: graph.NewID(graph.KindObservation, fmt.Sprint(batch, "/", i)),
		})
	}
	return out
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func newGraded(s Source) *Topology {
	return newTopology(s, graphtest.Tenant, Options{Grade: facts})
}

// BenchmarkBuild scans 100,000 edges and tells what they take, also with history.
func BenchmarkBuild(b *testing.B) {
	s := estate(b, vfs.NewMem(), "store")
	b.Run("now", func(b *testing.B) { build(b, s, Options{Grade: facts}) })
	b.Run("with history", func(b *testing.B) { build(b, s, Options{Grade: facts, History: true}) })
}

func build(b *testing.B, s Source, o Options) {
	var f *Topology
	before := heap()
	for b.Loop() {
		f = newTopology(s, graphtest.Tenant, o)
		must(0, f.advance(context.Background()))(b)
	}
	nodes, edges := f.shown.Size()
	b.ReportMetric(float64(heap()-before)/float64(edges), "bytes/edge")
	b.ReportMetric(float64(nodes)/float64(edges), "nodes/edge")
	b.ReportMetric(float64(b.N*edges)/b.Elapsed().Seconds(), "edges/s")
	runtime.KeepAlive(f)
}

// BenchmarkFold takes in one commit of 200 new edges among 100,000: what the writer does is not counted.
func BenchmarkFold(b *testing.B) {
	s := estate(b, vfs.NewMem(), "store")
	f := newGraded(s)
	must(0, f.advance(context.Background()))(b)
	for i := 1000; b.Loop(); i++ {
		b.StopTimer()
		apply(b, s, someLogons(b, i, 200))
		b.StartTimer()
		must(0, f.advance(context.Background()))(b)
	}
}

// BenchmarkHub takes in one new edge at a node that has 50,000.
func BenchmarkHub(b *testing.B) {
	s, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range 50 {
		apply(b, s, logons(b, numbers(50_000)[i*1000:(i+1)*1000], 1, 0))
	}
	f := newGraded(s)
	must(0, f.advance(context.Background()))(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		apply(b, s, logon(b, 100_000+i, 1))
		b.StartTimer()
		must(0, f.advance(context.Background()))(b)
	}
}

// BenchmarkView takes snapshots while one follower folds without a pause.
func BenchmarkView(b *testing.B) {
	s := estate(b, vfs.NewMem(), "store")
	o := Options{Grade: facts, Poll: time.Microsecond}
	f := must(Follow(context.Background(), Source(s), graphtest.Tenant, o))(b)
	defer f.Close()
	must(f.View(context.Background(), 0))(b)
	ctx, cancel := context.WithCancel(context.Background())
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for i := 1000; ctx.Err() == nil; i++ {
			if _, err := s.Apply(ctx, graphtest.Tenant, someLogons(b, i, 100)); err != nil {
				return
			}
		}
	}()
	var longest time.Duration
	who := user(b, 7).ID()
	for b.Loop() {
		began := time.Now()
		v := must(f.View(context.Background(), 0))(b)
		if n, ok := v.Graph().Find(who); !ok || len(v.Graph().Arcs(n)) == 0 {
			b.Fatal("nobody there")
		}
		longest = max(longest, time.Since(began))
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
	cancel()
	<-wrote
}

// BenchmarkTwoReplicas writes 1,000 edges a second for ten seconds to a store that holds 100,000, the embedded one on
// a real directory or Neo4j, and tells how long after a commit two followers show it by themselves, and how long a view
// waits that asks for the commit at once. On Neo4j the writer and the followers are as processes apart.
func BenchmarkTwoReplicas(b *testing.B) {
	for name, open := range map[string]func(*testing.B) []graph.Store{"embedded": onDirectory, "neo4j": onDatabase} {
		b.Run(name, func(b *testing.B) {
			stores := open(b)
			for i := range heldEdges / 1000 {
				apply(b, stores[0], someLogons(b, i, 1000))
			}
			twoReplicas(b, stores[0], stores[1:])
		})
	}
}

func onDirectory(b *testing.B) []graph.Store {
	s := must(embedded.Open(b.TempDir(), embedded.Options{}))(b)
	b.Cleanup(func() { s.Close() })
	return []graph.Store{s, s, s}
}

func onDatabase(b *testing.B) (all []graph.Store) {
	o := onServer(b, realserver.Neo4j(b, realserver.Neo4jOptions{}))
	for range 3 {
		s := must(neo4j.Open(context.Background(), o))(b)
		b.Cleanup(func() { s.Close() })
		all = append(all, s)
	}
	return all
}

// warmUp is how many rounds are not measured: a server that has just been started answers several times as slowly.
const warmUp = 3

func twoReplicas(b *testing.B, writer graph.Store, sources []graph.Store) {
	var followers []*Topology
	for _, s := range sources {
		f := must(Follow(context.Background(), Source(s), graphtest.Tenant, Options{Grade: facts}))(b)
		defer f.Close()
		must(f.View(context.Background(), 0))(b)
		followers = append(followers, f)
	}
	batch := 10_000
	for range warmUp {
		lags(b, writer, followers, false, batch)
		batch += 10_000
	}
	for _, asks := range []bool{false, true} {
		b.Run(map[bool]string{false: "by itself", true: "asked for"}[asks], func(b *testing.B) {
			for b.Loop() {
				report(b, lags(b, writer, followers, asks, batch))
				batch += 10_000
			}
		})
	}
}

// lags writes batches of 100 edges, numbered from the first, and times when each is shown.
func lags(b *testing.B, s graph.Store, followers []*Topology, asks bool, first int) (all []time.Duration) {
	const edges, every, of = 100, 100 * time.Millisecond, 100
	shown := make(chan time.Duration)
	begin := time.Now()
	for i := range of {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * every)))
		r, at := apply(b, s, someLogons(b, first+i, edges)), time.Now()
		for _, f := range followers {
			go func() {
				if err := await(f, r, asks); err != nil {
					b.Error(err)
				}
				shown <- time.Since(at)
			}()
		}
	}
	for range of * len(followers) {
		all = append(all, <-shown)
	}
	return all
}

// await waits for a revision, without a hint where it does not ask.
func await(f *Topology, r graph.Revision, asks bool) error {
	for !asks {
		s, moved, err := f.current()
		if err != nil || s.Revision >= r {
			return err
		}
		<-moved
	}
	_, err := f.View(context.Background(), r)
	return err
}

func report(b *testing.B, all []time.Duration) {
	slices.Sort(all)
	for name, at := range map[string]float64{"ms-p50": 0.5, "ms-p99": 0.99, "ms-max": 1} {
		b.ReportMetric(float64(all[int(float64(len(all)-1)*at)].Microseconds())/1000, name)
	}
}

// BenchmarkRestart tells how long it takes until a graph is shown, by a scan of an embedded store and from a file, and
// how long it takes to save that. CLEW_BENCH_SIZE is the estate's size, S by default.
func BenchmarkRestart(b *testing.B) {
	size := must(estates.ParseSize(cmp.Or(os.Getenv("CLEW_BENCH_SIZE"), "S")))(b)
	s := must(embedded.Open(b.TempDir(), embedded.Options{}))(b)
	b.Cleanup(func() { s.Close() })
	for batch := range estates.Batches(size) {
		apply(b, s, batch)
	}
	o := Options{Grade: facts, File: filepath.Join(b.TempDir(), "graph"), Log: b.Logf}
	var f *Topology
	start := func(b *testing.B) {
		for b.Loop() {
			f = newTopology(s, graphtest.Tenant, o)
			must(0, f.advance(context.Background()))(b)
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
	}
	b.Run("scan", start)
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			must(0, f.toSave().save(context.Background(), o.File))(b)
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
		b.ReportMetric(float64(must(os.Stat(o.File))(b).Size()), "bytes")
	})
	b.Run("load", start)
	if nodes, edges := f.shown.Size(); !f.tried.IsZero() {
		b.Logf("%d nodes and %d edges", nodes, edges)
	} else {
		b.Error("it was scanned again")
	}
}
