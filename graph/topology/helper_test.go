package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
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
	units := rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), least, most).Draw(t, "units")
	for i, u := range units { // what changes known edges is rare among units drawn apart
		if i > 0 && rapid.Bool().Draw(t, "again") {
			units[i] = again(units[rapid.IntRange(0, i-1).Draw(t, "of")], u)
		}
	}
	return graphtest.Group(t, units, graphtest.UnionDecider{})
}

// again is a unit with another one's entities and edges besides, the edges seen in another way.
func again(of, u graphtest.Unit) graphtest.Unit {
	u.Entities = slices.Concat(u.Entities, of.Entities)
	for _, e := range of.Edges {
		e.Observation = graph.NewID(graph.KindObservation, fmt.Sprint("again/", len(u.Entities)))
		e.FirstSeen = graphtest.Epoch.Add(time.Duration(len(u.Alerts)) * time.Hour)
		e.Inferred, u.Edges = !e.Inferred, append(slices.Clone(u.Edges), e)
	}
	return u
}

// facts is what the tests' topologies keep of a node: all, so that nothing outdated goes unseen.
func facts(e graph.Entity) string {
	b, err := json.Marshal(e.Facts)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// adjacency is what both a snapshot and a store can tell.
type adjacency interface {
	resolve(t graphtest.TB, ids []graph.ID) []graph.ID
	describe(t graphtest.TB, ids []graph.ID) []string
	edges(t graphtest.TB, q graph.EdgeQuery) []string
}

type ofStore struct{ Source }

func (s ofStore) resolve(t graphtest.TB, ids []graph.ID) (out []graph.ID) {
	for _, e := range must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: ids}))(t) {
		out = append(out, e.ID)
	}
	return out
}

func (s ofStore) describe(t graphtest.TB, ids []graph.ID) (out []string) {
	for _, e := range must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: ids}))(t) {
		out = append(out, facts(e))
	}
	return out
}

func (s ofStore) edges(t graphtest.TB, q graph.EdgeQuery) []string {
	return lines(t, s.Edges(context.Background(), view, q))
}

type ofSnapshot struct{ *Snapshot[string] }

func (s ofSnapshot) resolve(t graphtest.TB, ids []graph.ID) []graph.ID {
	return must(s.Resolve(context.Background(), ids))(t)
}

func (s ofSnapshot) describe(t graphtest.TB, ids []graph.ID) []string {
	return must(s.Describe(context.Background(), ids))(t)
}

func (s ofSnapshot) edges(t graphtest.TB, q graph.EdgeQuery) []string {
	return lines(t, s.Edges(context.Background(), q))
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

// content is everything that an adjacency tells of the nodes: per node its description, its other ids and the
// edges at it.
func content(t graphtest.TB, a adjacency, nodes []graph.Entity) string {
	t.Helper()
	var b strings.Builder
	for _, n := range nodes {
		ids := append([]graph.ID{n.ID}, n.Members...)
		fmt.Fprintln(&b, n.ID, a.resolve(t, ids), a.describe(t, ids[:1]))
		for _, e := range a.edges(t, graph.EdgeQuery{Nodes: ids[:1]}) {
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
	out.edges = len(ofStore{s}.edges(t, graph.EdgeQuery{}))
	out.content = content(t, ofStore{s}, out.nodes)
	return out
}

// compare holds an exact snapshot against what the store held at its revision.
func compare(t graphtest.TB, want truth, s *Snapshot[string]) {
	t.Helper()
	if s.Revision != want.revision || !s.Exact {
		t.Fatalf("revision %d (exact: %v), want %d", s.Revision, s.Exact, want.revision)
	}
	if got := content(t, ofSnapshot{s}, want.nodes); got != want.content {
		t.Fatalf("revision %d differs\nstore:\n%s\ntopology:\n%s", s.Revision, want.content, got)
	}
	if nodes, edges := s.Size(); nodes != len(want.nodes) || edges != want.edges {
		t.Fatalf("%d nodes and %d edges, want %d and %d", nodes, edges, len(want.nodes), want.edges)
	}
	if n := aliasesOf(want.nodes); s.picture.aliases.size != n {
		t.Fatalf("%d aliases, want %d", s.picture.aliases.size, n)
	}
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
		if q.Nodes == nil && h.tear != nil {
			edges = h.torn(ctx, v)
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
func (h *hooked) torn(ctx context.Context, v graph.View) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		var last graph.Edge
		for more := true; more; {
			more = false
			for e, err := range h.Source.Edges(ctx, v, graph.EdgeQuery{}) {
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
