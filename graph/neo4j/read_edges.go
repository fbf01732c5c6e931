package neo4j

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

const (
	// edgeChunk bounds the nodes whose edges one statement reads.
	edgeChunk = graph.SnapshotNodes
	// edgePage is the number of nodes that a scan of all edges takes at a time.
	edgePage = 2000
	// edgeHub is the number of relationships from which on a home's sightings are rows of their own: the server makes a
	// row whole in memory before it sends it.
	edgeHub = 1000
)

// Where the nodes n come from: those that ids belong to, or the next ones in order, see pageBehind.
var (
	nodesOfKeys = `
UNWIND $in.rows AS k
MATCH (x:Entity {key: k})
OPTIONAL MATCH (x)-[:SAME_AS]->(c)
WITH DISTINCT coalesce(c, x) AS n
WHERE n.revision IS NOT NULL`

	nodesInOrder = nextOf("Entity", "n.revision IS NOT NULL")
)

// nextOf finds the next n of a label in order of their keys, of which something holds; its parameters are those of pageBehind.
func nextOf(label, holds string) string {
	return fmt.Sprintf(`
MATCH (n:%s)
WHERE n.key > $after AND n.key < $end AND %s
WITH n
ORDER BY n.key
LIMIT $limit`, label, holds)
}

// pageBehind is what comes behind a key of the tenant; the empty one is before all.
func pageBehind(tenant graph.TenantID, after string, limit int) map[string]any {
	return map[string]any{"after": max(after, tk(tenant, "")), "end": tk(tenant, "g"), "limit": limit} // "g" follows the digits
}

// sightingsAt gives for each home of nodes n its node's key, its own and a list of sightings, null for a hub: see
// sightingsOfHubs.
func sightingsAt(nodes string, types []string, d graph.Direction) string {
	homes := `UNWIND CASE WHEN n.members > 0 THEN [n] + [(m)-[:SAME_AS]->(n) | m] ELSE [n] END AS h`
	return inRows(nodes, homes, fmt.Sprintf(`n.key, h.key, CASE WHEN COUNT { (h)--() } < %d THEN [%s | %s] END`,
		edgeHub, sightingPattern(types, d), sightingColumns))
}

// sightingsOfHubs takes pairs of a node's key and a home's, and gives for each sighting the node's key with it.
func sightingsOfHubs(types []string, d graph.Direction) string {
	return fmt.Sprintf(`
UNWIND $in.rows AS r
MATCH (h:Entity {key: r[1]})
MATCH %s
RETURN r[0], %s`, sightingPattern(types, d), sightingColumns)
}

// sightingPattern finds the sightings s at home h.
func sightingPattern(types []string, d graph.Direction) string {
	left, right := "-", "->"
	switch d {
	case graph.In:
		left, right = "<-", "-"
	case graph.Both:
		right = "-"
	}
	return fmt.Sprintf("(h)%s[s:%s]%s(o)", left, strings.Join(types, "|"), right)
}

// sightingColumns are what group reads of s. The home o at the other end is shown as the node that it belongs to.
const sightingColumns = `[
    CASE WHEN o.revision IS NULL THEN coalesce([(o)-[:SAME_AS]->(p) | p.key][0], o.key) ELSE o.key END, type(s), startNode(s) = h,
    s.observation, s.firstSeen, s.lastSeen, s.endedAt, s.source, s.inferred]`

