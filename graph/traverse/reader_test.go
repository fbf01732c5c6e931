package traverse_test

import (
	"context"
	"encoding/json"
	"iter"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// store is the part of a Reader that traversal uses, over a list of edges; other calls panic.
type store struct {
	graph.Reader
	m                    *memory
	entities             map[graph.ID]graph.Entity
	edgeCalls, nodeCalls int
	widest               int
	views                map[graph.View]bool
	asOf                 map[string]bool
}

func (s *store) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	s.nodeCalls++
	s.views[v] = true
	s.widest = max(s.widest, len(q.IDs))
	ids, err := s.m.Resolve(ctx, q.IDs)
	out := make([]graph.Entity, len(ids))
	for i, id := range ids {
		out[i] = s.entities[id]
		out[i].ID = id
	}
	return out, err
}

func (s *store) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	s.edgeCalls++
	s.views[v] = true
	s.asOf[q.AsOf.String()] = true
	return s.m.Edges(ctx, q)
}

func newStore(edges ...graph.Edge) *store {
	return &store{m: newMemory(edges...), entities: map[graph.ID]graph.Entity{}, views: map[graph.View]bool{}, asOf: map[string]bool{}}
}

func TestTheReaderIsAskedInBulkByLevelAndNotByNode(t *testing.T) {
	const wide = 1500
	x := identity("x")
	var edges []graph.Edge
	for i := range wide {
		edges = append(edges, edge(graph.EdgeAdminOf, x, device(named("d", i)), 1, 1))
	}
	s := newStore(edges...)
	adj := traverse.OverReader(s, graph.View{Tenant: "t"})
	a := ask(t, adj, traverse.Question{Sources: []graph.ID{x}, AsOf: at(30)})
	if a.Score != wide || a.Completeness.Edges != wide {
		t.Fatalf("score %d, %+v", a.Score, a.Completeness)
	}
	// The source: doubles, out, in. The devices: three chunks of each. Entities: the source, two pages.
	if want := 3 + 3*3 + 1 + 2; adj.Calls() != want || s.edgeCalls+s.nodeCalls != want || s.widest > graph.MaxPage {
		t.Errorf("%d calls (%d edges, %d entities), want %d", adj.Calls(), s.edgeCalls, s.nodeCalls, want)
	}
	if len(s.views) != 1 || !s.views[graph.View{Tenant: "t"}] || len(s.asOf) != 1 || !s.asOf[at(30).String()] {
		t.Errorf("views %v, as of %v", s.views, s.asOf)
	}
}

func TestTheReaderGivesNamesAndCriticality(t *testing.T) {
	s := newStore(edge(graph.EdgeAdminOf, identity("x"), device("dc"), 1, 1))
	s.entities[device("dc")] = graph.Entity{Facts: graph.Facts{Properties: map[string]graph.Property{
		"deviceDnsName": {Value: json.RawMessage(`"dc01.example.com"`)}, "criticality": {Value: json.RawMessage(`0`)}}}}
	a := ask(t, traverse.OverReader(s, graph.View{}), traverse.Question{Sources: []graph.ID{identity("x")}})
	d := target(t, a, device("dc"))
	if d.Name != "dc01.example.com" || d.Criticality != traverse.CriticalityVeryHigh || a.WeightedScore != 8 {
		t.Errorf("%+v, weighted %d", d, a.WeightedScore)
	}
}
