package neo4j

import (
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// shownNode is what nodeOf reads of n.
const shownNode = `n.key, n.revision, n.facts, n.seen, CASE WHEN n.members > 0 THEN [(m)-[:SAME_AS]->(n) | [m.key, m.facts, m.seen]] ELSE [] END`

var readNodes = inRows(nodesOfKeys, "", shownNode)

// nodesInRow is the number of nodes that a row of inRows tells of.
const nodesInRow = 25

// inRows gives the columns of nodes n, and of what more makes of each, as lists, many in a row: a row costs server and
// driver more than what one node has in it. See reader.rows.
func inRows(nodes, more, columns string) string {
	return fmt.Sprintf(`%s
WITH collect(n) AS found
UNWIND range(0, size(found) - 1, %d) AS first
CALL {
  WITH found, first
  UNWIND found[first..first + %[2]d] AS n
  %[3]s
  RETURN collect([%[4]s]) AS row
}
RETURN row`, nodes, nodesInRow, more, columns)
}

// rows calls each for the lists that a statement of inRows gives.
func (r *reader) rows(cypher string, params map[string]any, each func(columns []any) error) error {
	found, err := r.run.query(r.ctx, cypher, params)
	if err != nil {
		return err
	}
	for _, rec := range found {
		for _, columns := range list(rec.Values[0]) {
			if err := each(list(columns)); err != nil {
				return err
			}
		}
	}
	return nil
}

// scanNodes reads ranges of keys in order.
const scanNodes = `
UNWIND $ranges AS g
CALL {
  WITH g
  MATCH (n:Entity)
  WHERE n.key > g[0] AND n.key < g[1] AND n.revision IS NOT NULL
  RETURN n
  ORDER BY n.key
  LIMIT $limit
}
WITH n
ORDER BY n.key
LIMIT $limit
RETURN ` + shownNode + `
ORDER BY n.key`

// nodeOf reads a node without what it may be the same as.
func nodeOf(v []any) (e graph.Entity, err error) {
	if e.ID, err = idOfKey(v[0]); err != nil {
		return e, err
	}
	e.Revision = graph.Revision(number(v[1]))
	if e.Facts, err = decodeFacts(e.ID, v[2], v[3]); err != nil {
		return e, err
	}
	return e, unite(&e, list(v[4]))
}

// unite adds the members and what they know.
func unite(e *graph.Entity, members []any) error {
	for _, m := range members {
		member := list(m)
		id, err := idOfKey(member[0])
		if err != nil {
			return err
		}
		e.Members = append(e.Members, id)
		f, err := decodeFacts(id, member[1], member[2])
		if err != nil {
			return err
		}
		if len(f.Keys) > 0 {
			e.Facts = e.Facts.Merge(f)
		}
	}
	slices.SortFunc(e.Members, graph.ID.Compare)
	return nil
}

// entities implements graph.Reader's Entities.
func (r *reader) entities(q graph.EntityQuery) ([]graph.Entity, error) {
	read := r.scan
	if q.IDs != nil {
		read = func(q graph.EntityQuery) ([]graph.Entity, error) { return r.nodes(q.IDs) }
	}
	out, err := read(q)
	if err != nil {
		return nil, err
	}
	known := newNodes(r)
	for _, e := range out {
		known.entities[e.ID] = e
	}
	return out, known.complete(len(out), func(i int, same rules.Sameness) (err error) {
		out[i].PossiblySameAs, out[i].SameAs, err = same.Of(out[i])
		return err
	})
}

// nodes reads the nodes that ids belong to; the zero Entity for one that is unknown.
func (r *reader) nodes(ids []graph.ID) ([]graph.Entity, error) {
	found := make(map[graph.ID]graph.Entity, len(ids))
	take := func(columns []any) error {
		e, err := nodeOf(columns)
		for _, id := range append(e.Members, e.ID) {
			found[id] = e
		}
		return err
	}
	for part := range slices.Chunk(r.idKeys(ids), chunk) {
		if err := r.rows(readNodes, rowsIn(part), take); err != nil {
			return nil, err
		}
	}
	out := make([]graph.Entity, len(ids))
	for i, id := range ids {
		out[i] = found[id]
	}
	return out, nil
}

// scan reads nodes in order.
func (r *reader) scan(q graph.EntityQuery) (out []graph.Entity, err error) {
	ranges := r.ranges(q)
	if len(ranges) == 0 {
		return nil, nil
	}
	found, err := r.run.query(r.ctx, scanNodes, map[string]any{"ranges": ranges, "limit": graph.PageLimit(q.Limit)})
	if err != nil {
		return nil, err
	}
	for _, rec := range found {
		e, err := nodeOf(rec.Values)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// ranges are the open ranges of keys that a scan goes through: ids begin with their kind.
func (r *reader) ranges(q graph.EntityQuery) (out []any) {
	after := r.key(q.After)
	if q.Kinds == nil {
		return append(out, []any{after, tk(r.tenant, "g")})
	}
	for _, k := range slices.Compact(slices.Sorted(slices.Values(q.Kinds))) {
		lower, upper := tk(r.tenant, fmt.Sprintf("%02x", uint8(k))), tk(r.tenant, fmt.Sprintf("%02xg", uint8(k)))
		if lower = max(lower, after); lower < upper {
			out = append(out, []any{lower, upper})
		}
	}
	return out
}

// A weak key's own nodes, and those of a strong key's claimants beside its own.
const (
	readBearing = `
UNWIND $in.rows AS q
MATCH (w:WeakKey {key: q[1]})
MATCH (h)-[:BEARS]->(w)
OPTIONAL MATCH (h)-[:SAME_AS]->(c)
WITH DISTINCT q[0] AS at, coalesce(c.key, h.key) AS key
ORDER BY at, key
WITH at, collect(key) AS keys
RETURN at, keys[..$most]`

	readClaiming = `
UNWIND $in.rows AS q
MATCH (e:Entity {key: q[1]})
OPTIONAL MATCH (b)-[:CLAIMS]->(e)
WITH q, e, collect(b) AS claimants
UNWIND claimants + CASE WHEN e.facts IS NULL THEN [] ELSE [e] END AS h
OPTIONAL MATCH (h)-[:SAME_AS]->(c)
WITH DISTINCT q[0] AS at, coalesce(c.key, h.key) AS key
ORDER BY at, key
WITH at, collect(key) AS keys
RETURN at, keys[..$most]`
)

// lookup implements graph.Reader's Lookup.
func (r *reader) lookup(keys []graph.Key) ([][]graph.ID, error) {
	asked := map[graph.Strength][]any{}
	for i, k := range keys {
		asked[k.Strength()] = append(asked[k.Strength()], []any{i, r.key(k.ID())})
	}
	out := make([][]graph.ID, len(keys))
	for strength, cypher := range map[graph.Strength]string{graph.Weak: readBearing, graph.Strong: readClaiming} {
		err := r.each(r.ctx, cypher, asked[strength], map[string]any{"most": graph.MaxLookup}, func(v []any) (err error) {
			out[number(v[0])], err = idsOfKeys(v[1])
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
