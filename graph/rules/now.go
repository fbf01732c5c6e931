package rules

import (
	"cmp"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// What a commit makes of the tenant: what was committed, with what the batch brings upon it.

// atomFacts are an id's; none for one that was never observed.
func (c *commit) atomFacts(id graph.ID) (graph.Facts, error) {
	if a, ok := c.atoms[id]; ok {
		return a.Facts, nil
	}
	h, err := c.base.home(id)
	return h.Facts, err
}

// nodeOf is the canonical id, once resolve has been through.
func (c *commit) nodeOf(id graph.ID) (graph.ID, error) {
	if m, ok := c.moved[id]; ok {
		return m.To, nil
	}
	return c.base.canonical(id)
}

// home is all there is of one id.
func (c *commit) home(id graph.ID) (Home, error) {
	h, err1 := c.base.home(id)
	facts, err2 := c.atomFacts(id)
	node, err3 := c.nodeOf(id)
	if err := errors.Join(err1, err2, err3); err != nil {
		return h, err
	}
	h.Facts, h.Node = facts, node
	switch n, changed := c.nodes[id]; {
	case node != id:
		h.Revision, h.Members, h.Alone = 0, 0, false
	case changed:
		h.Revision, h.Members, h.Alone = n.Revision, n.Members, n.Alone
	}
	return h, nil
}

// isNode reports whether the id is canonical and was observed.
func (c *commit) isNode(id graph.ID) (bool, error) {
	node, err := c.nodeOf(id)
	if err != nil || node != id {
		return false, err
	}
	facts, err := c.atomFacts(id)
	return len(facts.Keys) > 0, err
}

// claimantsOf implements graph.Claims.
func (c *commit) claimantsOf(id graph.ID) ([]graph.ID, error) {
	old, err := c.base.claimantsOf(id)
	return append(slices.Clone(old), c.claimed[id]...), err
}

// membersOf lists the other ids of a node, in order.
func (c *commit) membersOf(node graph.ID) ([]graph.ID, error) {
	old, err := c.base.membersOf(node)
	out := make([]graph.ID, 0, len(old)+len(c.joined[node]))
	for _, id := range old {
		if _, left := c.moved[id]; !left {
			out = append(out, id)
		}
	}
	out = append(out, c.joined[node]...)
	slices.SortFunc(out, graph.ID.Compare)
	return out, err
}

// isSingle reports whether all that a node has was observed under its own id.
func (c *commit) isSingle(node graph.ID) (bool, error) {
	if n, ok := c.settled[node]; ok {
		return n.Members == 0 || n.Alone, nil
	}
	h, err := c.base.home(node)
	return h.Members == 0 || h.Alone, err
}

// now reads nodes as the commit makes them.
func (c *commit) now() nowNodes { return nowNodes{c} }

type nowNodes struct{ c *commit }

// Entity implements Nodes.
func (n nowNodes) Entity(id graph.ID) (e graph.Entity, ok bool, err error) {
	c := n.c
	if is, err := c.isNode(id); err != nil || !is {
		return e, false, err
	}
	e.ID = id
	if e.Facts, err = c.atomFacts(id); err != nil {
		return e, true, err
	}
	if e.Members, err = c.membersOf(id); err != nil {
		return e, true, err
	}
	for _, m := range e.Members {
		facts, err := c.atomFacts(m)
		if err != nil {
			return e, true, err
		}
		if len(facts.Keys) > 0 {
			e.Facts = e.Facts.Merge(facts)
		}
	}
	return e, true, nil
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
	for i := range all {
		if all[i].Node, err = c.nodeOf(all[i].Home); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// edge lists the sightings of one relation between home ids.
func (c *commit) edge(at Ends) ([]graph.Sighting, error) {
	old, err := c.base.edge(at)
	if err != nil || len(c.sightings[at]) == 0 {
		return old, err
	}
	all := slices.Clone(c.sightings[at])
	for _, s := range old {
		if !slices.ContainsFunc(all, func(n graph.Sighting) bool { return n.Observation == s.Observation }) {
			all = append(all, s)
		}
	}
	return all, nil
}
