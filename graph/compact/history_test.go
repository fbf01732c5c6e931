package compact

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// drawSightings draws some of one edge: of few instants, so that these meet, and of one key several times; sometimes of
// more alerts than an edge shows.
func drawSightings(t *rapid.T) (all []graph.Sighting) {
	for range rapid.IntRange(1, 5).Draw(t, "sightings") {
		all = append(all, drawSighting(t, rapid.IntRange(0, 5).Draw(t, "key")))
	}
	if rapid.IntRange(0, 5).Draw(t, "many") == 0 {
		for key := range graph.MaxEdgeAlerts + 3 {
			all = append(all, drawSighting(t, 100+key))
		}
	}
	return all
}

func drawSighting(t *rapid.T, key int) graph.Sighting {
	near := []time.Time{epoch, epoch.Add(time.Hour), epoch.Add(time.Hour + time.Microsecond), epoch.Add(3 * time.Hour), {}}
	instant := func(name string) time.Time { return rapid.SampledFrom(slices.Concat(near, instants)).Draw(t, name) }
	kind := graph.KindAlert
	if key < 100 && key%2 == 1 {
		kind = graph.KindObservation
	}
	o := graph.EdgeObservation{
		FirstSeen: instant("first"), LastSeen: instant("last"), Source: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "source"),
		Inferred: rapid.Bool().Draw(t, "inferred"), Observation: graph.NewID(kind, fmt.Sprint(key)),
	}
	if rapid.IntRange(0, 2).Draw(t, "ended") == 0 {
		o.EndedAt = instant("end")
	}
	return o.Sighting()
}

// seenSo is the edge that a store would give of these.
func seenSo(kind graph.EdgeKind, from, to graph.ID, all []graph.Sighting) graph.Edge {
	e, _ := graph.EdgeQuery{Sightings: true}.Join(kind, from, to, all)
	return e
}

// edgesOf puts edges of these sightings in, from numbers to the next ones, and takes others in and out between, so that
// they have neighbours and numbers that others had.
func edgesOf(b *Builder, all [][]graph.Sighting) {
	for i, s := range all {
		tie(b, 1000, 1001)
		e := seenSo(graph.EdgeAdminOf, number(i), number(i+1), s)
		b.Insert(e, b.Node(e.From), b.Node(e.To))
		cut(b, b.Node(number(1000)), b.Arcs(b.Node(number(1000)))...)
	}
}

// someInstants are those at which something of the sightings changes, and just beside.
func someInstants(all []graph.Sighting) (out []time.Time) {
	for _, s := range all {
		for _, at := range []time.Time{s.FirstSeen, s.LastSeen, s.EndedAt} {
			if !at.IsZero() {
				out = append(out, at.Add(-time.Microsecond), at, at.Add(time.Microsecond))
			}
		}
	}
	return append(out, epoch.Add(90*time.Minute))
}

func TestAnEdgeAsOfAnInstantIsJoinedOfWhatWasSeenByThen(t *testing.T) {
	var packed, hidden, many, gone, again int
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(drawSightings), 1, 6).Draw(t, "edges")
		b := NewBuilder()
		b.KeepHistory()
		edgesOf(b, all)
		if rapid.Bool().Draw(t, "changed") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			all[i] = drawSightings(t)
			arcs := b.Arcs(b.Node(number(i)))
			b.Set(arcs[len(arcs)-1].Edge(), seenSo(graph.EdgeAdminOf, number(i), number(i+1), all[i]))
		}
		if rapid.Bool().Draw(t, "seen again") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			n := b.Node(number(i))
			arcs := b.Arcs(n)
			a := arcs[slices.IndexFunc(arcs, func(a Arc) bool { return !a.Backward() })]
			if kept, ok := b.Sightings(n, a); ok {
				again++
				s := drawSighting(t, 1000)
				e := b.Edge(n, a).Join(s)
				e.Sightings = append(kept, s)
				b.Set(a.Edge(), e)
				all[i] = append(slices.Clone(all[i]), s)
			} else if len(graph.DistinctSightings(all[i])) == 1 {
				t.Fatalf("what %+v is of is not remembered", b.Edge(n, a))
			}
		}
		if rapid.Bool().Draw(t, "tidy") {
			b.Tidy()
		}
		g := b.Graph()
		for i, s := range all {
			from, to := number(i), number(i+1)
			n, _ := g.Find(from)
			arcs := g.Arcs(n)
			a := arcs[slices.IndexFunc(arcs, func(a Arc) bool { return !a.Backward() })]
			if distinct := graph.DistinctSightings(s); len(distinct) > graph.MaxEdgeAlerts {
				many++
			}
			if historyOf(&g.histories, a.Edge()) != "" {
				packed++
			}
			for _, at := range someInstants(s) {
				want, ok := graph.EdgeQuery{AsOf: at}.Join(graph.EdgeAdminOf, from, to, s)
				expectAt(t, g, n, a, InstantOf(at), want, ok)
				if !ok {
					gone++
				} else if now := seenSo(graph.EdgeAdminOf, from, to, s); !want.EndedAt.IsZero() && now.EndedAt.IsZero() {
					hidden++
				}
			}
			if e := seenSo(graph.EdgeAdminOf, from, to, s); !b.SameHistory(a.Edge(), e) {
				t.Fatalf("%+v is not what is kept", e)
			}
		}
	})
	t.Logf("%d edges had a history, %d of them many alerts; %d times one was not there, %d times an end is hidden now; %d were seen again", packed, many, gone, hidden, again)
	if packed == 0 || again == 0 || many == 0 || gone == 0 || hidden == 0 {
		t.Error("the random edges exercise too little")
	}
}

