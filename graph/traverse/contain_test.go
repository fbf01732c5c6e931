package traverse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// removed reports whether the responses remove the way over an edge.
func removed(edges []graph.Edge, responses []traverse.Response, e graph.Edge, backward bool) bool {
	near, far := ends(e, backward)
	together := map[graph.ID][]graph.ResponseAction{}
	for _, r := range responses {
		together[r.Entity] = append(together[r.Entity], r.Action)
	}
	for n, actions := range together {
		for _, r := range graph.RemovalsOn(n.Kind(), actions...) {
			at, other := near, far
			if r.Entering {
				at, other = far, near
			}
			if r.Removes(e.Kind, backward, r.Entering, other.Kind()) && slices.Contains(placesOf(edges, n, r), at) {
				return true
			}
		}
	}
	return false
}

// placesOf are the nodes at which a removal by an action on a node is.
func placesOf(edges []graph.Edge, n graph.ID, r graph.Removal) (out []graph.ID) {
	if r.Via == 0 {
		return []graph.ID{n}
	}
	for _, e := range edges {
		if e.Kind == r.Via && e.From == n && r.ViaDirection&graph.Out != 0 {
			out = append(out, e.To)
		}
		if e.Kind == r.Via && e.To == n && r.ViaDirection&graph.In != 0 {
			out = append(out, e.From)
		}
	}
	return out
}

// contained are the nodes that are reached after the responses.
func contained(edges []graph.Edge, q traverse.Question, responses []traverse.Response) map[graph.ID][]held {
	r := reference{edges: edges, q: q, found: map[graph.ID][]held{}, cut: func(e graph.Edge, backward bool) bool {
		return removed(edges, responses, e, backward)
	}}
	for _, s := range q.Sources {
		r.walk(s, held{0, q.Start})
	}
	return r.found
}

// actionsOn are all actions on all nodes of edges but some.
func actionsOn(edges []graph.Edge, but func(graph.ID) bool) (out []traverse.Response) {
	seen := map[graph.ID]bool{}
	for _, e := range edges {
		for _, n := range []graph.ID{e.From, e.To} {
			if seen[n] || but(n) {
				continue
			}
			seen[n] = true
			for _, a := range graph.ActionsOn(n.Kind()) {
				out = append(out, traverse.Response{Action: a, Entity: n})
			}
		}
	}
	return out
}

func nobody(graph.ID) bool { return false }

func TestContainmentIsTheQuestionWithoutTheEdgesThatActionsRemove(t *testing.T) {
	var cut int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		all := actionsOn(edges, nobody)
		if len(all) == 0 {
			return
		}
		actions := []traverse.Response{pick(r, all), pick(r, all)}
		before, after, off, lists := newMemory(edges...).contain(t, q, actions)
		want := contained(edges, q, actions)
		for _, got := range after.Targets {
			checkTarget(t, edges, q, got, want[got.ID])
		}
		still := map[graph.ID]bool{}
		for n := range want {
			still[classOf(edges, n)] = true
		}
		for _, b := range before.Targets {
			if b.SameAs.IsZero() && !still[classOf(edges, b.ID)] {
				off--
			}
			if reached := want[b.ID] != nil; reached == slices.Contains(lists, b.ID) {
				t.Fatalf("%s is reached: %v, is listed: %v", b.ID, reached, !reached)
			}
		}
		if off != 0 {
			t.Fatalf("%d more are told to be cut off than are", off)
		}
		cut += len(lists)
	})
	if cut == 0 {
		t.Error("no action ever cut anything")
	}
}

// contain asks on both grounds, which must say the same.
func (m *memory) contain(t *rapid.T, q traverse.Question, actions []traverse.Response) (before, after answer, off int, lost []graph.ID) {
	type all struct {
		before, after answer
		off           int
		lost          []graph.ID
	}
	var got [2]all
	for i, on := range []traverse.Ground{m.held(), m.stored()} {
		c, err := traverse.Contain(t.Context(), on, q, actions)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range c.List(nil, 1000) {
			got[i].lost = append(got[i].lost, x.ID)
		}
		got[i].off = c.CutOff
		got[i].before, got[i].after = told(c.Before), told(c.After)
	}
	if d := cmp.Diff(fmt.Sprintf("%+v", got[0]), fmt.Sprintf("%+v", got[1])); d != "" {
		t.Fatal(d)
	}
	return got[0].before, got[0].after, got[0].off, got[0].lost
}

