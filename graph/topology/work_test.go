package topology

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/graphtest"
)

// counted is a source that counts.
type counted struct {
	hooked
	calls map[string]int
}

func count(s Source) *counted {
	c := &counted{hooked{Source: s}, map[string]int{}}
	c.before = func(_ context.Context, call string) error { c.calls[call]++; return nil }
	return c
}

// byHand is a topology that the test moves, and has moved once.
func byHand(t *testing.T, s Source, o Options) *Topology {
	t.Helper()
	o.Grade = facts
	f := newTopology(s, graphtest.Tenant, o)
	must(0, f.advance(context.Background()))(t)
	return f
}

func numbers(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func TestManyChangesAreOneReRead(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	c := count(&hooked{Source: s, hides: always(hideOutcome)})
	f := byHand(t, c, Options{})
	for i := range 50 {
		apply(t, s, logon(t, i, i%7))
	}
	clear(c.calls)
	must(0, f.advance(context.Background()))(t)
	if c.calls["changes"] != 2 || c.calls["entities"] != 1 || c.calls["edges"] != 1 {
		t.Errorf("calls: %v", c.calls)
	}
	compare(t, truthOf(t, s), f.shown)
}

func TestAReReadIsCutByNodesAndByTheirEdges(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	c := count(&hooked{Source: s, hides: always(hideEdges)})
	f := byHand(t, c, Options{limits: limits{nodes: 10, degree: 15, fold: 1000, rounds: 4, turn: 1000, batch: 1000}})
	apply(t, s, logons(t, numbers(39), 1, 0)) // 40 nodes
	must(0, f.advance(context.Background()))(t)
	if n := c.calls["edges"] - 1; n != 4 {
		t.Errorf("%d calls for nodes without edges so far, want 4", n)
	}
	clear(c.calls)
	apply(t, s, logons(t, numbers(39), 1, 1))
	must(0, f.advance(context.Background()))(t)
	if n := c.calls["edges"]; n != 4 {
		t.Errorf("%d calls, want 4: ten nodes, or fifteen edges, at a time", n)
	}
	compare(t, truthOf(t, s), f.shown)
}

func TestAHubIsNotReadWholeForEveryEdgeItGets(t *testing.T) {
	for name, at := range map[string]func(n int) (user, device int){
		"edges come in": func(n int) (int, int) { return n, 0 },
		"edges go out":  func(n int) (int, int) { return 0, n },
	} {
		s := openStore(t, 0)
		defer s.Close()
		var all graph.Batch
		for n := range 5001 {
			u, d := at(n)
			b := logon(t, u, d)
			all.Entities, all.Edges = append(all.Entities, b.Entities...), append(all.Edges, b.Edges...)
		}
		apply(t, s, all)
		for i, hides := range []hidden{hideEdges, hideOutcome} {
			c := count(&hooked{Source: s, hides: always(hides)})
			f := byHand(t, c, Options{})
			clear(c.calls)
			u, d := at(6000 + i)
			apply(t, s, logon(t, u, d))
			must(0, f.advance(context.Background()))(t)
			if n := c.calls["edge"]; n != 1 {
				t.Errorf("%s: %d edges read for one that is new", name, n)
			}
			compare(t, truthOf(t, s), f.shown)
		}
	}
}

// TestAnEdgeBetweenHubsIsReadAtOneOfThem, also when the read of the other fails, after which it is alone.
func TestAnEdgeBetweenHubsIsReadAtOneOfThem(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := openStore(t, 0)
		defer s.Close()
		apply(t, s, logons(t, numbers(30), 1, 0))
		for d := range 20 {
			apply(t, s, logon(t, 0, 100+d))
		}
		left := 0 // calls to the one that fails; the first is for the device
		source := &hooked{Source: s, hides: always(hideEdges), before: func(_ context.Context, call string) error {
			if call == "edges" {
				if left--; left == 0 {
					return errFault
				}
			}
			return nil
		}}
		f := byHand(t, source, Options{limits: limits{nodes: 1, degree: 1000, fold: 1000, rounds: 4, turn: 5, batch: 1000}})
		apply(t, s, logons(t, []int{0}, 1, 5))
		if fails {
			left = 2
		}
		if err := f.advance(context.Background()); fails != errors.Is(err, errFault) {
			t.Fatalf("the first try ended with %v", err)
		}
		must(0, f.advance(context.Background()))(t)
		compare(t, truthOf(t, s), f.shown)
	}
}

