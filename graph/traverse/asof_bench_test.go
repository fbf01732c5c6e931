package traverse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/estate"
)

// BenchmarkAsOf asks as of the middle of an estate's month, of a graph in memory and of the store that it is of, and in
// memory as of now besides. All have the budget of a store, which cuts some of the answers.
func BenchmarkAsOf(b *testing.B) {
	store, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	const tenant = "t"
	for batch := range estate.Batches(estate.S()) {
		if _, err := store.Apply(context.Background(), tenant, batch); err != nil {
			b.Fatal(err)
		}
	}
	view := graph.View{Tenant: tenant}
	held := readGraph(b, store, view)
	stored, middle := traverse.Stored(store, view, graph.Criticalities{}), time.Date(2026, time.February, 15, 0, 0, 0, 0, time.UTC)
	for hops := 1; hops <= 3; hops++ {
		for _, c := range []struct {
			name string
			on   traverse.Ground
			asOf time.Time
		}{{"memory now", traverse.Held(held), time.Time{}}, {"memory", traverse.Held(held), middle}, {"store", stored, middle}} {
			b.Run(fmt.Sprintf("%d hops/%s", hops, c.name), func(b *testing.B) {
				reached, edges, i := 0, 0, 0
				seeds := someNodes(held, 64)
				for b.Loop() {
					q := traverse.Question{
						Sources: seeds[i%len(seeds)], MaxHops: hops, AsOf: c.asOf,
						Budget: traverse.Budget{Nodes: traverse.DefaultNodes, Edges: traverse.DefaultEdges},
					}
					i++
					a, err := traverse.BlastRadius(b.Context(), c.on, q)
					if err != nil {
						b.Fatal(err)
					}
					reached, edges = reached+a.Completeness.Nodes, edges+a.Completeness.Edges
					a.Release()
				}
				b.ReportMetric(float64(reached)/float64(b.N), "nodes/op")
				b.ReportMetric(float64(edges)/float64(b.N), "edges/op")
			})
		}
	}
}

func readGraph(b *testing.B, store graph.Reader, v graph.View) *compact.Graph {
	out := compact.NewBuilder()
	out.KeepHistory()
	for e, err := range store.Edges(context.Background(), v, graph.EdgeQuery{Sightings: true}) {
		if err != nil {
			b.Fatal(err)
		}
		out.Insert(e, out.Node(e.From), out.Node(e.To))
	}
	out.Tidy()
	return out.Graph()
}

// someNodes are ends of edges, drawn the same each time.
func someNodes(g *compact.Graph, n int) (out [][]graph.ID) {
	dice := rand.New(rand.NewPCG(1, 2))
	for len(out) < n {
		near := compact.Node(dice.IntN(g.Numbers()))
		if arcs := g.Arcs(near); len(arcs) > 0 {
			out = append(out, []graph.ID{g.ID(arcs[dice.IntN(len(arcs))].Far())})
		}
	}
	return out
}
