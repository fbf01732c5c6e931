package model

import (
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// BlastRadiusTarget is the type of that name.
type BlastRadiusTarget struct {
	traverse.Target
	Entity  Entity
	Witness []*WitnessStep

	nearest  traverse.Route
	earliest *BlastRadiusRoute
}

// BlastRadiusTargetEdge is the type of that name.
type BlastRadiusTargetEdge struct {
	Cursor string
	Node   *BlastRadiusTarget
}

// BlastRadiusTargetConnection is the type of that name.
type BlastRadiusTargetConnection struct {
	page
	Nodes []*BlastRadiusTarget
}

// BlastRadiusRoute is the type of that name.
type BlastRadiusRoute struct {
	traverse.Route
	Steps []*WitnessStep
}

// WitnessStep is the type of that name.
type WitnessStep struct {
	traverse.Step
	in *siblings[*WitnessStep]
	at int
}

// Edges are the nodes with their cursors.
func (c *BlastRadiusTargetConnection) Edges() []*BlastRadiusTargetEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n *BlastRadiusTarget) *BlastRadiusTargetEdge {
		return &BlastRadiusTargetEdge{cursor, n}
	})
}

// Targets by hops, arrival and id.
func (b *BlastRadius) Targets(ctx context.Context, first *int32, after *string) (*BlastRadiusTargetConnection, error) {
	return targetList{b.s, b.list, b.Answer, b.List, counted(b.Answer.Targets)}.connection(ctx, first, after)
}

// targetList is a list of targets, to which an answer knows the ways.
type targetList struct {
	*Session
	name  string
	of    *traverse.Answer
	list  func(after *traverse.Target, n int) []traverse.Target
	count func(context.Context) (count, error)
}

// counting is the counter of a list whose length is known by listing it.
func counting(list func(after *traverse.Target, n int) []traverse.Target) func(context.Context) (count, error) {
	return func(ctx context.Context) (count, error) { return counted(len(list(nil, graph.MaxCount+1)))(ctx) }
}

func (l targetList) connection(ctx context.Context, first *int32, after *string) (*BlastRadiusTargetConnection, error) {
	p, err := l.paging(l.name, targetSize, first, after)
	if err != nil {
		return nil, err
	}
	part := l.list(targetOf(p.after), p.first+1)
	more := len(part) > p.first
	part = part[:min(len(part), p.first)]
	entities, err := l.entitiesByID(ctx, mapped(part, func(t traverse.Target) graph.ID { return t.ID }))
	if err != nil {
		return nil, err
	}
	kin := newSiblings[*WitnessStep](l.Session, nil)
	nodes := mapped(part, func(t traverse.Target) *BlastRadiusTarget {
		nearest, earliest := l.of.Nearest(t), l.of.Earliest(t)
		return &BlastRadiusTarget{
			t, entities[t.ID], kinSteps(kin, nearest.Steps),
			nearest, &BlastRadiusRoute{earliest, kinSteps(kin, earliest.Steps)},
		}
	})
	return &BlastRadiusTargetConnection{l.page(p, keysOf(part, targetKey), more, l.count), nodes}, nil
}

// kinSteps adds steps to siblings.
func kinSteps(kin *siblings[*WitnessStep], steps []traverse.Step) []*WitnessStep {
	for _, s := range steps {
		kin.rows = append(kin.rows, &WitnessStep{s, kin, len(kin.rows)})
	}
	return slices.Clone(kin.rows[len(kin.rows)-len(steps):])
}

// Hop is the least number of hops.
func (t *BlastRadiusTarget) Hop() int { return t.Hops }

// Arrival by the witness.
func (t *BlastRadiusTarget) Arrival() Instant { return Instant{t.Target.Arrival} }

// Inferred reports whether any step of the witness was only implied.
func (t *BlastRadiusTarget) Inferred() bool { return t.nearest.Inferred }

// CountedAs is the target that it is counted as.
func (t *BlastRadiusTarget) CountedAs() graph.ID { return t.SameAs }

// Earliest is the way that arrives first.
func (t *BlastRadiusTarget) Earliest() *BlastRadiusRoute { return t.earliest }

// Arrival by the route.
func (r *BlastRadiusRoute) Arrival() Instant { return Instant{r.Route.Arrival} }

// EdgeKind is the relation's.
func (s *WitnessStep) EdgeKind() graph.EdgeKind { return s.Kind }

// At is the arrival at the end of the step.
func (s *WitnessStep) At() Instant { return Instant{s.Step.At} }

// Backwards reports whether it was walked against the relation's direction.
func (s *WitnessStep) Backwards() bool { return s.Backward }

// AssumedGap reports whether it had to be used between two sightings.
func (s *WitnessStep) AssumedGap() bool { return s.Gap }

// From is where the relation leads from.
func (s *WitnessStep) From(ctx context.Context) (Entity, error) {
	ends, err := s.ends(ctx)
	return ends[s.Step.From], err
}

// To is where the relation leads to.
func (s *WitnessStep) To(ctx context.Context) (Entity, error) {
	ends, err := s.ends(ctx)
	return ends[s.Step.To], err
}

func (s *WitnessStep) ends(ctx context.Context) (map[graph.ID]Entity, error) {
	return together(s.in, "ends", func() (map[graph.ID]Entity, error) {
		from := mapped(s.in.rows, func(s *WitnessStep) graph.ID { return s.Step.From })
		to := mapped(s.in.rows, func(s *WitnessStep) graph.ID { return s.Step.To })
		return s.in.entitiesByID(ctx, idsOf(append(from, to...), same))
	})
}

// Alerts that prove it.
func (s *WitnessStep) Alerts(ctx context.Context) ([]*Alert, error) {
	all, err := together(s.in, "alerts", func() ([][]*Alert, error) {
		return s.in.alertLists(ctx, mapped(s.in.rows, func(s *WitnessStep) []graph.ID { return s.Step.Alerts }))
	})
	if err != nil {
		return nil, err
	}
	return all[s.at], nil
}
