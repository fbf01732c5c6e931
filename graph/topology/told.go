package topology

import (
	"context"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// things are nodes and edges.
type things struct {
	nodes set[graph.ID]
	edges set[graph.EdgeKey]
}

type set[K comparable] map[K]struct{}

func (s set[K]) add(all ...K) {
	for _, k := range all {
		s[k] = struct{}{}
	}
}

func (s set[K]) has(k K) bool {
	_, there := s[k]
	return there
}

// early is what was read and may show commits that were not collected yet.
type early struct {
	things
	all bool
}

// is reports whether an edge may be as a later commit left it.
func (e early) is(k graph.EdgeKey) bool {
	return e.all || e.edges.has(k) || e.nodes.has(k.From) || e.nodes.has(k.To)
}

func newThings() things { return things{set[graph.ID]{}, set[graph.EdgeKey]{}} }

// pending is how many things are to be read again or taken in.
func (w *work) pending() int {
	n := len(w.dirty) + len(w.stale.nodes) + len(w.stale.edges)
	for _, o := range w.told {
		n += len(o.Entities) + len(o.Edges) + len(o.Seen)
	}
	return n
}

// take notes what a change names.
func (w *work) take(c graph.Change) {
	switch {
	case c.Edges == nil:
		w.dirty.add(c.Entities...)
	case c.Outcome == nil || w.early.all: // of many commits, what is to be read is less
		w.stale.nodes.add(c.Entities...)
		w.stale.edges.add(c.Edges...)
	default:
		w.told = append(w.told, c.Outcome)
		w.stale.edges.add(w.untold(c)...)
	}
}

// untold are the edges that a change leaves to be read: also those that it saw again of which that may have been read
// already. All its lists are in order.
func (w *work) untold(c graph.Change) (out []graph.EdgeKey) {
	whole, seen := c.Outcome.Edges, c.Outcome.Seen
	for _, k := range c.Edges {
		switch {
		case len(whole) > 0 && whole[0].Key() == k:
			whole = whole[1:]
		case len(seen) > 0 && seen[0].Key() == k:
			if seen = seen[1:]; w.early.is(k) {
				out = append(out, k)
			}
		default:
			out = append(out, k)
		}
	}
	return out
}

// takeIn takes in what commits left, one after the other. A read may have shown more since, which is then as it was
// until the later commits are taken in too.
func (w *work) takeIn() error {
	for len(w.told) > 0 {
		u := w.picture.update()
		for _, e := range w.told[0].Entities {
			w.know(u, e)
		}
		for _, e := range w.told[0].Edges {
			u.put(e)
		}
		for _, e := range w.told[0].Seen {
			w.join(u, e)
		}
		if err := u.apply(); err != nil {
			return err
		}
		w.told = w.told[1:]
	}
	return nil
}

// join takes in that an edge was seen again. It is as the commit before left it, or is read again anyway. Where not all
// of its sightings are known, it is stale.
func (w *work) join(u *update, seen graph.Edge) {
	e, ok := w.picture.edge(seen.Key())
	if !ok {
		w.stale.edges.add(seen.Key())
		return
	}
	for _, s := range seen.Sightings {
		e = e.Join(s)
	}
	e.Sightings = append(e.Sightings, seen.Sightings...)
	u.put(e)
}

// know takes in a node without its edges, which then must be as they are. Of one that gained or lost ids they are not: it
// is dirty, unless there are none yet under any of its ids.
func (w *work) know(u *update, e graph.Entity) {
	if w.regrouped(e) && !w.picture.blank(e) {
		w.dirty.add(e.ID)
	} else {
		u.know(e, w.options.Grade(e))
	}
}

// freshenNodes reads stale nodes again, without their edges.
func (w *work) freshenNodes(ctx context.Context) error {
	for ids := range slices.Chunk(slices.SortedFunc(maps.Keys(w.stale.nodes), graph.ID.Compare), graph.MaxPage) {
		found, err := w.named(ctx, ids)
		if err != nil {
			return err
		}
		u := w.picture.update()
		for i, e := range found {
			if e.ID != ids[i] {
				w.dirty.add(ids[i])
			} else {
				w.know(u, e)
			}
		}
		if err := u.apply(); err != nil {
			return err
		}
		for _, id := range ids {
			delete(w.stale.nodes, id)
		}
	}
	return nil
}

// freshenEdges reads stale edges again. Of one that is there no more the ends are dirty: it may be another node's.
func (w *work) freshenEdges(ctx context.Context) error {
	for keys := range slices.Chunk(slices.SortedFunc(maps.Keys(w.stale.edges), graph.EdgeKey.Compare), graph.MaxPage) {
		u, there := w.picture.update(), make(map[graph.EdgeKey]bool, len(keys))
		w.early.edges.add(keys...)
		err := w.edges(ctx, graph.EdgeQuery{Keys: keys}, func(e graph.Edge) error {
			there[e.Key()] = true
			u.put(e)
			return nil
		})
		if err == nil {
			err = u.apply()
		}
		if err != nil {
			return err
		}
		for _, k := range keys {
			if delete(w.stale.edges, k); !there[k] {
				w.dirty.add(k.From, k.To)
			}
		}
	}
	return nil
}
