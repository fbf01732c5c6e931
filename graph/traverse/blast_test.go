package traverse_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/google/go-cmp/cmp"
)

// The short way to the file server comes by a logon late in the day, after the only message from there was
// sent; the long way by rights is there early, and only it can go on.
func TestALaterHopThatArrivesEarlierIsTheOneThatGoesOn(t *testing.T) {
	a, server, next := identity("a"), identity("server"), identity("next")
	m := newMemory(
		edge(graph.EdgeMemberOf, a, server, 50, 50),
		edge(graph.EdgeMemberOf, a, group("g"), 1, 1),
		edge(graph.EdgeMemberOf, group("g"), server, 2, 2),
		edge(graph.EdgeSpawned, server, next, 5, 10),
	)
	got := ask(t, m, traverse.Question{Sources: []graph.ID{a}, Start: at(1), MaxHops: 3})
	s := target(t, got, server)
	if s.Nearest.Hops != 1 || !s.Nearest.Arrival.Equal(at(50)) || s.Earliest.Hops != 2 || !s.Earliest.Arrival.Equal(at(2)) {
		t.Errorf("server: nearest %+v, earliest %+v", s.Nearest, s.Earliest)
	}
	n := target(t, got, next)
	if n.Nearest.Hops != 3 || len(n.Nearest.Steps) != 3 || !n.Nearest.Arrival.Equal(at(5)) {
		t.Errorf("next: %+v", n.Nearest)
	}
	if got := ask(t, m, traverse.Question{Sources: []graph.ID{a}, Start: at(1), MaxHops: 2}); slices.Contains(targets(got), next) {
		t.Error("next is two hops away only for who came late")
	}
}

