package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

var view = graph.View{Tenant: graphtest.Tenant}

// openStore opens an embedded store in memory.
func openStore(t graphtest.TB, keep int) graph.Store {
	t.Helper()
	s, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem(), CacheBytes: 1 << 20, KeepChanges: keep})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

func must[V any](v V, err error) func(t graphtest.TB) V {
	return func(t graphtest.TB) V {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

func apply(t graphtest.TB, s graph.Writer, b graph.Batch) graph.Revision {
	t.Helper()
	return must(s.Apply(context.Background(), graphtest.Tenant, b))(t).Revision
}

func drawBatches(t *rapid.T, least, most int) []graph.Batch {
	return graphtest.Group(t, graphtest.DrawUnits(t, least, most), graphtest.UnionDecider{})
}

// facts grades a node by all that is known of it: hardly anything that is outdated has the grade of what is not.
func facts(e graph.Entity) uint8 {
	b, err := json.Marshal(e.Facts)
	if err != nil {
		panic(err)
	}
	h := fnv.New32a()
	h.Write(b)
	return uint8(h.Sum32()) & compact.MaxGrade
}

// adjacency is what both a snapshot and a store can tell.
type adjacency interface {
	resolve(t graphtest.TB, ids []graph.ID) []graph.ID
	grade(t graphtest.TB, id graph.ID) uint8
	edges(t graphtest.TB, at graph.ID) []string
}

type ofStore struct{ Source }

func (s ofStore) resolve(t graphtest.TB, ids []graph.ID) (out []graph.ID) {
	for _, e := range must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: ids}))(t) {
		out = append(out, e.ID)
	}
	return out
}

func (s ofStore) grade(t graphtest.TB, id graph.ID) uint8 {
	return facts(must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: []graph.ID{id}}))(t)[0])
}

func (s ofStore) edges(t graphtest.TB, at graph.ID) []string {
	return lines(t, s.Edges(context.Background(), view, graph.EdgeQuery{Nodes: []graph.ID{at}}))
}

type ofGraph struct{ *compact.Graph }

func (g ofGraph) resolve(_ graphtest.TB, ids []graph.ID) (out []graph.ID) {
	for _, id := range ids {
		var node graph.ID
		if n, ok := g.Find(id); ok {
			node = g.ID(n)
		}
		out = append(out, node)
	}
	return out
}

func (g ofGraph) grade(t graphtest.TB, id graph.ID) uint8 {
	n, ok := g.Find(id)
	if !ok {
		return 255
	}
	if m := g.Mark(n); m.Kind() != id.Kind() {
		t.Errorf("%s is marked as of kind %s", id, m.Kind())
	}
	return g.Mark(n).Grade()
}

func (g ofGraph) edges(t graphtest.TB, at graph.ID) []string {
	return lines(t, func(yield func(graph.Edge, error) bool) {
		n, ok := g.Find(at)
		if !ok {
			return
		}
		same := false
		for _, a := range g.Arcs(n) {
			same = same || a.Kind() == graph.EdgePossiblySame
			if !yield(g.Edge(n, a), nil) {
				return
			}
		}
		if g.Mark(n).Same() != same {
			t.Errorf("%s is marked to have edges of what is the same: %t, want %t", at, !same, same)
		}
	})
}

