package model

import (
	"context"
	"fmt"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// ResponseActionInput is the input of that name.
type ResponseActionInput struct {
	Action   graph.ResponseAction
	EntityID string
}

// responsesOf reads what is done, at least one thing. The error wraps graph.ErrInvalid.
func responsesOf(actions []*ResponseActionInput) ([]traverse.Response, error) {
	if n := len(actions); n < 1 || n > traverse.MaxResponses {
		return nil, fmt.Errorf("%w: actions has %d items, 1 to %d are possible", graph.ErrInvalid, n, traverse.MaxResponses)
	}
	out := make([]traverse.Response, len(actions))
	for i, a := range actions {
		id, err := parseEntity(a.EntityID)
		if err != nil {
			return nil, err
		}
		out[i] = traverse.Response{Action: a.Action, Entity: id}
	}
	return out, nil
}

// Containment is the type of that name.
type Containment struct {
	*traverse.Containment
	Before, After *BlastRadius
	targets       targetList
}

// Containment answers from the start. Errors: those of traverse.Contain.
func (s *Session) Containment(ctx context.Context, start Start, actions []*ResponseActionInput, r *ReachInput) (*Containment, error) {
	responses, err := responsesOf(actions)
	if err != nil {
		return nil, err
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	c, err := a.contain(ctx, responses)
	if err != nil {
		return nil, err
	}
	atEnd(ctx, c.Release)
	return &Containment{
		c, a.blastRadius(c.Before, a.list("Containment.before", responses)), a.blastRadius(c.After, a.list("Containment.after", responses)),
		targetList{s, a.list("Containment.targets", responses), c.Before, c.List, counting(c.List)},
	}, nil
}

func (a *inquiry) contain(ctx context.Context, responses []traverse.Response) (*traverse.Containment, error) {
	if a.nowhere() {
		return &traverse.Containment{Before: nothing(), After: nothing()},
			a.known(ctx, mapped(responses, func(r traverse.Response) graph.ID { return r.Entity })...)
	}
	ctx, cancel := traverse.Reserve(ctx, 10)
	defer cancel()
	return traverse.Contain(ctx, a.ground(ctx), a.q, responses)
}

// Targets that are cut off, by hops, arrival and id.
func (c *Containment) Targets(ctx context.Context, first *int32, after *string) (*BlastRadiusTargetConnection, error) {
	return c.targets.connection(ctx, first, after)
}

// Containment of the incident.
func (i *Incident) Containment(ctx context.Context, actions []*ResponseActionInput, reach *ReachInput) (*Containment, error) {
	return i.in.Containment(ctx, i.start(), actions, reach)
}

// Containment of who holds the entity.
func (b *EntityBase) Containment(ctx context.Context, actions []*ResponseActionInput, reach *ReachInput) (*Containment, error) {
	return b.in.Containment(ctx, b.start(), actions, reach)
}
