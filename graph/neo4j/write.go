package neo4j

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// The rows of the first two are those of homeRow. All give the place of each row and the database's id of its home;
// such an id holds within the transaction, and finding a node by it costs half of finding it by its key. A home may
// be claimed by one that stands before it in the rows: claims are made when all homes are there.
const (
	createHomes = `
UNWIND $in.rows AS r
CREATE (e:Entity:$(r[2]) {key: r[1], facts: r[3], seen: r[4], revision: r[5], members: r[6], alone: r[7]})
WITH collect([e, r]) AS homes
UNWIND homes AS h
WITH h[0] AS e, h[1] AS r` + addKeys

	changeHomes = `
UNWIND $in.rows AS r
MERGE (e:Entity {key: r[1]})
SET e:$(r[2]), e.facts = coalesce(r[3], e.facts), e.seen = r[4],
    e.revision = CASE WHEN r[10] THEN r[5] ELSE e.revision END, e.members = CASE WHEN r[10] THEN r[6] ELSE e.members END,
    e.alone = CASE WHEN r[10] THEN r[7] ELSE e.alone END
WITH e, r` + addKeys

	// addKeys makes e claim the ids in r[8], of which those with a mark also join it, and bear the weak keys in r[9].
	addKeys = `
FOREACH (c IN r[8] |
  MERGE (x:Entity {key: c[0]})
  CREATE (e)-[:CLAIMS]->(x)
  FOREACH (mark IN c[1] | CREATE (x)-[:SAME_AS]->(e)))
FOREACH (b IN r[9] |
  MERGE (w:WeakKey {key: b[0]})
  CREATE (e)-[:BEARS {rank: b[1]}]->(w))
RETURN collect([r[0], id(e)])`

	findHomes = `
UNWIND $in.rows AS r
MATCH (e:Entity {key: r[1]})
RETURN collect([r[0], id(e)])`
)

const setNodes = `
UNWIND $in.rows AS r
MATCH (e:Entity {key: r[0]})
SET e.revision = r[1], e.members = r[2], e.alone = r[3]
RETURN count(*)`

const leaveNode = `
UNWIND $in.rows AS k
MATCH (h:Entity {key: k})-[s:SAME_AS]->()
DELETE s
RETURN count(*)`

const joinNode = `
UNWIND $in.rows AS r
MATCH (h:Entity {key: r[0]})
MATCH (n:Entity {key: r[1]})
CREATE (h)-[:SAME_AS]->(n)
RETURN count(*)`

// homeRows are the rows of homes, each beginning with its place, and the homes.
type homeRows struct {
	rows []any
	ids  []graph.ID
}

func (h *homeRows) add(id graph.ID, row ...any) {
	h.rows, h.ids = append(h.rows, append([]any{len(h.ids)}, row...)), append(h.ids, id)
}

// writeIdentity writes homes, what they bear and claim, and which node they belong to.
func (t *tx) writeIdentity(ctx context.Context, w rules.Writes) error {
	nodes := make(map[graph.ID]rules.NodeWrite, len(w.Nodes))
	for _, n := range w.Nodes {
		nodes[n.ID] = n
	}
	leave, join := t.movesOf(w.Moves)
	if err := t.do(ctx, "entities that leave another", leaveNode, leave); err != nil {
		return err
	}
	if err := t.writeHomes(ctx, w.Atoms, nodes, join); err != nil {
		return err
	}
	if err := t.do(ctx, "entities that join another", joinNode, t.joinRows(join)); err != nil {
		return err
	}
	return t.do(ctx, "entities", setNodes, t.nodeRows(w.Nodes, nodes))
}