// attack makes edges that attackers walk and responses remove.
func attack(r *rand.Rand) (out []graph.Edge) {
	between := []struct {
		kind     graph.EdgeKind
		from, to graph.Kind
	}{
		{graph.EdgeLoggedOn, graph.KindIdentity, graph.KindDevice}, {graph.EdgeLoggedOn, graph.KindIdentity, graph.KindDevice},
		{graph.EdgeAdminOf, graph.KindIdentity, graph.KindDevice}, {graph.EdgeMemberOf, graph.KindIdentity, graph.KindIdentity},
		{graph.EdgePresentOn, graph.KindFile, graph.KindDevice}, {graph.EdgeAttached, graph.KindFile, graph.KindMailMessage},
		{graph.EdgeReceivedBy, graph.KindMailMessage, graph.KindIdentity}, {graph.EdgeContains, graph.KindMailCluster, graph.KindMailMessage},
		{graph.EdgeOfSession, graph.KindCloudSession, graph.KindIdentity}, {graph.EdgeRan, graph.KindProcess, graph.KindDevice},
		{graph.EdgeConnectedTo, graph.KindProcess, graph.KindCloudApplication}, {graph.EdgeConnectedTo, graph.KindDevice, graph.KindIPAddress},
	}
	seen := map[graph.EdgeKey]bool{}
	for i := range 12 + r.IntN(10) {
		b := pick(r, between[:len(between)-9*(i%2)])
		e := edge(b.kind, id(b.from, named("a", r.IntN(4))), id(b.to, named("a", r.IntN(4))), r.IntN(3), 20)
		if i == 0 {
			e = edge(graph.EdgeLoggedOn, identity(named("a", 0)), device(named("a", 0)), 0, 20)
		}
		if k := e.Key(); !seen[k] && e.From != e.To {
			seen[k], out = true, append(out, e)
		}
	}
	return out
}

// graded gives some nodes a criticality.
func graded(r *rand.Rand, edges []graph.Edge) *memory {
	m := newMemory(edges...)
	for _, e := range edges {
		if r.IntN(4) == 0 {
			m.grades[e.To] = graph.Criticality(r.IntN(5))
		}
	}
	return m
}

// open are the critical targets that are reached after the actions.
func (m *memory) open(q traverse.Question, actions []traverse.Response) map[graph.ID]bool {
	out := map[graph.ID]bool{}
	for n, hs := range contained(m.edges, q, actions) {
		if m.grades[n] >= q.Least && nearest(hs).hops > 0 {
			out[n] = true
		}
	}
	return out
}

// subsets calls each with every set of n of all.
func subsets(all []traverse.Response, n int, each func([]traverse.Response) bool) bool {
	if n == 0 {
		return each(nil)
	}
	for i := range all {
		if subsets(all[i+1:], n-1, func(rest []traverse.Response) bool {
			return each(append([]traverse.Response{all[i]}, rest...))
		}) {
			return true
		}
	}
	return false
}

func TestAPlanIsASmallestSetOfActionsThatCutsOffWhatCanBe(t *testing.T) {
	sizes := map[int]int{}
	remaining := 0
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		edges = append(edges, seenOnce(attack(r), q.AsOf)...)
		q.Sources, q.ThroughHubs, q.EveryEdge, q.EdgeKinds = []graph.ID{pick(r, []graph.ID{identity(named("a", 0)), device(named("a", 0))})}, true, false, nil
		m := graded(r, edges)
		q.Least = graph.CriticalityHigh
		spared := pick(r, edges).From
		all := actionsOn(edges, func(n graph.ID) bool { return n == spared || m.grades[n] >= q.Least })
		most := m.open(q, all) // what no action cuts off
		got := m.plan(t, traverse.PlanQuestion{Question: q, Spared: []graph.ID{spared}})
		if len(got.Remaining) != len(most) || !got.Exact || got.LowerBound != len(got.Responses) {
			t.Fatalf("%v cannot be cut off: %+v", most, got)
		}
		for _, x := range got.Responses {
			if !slices.Contains(all, x) {
				t.Fatalf("%+v may not be done", x)
			}
		}
		if open := m.open(q, got.Responses); len(open) != len(most) {
			t.Fatalf("%v are open after %+v", open, got.Responses)
		}
		for n := range len(got.Responses) {
			if subsets(all, n, func(s []traverse.Response) bool { return len(m.open(q, s)) == len(most) }) {
				t.Fatalf("%d actions are enough, planned are %+v", n, got.Responses)
			}
		}
		sizes[len(got.Responses)]++
		remaining += len(most)
	})
	t.Log(sizes, remaining)
	if sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0 || sizes[3] == 0 || remaining == 0 {
		t.Error("the random graphs exercise too little")
	}
}