// lines writes edges as text, in order, each once.
func lines(t graphtest.TB, edges iter.Seq2[graph.Edge, error]) []string {
	t.Helper()
	out := []string{}
	for e, err := range edges {
		if err != nil {
			t.Fatalf("edges: %v", err)
		}
		b, _ := json.Marshal(e)
		out = append(out, string(b))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// content is everything that an adjacency tells of the nodes: per node its grade, its other ids and the
// edges at it.
func content(t graphtest.TB, a adjacency, nodes []graph.Entity) string {
	t.Helper()
	var b strings.Builder
	for _, n := range nodes {
		ids := append([]graph.ID{n.ID}, n.Members...)
		fmt.Fprintln(&b, n.ID, a.resolve(t, ids), a.grade(t, n.ID))
		for _, e := range a.edges(t, n.ID) {
			fmt.Fprintln(&b, "  ", e)
		}
	}
	return b.String()
}

// truth is what a store holds at one revision.
type truth struct {
	revision graph.Revision
	nodes    []graph.Entity
	edges    int
	content  string
	// past is what the edges were at earlier instants.
	past map[time.Time]string
}

func truthOf(t graphtest.TB, s Source) truth {
	t.Helper()
	out := truth{revision: must(s.Position(context.Background(), view))(t).Revision}
	for q := (graph.EntityQuery{}); ; q.After = out.nodes[len(out.nodes)-1].ID {
		page := must(s.Entities(context.Background(), view, q))(t)
		if out.nodes = append(out.nodes, page...); len(page) == 0 {
			break
		}
	}
	out.edges = len(lines(t, s.Edges(context.Background(), view, graph.EdgeQuery{})))
	out.content = content(t, ofStore{s}, out.nodes)
	out.past = map[time.Time]string{}
	for _, at := range somePast {
		out.past[at] = past(out.nodes, func(n graph.ID) []string {
			return lines(t, s.Edges(context.Background(), view, graph.EdgeQuery{Nodes: []graph.ID{n}, AsOf: at}))
		})
	}
	return out
}

// somePast are instants that batches are drawn around, and beside.
var somePast = []time.Time{
	graphtest.Epoch, graphtest.Epoch.Add(time.Hour), graphtest.Epoch.Add(90 * time.Minute), graphtest.Epoch.Add(3 * time.Hour), graphtest.Epoch.Add(-time.Microsecond),
}

// past are the edges at nodes.
func past(nodes []graph.Entity, edges func(graph.ID) []string) string {
	var b strings.Builder
	for _, n := range nodes {
		fmt.Fprintln(&b, n.ID, edges(n.ID))
	}
	return b.String()
}

// compare holds an exact snapshot against what the store held at its revision.
func compare(t graphtest.TB, want truth, s *Snapshot) {
	t.Helper()
	if s.Revision != want.revision || !s.Exact {
		t.Fatalf("revision %d (exact: %v), want %d", s.Revision, s.Exact, want.revision)
	}
	if got := content(t, ofGraph{s.Graph()}, want.nodes); got != want.content {
		t.Fatalf("revision %d differs\nstore:\n%s\ntopology:\n%s", s.Revision, want.content, got)
	}
	if s.Graph().History() {
		comparePast(t, want, s)
	}
	if nodes, edges := s.Size(); nodes != len(want.nodes) || edges != want.edges {
		t.Fatalf("%d nodes and %d edges, want %d and %d", nodes, edges, len(want.nodes), want.edges)
	}
	if n := aliasesIn(s.Graph()); n != aliasesOf(want.nodes) {
		t.Fatalf("%d aliases, want %d", n, aliasesOf(want.nodes))
	}
}

// comparePast holds the edges as of instants against the store's, by the view and edge by edge.
func comparePast(t graphtest.TB, want truth, s *Snapshot) {
	t.Helper()
	g := s.Graph()
	for at, edges := range want.past {
		then := g.AsOf(compact.InstantOf(at))
		if got := past(want.nodes, func(n graph.ID) []string { return ofGraph{then}.edges(t, n) }); got != edges {
			t.Fatalf("revision %d differs as of %s\nstore:\n%s\ntopology:\n%s", s.Revision, at, edges, got)
		}
		got := past(want.nodes, func(id graph.ID) []string {
			return lines(t, func(yield func(graph.Edge, error) bool) {
				n, _ := g.Find(id)
				for _, a := range g.Arcs(n) {
					if e, ok := g.EdgeAt(n, a, compact.InstantOf(at)); ok && !yield(e, nil) {
						return
					}
				}
			})
		})
		if got != edges {
			t.Fatalf("revision %d differs edge by edge as of %s\nstore:\n%s\ntopology:\n%s", s.Revision, at, edges, got)
		}
	}
}

func aliasesIn(g *compact.Graph) (out int) {
	for n := range compact.Node(g.Numbers()) {
		if of, _ := g.Find(g.ID(n)); of != n {
			out++
		}
	}
	return out
}

func aliasesOf(nodes []graph.Entity) (n int) {
	for _, e := range nodes {
		n += len(e.Members)
	}
	return n
}

// checkLeaks fails the test if a topology's goroutine outlives it.
func checkLeaks(t *testing.T) {
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if !strings.Contains(string(stacks), "topology.(*Topology") {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("a goroutine is left:\n%s", stacks)
				return
			}
		}
	})
}

