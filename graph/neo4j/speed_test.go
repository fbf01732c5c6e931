package neo4j

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/estate"
	"github.com/clew-security/clew/internal/realserver"
)

// plain is the loop that a person writes by hand: entities and edges merged, no identity, no revisions.
func plain(ctx context.Context, s driver.SessionWithContext, tenant graph.TenantID, b graph.Batch) error {
	nodes, edges := map[string][]any{}, map[string][]any{}
	for _, e := range b.Entities {
		facts, err := encodeRecord(e.Facts())
		if err != nil {
			return err
		}
		l := labelOf(e.ID().Kind())
		nodes[l] = append(nodes[l], []any{idKey(tenant, e.ID()), e.ID().String(), facts, micros(e.ObservedAt)})
	}
	for _, e := range b.Edges {
		edges[typeOf(e.Kind)] = append(edges[typeOf(e.Kind)], []any{
			idKey(tenant, e.From), idKey(tenant, e.To), e.Observation.String(), micros(e.FirstSeen), micros(e.LastSeen), micros(e.EndedAt), e.Source,
		})
	}
	_, err := s.ExecuteWrite(ctx, func(tx driver.ManagedTransaction) (any, error) {
		do := func(cypher string, rows []any) error {
			r, err := tx.Run(ctx, cypher, map[string]any{"rows": rows})
			if err == nil {
				_, err = r.Consume(ctx)
			}
			return err
		}
		for l, rows := range nodes {
			if err := do(`UNWIND $rows AS r MERGE (e:Entity {key: r[0]}) ON CREATE SET e:`+l+`, e.id = r[1], e.facts = r[2], e.firstSeen = r[3], e.lastSeen = r[3] ON MATCH SET e.facts = r[2], e.lastSeen = r[3]`, rows); err != nil {
				return nil, err
			}
		}
		for typ, rows := range edges {
			if err := do(`UNWIND $rows AS r MATCH (f:Entity {key: r[0]}) MATCH (t:Entity {key: r[1]}) MERGE (f)-[s:`+typ+` {observation: r[2]}]->(t) SET s.firstSeen = r[3], s.lastSeen = r[4], s.endedAt = r[5], s.source = r[6]`, rows); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return err
}

func TestSpeed(t *testing.T) {
	n := 0
	if fmt.Sscan(os.Getenv("NEO4J_SPEED"), &n); n == 0 {
		t.Skip("NEO4J_SPEED=<batches> measures")
	}
	server := realserver.Neo4j(t, realserver.Neo4jOptions{Own: os.Getenv(realserver.EnvNeo4j) == "", Heap: "2g", PageCache: "512m"})
	ctx, o := context.Background(), optionsOf(server)
	if _, _, err := Migrate(ctx, o); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	session := s.session(ctx, driver.AccessModeWrite)
	defer session.Close(ctx)
	tenant := tenantOfTest(t)
	var ours, theirs time.Duration
	edges, i := 0, 0
	for b := range estate.Batches(estate.S()) {
		if i == n/3 {
			ours, theirs, edges = 0, 0, 0
		}
		began := time.Now()
		if _, err := s.Apply(ctx, tenant, b); err != nil {
			t.Fatal(err)
		}
		ours += time.Since(began)
		began = time.Now()
		if err := plain(ctx, session, tenant+" by hand", b); err != nil {
			t.Fatal(err)
		}
		theirs += time.Since(began)
		edges += len(b.Edges)
		if i++; i == n {
			break
		}
	}
	t.Logf("ours %.0f edges/s, plain loop %.0f edges/s", float64(edges)/ours.Seconds(), float64(edges)/theirs.Seconds())
}
