package rules

import (
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// observeEdges merges the sightings into their edges, each sighting read and written once.
func (c *commit) observeEdges(all []relation) error {
	stored, err := c.storedSightings(all)
	if err != nil {
		return err
	}
	c.out.Sightings = make([]SightingWrite, 0, len(all))
	unsure := map[Ends]bool{}
	for i, r := range all {
		known := stored[i].Edge || (i > 0 && all[i-1].Ends == r.Ends)
		if !known {
			c.row.Edges++
			c.receipt.NewEdges++
		}
		s := c.joinSightings(stored[i].Sighting, stored[i].Seen, r.said)
		if stored[i].Seen && s == stored[i].Sighting {
			continue
		}
		c.out.Sightings = append(c.out.Sightings, SightingWrite{r.SightingKey, s, !known, !stored[i].Seen})
		if err := c.touchEdge(r, !stored[i].Seen, unsure); err != nil {
			return err
		}
	}
	if err := c.keepSeen(); err != nil {
		return err
	}
	return c.compareEdges(unsure)
}

// storedSightings asks for those that can be there: an id that was never observed has no edge.
func (c *commit) storedSightings(all []relation) ([]Sighted, error) {
	out, ask, place := make([]Sighted, len(all)), make([]SightingKey, 0, len(all)), make([]int, 0, len(all))
	for i, r := range all {
		if !c.subjects[r.From].isNew() && !c.subjects[r.To].isNew() {
			ask, place = append(ask, r.SightingKey), append(place, i)
		}
	}
	if len(ask) == 0 {
		return out, nil
	}
	found, err := c.tx.Sightings(c.ctx, ask)
	if err != nil {
		return nil, err
	}
	for i, s := range found {
		out[place[i]] = s
	}
	return out, nil
}

// joinSightings joins what was said of one observation with what is stored of it, and counts what was known.
func (c *commit) joinSightings(s graph.Sighting, seen bool, said []graph.Sighting) graph.Sighting {
	for i, next := range said {
		if i == 0 && !seen {
			s = next
			continue
		}
		merged := s.Merge(next)
		if merged == s {
			c.receipt.KnownEdges++
		}
		s = merged
	}
	return s
}

// touchEdge notes that an edge changed as shown. A new observation between two nodes of one observed id each
// always shows; otherwise another sighting may say the same, and the edge is compared at the end.
func (c *commit) touchEdge(r relation, added bool, unsure map[Ends]bool) error {
	from, err1 := c.nodeOf(c.subjects[r.From])
	to, err2 := c.nodeOf(c.subjects[r.To])
	if err := errors.Join(err1, err2); err != nil || from == to {
		return err
	}
	if added && from.isSingle() && to.isSingle() {
		c.touch(from)
		c.touch(to)
		c.edges = append(c.edges, graph.EdgeKey{From: from.id, Kind: r.Kind, To: to.id})
	} else {
		unsure[Ends{from.id, r.Kind, to.id}] = true
	}
	return nil
}

// compareEdges touches the ends of those edges that show something else than before, now or as of an earlier instant:
// those with other sightings.
func (c *commit) compareEdges(unsure map[Ends]bool) error {
	for at := range unsure {
		before, err := distinct(at, c.base.membersOf, c.base.edge)
		if err != nil {
			return err
		}
		now, err := distinct(at, c.membersOf, c.edge)
		if err != nil {
			return err
		}
		if !slices.Equal(before, now) {
			if err := errors.Join(c.touchNode(at.From), c.touchNode(at.To)); err != nil {
				return err
			}
			c.edges = append(c.edges, graph.EdgeKey(at))
			c.keepWhole(at, now)
		}
	}
	return nil
}

// changedEdges are those that changed; nil where there may be others.
func (c *commit) changedEdges() []graph.EdgeKey {
	if c.scattered {
		return nil
	}
	slices.SortFunc(c.edges, graph.EdgeKey.Compare)
	return append([]graph.EdgeKey{}, slices.Compact(c.edges)...)
}

// distinct are the distinct sightings between all ids of two nodes.
func distinct(at Ends, members func(graph.ID) ([]graph.ID, error), sightings func(Ends) ([]graph.Sighting, error)) ([]graph.Sighting, error) {
	from, err1 := members(at.From)
	to, err2 := members(at.To)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var all []graph.Sighting
	for _, f := range append(slices.Clone(from), at.From) {
		for _, t := range append(slices.Clone(to), at.To) {
			some, err := sightings(Ends{f, at.Kind, t})
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	return graph.DistinctSightings(all), nil
}
