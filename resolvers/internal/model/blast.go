package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// Reach are the arguments that all blast radius fields share.
type Reach struct {
	MaxHops     *int32
	At, AsOf    *time.Time
	ThroughHubs *bool
	TargetKinds []graph.Kind
}

// question is the reach from these sources; by default since start. The error wraps graph.ErrInvalid.
func (r Reach) question(sources []graph.ID, start time.Time) (traverse.Question, error) {
	q := traverse.Question{Sources: sources, Start: start, AsOf: instantOf(r.AsOf), TargetKinds: distinct(r.TargetKinds)}
	if r.MaxHops != nil {
		if *r.MaxHops < 1 || *r.MaxHops > traverse.MaxHops {
			return q, fmt.Errorf("%w: maxHops is %d, 1 to %d are possible", graph.ErrInvalid, *r.MaxHops, traverse.MaxHops)
		}
		q.MaxHops = int(*r.MaxHops)
	}
	if r.At != nil {
		q.Start = *r.At
	}
	q.ThroughHubs = r.ThroughHubs != nil && *r.ThroughHubs
	return q, nil
}

// BlastRadius is the type of that name.
type BlastRadius struct {
	*traverse.Answer
	s    *Session
	list string
}

// ground is where a question as of an instant is asked; a zero one is now.
func (s *Session) ground(ctx context.Context, asOf time.Time) traverse.Ground {
	if s.Ground == nil || !asOf.IsZero() {
		return traverse.Stored(s.Reader, s.View, s.Grade)
	}
	return s.Ground(ctx, s.View)
}

// blastRadius is the answer, until the operation ends.
func (s *Session) blastRadius(ctx context.Context, a *traverse.Answer, err error, list string) (*BlastRadius, error) {
	if err != nil {
		return nil, err
	}
	atEnd(ctx, a.Release)
	return &BlastRadius{a, s, list}, nil
}

// Start is what a blast radius starts from: entities, or an incident.
type Start struct {
	entities []graph.ID
	incident graph.IncidentID
}

// ParseStart reads the arguments, of which exactly one must be given. The error wraps graph.ErrInvalid.
func ParseStart(from []string, incident *string) (Start, error) {
	if (len(from) > 0) == (incident != nil) {
		return Start{}, fmt.Errorf("%w: give exactly one of from and incident", graph.ErrInvalid)
	}
	if incident != nil {
		id, err := graph.ParseIncidentID(*incident)
		return Start{incident: id}, err
	}
	ids, err := ParseIDs(from)
	return Start{entities: ids}, err
}

// BlastRadius answers from the start; graph.ErrNotFound where an entity or the incident is unknown.
func (s *Session) BlastRadius(ctx context.Context, start Start, r Reach) (*BlastRadius, error) {
	if start.incident == 0 {
		return s.blast(ctx, start.entities, time.Time{}, r)
	}
	i, err := s.Incident(ctx, start.incident)
	if err == nil && i == nil {
		err = fmt.Errorf("%w: incident %s", graph.ErrNotFound, start.incident)
	}
	if err != nil {
		return nil, err
	}
	return i.blast(ctx, r)
}

func (i *Incident) blast(ctx context.Context, r Reach) (*BlastRadius, error) {
	q, err := r.question(nil, time.Time{})
	if err != nil {
		return nil, err
	}
	answer, err := traverse.IncidentBlastRadius(ctx, i.in.Reader, i.in.View, i.Incident.ID, i.in.ground(ctx, q.AsOf), q)
	if errors.Is(err, traverse.ErrNoAssets) {
		answer, err = nowhere(), nil
	}
	return i.in.blastRadius(ctx, answer, err, listName("BlastRadius.targets", i.Incident.ID, q))
}

func (s *Session) blast(ctx context.Context, sources []graph.ID, start time.Time, r Reach) (*BlastRadius, error) {
	q, err := r.question(sources, start)
	if err != nil {
		return nil, err
	}
	answer := nowhere()
	if len(sources) > 0 {
		answer, err = traverse.BlastRadius(ctx, s.ground(ctx, q.AsOf), q)
	}
	return s.blastRadius(ctx, answer, err, listName("BlastRadius.targets", q))
}

// nowhere is the answer where there is nothing to start from.
func nowhere() *traverse.Answer {
	return &traverse.Answer{Completeness: traverse.Completeness{Complete: true}}
}

// BlastRadius of the incident.
func (i *Incident) BlastRadius(ctx context.Context, maxHops *int32, at, asOf *time.Time, throughHubs *bool, targetKinds []graph.Kind) (*BlastRadius, error) {
	return i.blast(ctx, Reach{maxHops, at, asOf, throughHubs, targetKinds})
}

// BlastRadius of the entity.
func (b *EntityBase) BlastRadius(ctx context.Context, maxHops *int32, at, asOf *time.Time, throughHubs *bool, targetKinds []graph.Kind) (*BlastRadius, error) {
	return b.in.blast(ctx, []graph.ID{b.ID()}, time.Time{}, Reach{maxHops, at, asOf, throughHubs, targetKinds})
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

// Completeness is the type of that name.
type Completeness struct {
	Complete                   bool
	Reason                     traverse.Limit
	VisitedNodes, VisitedEdges int
}

// Completeness of the answer.
func (b *BlastRadius) Completeness() Completeness {
	c := b.Answer.Completeness
	return Completeness{c.Complete, c.Reason, c.Nodes, c.Edges}
}

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
