package rules

import (
	"errors"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// delta is what the batch changed, for a decider.
func (c *commit) delta() (d graph.Delta, err error) {
	content := map[graph.ID]bool{}
	for id, a := range c.alerts {
		if a.content {
			content[id] = true
		}
	}
	d.Alerts = sortedIDs(content)
	for _, id := range d.Alerts {
		if old := c.alerts[id].stored; old != nil {
			d.Previous = append(d.Previous, *old)
		}
	}
	nodes, err := c.regrouped()
	if err != nil {
		return d, err
	}
	if err := c.addBearers(nodes); err != nil {
		return d, err
	}
	maps.Copy(nodes, c.refollowed)
	d.Entities = sortedIDs(nodes)
	return d, nil
}

// regrouped lists the nodes that gained or lost ids, and those that ids now make on their own.
func (c *commit) regrouped() (map[graph.ID]bool, error) {
	out := map[graph.ID]bool{}
	for id, m := range c.moved {
		for _, was := range []graph.ID{id, m.From, m.To} {
			now, err := c.nodeOf(was)
			if err != nil {
				return nil, err
			}
			exists, err := c.isNode(now)
			if err != nil {
				return nil, err
			}
			if exists {
				out[now] = true
			}
		}
	}
	return out, nil
}

// addBearers adds the nodes of atoms that newly bear a weak key.
func (c *commit) addBearers(to map[graph.ID]bool) error {
	for id, a := range c.atoms {
		if !slices.ContainsFunc(a.Bears, func(k graph.Key) bool { return k.Strength() == graph.Weak }) {
			continue
		}
		node, err := c.nodeOf(id)
		if err != nil {
			return err
		}
		to[node] = true
	}
	return nil
}

// findFollowers finds the weak-only nodes that are now followed to another node than before, which is shown
// of them. It starts from what newly bears a weak key or changed its node, and goes on from each node found
// to the weaker ones that may be followed through it.
func (c *commit) findFollowers() error {
	w := followerWalk{c: c, before: NewSameness(c.base), now: NewSameness(c.now()), seen: map[graph.ID]bool{}}
	if err := w.load(); err != nil {
		return err
	}
	for _, id := range sortedIDs(c.atoms) {
		a := c.atoms[id]
		if !a.New && a.Facts.Keys[0].Strength() == graph.Weak {
			w.queue = append(w.queue, id)
		}
		if err := w.addWeaker(id, a.Facts.Keys[0].Rank(), a.Bears); err != nil {
			return err
		}
	}
	for id := range c.moved {
		if err := w.addAllWeaker(id); err != nil {
			return err
		}
	}
	for ; len(w.queue) > 0; w.queue = w.queue[1:] {
		if err := w.visit(w.queue[0]); err != nil {
			return err
		}
	}
	return nil
}

// followerWalk goes from stronger homes to weaker ones, so it ends.
type followerWalk struct {
	c           *commit
	before, now Sameness
	queue       []graph.ID
	seen        map[graph.ID]bool
}

// load asks ahead for the bearers of all weak keys that are new to an id.
func (w *followerWalk) load() error {
	var all []BearerQuery
	for id, a := range w.c.atoms {
		all = append(all, weakerQueries(id.Kind(), a.Bears, a.Facts.Keys[0].Rank())...)
	}
	return w.c.base.loadBearers(all)
}

// addWeaker queues the weak-only nodes that an atom may be the same as for sharing one of the keys.
func (w *followerWalk) addWeaker(id graph.ID, rank int, keys []graph.Key) error {
	weaker, err := w.now.weaker(id.Kind(), keys, rank)
	w.queue = append(w.queue, weaker...)
	return err
}

func (w *followerWalk) addAllWeaker(id graph.ID) error {
	facts, err := w.c.atomFacts(id)
	if err != nil || len(facts.Keys) == 0 {
		return err
	}
	return w.addWeaker(id, facts.Keys[0].Rank(), facts.Keys)
}

func (w *followerWalk) visit(id graph.ID) error {
	if w.seen[id] {
		return nil
	}
	w.seen[id] = true
	was, err1 := w.before.Sole(id)
	is, err2 := w.now.Sole(id)
	if err := errors.Join(err1, err2); err != nil || was == is {
		return err
	}
	if err := w.c.refollow(id); err != nil {
		return err
	}
	return w.addAllWeaker(id)
}

// refollow marks a node that was there before as changed. A weak-only node has no other ids.
func (c *commit) refollow(id graph.ID) error {
	_, existed, err := c.base.Entity(id)
	if err != nil || !existed {
		return err
	}
	c.refollowed[id], c.touched[id] = true, true
	c.nodes[id] = NodeWrite{ID: id, Revision: c.revision()}
	return nil
}
