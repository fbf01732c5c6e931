package neo4j

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// homeColumns set what is stored of a home that was observed; r is a row of homeRow.
const homeColumns = `e.id = r[1], e.facts = r[2], e.rank = r[3], e.name = r[4], e.firstSeen = r[5], e.lastSeen = r[6],
    e.revision = CASE WHEN r[10] THEN r[7] ELSE e.revision END, e.members = CASE WHEN r[10] THEN r[8] ELSE e.members END,
    e.alone = CASE WHEN r[10] THEN r[9] ELSE e.alone END`

func createHome(label string) string {
	return fmt.Sprintf(`
UNWIND $rows AS r
CREATE (e:Entity:%s {key: r[0], id: r[1], facts: r[2], rank: r[3], name: r[4], firstSeen: r[5], lastSeen: r[6], revision: r[7], members: r[8], alone: r[9]})`, label)
}

func mergeHome(label string) string {
	return fmt.Sprintf(`
UNWIND $rows AS r
MERGE (e:Entity {key: r[0]})
SET e:%s, %s`, label, homeColumns)
}

const setNodes = `
UNWIND $rows AS r
MATCH (e:Entity {key: r[0]})
SET e.revision = r[1], e.members = r[2], e.alone = r[3]`

const addWeak = `
UNWIND $rows AS r
MERGE (w:WeakKey {key: r[1]})
WITH w, r
MATCH (h:Entity {key: r[0]})
CREATE (h)-[:BEARS {rank: r[2]}]->(w)`

const addClaims = `
UNWIND $rows AS r
MERGE (c:Entity {key: r[1]})
ON CREATE SET c.id = r[2]
WITH c, r
MATCH (h:Entity {key: r[0]})
CREATE (h)-[:CLAIMS]->(c)`

const leaveNode = `
UNWIND $rows AS k
MATCH (h:Entity {key: k})-[s:SAME_AS]->()
DELETE s`

const joinNode = `
UNWIND $rows AS r
MATCH (h:Entity {key: r[0]})
MATCH (n:Entity {key: r[1]})
CREATE (h)-[:SAME_AS]->(n)`

// homes are the rows of one kind of entity: those to create, and those to create or change.
type homes struct{ create, merge []any }

// writeIdentity writes homes, what they bear and claim, and which node they belong to.
func (t *tx) writeIdentity(ctx context.Context, w rules.Writes) error {
	nodes := make(map[graph.ID]rules.NodeWrite, len(w.Nodes))
	for _, n := range w.Nodes {
		nodes[n.ID] = n
	}
	byLabel, weak, claimed := map[string]*homes{}, []any{}, []any{}
	for _, a := range w.Atoms {
		label := labelOf(a.ID.Kind())
		if byLabel[label] == nil {
			byLabel[label] = &homes{}
		}
		row, err := t.homeRow(a)
		if err != nil {
			return err
		}
		node, isNode := nodes[a.ID]
		row = append(append(row, nodeColumns(node)...), isNode)
		delete(nodes, a.ID)
		if h := byLabel[label]; a.Fresh || t.absent[a.ID] {
			h.create = append(h.create, row)
			delete(t.absent, a.ID)
		} else {
			h.merge = append(h.merge, row)
		}
		weak, claimed = t.appendKeys(a, weak, claimed)
	}
	for _, label := range slices.Sorted(maps.Keys(byLabel)) {
		if err := t.do(ctx, createHome(label), byLabel[label].create); err != nil {
			return err
		}
		if err := t.do(ctx, mergeHome(label), byLabel[label].merge); err != nil {
			return err
		}
	}
	if err := t.do(ctx, addWeak, weak); err != nil {
		return err
	}
	if err := t.do(ctx, addClaims, claimed); err != nil {
		return err
	}
	if err := t.move(ctx, w.Moves); err != nil {
		return err
	}
	return t.do(ctx, setNodes, t.nodeRows(w.Nodes, nodes))
}

// homeRow is the key and what homeColumns set.
func (t *tx) homeRow(a rules.AtomWrite) ([]any, error) {
	facts, err := encodeRecord(a.Facts)
	if err != nil {
		return nil, fmt.Errorf("%w: entity %s: %v", graph.ErrInvalid, a.ID, err)
	}
	return []any{
		t.key(a.ID), a.ID.String(), stamp(t.seq+1, facts), a.Facts.Keys[0].Rank(), nameOf(a.Facts), micros(a.Facts.FirstSeen), micros(a.Facts.LastSeen),
	}, nil
}

// nameOf is what people see of an entity in Neo4j.
func nameOf(f graph.Facts) string { return f.Keys[0].Value }

// nodeColumns are revision, members and alone, null for what is no node.
func nodeColumns(n rules.NodeWrite) []any {
	if n.ID.IsZero() || n.Gone {
		return []any{nil, nil, nil}
	}
	return []any{int64(n.Revision), n.Members, n.Alone}
}

// nodeRows are those of all that were not written with their home.
func (t *tx) nodeRows(all []rules.NodeWrite, left map[graph.ID]rules.NodeWrite) (rows []any) {
	for _, n := range all {
		if _, ok := left[n.ID]; ok {
			rows = append(rows, append([]any{t.key(n.ID)}, nodeColumns(n)...))
		}
	}
	return rows
}

