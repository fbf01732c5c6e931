package embedded

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// maxBearers bounds the atoms that are looked at for one weak key, strongest homes first: a name that more
// bear suggests nothing worth the work.
const maxBearers = 1000

// fewBearers usually show already that a weak key leads to several nodes.
const fewBearers = 8

// entities implements graph.Reader's Entities.
func (v view) entities(q graph.EntityQuery) ([]graph.Entity, error) {
	if q.IDs != nil {
		return v.entitiesByID(q.IDs)
	}
	s := under(v.keys.of(tableNode))
	if !q.After.IsZero() {
		s.lower = next(v.keys.of(tableNode, q.After[:]))
	}
	ids, limit := []graph.ID{}, graph.PageLimit(q.Limit)
	err := v.scan(s, func(key, _ []byte) (bool, error) {
		if id := readID(key); q.Kinds == nil || slices.Contains(q.Kinds, id.Kind()) {
			ids = append(ids, id)
		}
		return len(ids) == limit, nil
	})
	if err != nil {
		return nil, err
	}
	return v.entitiesByID(ids)
}

func (v view) entitiesByID(ids []graph.ID) ([]graph.Entity, error) {
	out, same := make([]graph.Entity, len(ids)), v.sameness()
	for i, id := range ids {
		if err := v.ctx.Err(); err != nil {
			return nil, err
		}
		c, err := v.canonical(id)
		if err == nil {
			out[i], _, err = v.entity(c)
		}
		if err == nil {
			out[i].PossiblySameAs, out[i].SameAs, err = same.of(out[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// entity reads a node without what it may be the same as; its ID is zero where id is no node.
func (v view) entity(id graph.ID) (e graph.Entity, ok bool, err error) {
	row, ok, err := v.node(id)
	if err != nil || !ok {
		return e, false, err
	}
	e.ID, e.Revision = id, row.Revision
	if e.Facts, _, err = v.atom(id); err != nil || row.Members == 0 {
		return e, true, err
	}
	if e.Members, err = v.members(id); err != nil {
		return e, true, err
	}
	for _, m := range e.Members {
		f, observed, err := v.atom(m)
		if err != nil {
			return e, true, err
		}
		if observed {
			e.Facts = e.Facts.Merge(f)
		}
	}
	return e, true, nil
}

// lookup implements graph.Reader's Lookup.
func (v view) lookup(queries []graph.Key) ([][]graph.ID, error) {
	out := make([][]graph.ID, len(queries))
	for i, k := range queries {
		found, err := v.bearing(k)
		if err != nil {
			return nil, err
		}
		out[i] = found[:min(len(found), graph.MaxLookup)]
	}
	return out, nil
}

// bearing lists the nodes that bear the key: of a strong one its own node and those that claim it.
func (v view) bearing(k graph.Key) ([]graph.ID, error) {
	id := k.ID()
	if k.Strength() == graph.Weak {
		atoms, err := v.ids(under(v.keys.of(tableWeak, id[:])))
		if err != nil {
			return nil, err
		}
		return v.canonicals(atoms)
	}
	claimants, err := v.claimants(id)
	if err != nil {
		return nil, err
	}
	if observed, err := v.has(v.keys.of(tableAtom, id[:])); err != nil {
		return nil, err
	} else if observed {
		claimants = append(claimants, id)
	}
	return v.canonicals(claimants)
}

// sameness works out what weak-only nodes may be the same as, each node once.
type sameness struct {
	view
	known map[graph.ID]graph.ID
}

func (v view) sameness() sameness { return sameness{v, map[graph.ID]graph.ID{}} }

// of answers for a node; nothing for one that has a strong key.
func (s sameness) of(e graph.Entity) (possibly []graph.ID, sole graph.ID, err error) {
	possibly, sole, err = s.among(e, maxBearers)
	return possibly[:min(len(possibly), graph.MaxPossiblySame)], sole, err
}

// among looks at no more than limit bearers of each key.
func (s sameness) among(e graph.Entity, limit int) (possibly []graph.ID, sole graph.ID, err error) {
	if e.ID.IsZero() || !e.WeakOnly() {
		return nil, graph.ID{}, nil
	}
	rows, rank := graph.KeyTable(e.Kind()), e.Keys[0].Rank()
	bearers, err := s.bearers(e.Keys, 0, rank, limit)
	if err != nil {
		return nil, graph.ID{}, err
	}
	possibly, sole, err = graph.SameAs(rank, bearers, func(b graph.Bearer) (graph.ID, error) {
		if rows[b.Rank].Strength == graph.Strong {
			return b.Node, nil
		}
		return s.follow(b.Node)
	})
	if sole.IsZero() && len(possibly) > 0 || limit == maxBearers || len(bearers) < limit {
		s.known[e.ID] = sole // more bearers would not change it
	}
	return possibly, sole, err
}

// sole is the one node that a weak-only node is followed to; zero for none.
func (s sameness) sole(id graph.ID) (sole graph.ID, err error) {
	if sole, ok := s.known[id]; ok {
		return sole, nil
	}
	e, ok, err := s.entity(id)
	if err != nil || !ok || !e.WeakOnly() {
		return graph.ID{}, err
	}
	if _, _, err := s.among(e, fewBearers); err != nil {
		return graph.ID{}, err
	}
	if sole, ok := s.known[id]; ok {
		return sole, nil
	}
	_, sole, err = s.among(e, maxBearers)
	return sole, err
}

func (s sameness) follow(id graph.ID) (graph.ID, error) {
	sole, err := s.sole(id)
	if sole.IsZero() {
		sole = id
	}
	return sole, err
}

// bearers lists, as nodes, the atoms whose home has a rank from least to before most and that bear any of
// the weak keys, at most limit of each key.
func (v view) bearers(all []graph.Key, least, most, limit int) ([]graph.Bearer, error) {
	var out []graph.Bearer
	for _, k := range all {
		if k.Strength() == graph.Strong {
			continue
		}
		n, id := 0, k.ID()
		s := span{lower: v.keys.of(tableWeak, id[:], []byte{byte(least)}), upper: v.keys.of(tableWeak, id[:], []byte{byte(most)})}
		err := v.scan(s, func(key, _ []byte) (bool, error) {
			node, err := v.canonical(readID(key[17:]))
			out, n = append(out, graph.Bearer{Node: node, Rank: int(key[16])}), n+1
			return n == limit, err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// weaker lists the weak-only nodes with homes weaker than the given node's that bear one of the weak keys.
func (v view) weaker(kind graph.Kind, all []graph.Key, homeRank int) ([]graph.ID, error) {
	rows := graph.KeyTable(kind)
	firstWeak := slices.IndexFunc(rows, func(r graph.KeyRow) bool { return r.Strength == graph.Weak })
	if firstWeak < 0 {
		return nil, nil
	}
	bearers, err := v.bearers(all, max(firstWeak, homeRank+1), len(rows), maxBearers)
	out := make([]graph.ID, 0, len(bearers))
	for _, b := range bearers {
		out = append(out, b.Node)
	}
	slices.SortFunc(out, graph.ID.Compare)
	return slices.Compact(out), err
}

// followers lists the weak-only nodes that are followed to e, in order. The way may lead over another weak-only node,
// so each one found is asked for its own.
func (s sameness) followers(e graph.Entity) ([]graph.ID, error) {
	if own, err := s.sole(e.ID); err != nil || !own.IsZero() {
		return nil, err
	}
	found := map[graph.ID]bool{}
	for queue := []graph.Entity{e}; len(queue) > 0; queue = queue[1:] {
		candidates, err := s.weaker(e.Kind(), queue[0].Keys, queue[0].Keys[0].Rank())
		if err != nil {
			return nil, err
		}
		for _, id := range candidates {
			if sole, err := s.sole(id); err != nil {
				return nil, err
			} else if sole != e.ID || found[id] {
				continue
			}
			found[id] = true
			w, _, err := s.entity(id)
			if err != nil {
				return nil, err
			}
			queue = append(queue, w)
		}
	}
	return sortedIDs(found), nil
}

func sortedIDs(set map[graph.ID]bool) []graph.ID {
	out := make([]graph.ID, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	slices.SortFunc(out, graph.ID.Compare)
	return out
}
