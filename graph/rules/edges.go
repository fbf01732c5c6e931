package rules

import (
	"errors"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// observeEdges merges the sightings into their edges, each sighting read and written once.
func (c *commit) observeEdges(all []graph.EdgeObservation) error {
	said, order := map[SightingKey][]graph.Sighting{}, make([]SightingKey, 0, len(all))
	for _, o := range all {
		key := SightingKey{Ends{o.From, o.Kind, o.To}, o.Observation}
		if said[key] == nil {
			order = append(order, key)
		}
		said[key] = append(said[key], o.Sighting())
	}
	slices.SortFunc(order, func(a, b SightingKey) int {
		if d := a.Ends.Compare(b.Ends); d != 0 {
			return d
		}
		return a.Observation.Compare(b.Observation)
	})
	stored, err := c.storedSightings(order)
	if err != nil {
		return err
	}
	unsure := map[Ends]bool{}
	for i, key := range order {
		known := stored[i].Edge || (i > 0 && order[i-1].Ends == key.Ends)
		if !known {
			c.row.Edges++
			c.receipt.NewEdges++
		}
		s := c.joinSightings(stored[i].Sighting, stored[i].Seen, said[key])
		if stored[i].Seen && s == stored[i].Sighting {
			continue
		}
		c.out.Sightings = append(c.out.Sightings, SightingWrite{key, s, !known, !stored[i].Seen})
		c.sightings[key.Ends] = append(c.sightings[key.Ends], s)
		if err := c.touchEdge(key.Ends, !stored[i].Seen, unsure); err != nil {
			return err
		}
	}
	return c.compareEdges(unsure)
}

// storedSightings asks for those that can be there: an id that was never observed has no edge.
func (c *commit) storedSightings(order []SightingKey) ([]Sighted, error) {
	out, ask, place := make([]Sighted, len(order)), []SightingKey{}, []int{}
	for i, k := range order {
		if !c.isNew(k.From) && !c.isNew(k.To) {
			ask, place = append(ask, k), append(place, i)
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

func (c *commit) isNew(id graph.ID) bool {
	a, ok := c.atoms[id]
	return ok && a.New
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

// shownEnds maps an edge between home ids to nodes.
func (c *commit) shownEnds(at Ends) (Ends, error) {
	from, err1 := c.nodeOf(at.From)
	to, err2 := c.nodeOf(at.To)
	return Ends{from, at.Kind, to}, errors.Join(err1, err2)
}

// touchEdge notes that an edge changed as shown. A new observation between two nodes of one observed id each
// always shows; otherwise another sighting may say the same, and the edge is compared at the end.
func (c *commit) touchEdge(at Ends, added bool, unsure map[Ends]bool) error {
	shown, err := c.shownEnds(at)
	if err != nil || shown.From == shown.To {
		return err
	}
	from, err1 := c.isSingle(shown.From)
	to, err2 := c.isSingle(shown.To)
	if added && from && to {
		c.touched[shown.From], c.touched[shown.To] = true, true
	} else {
		unsure[shown] = true
	}
	return errors.Join(err1, err2)
}

// compareEdges touches the ends of those edges that show something else than before.
func (c *commit) compareEdges(unsure map[Ends]bool) error {
	for at := range unsure {
		before, err := joined(at, c.base.membersOf, c.base.edge)
		if err != nil {
			return err
		}
		now, err := joined(at, c.membersOf, c.edge)
		if err != nil {
			return err
		}
		if !sameEdge(before, now) {
			c.touched[at.From], c.touched[at.To] = true, true
		}
	}
	return nil
}

// joined is one edge between two nodes, joined over the sightings between all their ids.
func joined(at Ends, members func(graph.ID) ([]graph.ID, error), sightings func(Ends) ([]graph.Sighting, error)) (graph.Edge, error) {
	from, err1 := members(at.From)
	to, err2 := members(at.To)
	if err := errors.Join(err1, err2); err != nil {
		return graph.Edge{}, err
	}
	var all []graph.Sighting
	for _, f := range append(slices.Clone(from), at.From) {
		for _, t := range append(slices.Clone(to), at.To) {
			some, err := sightings(Ends{f, at.Kind, t})
			if err != nil {
				return graph.Edge{}, err
			}
			all = append(all, some...)
		}
	}
	e, _ := graph.JoinSightings(at.Kind, at.From, at.To, all, time.Time{})
	return e, nil
}

func sameEdge(a, b graph.Edge) bool {
	return a.FirstSeen.Equal(b.FirstSeen) && a.LastSeen.Equal(b.LastSeen) && a.EndedAt.Equal(b.EndedAt) &&
		a.Count == b.Count && a.Inferred == b.Inferred && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Alerts, b.Alerts)
}