// appendKeys adds a row for each key that is new: weak ones are borne, strong ones claimed.
func (t *tx) appendKeys(a rules.AtomWrite, weak, claimed []any) ([]any, []any) {
	home := t.key(a.ID)
	for _, k := range a.Bears {
		if k.Strength() == graph.Weak {
			weak = append(weak, []any{home, t.key(k.ID()), a.Facts.Keys[0].Rank()})
		}
	}
	for _, id := range a.Claims() {
		claimed = append(claimed, []any{home, t.key(id), id.String()})
	}
	return weak, claimed
}

func (t *tx) move(ctx context.Context, all []rules.Move) error {
	var leave, join []any
	for _, m := range all {
		if m.From != m.ID {
			leave = append(leave, t.key(m.ID))
		}
		if m.To != m.ID {
			join = append(join, []any{t.key(m.ID), t.key(m.To)})
		}
	}
	if err := t.do(ctx, leaveNode, leave); err != nil {
		return err
	}
	return t.do(ctx, joinNode, join)
}

const sightingColumns = `observation: r[2], firstSeen: r[3], lastSeen: r[4], endedAt: r[5], source: r[6], inferred: r[7], seq: $seq`

func createSightings(kind graph.EdgeKind) string {
	return fmt.Sprintf(`
UNWIND $rows AS r
MATCH (f:Entity {key: r[0]})
MATCH (t:Entity {key: r[1]})
CREATE (f)-[:%s {%s}]->(t)`, typeOf(kind), sightingColumns)
}

func changeSightings(kind graph.EdgeKind) string {
	return fmt.Sprintf(`
UNWIND $rows AS r
MATCH (f:Entity {key: r[0]})
MATCH (t:Entity {key: r[1]})
CALL {
  WITH f, t, r
  MATCH (f)-[s:%s]->(t)
  WHERE s.observation = r[2]
  RETURN collect(s) AS found
}
UNWIND found AS s
SET s = {%s}`, typeOf(kind), sightingColumns)
}

func removeEdges(kind graph.EdgeKind) string {
	return fmt.Sprintf(`
UNWIND $rows AS r
MATCH (f:Entity {key: r[0]})
MATCH (t:Entity {key: r[1]})
CALL {
  WITH f, t
  MATCH (f)-[s:%s]->(t)
  RETURN collect(s) AS found
}
UNWIND found AS s
DELETE s`, typeOf(kind))
}

func (t *tx) removeExpired(ctx context.Context, all []rules.Ends) error {
	gone := map[graph.EdgeKind][]any{}
	for _, e := range all {
		gone[e.Kind] = append(gone[e.Kind], []any{t.key(e.From), t.key(e.To)})
	}
	return t.eachKind(ctx, gone, removeEdges)
}

// eachKind runs one statement for each kind of edge. It may name seq, the number of this write.
func (t *tx) eachKind(ctx context.Context, rows map[graph.EdgeKind][]any, cypher func(graph.EdgeKind) string) error {
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		params := map[string]any{"seq": t.seq + 1}
		if err := t.each(ctx, cypher(kind), rows[kind], params, func([]any) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeSightings(ctx context.Context, w rules.Writes) error {
	if err := t.removeExpired(ctx, w.Expired); err != nil {
		return err
	}
	added, changed := map[graph.EdgeKind][]any{}, map[graph.EdgeKind][]any{}
	for _, s := range w.Sightings {
		to := changed
		if s.New {
			to = added
		}
		to[s.Kind] = append(to[s.Kind], t.sightingRow(s))
	}
	if err := t.eachKind(ctx, added, createSightings); err != nil {
		return err
	}
	return t.eachKind(ctx, changed, changeSightings)
}

func (t *tx) sightingRow(w rules.SightingWrite) []any {
	s := w.Sighting
	row := []any{t.key(w.From), t.key(w.To), s.Observation.String(), micros(s.FirstSeen), micros(s.LastSeen), micros(s.EndedAt), nil, nil}
	if s.Source != "" {
		row[6] = s.Source
	}
	if s.Inferred {
		row[7] = true
	}
	return row
}

const putDocuments = `
UNWIND $rows AS r
MERGE (d:Document {key: r[0]})
SET d.tenant = $tenant, d.collection = r[1], d.name = r[2], d.revision = r[3], d.value = r[4]`

const deleteDocuments = `UNWIND $rows AS k MATCH (d:Document {key: k}) DELETE d`

func (t *tx) writeDocuments(ctx context.Context, w rules.Writes) error {
	var put, gone []any
	for _, d := range w.Documents {
		key := documentKey(t.tenant, d.DocumentKey)
		if d.Value == nil {
			gone = append(gone, key)
		} else {
			put = append(put, []any{key, d.Collection, d.Key, int64(d.Revision), d.Value})
		}
	}
	if err := t.put(ctx, putDocuments, put); err != nil {
		return err
	}
	return t.do(ctx, deleteDocuments, gone)
}

// put is do for statements that also name the tenant.
func (t *tx) put(ctx context.Context, cypher string, rows []any) error {
	return t.each(ctx, cypher, rows, map[string]any{"tenant": tenantText(t.tenant)}, func([]any) error { return nil })
}