func TestAnEdgeThatWasRemovedGoesAtWhicheverEndItIsRead(t *testing.T) {
	for name, at := range map[string]func(n int) (user, device int){
		"edges come in": func(n int) (int, int) { return n, 0 },
		"edges go out":  func(n int) (int, int) { return 0, n },
	} {
		s := openStore(t, 0)
		defer s.Close()
		for n := range 10 {
			u, d := at(n)
			apply(t, s, logon(t, u, d))
		}
		f := byHand(t, s, Options{limits: limits{nodes: 100, degree: 1000, fold: 1000, rounds: 4, turn: 5, batch: 1000}})
		u, d := at(3)
		key := graph.EdgeKey{From: user(t, u).ID(), Kind: graph.EdgeLoggedOn, To: device(t, d).ID()}
		apply(t, s, graph.Batch{Expire: &graph.Expiry{Edges: []graph.EdgeKey{key}, EdgesBefore: graphtest.Epoch.Add(time.Hour)}})
		must(0, f.advance(context.Background()))(t)
		if _, edges := f.shown.Size(); edges != 9 {
			t.Errorf("%s: %d edges, want 9", name, edges)
		}
		compare(t, truthOf(t, s), f.shown)
	}
}

// TestAJoinThatIsSeenTooEarlyLosesNoEdge: the device is read for a commit when the next one has joined it to
// another already, and the graph is shown before that commit is collected.
func TestAJoinThatIsSeenTooEarlyLosesNoEdge(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	known := func(typ graph.KeyType, value string) graph.EntityObservation {
		return entity(t, graph.KindDevice, typ, value)
	}
	old, joins := known(graph.KeyAzureADDeviceID, "a1"), known(graph.KeyMdeDeviceID, "m1")
	joins.Keys = append(joins.Keys, old.Keys...)
	b := logon(t, 1, 1)
	b.Entities = append(b.Entities, old)
	b.Edges[0].To = old.ID()
	apply(t, s, b)
	source := &hooked{Source: s}
	f := byHand(t, source, Options{limits: limits{nodes: 100, degree: 1000, fold: 1000, rounds: 1, turn: 5, batch: 1000}})
	old.Source = "identity"
	r := apply(t, s, graph.Batch{Entities: []graph.EntityObservation{old}})
	source.once("entities", func() { apply(t, s, graph.Batch{Entities: []graph.EntityObservation{joins}}) })
	must(0, f.advance(context.Background()))(t)
	if f.shown.Revision != r || f.shown.Exact {
		t.Fatalf("revision %d (exact: %v), want a picture of %d that has seen more", f.shown.Revision, f.shown.Exact, r)
	}
	if n := len(ofGraph{f.shown.Graph()}.edges(t, old.ID())); n != 1 {
		t.Errorf("%d edges at the device, want 1", n)
	}
	for range 2 {
		must(0, f.advance(context.Background()))(t)
	}
	compare(t, truthOf(t, s), f.shown)
}

// without is a source in which a node is no more.
type without struct {
	Source
	gone    graph.ID
	changed graph.Revision
}

func (w *without) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	v.AtLeast = 0
	found, err := w.Source.Entities(ctx, v, q)
	for i, e := range found {
		if e.ID == w.gone {
			found[i] = graph.Entity{}
		}
	}
	return found, err
}

func (w *without) Changes(_ context.Context, _ graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return func(yield func(graph.Change, error) bool) {
		if since < w.changed {
			yield(graph.Change{Revision: w.changed, Entities: []graph.ID{w.gone}}, nil)
		}
	}
}

