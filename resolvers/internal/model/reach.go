package model

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// ReachInput is the input of that name: what all questions of reach share.
type ReachInput struct {
	MaxHops     *int32
	At, AsOf    *time.Time
	ThroughHubs *bool
	TargetKinds []graph.Kind
	EdgeKinds   []graph.EdgeKind
	Timeless    *bool
	EveryEdge   *bool
}

// question is the reach without sources; nil is the reach by default. The error wraps graph.ErrInvalid.
func (r *ReachInput) question() (traverse.Question, error) {
	if r == nil {
		r = &ReachInput{}
	}
	q := traverse.Question{
		Start: instantOf(r.At), AsOf: instantOf(r.AsOf), TargetKinds: distinct(r.TargetKinds), EdgeKinds: distinct(r.EdgeKinds),
		ThroughHubs: isSet(r.ThroughHubs), Timeless: isSet(r.Timeless), EveryEdge: isSet(r.EveryEdge),
	}
	if r.TargetKinds != nil && q.TargetKinds == nil || r.EdgeKinds != nil && q.EdgeKinds == nil {
		return q, fmt.Errorf("%w: targetKinds or edgeKinds is empty: leave it out for those by default", graph.ErrInvalid)
	}
	if r.MaxHops == nil {
		return q, nil
	}
	var err error
	q.MaxHops, err = within("maxHops", r.MaxHops, 0, traverse.MaxHops)
	return q, err
}

func isSet(b *bool) bool { return b != nil && *b }

// within is a number from 1 to most, by default otherwise. The error wraps graph.ErrInvalid.
func within(name string, n *int32, otherwise, most int) (int, error) {
	switch {
	case n == nil:
		return otherwise, nil
	case *n < 1 || int(*n) > most:
		return 0, fmt.Errorf("%w: %s is %d, 1 to %d are possible", graph.ErrInvalid, name, *n, most)
	}
	return int(*n), nil
}

// Start is what an attacker starts from: entities, or an incident.
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
	ids, err := parseEntities(from)
	return Start{entities: ids}, err
}

// start is the incident.
func (i *Incident) start() Start { return Start{incident: i.Incident.ID} }

// start is the entity.
func (b *EntityBase) start() Start { return Start{entities: []graph.ID{b.ID()}} }

// inquiry is a question of reach whose sources were found; there are none where an incident has no assets.
type inquiry struct {
	*Session
	q traverse.Question
	// asked is what was asked, to tell lists apart: an incident's are the same whatever its evidence comes to say.
	asked []any
	// whole is not set where not all of an incident's evidence was read.
	whole bool
}

// inquire finds the sources. Errors: graph.ErrInvalid, graph.ErrNotFound for the incident, and the store's.
func (s *Session) inquire(ctx context.Context, start Start, r *ReachInput) (*inquiry, error) {
	q, err := r.question()
	if err != nil {
		return nil, err
	}
	if start.incident == 0 {
		q.Sources = start.entities
		return &inquiry{s, q, []any{q}, true}, nil
	}
	in := &inquiry{Session: s, asked: []any{start.incident, q}}
	in.q, in.whole, err = traverse.IncidentQuestion(ctx, s.Reader, s.View, start.incident, q)
	if errors.Is(err, traverse.ErrNoAssets) {
		err = nil
	}
	return in, err
}

// nowhere reports whether there is nothing to start from: then nothing is reached.
func (a *inquiry) nowhere() bool { return len(a.q.Sources) == 0 }

// nothing is the answer where there is nothing to start from.
func nothing() *traverse.Answer {
	return &traverse.Answer{Completeness: traverse.Completeness{Reason: traverse.LimitNoSources}}
}

// list names a list of an answer.
func (a *inquiry) list(field string, args ...any) string {
	return listName(field, append(args, a.asked...)...)
}

// ground is where questions are asked.
func (s *Session) ground(ctx context.Context) traverse.Ground {
	if s.Ground == nil {
		return traverse.Stored(s.Reader, s.View, s.Grade)
	}
	return s.Ground(ctx, s.View)
}

// known looks for what a question names that is not asked, since it has no sources. Errors: graph.ErrNotFound, the store's.
func (a *inquiry) known(ctx context.Context, named ...graph.ID) error {
	if len(named) == 0 { // the query would be a scan
		return nil
	}
	_, err := a.named(ctx, named)
	return err
}

// named reads entities, one for each id. Errors: graph.ErrNotFound, the store's.
func (s *Session) named(ctx context.Context, ids []graph.ID) ([]graph.Entity, error) {
	found, err := s.Reader.Entities(ctx, s.View, graph.EntityQuery{IDs: ids})
	for i, e := range found {
		if e.ID.IsZero() {
			return nil, fmt.Errorf("%w: entity %s", graph.ErrNotFound, ids[i])
		}
	}
	return found, err
}

// leastCriticality refuses unknown as the least that counts. The error wraps graph.ErrInvalid.
func leastCriticality(c graph.Criticality) error {
	if c == graph.CriticalityUnknown {
		return fmt.Errorf("%w: criticality must be low, medium, high or veryHigh", graph.ErrInvalid)
	}
	return nil
}

// Completeness is the type of that name.
type Completeness struct {
	Complete                   bool
	Reason                     traverse.Limit
	VisitedNodes, VisitedEdges int
}

// completeness says also whether the question started from all sources.
func (a *inquiry) completeness(c traverse.Completeness) Completeness {
	if !a.whole {
		c = c.OfPart()
	}
	return Completeness{c.Complete, c.Reason, c.Nodes, c.Edges}
}