// expectAt wants an edge at an instant, and the same of the graph as of then.
func expectAt(t *rapid.T, g *Graph, n Node, a Arc, at Instant, want graph.Edge, ok bool) {
	t.Helper()
	got, there := g.EdgeAt(n, a, at)
	if there != ok || ok && fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("as of %s it is %t\n%+v, want %t\n%+v", at.Time(), there, got, ok, want)
	}
	then := g.AsOf(at)
	if slices.Contains(then.Arcs(n), a) != ok {
		t.Fatalf("as of %s it is among %+v: want %t", at.Time(), then.Arcs(n), ok)
	}
	if !ok {
		return
	}
	first, last, ended := then.Seen(a.Edge())
	if first != InstantOf(want.FirstSeen) || last != InstantOf(want.LastSeen) || ended != InstantOf(want.EndedAt) {
		t.Fatalf("as of %s it was seen %s, %s, %s; want %+v", at.Time(), first.Time(), last.Time(), ended.Time(), want)
	}
	together := make([]graph.Edge, 1)
	then.Edges([]Node{n}, []Arc{a}, together)
	if e := then.Edge(n, a); fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) || fmt.Sprint(together[0]) != fmt.Sprint(e) {
		t.Fatalf("the graph as of %s has\n%+v and\n%+v, want\n%+v", at.Time(), e, together[0], want)
	}
}

func TestAnotherHistoryOfTheSameEdgeIsToldApart(t *testing.T) {
	hour := func(h int) time.Time { return epoch.Add(time.Duration(h) * time.Hour) }
	see := func(key string, first, last int) graph.Sighting {
		return graph.Sighting{Observation: graph.NewID(graph.KindObservation, key), FirstSeen: hour(first), LastSeen: hour(last)}
	}
	was := seenSo(graph.EdgeAdminOf, number(0), number(1), []graph.Sighting{see("a", 0, 9), see("b", 5, 6)})
	is := seenSo(graph.EdgeAdminOf, number(0), number(1), []graph.Sighting{see("a", 0, 9), see("b", 4, 6)})
	for _, kept := range []bool{false, true} {
		b := NewBuilder()
		if kept {
			b.KeepHistory()
		}
		b.Insert(was, b.Node(was.From), b.Node(was.To))
		if !b.SameHistory(0, was) || b.SameHistory(0, is) == kept || b.Graph().History() != kept {
			t.Errorf("kept %t: the same %t, another %t", kept, b.SameHistory(0, was), b.SameHistory(0, is))
		}
		if took := b.Graph().Memory().History; (took > 0) != kept {
			t.Errorf("kept %t: %d bytes", kept, took)
		}
	}
}

// What is the same is so now, whatever instants its edges have.
func TestWhatIsTheSameIsAsOfNow(t *testing.T) {
	b := NewBuilder()
	b.KeepHistory()
	e := graph.Edge{Kind: graph.EdgePossiblySame, From: number(0), To: number(1), FirstSeen: epoch, LastSeen: epoch, Count: 1}
	b.Insert(e, b.Node(e.From), b.Node(e.To))
	then := b.Graph().AsOf(InstantOf(epoch.Add(-time.Hour)))
	if arcs := then.Arcs(0); len(arcs) != 1 || !then.Edge(0, arcs[0]).LastSeen.Equal(epoch) {
		t.Errorf("%+v", arcs)
	}
}

// Readers must take no harm of what is no history, wherever it comes from.
func FuzzAHistoryIsReadToItsEnd(f *testing.F) {
	f.Add([]byte{seenLong | seenEnded | seenSource | seenAlert, 200, 1, 3, 9, 9, 1, 2, 3})
	f.Fuzz(func(_ *testing.T, packed []byte) {
		b := NewBuilder()
		b.KeepHistory()
		tie(b, 0, 1)
		b.histories.set(b.edition, 0, packed)
		g := b.Graph()
		then := g.AsOf(-1)
		then.Seen(0)
		then.Arcs(0)
		g.EdgeAt(0, g.Arcs(0)[0], 5)
		for rest := string(packed); rest != ""; {
			_, _, rest = cutHistory(rest)
		}
	})
}
