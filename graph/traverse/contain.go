package traverse

import (
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Containment is what responses take from the attacker: the same question before them and after.
type Containment struct {
	Before, After *Answer
	// CutOff is how many targets are not reached any more, what is the same counted once and only where none of it is;
	// CutOffWeight is the sum of their weights. Both are 0 where After is not complete: what it did not reach may be.
	CutOff, CutOffWeight int
}

// Response is an action on an entity.
type Response struct {
	Action graph.ResponseAction
	// Entity is acted on; an earlier id resolves.
	Entity graph.ID
}

func (r Response) check() error {
	if !slices.Contains(graph.ActionsOn(r.Entity.Kind()), r.Action) {
		return fmt.Errorf("%w: %q cannot be done to %s", graph.ErrInvalid, r.Action, r.Entity)
	}
	return nil
}

// MaxResponses is the greatest number of responses of one question.
const MaxResponses = 1000

// Contain asks a question as if responses had been carried out: ways that graph.ContainmentTable says they remove are
// not walked. Sources are held nevertheless; a response on one takes from the attacker what he can do from there.
// Errors: those of BlastRadius; graph.ErrInvalid for too many, and for an action that cannot be taken on what it names,
// graph.ErrNotFound where that is not known.
func Contain(ctx context.Context, on Ground, q Question, responses []Response) (*Containment, error) {
	if len(responses) > MaxResponses {
		return nil, fmt.Errorf("%w: %d responses, at most %d are possible", graph.ErrInvalid, len(responses), MaxResponses)
	}
	var named []graph.ID
	for _, r := range responses {
		if err := r.check(); err != nil {
			return nil, err
		}
		named = append(named, r.Entity)
	}
	a, err := ask(on, q, named...)
	if err != nil {
		return nil, err
	}
	cut, partly, err := a.taken(ctx, responses)
	if err != nil {
		return nil, err
	}
	c := new(Containment)
	half, cancel := Reserve(ctx, 2)
	defer cancel()
	if c.Before, err = a.answer(half, nil); err != nil {
		return nil, err
	}
	if c.After, err = a.answer(ctx, cut); err != nil {
		c.Before.Release()
		return nil, err
	}
	if partly && c.After.Completeness.Complete {
		c.After.Completeness.Complete, c.After.Completeness.Reason = false, LimitEdges
	}
	if c.known() {
		c.CutOff, c.CutOffWeight = c.Before.lost(c.After.found, noNode)
	}
	return c, nil
}

// known reports whether what After did not reach is not reached.
func (c *Containment) known() bool { return c.After.Completeness.Complete }

// noNode is no node's number.
const noNode = compact.Node(compact.MaxNodes)

// taken are the cuts of responses. Where there is more around them than the budget of edges, partly is set: some ways
// are not known to be taken, and stay open.
func (a *asking) taken(ctx context.Context, responses []Response) (c *cuts, partly bool, err error) {
	ids := make([]graph.ID, len(responses))
	for i, r := range responses {
		ids[i] = r.Entity
	}
	nodes, err := a.src.resolve(ctx, ids)
	if err != nil {
		return nil, false, err
	}
	acts := make([]act, len(nodes))
	for i, n := range nodes {
		acts[i] = act{n, responses[i].Action}
	}
	limit, err := limitOf(a.src.around(ctx, nodes, a.q.Budget.Edges))
	if err != nil {
		return nil, false, err
	}
	return a.cutsOf(acts), limit != LimitNone, nil
}

// List gives up to n targets that are not reached any more, as Answer.List does; none where After is not complete.
func (c *Containment) List(after *Target, n int) []Target {
	c.After.mu.Lock()
	defer c.After.mu.Unlock()
	if c.After.found == nil || !c.known() {
		return nil
	}
	return c.Before.list(after, n, func(n compact.Node) bool { return !c.After.found.has(n) })
}

// Release gives the memory of both answers to the next question.
func (c *Containment) Release() {
	c.Before.Release()
	c.After.Release()
}

// Limits of a plan.
const (
	// MaxPlanResponses is the greatest number of responses of a plan.
	MaxPlanResponses = 64
	// planSearches is how many searches the exact plan may take.
	planSearches = 2000
	// planRoutes is how many ways to different targets are looked at to choose the next action.
	planRoutes = 200
)

// PlanQuestion asks for a smallest set of actions.
type PlanQuestion struct {
	// Question says from where and how; the targets that count are what must be cut off. Its Least is
	// graph.CriticalityHigh where it is unknown: what is critical.
	Question
	// Allowed are the actions that may be taken; nil means all.
	Allowed []graph.ResponseAction
	// Spared are not acted on, besides what is critical.
	Spared []graph.ID
}

// Plan is a set of responses that cuts the sources off from what is critical.
type Plan struct {
	// Responses in order of entity and action.
	Responses []Response
	// Targets is how many targets there were to cut off, what is the same listed each.
	Targets int
	// Remaining are the targets that are reached after the responses, which was asked again, in order of hops, arrival
	// and id: those that no allowed action cuts off, and where the plan is not exact perhaps others.
	Remaining []Target
	// LowerBound: no fewer responses cut off all that can be. Exact is set where the plan does, and has no more.
	LowerBound int
	Exact      bool
	// Completeness of the first question and of the last; one that was cut may have missed targets.
	Completeness Completeness
}

// PlanContainment finds a smallest set of allowed actions that cuts the sources off from all targets that matter.
// Whatever is critical, by Question.Least, is not acted on, nor are things spared.
//
// A set is enough if the question finds no target any more, and each way that is still open must be cut by some of the
// few actions that take one of its steps: so the search branches over these, deeper and deeper, while ways that no
// action cuts both of give a bound (hitting sets, over ways that are found when they are needed). Where this takes too
// long, needs more than MaxPlanResponses, or the deadline passes, it is the set that a greedy choice gave so far, with
// the bound that was reached. Errors: those of BlastRadius.
func PlanContainment(ctx context.Context, on Ground, q PlanQuestion) (Plan, error) {
	setDefault(&q.Least, graph.CriticalityHigh)
	a, err := ask(on, q.Question, q.Spared...)
	if err != nil {
		return Plan{}, err
	}
	searching, cancel := Reserve(ctx, 10)
	defer cancel()
	p := planner{asking: a, ctx: searching, allowed: q.Allowed, spared: map[compact.Node]bool{}}
	if err := p.spare(q.Spared); err != nil {
		return Plan{}, err
	}
	return p.plan(ctx)
}
