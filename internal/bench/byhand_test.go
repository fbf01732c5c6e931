package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/realserver"
)

const byHandName = "neo4j by hand"

// byHand is the bar for a store on Neo4j: the loop that someone in a hurry would write, with one writer, as fast
// as it could be made, and without what makes a store of it (identity over several keys, redirects, reads).
// It writes the same observations: nodes (:Entity:Device {key}) merged with what was known of them (properties as a
// whole, which is less than the store does), one relationship for each observation (-[:LOGGED_ON {observation}]->),
// and for each batch one transaction that advances the tenant's revision, refuses a replay and records what it
// touched.
//
// What was tried, in edges per processor second relative to this, within about a tenth: one statement that collects
// the nodes and indexes the list 0.9 to 1.0; ends found by key 0.8; a statement for each edge type 0.8; a
// statement for each label and each pair of type and ends, by key, 0.4, and with rows as maps 0.25; one statement
// with a subquery for each type under 0.1, as its text, and so its plan, differs with each batch. Shorter keys,
// the interpreted runtime, 250 rows a statement and notifications turned off change nothing that can be measured.
// CREATE in place of MERGE gives 1.0 to 1.15, and duplicates.
type byHand struct {
	driver  neo4j.DriverWithContext
	session neo4j.SessionWithContext
}

