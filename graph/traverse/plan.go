package traverse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// planner is one run of PlanContainment.
type planner struct {
	*asking
	ctx     context.Context
	allowed []graph.ResponseAction
	spared  map[compact.Node]bool
	// beyond are the targets that no set of actions cuts off.
	beyond   map[compact.Node]bool
	searches int
	// exact is set while a smaller set is looked for than one that is known.
	exact bool
	// partly is set where a limit kept something from the planner.
	partly bool
}

// act is an action on a node.
type act struct {
	node   compact.Node
	action graph.ResponseAction
}

// remedy is one or two acts on a node that together take a way.
type remedy struct {
	node compact.Node
	// and is empty where first does it alone.
	first, and graph.ResponseAction
}

func (r remedy) acts() []act {
	if r.and == "" {
		return []act{{r.node, r.first}}
	}
	return []act{{r.node, r.first}, {r.node, r.and}}
}

// errEnough ends the search for a set, or for a smaller one.
var errEnough = errors.New("enough searches")

func (p *planner) spare(ids []graph.ID) error {
	nodes, err := p.src.resolve(p.ctx, ids)
	for _, n := range nodes {
		p.spared[n] = true
	}
	return err
}

// plan has a little more time for the last question than for the others.
func (p *planner) plan(ctx context.Context) (Plan, error) {
	first, err := p.answer(p.ctx, nil)
	if err != nil {
		return Plan{}, err
	}
	defer first.Release()
	out := Plan{Targets: first.Targets, Completeness: first.Completeness}
	if first.Targets == 0 {
		out.Exact = first.Completeness.Complete
		return out, nil
	}
	set, bound, enough, err := p.find(first)
	if err != nil {
		return Plan{}, err
	}
	after, err := p.answer(ctx, p.cutsOf(set))
	if err != nil {
		return Plan{}, err
	}
	defer after.Release()
	out.Remaining = after.List(nil, after.Targets)
	if out.Completeness.Complete {
		out.Completeness.Complete, out.Completeness.Reason = after.Completeness.Complete, after.Completeness.Reason
	}
	for _, x := range p.sorted(set) {
		out.Responses = append(out.Responses, Response{x.action, p.src.graph().ID(x.node)})
	}
	out.LowerBound, out.Exact = bound, enough && !p.partly && bound == len(set) && out.Completeness.Complete
	return out, nil
}

