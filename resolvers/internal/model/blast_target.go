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
	in *siblings[*BlastRadiusTarget]
	of *traverse.Answer
	at int
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
	kin := newSiblings[*BlastRadiusTarget](l.Session, nil)
	for i, t := range part {
		kin.rows = append(kin.rows, &BlastRadiusTarget{t, kin, l.of, i})
	}
	return &BlastRadiusTargetConnection{l.page(p, keysOf(part, targetKey), more, l.count), kin.rows}, nil
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

// Previous is what comes before it on the witness.
func (t *BlastRadiusTarget) Previous() graph.ID { return t.of.Previous(t.Target) }

// Entity is the target.
func (t *BlastRadiusTarget) Entity(ctx context.Context) (Entity, error) {
	found, err := together(t.in, "entity", func() (map[graph.ID]Entity, error) {
		return t.in.entitiesByID(ctx, mapped(t.in.rows, func(t *BlastRadiusTarget) graph.ID { return t.ID }))
	})
	return found[t.ID], err
}

// nearest is the witness.
func (t *BlastRadiusTarget) nearest() *BlastRadiusRoute { return t.route("nearest", t.of.Nearest) }

// route is the way to the target that of gives, found for all siblings.
func (t *BlastRadiusTarget) route(which string, of func(traverse.Target) traverse.Route) *BlastRadiusRoute {
	routes, _ := together(t.in, which, func() ([]*BlastRadiusRoute, error) {
		kin := newSiblings[*WitnessStep](t.in.Session, nil)
		return mapped(t.in.rows, func(t *BlastRadiusTarget) *BlastRadiusRoute {
			r := of(t.Target)
			return &BlastRadiusRoute{r, kinSteps(kin, r.Steps)}
		}), nil
	})
	return routes[t.at]
}

// Inferred reports whether any step of the witness was only implied.
func (t *BlastRadiusTarget) Inferred() bool { return t.nearest().Inferred }

// Witness is the way of the least hops.
func (t *BlastRadiusTarget) Witness() []*WitnessStep { return t.nearest().Steps }

// CountedAs is the target that it is counted as.
func (t *BlastRadiusTarget) CountedAs() graph.ID { return t.SameAs }

// Earliest is the way that arrives first.
func (t *BlastRadiusTarget) Earliest() *BlastRadiusRoute { return t.route("earliest", t.of.Earliest) }

// Arrival by the route.
func (r *BlastRadiusRoute) Arrival() Instant { return Instant{r.Route.Arrival} }

// EdgeKind is the relation's.
func (s *WitnessStep) EdgeKind() graph.EdgeKind { return s.Kind }

// At is the arrival at the end of the step.
func (s *WitnessStep) At() Instant { return Instant{s.Step.At} }

// Backwards reports whether it was walked against the relation's direction.
func (s *WitnessStep) Backwards() bool { return s.Backward }

// FirstSeen is when the relation was.
func (s *WitnessStep) FirstSeen() Instant { return Instant{s.Step.FirstSeen} }

// LastSeen is when the relation was.
func (s *WitnessStep) LastSeen() Instant { return Instant{s.Step.LastSeen} }

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
