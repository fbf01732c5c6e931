package embedded

import (
	"errors"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// edgeChange is one relation between home ids that a batch adds to.
type edgeChange map[graph.ID][]graph.Sighting // by observation, in order

// observeEdges merges the sightings into their edges, each edge and sighting read and written once.
func (c *commit) observeEdges(all []graph.EdgeObservation) error {
	seen := map[ends]edgeChange{}
	for _, o := range all {
		at, s := ends{o.From, o.Kind, o.To}, o.Sighting()
		if seen[at] == nil {
			seen[at] = edgeChange{}
		}
		seen[at][s.Observation] = append(seen[at][s.Observation], s)
	}
	nodes := map[graph.ID]graph.ID{}
	unsure := map[ends]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(seen), ends.compare) {
		stored, added, err := c.observeEdge(at, seen[at])
		if err != nil {
			return err
		}
		if !stored {
			continue
		}
		shown, err := c.shownEnds(nodes, at)
		if err != nil {
			return err
		}
		if err := c.touchEdge(shown, added, unsure); err != nil {
			return err
		}
	}
	return c.compareEdges(unsure)
}

// observeEdge stages one edge; stored says that anything was, added that a new observation was among it.
func (c *commit) observeEdge(at ends, change edgeChange) (stored, added bool, err error) {
	reverse := c.base.keys.reverse(at.to, at.kind, at.from)
	known, err := c.base.has(reverse)
	if err != nil {
		return false, false, err
	}
	if !known {
		c.row.Edges++
		c.receipt.NewEdges++
		if err := c.put(reverse, nil); err != nil {
			return false, false, err
		}
	}
	for observation, said := range change {
		key, old, seen := c.base.keys.edge(at.from, at.kind, at.to, observation[:]...), graph.Sighting{}, false
		if known {
			if old, seen, err = c.sighting(observation, key); err != nil {
				return false, false, err
			}
		}
		s := c.joinSightings(old, seen, said)
		if seen && s == old {
			continue
		}
		stored, added = true, added || !seen
		if err := c.put(key, encodeSighting(s)); err != nil {
			return false, false, err
		}
	}
	return stored, added, nil
}

// joinSightings joins what was said of one observation with what is stored of it, and counts what was known.
func (c *commit) joinSightings(s graph.Sighting, seen bool, said []graph.Sighting) graph.Sighting {
	for i, next := range said {
		if i == 0 && !seen {
			s = next
			continue
		}
		merged := s.Merge(next)
		if merged == s {
			c.receipt.KnownEdges++
		}
		s = merged
	}
	return s
}

// sighting reads a stored sighting.
func (c *commit) sighting(observation graph.ID, key []byte) (s graph.Sighting, seen bool, err error) {
	seen, err = c.base.get(key, func(value []byte) (err error) {
		s, err = decodeSighting(observation, value)
		return err
	})
	return s, seen, err
}

// shownEnds maps an edge between home ids to nodes.
func (c *commit) shownEnds(nodes map[graph.ID]graph.ID, at ends) (ends, error) {
	for _, id := range []*graph.ID{&at.from, &at.to} {
		node, ok := nodes[*id]
		if !ok {
			var err error
			if node, err = c.nodeOf(*id); err != nil {
				return at, err
			}
			nodes[*id] = node
		}
		*id = node
	}
	return at, nil
}

// touchEdge notes that an edge changed as shown. A new observation between two nodes of one id each always
// shows; otherwise another sighting may say the same, and the edge is compared at the end.
func (c *commit) touchEdge(at ends, added bool, unsure map[ends]bool) error {
	if at.from == at.to {
		return nil
	}
	from, err1 := c.membersOf(at.from)
	to, err2 := c.membersOf(at.to)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if added && from == 0 && to == 0 {
		c.touched[at.from], c.touched[at.to] = true, true
	} else {
		unsure[at] = true
	}
	return nil
}

func (c *commit) compareEdges(unsure map[ends]bool) (err error) {
	if len(unsure) == 0 {
		return nil
	}
	before, err := c.base.edgeReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, before.close()) }()
	now, err := c.staged.edgeReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, now.close()) }()
	for at := range unsure {
		a, err := before.shown(at)
		if err != nil {
			return err
		}
		b, err := now.shown(at)
		if err != nil {
			return err
		}
		if !sameEdge(a, b) {
			c.touched[at.from], c.touched[at.to] = true, true
		}
	}
	return nil
}

func sameEdge(a, b graph.Edge) bool {
	return a.FirstSeen.Equal(b.FirstSeen) && a.LastSeen.Equal(b.LastSeen) && a.EndedAt.Equal(b.EndedAt) &&
		a.Count == b.Count && a.Inferred == b.Inferred && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Alerts, b.Alerts)
}