// A device takes ways of the processes on it, a cluster those of its messages: neither lies on the way.
func TestAPlanActsAlsoOnWhatLiesBesideTheWay(t *testing.T) {
	process := func(n string) graph.ID { return id(graph.KindProcess, n) }
	message := func(n string) graph.ID { return id(graph.KindMailMessage, n) }
	cluster := id(graph.KindMailCluster, "all")
	for _, c := range []struct {
		edges []graph.Edge
		want  traverse.Response
	}{
		{[]graph.Edge{
			edge(graph.EdgeImageOf, file("f"), process("p"), 1, 9), edge(graph.EdgeImageOf, file("f"), process("q"), 1, 9),
			edge(graph.EdgeRan, process("p"), device("d"), 1, 9), edge(graph.EdgeRan, process("q"), device("d"), 1, 9),
			edge(graph.EdgeConnectedTo, process("p"), id(graph.KindCloudApplication, "x"), 1, 9), edge(graph.EdgeConnectedTo, process("q"), id(graph.KindCloudApplication, "y"), 1, 9),
		}, traverse.Response{Action: graph.ActionIsolateDevice, Entity: device("d")}},
		{[]graph.Edge{
			edge(graph.EdgeAttached, file("f"), message("m"), 1, 9), edge(graph.EdgeAttached, file("f"), message("n"), 1, 9),
			edge(graph.EdgeContains, cluster, message("m"), 1, 9), edge(graph.EdgeContains, cluster, message("n"), 1, 9),
			edge(graph.EdgeDelivered, message("m"), id(graph.KindMailbox, "x"), 1, 9), edge(graph.EdgeDelivered, message("n"), id(graph.KindMailbox, "y"), 1, 9),
		}, traverse.Response{Action: graph.ActionSoftDelete, Entity: cluster}},
	} {
		m := newMemory(c.edges...)
		for _, e := range c.edges[4:] {
			m.grades[e.To] = graph.CriticalityHigh
		}
		q := traverse.PlanQuestion{Question: traverse.Question{Sources: []graph.ID{file("f")}, ThroughHubs: true}, Spared: []graph.ID{file("f")}}
		for _, on := range []traverse.Ground{m.held(), m.stored()} {
			p, err := traverse.PlanContainment(t.Context(), on, q)
			if err != nil || !slices.Equal(p.Responses, []traverse.Response{c.want}) || !p.Exact || p.Targets != 2 || len(p.Remaining) != 0 {
				t.Errorf("want %+v: %+v (%v)", c.want, p, err)
			}
		}
	}
}

// An isolation reaches the processes that ran on the device, whichever other edges lie there.
func TestAnActionReachesBesideItInItsDirectionOnly(t *testing.T) {
	process, app := id(graph.KindProcess, "p"), id(graph.KindCloudApplication, "app")
	ran := edge(graph.EdgeRan, process, device("d"), 1, 9)
	back := edge(graph.EdgeRan, device("d"), process, 1, 9)
	for off, e := range []graph.Edge{back, ran} {
		m := newMemory(e, edge(graph.EdgeConnectedTo, process, app, 1, 9))
		for _, on := range []traverse.Ground{m.held(), m.stored()} {
			c, err := traverse.Contain(t.Context(), on, traverse.Question{Sources: []graph.ID{process}, TargetKinds: []graph.Kind{graph.KindCloudApplication}},
				[]traverse.Response{{Action: graph.ActionIsolateDevice, Entity: device("d")}})
			if err != nil || c.Before.Score != 1 || c.CutOff != off {
				t.Errorf("%s to %s: %+v (%v)", e.From, e.To, c, err)
			}
		}
	}
}

// plan asks on both grounds, which must say the same.
func (m *memory) plan(t *rapid.T, q traverse.PlanQuestion) traverse.Plan {
	held, err := traverse.PlanContainment(t.Context(), m.held(), q)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := traverse.PlanContainment(t.Context(), m.stored(), q)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(p traverse.Plan) string {
		out := fmt.Sprint(p.Responses, p.Targets, p.LowerBound, p.Exact, p.Completeness)
		for _, x := range p.Remaining {
			out += fmt.Sprint(x.ID, x.Hops)
		}
		return out
	}
	if ids(held) != ids(stored) {
		t.Fatalf("held %+v, stored %+v", held, stored)
	}
	return held
}
