package embedded

import (
	"bytes"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// atomChange is one atom that a batch adds to.
type atomChange struct {
	facts graph.Facts
	// bears are the keys that are new to it.
	bears []graph.Key
	isNew bool
}

// move is an id's change of node; from and to are the id itself where it stands alone.
type move struct{ from, to graph.ID }

// observeEntities merges the observations into their atoms, each atom read and written once.
func (c *commit) observeEntities(all []graph.EntityObservation) error {
	byHome := map[graph.ID][]graph.Facts{}
	for _, o := range all {
		byHome[o.ID()] = append(byHome[o.ID()], o.Facts())
	}
	for id, said := range byHome {
		if err := c.observeAtom(id, said); err != nil {
			return err
		}
	}
	return nil
}

// observeAtom takes what was said of one atom, in order.
func (c *commit) observeAtom(id graph.ID, said []graph.Facts) error {
	old, known, err := c.base.atom(id)
	if err != nil {
		return err
	}
	change := &atomChange{facts: old, isNew: !known}
	for i, facts := range said {
		merged := change.facts.Merge(facts)
		if (known || i > 0) && merged.Equal(change.facts) {
			c.receipt.KnownEntities++
		}
		change.facts = merged
	}
	if known && change.facts.Equal(old) {
		return nil
	}
	if change.isNew {
		c.receipt.NewEntities++
	}
	return c.putAtom(id, change, old)
}

func (c *commit) putAtom(id graph.ID, change *atomChange, old graph.Facts) error {
	doc, err := graph.EncodeJSON(change.facts)
	if err != nil {
		return errors.Join(graph.ErrInvalid, err)
	}
	for _, k := range change.facts.Keys {
		if !slices.Contains(old.Keys, k) {
			change.bears = append(change.bears, k)
		}
	}
	c.atoms[id] = change
	if err := c.indexKeys(id, change); err != nil {
		return err
	}
	return c.put(c.base.keys.of(tableAtom, id[:]), append([]byte{valueVersion}, doc...))
}

// indexKeys writes a row for each key that is new to the atom: weak ones are borne, strong ones claimed.
func (c *commit) indexKeys(id graph.ID, a *atomChange) error {
	for _, k := range a.bears {
		key, claimed := c.base.keys.weak(k, a.facts.Keys[0].Rank(), id), k.ID()
		if k.Strength() == graph.Strong {
			if claimed == id {
				continue
			}
			key = c.base.keys.of(tableClaim, claimed[:], id[:])
		}
		if err := c.put(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// claims lists the ids that an atom claims: those of its strong keys other than the home.
func claims(home graph.ID, all []graph.Key) (out []graph.ID) {
	for _, k := range all {
		if id := k.ID(); k.Strength() == graph.Strong && id != home {
			out = append(out, id)
		}
	}
	return out
}

// resolveIdentity finds the nodes anew for every newly claimed id, and on from each that changed its node to
// what it claims itself. All claims are staged by then, so each id is resolved once.
func (c *commit) resolveIdentity() error {
	var queue []graph.ID
	for id, a := range c.atoms {
		queue = append(queue, claims(id, a.bears)...)
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

// atomFacts are an atom's as staged; none for an id that was never observed.
func (c *commit) atomFacts(id graph.ID) (graph.Facts, error) {
	if a, ok := c.atoms[id]; ok {
		return a.facts, nil
	}
	f, _, err := c.base.atom(id)
	return f, err
}

// resolve moves one id to its node by the staged claims.
func (c *commit) resolve(id graph.ID) (moved bool, err error) {
	k := c.base.keys
	from, err := c.base.canonical(id)
	if err != nil {
		return false, err
	}
	to, err := graph.Resolve(id, c.staged.claimants)
	if err != nil || to == from {
		return false, err
	}
	c.moved[id] = move{from, to}
	if from != id {
		err = errors.Join(c.delete(k.of(tableAlias, id[:])), c.delete(k.of(tableMember, from[:], id[:])))
	}
	if to != id {
		err = errors.Join(err, c.put(k.of(tableAlias, id[:]), to[:]), c.put(k.of(tableMember, to[:], id[:]), nil))
	}
	return true, err
}

// nodeOf is the canonical id as staged, once resolve has been through.
func (c *commit) nodeOf(id graph.ID) (graph.ID, error) {
	if m, ok := c.moved[id]; ok {
		return m.to, nil
	}
	return c.base.canonical(id)
}

// settleNodes brings the rows of nodes up to date with the atoms and aliases.
func (c *commit) settleNodes() error {
	affected, gained := map[graph.ID]bool{}, map[graph.ID]int{}
	for id := range c.atoms {
		node, err := c.nodeOf(id)
		if err != nil {
			return err
		}
		affected[node] = true
	}
	regrouped := map[graph.ID]bool{}
	for id, m := range c.moved {
		affected[id], affected[m.from], affected[m.to] = true, true, true
		regrouped[m.from], regrouped[m.to] = true, true
		if m.from != id {
			gained[m.from]--
		}
		if m.to != id {
			gained[m.to]++
		}
	}
	for _, id := range sortedIDs(affected) {
		if err := c.settleNode(id, gained[id], regrouped[id]); err != nil {
			return err
		}
	}
	return c.touchNeighbours()
}

func (c *commit) settleNode(id graph.ID, gained int, regrouped bool) error {
	old, was, err := c.base.node(id)
	if err != nil {
		return err
	}
	is, err := c.isNode(id)
	if err != nil {
		return err
	}
	key := c.base.keys.of(tableNode, id[:])
	row := nodeRow{c.revision(), old.Members + gained}
	switch {
	case is:
		c.memberCounts[id] = row.Members
		changed := !was || regrouped
		if !changed {
			if changed, err = c.factsChanged(id, row.Members); err != nil || !changed {
				return err
			}
		}
		if !was {
			c.row.Entities++
		}
		c.touched[id] = true
		return c.put(key, row.encode())
	case was:
		c.row.Entities--
		return c.delete(key)
	}
	return nil
}

// isNode reports whether the id is canonical and was observed, by what is staged.
func (c *commit) isNode(id graph.ID) (bool, error) {
	node, err := c.nodeOf(id)
	if err != nil || node != id {
		return false, err
	}
	if _, changed := c.atoms[id]; changed {
		return true, nil
	}
	return c.base.has(c.base.keys.of(tableAtom, id[:]))
}

// factsChanged reports whether a node that kept its members shows other facts: of several ids, one may have
// learned what another knew.
func (c *commit) factsChanged(id graph.ID, members int) (bool, error) {
	if members == 0 {
		return c.atoms[id] != nil, nil
	}
	old, _, err := c.base.entity(id)
	if err != nil {
		return false, err
	}
	now, _, err := c.staged.entity(id)
	if err != nil {
		return false, err
	}
	a, err1 := graph.EncodeJSON(old.Facts)
	b, err2 := graph.EncodeJSON(now.Facts)
	return !bytes.Equal(a, b), errors.Join(err1, err2)
}

// touchNeighbours names the nodes whose edges now lead to another node.
func (c *commit) touchNeighbours() (err error) {
	if len(c.moved) == 0 {
		return nil
	}
	r, err := c.base.edgeReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for id := range c.moved {
		others, err := r.neighbours(id)
		if err != nil {
			return err
		}
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

// membersOf is the number of other ids of a node, as staged.
func (c *commit) membersOf(node graph.ID) (int, error) {
	if n, ok := c.memberCounts[node]; ok {
		return n, nil
	}
	row, _, err := c.base.node(node)
	c.memberCounts[node] = row.Members
	return row.Members, err
}
