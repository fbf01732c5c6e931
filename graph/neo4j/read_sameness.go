package neo4j

import (
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// nodes implements rules.Nodes with what was read ahead. What it does not have yet it notes as missing, and answers
// that there is none; complete asks again when that was read. So what one entity needs of the server, a page needs
// no more often.
type nodes struct {
	r        *reader
	entities map[graph.ID]graph.Entity // zero for what is no node
	bearers  map[rules.BearerQuery][]rules.Bearer
	// lacking counts the answers that were not there, wanted and asked are the questions.
	lacking int
	wanted  map[graph.ID]bool
	asked   map[rules.BearerQuery]bool
}

func newNodes(r *reader) *nodes {
	return &nodes{
		r: r, entities: map[graph.ID]graph.Entity{}, bearers: map[rules.BearerQuery][]rules.Bearer{},
		wanted: map[graph.ID]bool{}, asked: map[rules.BearerQuery]bool{},
	}
}

// Entity implements rules.Nodes.
func (n *nodes) Entity(id graph.ID) (graph.Entity, bool, error) {
	e, ok := n.entities[id]
	if !ok {
		n.lacking++
		n.wanted[id] = true
	}
	return e, !e.ID.IsZero(), nil
}

// Bearers implements rules.Nodes.
func (n *nodes) Bearers(q rules.BearerQuery) ([]rules.Bearer, error) {
	found, ok := n.bearers[q]
	if !ok {
		n.lacking++
		n.asked[q] = true
	}
	return found, nil
}

// complete calls answer for each of count items until it lacked nothing.
func (n *nodes) complete(count int, answer func(i int, same rules.Sameness) error) error {
	todo := make([]int, count)
	for i := range todo {
		todo[i] = i
	}
	for len(todo) > 0 {
		same, left := rules.NewSameness(n), todo[:0]
		for _, i := range todo {
			before := n.lacking
			if err := answer(i, same); err != nil {
				return err
			}
			if n.lacking > before {
				left = append(left, i)
				same = rules.NewSameness(n) // the other one remembers what it was told wrong
			}
		}
		if err := n.load(); err != nil {
			return err
		}
		todo = left
	}
	return nil
}

// load reads what is missing.
func (n *nodes) load() error {
	ids := slices.Collect(maps.Keys(n.wanted))
	found, err := n.r.nodes(ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if e := found[i]; e.ID == id {
			n.entities[id] = e
		} else {
			n.entities[id] = graph.Entity{} // it belongs to another
		}
	}
	queries := slices.Collect(maps.Keys(n.asked))
	bearers, err := n.r.Bearers(n.r.ctx, queries)
	if err != nil {
		return err
	}
	for i, q := range queries {
		n.bearers[q] = bearers[i]
	}
	clear(n.wanted)
	clear(n.asked)
	return nil
}
