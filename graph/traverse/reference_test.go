package traverse_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"pgregory.net/rapid"
)

// reference follows every time-respecting walk of at most q.MaxHops hops, until it comes to hold a node at a
// hop and an instant at which another walk has held it: slow and obvious, without any order or dominance.
type reference struct {
	edges []graph.Edge
	q     traverse.Question
	found map[graph.ID][]held
	// gone is a node that is not there, cut says which edges are not.
	gone graph.ID
	cut  func(e graph.Edge, backward bool) bool
}

type held struct {
	hops int
	at   time.Time
}

func enumerate(edges []graph.Edge, q traverse.Question) map[graph.ID][]held {
	r := reference{edges: edges, q: q, found: map[graph.ID][]held{}}
	for _, s := range q.Sources {
		r.walk(s, held{0, q.Start})
	}
	return r.found
}

func (r reference) walk(n graph.ID, h held) {
	if n == r.gone || slices.Contains(r.found[n], h) {
		return
	}
	r.found[n] = append(r.found[n], h)
	for _, e := range r.edges {
		for _, backward := range []bool{false, true} {
			near, far := ends(e, backward)
			if near != n || near == far || r.cut != nil && r.cut(e, backward) {
				continue
			}
			if e.Kind == graph.EdgePossiblySame {
				r.walk(far, h)
			} else if at, ok := usable(r.edges, r.q, e, backward, h); ok && h.hops < r.q.MaxHops {
				r.walk(far, held{h.hops + 1, at})
			}
		}
	}
}

func ends(e graph.Edge, backward bool) (near, far graph.ID) {
	if backward {
		return e.To, e.From
	}
	return e.From, e.To
}

// usable says whether who holds the near end can take the edge, by table, hubs and time.
func usable(edges []graph.Edge, q traverse.Question, e graph.Edge, backward bool, h held) (time.Time, bool) {
	near, far := ends(e, backward)
	m, ok := moveOf(e.Kind, backward, near, far)
	if q.EveryEdge {
		m, ok = traverse.Move{}, e.Kind != graph.EdgePossiblySame
	}
	if !ok || (q.EdgeKinds != nil && !slices.Contains(q.EdgeKinds, e.Kind)) {
		return time.Time{}, false
	}
	if m.Shared && h.hops > 0 && !q.ThroughHubs && degree(edges, near) > q.HubDegree {
		return time.Time{}, false
	}
	if q.Timeless {
		return time.Time{}, true
	}
	return e.Arrive(h.at, q.CredentialLife)
}

func moveOf(k graph.EdgeKind, backward bool, near, far graph.ID) (traverse.Move, bool) {
	for _, row := range traverse.WalkTable() {
		for _, m := range row.Moves {
			if row.Kind == k && m.Backward == backward &&
				(m.Near == nil || slices.Contains(m.Near, near.Kind())) &&
				(m.Far == nil || slices.Contains(m.Far, far.Kind())) {
				return m, true
			}
		}
	}
	return traverse.Move{}, false
}

func degree(edges []graph.Edge, n graph.ID) int {
	sharing := map[graph.ID]bool{}
	for _, e := range edges {
		for _, backward := range []bool{false, true} {
			near, far := ends(e, backward)
			if m, ok := moveOf(e.Kind, backward, near, far); ok && m.Shared && near == n && far != n {
				sharing[far] = true
			}
		}
	}
	return len(sharing)
}

// nearest is the least (hops, arrival), earliest the least (arrival, hops).
func nearest(hs []held) held {
	return slices.MinFunc(hs, func(a, b held) int {
		if a.hops != b.hops {
			return a.hops - b.hops
		}
		return a.at.Compare(b.at)
	})
}

func earliest(hs []held) held {
	return slices.MinFunc(hs, func(a, b held) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.hops - b.hops
	})
}

var someKinds = []graph.Kind{
	graph.KindIdentity, graph.KindDevice, graph.KindDevice, graph.KindFile, graph.KindMailMessage,
	graph.KindSecurityGroup, graph.KindIPAddress, graph.KindURL, graph.KindProcess,
}