func TestANodeThatIsNoMoreGoesWithItsEdges(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	r := apply(t, s, logons(t, numbers(3), 1, 0))
	w := &without{Source: s}
	f := byHand(t, w, Options{})
	w.gone, w.changed = device(t, 1).ID(), r+1
	must(0, f.advance(context.Background()))(t)
	if nodes, edges := f.shown.Size(); nodes != 3 || edges != 0 {
		t.Errorf("%d nodes and %d edges are left, want 3 and 0", nodes, edges)
	}
}

func TestAScanOutlivesTheChangesMadeMeanwhile(t *testing.T) {
	s := openStore(t, 3)
	defer s.Close()
	apply(t, s, logons(t, numbers(30), 1, 0))
	n := 0
	source := &hooked{Source: s, page: 1, before: func(_ context.Context, call string) error {
		if n++; call == "entities" && n%2 == 0 {
			apply(t, s, logon(t, 100+n, 2))
		}
		return nil
	}}
	f := byHand(t, source, Options{Poll: time.Nanosecond})
	must(0, f.advance(context.Background()))(t)
	compare(t, truthOf(t, s), f.shown)
}

func TestWhatAScanGivesLateDoesNotUndoAChange(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logons(t, numbers(10), 1, 1))
	source := &hooked{Source: s}
	source.once("edge", func() { apply(t, s, logons(t, numbers(10), 1, 0)) }) // earlier: all edges change
	f := byHand(t, source, Options{Poll: time.Nanosecond, limits: limits{nodes: 9, degree: 9, fold: 9, rounds: 9, turn: 9, batch: 1}})
	must(0, f.advance(context.Background()))(t)
	compare(t, truthOf(t, s), f.shown)
}

func TestNothingIsReadWhereNobodyWrites(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logon(t, 1, 1))
	c := count(s)
	f := byHand(t, c, Options{})
	clear(c.calls)
	must(0, f.advance(context.Background()))(t)
	if len(c.calls) != 2 || c.calls["changes"] != 1 || c.calls["change"] != 1 { // the one that it is at
		t.Errorf("calls: %v", c.calls)
	}
}

func TestNodesThatAreAllGoneAreNotTakenForAll(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logon(t, 1, 1))
	c := count(s)
	f := byHand(t, c, Options{})
	clear(c.calls)
	f.work.plan = &plan{}
	must(0, f.work.reread(context.Background(), []graph.ID{graph.NewID(graph.KindDevice, "nobody")}))(t)
	if c.calls["edges"] != 0 {
		t.Errorf("calls: %v", c.calls)
	}
}

// deaf answers for fewer nodes than asked.
type deaf struct{ Source }

func (d deaf) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	found, err := d.Source.Entities(ctx, v, q)
	if q.IDs != nil {
		found = found[:0]
	}
	return found, err
}

func TestAnAnswerOfTheWrongLengthIsAnError(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	f := byHand(t, deaf{&hooked{Source: s, hides: always(hideOutcome)}}, Options{})
	apply(t, s, logon(t, 1, 1))
	if err := f.advance(context.Background()); err == nil {
		t.Error("it was taken")
	}
}

func TestAClockIsTheOptions(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	clock := graphtest.NewClock()
	f := byHand(t, s, Options{Clock: clock.Now})
	clock.Move(DefaultMaxStale)
	if err := f.Ready(t.Context()); err != nil {
		t.Errorf("not ready at the limit: %v", err)
	}
	clock.Move(time.Second)
	v := must(f.View(t.Context(), 0))(t)
	if err := f.Ready(t.Context()); !errors.Is(err, ErrStale) || !v.Stale || !v.Confirmed.Equal(graphtest.Epoch) {
		t.Errorf("ready is %v, stale %v since %s", err, v.Stale, v.Confirmed)
	}
	must(0, f.advance(t.Context()))(t)
	if v := must(f.View(t.Context(), 0))(t); v.Stale || f.Ready(t.Context()) != nil {
		t.Error("not fresh after a poll")
	}
}

