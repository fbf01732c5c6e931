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
	traverse.Answer
	s    *Session
	list string
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
	answer, err := traverse.IncidentBlastRadius(ctx, i.in.Reader, i.in.View, i.Incident.ID, q)
	if errors.Is(err, traverse.ErrNoAssets) {
		answer, err = traverse.Answer{Completeness: traverse.Completeness{Complete: true}}, nil
	}
	return &BlastRadius{answer, i.in.Session, listName("BlastRadius.targets", i.Incident.ID, q)}, err
}

func (s *Session) blast(ctx context.Context, sources []graph.ID, start time.Time, r Reach) (*BlastRadius, error) {
	q, err := r.question(sources, start)
	if err != nil {
		return nil, err
	}
	answer := traverse.Answer{Completeness: traverse.Completeness{Complete: true}}
	if len(sources) > 0 {
		answer, err = traverse.BlastRadius(ctx, traverse.OverReader(s.Reader, s.View), q)
	}
	return &BlastRadius{answer, s, listName("BlastRadius.targets", q)}, err
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

// targetKey orders as traverse.Answer.Targets are: by hops, arrival, the unknown first, and id.
func targetKey(t traverse.Target) []byte {
	var at uint64
	if !t.Nearest.Arrival.IsZero() {
		at = uint64(t.Nearest.Arrival.UnixMicro()) ^ 1<<63
	}
	return append(binary.BigEndian.AppendUint64([]byte{byte(t.Nearest.Hops)}, at), t.ID[:]...)
}
