package traverse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// Answer is what the sources lead to.
type Answer struct {
	// Sources are the canonical ids, in order.
	Sources []graph.ID `json:"sources"`
	// Targets by least hops, arrival and id. Sources, and what is the same as one, are none.
	Targets []Target `json:"targets"`
	// Score is the number of reachable targets, what is the same counted once (blastRadiusScore).
	Score int `json:"score"`
	// WeightedScore is the sum of their weights, of what is the same the greatest (blastRadiusScoreWeighted).
	WeightedScore int `json:"weightedScore"`
	// Hops counts all that was reached, targets or not, by least hops, what is the same once; the first are
	// the sources.
	Hops []HopCount `json:"hops"`
	// Hubs that were reached and not walked through, in order of id.
	Hubs         []Hub        `json:"hubs,omitempty"`
	Completeness Completeness `json:"completeness"`
}

// Target is one reachable asset.
type Target struct {
	ID          graph.ID    `json:"id"`
	Name        string      `json:"name"`
	Criticality Criticality `json:"criticality"`
	Weight      int         `json:"weight"`
	// SameAs is the target that this one is counted as; zero where it counts itself.
	SameAs graph.ID `json:"sameAs,omitzero"`
	// Nearest is the route of the least hops, Earliest the one that arrives first, with the least hops of
	// such; often they are the same.
	Nearest  Route `json:"nearest"`
	Earliest Route `json:"earliest"`
}

// Route is a witness: one way that exists, the first by hops, arrival and ids.
type Route struct {
	Hops int `json:"hops"`
	// Arrival is when the attacker can be there; zero is since ever.
	Arrival time.Time `json:"arrival,omitzero"`
	// Inferred is set where any step is.
	Inferred bool `json:"inferred,omitempty"`
	// Steps from a source to the target; possiblySameAs steps take no hop.
	Steps []Step `json:"steps"`
}

// Step is one move over one edge.
type Step struct {
	Kind graph.EdgeKind `json:"kind"`
	// From and To are the edge's.
	From graph.ID `json:"from"`
	To   graph.ID `json:"to"`
	// Backward is set where it was walked from To to From.
	Backward bool `json:"backward,omitempty"`
	// At is the arrival at the end that the step leads to.
	At time.Time `json:"at,omitzero"`
	// Inferred marks an edge that was only implied, and possiblySameAs.
	Inferred bool `json:"inferred,omitempty"`
	// Gap is set where the edge had to be used between two sightings, when nothing says it was there.
	Gap bool `json:"gap,omitempty"`
	// Alerts that prove the edge.
	Alerts []graph.ID `json:"alerts,omitempty"`
}

// HopCount counts the nodes whose least hops are Hops.
type HopCount struct {
	Hops   int                `json:"hops"`
	Total  int                `json:"total"`
	ByKind map[graph.Kind]int `json:"byKind"`
}

// Hub is a node that too many share.
type Hub struct {
	ID graph.ID `json:"id"`
	// Degree is the number of distinct nodes that shared moves lead to.
	Degree int `json:"degree"`
}

// Completeness says whether the answer is all there is, and what it took.
type Completeness struct {
	Complete bool  `json:"complete"`
	Reason   Limit `json:"reason,omitempty"`
	// Nodes reached and Edges read, as Budget counts them.
	Nodes int `json:"nodes"`
	Edges int `json:"edges"`
}

// answer puts together what the search found and describes the targets.
func (s *search) answer(ctx context.Context, limit Limit) (Answer, error) {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return Answer{}, err
	}
	a := Answer{Sources: s.sourceIDs(), Targets: []Target{}, Hops: s.hopCounts(), Hubs: s.hubs()}
	for _, n := range s.reached {
		if s.isTarget(n) {
			a.Targets = append(a.Targets, s.target(n))
		}
	}
	slices.SortFunc(a.Targets, func(x, y Target) int {
		return cmp.Or(cmp.Compare(x.Nearest.Hops, y.Nearest.Hops), x.Nearest.Arrival.Compare(y.Nearest.Arrival), x.ID.Compare(y.ID))
	})
	late, err := s.describe(ctx, a.Targets)
	if err != nil {
		return Answer{}, err
	}
	limit = cmp.Or(limit, late)
	a.Completeness = Completeness{limit == LimitNone, limit, len(s.reached), s.edges}
	s.score(&a)
	return a, nil
}

// sourceIDs falls back to what was asked where time ran out before the ids were resolved.
func (s *search) sourceIDs() []graph.ID {
	var ids []graph.ID
	for _, l := range s.labels {
		if l.prev == noLabel {
			ids = append(ids, s.nodes[l.node].id)
		}
	}
	if len(ids) == 0 {
		ids = slices.Clone(s.q.Sources)
	}
	slices.SortFunc(ids, graph.ID.Compare)
	return slices.Compact(ids)
}

// isTarget: what is held from the start is no target.
func (s *search) isTarget(n int32) bool {
	return s.first(n).hops > 0 && allows(s.q.TargetKinds, s.nodes[n].id.Kind())
}

func (s *search) first(n int32) label { return s.labels[s.nodes[n].labels[0]] }