// find looks for a set of acts, and says whether it is enough, and below which number none is.
func (p *planner) find(first *Answer) (set []act, bound int, enough bool, err error) {
	err = p.findBeyond(first)
	if err == nil {
		set, enough, err = p.greedy()
	}
	if err == nil {
		p.exact = true
		set, bound, enough, err = p.smallest(set, enough)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return set, bound, enough, err
}

// late turns the end of the time into errEnough.
func (p *planner) late(err error) error {
	limit, err := limitOf(err)
	if limit == LimitDeadline || errors.Is(err, context.DeadlineExceeded) {
		return errEnough
	}
	return err
}

func (p *planner) sorted(acts []act) []act {
	g := p.src.graph()
	slices.SortFunc(acts, func(a, b act) int { return cmp.Or(g.Compare(a.node, b.node), cmp.Compare(a.action, b.action)) })
	return acts
}

// around has the source bring what is around nodes; what is too much is not known to be taken by any action.
func (p *planner) around(nodes []compact.Node) error {
	err := p.src.around(p.ctx, nodes, p.q.Budget.Edges)
	if errors.Is(err, limitMet(LimitEdges)) {
		p.partly = true
		return nil
	}
	return p.late(err)
}

// bring has the source bring what the planner asks of nodes on which one may act.
func (p *planner) bring(nodes []compact.Node) error {
	return cmp.Or(p.late(p.src.grades(p.ctx, nodes)), p.around(nodes))
}

// findBeyond takes all actions on all that was reached, and on what is next to it: what is still reached is beyond
// them.
func (p *planner) findBeyond(first *Answer) error {
	p.beyond = map[compact.Node]bool{}
	reached := slices.Clone(first.found.nodes)
	if err := p.around(reached); err != nil {
		return err
	}
	g, seen := p.src.graph(), map[compact.Node]bool{}
	var all []compact.Node
	for _, n := range reached {
		for _, actor := range actors(g, n) {
			if !seen[actor] {
				seen[actor], all = true, append(all, actor)
			}
		}
	}
	if err := p.bring(all); err != nil {
		return err
	}
	cut := new(cuts)
	for _, n := range all {
		cut.taken(p.src.graph(), n, p.actsOn(n)...)
	}
	a, err := p.asked(cut)
	if err != nil {
		return err
	}
	defer a.Release()
	for _, t := range a.List(nil, a.Targets) {
		p.beyond[t.node] = true
	}
	return nil
}

// asked is the answer with the cuts; errEnough where there is no time for it.
func (p *planner) asked(cut *cuts) (*Answer, error) {
	if p.searches++; p.exact && p.searches > planSearches {
		return nil, errEnough
	}
	a, err := p.answer(p.ctx, cut)
	if err != nil {
		return nil, p.late(err)
	}
	if a.Completeness.Reason == LimitDeadline {
		a.Release()
		return nil, errEnough
	}
	return a, nil
}

// actsOn are the actions that may be taken on a node.
func (p *planner) actsOn(n compact.Node) (out []graph.ResponseAction) {
	m := p.src.graph().Mark(n)
	if p.spared[n] || graph.Criticality(m.Grade()) >= p.q.Least {
		return nil
	}
	does := map[int]bool{}
	for _, action := range graph.ActionsOn(m.Kind()) {
		if effect := effects[effectOn{action, m.Kind()}]; allows(p.allowed, action) && !does[effect] {
			does[effect], out = true, append(out, action)
		}
	}
	return out
}

type effectOn struct {
	action graph.ResponseAction
	kind   graph.Kind
}

// effects are equal where actions on a kind remove the same, by themselves and with others.
var effects = func() map[effectOn]int {
	out, known, partners := map[effectOn]int{}, map[string]int{}, map[graph.ResponseAction]bool{}
	for _, row := range graph.ContainmentTable() {
		for _, r := range row.Removes {
			partners[r.With] = true
		}
	}
	for _, row := range graph.ContainmentTable() {
		removes := fmt.Sprint(row.Removes)
		if partners[row.Action] {
			removes += string(row.Action)
		}
		if _, ok := known[removes]; !ok {
			known[removes] = len(known)
		}
		for _, k := range row.Kinds {
			out[effectOn{row.Action, k}] = known[removes]
		}
	}
	return out
}()

// cutsOf are the ways that acts take.
func (a *asking) cutsOf(acts []act) *cuts {
	together := map[compact.Node][]graph.ResponseAction{}
	for _, x := range acts {
		together[x.node] = append(together[x.node], x.action)
	}
	c := new(cuts)
	for n, actions := range together {
		c.taken(a.src.graph(), n, actions...)
	}
	return c
}

// open searches where acts were done, and gives for up to n targets that are not beyond, nearest first, what would
// take the nearest way there.
func (p *planner) open(done []act, n int) (ways [][]remedy, err error) {
	a, err := p.asked(p.cutsOf(done))
	if err != nil {
		return nil, err
	}
	defer a.Release()
	for _, t := range a.list(nil, n, func(n compact.Node) bool { return !p.beyond[n] }) {
		end, _ := a.found.label(t.node, t.Hops)
		way, err := p.remedies(&a.routes, end, done)
		if err != nil {
			return nil, err
		}
		if len(way) == 0 { // a limit kept from the planner what this is behind, or what would take it
			p.beyond[t.node], p.partly = true, true
			continue
		}
		ways = append(ways, way)
	}
	return ways, nil
}

// remedies are what would take a step of the way to a point, in order of id and action; of those that do the same the
// first of the table.
func (p *planner) remedies(r *routes, end point, done []act) (out []remedy, err error) {
	for l := r.leg(end); l != nil; l = r.before(l) {
		w := &l.way
		if err := p.around([]compact.Node{w.prev.node, end.node}); err != nil {
			return nil, err
		}
		for _, n := range []compact.Node{w.prev.node, end.node} {
			near := actors(p.src.graph(), n)
			if err := p.bring(near); err != nil {
				return nil, err
			}
			for _, actor := range near {
				for _, x := range p.remediesAt(actor, w, done) {
					if !slices.Contains(out, x) {
						out = append(out, x)
					}
				}
			}
		}
		end = w.prev
	}
	g := p.src.graph()
	slices.SortFunc(out, func(a, b remedy) int {
		return cmp.Or(g.Compare(a.node, b.node), cmp.Compare(a.first, b.first), cmp.Compare(a.and, b.and))
	})
	return out, nil
}

// remediesAt are the acts on one node that take a step.
func (p *planner) remediesAt(actor compact.Node, w *way, done []act) (out []remedy) {
	g, allowed := p.src.graph(), p.actsOn(actor)
	takes := func(actions ...graph.ResponseAction) bool {
		for _, x := range done {
			if x.node == actor {
				actions = append(actions, x.action)
			}
		}
		c := new(cuts)
		c.taken(g, actor, actions...)
		return c.cuts(g, w.prev.node, w.arc)
	}
	var alone []graph.ResponseAction
	for _, a := range allowed {
		if takes(a) {
			alone = append(alone, a)
			out = append(out, remedy{node: actor, first: a})
		}
	}
	for i, a := range allowed {
		for _, b := range allowed[i+1:] {
			if !slices.Contains(alone, a) && !slices.Contains(alone, b) && takes(a, b) {
				out = append(out, remedy{actor, a, b})
			}
		}
	}
	return out
}

// greedy takes again and again what takes most of the ways that are open, then gives up each act that is not needed.
// It gives what it has where there is no more time or room, which may not be enough.
func (p *planner) greedy() (set []act, enough bool, err error) {
	for {
		ways, err := p.open(set, planRoutes)
		if errors.Is(err, errEnough) {
			return set, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if len(ways) == 0 {
			break
		}
		next := mostCommon(ways).acts()
		if len(set)+len(next) > MaxPlanResponses {
			return set, false, nil
		}
		set = append(set, next...)
	}
	for i := len(set) - 1; i >= 0; i-- {
		less := slices.Delete(slices.Clone(set), i, i+1)
		ways, err := p.open(less, 1)
		if err != nil {
			return set, true, p.unless(err)
		}
		if len(ways) == 0 {
			set = less
		}
	}
	return set, true, nil
}

// unless is the error unless it only says that there is no more time.
func (p *planner) unless(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// mostCommon is the remedy that most ways have, the first of such; one act before two.
func mostCommon(ways [][]remedy) (best remedy) {
	count := map[remedy]int{}
	for _, w := range ways {
		for _, x := range w {
			count[x] += 3 - len(x.acts())
		}
	}
	most := 0
	for _, w := range ways {
		for _, x := range w {
			if count[x] > most {
				best, most = x, count[x]
			}
		}
	}
	return best
}

// smallest looks for a set of fewer acts than are known, and gives the best with a bound below which there is none, and
// whether it is enough. What is known need not be.
func (p *planner) smallest(known []act, does bool) (best []act, bound int, enough bool, err error) {
	bound, err = p.apart(nil)
	for err == nil && (bound < len(known) || !does && bound <= MaxPlanResponses) {
		var set []act
		if set, err = p.within(nil, map[remedy]bool{}, bound); set != nil {
			return set, bound, true, nil
		}
		if err == nil {
			bound++
		}
	}
	if does {
		bound = min(bound, len(known))
	}
	return known, bound, does, err
}

// within finds a set that has these and at most so many acts more and is enough, by none of the forbidden remedies;
// nil where there is none.
func (p *planner) within(set []act, forbidden map[remedy]bool, more int) ([]act, error) {
	ways, err := p.open(set, 8)
	if err != nil {
		return nil, err
	}
	if len(ways) == 0 {
		return append([]act{}, set...), nil
	}
	if more == 0 {
		return nil, nil
	}
	if more > 1 { // with one left, trying is as quick as a bound
		if apart, err := p.apart(set); err != nil || apart > more {
			return nil, err
		}
	}
	way := slices.MinFunc(ways, func(a, b []remedy) int { return cmp.Compare(len(a), len(b)) })
	var tried []remedy
	defer func() {
		for _, x := range tried {
			delete(forbidden, x)
		}
	}()
	for _, x := range way {
		if forbidden[x] || len(x.acts()) > more {
			continue
		}
		found, err := p.within(append(slices.Clone(set), x.acts()...), forbidden, more-len(x.acts()))
		if found != nil || err != nil {
			return found, err
		}
		if x.and == "" { // every other set with it was tried
			forbidden[x] = true
			tried = append(tried, x)
		}
	}
	return nil, nil
}

// apart counts ways that are open and of which none is taken by what takes those before: each needs an act of its own.
func (p *planner) apart(set []act) (int, error) {
	set = slices.Clone(set)
	for n := 0; ; n++ {
		ways, err := p.open(set, 1)
		if err != nil || len(ways) == 0 {
			return n, err
		}
		for _, x := range ways[0] {
			for _, y := range x.acts() {
				if !slices.Contains(set, y) {
					set = append(set, y)
				}
			}
		}
	}
}