// worlds checks a property of many small graphs of all edge kinds, with zero and equal instants, each with
// a question; some as of an instant, when the edges are as they were then, with all their sightings. Rapid draws only the seeds: its taste for small values would leave most graphs without a way.
func worlds(t *testing.T, check func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question)) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, i))
			edges, q := world(r)
			t.Logf("world %d.%d: %+v\n%+v", seed, i, edges, q)
			check(t, r, edges, q)
		}
	})
}

func world(r *rand.Rand) ([]graph.Edge, traverse.Question) {
	nodes := make([]graph.ID, 4+r.IntN(5))
	for i := range nodes {
		nodes[i] = id(pick(r, someKinds), named("n", i))
	}
	edges, asOf := then(r, distinctEdges(r, nodes))
	q := traverse.Question{
		Sources:        []graph.ID{edges[0].From, pick(r, edges).To}[:1+r.IntN(2)],
		Start:          at(r.IntN(5)),
		MaxHops:        1 + r.IntN(4),
		HubDegree:      1 + r.IntN(4),
		ThroughHubs:    r.IntN(3) == 0,
		CredentialLife: time.Minute,
		TargetKinds:    allKinds(),
		EveryEdge:      r.IntN(5) == 0,
		AsOf:           asOf,
	}
	if r.IntN(4) == 0 {
		q.Timeless, q.Start = true, time.Time{}
	}
	if r.IntN(5) == 0 {
		q.EdgeKinds = []graph.EdgeKind{graph.EdgeAdminOf, graph.EdgePresentOn, graph.EdgeDelivered, graph.EdgeLoggedOn}
	}
	return edges, q
}

// then sometimes gives edges several sightings, and those that were seen by an instant as they were as of then.
func then(r *rand.Rand, edges []graph.Edge) ([]graph.Edge, time.Time) {
	if r.IntN(3) > 0 {
		return edges, time.Time{}
	}
	var seen []graph.Edge
	q := graph.EdgeQuery{AsOf: at(2 + r.IntN(7)), Sightings: true}
	for _, e := range edges {
		if e.Kind == graph.EdgePossiblySame {
			seen = append(seen, e)
		} else if e, ok := q.Join(e.Kind, e.From, e.To, sightings(r)); ok {
			seen = append(seen, e)
		}
	}
	if len(seen) == 0 {
		return edges, time.Time{}
	}
	return seen, q.AsOf
}

// seenOnce gives edges one sighting each, and those that were seen by an instant as they were as of then; of now it leaves
// them.
func seenOnce(edges []graph.Edge, asOf time.Time) (seen []graph.Edge) {
	if asOf.IsZero() {
		return edges
	}
	q := graph.EdgeQuery{AsOf: asOf, Sightings: true}
	for i, e := range edges {
		s := graph.Sighting{Observation: id(graph.KindObservation, named("once", i)), FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, EndedAt: e.EndedAt}
		if e, ok := q.Join(e.Kind, e.From, e.To, []graph.Sighting{s}); ok {
			seen = append(seen, e)
		}
	}
	return seen
}