// hooked is a source with something in the way of its calls.
type hooked struct {
	Source
	// before is asked at each call; an error fails it.
	before func(ctx context.Context, call string) error
	// page bounds the entities of a scanned page; 0 does not.
	page int
	// tear is asked before each edge of a scan, after which the scan goes on in a snapshot of its own where it
	// reports true; nil leaves scans whole.
	tear func() bool
	// hides is asked of each change how much it does not tell; nil lets it tell all.
	hides func() hidden
}

// hidden is what a change does not tell.
type hidden int

const (
	hideNothing hidden = iota
	hideOutcome
	hideEdges // and the outcome
)

func always(h hidden) func() hidden { return func() hidden { return h } }

// once does something before the next such call; before is nil once it was made.
func (h *hooked) once(call string, do func()) {
	h.before = func(_ context.Context, c string) error {
		if c == call {
			h.before = nil
			do()
		}
		return nil
	}
}

func (h *hooked) ask(ctx context.Context, call string) error {
	if h.before == nil {
		return nil
	}
	return h.before(ctx, call)
}

func (h *hooked) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	if err := h.ask(ctx, "position"); err != nil {
		return graph.Position{}, err
	}
	return h.Source.Position(ctx, v)
}

func (h *hooked) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if err := h.ask(ctx, "entities"); err != nil {
		return nil, err
	}
	if q.IDs == nil {
		q.Limit = h.page
	}
	return h.Source.Entities(ctx, v, q)
}

func (h *hooked) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return func(yield func(graph.Change, error) bool) {
		if err := h.ask(ctx, "changes"); err != nil {
			yield(graph.Change{}, err)
			return
		}
		for c, err := range h.Source.Changes(ctx, v, since) {
			if h.hides != nil {
				switch h.hides() {
				case hideEdges:
					c.Edges, c.Outcome = nil, nil
				case hideOutcome:
					c.Outcome = nil
				}
			}
			if !yield(c, err) {
				return
			}
			if err := h.ask(ctx, "change"); err != nil {
				yield(graph.Change{}, err)
				return
			}
		}
	}
}

func (h *hooked) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		if err := h.ask(ctx, "edges"); err != nil {
			yield(graph.Edge{}, err)
			return
		}
		edges := h.Source.Edges(ctx, v, q)
		if q.Nodes == nil && q.Keys == nil && h.tear != nil {
			edges = h.torn(ctx, v, q)
		}
		for e, err := range edges {
			if !yield(e, err) {
				return
			}
			if err := h.ask(ctx, "edge"); err != nil {
				yield(graph.Edge{}, err)
				return
			}
		}
	}
}

// torn scans edges in order, each part of the scan in another snapshot.
func (h *hooked) torn(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		var last graph.Edge
		for more := true; more; {
			more = false
			for e, err := range h.Source.Edges(ctx, v, q) {
				if err == nil && e.Compare(last) <= 0 {
					continue
				}
				if err == nil && h.tear() {
					more = true
					break
				}
				if !yield(e, err) {
					return
				}
				last = e
			}
		}
	}
}
