package bench

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/estate"
)

// drawn is a random graph as observations, from which both the arrays and the reference are made.
type drawn struct {
	ids  []graph.ID
	seen []graph.EdgeObservation
}

// draw makes so many nodes of a few kinds and sightings of edges of all kinds between them, some of them of the same
// edge, without a time, or ended.
func draw(dice *rand.Rand, nodes, sightings int) (d drawn) {
	kinds := []graph.Kind{
		graph.KindDevice, graph.KindIdentity, graph.KindFile, graph.KindProcess, graph.KindIPAddress, graph.KindURL,
		graph.KindMailMessage, graph.KindSecurityGroup,
	}
	for i := range nodes {
		d.ids = append(d.ids, graph.NewID(kinds[dice.IntN(len(kinds))], fmt.Sprint(i)))
	}
	edgeKinds := slices.DeleteFunc(graph.EdgeKinds(), func(r graph.EdgeKindRow) bool { return r.Tense == graph.Derived })
	sometimes := func(percent int) (at time.Time) {
		if dice.IntN(100) < percent {
			at = time.Date(2026, 1, 1, 0, dice.IntN(5000), 0, 0, time.UTC)
		}
		return at
	}
	for i := range sightings {
		o := graph.EdgeObservation{
			Kind: edgeKinds[dice.IntN(len(edgeKinds))].Kind, From: d.ids[dice.IntN(nodes)], To: d.ids[dice.IntN(nodes)],
			FirstSeen: sometimes(90), LastSeen: sometimes(90), EndedAt: sometimes(20),
			Observation: graph.NewID(graph.KindObservation, fmt.Sprint(i)),
		}
		if len(d.seen) > 0 && dice.IntN(4) == 0 {
			o.Kind, o.From, o.To = d.seen[0].Kind, d.seen[0].From, d.seen[0].To
		}
		d.seen = append(d.seen, o)
	}
	return d
}

// edges are the relations as the product joins them.
func (d drawn) edges() (out []graph.Edge) {
	type key struct {
		kind     graph.EdgeKind
		from, to graph.ID
	}
	by := map[key][]graph.Sighting{}
	for _, o := range d.seen {
		k := key{o.Kind, o.From, o.To}
		by[k] = append(by[k], o.Sighting())
	}
	for k, s := range by {
		e, _ := graph.EdgeQuery{}.Join(k.kind, k.from, k.to, s)
		out = append(out, e)
	}
	return out
}

// graph is what readEstate would make of it; nodes without edges are in it too.
func (d drawn) graph() *reachGraph {
	g := newReachGraph()
	for _, id := range d.ids {
		g.add(id)
	}
	for _, o := range d.seen {
		g.see(o)
	}
	g.finish()
	return g
}

// way is a move over one edge between two nodes.
type way struct {
	near, far graph.ID
	edge      graph.Edge
}

// everyWay walks every edge both ways.
func everyWay(edges []graph.Edge) (out []way) {
	for _, e := range edges {
		out = append(out, way{e.From, e.To, e}, way{e.To, e.From, e})
	}
	return out
}

// walkedWays are those that the table has.
func walkedWays(edges []graph.Edge) (out []way) {
	for _, w := range everyWay(edges) {
		for _, row := range traverse.WalkTable() {
			if row.Kind == w.edge.Kind && slices.ContainsFunc(row.Moves, func(m traverse.Move) bool {
				return (w.edge.From == w.near != m.Backward || w.near == w.far) &&
					(m.Near == nil || slices.Contains(m.Near, w.near.Kind())) && (m.Far == nil || slices.Contains(m.Far, w.far.Kind()))
			}) {
				out = append(out, w)
			}
		}
	}
	return out
}

// visit is what the reference knows of a node.
type visit struct {
	hops         int
	at, earliest time.Time // by the fewest hops, and by any
}

// walks notes for every node the fewest hops, the earliest arrival by these, and that over all walks of at most so many
// hops, by trying every walk.
func walks(ways []way, found map[graph.ID]visit, node graph.ID, at time.Time, hops, most int) {
	old, ok := found[node]
	if !ok {
		old = visit{hops, at, at}
	}
	if at.Before(old.earliest) {
		old.earliest = at
	}
	if hops < old.hops || hops == old.hops && at.Before(old.at) {
		old.hops, old.at = hops, at
	}
	found[node] = old
	if hops == most {
		return
	}
	for _, w := range ways {
		if w.near == node {
			if arrival, ok := w.edge.Arrive(at, traverse.DefaultCredentialLife); ok {
				walks(ways, found, w.far, arrival, hops+1, most)
			}
		}
	}
}

// expected makes the answer of what was found.
func expected(found map[graph.ID]visit, seed graph.ID, timed bool) reachAnswer {
	a := reachAnswer{counts: map[graph.Kind]int{}}
	for id, v := range found {
		if id == seed {
			continue
		}
		a.counts[id.Kind()]++
		n := reachedNode{id: id, hops: v.hops}
		if timed {
			n.at = compact.InstantOf(v.at)
		}
		a.first = append(a.first, n)
	}
	slices.SortFunc(a.first, func(x, y reachedNode) int {
		return cmp.Or(cmp.Compare(x.hops, y.hops), cmp.Compare(x.at, y.at), x.id.Compare(y.id))
	})
	a.first = a.first[:min(len(a.first), firstNodes)]
	return a
}