func (s *search) target(n int32) Target {
	labels := s.nodes[n].labels
	t := Target{ID: s.nodes[n].id, Nearest: s.route(labels[0])}
	t.Earliest = t.Nearest
	if last := labels[len(labels)-1]; last != labels[0] {
		t.Earliest = s.route(last)
	}
	return t
}

// route follows a label back to its source.
func (s *search) route(i int32) Route {
	r := Route{Hops: s.labels[i].hops, Arrival: s.labels[i].at}
	for l := s.labels[i]; l.prev != noLabel; l = s.labels[l.prev] {
		r.Steps = append(r.Steps, step(l, s.labels[l.prev].at))
		r.Inferred = r.Inferred || r.Steps[len(r.Steps)-1].Inferred
	}
	slices.Reverse(r.Steps)
	return r
}

// step is the move that made the label, by an attacker who held its near end since then.
func step(l label, since time.Time) Step {
	e := l.arc.edge
	same := e.Kind == graph.EdgePossiblySame
	return Step{
		Kind: e.Kind, From: e.From, To: e.To, Backward: l.arc.backward, At: l.at,
		Inferred: e.Inferred || same,
		Gap:      !same && e.Count > 1 && since.After(e.FirstSeen) && since.Before(e.LastSeen),
		Alerts:   e.Alerts,
	}
}

func (s *search) hopCounts() []HopCount {
	var out []HopCount
	seen := make([]bool, len(s.nodes))
	for _, n := range s.reached { // in order of hops
		if len(s.sameNodes(n, seen)) == 0 {
			continue // counted as what it is the same as
		}
		hops := s.first(n).hops
		for len(out) <= hops {
			out = append(out, HopCount{Hops: len(out), ByKind: map[graph.Kind]int{}})
		}
		out[hops].Total++
		out[hops].ByKind[s.nodes[n].id.Kind()]++
	}
	return out
}

func (s *search) hubs() []Hub {
	var out []Hub
	for _, n := range s.reached {
		if s.nodes[n].hub && s.first(n).hops > 0 {
			out = append(out, Hub{s.nodes[n].id, s.nodes[n].degree})
		}
	}
	slices.SortFunc(out, func(a, b Hub) int { return a.ID.Compare(b.ID) })
	return out
}

// describe fills names, criticalities and weights; where the deadline passes first, the weights are those
// of the kinds.
func (s *search) describe(ctx context.Context, targets []Target) (Limit, error) {
	if len(targets) == 0 {
		return LimitNone, nil
	}
	ids := make([]graph.ID, len(targets))
	for i := range targets {
		ids[i] = targets[i].ID
	}
	s.ctx = ctx
	found, err := s.adj.Describe(ctx, ids)
	if err == nil && len(found) != len(ids) {
		err = fmt.Errorf("traverse: adjacency described %d of %d ids", len(found), len(ids))
	}
	if err != nil {
		found, err = make([]Description, len(ids)), s.failed(err)
	}
	for i, d := range found {
		t := &targets[i]
		t.Name, t.Criticality, t.Weight = d.Name, d.Criticality, Weight(t.ID.Kind(), d.Criticality)
	}
	return limitOf(err)
}

// score counts what is the same once: as the target that no other is merely the weak double of, the
// smallest id of such.
func (s *search) score(a *Answer) {
	for _, class := range s.classes(a.Targets) {
		chief, weight := class[0], 0
		for _, t := range class {
			weight = max(weight, t.Weight)
			if cmp.Or(compareBool(s.weak(t.ID), s.weak(chief.ID)), t.ID.Compare(chief.ID)) < 0 {
				chief = t
			}
		}
		for _, t := range class {
			if t != chief {
				t.SameAs = chief.ID
			}
		}
		a.Score++
		a.WeightedScore += weight
	}
}

// classes groups the targets by what is the same, over way stations too.
func (s *search) classes(targets []Target) [][]*Target {
	byNode := make(map[int32]*Target, len(targets))
	for i := range targets {
		byNode[s.index[targets[i].ID]] = &targets[i]
	}
	var out [][]*Target
	seen := make([]bool, len(s.nodes))
	for i := range targets {
		var class []*Target
		for _, n := range s.sameNodes(s.index[targets[i].ID], seen) {
			if t := byNode[n]; t != nil {
				class = append(class, t)
			}
		}
		if len(class) > 0 {
			out = append(out, class)
		}
	}
	return out
}

// sameNodes are the node and all that is the same, but for what was seen.
func (s *search) sameNodes(n int32, seen []bool) []int32 {
	if seen[n] {
		return nil
	}
	seen[n] = true
	queue := []int32{n}
	for i := 0; i < len(queue); i++ {
		for _, a := range s.nodes[queue[i]].same {
			if !seen[a.far] {
				seen[a.far], queue = true, append(queue, a.far)
			}
		}
	}
	return queue
}

// weak reports whether the node is only possibly another.
func (s *search) weak(id graph.ID) bool {
	return slices.ContainsFunc(s.nodes[s.index[id]].same, func(a arc) bool { return !a.backward })
}
