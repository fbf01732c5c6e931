package rules

import (
	"errors"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// outcome is what the commit leaves; nil where nobody asks, and where edges may have changed that it does not know of.
func (c *commit) outcome() (*graph.Outcome, error) {
	if !c.settings.Outcome || c.scattered {
		return nil, nil
	}
	slices.SortFunc(c.whole, graph.Edge.Compare)
	o := &graph.Outcome{Edges: c.whole, Seen: c.seen, Entities: make([]graph.Entity, 0, len(c.changed))}
	now := c.now()
	same := NewSameness(now)
	for _, s := range c.changed { // in order since collect
		if !s.isNode() || !s.rewritten || s.row.Revision != c.revision() {
			continue
		}
		e, _, err := now.Entity(s.id)
		if err != nil {
			return nil, err
		}
		if e.WeakOnly() {
			if e.SameAs, err = same.Sole(s.id); err != nil {
				return nil, err
			}
		}
		e.Revision = c.revision()
		o.Entities = append(o.Entities, e)
	}
	return o, nil
}

// keepSeen keeps what the new sightings make of the edges between nodes of one observed id each: new edges whole, and of
// those that were there what is new. Where a sighting changed as well, the edge is compared anyway.
func (c *commit) keepSeen() error {
	if !c.settings.Outcome {
		return nil
	}
	c.whole = make([]graph.Edge, 0, len(c.out.Sightings))
	room := make([]graph.Sighting, 0, len(c.out.Sightings)) // one for all
	for all := range runs(c.out.Sightings, func(a, b SightingWrite) bool { return a.Ends == b.Ends }) {
		at := all[0].Ends
		from, err1 := c.nodeOf(c.subjects[at.From])
		to, err2 := c.nodeOf(c.subjects[at.To])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		old := slices.ContainsFunc(all, func(s SightingWrite) bool { return !s.New })
		if old || from == to || !from.isSingle() || !to.isSingle() {
			continue
		}
		for _, s := range all {
			room = append(room, s.Sighting)
		}
		seen := slices.Clip(room[len(room)-len(all):])
		if all[0].NewEdge {
			c.keepWhole(at, seen)
		} else {
			c.seen = append(c.seen, graph.Edge{Kind: at.Kind, From: at.From, To: at.To, Sightings: seen})
		}
	}
	return nil
}

// keepWhole keeps an edge of all its distinct sightings, in order.
func (c *commit) keepWhole(at Ends, distinct []graph.Sighting) {
	if !c.settings.Outcome {
		return
	}
	if e, ok := graph.JoinDistinct(at.Kind, at.From, at.To, distinct, time.Time{}); ok {
		e.Sightings = distinct
		c.whole = append(c.whole, e)
	}
}
