package embedded

import (
	"bytes"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// edgeReader reads edges within one call. It keeps one iterator over the sightings and the ids it resolved.
type edgeReader struct {
	view
	it    *pebble.Iterator
	nodes map[graph.ID]graph.ID
	homes map[graph.ID][]graph.ID // see atoms
}

func (v view) edgeReader() (*edgeReader, error) {
	s := under(v.keys.of(tableEdge))
	it, err := v.rows.NewIter(&pebble.IterOptions{LowerBound: s.lower, UpperBound: s.upper})
	return &edgeReader{v, it, map[graph.ID]graph.ID{}, map[graph.ID][]graph.ID{}}, err
}

func (r *edgeReader) close() error { return r.it.Close() }

// nodeOf is canonical, remembered.
func (r *edgeReader) nodeOf(id graph.ID) (graph.ID, error) {
	if c, ok := r.nodes[id]; ok {
		return c, nil
	}
	c, err := r.canonical(id)
	r.nodes[id] = c
	return c, err
}

// sightings calls found for all under the prefix, which is that of a key of tableEdge.
func (r *edgeReader) sightings(prefix []byte, found func(at rules.Ends, s graph.Sighting) error) error {
	n := 0
	for ok := r.it.SeekGE(prefix); ok && bytes.HasPrefix(r.it.Key(), prefix); ok = r.it.Next() {
		if n++; n%256 == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		value, err := r.it.ValueAndErr()
		if err != nil {
			return err
		}
		key := r.keys.rest(r.it.Key())
		s, err := decodeSighting(readID(key[33:]), value)
		if err == nil {
			err = found(rules.Ends{From: readID(key), Kind: graph.EdgeKind(key[16]), To: readID(key[17:])}, s)
		}
		if err != nil {
			return err
		}
	}
	return r.it.Error()
}

// edges implements graph.Reader's Edges; it gives false where the caller wants no more.
func (v view) edges(q graph.EdgeQuery, yield func(graph.Edge, error) bool) (err error) {
	r, err := v.edgeReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if q.Direction == 0 {
		q.Direction = graph.Both
	}
	if q.Keys != nil {
		return r.byKeys(q, yield)
	}
	if q.Nodes == nil {
		return r.all(q, yield)
	}
	nodes, err := v.canonicals(q.Nodes)
	if err != nil {
		return err
	}
	same := rules.NewSameness(v)
	for _, id := range nodes {
		out, err := r.at(id, q, same)
		if err != nil {
			return err
		}
		for _, e := range out {
			if !yield(e, nil) {
				return nil
			}
		}
	}
	return nil
}

// all yields the observed edges node by node.
func (r *edgeReader) all(q graph.EdgeQuery, yield func(graph.Edge, error) bool) error {
	q.Direction = graph.Out
	return r.scan(under(r.keys.of(tableHome)), func(key, value []byte) (bool, error) {
		id := readID(key)
		h, observed, _, err := decodeHead(id, value)
		if err != nil || !observed || h.Node != id {
			return false, err
		}
		atoms, err := r.withMembers(h)
		if err != nil {
			return false, err
		}
		out, err := r.observed(atoms, q)
		for _, e := range out {
			if !yield(e, nil) {
				return true, err
			}
		}
		return false, err
	})
}

// byKeys yields single edges.
func (r *edgeReader) byKeys(q graph.EdgeQuery, yield func(graph.Edge, error) bool) error {
	for _, k := range slices.Compact(slices.SortedFunc(slices.Values(q.Keys), graph.EdgeKey.Compare)) {
		from, err1 := r.atoms(k.From)
		to, err2 := r.atoms(k.To)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		var all []graph.Sighting
		for _, f := range from {
			for _, t := range to {
				add := func(_ rules.Ends, s graph.Sighting) error { all = append(all, s); return nil }
				if err := r.sightings(r.keys.edge(f, k.Kind, t), add); err != nil {
					return err
				}
			}
		}
		if e, ok := q.Join(k.Kind, k.From, k.To, all); ok && k.From != k.To && !yield(e, nil) {
			return nil
		}
	}
	return nil
}

// atoms are the ids under which a node was observed, remembered; none for an id that is not canonical.
func (r *edgeReader) atoms(id graph.ID) ([]graph.ID, error) {
	if all, ok := r.homes[id]; ok {
		return all, nil
	}
	h, observed, err := r.head(id)
	var all []graph.ID
	if err == nil && observed && h.Node == id {
		all, err = r.withMembers(h)
	}
	r.homes[id] = all
	return all, err
}

// withMembers are the ids of a node.
func (r *edgeReader) withMembers(node rules.Home) (all []graph.ID, err error) {
	if node.Members > 0 {
		all, err = r.members(node.Node)
	}
	return append(all, node.Node), err
}

// at lists the edges at one node, those that are derived included.
func (r *edgeReader) at(id graph.ID, q graph.EdgeQuery, same rules.Sameness) ([]graph.Edge, error) {
	atoms, err := r.atoms(id)
	if err != nil || atoms == nil {
		return nil, err
	}
	out, err := r.observed(atoms, q)
	if err != nil || (q.Kinds != nil && !slices.Contains(q.Kinds, graph.EdgePossiblySame)) {
		return out, err
	}
	derived, err := same.Edges(id, q.Direction)
	return append(out, derived...), err
}

// observed joins the sightings at all ids of a node, in order.
func (r *edgeReader) observed(atoms []graph.ID, q graph.EdgeQuery) ([]graph.Edge, error) {
	groups := map[rules.Ends][]graph.Sighting{}
	add := func(at rules.Ends, s graph.Sighting) error { return r.group(groups, at, s) }
	for _, atom := range atoms {
		if q.Direction&graph.Out != 0 {
			if err := r.outgoing(atom, q.Kinds, add); err != nil {
				return nil, err
			}
		}
		if q.Direction&graph.In != 0 {
			if err := r.incoming(atom, q.Kinds, add); err != nil {
				return nil, err
			}
		}
	}
	var out []graph.Edge
	for _, k := range slices.SortedFunc(maps.Keys(groups), rules.Ends.Compare) {
		if e, ok := q.Join(k.Kind, k.From, k.To, groups[k]); ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// group puts a sighting under its nodes. What joining made an edge from a node to itself is not shown.
func (r *edgeReader) group(groups map[rules.Ends][]graph.Sighting, at rules.Ends, s graph.Sighting) (err error) {
	if at.From, err = r.nodeOf(at.From); err != nil {
		return err
	}
	if at.To, err = r.nodeOf(at.To); err != nil {
		return err
	}
	if at.From != at.To {
		groups[at] = append(groups[at], s)
	}
	return nil
}

func (r *edgeReader) outgoing(from graph.ID, kinds []graph.EdgeKind, found func(rules.Ends, graph.Sighting) error) error {
	if kinds == nil {
		return r.sightings(r.keys.of(tableEdge, from[:]), found)
	}
	for _, k := range sortedKinds(kinds) {
		if err := r.sightings(r.keys.of(tableEdge, from[:], []byte{byte(k)}), found); err != nil {
			return err
		}
	}
	return nil
}

func (r *edgeReader) incoming(to graph.ID, kinds []graph.EdgeKind, found func(rules.Ends, graph.Sighting) error) error {
	each := func(key, _ []byte) (bool, error) {
		from, kind := readID(key[17:]), graph.EdgeKind(key[16])
		return false, r.sightings(r.keys.edge(from, kind, to), found)
	}
	if kinds == nil {
		return r.scan(under(r.keys.of(tableReverse, to[:])), each)
	}
	for _, k := range sortedKinds(kinds) {
		if err := r.scan(under(r.keys.of(tableReverse, to[:], []byte{byte(k)})), each); err != nil {
			return err
		}
	}
	return nil
}

// sortedKinds lists each kind once, so that no sighting counts twice.
func sortedKinds(kinds []graph.EdgeKind) []graph.EdgeKind {
	return slices.Compact(slices.Sorted(slices.Values(kinds)))
}
