package model

import (
	"context"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// defaultPaths are the paths of a question that names no number.
const defaultPaths = 3

// Paths is the type of that name.
type Paths struct {
	Routes       []*BlastRadiusRoute
	Completeness Completeness
}

// Paths answers from the start. Errors: those of traverse.Paths.
func (s *Session) Paths(ctx context.Context, start Start, to string, first *int32, r *ReachInput) (*Paths, error) {
	k, err := within("first", first, defaultPaths, traverse.MaxPaths)
	if err != nil {
		return nil, err
	}
	goal, err := parseEntity(to)
	if err != nil {
		return nil, err
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	found, err := a.paths(ctx, goal, k)
	if err != nil {
		return nil, err
	}
	kin := newSiblings[*WitnessStep](s, nil)
	routes := mapped(found.Routes, func(r traverse.Route) *BlastRadiusRoute { return &BlastRadiusRoute{r, kinSteps(kin, r.Steps)} })
	return &Paths{routes, a.completeness(found.Completeness)}, nil
}

func (a *inquiry) paths(ctx context.Context, goal graph.ID, k int) (traverse.PathsAnswer, error) {
	if a.nowhere() {
		return traverse.PathsAnswer{Completeness: nothing().Completeness}, a.known(ctx, goal)
	}
	ctx, cancel := traverse.Reserve(ctx, 10)
	defer cancel()
	return traverse.Paths(ctx, a.ground(ctx), a.q, goal, k)
}

// Paths from the incident.
func (i *Incident) Paths(ctx context.Context, to string, first *int32, reach *ReachInput) (*Paths, error) {
	return i.in.Paths(ctx, i.start(), to, first, reach)
}

// Paths from the entity.
func (b *EntityBase) Paths(ctx context.Context, to string, first *int32, reach *ReachInput) (*Paths, error) {
	return b.in.Paths(ctx, b.start(), to, first, reach)
}

// AttackPath is the type of that name.
type AttackPath struct{ *BlastRadiusTarget }

// Nearest is the way of the least hops.
func (p *AttackPath) Nearest() *BlastRadiusRoute { return p.nearest() }

// AttackPathEdge is the type of that name.
type AttackPathEdge struct {
	Cursor string
	Node   *AttackPath
}

// AttackPathConnection is the type of that name.
type AttackPathConnection struct {
	page
	Nodes        []*AttackPath
	Completeness Completeness
}

// Edges are the nodes with their cursors.
func (c *AttackPathConnection) Edges() []*AttackPathEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n *AttackPath) *AttackPathEdge { return &AttackPathEdge{cursor, n} })
}

// AttackPaths answers from the start. Errors: those of traverse.BlastRadius.
func (s *Session) AttackPaths(ctx context.Context, start Start, least graph.Criticality, first *int32, after *string, r *ReachInput) (*AttackPathConnection, error) {
	if err := leastCriticality(least); err != nil {
		return nil, err
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	a.q.Least = least
	answer, err := a.blast(ctx)
	if err != nil {
		return nil, err
	}
	atEnd(ctx, answer.Release)
	all := targetList{s, a.list("AttackPaths", least), answer, answer.List, counted(answer.Targets)}
	targets, err := all.connection(ctx, first, after)
	if err != nil {
		return nil, err
	}
	paths := mapped(targets.Nodes, func(t *BlastRadiusTarget) *AttackPath { return &AttackPath{t} })
	return &AttackPathConnection{targets.page, paths, a.completeness(answer.Completeness)}, nil
}

// AttackPaths from the incident.
func (i *Incident) AttackPaths(ctx context.Context, criticality graph.Criticality, first *int32, after *string, reach *ReachInput) (*AttackPathConnection, error) {
	return i.in.AttackPaths(ctx, i.start(), criticality, first, after, reach)
}

// AttackPaths from the entity.
func (b *EntityBase) AttackPaths(ctx context.Context, criticality graph.Criticality, first *int32, after *string, reach *ReachInput) (*AttackPathConnection, error) {
	return b.in.AttackPaths(ctx, b.start(), criticality, first, after, reach)
}
