package rules

import (
	"errors"
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
	for _, id := range c.refollowed {
		nodes[id] = true
	}
	d.Entities = sortedIDs(nodes)
	return d, nil
}

// regrouped lists the nodes that gained or lost ids, and those that ids now make on their own.
func (c *commit) regrouped() (map[graph.ID]bool, error) {
	out := map[graph.ID]bool{}
	for _, m := range c.moved {
		for _, id := range []graph.ID{m.id, m.stood, m.node} {
			was, err := c.subject(id)
			if err != nil {
				return nil, err
			}
			now, err := c.nodeOf(was)
			if err != nil {
				return nil, err
			}
			if now.isNode() {
				out[now.id] = true
			}
		}
	}
	return out, nil
}

// addBearers adds the nodes of atoms that newly bear a weak key.
func (c *commit) addBearers(to map[graph.ID]bool) error {
	for _, a := range c.atoms {
		if !slices.ContainsFunc(a.Bears, func(k graph.Key) bool { return k.Strength() == graph.Weak }) {
			continue
		}
		s, err := c.subject(a.ID)
		if err != nil {
			return err
		}
		to[s.node] = true
	}
	return nil
}

// findFollowers finds the weak-only nodes that are now followed to another node than before, which is shown
// of them. It starts from what newly bears a weak key or changed its node, and goes on from each node found
// to the weaker ones that may be followed through it. What many need of the store is asked at once.
func (c *commit) findFollowers() error {
	w := followerWalk{c: c, before: NewSameness(c.base), now: NewSameness(c.now()), seen: map[graph.ID]bool{}}
	if err := w.load(); err != nil {
		return err
	}
	for _, a := range c.atoms {
		if len(a.Bears) == 0 {
			continue
		}
		if !a.New && a.Facts.Keys[0].Strength() == graph.Weak {
			w.queue = append(w.queue, a.ID)
		}
		if err := w.addWeaker(a.ID, a.Facts.Keys[0].Rank(), a.Bears); err != nil {
			return err
		}
	}
	for _, s := range c.moved {
		if err := w.addAllWeaker(s.id); err != nil {
			return err
		}
	}
	for len(w.queue) > 0 {
		if err := w.visit(w.next()); err != nil {
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
	for _, a := range w.c.atoms {
		all = append(all, weakerQueries(a.ID.Kind(), a.Bears, a.Facts.Keys[0].Rank())...)
	}
	_, err := w.c.loadBearers(all)
	return err
}

// next takes what is queued and was not seen yet.
func (w *followerWalk) next() (ids []graph.ID) {
	for _, id := range w.queue {
		if !w.seen[id] {
			w.seen[id] = true
			ids = append(ids, id)
		}
	}
	w.queue = nil
	return ids
}

// addWeaker queues the weak-only nodes that an atom may be the same as for sharing one of the keys.
func (w *followerWalk) addWeaker(id graph.ID, rank int, keys []graph.Key) error {
	weaker, err := w.now.weaker(id.Kind(), keys, rank)
	w.queue = append(w.queue, weaker...)
	return err
}

func (w *followerWalk) addAllWeaker(id graph.ID) error {
	s, err := w.c.subject(id)
	if err != nil || len(s.facts().Keys) == 0 {
		return err
	}
	keys := s.facts().Keys
	return w.addWeaker(id, keys[0].Rank(), keys)
}

// visit marks those that are followed to another node now, and queues the weaker ones at them.
func (w *followerWalk) visit(ids []graph.ID) error {
	if err := w.c.loadFollowed(ids); err != nil {
		return err
	}
	var changed []graph.ID
	var weaker []BearerQuery
	for _, id := range ids {
		was, err1 := w.before.Sole(id)
		is, err2 := w.now.Sole(id)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if was == is {
			continue
		}
		if err := w.c.refollow(id); err != nil {
			return err
		}
		changed = append(changed, id)
		keys := w.c.subjects[id].facts().Keys
		weaker = append(weaker, weakerQueries(id.Kind(), keys, keys[0].Rank())...)
	}
	if _, err := w.c.loadBearers(weaker); err != nil {
		return err
	}
	for _, id := range changed {
		if err := w.addAllWeaker(id); err != nil {
			return err
		}
	}
	return nil
}

// loadBearers asks ahead for who bears weak keys, with their homes.
func (c *commit) loadBearers(all []BearerQuery) (found []Bearer, err error) {
	if err := c.base.loadBearers(all); err != nil {
		return nil, err
	}
	var homes []graph.ID
	for _, q := range unique(all) {
		for _, b := range c.base.bearers[q] {
			found, homes = append(found, b), append(homes, b.Home)
		}
	}
	_, err = c.subjectsOf(homes)
	return found, err
}

// loadFollowed asks ahead for what tells whom weak-only nodes are followed to: those that bear their keys, and where
// these are weak-only too, those that bear theirs, which are stronger each time.
func (c *commit) loadFollowed(ids []graph.ID) error {
	for seen := map[graph.ID]bool{}; len(ids) > 0; {
		subjects, err := c.subjectsOf(ids)
		if err != nil {
			return err
		}
		var asked []BearerQuery
		for _, s := range subjects {
			for _, keys := range [][]graph.Key{s.was.Facts.Keys, s.facts().Keys} {
				if len(keys) > 0 && keys[0].Strength() == graph.Weak {
					asked = append(asked, bearerQueries(keys, 0, keys[0].Rank(), fewBearers)...)
				}
			}
		}
		found, err := c.loadBearers(asked)
		if err != nil {
			return err
		}
		ids = nil
		for _, b := range found {
			if weak, _ := graph.WeakRanks(b.Home.Kind()); b.Rank >= weak && !seen[b.Home] {
				seen[b.Home] = true
				ids = append(ids, b.Home)
			}
		}
	}
	return nil
}

// refollow marks a node that was there before as changed. A weak-only node has no other ids.
func (c *commit) refollow(id graph.ID) error {
	_, existed, err := c.base.Entity(id)
	if err != nil || !existed {
		return err
	}
	s, err := c.subject(id)
	if err != nil {
		return err
	}
	c.refollowed = append(c.refollowed, id)
	c.touch(s)
	c.rewrite(s, NodeWrite{ID: id, Revision: c.revision()})
	return nil
}