func TestATenantThatIsTooLargeHasNoGraphUntilItIsNot(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logons(t, numbers(3), 1, 0)) // four ids
	o := limits{nodes: 100, degree: 1000, fold: 1000, rounds: 4, turn: 5, batch: 1000, ids: 4}
	f := byHand(t, s, Options{limits: o})
	before := f.shown
	last := apply(t, s, logons(t, []int{3}, 1, 1))
	for range 2 { // by the change, then by a scan
		if err := f.advance(t.Context()); !errors.Is(err, compact.ErrFull) || f.shown != before {
			t.Fatalf("beyond the limit: %v, revision %d", err, f.shown.Revision)
		}
	}
	if nodes, edges := before.Size(); nodes != 4 || edges != 3 {
		t.Errorf("%d nodes and %d edges are shown from before, want 4 and 3", nodes, edges)
	}
	f.options.limits.ids = 5
	must(0, f.advance(t.Context()))(t)
	if compare(t, truthOf(t, s), f.shown); f.shown.Revision != last {
		t.Errorf("revision %d is shown, want %d", f.shown.Revision, last)
	}
}

// asking is a source that notes whether it was asked for sightings.
type asking struct {
	Source
	asked map[bool]int
}

func (a asking) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	a.asked[q.Sightings]++
	return a.Source.Edges(ctx, v, q)
}

// The edge is the same now after a sighting within the span of another became longer.
func TestHowEdgesWereIsFollowedWhereHistoryIsKept(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for _, told := range []bool{false, true} {
			followHistory(t, kept, told)
		}
	}
}

func followHistory(t *testing.T, kept, told bool) {
	hides, asked := hideOutcome, 2
	if told {
		hides, asked = hideNothing, 1
	}
	s := openStore(t, 0)
	defer s.Close()
	seen := func(key string, first, last int) graph.Batch {
		b := logon(t, 1, 1)
		b.Edges[0].FirstSeen, b.Edges[0].LastSeen = graphtest.Epoch.Add(time.Duration(first)*time.Hour), graphtest.Epoch.Add(time.Duration(last)*time.Hour)
		b.Edges[0].Observation = graph.NewID(graph.KindObservation, key)
		return b
	}
	apply(t, s, seen("long", 0, 9))
	apply(t, s, seen("short", 4, 5))
	source := asking{&hooked{Source: s, hides: always(hides)}, map[bool]int{}}
	f := byHand(t, source, Options{History: kept})
	apply(t, s, seen("short", 2, 5))
	must(0, f.advance(context.Background()))(t)
	if f.shown.Graph().History() != kept || source.asked[!kept] > 0 || source.asked[kept] != asked {
		t.Errorf("history is kept: %t, told: %t, asked for: %v", f.shown.Graph().History(), told, source.asked)
	}
	want := truthOf(t, s)
	if !strings.Contains(want.past[graphtest.Epoch.Add(3*time.Hour)], `"count":2`) {
		t.Fatalf("as of the third hour the store has %s", want.past[graphtest.Epoch.Add(3*time.Hour)])
	}
	compare(t, want, f.shown)
}

// What a change says of its edges is all that is read of them, however many the nodes at their ends have.
func TestOfAChangeThatTellsItsEdgesNoOthersAreRead(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logons(t, numbers(500), 1, 0))
	for d := range 20 {
		apply(t, s, logons(t, numbers(30), 100+d, 0))
	}
	c := count(&hooked{Source: s, hides: always(hideOutcome)})
	f := byHand(t, c, Options{})
	for _, change := range []struct {
		batch       graph.Batch
		edges, some int // calls, and edges that were read
	}{
		{logons(t, []int{3, 4}, 1, 7), 1, 2},                                 // seen again
		{logons(t, []int{900, 901, 3}, 1, 8), 1, 3},                          // two are new
		{graph.Batch{Entities: []graph.EntityObservation{user(t, 7)}}, 0, 0}, // nothing new
		{graph.Batch{Entities: []graph.EntityObservation{user(t, 5000)}}, 0, 0},
	} {
		clear(c.calls)
		apply(t, s, change.batch)
		must(0, f.advance(context.Background()))(t)
		if c.calls["edges"] != change.edges || c.calls["edge"] != change.some {
			t.Errorf("%d calls for %d edges, want %d for %d", c.calls["edges"], c.calls["edge"], change.edges, change.some)
		}
		compare(t, truthOf(t, s), f.shown)
	}
}

