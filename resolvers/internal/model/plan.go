package model

import (
	"context"
	"fmt"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// MaxRemaining bounds the remaining targets that are told of a plan.
const MaxRemaining = 100

// ContainmentPlan is the type of that name.
type ContainmentPlan struct {
	traverse.Plan
	in *inquiry
}

// ContainmentPlanResponse is the type of that name.
type ContainmentPlanResponse struct {
	Action graph.ResponseAction
	Entity Entity
}

// ContainmentPlanTarget is the type of that name.
type ContainmentPlanTarget struct {
	traverse.Target
	Entity Entity
}

// PlanArguments are the arguments of containmentPlan.
type PlanArguments struct {
	Allowed     []graph.ResponseAction
	Spared      []string
	Criticality graph.Criticality
}

// question is the plan's, without where it starts. The error wraps graph.ErrInvalid.
func (p PlanArguments) question() (q traverse.PlanQuestion, err error) {
	if p.Allowed != nil && len(p.Allowed) == 0 {
		return q, fmt.Errorf("%w: allowed is empty; leave it out to allow all actions", graph.ErrInvalid)
	}
	q.Allowed, q.Least = p.Allowed, p.Criticality
	if err := leastCriticality(q.Least); err != nil {
		return q, err
	}
	q.Spared, err = parseEntities(p.Spared)
	return q, err
}

// ContainmentPlan answers from the start. Errors: those of traverse.PlanContainment.
func (s *Session) ContainmentPlan(ctx context.Context, start Start, p PlanArguments, r *ReachInput) (*ContainmentPlan, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	a.q.Least = q.Least
	q.Question = a.q
	plan, err := a.plan(ctx, q)
	plan.Exact = plan.Exact && a.whole
	return &ContainmentPlan{plan, a}, err
}

func (a *inquiry) plan(ctx context.Context, q traverse.PlanQuestion) (traverse.Plan, error) {
	if a.nowhere() {
		return traverse.Plan{Completeness: nothing().Completeness}, a.known(ctx, q.Spared...)
	}
	ctx, cancel := traverse.Reserve(ctx, 10)
	defer cancel()
	return traverse.PlanContainment(ctx, a.ground(ctx), q)
}

// Responses in order of entity and action.
func (p *ContainmentPlan) Responses(ctx context.Context) ([]ContainmentPlanResponse, error) {
	found, err := p.in.entitiesByID(ctx, idsOf(p.Plan.Responses, func(r traverse.Response) graph.ID { return r.Entity }))
	return mapped(p.Plan.Responses, func(r traverse.Response) ContainmentPlanResponse {
		return ContainmentPlanResponse{r.Action, found[r.Entity]}
	}), err
}

// TargetCount is how many targets there are to cut off.
func (p *ContainmentPlan) TargetCount() int { return p.Targets }

// Remaining are the first targets that are not cut off.
func (p *ContainmentPlan) Remaining(ctx context.Context) ([]ContainmentPlanTarget, error) {
	first := p.Plan.Remaining[:min(len(p.Plan.Remaining), MaxRemaining)]
	found, err := p.in.entitiesByID(ctx, mapped(first, func(t traverse.Target) graph.ID { return t.ID }))
	return mapped(first, func(t traverse.Target) ContainmentPlanTarget { return ContainmentPlanTarget{t, found[t.ID]} }), err
}

// RemainingCount is how many targets are not cut off.
func (p *ContainmentPlan) RemainingCount() int { return len(p.Plan.Remaining) }

// Completeness of the question before planning.
func (p *ContainmentPlan) Completeness() Completeness { return p.in.completeness(p.Plan.Completeness) }

// Hop is the least number of hops.
func (t ContainmentPlanTarget) Hop() int { return t.Hops }

// Arrival in so many hops.
func (t ContainmentPlanTarget) Arrival() Instant { return Instant{t.Target.Arrival} }

// ContainmentPlan of the incident.
func (i *Incident) ContainmentPlan(ctx context.Context, allowed []graph.ResponseAction, spared []string, criticality graph.Criticality, reach *ReachInput) (*ContainmentPlan, error) {
	return i.in.ContainmentPlan(ctx, i.start(), PlanArguments{allowed, spared, criticality}, reach)
}

// ContainmentPlan against who holds the entity.
func (b *EntityBase) ContainmentPlan(ctx context.Context, allowed []graph.ResponseAction, spared []string, criticality graph.Criticality, reach *ReachInput) (*ContainmentPlan, error) {
	return b.in.ContainmentPlan(ctx, b.start(), PlanArguments{allowed, spared, criticality}, reach)
}
