package graphtest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// checkJoin: an observation that proves two nodes of any history one loses nothing of either.
func checkJoin(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		s := openWithHistory(t, fresh)
		b := drawPair(t)
		apply(t, s, b)
		before := wholeOf(t, s)
		keep, give := b.Entities[0], b.Entities[1]
		alias := graph.EntityObservation{Keys: []graph.Key{keep.Keys[0], give.Keys[0]}}
		apply(t, s, graph.Batch{Entities: []graph.EntityObservation{alias}, Decide: UnionDecider{}})
		now := wholeOf(t, s)
		if now.root[give.ID()] != keep.ID() || now.root[keep.ID()] != keep.ID() {
			t.Fatalf("%s and %s are %s and %s", keep.Keys, give.Keys, now.root[keep.ID()], now.root[give.ID()])
		}
		keptFacts(t, before, now, keep.ID(), give.ID())
		keptEdges(t, before, now, keep.ID(), give.ID())
		keptAlerts(t, s, before, keep.ID(), give.ID())
		agreeOnNodes(t, s, now)
		agreeOnEdges(t, s, now)
	})
}

// drawPair gives two devices that no history joins with others, with weak keys and edges that others have too,
// some of them the same from both: what one end has twice must not be lost or counted twice.
func drawPair(t *rapid.T) graph.Batch {
	b := graph.Batch{Decide: UnionDecider{}}
	for _, k := range []struct {
		typ   graph.KeyType
		value string
	}{{graph.KeyMdeDeviceID, "kept"}, {graph.KeyAzureADDeviceID, "given"}, {graph.KeyMdeDeviceID, "m1"}} {
		o := DrawEntity(t)
		o.Keys = nil
		for _, r := range []struct {
			typ   graph.KeyType
			value string
		}{{k.typ, k.value}, {graph.KeyDNSName, "pc1.contoso.com"}, {graph.KeyHostName, rapid.SampledFrom([]string{"pc1", "pc2"}).Draw(t, "host")}} {
			key, _ := graph.NewKey(graph.KindDevice, r.typ, r.value)
			if o.Keys = append(o.Keys, key); rapid.Bool().Draw(t, "bare") {
				break
			}
		}
		b.Entities = append(b.Entities, o)
	}
	for range rapid.IntRange(0, 4).Draw(t, "edges") {
		e := drawEdge(t, b.Entities)
		b.Edges = append(b.Edges, e)
		if rapid.Bool().Draw(t, "twin") {
			e.From, e.To = rapid.SampledFrom(b.Entities).Draw(t, "from").ID(), rapid.SampledFrom(b.Entities).Draw(t, "to").ID()
			b.Edges = append(b.Edges, e)
		}
	}
	b.Alerts = append(b.Alerts, drawAlert(t, b.Entities), drawAlert(t, b.Entities))
	return b
}

// keptFacts: the node knows what both knew, and is found by all of it.
func keptFacts(t TB, before, now whole, keep, give graph.ID) {
	t.Helper()
	joined := now.nodes[keep]
	for _, id := range []graph.ID{keep, give} {
		was := before.nodes[id]
		want := joined.Merge(was.Facts)
		same(t, "facts joined with what they are made of", joined.Facts, want)
		for _, m := range append(was.Members, give) {
			if m != keep && !slices.Contains(joined.Members, m) {
				t.Fatalf("%s was in %s and is not in %+v", m, id, joined)
			}
		}
	}
}

// keptEdges: each edge of either is one of the joined node, unless it ran between the two, with every sighting.
func keptEdges(t TB, before, now whole, keep, give graph.ID) {
	t.Helper()
	sum := map[graph.EdgeKey]int{}
	for k, e := range before.edges {
		for _, end := range []*graph.ID{&k.From, &k.To} {
			if *end == give {
				*end = keep
			}
		}
		if k.From == k.To {
			continue
		}
		sum[k] += e.Count
		is, ok := now.edges[k]
		if !ok || is.Count < e.Count || !e.FirstSeen.IsZero() && e.FirstSeen.Before(is.FirstSeen) || e.LastSeen.After(is.LastSeen) {
			t.Fatalf("the edge %+v became %+v", e, is)
		}
		for _, proof := range e.Alerts {
			if !slices.Contains(is.Alerts, proof) {
				t.Fatalf("%s proved the edge %+v and does not prove %+v", proof, e, is)
			}
		}
	}
	for k, e := range now.edges {
		if e.Count > sum[k] {
			t.Fatalf("the edge %+v has %d sightings, those that it is made of had %d", k, e.Count, sum[k])
		}
	}
}

// keptAlerts: the joined node's alerts are those of both, by either id.
func keptAlerts(t TB, s graph.Store, before whole, keep, give graph.ID) {
	t.Helper()
	want := map[graph.ID]bool{}
	for _, a := range before.alerts {
		if about := before.about(a); about[keep] || about[give] {
			want[a.ID] = true
		}
	}
	for _, id := range []graph.ID{keep, give} {
		got := map[graph.ID]bool{}
		for _, a := range must(s.Alerts(context.Background(), view, graph.AlertQuery{Entities: []graph.ID{id}}))(t).Items {
			got[a.ID] = true
		}
		if !maps.Equal(want, got) {
			t.Fatalf("alerts about %s are %v, want %v", id, got, want)
		}
	}
}
