package main

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/graph/traverse"
)

// edgeCounter counts the reads of edges.
type edgeCounter struct {
	graph.Store
	edges *atomic.Int64
}

func (c edgeCounter) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	c.edges.Add(1)
	return c.Store.Edges(ctx, v, q)
}

// right writes that an account may administer a device, and returns the account's id.
func right(t *testing.T, s graph.Store, device string) graph.ID {
	t.Helper()
	observe := func(kind graph.Kind, typ graph.KeyType, value string) graph.EntityObservation {
		k, ok := graph.NewKey(kind, typ, value)
		if !ok {
			t.Fatal(value)
		}
		return graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: graphtest.Epoch}
	}
	who, what := observe(graph.KindIdentity, graph.KeyUserPrincipalName, "ann@contoso.com"), observe(graph.KindDevice, graph.KeyMdeDeviceID, device)
	if _, err := s.Apply(t.Context(), devTenant, graph.Batch{
		Entities: []graph.EntityObservation{who, what},
		Edges: []graph.EdgeObservation{{Kind: graph.EdgeAdminOf, From: who.ID(), To: what.ID(), FirstSeen: graphtest.Epoch,
			LastSeen: graphtest.Epoch, Observation: graph.NewID(graph.KindObservation, device)}},
	}); err != nil {
		t.Fatal(err)
	}
	return who.ID()
}

// A question right after a write sees it, in memory: the store is asked for no edge.
func TestAQuestionIsAskedInMemoryOnceThatShowsWhatTheStoreHas(t *testing.T) {
	store := edgeCounter{newStore(), new(atomic.Int64)}
	who := right(t, store, "d1")
	all := topology.NewTenants(t.Context(), store, 0, func(graph.TenantID) topology.Options { return topology.Options{} })
	defer all.Close()
	f, err := all.Of(devTenant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.View(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	on := heldOf(all, store, graph.Criticalities{}, store.Position)
	ask := func(tenant graph.TenantID) (score int, reads int64, err error) {
		ground := on(t.Context(), graph.View{Tenant: tenant})
		before := store.edges.Load() // the graph is as it must be by now
		a, err := traverse.BlastRadius(t.Context(), ground, traverse.Question{Sources: []graph.ID{who}})
		if err != nil {
			return 0, 0, err
		}
		defer a.Release()
		return a.Score, store.edges.Load() - before, nil
	}
	for i, device := range []string{"d2", "d3", "d4"} {
		right(t, store, device)
		if score, _, err := ask(devTenant); err != nil || score != i+2 {
			t.Fatalf("after %s: score %d (%v)", device, score, err)
		}
	}
	if score, reads, err := ask(devTenant); err != nil || score != 4 || reads != 0 {
		t.Errorf("score %d by %d reads of edges (%v)", score, reads, err)
	}
	if _, _, err := ask("another"); err == nil {
		t.Error("another tenant's question found the account")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if score, reads, err := ask(devTenant); err != nil || score != 4 || reads == 0 {
		t.Errorf("without the graph: score %d by %d reads (%v)", score, reads, err)
	}
}