// writeHomes takes out of nodes and join what it writes with the homes.
func (t *tx) writeHomes(ctx context.Context, all []rules.AtomWrite, nodes map[graph.ID]rules.NodeWrite, join map[graph.ID]graph.ID) error {
	var create, change homeRows
	for _, a := range all {
		to := &change
		if fresh := a.Fresh || t.absent[a.ID]; fresh && len(all) <= chunk { // or an earlier chunk may have claimed it
			to = &create
		}
		node, isNode := nodes[a.ID]
		row, err := t.homeRow(a, node, isNode, join)
		if err != nil {
			return err
		}
		to.add(a.ID, row...)
		delete(nodes, a.ID)
		delete(t.absent, a.ID)
	}
	if err := t.place(ctx, createHomes, create); err != nil {
		return err
	}
	return t.place(ctx, changeHomes, change)
}

// place runs a statement that gives the database's ids of homes.
func (t *tx) place(ctx context.Context, cypher string, h homeRows) error {
	found := 0
	err := t.each(ctx, cypher, h.rows, nil, func(v []any) error {
		for _, x := range list(v[0]) {
			pair := list(x)
			t.places[h.ids[number(pair[0])]] = number(pair[1])
			found++
		}
		return nil
	})
	if err == nil && found != len(h.ids) {
		err = fmt.Errorf("%w: %d records of %d entities", errDamaged, found, len(h.ids))
	}
	return err
}

// placeEnds makes sure that the places of all ends of sightings are known: an entity of which nothing new was said
// was not written.
func (t *tx) placeEnds(ctx context.Context, all []rules.SightingWrite) error {
	var ask homeRows
	for _, s := range all {
		for _, id := range []graph.ID{s.From, s.To} {
			if _, known := t.places[id]; !known {
				t.places[id] = 0
				ask.add(id, t.key(id))
			}
		}
	}
	return t.place(ctx, findHomes, ask)
}

// homeRow is what createHomes and changeHomes take behind the place. Facts that read as before stay as they are.
func (t *tx) homeRow(a rules.AtomWrite, node rules.NodeWrite, isNode bool, join map[graph.ID]graph.ID) ([]any, error) {
	var facts any
	if a.New || !seenAgain(a.Was, a.Facts) {
		s, err := encodeFacts(a.Facts)
		if err != nil {
			return nil, fmt.Errorf("%w: entity %s: %v", graph.ErrInvalid, a.ID, err)
		}
		facts = s
	}
	n := nodeColumns(node)
	return []any{
		t.key(a.ID), labelOf(a.ID.Kind()), facts, seenOf(a.Facts), n[0], n[1], n[2], t.claims(a, join), t.weakKeys(a), isNode,
	}, nil
}

// claims are the ids that a home claims by its new keys, each with a mark where it also joins it, as most do; these
// are taken out of join.
func (t *tx) claims(a rules.AtomWrite, join map[graph.ID]graph.ID) []any {
	out := []any{}
	for _, id := range a.Claims() {
		mark := []any{}
		if join[id] == a.ID {
			mark = append(mark, true)
			delete(join, id)
		}
		out = append(out, []any{t.key(id), mark})
	}
	return out
}

// weakKeys are those of the home's new keys, with the rank of the home.
func (t *tx) weakKeys(a rules.AtomWrite) []any {
	out := []any{}
	for i, k := range a.Bears {
		if k.Strength() == graph.Weak {
			out = append(out, []any{t.key(a.KeyID(i)), a.Facts.Keys[0].Rank()})
		}
	}
	return out
}

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

// movesOf are the keys of the ids that leave their node, and the ids that join another one, by that.
func (t *tx) movesOf(all []rules.Move) (leave []any, join map[graph.ID]graph.ID) {
	join = make(map[graph.ID]graph.ID, len(all))
	for _, m := range all {
		if m.From != m.ID {
			leave = append(leave, t.key(m.ID))
		}
		if m.To != m.ID {
			join[m.ID] = m.To
		}
	}
	return leave, join
}

func (t *tx) joinRows(join map[graph.ID]graph.ID) (rows []any) {
	for id, node := range join {
		rows = append(rows, []any{t.key(id), t.key(node)})
	}
	return rows
}