// What a commit left is not read: of edges, whether new or seen again, and of nodes, of one id or several. Edges of
// which not all sightings are remembered are read by themselves, and nodes that gain ids with all that they have.
func TestWhatACommitLeftIsNotRead(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logons(t, numbers(500), 1, 0))
	atOnce := logons(t, []int{20}, 1, 0)
	atOnce.Edges[0].Observation = graph.NewID(graph.KindObservation, "at once")
	apply(t, s, atOnce)
	c := count(s)
	f := byHand(t, c, Options{History: true})
	named := device(t, 7)
	named.Keys = append(named.Keys, entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "00000000-0000-0000-0000-000000000001").Keys...)
	gains := device(t, 2)
	gains.Keys = append(gains.Keys, entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "00000000-0000-0000-0000-000000000002").Keys...)
	changed := user(t, 3)
	changed.Properties = map[string]json.RawMessage{"displayName": json.RawMessage(`"Three"`)}
	twice := logons(t, []int{800}, 1, 5)
	twice.Edges = append(twice.Edges, logons(t, []int{800}, 1, 6).Edges...)
	of := logons(t, []int{900}, 7, 0)
	of.Entities[0] = named
	for name, change := range map[string]struct {
		batch           graph.Batch
		entities, edges int // that are read
	}{
		"new edges and nodes":       {logons(t, []int{700, 701, 3}, 2, 8), 0, 0},
		"seen twice at once":        {twice, 0, 0},
		"seen again":                {logons(t, []int{3, 4}, 1, 7), 0, 0},
		"seen at once, and again":   {logons(t, []int{20}, 1, 7), 0, 1},
		"what is known of a node":   {graph.Batch{Entities: []graph.EntityObservation{changed}}, 0, 0},
		"a new node of several ids": {of, 0, 0},
	} {
		clear(c.calls)
		apply(t, s, change.batch)
		must(0, f.advance(context.Background()))(t)
		if c.calls["entities"] != change.entities || c.calls["edge"] != change.edges {
			t.Errorf("%s: %v, want %d calls for entities and %d edges", name, c.calls, change.entities, change.edges)
		}
		compare(t, truthOf(t, s), f.shown)
	}
	clear(c.calls)
	apply(t, s, graph.Batch{Entities: []graph.EntityObservation{gains}})
	must(0, f.advance(context.Background()))(t)
	if c.calls["entities"] != 1 || c.calls["edge"] != 3 {
		t.Errorf("a node that gains an id: %v", c.calls)
	}
	compare(t, truthOf(t, s), f.shown)
}

