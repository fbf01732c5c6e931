package embedded

import (
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// entities implements graph.Reader's Entities.
func (v view) entities(q graph.EntityQuery) ([]graph.Entity, error) {
	if q.IDs != nil {
		return v.entitiesByID(q.IDs)
	}
	s := under(v.keys.of(tableHome))
	if !q.After.IsZero() {
		s.lower = next(v.keys.of(tableHome, q.After[:]))
	}
	ids, limit := []graph.ID{}, graph.PageLimit(q.Limit)
	err := v.scan(s, func(key, value []byte) (bool, error) {
		id := readID(key)
		if q.Kinds != nil && !slices.Contains(q.Kinds, id.Kind()) {
			return false, nil
		}
		h, observed, _, err := decodeHead(id, value)
		if observed && h.Node == id {
			ids = append(ids, id)
		}
		return len(ids) == limit, err
	})
	if err != nil {
		return nil, err
	}
	return v.entitiesByID(ids)
}

func (v view) entitiesByID(ids []graph.ID) ([]graph.Entity, error) {
	out, same := make([]graph.Entity, len(ids)), rules.NewSameness(v)
	for i, id := range ids {
		if err := v.ctx.Err(); err != nil {
			return nil, err
		}
		c, err := v.canonical(id)
		if err == nil {
			out[i], _, err = v.Entity(c)
		}
		if err == nil {
			out[i].PossiblySameAs, out[i].SameAs, err = same.Of(out[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Entity implements rules.Nodes.
func (v view) Entity(id graph.ID) (e graph.Entity, ok bool, err error) {
	h, err := v.home(id)
	if err != nil || !h.Observed() || h.Node != id {
		return e, false, err
	}
	e.ID, e.Revision, e.Facts = id, h.Revision, h.Facts
	if h.Members == 0 {
		return e, true, nil
	}
	if e.Members, err = v.members(id); err != nil {
		return e, true, err
	}
	for _, m := range e.Members {
		other, err := v.home(m)
		if err != nil {
			return e, true, err
		}
		if other.Observed() {
			e.Facts = e.Facts.Merge(other.Facts)
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
	if _, observed, err := v.head(id); err != nil {
		return nil, err
	} else if observed {
		claimants = append(claimants, id)
	}
	return v.canonicals(claimants)
}
