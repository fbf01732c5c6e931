package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// Relation is the type of that name.
type Relation struct {
	graph.Edge
	in *siblings[*Relation]
	at int
}

// NeighborEdge is the type of that name.
type NeighborEdge struct {
	Cursor   string
	Node     Entity
	Relation *Relation
}

// NeighborConnection is the type of that name.
type NeighborConnection struct {
	page
	Nodes     []Entity
	relations []*Relation
}

// Edges are the nodes with their cursors and relations.
func (c *NeighborConnection) Edges() []*NeighborEdge {
	out := edgesOf(c.page, c.Nodes, func(cursor string, n Entity) *NeighborEdge { return &NeighborEdge{cursor, n, nil} })
	for i := range out {
		out[i].Relation = c.relations[i]
	}
	return out
}

// neighbor is an edge as seen from one of its ends.
type neighbor struct {
	edge graph.Edge
	in   bool
}

func (n neighbor) far() graph.ID {
	if n.in {
		return n.edge.From
	}
	return n.edge.To
}

// neighborSize is the length of a neighbor's sort key.
const neighborSize = 2 + idSize

// key orders neighbors by relation, direction and id, and tells them apart.
func (n neighbor) key() []byte {
	far := n.far()
	in := byte(0)
	if n.in {
		in = 1
	}
	return append([]byte{byte(n.edge.Kind), in}, far[:]...)
}

// neighborhood collects the first of one entity's neighbors in order, and counts them, without holding more
// than a few pages of a hub.
type neighborhood struct {
	p     paging
	kept  []neighbor
	seen  map[string]bool // up to graph.MaxCount
	count count
}

func (h *neighborhood) add(n neighbor) {
	key := string(n.key())
	if h.seen[key] {
		return
	}
	if len(h.seen) < graph.MaxCount {
		h.seen[key] = true
	} else {
		h.count.capped = true
	}
	h.count.total = len(h.seen)
	if h.p.after != nil && key <= string(h.p.after) {
		return
	}
	if h.kept = append(h.kept, n); len(h.kept) > 4*(h.p.first+1) {
		h.trim()
	}
}

// trim keeps a page and one more.
func (h *neighborhood) trim() {
	slices.SortFunc(h.kept, func(a, b neighbor) int { return slices.Compare(a.key(), b.key()) })
	h.kept = slices.CompactFunc(h.kept, func(a, b neighbor) bool { return slices.Equal(a.key(), b.key()) })
	h.kept = h.kept[:min(len(h.kept), h.p.first+1)]
}

// Neighbors are what the entity is related to.
func (b *EntityBase) Neighbors(ctx context.Context, kinds []graph.EdgeKind, direction graph.Direction, asOf *time.Time, first *int32, after *string) (*NeighborConnection, error) {
	q := graph.EdgeQuery{Kinds: distinct(kinds), Direction: direction, AsOf: instantOf(asOf)}
	name := listName("Entity.neighbors", q)
	p, err := b.in.paging(name+b.ID().String(), neighborSize, first, after)
	if err != nil {
		return nil, err
	}
	all, err := together(b.in, name+p.question(), func() ([]*NeighborConnection, error) {
		return neighborsOf(ctx, b.in, q, name, p)
	})
	if err != nil {
		return nil, err
	}
	return all[b.at], nil
}

func instantOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// neighborsOf reads the edges of all rows in one pass, and then the entities at their other ends.
func neighborsOf(ctx context.Context, in *siblings[Entity], q graph.EdgeQuery, name string, p paging) ([]*NeighborConnection, error) {
	hoods, err := in.neighborhoods(ctx, in.rows, q, p)
	if err != nil {
		return nil, err
	}
	far := mapped(hoods, func(h *neighborhood) []graph.ID { return mapped(h.kept[:min(len(h.kept), p.first)], neighbor.far) })
	entities, err := in.entityLists(ctx, far)
	if err != nil {
		return nil, err
	}
	kin := newSiblings[*Relation](in.Session, nil)
	out := make([]*NeighborConnection, len(hoods))
	for i, h := range hoods {
		if len(entities[i]) != len(far[i]) {
			return nil, fmt.Errorf("an edge of %s leads to an unknown entity", in.rows[i].base().ID())
		}
		own := p
		own.list = name + in.rows[i].base().ID().String()
		part := h.kept[:len(far[i])]
		c := &NeighborConnection{in.page(own, keysOf(part, neighbor.key), len(h.kept) > p.first, fixed(h.count)), entities[i], nil}
		for _, n := range part {
			r := &Relation{n.edge, kin, len(kin.rows)}
			kin.rows, c.relations = append(kin.rows, r), append(c.relations, r)
		}
		out[i] = c
	}
	return out, nil
}

func fixed(c count) func(context.Context) (count, error) {
	return func(context.Context) (count, error) { return c, nil }
}

// edgesPerRow is how many edges walked are charged as one row: less is kept of them.
const edgesPerRow = 8

func (s *Session) neighborhoods(ctx context.Context, rows []Entity, q graph.EdgeQuery, p paging) ([]*neighborhood, error) {
	hoods, at := make([]*neighborhood, len(rows)), map[graph.ID]*neighborhood{}
	for i, r := range rows {
		hoods[i] = &neighborhood{p: p, seen: map[string]bool{}}
		at[r.base().ID()] = hoods[i]
		q.Nodes = append(q.Nodes, r.base().ID())
	}
	n := 0
	for e, err := range s.Reader.Edges(ctx, s.View, q) {
		if n++; err == nil && n%edgesPerRow == 0 {
			err = charged(ctx, 1)
		}
		if err != nil {
			return nil, err
		}
		if h := at[e.From]; h != nil && q.Direction&graph.Out != 0 {
			h.add(neighbor{e, false})
		}
		if h := at[e.To]; h != nil && q.Direction&graph.In != 0 && e.From != e.To {
			h.add(neighbor{e, true})
		}
	}
	for _, h := range hoods {
		h.trim()
	}
	return hoods, nil
}

// FirstSeen is when it was first seen.
func (r *Relation) FirstSeen() Instant { return Instant{r.Edge.FirstSeen} }

// LastSeen is when it was last seen.
func (r *Relation) LastSeen() Instant { return Instant{r.Edge.LastSeen} }

// EndedAt is when a source says it ended.
func (r *Relation) EndedAt() Instant { return Instant{r.Edge.EndedAt} }

// Sources in order.
func (r *Relation) Sources() []Word { return words(r.Edge.Sources) }

// Alerts that prove it.
func (r *Relation) Alerts(ctx context.Context) ([]*Alert, error) {
	all, err := together(r.in, "alerts", func() ([][]*Alert, error) {
		return r.in.alertLists(ctx, mapped(r.in.rows, func(r *Relation) []graph.ID { return r.Edge.Alerts }))
	})
	if err != nil {
		return nil, err
	}
	return all[r.at], nil
}