// sightings are some, two of one key among them at times.
func sightings(r *rand.Rand) (out []graph.Sighting) {
	for range 1 + r.IntN(3) {
		first := r.IntN(7)
		o := graph.EdgeObservation{
			FirstSeen: at(first), LastSeen: at(first + r.IntN(6)), Inferred: r.IntN(5) == 0,
			Observation: id(pick(r, []graph.Kind{graph.KindAlert, graph.KindObservation}), named("o", r.IntN(5))),
		}
		if r.IntN(4) == 0 {
			o.EndedAt = at(first + r.IntN(9))
		}
		out = append(out, o.Sighting())
	}
	return out
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// drawnKinds are all kinds, those that are walked from any node to any several times.
var drawnKinds = func() []graph.EdgeKind {
	often := []graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeAdminOf, graph.EdgeSpawned,
		graph.EdgeDelivered, graph.EdgePresentOn, graph.EdgeOfSession, graph.EdgeAttached}
	kinds := slices.Concat(often, often, often, often, []graph.EdgeKind{graph.EdgePossiblySame})
	for _, r := range traverse.WalkTable() {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}()

// distinctEdges makes up to twenty, most of them of kinds that are walked.
func distinctEdges(r *rand.Rand, nodes []graph.ID) []graph.Edge {
	type triple struct {
		kind     graph.EdgeKind
		from, to graph.ID
	}
	seen := map[triple]bool{}
	var edges []graph.Edge
	for range 6 + r.IntN(16) {
		e := anEdge(r, nodes)
		if key := (triple{e.Kind, e.From, e.To}); !seen[key] {
			seen[key], edges = true, append(edges, e)
		}
	}
	return edges
}

func anEdge(r *rand.Rand, nodes []graph.ID) graph.Edge {
	first := r.IntN(7)
	last := first + r.IntN(4)
	e := graph.Edge{
		Kind: pick(r, drawnKinds), From: pick(r, nodes), To: pick(r, nodes),
		FirstSeen: at(first), LastSeen: at(last), Count: 1 + r.IntN(2), Inferred: r.IntN(5) == 0,
	}
	if r.IntN(5) == 0 && last > 0 {
		e.EndedAt = at(last + r.IntN(3))
	}
	return e
}

func TestBlastRadiusEqualsEnumerationOfAllWalks(t *testing.T) {
	var checked, reentered, hubs, doubles, past int
	worlds(t, func(t *rapid.T, _ *rand.Rand, edges []graph.Edge, q traverse.Question) {
		a := askRapid(t, edges, q)
		want := enumerate(edges, q)
		for _, got := range a.Targets {
			checkTarget(t, edges, q, got, want[got.ID])
			if got.Earliest.Hops > got.Nearest.Hops {
				reentered++
			}
			if !got.SameAs.IsZero() {
				doubles++
			}
		}
		checkCounts(t, edges, a, want)
		hubs += len(a.Hubs)
		checked += len(a.Targets)
		if !q.AsOf.IsZero() {
			past += len(a.Targets)
		}
	})
	t.Logf("%d targets, %d of them with a later hop that arrives earlier, %d doubles, %d hubs, %d targets as of an instant", checked, reentered, doubles, hubs, past)
	if checked == 0 || reentered == 0 || hubs == 0 || doubles == 0 || past == 0 {
		t.Error("the random graphs exercise too little")
	}
}

func askRapid(t *rapid.T, edges []graph.Edge, q traverse.Question) answer {
	a, err := newMemory(edges...).both(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Completeness.Complete {
		t.Fatalf("not complete: %+v", a.Completeness)
	}
	return a
}

func checkTarget(t *rapid.T, edges []graph.Edge, q traverse.Question, got found, want []held) {
	if want == nil {
		t.Fatalf("%s is reached by no walk", got.ID)
	}
	if n := nearest(want); got.Nearest.Hops != n.hops || !got.Nearest.Arrival.Equal(n.at) {
		t.Fatalf("%s nearest: got %d hops at %v, want %d at %v", got.ID, got.Nearest.Hops, got.Nearest.Arrival, n.hops, n.at)
	}
	if e := earliest(want); got.Earliest.Hops != e.hops || !got.Earliest.Arrival.Equal(e.at) {
		t.Fatalf("%s earliest: got %d hops at %v, want %d at %v", got.ID, got.Earliest.Hops, got.Earliest.Arrival, e.hops, e.at)
	}
	checkRoute(t, edges, q, got.ID, got.Nearest)
	checkRoute(t, edges, q, got.ID, got.Earliest)
}

// checkRoute walks the witness edge by edge.
func checkRoute(t *rapid.T, edges []graph.Edge, q traverse.Question, end graph.ID, r traverse.Route) {
	now, inferred := held{0, q.Start}, false
	for i, s := range r.Steps {
		k := slices.IndexFunc(edges, func(e graph.Edge) bool { return e.Kind == s.Kind && e.From == s.From && e.To == s.To })
		if k < 0 {
			t.Fatalf("step %d is no edge: %+v", i, s)
		}
		near, _ := ends(edges[k], s.Backward)
		if i == 0 && !slices.Contains(q.Sources, near) {
			t.Fatalf("the route to %s starts at %s, no source", end, near)
		}
		if i > 0 && near != endOf(r.Steps[i-1]) {
			t.Fatalf("step %d starts elsewhere: %+v", i, r.Steps)
		}
		inferred = inferred || s.Inferred
		now = takeStep(t, edges, q, edges[k], s, now)
	}
	if endOf(r.Steps[len(r.Steps)-1]) != end || now.hops != r.Hops || !now.at.Equal(r.Arrival) || inferred != r.Inferred {
		t.Fatalf("the route to %s ends as %+v: %+v", end, now, r)
	}
}

func takeStep(t *rapid.T, edges []graph.Edge, q traverse.Question, e graph.Edge, s traverse.Step, now held) held {
	gap := !q.Timeless && e.Count > 1 && now.at.After(e.FirstSeen) && now.at.Before(e.LastSeen)
	if e.Kind == graph.EdgePossiblySame {
		if !s.Inferred || s.Gap || !s.At.Equal(now.at) {
			t.Fatalf("possiblySameAs takes no time and is inferred: %+v", s)
		}
		return now
	}
	at, ok := usable(edges, q, e, s.Backward, now)
	if !ok || !at.Equal(s.At) || s.Gap != gap || s.Inferred != e.Inferred {
		t.Fatalf("step cannot be taken so from %v: %+v over %+v", now, s, e)
	}
	return held{now.hops + 1, at}
}

func endOf(s traverse.Step) graph.ID {
	if s.Backward {
		return s.From
	}
	return s.To
}

// checkCounts compares who is reached, the counts per hop and the score.
func checkCounts(t *rapid.T, edges []graph.Edge, a answer, want map[graph.ID][]held) {
	perHop := map[int]int{}
	classes, least := map[graph.ID]bool{}, map[graph.ID]int{}
	reached := 0
	for n, hs := range want {
		h, class := nearest(hs).hops, classOf(edges, n)
		if old, seen := least[class]; !seen || h < old {
			least[class] = h
		}
		if h > 0 {
			reached++
			classes[class] = true
		}
	}
	for _, h := range least { // what is the same counts once, at its least hops
		perHop[h]++
	}
	if len(a.Targets) != reached || a.Score != len(classes) {
		t.Fatalf("%d targets and score %d, want %d and %d", len(a.Targets), a.Score, reached, len(classes))
	}
	for _, h := range a.Hops {
		if h.Total != perHop[h.Hops] {
			t.Fatalf("%d at hop %d, want %d", h.Total, h.Hops, perHop[h.Hops])
		}
		kinds := 0
		for kind, n := range h.ByKind {
			if kinds += n; n < 1 {
				t.Fatalf("%d of kind %s at hop %d", n, kind, h.Hops)
			}
		}
		if kinds != h.Total {
			t.Fatalf("%d of all kinds at hop %d, want %d", kinds, h.Hops, h.Total)
		}
		delete(perHop, h.Hops)
	}
	if len(perHop) > 0 {
		t.Fatalf("hops missing: %v", perHop)
	}
}

// classOf is the smallest id that is the same.
func classOf(edges []graph.Edge, n graph.ID) graph.ID {
	all := []graph.ID{n}
	for i := 0; i < len(all); i++ {
		for _, e := range edges {
			for _, backward := range []bool{false, true} {
				if near, far := ends(e, backward); e.Kind == graph.EdgePossiblySame && near == all[i] && !slices.Contains(all, far) {
					all = append(all, far)
				}
			}
		}
	}
	return slices.MinFunc(all, graph.ID.Compare)
}
