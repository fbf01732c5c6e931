package rules

import (
	"bytes"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// observeEntities merges the observations into what is stored under their ids, each read and written once.
func (c *commit) observeEntities(ids []graph.ID, facts []graph.Facts) error {
	said, order := make(map[graph.ID][]graph.Facts, len(ids)), make([]graph.ID, 0, len(ids))
	for i, id := range ids {
		if said[id] == nil {
			order = append(order, id)
			said[id] = facts[i : i+1 : i+1]
		} else {
			said[id] = append(said[id], facts[i])
		}
	}
	if err := c.base.loadHomes(order); err != nil {
		return err
	}
	for _, id := range order {
		c.observeAtom(id, said[id])
	}
	return nil
}

// observeAtom takes what was said of one id, in order.
func (c *commit) observeAtom(id graph.ID, said []graph.Facts) {
	old := c.base.homes[id].Facts
	known, now := len(old.Keys) > 0, old
	for i, facts := range said {
		if !known && i == 0 {
			now = facts
			continue
		}
		if now.Knows(facts) {
			c.receipt.KnownEntities++
			continue
		}
		now = now.Merge(facts)
	}
	if known && now.Equal(old) {
		return
	}
	if !known {
		c.receipt.NewEntities++
	}
	a := &AtomWrite{ID: id, Facts: now, New: !known}
	for _, k := range now.Keys {
		if !slices.Contains(old.Keys, k) {
			a.Bears = append(a.Bears, k)
		}
	}
	c.atoms[id] = a
	c.index(a)
}

// index stages the keys that are new: weak ones are borne, strong ones claimed.
func (c *commit) index(a *AtomWrite) {
	for _, k := range a.Bears {
		id := k.ID()
		switch {
		case k.Strength() == graph.Weak:
			c.borne[id] = append(c.borne[id], Bearer{Home: a.ID, Rank: a.Facts.Keys[0].Rank()})
		case id != a.ID:
			c.claimed[id] = append(c.claimed[id], a.ID)
		}
	}
}

// claims lists the ids that an id claims by its strong keys.
func claims(home graph.ID, all []graph.Key) (out []graph.ID) {
	for _, k := range all {
		if k.Strength() != graph.Strong {
			continue
		}
		if id := k.ID(); id != home {
			out = append(out, id)
		}
	}
	return out
}

// resolveIdentity finds the nodes anew for every newly claimed id, and on from each that changed its node to
// what it claims itself. All claims are staged by then, so each id is resolved once.
func (c *commit) resolveIdentity() error {
	queue := sortedIDs(c.claimed)
	if err := errors.Join(c.base.loadHomes(queue), c.base.loadClaimants(queue)); err != nil {
		return err
	}
	for done := map[graph.ID]bool{}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if done[id] {
			continue
		}
		done[id] = true
		moved, err := c.resolve(id)
		if err != nil {
			return err
		}
		if moved {
			facts, err := c.atomFacts(id)
			if err != nil {
				return err
			}
			queue = append(queue, claims(id, facts.Keys)...)
		}
	}
	return c.settleNodes()
}

// resolve moves one id to its node by the staged claims.
func (c *commit) resolve(id graph.ID) (moved bool, err error) {
	from, err := c.base.canonical(id)
	if err != nil {
		return false, err
	}
	to, err := graph.Resolve(id, c.claimantsOf)
	if err != nil || to == from {
		return false, err
	}
	c.moved[id] = Move{id, from, to}
	if to != id {
		c.joined[to] = append(c.joined[to], id)
	}
	return true, nil
}

// settleNodes brings the rows of nodes up to date with the atoms and moves.
func (c *commit) settleNodes() error {
	affected, gained := map[graph.ID]bool{}, map[graph.ID]int{}
	for id, a := range c.atoms {
		node, err := c.nodeOf(id)
		if err != nil {
			return err
		}
		affected[node] = true
		if a.New && node != id {
			c.twins[node] = true
		}
	}
	regrouped := map[graph.ID]bool{}
	for id, m := range c.moved {
		affected[id], affected[m.From], affected[m.To] = true, true, true
		regrouped[m.From], regrouped[m.To] = true, true
		if m.From != id {
			gained[m.From]--
		}
		if m.To != id {
			gained[m.To]++
		}
	}
	order := sortedIDs(affected)
	if err := c.base.loadHomes(order); err != nil {
		return err
	}
	for _, id := range order {
		if err := c.settleNode(id, gained[id], regrouped[id]); err != nil {
			return err
		}
	}
	return c.touchNeighbours()
}

func (c *commit) settleNode(id graph.ID, gained int, regrouped bool) error {
	old, err := c.base.home(id)
	if err != nil {
		return err
	}
	was := old.Observed() && (old.Node.IsZero() || old.Node == id)
	is, err := c.isNode(id)
	if err != nil {
		return err
	}
	switch {
	case is:
		members := old.Members + gained
		alone := old.Alone
		if !was || regrouped || c.twins[id] || !old.Alone {
			if alone, err = c.isAlone(id); err != nil {
				return err
			}
		}
		n := NodeWrite{ID: id, Revision: c.revision(), Members: members, Alone: alone}
		c.settled[id] = n
		if was && !regrouped {
			changed, err := c.factsChanged(id, members == 0 || alone)
			if err != nil {
				return err
			}
			if !changed {
				if n.Revision = old.Revision; alone != old.Alone {
					c.nodes[id] = n
				}
				return nil
			}
		}
		if !was {
			c.row.Entities++
		}
		c.touched[id] = true
		c.nodes[id] = n
	case was:
		c.row.Entities--
		c.nodes[id] = NodeWrite{ID: id, Gone: true}
	}
	return nil
}

// isAlone reports whether nothing was observed under the other ids of a node.
func (c *commit) isAlone(node graph.ID) (bool, error) {
	members, err := c.membersOf(node)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		facts, err := c.atomFacts(m)
		if err != nil || len(facts.Keys) > 0 {
			return false, err
		}
	}
	return true, nil
}

// factsChanged reports whether a node that kept its members shows other facts: of several ids, one may have
// learned what another knew.
func (c *commit) factsChanged(id graph.ID, alone bool) (bool, error) {
	if alone {
		return c.atoms[id] != nil, nil
	}
	old, _, err := c.base.Entity(id)
	if err != nil {
		return false, err
	}
	now, _, err := c.now().Entity(id)
	if err != nil {
		return false, err
	}
	a, err1 := graph.EncodeJSON(old.Facts)
	b, err2 := graph.EncodeJSON(now.Facts)
	return !bytes.Equal(a, b), errors.Join(err1, err2)
}

// touchNeighbours names the nodes whose edges now lead to another node. What was never observed has no edges.
func (c *commit) touchNeighbours() error {
	var observed []graph.ID
	for _, id := range sortedIDs(c.moved) {
		h, err := c.base.home(id)
		if err != nil {
			return err
		}
		if h.Observed() {
			observed = append(observed, id)
		}
	}
	if len(observed) == 0 {
		return nil
	}
	all, err := c.tx.Neighbours(c.ctx, observed)
	if err != nil {
		return err
	}
	if err := c.base.loadHomes(slices.Concat(all...)); err != nil {
		return err
	}
	for _, others := range all {
		for _, o := range others {
			node, err := c.nodeOf(o)
			if err != nil {
				return err
			}
			c.touched[node] = true
		}
	}
	return nil
}
