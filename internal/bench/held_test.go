package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/estate"
)

// lateBatches are the estate's last batches, which are committed when its graph is in memory, for each number of clients.
const lateBatches = 40

// BenchmarkHeld puts an estate into the embedded store and tells what its graph in memory costs: to make it from the
// store, to save and to load it, the memory, and how long after a commit of 1,000 edges it shows that, while clients
// ask and while none do.
func BenchmarkHeld(b *testing.B) {
	size, _ := settings(b)
	dir := filepath.Join(b.TempDir(), "store")
	h := heldBench{file: filepath.Join(b.TempDir(), "graph"), store: func() (graph.Store, error) {
		return embedded.Open(dir, embedded.Options{})
	}}
	if err := errors.Join(h.fill(b.Context(), size), h.start(b.Context()), h.again(b.Context())); err != nil {
		b.Fatal(err)
	}
	defer h.close()
	fmt.Printf("\n%s: %d nodes, %d edges\n\n%s", b.Name(), h.nodes, h.edges, h.table())
	for _, clients := range []int{0, 1, manyClients} {
		line, err := h.visible(b.Context(), clients)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Println(line)
	}
	b.ReportMetric(0, "ns/op") // the run is one operation
}

// BenchmarkHeldOfNeo4j is BenchmarkHeld of a Neo4j on the same machine, without what commits take to show.
func BenchmarkHeldOfNeo4j(b *testing.B) {
	size, _ := settings(b)
	server, _, _ := neo4jFor(b)
	o := neo4j.Options{URI: server.URL, User: server.User, Password: server.Password}
	if _, _, err := neo4j.Migrate(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	h := heldBench{file: filepath.Join(b.TempDir(), "graph"), store: func() (graph.Store, error) { return neo4j.Open(b.Context(), o) }}
	if err := errors.Join(h.fill(b.Context(), size), h.start(b.Context()), h.again(b.Context())); err != nil {
		b.Fatal(err)
	}
	defer h.close()
	fmt.Printf("\n%s: %d nodes, %d edges\n\n%s", b.Name(), h.nodes, h.edges, h.table())
	b.ReportMetric(0, "ns/op") // the run is one operation
}

// heldBench is an estate in a store and in memory.
type heldBench struct {
	store func() (graph.Store, error)
	file  string
	late  []graph.Batch
	some  []graph.ID // entities to ask about

	s graph.Store
	t *topology.Topology

	nodes, edges                    int
	memory                          compact.Memory
	open, scan, save, openTwo, load time.Duration
	fileBytes                       int64
}

// fill commits all but the last batches.
func (h *heldBench) fill(ctx context.Context, size estate.Options) error {
	s, err := h.store()
	if err != nil {
		return err
	}
	dice := rand.New(rand.NewPCG(measuredDraw, 0))
	for b := range estate.Batches(size) {
		h.late = append(h.late, b)
		if dice.IntN(10) == 0 {
			h.some = append(h.some, b.Edges[dice.IntN(len(b.Edges))].From)
		}
		if len(h.late) <= 3*lateBatches {
			continue
		}
		if _, err := s.Apply(ctx, measuredTenant, h.late[0]); err != nil {
			return errors.Join(err, s.Close())
		}
		h.late = h.late[1:]
	}
	h.some = h.some[:len(h.some)/2] // that are surely committed
	return s.Close()
}

func (h *heldBench) follow(ctx context.Context) (open, shown time.Duration, err error) {
	began := time.Now()
	if h.s, err = h.store(); err != nil {
		return 0, 0, err
	}
	open, began = time.Since(began), time.Now()
	if h.t, err = topology.Follow(ctx, h.s, measuredTenant, topology.Options{File: h.file, History: true}); err != nil {
		return 0, 0, err
	}
	v, err := h.t.View(ctx, 0)
	if err == nil {
		h.nodes, h.edges = v.Size()
		h.memory = v.Graph().Memory()
	}
	return open, time.Since(began), err
}

// start makes the graph from the store, and the file.
func (h *heldBench) start(ctx context.Context) (err error) {
	if h.open, h.scan, err = h.follow(ctx); err != nil {
		return err
	}
	began := time.Now()
	err = h.t.Close()
	h.save = time.Since(began)
	if at, fault := os.Stat(h.file); fault == nil {
		h.fileBytes = at.Size()
	} else {
		err = cmp.Or(err, fault)
	}
	return errors.Join(err, h.s.Close())
}

// again makes the graph from the file.
func (h *heldBench) again(ctx context.Context) (err error) {
	h.openTwo, h.load, err = h.follow(ctx)
	return err
}

func (h *heldBench) close() { _ = errors.Join(h.t.Close(), h.s.Close()) }

func (h *heldBench) table() string {
	m, per := h.memory, func(bytes int) float64 { return float64(bytes) / float64(h.edges) }
	return fmt.Sprintf(`| | |
|---|---|
| bytes an edge | %.1f |
| of these ids, nodes, arcs, times, rest, history, to go on | %.1f, %.1f, %.1f, %.1f, %.1f, %.1f, %.1f |
| from the store: opened, read | %v, %v |
| saved, MB | %v, %d |
| from the file: store opened, loaded | %v, %v |

`, per(m.Total()), per(m.IDs), per(m.Nodes), per(m.Arcs), per(m.Records), per(m.Rest), per(m.History), per(m.Builder),
		short(h.open), short(h.scan), short(h.save), h.fileBytes>>20, short(h.openTwo), short(h.load))
}

// again is a batch with its edges seen once more, by other alerts.
func again(b graph.Batch) graph.Batch {
	b.Key, b.Edges = "", slices.Clone(b.Edges)
	for i := range b.Edges {
		e := &b.Edges[i]
		e.Observation = graph.NewID(graph.KindAlert, "again/"+e.Observation.String())
		e.FirstSeen, e.LastSeen = e.FirstSeen.Add(time.Hour), e.LastSeen.Add(time.Hour)
	}
	return b
}

// shows commits a batch and waits until the graph shows it.
func (h *heldBench) shows(ctx context.Context, batch graph.Batch, took *timed) error {
	r, err := h.s.Apply(ctx, measuredTenant, batch)
	began := time.Now()
	if err == nil {
		_, err = h.t.View(ctx, r.Revision)
	}
	took.took = append(took.took, time.Since(began))
	return err
}

// visible tells how long after the end of a commit the graph shows it to who waits for it: of edges of which most are
// new, and of these seen again.
func (h *heldBench) visible(ctx context.Context, clients int) (string, error) {
	asking, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	asked := make([]timed, clients)
	for i := range asked {
		all.Go(func() { h.keepAsking(asking, uint64(i), &asked[i]) })
	}
	var fresh, seen timed
	for _, batch := range h.late[:lateBatches] {
		if err := errors.Join(h.shows(ctx, batch, &fresh), h.shows(ctx, again(batch), &seen)); err != nil {
			stop()
			return "", err
		}
	}
	stop()
	all.Wait()
	h.late = h.late[lateBatches:]
	questions := timed{}
	for _, a := range asked {
		questions.took = append(questions.took, a.took...)
	}
	return fmt.Sprintf("%d clients: a commit shows after p50, p95, p99 %s, at most %v; seen again %s, at most %v; they asked %d questions: %s",
		clients, fresh.percentiles(), short(slices.Max(fresh.took)), seen.percentiles(), short(slices.Max(seen.took)),
		len(questions.took), questions.percentiles()), nil
}

// keepAsking asks what an analyst asks by default, up to three hops, until ctx ends.
func (h *heldBench) keepAsking(ctx context.Context, draw uint64, t *timed) {
	for dice := rand.New(rand.NewPCG(draw, 1)); ctx.Err() == nil; {
		v, err := h.t.View(ctx, 0)
		if err != nil {
			return
		}
		began := time.Now()
		a, err := traverse.BlastRadius(ctx, traverse.Held(v.Graph()), traverse.Question{
			Sources: []graph.ID{h.some[dice.IntN(len(h.some))]}, MaxHops: 1 + dice.IntN(3),
		})
		if err != nil {
			return
		}
		a.List(nil, firstNodes)
		a.Release()
		t.took = append(t.took, time.Since(began))
	}
}
