package rules

import (
	"cmp"
	"slices"

	"github.com/clew-security/clew/graph"
)

// What a commit makes of the tenant: what was committed, with what the batch brings upon it.

// claimantsOf implements graph.Claims.
func (c *commit) claimantsOf(id graph.ID) ([]graph.ID, error) {
	old, err := c.base.claimantsOf(id)
	return append(slices.Clone(old), c.claimed[id]...), err
}

// membersOf lists the other ids of a node, in order.
func (c *commit) membersOf(node graph.ID) ([]graph.ID, error) {
	old, err := c.base.membersOf(node)
	if err != nil {
		return nil, err
	}
	var joined []graph.ID
	if s, known := c.subjects[node]; known {
		joined = s.joined
	}
	if len(old)+len(joined) == 0 {
		return nil, nil
	}
	out := make([]graph.ID, 0, len(old)+len(joined))
	for _, id := range old {
		if s, known := c.subjects[id]; !known || !s.moved() {
			out = append(out, id)
		}
	}
	out = append(out, joined...)
	slices.SortFunc(out, graph.ID.Compare)
	return out, nil
}

// now reads nodes as the commit makes them.
func (c *commit) now() nowNodes { return nowNodes{c} }

type nowNodes struct{ c *commit }

// Entity implements Nodes.
func (n nowNodes) Entity(id graph.ID) (e graph.Entity, ok bool, err error) {
	c := n.c
	s, err := c.subject(id)
	if err != nil || !s.isNode() {
		return e, false, err
	}
	e.ID, e.Facts = id, *s.facts()
	if e.Members, err = c.membersOf(id); err != nil {
		return e, true, err
	}
	if len(e.Members) == 0 {
		return e, true, nil
	}
	members, err := c.subjectsOf(e.Members)
	for _, m := range members {
		if facts := m.facts(); len(facts.Keys) > 0 {
			e.Facts = e.Facts.Merge(*facts)
		}
	}
	return e, true, err
}

// Bearers implements Nodes.
func (n nowNodes) Bearers(q BearerQuery) ([]Bearer, error) {
	c := n.c
	old, err := c.base.Bearers(q)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(old)
	for _, b := range c.borne[q.Key] {
		if b.Rank >= q.Least && b.Rank < q.Most {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Bearer) int { return cmp.Or(cmp.Compare(a.Rank, b.Rank), a.Home.Compare(b.Home)) })
	all = all[:min(len(all), q.Limit)]
	homes := make([]graph.ID, len(all))
	for i, b := range all {
		homes[i] = b.Home
	}
	subjects, err := c.subjectsOf(homes)
	for i, s := range subjects {
		all[i].Node = s.node
	}
	return all, err
}

// edge lists the sightings of one relation between home ids.
func (c *commit) edge(at Ends) ([]graph.Sighting, error) {
	old, err := c.base.edge(at)
	if err != nil {
		return nil, err
	}
	var all []graph.Sighting
	first, _ := slices.BinarySearchFunc(c.out.Sightings, at, func(s SightingWrite, at Ends) int { return s.Ends.Compare(at) })
	for _, s := range c.out.Sightings[first:] {
		if s.Ends != at {
			break
		}
		all = append(all, s.Sighting)
	}
	brought := len(all)
	for _, s := range old {
		if !slices.ContainsFunc(all[:brought], func(n graph.Sighting) bool { return n.Observation == s.Observation }) {
			all = append(all, s)
		}
	}
	return all, nil
}