func TestEdgesAreUsableByTheirTense(t *testing.T) {
	a, b := identity("a"), device("b")
	ended := edge(graph.EdgeAdminOf, a, b, 1, 5)
	ended.EndedAt = at(20)
	for _, c := range []struct {
		name  string
		edge  graph.Edge
		from  graph.ID
		start int
		want  bool
	}{
		{"an event at its last instant", edge(graph.EdgeSpawned, a, b, 1, 5), a, 5, true},
		{"an event after it", edge(graph.EdgeSpawned, a, b, 1, 5), a, 6, false},
		{"a state long after it was seen", edge(graph.EdgeAdminOf, a, b, 1, 5), a, 59, true},
		{"a state at its end", ended, a, 20, true},
		{"a state after its end", ended, a, 21, false},
		{"credentials within their life", edge(graph.EdgeLoggedOn, a, b, 1, 5), b, 15, true},
		{"credentials after it", edge(graph.EdgeLoggedOn, a, b, 1, 5), b, 16, false},
		{"an event of unknown time", edge(graph.EdgeSpawned, a, b, 0, 0), a, 59, true},
	} {
		q := traverse.Question{Sources: []graph.ID{c.from}, Start: at(c.start), CredentialLife: 10 * time.Minute}
		if got := ask(t, newMemory(c.edge), q).Score == 1; got != c.want {
			t.Errorf("%s: usable %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAHubIsReachedButNotWalkedThroughUnlessItIsASource(t *testing.T) {
	first := id(graph.KindMailMessage, "message")
	common := file("common")
	edges := []graph.Edge{edge(graph.EdgeAttached, common, first, 1, 1)}
	for i := range 4 {
		edges = append(edges, edge(graph.EdgePresentOn, common, device(named("d", i)), 1, 1))
	}
	m := newMemory(edges...)
	for _, c := range []struct {
		name  string
		q     traverse.Question
		score int
		hubs  []traverse.Hub
	}{
		{"above the degree", traverse.Question{Sources: []graph.ID{first}, HubDegree: 4}, 0, []traverse.Hub{{ID: common, Degree: 5}}},
		{"at the degree", traverse.Question{Sources: []graph.ID{first}, HubDegree: 5}, 4, nil},
		{"through hubs", traverse.Question{Sources: []graph.ID{first}, HubDegree: 4, ThroughHubs: true}, 4, nil},
		{"as a source", traverse.Question{Sources: []graph.ID{common}, HubDegree: 4}, 4, nil},
		{"judged on kinds that are not asked for", traverse.Question{Sources: []graph.ID{first}, HubDegree: 4,
			EdgeKinds: []graph.EdgeKind{graph.EdgeAttached}}, 0, []traverse.Hub{{ID: common, Degree: 5}}},
	} {
		a := ask(t, m, c.q)
		if a.Score != c.score || !slices.Equal(a.Hubs, c.hubs) || !a.Completeness.Complete {
			t.Errorf("%s: score %d, hubs %v, %+v", c.name, a.Score, a.Hubs, a.Completeness)
		}
	}
}

func TestAHubIsJudgedAsOfTheInstant(t *testing.T) {
	first := id(graph.KindMailMessage, "message")
	common := file("common")
	edges := []graph.Edge{edge(graph.EdgeAttached, common, first, 1, 1)}
	for i := range 200 {
		edges = append(edges, edge(graph.EdgePresentOn, common, device(named("d", i)), 1+i/5, 50))
	}
	for i := range edges {
		edges[i].Sightings = []graph.Sighting{{Observation: id(graph.KindObservation, "once"), FirstSeen: edges[i].FirstSeen, LastSeen: edges[i].LastSeen}}
	}
	m := newMemory(edges...)
	for asOf, c := range map[int]struct {
		score int
		hubs  []traverse.Hub
	}{10: {50, nil}, 19: {95, nil}, 20: {0, []traverse.Hub{{ID: common, Degree: 101}}}, 0: {0, []traverse.Hub{{ID: common, Degree: 201}}}} {
		a := ask(t, m, traverse.Question{Sources: []graph.ID{first}, AsOf: at(asOf)})
		if a.Score != c.score || !slices.Equal(a.Hubs, c.hubs) {
			t.Errorf("as of minute %d: score %d, hubs %v", asOf, a.Score, a.Hubs)
		}
	}
}

func TestRightsOverThousandsAreNoHub(t *testing.T) {
	admins := group("admins")
	edges := []graph.Edge{edge(graph.EdgeMemberOf, identity("a"), admins, 1, 1)}
	for i := range 2000 {
		edges = append(edges, edge(graph.EdgeAdminOf, admins, device(named("d", i)), 1, 1))
	}
	if a := ask(t, newMemory(edges...), traverse.Question{Sources: []graph.ID{identity("a")}}); a.Score != 2000 || a.Hubs != nil {
		t.Errorf("score %d, hubs %v", a.Score, a.Hubs)
	}
}

func TestAnAddressThatADeviceTalksToDoesNotLeadToTheOthersThatDo(t *testing.T) {
	proxy := id(graph.KindIPAddress, "198.51.100.1")
	m := newMemory(
		edge(graph.EdgeConnectedTo, device("a"), proxy, 1, 9),
		edge(graph.EdgeConnectedTo, device("b"), proxy, 1, 9),
	)
	if a := ask(t, m, traverse.Question{Sources: []graph.ID{device("a")}, ThroughHubs: true}); a.Score != 0 {
		t.Errorf("from the device: %v", targets(a))
	}
	if a := ask(t, m, traverse.Question{Sources: []graph.ID{proxy}}); a.Score != 2 {
		t.Errorf("from the address: %v", targets(a))
	}
}

func TestPossiblySameAsTakesNoHopAlsoInChainsAndCycles(t *testing.T) {
	same := func(a, b string) graph.Edge {
		return graph.Edge{Kind: graph.EdgePossiblySame, From: device(a), To: device(b)}
	}
	m := newMemory(
		edge(graph.EdgeAdminOf, identity("x"), device("1"), 3, 3),
		same("1", "2"), same("2", "3"), same("3", "1"), same("4", "3"),
		edge(graph.EdgeSpawned, device("4"), device("far"), 1, 7),
	)
	m.grades[device("2")] = graph.CriticalityHigh
	a := ask(t, m, traverse.Question{Sources: []graph.ID{identity("x")}, MaxHops: 2})
	for _, n := range []string{"1", "2", "3", "4"} {
		r := target(t, a, device(n)).Nearest
		if r.Hops != 1 || !r.Arrival.Equal(at(3)) || r.Inferred != (n != "1") {
			t.Errorf("%s: %+v", n, r)
		}
	}
	if far := target(t, a, device("far")).Nearest; far.Hops != 2 || !far.Inferred {
		t.Errorf("far: %+v", far)
	}
	if a.Score != 2 || a.WeightedScore != 4+1 {
		t.Errorf("score %d, weighted %d: four names of one device count once, by the heaviest", a.Score, a.WeightedScore)
	}
}

func TestTheDoubleOfASourceIsHeldFromTheStartAndNoTarget(t *testing.T) {
	weak, strong := device("weak"), device("strong")
	m := newMemory(graph.Edge{Kind: graph.EdgePossiblySame, From: weak, To: strong},
		edge(graph.EdgeSpawned, strong, device("next"), 1, 9))
	a := ask(t, m, traverse.Question{Sources: []graph.ID{weak}, MaxHops: 1})
	if !slices.Equal(targets(a), []graph.ID{device("next")}) || a.Hops[0].Total != 1 {
		t.Errorf("targets %v, hops %+v", targets(a), a.Hops)
	}
}

func TestADoubleIsCountedAsTheNodeThatHasAStrongKey(t *testing.T) {
	for _, c := range [][2]string{{"p", "q"}, {"q", "p"}} { // either id is the smaller once
		weak, strong := device(c[0]), device(c[1])
		for _, reached := range []graph.ID{weak, strong} {
			m := newMemory(graph.Edge{Kind: graph.EdgePossiblySame, From: weak, To: strong},
				edge(graph.EdgeAdminOf, identity("x"), reached, 1, 9))
			a := ask(t, m, traverse.Question{Sources: []graph.ID{identity("x")}})
			if got := target(t, a, weak).SameAs; got != strong || !target(t, a, strong).SameAs.IsZero() || a.Score != 1 {
				t.Errorf("weak is counted as %s, score %d", got, a.Score)
			}
		}
	}
}

// Both ways arrive when the last edge begins; the one over the smaller id is shown, though its node is held
// later.
func TestOfWitnessesEqualInHopsAndArrivalTheSmallerIDsAreShown(t *testing.T) {
	small, great := group("1"), group("2")
	if small.Compare(great) > 0 {
		small, great = great, small
	}
	m := newMemory(
		edge(graph.EdgeMemberOf, identity("x"), small, 5, 5), edge(graph.EdgeAdminOf, small, device("d"), 8, 8),
		edge(graph.EdgeMemberOf, identity("x"), great, 3, 3), edge(graph.EdgeAdminOf, great, device("d"), 8, 8),
	)
	a := ask(t, m, traverse.Question{Sources: []graph.ID{identity("x")}})
	if r := target(t, a, device("d")).Nearest; r.Steps[0].To != small {
		t.Errorf("%+v", r)
	}
}

func TestACliqueIsReachedInOneHopAndASelfLoopLeadsNowhere(t *testing.T) {
	var edges []graph.Edge
	for i := range 12 {
		for j := range 12 {
			edges = append(edges, edge(graph.EdgeSpawned, device(named("d", i)), device(named("d", j)), 1, 9))
		}
	}
	a := ask(t, newMemory(edges...), traverse.Question{Sources: []graph.ID{device("d-003")}, MaxHops: 6})
	if a.Score != 11 || a.Targets[10].Nearest.Hops != 1 || len(a.Hops) != 2 {
		t.Errorf("score %d, hops %+v", a.Score, a.Hops)
	}
	loop := newMemory(edge(graph.EdgeSpawned, device("a"), device("a"), 1, 9),
		graph.Edge{Kind: graph.EdgePossiblySame, From: device("a"), To: device("a")})
	if a := ask(t, loop, traverse.Question{Sources: []graph.ID{device("a")}}); a.Score != 0 || a.Completeness.Nodes != 1 {
		t.Errorf("self-loop: %+v", a)
	}
}

func TestTheScoreIsTheNumberOfTargetsAndTheWeightedScoreTheSumOfTheirWeights(t *testing.T) {
	x := identity("x")
	m := newMemory(
		edge(graph.EdgeAdminOf, x, device("dc"), 1, 1), edge(graph.EdgeAdminOf, x, device("pc"), 1, 1),
		edge(graph.EdgeAdminOf, x, id(graph.KindCloudResource, "vault"), 1, 1),
		edge(graph.EdgeMemberOf, x, group("g"), 1, 1),
	)
	m.grades[device("dc")] = graph.CriticalityVeryHigh
	a := ask(t, m, traverse.Question{Sources: []graph.ID{x}})
	if a.Score != 3 || a.WeightedScore != 8+1+2 {
		t.Errorf("score %d, weighted %d: %+v", a.Score, a.WeightedScore, a.Targets)
	}
	want := map[graph.Kind]int{graph.KindDevice: 2, graph.KindCloudResource: 1, graph.KindSecurityGroup: 1}
	if d := cmp.Diff(want, a.Hops[1].ByKind); d != "" {
		t.Error(d)
	}
	q := traverse.Question{Sources: []graph.ID{x}, TargetKinds: []graph.Kind{graph.KindSecurityGroup}}
	if a := ask(t, m, q); !slices.Equal(targets(a), []graph.ID{group("g")}) {
		t.Errorf("asked for groups: %v", targets(a))
	}
}

func TestAStepCarriesItsEvidenceAndTheGapItAssumes(t *testing.T) {
	e := edge(graph.EdgeAdminOf, identity("x"), device("d"), 1, 9)
	e.Count, e.Alerts = 2, []graph.ID{id(graph.KindAlert, "a1")}
	for start, gap := range map[int]bool{0: false, 1: false, 5: true, 9: false, 10: false} {
		a := ask(t, newMemory(e), traverse.Question{Sources: []graph.ID{identity("x")}, Start: at(start)})
		s := target(t, a, device("d")).Nearest.Steps[0]
		if s.Gap != gap || !slices.Equal(s.Alerts, e.Alerts) {
			t.Errorf("from minute %d: %+v", start, s)
		}
	}
}

func TestBudgetsCutTheAnswerAndNameTheLimit(t *testing.T) {
	var edges []graph.Edge
	for i := range 30 {
		edges = append(edges, edge(graph.EdgeSpawned, device("a"), device(named("d", i)), 1, 9),
			edge(graph.EdgeSpawned, device(named("d", i)), device(named("e", i)), 1, 9))
	}
	for _, c := range []struct {
		budget traverse.Budget
		reason traverse.Limit
		score  int
	}{
		{traverse.Budget{}, traverse.LimitNone, 60},
		{traverse.Budget{Nodes: 61, Edges: 60}, traverse.LimitNone, 60},
		{traverse.Budget{Nodes: 60}, traverse.LimitNodes, 59},
		{traverse.Budget{Nodes: 1}, traverse.LimitNodes, 0},
		{traverse.Budget{Edges: 59}, traverse.LimitEdges, 59},
		{traverse.Budget{Edges: 30}, traverse.LimitEdges, 30},
		{traverse.Budget{Edges: 29}, traverse.LimitEdges, 0},
	} {
		a := ask(t, newMemory(edges...), traverse.Question{Sources: []graph.ID{device("a")}, Budget: c.budget})
		if a.Completeness.Reason != c.reason || a.Score != c.score || a.Completeness.Complete != (c.reason == "") {
			t.Errorf("%+v: score %d, %+v", c.budget, a.Score, a.Completeness)
		}
	}
}

func TestQuestionsThatCannotBeAskedAreInvalid(t *testing.T) {
	some := []graph.ID{device("a")}
	for name, q := range map[string]traverse.Question{
		"no source":            {},
		"a zero source":        {Sources: []graph.ID{{}}},
		"negative hops":        {Sources: some, MaxHops: -1},
		"seven hops":           {Sources: some, MaxHops: 7},
		"a negative budget":    {Sources: some, Budget: traverse.Budget{Nodes: -1}},
		"a negative degree":    {Sources: some, HubDegree: -1},
		"a negative life":      {Sources: some, CredentialLife: -1},
		"alerts as targets":    {Sources: some, TargetKinds: []graph.Kind{graph.KindAlert}},
		"a walk over evidence": {Sources: some, EdgeKinds: []graph.EdgeKind{graph.EdgeEvidenceOf}},
	} {
		m := newMemory()
		m.extra = some
		if _, err := m.both(t.Context(), q); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUnknownSourceIsNotFoundByName(t *testing.T) {
	m := newMemory(edge(graph.EdgeSpawned, device("a"), device("b"), 1, 9))
	q := traverse.Question{Sources: []graph.ID{device("a"), device("gone")}}
	_, err := m.both(t.Context(), q)
	if !errors.Is(err, graph.ErrNotFound) || !strings.Contains(err.Error(), device("gone").String()) {
		t.Error(err)
	}
}

func TestAnEarlierIDMeansTheNodeItBelongsTo(t *testing.T) {
	m := newMemory(edge(graph.EdgeSpawned, device("a"), device("b"), 1, 9))
	m.aliases[device("old")] = device("a")
	a := ask(t, m, traverse.Question{Sources: []graph.ID{device("old"), device("a")}})
	if !slices.Equal(a.Sources, []graph.ID{device("a")}) || a.Score != 1 {
		t.Errorf("sources %v, score %d", a.Sources, a.Score)
	}
}

func TestACancelledQuestionReturnsTheContextsError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newMemory(edge(graph.EdgeSpawned, device("a"), device("b"), 1, 9))
	if _, err := m.both(ctx, traverse.Question{Sources: []graph.ID{device("a")}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// stalling answers its first queries and then waits for the end of the context.
type stalling struct {
	*memory
	answers int
	onStall func()
}

func (s *stalling) stored() traverse.Ground {
	return traverse.Stored(s, graph.View{}, graph.Criticalities{})
}

func (s *stalling) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	if s.answers--; s.answers >= 0 {
		return s.memory.Edges(ctx, v, q)
	}
	return func(yield func(graph.Edge, error) bool) {
		s.onStall()
		<-ctx.Done()
		yield(graph.Edge{}, fmt.Errorf("store: %w", ctx.Err()))
	}
}

func chain() *memory {
	return newMemory(
		edge(graph.EdgeSpawned, device("a"), device("b"), 1, 9),
		edge(graph.EdgeSpawned, device("b"), device("c"), 1, 9),
	)
}

func TestAPassedDeadlineGivesWhatWasFoundAndSaysSo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	// One hop is at most three queries: doubles, edges out, edges in.
	adj := &stalling{chain(), 4, func() {}}
	a, err := blast(ctx, adj.stored(), traverse.Question{Sources: []graph.ID{device("a")}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Completeness.Complete || a.Completeness.Reason != traverse.LimitDeadline || !slices.Equal(targets(a), []graph.ID{device("b")}) {
		t.Errorf("%+v, targets %v", a.Completeness, targets(a))
	}
}

func TestADeadlineThatHasPassedBeforeIsStillNoError(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	a, err := chain().both(ctx, traverse.Question{Sources: []graph.ID{device("a")}})
	if err != nil || a.Completeness.Reason != traverse.LimitDeadline || !slices.Equal(a.Sources, []graph.ID{device("a")}) {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestACancellationWhileSearchingIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	adj := &stalling{chain(), 4, cancel}
	if _, err := blast(ctx, adj.stored(), traverse.Question{Sources: []graph.ID{device("a")}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type failing struct{ *memory }

func (failing) Edges(context.Context, graph.View, graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) { yield(graph.Edge{}, graph.ErrClosed) }
}

func TestAnErrorOfTheAdjacencyIsReturned(t *testing.T) {
	if _, err := blast(t.Context(), traverse.Stored(failing{chain()}, graph.View{}, graph.Criticalities{}), traverse.Question{Sources: []graph.ID{device("a")}}); !errors.Is(err, graph.ErrClosed) {
		t.Error(err)
	}
}

// Work is counted, not timed: each edge is read at most once at each end.
func TestAGraphOf200000EdgesIsReadOnce(t *testing.T) {
	const width, edgesPerNode = 20_000, 10
	var edges []graph.Edge
	for i := range width {
		for j := range edgesPerNode {
			edges = append(edges, edge(graph.EdgeSpawned, device(named("d", i)), device(named("d", (i*7+j*j*131+1)%width)), 1+i%5, 9))
		}
	}
	a := ask(t, newMemory(edges...), traverse.Question{Sources: []graph.ID{device("d-000")}, MaxHops: 6})
	if !a.Completeness.Complete || a.Completeness.Edges > len(edges) || a.Score < width/2 {
		t.Errorf("score %d, %+v", a.Score, a.Completeness)
	}
}
