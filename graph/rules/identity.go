package rules

import (
	"bytes"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// observeEntities merges the observations into what is stored under their ids, each read and written once.
func (c *commit) observeEntities(p *Prepared) (err error) {
	if c.observed, err = c.subjectsOf(p.ids); err != nil {
		return err
	}
	c.atoms = make([]AtomWrite, 0, len(p.ids)) // of which subjects hold addresses: it does not grow
	for i, s := range c.observed {
		c.observe(s, p.Entities, p.said[i])
	}
	return nil
}

// observe takes what was said of one id, in order.
func (c *commit) observe(s *subject, all []graph.EntityObservation, said []int32) {
	known, news, now := s.was.Observed(), false, s.was.Facts
	for i, place := range said {
		if !known && i == 0 {
			now, news = all[place].Facts(), true
			continue
		}
		joined, changed := now.Observe(all[place])
		if !changed {
			c.receipt.KnownEntities++
			continue
		}
		now, news = joined, true
	}
	if !news {
		return
	}
	if !known {
		c.receipt.NewEntities++
	}
	c.atoms = append(c.atoms, AtomWrite{ID: s.id, Was: s.was.Facts, Facts: now, New: !known})
	s.atom = &c.atoms[len(c.atoms)-1]
	for _, k := range now.Keys {
		if !slices.Contains(s.was.Facts.Keys, k) {
			s.atom.Bears = append(s.atom.Bears, k)
		}
	}
	c.change(s)
	c.index(s.atom)
}

// index stages the keys that are new: weak ones are borne, strong ones claimed.
func (c *commit) index(a *AtomWrite) {
	a.named = make([]graph.ID, len(a.Bears))
	for i, k := range a.Bears {
		id := a.ID // the strongest key names the id itself
		if k != a.Facts.Keys[0] {
			id = k.ID()
		}
		a.named[i] = id
		switch {
		case k.Strength() == graph.Weak:
			c.borne[id] = append(c.borne[id], Bearer{Home: a.ID, Rank: a.Facts.Keys[0].Rank()})
		case id != a.ID:
			c.claimed[id] = append(c.claimed[id], a.ID)
		}
	}
}

// resolveIdentity finds the nodes anew for every newly claimed id, and on from each that changed its node to
// what it claims itself. All claims are staged by then, so each id is resolved once.
func (c *commit) resolveIdentity() error {
	queue := sortedIDs(c.claimed)
	_, err1 := c.subjectsOf(queue)
	if err := errors.Join(err1, c.base.loadClaimants(queue)); err != nil {
		return err
	}
	for done := map[graph.ID]bool{}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if done[id] {
			continue
		}
		done[id] = true
		s, err := c.resolve(id)
		if err != nil {
			return err
		}
		if s.moved() {
			queue = append(queue, claims(id, s.facts().Keys)...)
		}
	}
	return c.settleNodes()
}

// claims lists the ids that an id claims by its strong keys.
func claims(home graph.ID, all []graph.Key) []graph.ID {
	return AtomWrite{ID: home, Bears: all}.Claims()
}

// resolve moves one id to its node by the staged claims.
func (c *commit) resolve(id graph.ID) (*subject, error) {
	s, err := c.subject(id)
	if err != nil {
		return nil, err
	}
	to, err := graph.Resolve(id, c.claimantsOf)
	if err != nil || to == s.stood {
		return s, err
	}
	s.node, c.moved = to, append(c.moved, s)
	c.change(s)
	return s, nil
}

// settleNodes brings the rows of nodes up to date with the atoms and moves.
func (c *commit) settleNodes() error {
	affected, err := c.affected()
	if err != nil {
		return err
	}
	for _, s := range affected {
		if err := c.settleNode(s); err != nil {
			return err
		}
	}
	return c.touchNeighbours()
}

// affected lists the ids whose rows as nodes may change, each once.
func (c *commit) affected() (out []*subject, err error) {
	seen := make(map[*subject]bool, len(c.observed))
	add := func(s *subject) {
		if !seen[s] {
			seen[s], out = true, append(out, s)
		}
	}
	if err := c.loadNodes(); err != nil {
		return nil, err
	}
	for _, s := range c.observed {
		if s.atom == nil {
			continue
		}
		node, err := c.nodeOf(s)
		if err != nil {
			return nil, err
		}
		add(node)
		node.twin = node.twin || s.isNew() && node != s
	}
	for _, s := range c.moved {
		from, err1 := c.subject(s.stood)
		to, err2 := c.subject(s.node)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if from != s {
			from.gained--
		}
		if to != s {
			to.gained++
			to.joined = append(to.joined, s.id)
		}
		from.regrouped, to.regrouped = true, true
		add(s)
		add(from)
		add(to)
	}
	return out, nil
}

// loadNodes asks ahead for the nodes of what was observed or moved.
func (c *commit) loadNodes() error {
	var others []graph.ID
	for _, s := range slices.Concat(c.observed, c.moved) {
		if s.stood != s.id {
			others = append(others, s.stood)
		}
		if s.node != s.id {
			others = append(others, s.node)
		}
	}
	_, err := c.subjectsOf(others)
	return err
}

func (c *commit) settleNode(s *subject) error {
	was, is := s.wasNode(), s.isNode()
	switch {
	case is:
		row := NodeWrite{ID: s.id, Revision: c.revision(), Members: s.was.Members + s.gained, Alone: s.was.Alone}
		if !was || s.regrouped || s.twin || !row.Alone {
			var err error
			if row.Alone, err = c.isAlone(s.id); err != nil {
				return err
			}
		}
		if was && !s.regrouped {
			changed, err := c.factsChanged(s, row.Members == 0 || row.Alone)
			if err != nil {
				return err
			}
			if !changed {
				if row.Revision = s.was.Revision; row.Alone != s.was.Alone {
					c.rewrite(s, row)
				}
				return nil
			}
		}
		if !was {
			c.row.Entities++
		}
		c.touch(s)
		c.rewrite(s, row)
	case was:
		c.row.Entities--
		c.touch(s) // its edges are another's now
		c.scattered = true
		c.rewrite(s, NodeWrite{ID: s.id, Gone: true})
	}
	return nil
}

// isAlone reports whether nothing was observed under the other ids of a node.
func (c *commit) isAlone(node graph.ID) (bool, error) {
	ids, err := c.membersOf(node)
	if err != nil {
		return false, err
	}
	members, err := c.subjectsOf(ids)
	for _, m := range members {
		if len(m.facts().Keys) > 0 {
			return false, err
		}
	}
	return true, err
}

// factsChanged reports whether a node that kept its members shows other facts: of several ids, one may have
// learned what another knew.
func (c *commit) factsChanged(s *subject, alone bool) (bool, error) {
	if alone {
		return s.atom != nil, nil
	}
	old, _, err := c.base.Entity(s.id)
	if err != nil {
		return false, err
	}
	now, _, err := c.now().Entity(s.id)
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
	for _, s := range c.moved {
		if s.was.Observed() {
			observed = append(observed, s.id)
		}
	}
	if len(observed) == 0 {
		return nil
	}
	c.scattered = true
	slices.SortFunc(observed, graph.ID.Compare)
	all, err := c.tx.Neighbours(c.ctx, observed)
	if err != nil {
		return err
	}
	others, err := c.subjectsOf(slices.Concat(all...))
	if err != nil {
		return err
	}
	for _, s := range others {
		node, err := c.nodeOf(s)
		if err != nil {
			return err
		}
		c.touch(node)
	}
	return nil
}