func newByHand(ctx context.Context, s *realserver.Server) (*byHand, error) {
	d, err := neo4j.NewDriverWithContext(s.URL, neo4j.BasicAuth(s.User, s.Password, ""))
	if err != nil {
		return nil, err
	}
	h := &byHand{d, d.NewSession(ctx, neo4j.SessionConfig{DatabaseName: "neo4j"})}
	for _, label := range []string{"Entity", "Tenant", "BatchKey", "Change"} {
		if err := h.once(ctx, "CREATE CONSTRAINT FOR (n:"+label+") REQUIRE n.key IS UNIQUE"); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *byHand) close(ctx context.Context) error {
	_ = h.session.Close(ctx)
	return h.driver.Close(ctx)
}

func (h *byHand) once(ctx context.Context, cypher string) error {
	r, err := h.session.Run(ctx, cypher, nil)
	if err == nil {
		_, err = r.Consume(ctx)
	}
	return err
}

const (
	// begin locks the tenant and says whether the batch was there before.
	begin = `MERGE (t:Tenant {key: $tenant}) ON CREATE SET t.revision = 0 SET t.writing = $key
WITH t OPTIONAL MATCH (b:BatchKey {key: $key}) RETURN t.revision, b.revision`

	// mergeEntities takes rows of key, keys, properties, instant, source, label, and returns the nodes' ids in
	// their order.
	mergeEntities = `UNWIND $rows AS e MERGE (n:Entity {key: e[0]})
ON CREATE SET n:$(e[5]), n.keys = e[1], n.properties = e[2], n.firstSeen = e[3], n.lastSeen = e[3], n.sources = [e[4]]
ON MATCH SET n.keys = n.keys + [k IN e[1] WHERE NOT k IN n.keys],
  n.properties = CASE WHEN e[3] >= n.lastSeen THEN e[2] ELSE n.properties END,
  n.firstSeen = CASE WHEN e[3] < n.firstSeen THEN e[3] ELSE n.firstSeen END,
  n.lastSeen = CASE WHEN e[3] > n.lastSeen THEN e[3] ELSE n.lastSeen END,
  n.sources = CASE WHEN e[4] IN n.sources THEN n.sources ELSE n.sources + e[4] END
RETURN collect(id(n))`

	// mergeEdges takes rows of the ends' ids, observation, first and last seen, end, source, inferred, type.
	mergeEdges = `UNWIND $rows AS e MATCH (a) WHERE id(a) = e[0] MATCH (b) WHERE id(b) = e[1]
MERGE (a)-[r:$(e[8]) {observation: e[2]}]->(b)
ON CREATE SET r.firstSeen = e[3], r.lastSeen = e[4], r.endedAt = e[5], r.source = e[6], r.inferred = e[7]
ON MATCH SET r.firstSeen = CASE WHEN e[3] < r.firstSeen THEN e[3] ELSE r.firstSeen END,
  r.lastSeen = CASE WHEN e[4] > r.lastSeen THEN e[4] ELSE r.lastSeen END,
  r.endedAt = CASE WHEN r.endedAt IS NULL OR e[5] > r.endedAt THEN e[5] ELSE r.endedAt END,
  r.source = CASE WHEN e[6] > r.source THEN e[6] ELSE r.source END, r.inferred = r.inferred AND e[7]`

	// end advances the tenant and records the batch and what it touched.
	end = `MATCH (t:Tenant {key: $tenant}) SET t.revision = $revision
CREATE (:BatchKey {key: $key, revision: $revision}) CREATE (:Change {key: $change, blob: $touched})`
)

func (h *byHand) commit(ctx context.Context, tenant graph.TenantID, b graph.Batch) error {
	_, err := h.session.ExecuteWrite(ctx, func(tx neo4j.ManagedTransaction) (any, error) {
		key := string(tenant) + "/" + b.Key
		found, err := single(ctx, tx, begin, map[string]any{"tenant": string(tenant), "key": key})
		if err != nil || found[1] != nil {
			return nil, err
		}
		ids, err := writeEntities(ctx, tx, tenant, b.Entities)
		if err != nil {
			return nil, err
		}
		if err := do(ctx, tx, mergeEdges, map[string]any{"rows": edgeRows(b.Edges, ids)}); err != nil {
			return nil, err
		}
		revision := found[0].(int64) + 1
		return nil, do(ctx, tx, end, map[string]any{
			"tenant": string(tenant), "key": key, "revision": revision,
			"change": fmt.Sprintf("%s/%020d", tenant, revision), "touched": touched(b.Entities),
		})
	})
	return err
}

// check counts the nodes and relationships of the measured tenant.
func (h *byHand) check(ctx context.Context, entities, edges int) error {
	_, err := h.session.ExecuteRead(ctx, func(tx neo4j.ManagedTransaction) (any, error) {
		prefix := map[string]any{"prefix": string(measuredTenant) + "/"}
		found, err := single(ctx, tx, `MATCH (n:Entity) WHERE n.key STARTS WITH $prefix
RETURN count(n), sum(COUNT { (n)-->() })`, prefix)
		if err == nil && (found[0] != int64(entities) || found[1] != int64(edges)) {
			err = fmt.Errorf("%s holds %v entities and %v relationships, want %d and %d", byHandName, found[0], found[1], entities, edges)
		}
		return nil, err
	})
	return err
}

func do(ctx context.Context, tx neo4j.ManagedTransaction, cypher string, params map[string]any) error {
	r, err := tx.Run(ctx, cypher, params)
	if err == nil {
		_, err = r.Consume(ctx)
	}
	return err
}

func single(ctx context.Context, tx neo4j.ManagedTransaction, cypher string, params map[string]any) ([]any, error) {
	r, err := tx.Run(ctx, cypher, params)
	if err != nil {
		return nil, err
	}
	record, err := r.Single(ctx)
	if err != nil {
		return nil, err
	}
	return record.Values, nil
}

// writeEntities returns the database's ids of the entities; they hold within the transaction.
func writeEntities(ctx context.Context, tx neo4j.ManagedTransaction, tenant graph.TenantID, all []graph.EntityObservation) (map[graph.ID]any, error) {
	rows := make([]any, len(all))
	for i, e := range all {
		row, err := entityRow(tenant, e)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	found, err := single(ctx, tx, mergeEntities, map[string]any{"rows": rows})
	if err != nil {
		return nil, err
	}
	ids := make(map[graph.ID]any, len(all))
	for i, id := range found[0].([]any) {
		ids[all[i].ID()] = id
	}
	return ids, nil
}

func entityRow(tenant graph.TenantID, e graph.EntityObservation) ([]any, error) {
	id := e.ID()
	keys := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		keys[i] = string(k.Type) + "=" + k.Value
	}
	properties, err := json.Marshal(e.Properties)
	return []any{string(tenant) + "/" + id.String(), keys, string(properties), micros(e.ObservedAt), e.Source, label(id.Kind())}, err
}

func edgeRows(all []graph.EdgeObservation, ids map[graph.ID]any) []any {
	rows := make([]any, len(all))
	for i, e := range all {
		rows[i] = []any{
			ids[e.From], ids[e.To], base64.RawStdEncoding.EncodeToString(e.Observation[:]),
			micros(e.FirstSeen), micros(e.LastSeen), micros(e.EndedAt), e.Source, e.Inferred, relationship(e.Kind),
		}
	}
	return rows
}

func touched(all []graph.EntityObservation) []byte {
	blob := make([]byte, 0, len(graph.ID{})*len(all))
	for _, e := range all {
		id := e.ID()
		blob = append(blob, id[:]...)
	}
	return blob
}

// micros is an instant as Neo4j stores it cheapest; a missing one is null.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// label of a kind: Device.
func label(k graph.Kind) string {
	name := k.String()
	return strings.ToUpper(name[:1]) + name[1:]
}

// relationship is the type of an edge kind: LOGGED_ON.
func relationship(k graph.EdgeKind) string {
	var out strings.Builder
	for _, r := range k.String() {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte('_')
		}
		out.WriteRune(r)
	}
	return strings.ToUpper(out.String())
}
