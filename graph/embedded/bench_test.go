package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
)

var epoch = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)

func device(id string) graph.EntityObservation {
	return observed(graph.KindDevice, graph.KeyMdeDeviceID, id)
}

func observed(kind graph.Kind, typ graph.KeyType, value string) graph.EntityObservation {
	k, ok := graph.NewKey(kind, typ, value)
	if !ok {
		panic("not a key: " + value)
	}
	return graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: epoch, Source: "endpoint"}
}

// logonBatch has n logons of n users to a few devices.
func logonBatch(batch, n int) graph.Batch {
	var b graph.Batch
	for i := range 20 {
		b.Entities = append(b.Entities, device(fmt.Sprint("device-", (batch*20+i)%500)))
	}
	for i := range n {
		user := observed(graph.KindIdentity, graph.KeyAzureADUserID, fmt.Sprint("user-", (batch*n+i)%20_000))
		b.Entities = append(b.Entities, user)
		b.Edges = append(b.Edges, graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: user.ID(), To: b.Entities[i%20].ID(), FirstSeen: epoch, Source: "endpoint",
			Observation: graph.NewID(graph.KindObservation, fmt.Sprint(batch, "/", i)),
		})
	}
	return b
}

// BenchmarkApplyEdges commits batches of 1,000 edges and the entities at their ends, each synced to a real
// directory.
func BenchmarkApplyEdges(b *testing.B) {
	const edges = 1000
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Apply(context.Background(), "contoso", logonBatch(i, edges)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*edges)/b.Elapsed().Seconds(), "edges/s")
}