// agree compares a side with the wanted answer to each question twice, so that what a search leaves behind shows.
func agree(t *testing.T, s side, seed graph.ID, hops int, want reachAnswer) {
	t.Helper()
	for range 2 {
		got, err := s.reach(t.Context(), seed, hops)
		if err == nil {
			err = got.differs(want)
		}
		if err != nil {
			t.Fatalf("%s from %s, %d hops: %v", s.name(), seed, hops, err)
		}
	}
}

func TestBareReachIsThatOfTheReference(t *testing.T) {
	full := 0
	for seed := range uint64(200) {
		dice := rand.New(rand.NewPCG(seed, 1))
		nodes := 1 + dice.IntN(400)
		d := draw(dice, nodes, dice.IntN(2*nodes))
		b, ways := newBare(d.graph()), everyWay(d.edges())
		for hops := 1; hops <= 4; hops++ {
			want := expected(layers(ways, d.ids[0], hops), d.ids[0], false)
			agree(t, b, d.ids[0], hops, want)
			if len(want.first) == firstNodes {
				full++
			}
		}
	}
	if full == 0 {
		t.Error("no answer had to leave out a node")
	}
}

// layers is the textbook's breadth-first search.
func layers(ways []way, seed graph.ID, hops int) map[graph.ID]visit {
	found := map[graph.ID]visit{seed: {}}
	for h := 1; h <= hops; h++ {
		for _, w := range ways {
			near, ok := found[w.near]
			if _, seen := found[w.far]; ok && near.hops == h-1 && !seen {
				found[w.far] = visit{hops: h}
			}
		}
	}
	return found
}

func TestBareReachByTimeIsThatOfTheReference(t *testing.T) {
	again := 0
	for seed := range uint64(3000) {
		dice := rand.New(rand.NewPCG(seed, 2))
		d := draw(dice, 2+dice.IntN(6), dice.IntN(40))
		var start time.Time
		if dice.IntN(2) == 0 {
			start = time.Date(2026, 1, 1, 0, dice.IntN(5000), 0, 0, time.UTC)
		}
		b, ways := newBareTimed(newBare(d.graph()), compact.InstantOf(start)), walkedWays(d.edges())
		for hops := 1; hops <= 4; hops++ {
			found := map[graph.ID]visit{}
			walks(ways, found, d.ids[0], start, 0, hops)
			agree(t, b, d.ids[0], hops, expected(found, d.ids[0], true))
			again += earlierLater(ways, found, start, d.ids[0], hops)
		}
	}
	if again == 0 {
		t.Error("no node was reached earlier by a later hop")
	}
}

// earlierLater counts the nodes that arrive earlier than with one hop fewer.
func earlierLater(ways []way, found map[graph.ID]visit, start time.Time, seed graph.ID, hops int) (n int) {
	fewer := map[graph.ID]visit{}
	walks(ways, fewer, seed, start, 0, hops-1)
	for id, v := range fewer {
		if found[id].earliest.Before(v.earliest) {
			n++
		}
	}
	return n
}

func TestTheGraphIsWhatAStoreHolds(t *testing.T) {
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for b := range estate.Batches(estate.Tiny()) {
		if _, err := s.Apply(t.Context(), measuredTenant, b); err != nil {
			t.Fatal(err)
		}
	}
	g, held := readEstate(estate.Tiny()), 0
	of := map[relation]bool{}
	for _, r := range g.edges {
		of[r] = true
	}
	for e, err := range s.Edges(t.Context(), graph.View{Tenant: measuredTenant}, graph.EdgeQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		r := relation{g.number[e.From], g.number[e.To], e.Kind, compact.InstantOf(e.FirstSeen), always}
		if until := e.UsableUntil(traverse.DefaultCredentialLife); !until.IsZero() {
			r.until = compact.InstantOf(until)
		}
		if held++; !of[r] {
			t.Fatalf("the store has %+v", e)
		}
	}
	if held != len(g.edges) || held < 2000 {
		t.Errorf("the store has %d edges, the graph %d", held, len(g.edges))
	}
}

func TestSeedsAreTheSameEachTimeAndMixLeavesAndHubs(t *testing.T) {
	g := readEstate(estate.Tiny())
	seeds, degrees := g.seeds(200, 1), g.degrees()
	if !slices.Equal(seeds, readEstate(estate.Tiny()).seeds(200, 1)) {
		t.Error("the same draw gives other seeds")
	}
	if slices.Equal(seeds, g.seeds(200, 2)) {
		t.Error("another draw gives the same seeds")
	}
	sorted := slices.Sorted(slices.Values(degrees))
	median, top := sorted[len(sorted)/2], sorted[len(sorted)-50]
	for _, n := range []int{200, 40} { // the first few are a mix too
		leaves, hubs := 0, 0
		for _, s := range seeds[:n] {
			if degrees[s] <= median {
				leaves++
			}
			if degrees[s] >= top {
				hubs++
			}
		}
		if leaves < n/8 || hubs < n/8 {
			t.Errorf("%d seeds: %d are leaves, %d hubs", n, leaves, hubs)
		}
	}
	for _, hub := range g.hubs(50) {
		if !slices.Contains(seeds, hub) {
			t.Errorf("a node with %d edges is missing", degrees[hub])
		}
	}
	slices.Sort(seeds)
	if len(slices.Compact(seeds)) != 200 {
		t.Error("a seed is there twice")
	}
}
