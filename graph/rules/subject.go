package rules

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// subject is all that a commit knows of one id: what was committed, and what the batch makes of it.
type subject struct {
	id  graph.ID
	was *Home
	// atom is what was newly observed under it; nil for nothing.
	atom *AtomWrite
	// node it belonged to, and belongs to.
	stood, node graph.ID
	// joined are the ids that come to it, where it is a node. gained is what it gains and loses of them.
	joined []graph.ID
	gained int
	// row is that of the node as it will be.
	row NodeWrite
	// twin is set on a node of which another id is now observed for the first time, regrouped on one that gains or
	// loses ids.
	twin, regrouped bool
	// changed is set where anything of it is to be written, its row where rewritten is.
	changed, rewritten bool
	// touched is set on a node that changed as shown, the ends of changed edges included.
	touched bool
}

func (s *subject) begin(id graph.ID, was *Home) {
	s.id, s.was, s.stood = id, was, was.Node
	if s.stood.IsZero() {
		s.stood = id
	}
	s.node = s.stood
	s.row = NodeWrite{ID: id, Revision: was.Revision, Members: was.Members, Alone: was.Alone}
}

// facts were observed under the id; without keys where none were.
func (s *subject) facts() *graph.Facts {
	if s.atom != nil {
		return &s.atom.Facts
	}
	return &s.was.Facts
}

// isNew reports whether it was never observed before.
func (s *subject) isNew() bool { return s.atom != nil && s.atom.New }

func (s *subject) moved() bool { return s.node != s.stood }

// wasNode and isNode report whether it is canonical and was observed.
func (s *subject) wasNode() bool { return s.stood == s.id && s.was.Observed() }
func (s *subject) isNode() bool  { return s.node == s.id && len(s.facts().Keys) > 0 }

// isSingle reports whether all that a node has was observed under its own id.
func (s *subject) isSingle() bool { return s.row.Members == 0 || s.row.Alone }

// home is what it comes to be.
func (s *subject) home() Home {
	h := Home{Facts: *s.facts(), Node: s.node}
	if s.node == s.id {
		h.Revision, h.Members, h.Alone = s.row.Revision, s.row.Members, s.row.Alone
	}
	return h
}

// subjectsOf asks for what is not known yet in one question.
func (c *commit) subjectsOf(ids []graph.ID) ([]*subject, error) {
	if err := c.base.loadHomes(ids); err != nil {
		return nil, err
	}
	out, room := make([]*subject, len(ids)), make([]subject, 0, len(ids))
	for i, id := range ids {
		s, known := c.subjects[id]
		if !known {
			room = append(room, subject{})
			s = &room[len(room)-1]
			s.begin(id, c.base.homes[id])
			c.subjects[id] = s
		}
		out[i] = s
	}
	return out, nil
}

func (c *commit) subject(id graph.ID) (*subject, error) {
	if s, known := c.subjects[id]; known {
		return s, nil
	}
	one, err := c.subjectsOf([]graph.ID{id})
	if err != nil {
		return nil, err
	}
	return one[0], nil
}

// nodeOf is the subject's node.
func (c *commit) nodeOf(s *subject) (*subject, error) {
	if s.node == s.id {
		return s, nil
	}
	return c.subject(s.node)
}

// change notes that something of it is to be written.
func (c *commit) change(s *subject) {
	if !s.changed {
		s.changed, c.changed = true, append(c.changed, s)
	}
}

// rewrite changes the row of a node.
func (c *commit) rewrite(s *subject, row NodeWrite) {
	s.row, s.rewritten = row, true
	c.change(s)
}

// touch notes that a node changed as shown.
func (c *commit) touch(s *subject) {
	if !s.touched {
		s.touched, c.touched = true, append(c.touched, s.id)
	}
}

func (c *commit) touchNode(id graph.ID) error {
	s, err := c.subject(id)
	if err == nil {
		c.touch(s)
	}
	return err
}

// collect hands what changed over for writing, in order.
func (c *commit) collect() {
	slices.SortFunc(c.changed, func(a, b *subject) int { return a.id.Compare(b.id) })
	c.out.Atoms, c.out.Homes = c.atoms, make([]HomeWrite, 0, len(c.changed))
	for _, s := range c.changed {
		if s.moved() {
			c.out.Moves = append(c.out.Moves, Move{s.id, s.stood, s.node})
		}
		if s.rewritten {
			c.out.Nodes = append(c.out.Nodes, s.row)
		}
		c.out.Homes = append(c.out.Homes, HomeWrite{s.id, s.home()})
	}
}
