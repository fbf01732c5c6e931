package model

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// BlastRadius is the type of that name.
type BlastRadius struct {
	*traverse.Answer
	s            *Session
	list         string
	completeness Completeness
}

// blastRadius is an answer under the name of its list. Its memory is the caller's to release.
func (a *inquiry) blastRadius(answer *traverse.Answer, list string) *BlastRadius {
	return &BlastRadius{answer, a.Session, list, a.completeness(answer.Completeness)}
}

// blast asks for the blast radius.
func (a *inquiry) blast(ctx context.Context) (*traverse.Answer, error) {
	if a.nowhere() {
		return nothing(), nil
	}
	return traverse.BlastRadius(ctx, a.ground(ctx), a.q)
}

// BlastRadius answers from the start; graph.ErrNotFound where an entity or the incident is unknown.
func (s *Session) BlastRadius(ctx context.Context, start Start, r *ReachInput) (*BlastRadius, error) {
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	answer, err := a.blast(ctx)
	if err != nil {
		return nil, err
	}
	atEnd(ctx, answer.Release)
	return a.blastRadius(answer, a.list("BlastRadius.targets")), nil
}

// BlastRadius of the incident.
func (i *Incident) BlastRadius(ctx context.Context, maxHops *int32, at, asOf *time.Time, throughHubs *bool, targetKinds []graph.Kind, edgeKinds []graph.EdgeKind, timeless, everyEdge *bool) (*BlastRadius, error) {
	return i.in.BlastRadius(ctx, i.start(), &ReachInput{maxHops, at, asOf, throughHubs, targetKinds, edgeKinds, timeless, everyEdge})
}

// BlastRadius of the entity.
func (b *EntityBase) BlastRadius(ctx context.Context, maxHops *int32, at, asOf *time.Time, throughHubs *bool, targetKinds []graph.Kind, edgeKinds []graph.EdgeKind, timeless, everyEdge *bool) (*BlastRadius, error) {
	return b.in.BlastRadius(ctx, b.start(), &ReachInput{maxHops, at, asOf, throughHubs, targetKinds, edgeKinds, timeless, everyEdge})
}

// BlastRadiusHop is the type of that name.
type BlastRadiusHop struct {
	Hop, Total int
	Counts     []KindCount
}

// KindCount is the type of that name.
type KindCount struct {
	Kind  graph.Kind
	Count int
}

// Hops count what was reached.
func (b *BlastRadius) Hops() []BlastRadiusHop {
	out := make([]BlastRadiusHop, len(b.Answer.Hops))
	for i, h := range b.Answer.Hops {
		out[i] = BlastRadiusHop{Hop: h.Hops, Total: h.Total}
		for _, k := range slices.Sorted(maps.Keys(h.ByKind)) {
			out[i].Counts = append(out[i].Counts, KindCount{k, h.ByKind[k]})
		}
	}
	return out
}

// Sources are what the attacker starts from.
func (b *BlastRadius) Sources(ctx context.Context) ([]Entity, error) {
	all, err := b.s.entityLists(ctx, [][]graph.ID{b.Answer.Sources})
	return all[0], err
}

// Completeness of the answer.
func (b *BlastRadius) Completeness() Completeness { return b.completeness }

// BlastRadiusHub is the type of that name.
type BlastRadiusHub struct {
	Entity Entity
	Degree int
}

// MaxHubs bounds the hubs that are told.
const MaxHubs = 100

// Hubs that were not walked through.
func (b *BlastRadius) Hubs(ctx context.Context) ([]BlastRadiusHub, error) {
	hubs := b.Answer.Hubs[:min(len(b.Answer.Hubs), MaxHubs)]
	found, err := b.s.entitiesByID(ctx, mapped(hubs, func(h traverse.Hub) graph.ID { return h.ID }))
	return mapped(hubs, func(h traverse.Hub) BlastRadiusHub { return BlastRadiusHub{found[h.ID], h.Degree} }), err
}

// targetSize is the length of a target's sort key.
const targetSize = 1 + 8 + idSize

// targetKey orders as traverse.Answer.List does: by hops, arrival, the unknown first, and id.
func targetKey(t traverse.Target) []byte {
	var at uint64
	if !t.Arrival.IsZero() {
		at = uint64(t.Arrival.UnixMicro()) ^ 1<<63
	}
	return append(binary.BigEndian.AppendUint64([]byte{byte(t.Hops)}, at), t.ID[:]...)
}

// targetOf is the target with this sort key, as far as traverse.Answer.List asks; nil for none.
func targetOf(key []byte) *traverse.Target {
	if len(key) != targetSize {
		return nil
	}
	t := traverse.Target{Hops: int(key[0]), ID: graph.ID(key[1+8:])}
	if at := binary.BigEndian.Uint64(key[1:]); at != 0 {
		t.Arrival = time.UnixMicro(int64(at ^ 1<<63)).UTC()
	}
	return &t
}
