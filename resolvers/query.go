package resolvers

import (
	"context"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers/internal/generated"
	"github.com/clew-security/clew/resolvers/internal/model"
)

// root is the generated code's way to the resolvers.
type root struct {
	query
	mutation
}

// Query gives the resolvers of the questions.
func (r root) Query() generated.QueryResolver { return r.query }

// Mutation gives the resolvers of the changes.
func (r root) Mutation() generated.MutationResolver { return r.mutation }

// query answers the fields of Query; all further fields are answered by the types of package model.
type query struct {
	store   graph.Reader
	ground  func(context.Context, graph.View) traverse.Ground
	cursors model.Cursors
	grade   graph.Criticalities
}

// session reads in the view of the request.
func (q query) session(ctx context.Context) *model.Session {
	return &model.Session{Reader: q.store, View: viewOf(ctx), Cursors: q.cursors, Grade: q.grade, Ground: q.ground}
}

// Incidents resolves Query.incidents.
func (q query) Incidents(ctx context.Context, first *int32, after *string, filter *model.IncidentFilter, orderBy graph.TickOrder) (*model.IncidentConnection, error) {
	return q.session(ctx).Incidents(ctx, filter, orderBy, first, after)
}

// Incident resolves Query.incident.
func (q query) Incident(ctx context.Context, id string) (*model.Incident, error) {
	n, err := graph.ParseIncidentID(id)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).Incident(ctx, n)
}

// Alerts resolves Query.alerts.
func (q query) Alerts(ctx context.Context, first *int32, after *string, filter *model.AlertFilter, orderBy graph.TickOrder) (*model.AlertConnection, error) {
	return q.session(ctx).Alerts(ctx, filter, orderBy, first, after)
}

// Alert resolves Query.alert.
func (q query) Alert(ctx context.Context, id string) (*model.Alert, error) {
	v, err := graph.ParseID(id)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).Alert(ctx, v)
}

// Entity resolves Query.entity.
func (q query) Entity(ctx context.Context, id string) (model.Entity, error) {
	v, err := graph.ParseID(id)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).Entity(ctx, v)
}

// Node resolves Query.node.
func (q query) Node(ctx context.Context, id string) (model.Node, error) {
	return q.session(ctx).Node(ctx, id)
}

// AttackStory resolves Query.attackStory.
func (q query) AttackStory(ctx context.Context, incident string) ([]*model.AttackStoryStep, error) {
	id, err := graph.ParseIncidentID(incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).AttackStorySteps(ctx, id)
}

// BlastRadius resolves Query.blastRadius.
func (q query) BlastRadius(ctx context.Context, from []string, incident *string, maxHops *int32, at, asOf *time.Time, throughHubs *bool, targetKinds []graph.Kind, edgeKinds []graph.EdgeKind, timeless, everyEdge *bool) (*model.BlastRadius, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	reach := model.ReachInput{
		MaxHops: maxHops, At: at, AsOf: asOf, ThroughHubs: throughHubs, TargetKinds: targetKinds, EdgeKinds: edgeKinds, Timeless: timeless, EveryEdge: everyEdge,
	}
	return q.session(ctx).BlastRadius(ctx, start, &reach)
}

// Containment resolves Query.containment.
func (q query) Containment(ctx context.Context, from []string, incident *string, actions []*model.ResponseActionInput, reach *model.ReachInput) (*model.Containment, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).Containment(ctx, start, actions, reach)
}

// ContainmentPlan resolves Query.containmentPlan.
func (q query) ContainmentPlan(ctx context.Context, from []string, incident *string, allowed []graph.ResponseAction, spared []string, criticality graph.Criticality, reach *model.ReachInput) (*model.ContainmentPlan, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).ContainmentPlan(ctx, start, model.PlanArguments{Allowed: allowed, Spared: spared, Criticality: criticality}, reach)
}

// Paths resolves Query.paths.
func (q query) Paths(ctx context.Context, from []string, incident *string, to string, first *int32, reach *model.ReachInput) (*model.Paths, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).Paths(ctx, start, to, first, reach)
}

// AttackPaths resolves Query.attackPaths.
func (q query) AttackPaths(ctx context.Context, from []string, incident *string, criticality graph.Criticality, first *int32, after *string, reach *model.ReachInput) (*model.AttackPathConnection, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).AttackPaths(ctx, start, criticality, first, after, reach)
}

// ChokePoints resolves Query.chokePoints.
func (q query) ChokePoints(ctx context.Context, from []string, incident *string, first *int32, reach *model.ReachInput) (*model.ChokePoints, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).ChokePoints(ctx, start, first, reach)
}

// GraphDiff resolves Query.graphDiff.
func (q query) GraphDiff(ctx context.Context, from []string, incident *string, earlier time.Time, later *time.Time, reach *model.ReachInput) (*model.GraphDiff, error) {
	start, err := model.ParseStart(from, incident)
	if err != nil {
		return nil, err
	}
	return q.session(ctx).GraphDiff(ctx, start, earlier, later, reach)
}
