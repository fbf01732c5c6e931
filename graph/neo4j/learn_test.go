package neo4j

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// logonOf is one that a user's device number d made.
func logonOf(u, d int) graph.EdgeObservation {
	return graph.EdgeObservation{
		Kind: graph.EdgeLoggedOn, From: user(u).ID(), To: device(d).ID(), FirstSeen: epoch, Source: "test",
		Observation: graph.NewID(graph.KindObservation, fmt.Sprint(u, " on ", d)),
	}
}

func devicesOf(u, from, to int) (b graph.Batch) {
	b.Entities = append(b.Entities, user(u))
	for d := from; d < to; d++ {
		b.Entities, b.Edges = append(b.Entities, device(d)), append(b.Edges, logonOf(u, d))
	}
	return b
}

// What a memory was not taught it would take for new.
func TestAWriterThatWasTaughtWhatExistsWritesAsOneThatAsks(t *testing.T) {
	o, ctx := migrated(t), context.Background()
	claimedBy := func(name string) func(i int) graph.EntityObservation {
		return func(i int) graph.EntityObservation {
			return observe(graph.KindDevice, "mdeDeviceId", fmt.Sprint(name, i), "azureAdDeviceId", fmt.Sprint("claimed", i))
		}
	}
	stored := slices.Concat(seq(0, learnPage, named), seq(learnPage, learnPage+20, host), seq(0, 20, claimedBy("first")))
	later := slices.Concat(seq(0, learnPage, host), seq(learnPage, learnPage+20, named), seq(0, 20, claimedBy("second")))
	before := []graph.Batch{devicesOf(0, 0, learnEdges+1), devicesOf(1, 0, learnEdges-1), devicesOf(2, 0, 2*learnPage), {Entities: stored}, alertNamed("1")}
	after := append(before, graph.Batch{Entities: later})
	var wrote []string
	for _, taught := range []bool{false, true} {
		tenant := tenantOfTest(t)
		one, other := open(t, o), open(t, o)
		for _, b := range before {
			mustApply(t, one, tenant, b)
		}
		mustApply(t, other, tenant, alertNamed("2")) // what was remembered until then may be another's past, and is forgotten
		memory := other.tenant(tenant).memory
		if taught {
			if err := other.teach(ctx, tenant, memory.Learner()); err != nil {
				t.Fatal(err)
			}
		}
		if memory.Complete() != taught {
			t.Fatalf("what exists is known: %t, want %t", memory.Complete(), taught)
		}
		var all strings.Builder
		for i, b := range after {
			r := mustApply(t, other, tenant, b)
			if fmt.Fprintln(&all, r); i < len(before) && r.NewEntities+r.NewEdges+r.NewAlerts > 0 {
				t.Errorf("batch %d, committed before, is new again: %+v", i, r)
			}
		}
		for q := (graph.EntityQuery{}); ; {
			found, err := other.Entities(ctx, graph.View{Tenant: tenant}, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				break
			}
			for _, e := range found {
				fmt.Fprintln(&all, e.ID, e.Members, e.Keys, e.PossiblySameAs, e.SameAs)
			}
			q.After = found[len(found)-1].ID
		}
		for c, err := range other.Changes(ctx, graph.View{Tenant: tenant}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, c.Revision, c.Entities)
		}
		wrote = append(wrote, all.String())
	}
	if wrote[0] != wrote[1] {
		t.Errorf("one that asks wrote\n%.2000s\none that was taught\n%.2000s", wrote[0], wrote[1])
	}
}

// When the database was restored from a copy, other commits can have got the numbers of those that were lost.
func TestAMemoryIsOfTheCommitsThatWereMadeAndNotOfAsMany(t *testing.T) {
	o, tenant := migrated(t), tenantOfTest(t)
	one, other := open(t, o), open(t, o)
	mustApply(t, one, tenant, alertNamed("lost"))
	ask(t, one, `MATCH (n) WHERE n.key STARTS WITH $tenant DETACH DELETE n`, map[string]any{"tenant": tk(tenant, "")})
	mustApply(t, other, tenant, alertNamed("1"))
	if r := mustApply(t, one, tenant, alertNamed("1")); r.NewAlerts+r.NewEntities > 0 {
		t.Errorf("what is there is new: %+v", r)
	}
}
