package traverse_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// memory is an Adjacency over a list of edges, indexed by node.
type memory struct {
	edges     []graph.Edge
	at        map[graph.ID][]int
	aliases   map[graph.ID]graph.ID
	described map[graph.ID]traverse.Description
	extra     []graph.ID
}

func newMemory(edges ...graph.Edge) *memory {
	m := &memory{edges: edges, at: map[graph.ID][]int{}, aliases: map[graph.ID]graph.ID{}, described: map[graph.ID]traverse.Description{}}
	for i, e := range edges {
		m.at[e.From] = append(m.at[e.From], i)
		m.at[e.To] = append(m.at[e.To], i)
	}
	return m
}

func (m *memory) Resolve(_ context.Context, ids []graph.ID) ([]graph.ID, error) {
	out := make([]graph.ID, len(ids))
	for i, id := range ids {
		if to, ok := m.aliases[id]; ok {
			id = to
		}
		if m.at[id] != nil || slices.Contains(m.extra, id) {
			out[i] = id
		}
	}
	return out, nil
}

func (m *memory) Edges(_ context.Context, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		for _, n := range q.Nodes {
			for _, i := range m.at[n] {
				e := m.edges[i]
				out := e.From == n && q.Direction&graph.Out != 0
				in := e.To == n && q.Direction&graph.In != 0
				if (out || in) && (q.Kinds == nil || slices.Contains(q.Kinds, e.Kind)) && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (m *memory) Describe(_ context.Context, ids []graph.ID) ([]traverse.Description, error) {
	out := make([]traverse.Description, len(ids))
	for i, id := range ids {
		out[i] = m.described[id]
	}
	return out, nil
}

func id(k graph.Kind, name string) graph.ID { return graph.NewID(k, name) }

func device(n string) graph.ID   { return id(graph.KindDevice, n) }
func identity(n string) graph.ID { return id(graph.KindIdentity, n) }
func file(n string) graph.ID     { return id(graph.KindFile, n) }
func group(n string) graph.ID    { return id(graph.KindSecurityGroup, n) }

// at is an instant some minutes into the tests' day; 0 is the zero instant.
func at(minutes int) time.Time {
	if minutes == 0 {
		return time.Time{}
	}
	return time.Date(2024, 3, 5, 9, minutes, 0, 0, time.UTC)
}

func edge(k graph.EdgeKind, from, to graph.ID, first, last int) graph.Edge {
	return graph.Edge{Kind: k, From: from, To: to, FirstSeen: at(first), LastSeen: at(last), Count: 1}
}

func ask(t testing.TB, m traverse.Adjacency, q traverse.Question) traverse.Answer {
	t.Helper()
	a, err := traverse.BlastRadius(t.Context(), m, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func targets(a traverse.Answer) []graph.ID {
	var out []graph.ID
	for _, t := range a.Targets {
		out = append(out, t.ID)
	}
	return out
}

func target(t testing.TB, a traverse.Answer, id graph.ID) traverse.Target {
	t.Helper()
	i := slices.IndexFunc(a.Targets, func(t traverse.Target) bool { return t.ID == id })
	if i < 0 {
		t.Fatalf("%s is not among the targets", id)
	}
	return a.Targets[i]
}

func named(prefix string, n int) string { return fmt.Sprintf("%s-%03d", prefix, n) }

// allKinds are all kinds of entity, so that everything reached is listed.
func allKinds() []graph.Kind {
	var out []graph.Kind
	for _, r := range traverse.TargetTable() {
		out = append(out, r.Kind)
	}
	return out
}
