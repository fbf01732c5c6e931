package neo4j

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// records implements rules.Records in bulk, on what a runner sees.
type records struct {
	run    runner
	tenant graph.TenantID
}

var _ rules.Records = records{}

// chunk bounds the rows that one statement takes.
const chunk = 5000

// rowsIn are the parameters of a statement over rows. They stand in a map, in: of a parameter that is a list Neo4j
// makes a plan for each order of magnitude of its length.
func rowsIn[T any](rows []T) map[string]any {
	return map[string]any{"in": map[string]any{"rows": rows}}
}

// each runs the statement over the rows, chunk by chunk.
func (r records) each(ctx context.Context, cypher string, rows []any, params map[string]any, row func(v []any) error) error {
	for part := range slices.Chunk(rows, chunk) {
		all := rowsIn(part)
		maps.Copy(all, params)
		err := r.run.stream(ctx, cypher, all, func(rec *driver.Record) (bool, error) { return true, row(rec.Values) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (r records) key(id graph.ID) string { return idKey(r.tenant, id) }

// find answers questions about ids: answer reads a record, of which the first column is the id's key.
func find[A any](ctx context.Context, r records, cypher string, ids []graph.ID, answer func(v []any) (A, error)) ([]A, error) {
	out, rows, places := make([]A, len(ids)), make([]any, len(ids)), make(map[graph.ID]int, len(ids))
	for i, id := range ids {
		rows[i], places[id] = r.key(id), i
	}
	err := r.each(ctx, cypher, rows, nil, func(v []any) error {
		id, err := idOfKey(v[0])
		if err != nil {
			return err
		}
		out[places[id]], err = answer(v)
		return err
	})
	for i, id := range ids { // of an id that was asked twice
		out[i] = out[places[id]]
	}
	return out, err
}

// placed answers questions by records that a key names: answer reads one, of which the first column is the
// question's place.
func placed[Q, A any](ctx context.Context, r records, cypher string, all []Q, key func(Q) string, answer func(q Q, v []any) (A, error)) ([]A, error) {
	out, rows := make([]A, len(all)), make([]any, len(all))
	for i, q := range all {
		rows[i] = []any{i, key(q)}
	}
	err := r.each(ctx, cypher, rows, nil, func(v []any) (err error) {
		i := number(v[0])
		out[i], err = answer(all[i], v)
		return err
	})
	return out, err
}

const readHomes = `
UNWIND $in.rows AS k
MATCH (h:Entity {key: k})
RETURN h.key, h.facts, h.seen, h.revision, h.members, h.alone, [(h)-[:SAME_AS]->(n) | n.key]`

// Homes implements rules.Records.
func (r records) Homes(ctx context.Context, ids []graph.ID) ([]rules.Home, error) {
	return r.homes(ctx, ids, func(graph.ID) {})
}

// homes calls seen for each id that has a record.
func (r records) homes(ctx context.Context, ids []graph.ID, seen func(graph.ID)) ([]rules.Home, error) {
	return find(ctx, r, readHomes, ids, func(v []any) (h rules.Home, err error) {
		id, _ := idOfKey(v[0])
		seen(id)
		if h.Facts, err = decodeFacts(id, v[1], v[2]); err != nil {
			return h, err
		}
		h.Node, h.Revision, h.Members, h.Alone = id, graph.Revision(number(v[3])), int(number(v[4])), truth(v[5])
		if node := list(v[6]); len(node) > 0 {
			h.Node, err = idOfKey(node[0])
		}
		return h, err
	})
}

func idsInSecond(v []any) ([]graph.ID, error) { return idsOfKeys(v[1]) }

const readMembers = `
UNWIND $in.rows AS k
MATCH (n:Entity {key: k})<-[:SAME_AS]-(m)
RETURN n.key, collect(m.key)`

// Members implements rules.Records.
func (r records) Members(ctx context.Context, nodes []graph.ID) ([][]graph.ID, error) {
	return find(ctx, r, readMembers, nodes, idsInSecond)
}

const readClaimants = `
UNWIND $in.rows AS k
MATCH (c:Entity {key: k})<-[:CLAIMS]-(h)
RETURN c.key, collect(h.key)`

// Claimants implements rules.Records.
func (r records) Claimants(ctx context.Context, ids []graph.ID) ([][]graph.ID, error) {
	return find(ctx, r, readClaimants, ids, idsInSecond)
}

// readNeighbours follows every kind of sighting.
var readNeighbours = fmt.Sprintf(`
UNWIND $in.rows AS k
MATCH (h:Entity {key: k})-[:%s]-(o)
RETURN h.key, collect(DISTINCT o.key)`, strings.Join(sightingTypes(), "|"))

// sightingTypes are the relationship types that sightings can have.
func sightingTypes() (out []string) {
	for _, k := range graph.EdgeKinds() {
		if k.Tense != graph.Derived {
			out = append(out, typeOf(k.Kind))
		}
	}
	return out
}

// Neighbours implements rules.Records.
func (r records) Neighbours(ctx context.Context, homes []graph.ID) ([][]graph.ID, error) {
	return find(ctx, r, readNeighbours, homes, idsInSecond)
}

const readBearers = `
UNWIND $in.rows AS q
MATCH (w:WeakKey {key: q[1]})
CALL {
  WITH w, q
  MATCH (h)-[b:BEARS]->(w)
  WHERE q[2] <= b.rank < q[3]
  RETURN h, b.rank AS rank
  ORDER BY rank, h.key
  LIMIT $limit
}
RETURN q[0], h.key, rank, [(h)-[:SAME_AS]->(n) | n.key]`

// Bearers implements rules.Records.
func (r records) Bearers(ctx context.Context, all []rules.BearerQuery) ([][]rules.Bearer, error) {
	byLimit := map[int][]any{}
	for i, q := range all {
		byLimit[q.Limit] = append(byLimit[q.Limit], []any{i, r.key(q.Key), q.Least, q.Most})
	}
	out := make([][]rules.Bearer, len(all))
	for limit, rows := range byLimit {
		err := r.each(ctx, readBearers, rows, map[string]any{"limit": limit}, func(v []any) (err error) {
			b := rules.Bearer{Rank: int(number(v[2]))}
			if b.Home, err = idOfKey(v[1]); err != nil {
				return err
			}
			b.Node = b.Home
			if node := list(v[3]); len(node) > 0 {
				b.Node, err = idOfKey(node[0])
			}
			at := number(v[0])
			out[at] = append(out[at], b)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// between gives rows of a place, two homes and a type.
func (r records) between(at int, e rules.Ends, more ...any) []any {
	return append([]any{at, r.key(e.From), r.key(e.To), typeOf(e.Kind)}, more...)
}

// readSightings finds what is between two homes through both: with the ends given to a subquery the planner cannot
// choose to read all edges of one, which may be very many.
var readSightings = fmt.Sprintf(`
UNWIND $in.rows AS q
MATCH (f:Entity {key: q[1]})
MATCH (t:Entity {key: q[2]})
CALL {
  WITH f, t, q
  MATCH (f)-[s:%s]->(t)
  WHERE type(s) = q[3]
  RETURN count(s) AS n, collect(CASE WHEN s.observation IN q[4] THEN properties(s) END) AS found
}
WITH q, n, found
WHERE n > 0
RETURN q[0], found`, strings.Join(sightingTypes(), "|"))

// Sightings implements rules.Records.
func (r records) Sightings(ctx context.Context, all []rules.SightingKey) ([]rules.Sighted, error) {
	asked := map[rules.Ends]map[graph.ID][]int{}
	var order []rules.Ends
	for i, k := range all {
		if asked[k.Ends] == nil {
			asked[k.Ends] = map[graph.ID][]int{}
			order = append(order, k.Ends)
		}
		asked[k.Ends][k.Observation] = append(asked[k.Ends][k.Observation], i)
	}
	rows := make([]any, len(order))
	for i, e := range order {
		observations := make([]any, 0, len(asked[e]))
		for o := range asked[e] {
			observations = append(observations, observationText(o))
		}
		rows[i] = r.between(i, e, observations)
	}
	out := make([]rules.Sighted, len(all))
	err := r.each(ctx, readSightings, rows, nil, func(v []any) error {
		places := asked[order[number(v[0])]]
		for _, at := range places {
			for _, i := range at {
				out[i].Edge = true
			}
		}
		for _, p := range list(v[1]) {
			properties, _ := p.(map[string]any)
			s, err := sightingOf(properties)
			if err != nil {
				return err
			}
			for _, i := range places[s.Observation] {
				out[i].Sighting, out[i].Seen = s, true
			}
		}
		return nil
	})
	return out, err
}

var readEdges = fmt.Sprintf(`
UNWIND $in.rows AS q
MATCH (f:Entity {key: q[1]})
MATCH (t:Entity {key: q[2]})
CALL {
  WITH f, t, q
  MATCH (f)-[s:%s]->(t)
  WHERE type(s) = q[3]
  RETURN collect(properties(s)) AS found
}
UNWIND found AS p
RETURN q[0], p`, strings.Join(sightingTypes(), "|"))

// Edges implements rules.Records.
func (r records) Edges(ctx context.Context, all []rules.Ends) ([][]graph.Sighting, error) {
	rows := make([]any, len(all))
	for i, e := range all {
		rows[i] = r.between(i, e)
	}
	out := make([][]graph.Sighting, len(all))
	err := r.each(ctx, readEdges, rows, nil, func(v []any) error {
		properties, _ := v[1].(map[string]any)
		s, err := sightingOf(properties)
		at := number(v[0])
		out[at] = append(out[at], s)
		return err
	})
	return out, err
}

const readAlerts = `UNWIND $in.rows AS k MATCH (a:Alert {key: k}) RETURN a.key, a.record, a.revision`

// Alerts implements rules.Records.
func (r records) Alerts(ctx context.Context, ids []graph.ID) ([]graph.Alert, error) {
	return find(ctx, r, readAlerts, ids, func(v []any) (graph.Alert, error) { return decodeAlert(v[1], v[2]) })
}

const readIncidents = `
UNWIND $in.rows AS q
MATCH (i:Incident {key: q[1]})
RETURN q[0], i.record, i.revision`

// Incidents implements rules.Records.
func (r records) Incidents(ctx context.Context, ids []graph.IncidentID) ([]graph.Incident, error) {
	key := func(id graph.IncidentID) string { return numberKey(r.tenant, id) }
	return placed(ctx, r, readIncidents, ids, key, func(_ graph.IncidentID, v []any) (graph.Incident, error) {
		return decodeIncident(v[1], v[2])
	})
}

const readDocuments = `
UNWIND $in.rows AS q
MATCH (d:Document {key: q[1]})
RETURN q[0], d.revision, d.value`

// Documents implements rules.Records.
func (r records) Documents(ctx context.Context, keys []graph.DocumentKey) ([]graph.Document, error) {
	key := func(k graph.DocumentKey) string { return documentKey(r.tenant, k) }
	return placed(ctx, r, readDocuments, keys, key, func(k graph.DocumentKey, v []any) (graph.Document, error) {
		return graph.Document{DocumentKey: k, Revision: graph.Revision(number(v[1])), Value: octets(v[2])}, nil
	})
}