// createSightings takes rows of sightingRow.
const createSightings = `
UNWIND $in.rows AS r
MATCH (f) WHERE id(f) = r[0]
MATCH (t) WHERE id(t) = r[1]
CREATE (f)-[:$(r[2]) {observation: r[3], firstSeen: r[4], lastSeen: r[5], endedAt: r[6], source: r[7], inferred: r[8]}]->(t)
RETURN count(*)`

// changeSightings names the type in the statement: of an end with very many edges only those of the type are read.
func changeSightings(kind graph.EdgeKind) string {
	return fmt.Sprintf(`
UNWIND $in.rows AS r
MATCH (f) WHERE id(f) = r[0]
MATCH (t) WHERE id(t) = r[1]
CALL {
  WITH f, t, r
  MATCH (f)-[s:%s]->(t)
  WHERE s.observation = r[3]
  RETURN collect(s) AS found
}
UNWIND found AS s
SET s = {observation: r[3], firstSeen: r[4], lastSeen: r[5], endedAt: r[6], source: r[7], inferred: r[8]}
RETURN count(*)`, typeOf(kind))
}

func removeEdges(kind graph.EdgeKind) string {
	return fmt.Sprintf(`
UNWIND $in.rows AS r
MATCH (f:Entity {key: r[0]})
MATCH (t:Entity {key: r[1]})
CALL {
  WITH f, t
  MATCH (f)-[s:%s]->(t)
  RETURN collect(s) AS found
}
UNWIND found AS s
DELETE s
RETURN count(DISTINCT r)`, typeOf(kind))
}

func (t *tx) removeExpired(ctx context.Context, all []rules.Ends) error {
	gone := map[graph.EdgeKind][]any{}
	for _, e := range all {
		gone[e.Kind] = append(gone[e.Kind], []any{t.key(e.From), t.key(e.To)})
	}
	return t.eachKind(ctx, gone, removeEdges)
}

// eachKind runs one statement for each kind of edge.
func (t *tx) eachKind(ctx context.Context, rows map[graph.EdgeKind][]any, cypher func(graph.EdgeKind) string) error {
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		if err := t.do(ctx, "edges "+typeOf(kind), cypher(kind), rows[kind]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeSightings(ctx context.Context, w rules.Writes) error {
	if err := t.removeExpired(ctx, w.Expired); err != nil {
		return err
	}
	if err := t.placeEnds(ctx, w.Sightings); err != nil {
		return err
	}
	var added []any
	changed := map[graph.EdgeKind][]any{}
	for _, s := range w.Sightings {
		if s.New {
			added = append(added, t.sightingRow(s))
		} else {
			changed[s.Kind] = append(changed[s.Kind], t.sightingRow(s))
		}
	}
	if err := t.do(ctx, "ends of edges", createSightings, added); err != nil {
		return err
	}
	return t.eachKind(ctx, changed, changeSightings)
}

func (t *tx) sightingRow(w rules.SightingWrite) []any {
	s := w.Sighting
	row := []any{
		t.places[w.From], t.places[w.To], typeOf(w.Kind), observationText(s.Observation),
		micros(s.FirstSeen), micros(s.LastSeen), micros(s.EndedAt), nil, nil,
	}
	if s.Source != "" {
		row[7] = s.Source
	}
	if s.Inferred {
		row[8] = true
	}
	return row
}

const putDocuments = `
UNWIND $in.rows AS r
MERGE (d:Document {key: r[0]})
SET d.tenant = $tenant, d.collection = r[1], d.name = r[2], d.revision = r[3], d.value = r[4]
RETURN count(*)`

const deleteDocuments = `UNWIND $in.rows AS k MATCH (d:Document {key: k}) DELETE d RETURN count(*)`

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
	if err := t.do(ctx, "documents", putDocuments, put); err != nil {
		return err
	}
	return t.do(ctx, "documents to delete", deleteDocuments, gone)
}
