package embedded

import (
	"context"
	"errors"
	"iter"
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
		for _, was := range []graph.ID{id, m.from, m.to} {
			now, err := c.nodeOf(was)
			if err != nil {
				return nil, err
			}
			exists, err := c.staged.has(c.base.keys.of(tableNode, now[:]))
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
		if !slices.ContainsFunc(a.bears, func(k graph.Key) bool { return k.Strength() == graph.Weak }) {
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
	w := followerWalk{c: c, before: c.base.sameness(), now: c.staged.sameness(), seen: map[graph.ID]bool{}}
	for id, a := range c.atoms {
		if !a.isNew && a.facts.Keys[0].Strength() == graph.Weak {
			w.queue = append(w.queue, id)
		}
		if err := w.addWeaker(id, a.facts.Keys[0].Rank(), a.bears); err != nil {
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
	before, now sameness
	queue       []graph.ID
	seen        map[graph.ID]bool
}

// addWeaker queues the weak-only nodes that an atom may be the same as for sharing one of the keys.
func (w *followerWalk) addWeaker(id graph.ID, rank int, keys []graph.Key) error {
	weaker, err := w.c.staged.weaker(id.Kind(), keys, rank)
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
	was, err1 := w.before.sole(id)
	is, err2 := w.now.sole(id)
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
	row, existed, err := c.base.node(id)
	if err != nil || !existed {
		return err
	}
	c.refollowed[id], c.touched[id] = true, true
	row.Revision = c.revision()
	return c.put(c.base.keys.of(tableNode, id[:]), row.encode())
}

// stagedReader shows a decider the tenant with the batch upon it. It waits for no revision, and a bound moves
// no clock: the decider runs in the only writer's turn.
type stagedReader struct {
	c      *commit
	tenant graph.TenantID
}

// view answers for the commit's tenant; of another one there is nothing to see.
func (s stagedReader) view(ctx context.Context, v graph.View) (view, error) {
	out := s.c.staged
	out.ctx = ctx
	if v.Tenant != s.tenant {
		out.keys = keysOf(v.Tenant)
	}
	return out, ctx.Err()
}

func (s stagedReader) bound(p graph.Paging) graph.Tick {
	want := wanted(p)
	if want == 0 {
		return 0
	}
	bound, _ := graph.BoundClock(s.c.wall, s.c.row.Clock, want)
	return bound
}

// Entities implements graph.Reader.
func (s stagedReader) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.entities(q)
}

// Lookup implements graph.Reader.
func (s stagedReader) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.lookup(keys)
}

// Edges implements graph.Reader.
func (s stagedReader) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return stream(func(yield func(graph.Edge, error) bool) error {
		r, err := s.view(ctx, v)
		if err != nil {
			return err
		}
		return r.edges(q, yield)
	})
}

// Alerts implements graph.Reader.
func (s stagedReader) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.AlertPage{}, err
	}
	return r.alerts(q, s.bound(q.Paging))
}

// Incidents implements graph.Reader.
func (s stagedReader) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.IncidentPage{}, err
	}
	return r.incidents(q, s.bound(q.Paging))
}

// Documents implements graph.Reader.
func (s stagedReader) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return nil, err
	}
	return r.documents(q)
}

// Position implements graph.Reader.
func (s stagedReader) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	r, err := s.view(ctx, v)
	if err != nil {
		return graph.Position{}, err
	}
	return r.position()
}
