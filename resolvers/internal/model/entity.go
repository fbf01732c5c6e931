package model

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Entity is the interface of that name.
type Entity interface {
	IsEntity()
	IsNode()
	base() *EntityBase
}

// EntityBase are the fields that all entities share.
type EntityBase struct {
	own graph.Entity
	in  *siblings[Entity]
	at  int
}

// EntityKey is the type of that name.
type EntityKey struct {
	Type, Value Word
	Strength    graph.Strength
}

// EntityEdge is the type of that name.
type EntityEdge struct {
	Cursor string
	Node   Entity
}

// EntityConnection is the type of that name.
type EntityConnection struct {
	page
	Nodes []Entity
}

// Edges are the nodes with their cursors.
func (c *EntityConnection) Edges() []*EntityEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n Entity) *EntityEdge { return &EntityEdge{cursor, n} })
}

func (s *Session) newEntities(list []graph.Entity) []Entity {
	in := newSiblings(s, make([]Entity, len(list)))
	for i, e := range list {
		v := readEntity(e)
		*v.base() = EntityBase{e, in, i}
		in.rows[i] = v
	}
	return in.rows
}

// readEntity fills the fields of its type from the keys and, over them, the properties.
func readEntity(e graph.Entity) Entity {
	var v Entity = &OtherEntity{}
	if empty, ok := entityTypes[e.Kind()]; ok {
		v = empty()
	}
	all := map[string]json.RawMessage{}
	for _, k := range slices.Backward(e.Keys) { // the first of a type stays
		all[string(k.Type)], _ = json.Marshal(k.Value)
	}
	maps.Copy(all, values(e))
	b, _ := json.Marshal(all)
	_ = json.Unmarshal(b, v) // a field of another type stays empty
	return v
}

func values(e graph.Entity) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for name, p := range e.Properties {
		if json.Valid(p.Value) {
			out[name] = p.Value
		}
	}
	return out
}

// Entity is one entity, nil where there is none.
func (s *Session) Entity(ctx context.Context, id graph.ID) (Entity, error) {
	found, err := s.entitiesByID(ctx, []graph.ID{id})
	return found[id], err
}

// IsEntity marks an Entity.
func (*EntityBase) IsEntity() {}

// IsNode marks a Node.
func (*EntityBase) IsNode() {}

func (b *EntityBase) base() *EntityBase { return b }

// ID is the canonical id.
func (b *EntityBase) ID() graph.ID { return b.own.ID }

// Kind of the entity.
func (b *EntityBase) Kind() graph.Kind { return b.own.Kind() }

// DisplayName is what people call it.
func (b *EntityBase) DisplayName() Word { return Word(b.own.DisplayName()) }

// Keys, strongest first.
func (b *EntityBase) Keys() []*EntityKey {
	out := make([]*EntityKey, len(b.own.Keys))
	for i, k := range b.own.Keys {
		out[i] = &EntityKey{Word(k.Type), Word(k.Value), k.Strength()}
	}
	return out
}

// FirstSeen is when a source first speaks of it.
func (b *EntityBase) FirstSeen() Instant { return Instant{b.own.FirstSeen} }

// LastSeen is when a source last speaks of it.
func (b *EntityBase) LastSeen() Instant { return Instant{b.own.LastSeen} }

// Sources in order.
func (b *EntityBase) Sources() []Word { return words(b.own.Sources) }

// Properties by name.
func (b *EntityBase) Properties() (json.RawMessage, error) { return graph.EncodeJSON(values(b.own)) }

// PossiblySameAs are the nodes that share a weak key.
func (b *EntityBase) PossiblySameAs(ctx context.Context) ([]Entity, error) {
	all, err := together(b.in, "possiblySameAs", func() ([][]Entity, error) {
		return b.in.entityLists(ctx, mapped(b.in.rows, func(e Entity) []graph.ID { return e.base().own.PossiblySameAs }))
	})
	if err != nil {
		return nil, err
	}
	return all[b.at], nil
}

// SameAs is the one node that is taken for the same thing.
func (b *EntityBase) SameAs(ctx context.Context) (Entity, error) {
	found, err := together(b.in, "sameAs", func() (map[graph.ID]Entity, error) {
		return b.in.entitiesByID(ctx, idsOf(b.in.rows, func(e Entity) graph.ID { return e.base().own.SameAs }))
	})
	return found[b.own.SameAs], err
}

func mapped[T, R any](rows []T, of func(T) R) []R {
	out := make([]R, len(rows))
	for i, r := range rows {
		out[i] = of(r)
	}
	return out
}