// typesOf are the relationship types of the kinds, all where nil, each once; derived kinds have none.
func typesOf(kinds []graph.EdgeKind) (out []string) {
	if kinds == nil {
		return sightingTypes()
	}
	for _, k := range kinds {
		if t := typeOf(k); t != "" && k.Tense() != graph.Derived {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// edgesOf finds single edges among those that lead from where they do.
func (r *reader) edgesOf(q graph.EdgeQuery) ([]graph.Edge, error) {
	wanted := make(map[graph.EdgeKey]bool, len(q.Keys))
	at := graph.EdgeQuery{Nodes: []graph.ID{}, Direction: graph.Out, Kinds: []graph.EdgeKind{}, AsOf: q.AsOf, Sightings: q.Sightings}
	for _, k := range q.Keys {
		if wanted[k] = true; k.Kind.Tense() != graph.Derived {
			at.Nodes, at.Kinds = append(at.Nodes, k.From), append(at.Kinds, k.Kind)
		}
	}
	out, err := r.edges(at)
	return slices.DeleteFunc(out, func(e graph.Edge) bool {
		k := e.Key()
		drop := !wanted[k]
		delete(wanted, k) // each once
		return drop
	}), err
}

// edges implements graph.Reader's Edges for given nodes.
func (r *reader) edges(q graph.EdgeQuery) (out []graph.Edge, err error) {
	if q.Keys != nil {
		return r.edgesOf(q)
	}
	if q.Direction == 0 {
		q.Direction = graph.Both
	}
	if types := typesOf(q.Kinds); len(types) > 0 {
		for part := range slices.Chunk(r.idKeys(q.Nodes), edgeChunk) {
			found, err := r.joined(nodesOfKeys, rowsIn(part), types, q)
			if err != nil {
				return nil, err
			}
			out = append(out, found.edges...)
		}
	}
	if q.Kinds != nil && !slices.Contains(q.Kinds, graph.EdgePossiblySame) {
		return out, nil
	}
	derived, err := r.derived(q)
	return append(out, derived...), err
}

// derived lists the possiblySameAs edges at the nodes that are followed.
func (r *reader) derived(q graph.EdgeQuery) (out []graph.Edge, err error) {
	found, err := r.nodes(q.Nodes)
	if err != nil {
		return nil, err
	}
	known := newNodes(r)
	for _, e := range found {
		if !e.ID.IsZero() {
			known.entities[e.ID] = e
		}
	}
	ids := slices.SortedFunc(maps.Keys(known.entities), graph.ID.Compare)
	edges := make([][]graph.Edge, len(ids))
	err = known.complete(len(ids), func(i int, same rules.Sameness) (err error) {
		edges[i], err = same.Edges(ids[i], q.Direction)
		return err
	})
	return slices.Concat(edges...), err
}

// allEdges yields the observed edges node by node. Each page is an answer that ask gets.
func allEdges(ask func(answer func(*reader) error) error, q graph.EdgeQuery, yield func(graph.Edge, error) bool) error {
	for after := (graph.ID{}); ; {
		var found edgesFound
		err := ask(func(r *reader) (err error) { found, err = r.edgesBehind(after, q); return err })
		if err != nil || !yieldAll(found.edges, yield) || found.nodes < edgePage {
			return err
		}
		after = found.last
	}
}

// edgesBehind reads a page of the observed edges, those of the nodes behind one.
func (r *reader) edgesBehind(after graph.ID, q graph.EdgeQuery) (edgesFound, error) {
	types := typesOf(q.Kinds)
	if len(types) == 0 {
		return edgesFound{}, r.ctx.Err()
	}
	q.Direction = graph.Out
	return r.joined(nodesInOrder, pageBehind(r.tenant, r.key(after), edgePage), types, q)
}

// edgesFound are the edges that one statement gave, in order of the nodes asked about.
type edgesFound struct {
	edges []graph.Edge
	// nodes is how many nodes were looked at, last the last of them.
	nodes int
	last  graph.ID
}

// sightings are those at nodes, by their ends.
type sightings map[graph.ID]map[rules.Ends][]graph.Sighting

// joined joins the sightings of these types at the nodes that a statement finds.
func (r *reader) joined(nodes string, params map[string]any, types []string, q graph.EdgeQuery) (out edgesFound, err error) {
	at := sightings{}
	if err := r.gather(at, nodes, params, types, q.Direction); err != nil {
		return out, err
	}
	for _, node := range slices.SortedFunc(maps.Keys(at), graph.ID.Compare) {
		out.nodes, out.last = out.nodes+1, node
		for _, k := range slices.SortedFunc(maps.Keys(at[node]), rules.Ends.Compare) {
			if e, ok := q.Join(k.Kind, k.From, k.To, at[node][k]); ok {
				out.edges = append(out.edges, e)
			}
		}
	}
	return out, nil
}

// gather reads the sightings of these types at the nodes that a statement finds.
func (r *reader) gather(at sightings, nodes string, params map[string]any, types []string, d graph.Direction) error {
	var hubs []any
	err := r.rows(sightingsAt(nodes, types, d), params, func(v []any) error {
		if v[2] == nil {
			hubs = append(hubs, v[:2])
		}
		return at.put(v[0], list(v[2]))
	})
	if err != nil || len(hubs) == 0 {
		return err
	}
	found, err := r.run.query(r.ctx, sightingsOfHubs(types, d), rowsIn(hubs))
	for _, rec := range found {
		err = errors.Join(err, at.put(rec.Values[0], rec.Values[1:]))
	}
	return err
}

// put takes in a node with some of its sightings.
func (at sightings) put(key any, all []any) error {
	node, err := idOfKey(key)
	if err != nil {
		return err
	}
	if at[node] == nil {
		at[node] = map[rules.Ends][]graph.Sighting{}
	}
	for _, s := range all {
		if err := group(at[node], node, list(s)); err != nil {
			return err
		}
	}
	return nil
}

// group puts a sighting at the node under its ends. What joining made an edge from a node to itself is not shown.
func group(at map[rules.Ends][]graph.Sighting, node graph.ID, v []any) error {
	other, err := idOfKey(v[0])
	if err != nil || other == node {
		return err
	}
	s := graph.Sighting{
		FirstSeen: timeOf(v[4]), LastSeen: timeOf(v[5]), EndedAt: timeOf(v[6]), Source: text(v[7]), Inferred: truth(v[8]),
	}
	if s.Observation, err = observationOf(v[3]); err != nil {
		return err
	}
	ends := rules.Ends{From: node, Kind: kindOfType(text(v[1])), To: other}
	if !truth(v[2]) {
		ends.From, ends.To = other, node
	}
	at[ends] = append(at[ends], s)
	return nil
}