// A read may show a commit that is collected later only. What that says it saw again is there already.
func TestWhatWasReadEarlyIsNotCountedTwice(t *testing.T) {
	for name, hides := range map[string]hidden{"an edge": hideOutcome, "a node and its edges": hideEdges} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, 0)
			defer s.Close()
			apply(t, s, logons(t, numbers(9), 1, 0))
			source := &hooked{Source: s}
			f := byHand(t, source, Options{History: true})
			apply(t, s, logons(t, numbers(9), 1, 7))
			source.hides = always(hides)
			source.once("edges", func() { // that have to be read for the first commit
				source.hides = nil
				apply(t, s, logons(t, numbers(9), 1, 8))
			})
			must(0, f.advance(t.Context()))(t)
			if source.before != nil {
				t.Fatal("nothing was read")
			}
			compare(t, truthOf(t, s), f.shown)
		})
	}
	t.Run("a node that another was joined to", func(t *testing.T) {
		s := openStore(t, 0)
		defer s.Close()
		known, dirty := device(t, 1), entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "00000000-0000-0000-0000-000000000001")
		ended := logon(t, 2, 2)
		ended.Entities[0], ended.Edges[0].To = dirty, dirty.ID()
		apply(t, s, logons(t, []int{1}, 1, 0))
		apply(t, s, ended)
		source := &hooked{Source: s}
		f := byHand(t, source, Options{History: true})
		apply(t, s, graph.Batch{Expire: &graph.Expiry{Edges: []graph.EdgeKey{{From: user(t, 2).ID(), Kind: graph.EdgeLoggedOn, To: dirty.ID()}}, EdgesBefore: graphtest.Epoch.Add(1e15)}})
		source.once("entities", func() { // that have to be read for the expiry
			apply(t, s, logons(t, []int{1}, 1, 8))
			known.Keys = append(known.Keys, dirty.Keys...)
			apply(t, s, graph.Batch{Entities: []graph.EntityObservation{known}})
		})
		must(0, f.advance(t.Context()))(t)
		if source.before != nil {
			t.Fatal("nothing was read")
		}
		compare(t, truthOf(t, s), f.shown)
	})
	t.Run("all, by a scan", func(t *testing.T) {
		s := openStore(t, 0)
		defer s.Close()
		apply(t, s, logons(t, numbers(9), 1, 0))
		source, edges := &hooked{Source: s}, 0
		source.tear = func() bool {
			if edges++; edges == 3 {
				apply(t, s, logons(t, numbers(9), 1, 8))
			}
			return edges == 3
		}
		some := usualLimits
		some.batch = 1 // after each of which changes are collected
		f := newTopology(source, graphtest.Tenant, Options{Grade: facts, Poll: 1, History: true, limits: some})
		must(0, f.advance(t.Context()))(t)
		must(0, f.advance(t.Context()))(t)
		compare(t, truthOf(t, s), f.shown)
	})
}

// What is collected during a scan waits until it ends: of commits that change the same again and again, once.
func TestChangesDuringAScanWaitOnce(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logons(t, numbers(100), 1, 0))
	source, commits := &hooked{Source: s}, 0
	source.tear = func() bool {
		commits++
		apply(t, s, logons(t, numbers(5), 1, commits))
		return false
	}
	some := usualLimits
	some.batch = 1
	f := newTopology(source, graphtest.Tenant, Options{Grade: facts, Poll: 1, limits: some})
	f.work = must(f.scan(t.Context(), 0))(t)
	if n := f.work.pending(); commits < 100 || n > 5+6 { // edges and nodes
		t.Errorf("after %d commits %d things are to be read", commits, n)
	}
	must(0, f.advance(t.Context()))(t)
	must(0, f.advance(t.Context()))(t)
	compare(t, truthOf(t, s), f.shown)
}

// A node that was joined to another after what is being taken in is shown with its edges until that is taken in too.
func TestEdgesOfANodeThatIsJoinedMeanwhileAreNotLost(t *testing.T) {
	s := openStore(t, 0)
	defer s.Close()
	apply(t, s, logon(t, 1, 1))
	apply(t, s, logon(t, 2, 2))
	both := device(t, 1)
	both.Keys = append(both.Keys, entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "00000000-0000-0000-0000-000000000001").Keys...)
	other := both
	other.Keys = both.Keys[1:]
	apply(t, s, graph.Batch{Entities: []graph.EntityObservation{other, user(t, 3)}, Edges: []graph.EdgeObservation{{
		Kind: graph.EdgeLoggedOn, From: user(t, 3).ID(), To: other.ID(), FirstSeen: graphtest.Epoch, Observation: graph.NewID(graph.KindObservation, "3"),
	}}})
	source := &hooked{Source: s}
	f := byHand(t, source, Options{})
	again := device(t, 1)
	again.Properties = map[string]json.RawMessage{"osPlatform": json.RawMessage(`"Linux"`)}
	apply(t, s, graph.Batch{Entities: []graph.EntityObservation{again}})
	source.once("entities", func() { apply(t, s, graph.Batch{Entities: []graph.EntityObservation{both}}) })
	must(f.work.collect(t.Context(), 0))(t)
	must(0, f.work.refresh(t.Context()))(t)
	if _, edges := f.work.picture.Graph().Size(); edges != 3 {
		t.Errorf("%d edges are left of three", edges)
	}
	must(0, f.advance(t.Context()))(t)
	compare(t, truthOf(t, s), f.shown)
}
