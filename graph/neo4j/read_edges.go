package neo4j

import (
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
)

// Where the nodes n come from: those that ids belong to, or the next ones in order.
const (
	nodesOfKeys = `
UNWIND $in.rows AS k
MATCH (x:Entity {key: k})
OPTIONAL MATCH (x)-[:SAME_AS]->(c)
WITH DISTINCT coalesce(c, x) AS n
WHERE n.revision IS NOT NULL`

	nodesInOrder = `
MATCH (n:Entity)
WHERE n.key > $after AND n.key < $end AND n.revision IS NOT NULL
WITH n
ORDER BY n.key
LIMIT $limit`
)

// sightingsAt reads the sightings at all homes of nodes n; a node without any gives one row of nulls. The
// homes at the other ends are shown as the nodes they belong to.
func sightingsAt(nodes string, types []string, d graph.Direction) string {
	left, right := "-", "->"
	switch d {
	case graph.In:
		left, right = "<-", "-"
	case graph.Both:
		right = "-"
	}
	return fmt.Sprintf(`%s
CALL {
  WITH n
  RETURN n AS h
  UNION ALL
  WITH n
  MATCH (h)-[:SAME_AS]->(n)
  RETURN h
}
OPTIONAL MATCH (h)%s[s:%s]%s(o)
OPTIONAL MATCH (o)-[:SAME_AS]->(p)
RETURN n.key, coalesce(p.key, o.key), type(s), startNode(s) = h, s.observation, s.firstSeen, s.lastSeen, s.endedAt, s.source, s.inferred`,
		nodes, left, strings.Join(types, "|"), right)
}

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

// edges implements graph.Reader's Edges for given nodes.
func (r *reader) edges(q graph.EdgeQuery) (out []graph.Edge, err error) {
	if q.Direction == 0 {
		q.Direction = graph.Both
	}
	if types := typesOf(q.Kinds); len(types) > 0 {
		for part := range slices.Chunk(r.idKeys(q.Nodes), edgeChunk) {
			found, err := r.joined(sightingsAt(nodesOfKeys, types, q.Direction), rowsIn(part), q)
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
	params := map[string]any{"after": r.key(after), "end": tk(r.tenant, "g"), "limit": edgePage}
	return r.joined(sightingsAt(nodesInOrder, types, graph.Out), params, q)
}

// edgesFound are the edges that one statement gave, in order of the nodes asked about.
type edgesFound struct {
	edges []graph.Edge
	// nodes is how many nodes were looked at, last the last of them.
	nodes int
	last  graph.ID
}

// joined joins the sightings that a statement of sightingsAt gives.
func (r *reader) joined(cypher string, params map[string]any, q graph.EdgeQuery) (out edgesFound, err error) {
	at := map[graph.ID]map[rules.Ends][]graph.Sighting{}
	found, err := r.run.query(r.ctx, cypher, params)
	if err != nil {
		return out, err
	}
	for _, rec := range found {
		if err := group(at, rec.Values); err != nil {
			return out, err
		}
	}
	for _, node := range slices.SortedFunc(maps.Keys(at), graph.ID.Compare) {
		out.nodes, out.last = out.nodes+1, node
		for _, k := range slices.SortedFunc(maps.Keys(at[node]), rules.Ends.Compare) {
			if e, ok := graph.JoinSightings(k.Kind, k.From, k.To, at[node][k], q.AsOf); ok {
				out.edges = append(out.edges, e)
			}
		}
	}
	return out, nil
}

// group puts a sighting under the node asked about and its ends. What joining made an edge from a node to itself
// is not shown.
func group(at map[graph.ID]map[rules.Ends][]graph.Sighting, v []any) error {
	node, err := idOfKey(v[0])
	if err != nil {
		return err
	}
	if at[node] == nil {
		at[node] = map[rules.Ends][]graph.Sighting{}
	}
	other, err := idOfKey(v[1])
	if err != nil || other.IsZero() || other == node || v[4] == nil {
		return err
	}
	s := graph.Sighting{
		FirstSeen: timeOf(v[5]), LastSeen: timeOf(v[6]), EndedAt: timeOf(v[7]), Source: text(v[8]), Inferred: truth(v[9]),
	}
	if s.Observation, err = observationOf(v[4]); err != nil {
		return err
	}
	ends := rules.Ends{From: node, Kind: kindOfType(text(v[2])), To: other}
	if !truth(v[3]) {
		ends.From, ends.To = other, node
	}
	at[node][ends] = append(at[node][ends], s)
	return nil
}
