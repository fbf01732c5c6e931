package compact

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
)

func number(i int) graph.ID { return graph.NewID(graph.KindDevice, fmt.Sprint(i)) }

// tie puts in an edge from one number's node to another's.
func tie(b *Builder, from, to int) {
	b.Insert(graph.Edge{Kind: graph.EdgeRan, Count: 1, Sources: []string{"endpoint"}}, b.Node(number(from)), b.Node(number(to)))
}

func cut(b *Builder, near Node, arcs ...Arc) {
	edges, ends := map[uint32]struct{}{}, map[Node]struct{}{near: {}}
	for _, a := range arcs {
		edges[a.Edge()], ends[a.Far()] = struct{}{}, struct{}{}
	}
	b.Remove(edges, ends)
}

func TestAnEarlierGraphDoesNotSeeWhatGrowsWhereItReads(t *testing.T) {
	b := NewBuilder()
	hub := b.Node(number(0))
	for i := range 5 { // there is room for six
		tie(b, 0, i+1)
	}
	old := b.Graph()
	before := slices.Clone(old.Arcs(hub))
	tie(b, 0, 6)
	if &b.Arcs(hub)[0] != &old.Arcs(hub)[0] {
		t.Fatal("the list did not grow where it lay")
	}
	grown := b.Graph()
	_ = append(old.Arcs(hub), Arc{}) // is nobody's else
	cut(b, hub, before[0])
	tie(b, 0, 7)
	b.Tidy()
	tie(b, 0, 8)
	if !slices.Equal(old.Arcs(hub), before) {
		t.Errorf("the first graph has %v, had %v", old.Arcs(hub), before)
	}
	if arcs := grown.Arcs(hub); len(arcs) != 6 || arcs[5].Far() != b.Node(number(6)) {
		t.Errorf("the second graph has %v", arcs)
	}
	if n := len(b.Graph().Arcs(hub)); n != 7 {
		t.Errorf("%d arcs in the last graph, want 7", n)
	}
}

func TestAHubHasAChunkOfItsOwnAndOthersHaveTheirs(t *testing.T) {
	b := NewBuilder()
	hub := b.Node(number(0))
	far := func(g *Graph) (out []int) {
		for _, a := range g.Arcs(hub) {
			out = append(out, int(a.Far()))
			if back := g.Arcs(a.Far()); len(back) != 1 || back[0].Far() != hub || back[0].Edge() != a.Edge() {
				t.Fatalf("%d is tied to %v", a.Far(), back)
			}
		}
		slices.Sort(out)
		return out
	}
	const n = chunkArcs
	var shown []*Graph
	for i := 1; i <= n; i++ {
		tie(b, i, 0)
		if i%(n/4) == 0 {
			shown = append(shown, b.Graph())
		}
	}
	cut(b, hub, b.Arcs(hub)[:n/2]...)
	shown = append(shown, b.Graph())
	b.Tidy()
	tie(b, n+1, 0)
	shown = append(shown, b.Graph())
	for i, want := range [][2]int{{1, n / 4}, {1, n / 2}, {1, n / 4 * 3}, {1, n}, {n/2 + 1, n}, {n/2 + 1, n + 1}} {
		if got := far(shown[i]); got[0] != want[0] || got[len(got)-1] != want[1] || len(got) != want[1]-want[0]+1 {
			t.Errorf("graph %d has %d edges, from %d to %d; want %v", i, len(got), got[0], got[len(got)-1], want)
		}
	}
}

func TestWhatWasSweptIsGivenUpAndItsNumbersUsedAgain(t *testing.T) {
	b := NewBuilder()
	for i := range 20_000 {
		tie(b, i, i*7919%(i+1))
	}
	for range 50 {
		b.Tidy()
		b.Graph()
	}
	if taken, total := b.arena.taken, b.arena.total; taken != 40_000 || total > 2*taken {
		t.Errorf("%d arcs, room for %d", taken, total)
	}
	if n := len(b.arena.chunks); n > 30 {
		t.Errorf("%d chunks had numbers", n)
	}
}

// Edges that come and go leave room behind, also where nobody tidies.
func TestWhatIsLeftIsSweptWhileGraphsAreMade(t *testing.T) {
	b := NewBuilder()
	const edges, rounds = 20_000, 25
	for i := range edges {
		tie(b, i, i+1)
	}
	for range rounds {
		for i := range edges {
			tie(b, i, i+2)
		}
		gone, ends := map[uint32]struct{}{}, map[Node]struct{}{}
		for i := range edges {
			n := b.Node(number(i))
			for _, a := range b.Arcs(n) {
				if a.Far() == b.Node(number(i+2)) {
					gone[a.Edge()], ends[n], ends[a.Far()] = struct{}{}, struct{}{}, struct{}{}
				}
			}
		}
		b.Remove(gone, ends)
		b.Graph()
	}
	if _, n := b.Graph().Size(); n != edges {
		t.Fatalf("%d edges are left", n)
	}
	if most := 2 * (2*b.arena.taken + 16*chunkArcs); b.arena.total > most {
		t.Errorf("room for %d arcs, want at most %d for %d that are taken", b.arena.total, most, b.arena.taken)
	}
}

func TestAnEdgeKeepsWhatItHadWhenItWasPutIn(t *testing.T) {
	b := NewBuilder()
	e := graph.Edge{Kind: graph.EdgeRan, Count: 1, Sources: []string{"a", "b"}, Alerts: []graph.ID{number(7), number(8)}}
	b.Insert(e, b.Node(number(0)), b.Node(number(1)))
	e.Sources[0], e.Alerts[0] = "changed", number(9)
	if got := b.Graph().Edge(0, b.Arcs(0)[0]); !slices.Equal(got.Sources, []string{"a", "b"}) || !slices.Equal(got.Alerts, []graph.ID{number(7), number(8)}) {
		t.Errorf("%+v", got)
	}
}

// The ids of an earlier graph are found, and no later ones, while tables grow.
func TestIDsAreFoundWhileOthersAreAdded(t *testing.T) {
	const n, step = 6_000, 100
	ids := make([]graph.ID, n)
	for i := range ids {
		ids[i] = number(i)
	}
	var shown atomic.Pointer[Graph]
	shown.Store(new(Graph))
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := false; !last; {
				last = done.Load()
				g := shown.Load()
				for i, id := range ids {
					if at, ok := g.Find(id); ok != (i < g.Numbers()) || ok && (int(at) != i || g.ID(at) != id) {
						t.Errorf("of %d, the one of number %d is found as %d (%t)", g.Numbers(), i, at, ok)
						return
					}
				}
			}
		})
	}
	b := NewBuilder()
	for i, id := range ids {
		b.Know(b.Node(id), true)
		if (i+1)%step == 0 {
			shown.Store(b.Graph())
			runtime.Gosched()
		}
	}
	done.Store(true)
	readers.Wait()
}

func TestEveryNumberHasRoomBesideEveryFingerprint(t *testing.T) {
	names := table[graph.ID]{make([]*page[graph.ID], MaxNodes/pageSize), MaxNodes}
	for _, n := range []uint32{0, 1, MaxNodes - 2, MaxNodes - 1} {
		names.pages[n/pageSize] = new(page[graph.ID])
	}
	for hash := range uint32(100) {
		p := newPart(minSlots)
		for _, n := range []uint32{0, 1, MaxNodes - 2, MaxNodes - 1} {
			*names.at(n) = number(int(n))
			p.put(hash, n)
		}
		for _, n := range []uint32{0, 1, MaxNodes - 2, MaxNodes - 1} {
			if got, ok := p.find(&names, hash, number(int(n))); !ok || uint32(got) != n {
				t.Fatalf("number %d of hash %d is found as %d (%t)", n, hash, got, ok)
			}
		}
	}
}

// All ids are looked for from the same slot on.
func TestAPartIsFilledToItsLastSlot(t *testing.T) {
	for _, slots := range []int{minSlots, 17, 30, 61} {
		for _, hash := range []uint32{0, 1 << 31, math.MaxUint32} {
			var names draft[graph.ID]
			p := newPart(slots)
			for i := range len(p.slots) - 1 {
				p.put(hash, names.add(0, number(i)))
			}
			for i := range len(p.slots) - 1 {
				if got, ok := p.find(&names.table, hash, number(i)); !ok || int(got) != i {
					t.Fatalf("of %d slots: number %d is found as %d (%t)", slots, i, got, ok)
				}
			}
			if got, ok := p.find(&names.table, hash, number(slots+100)); ok {
				t.Fatalf("of %d slots: what is not there is found as %d", slots, got)
			}
		}
	}
}

func TestTablesOfIDsAreMostlyFull(t *testing.T) {
	added := new(ids)
	for i := range 150_000 {
		if added.add(number(i)); i%10_007 != 10_006 {
			continue
		}
		loaded := &ids{names: added.names}
		loaded.index()
		for name, table := range map[string]*ids{"added": added, "loaded": loaded} {
			if slots := table.bytes() / 4; slots*3 > 5*(i+1) || slots*mostUsed < mostOf*(i+1) {
				t.Errorf("%s: %d slots of %d ids", name, slots, i+1)
			}
		}
	}
}

// Where ids came in order their numbers tell it; one that came out of order, and those behind it, are looked at.
func TestNodesCompareAsTheirIDsDo(t *testing.T) {
	up := make([]graph.ID, 20)
	for i := range up {
		up[i] = number(i)
	}
	slices.SortFunc(up, graph.ID.Compare)
	down := slices.Clone(up)
	slices.Reverse(down)
	for name, ids := range map[string][]graph.ID{
		"in order": up, "in reverse": down, "the last first": slices.Concat(up[19:], up[:19]), "the first last": slices.Concat(up[1:], up[:1]),
		"half of them in order": slices.Concat(up[:5], up[10:], up[5:10]),
	} {
		b := NewBuilder()
		for _, id := range ids {
			b.Know(b.Node(id), true)
		}
		g := b.Graph()
		for i, x := range ids {
			for j, y := range ids {
				if got, want := g.Compare(Node(i), Node(j)), x.Compare(y); got != want {
					t.Fatalf("%s: number %d compares with %d as %d, want %d", name, i, j, got, want)
				}
			}
		}
	}
}

func TestALimitIsHowManyThereMayBe(t *testing.T) {
	for name, more := range map[string]func(b *Builder){"ids": func(b *Builder) { b.Node(number(3)) }, "edges": func(b *Builder) { tie(b, 2, 0) }} {
		b := NewBuilder()
		b.Limit(3, 2)
		tie(b, 0, 1)
		tie(b, 1, 2)
		if b.Err() != nil {
			t.Errorf("within the limit of %s: %v", name, b.Err())
		}
		if more(b); !errors.Is(b.Err(), ErrFull) {
			t.Errorf("one beyond the limit of %s: %v", name, b.Err())
		}
	}
}

func TestALimitIsAnErrorAndHarmsNothing(t *testing.T) {
	for name, limit := range map[string]func(b *Builder){
		"ids":   func(b *Builder) { b.Limit(6, math.MaxInt) },
		"edges": func(b *Builder) { b.Limit(math.MaxInt, 4) },
		"rest":  func(b *Builder) { b.rest.shared.n = maxRest + 1 },
		"ends":  func(b *Builder) { b.rest.extras.n = maxRest + 1 },
		"arcs": func(b *Builder) {
			b.arena.used, b.arena.chunks = uint32(len(b.arena.chunks[0])), append(b.arena.chunks, make([][]Arc, maxChunks-1)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder()
			for i := range 4 {
				tie(b, 0, i+1)
			}
			old := b.Graph()
			if limit(b); b.Err() != nil {
				t.Fatalf("at the limit: %v", b.Err())
			}
			for i := range 4 {
				b.Insert(graph.Edge{Kind: graph.EdgeSpawned, Count: 7 + i, EndedAt: epoch}, b.Node(number(i)), b.Node(number(i+5)))
			}
			if !errors.Is(b.Err(), ErrFull) {
				t.Fatalf("beyond it: %v", b.Err())
			}
			n := b.Node(number(100))
			b.Know(n, true)
			b.Grade(n, 1)
			b.Set(0, graph.Edge{Count: 9})
			cut(b, 0, b.Arcs(0)...)
			b.Alias(n, 0)
			b.Tidy()
			b.Graph()
			if nodes, edges := old.Size(); nodes != 5 || edges != 4 || len(old.Arcs(0)) != 4 || old.Edge(0, old.Arcs(0)[0]).Count != 1 {
				t.Errorf("the graph from before has %d nodes and %d edges", nodes, edges)
			}
		})
	}
}

func TestKindsHaveRoomInTheirNumbers(t *testing.T) {
	for _, r := range graph.EdgeKinds() {
		for _, backward := range []bool{false, true} {
			if a := arcOf(MaxNodes-1, r.Kind, MaxEdges-1, backward); a.Kind() != r.Kind || a.Far() != MaxNodes-1 || a.Edge() != MaxEdges-1 || a.Backward() != backward {
				t.Errorf("%s has no room in %+v", r.Name, a)
			}
		}
	}
	for k := range graph.KindAlert {
		if k.Entity() && k > markKind {
			t.Errorf("%s has no room in a mark", k)
		}
	}
}

func TestEdgesShareWhatIsTheSameAndNothingElse(t *testing.T) {
	alert := func(n int) graph.ID { return graph.NewID(graph.KindAlert, fmt.Sprint(n)) }
	usual := graph.Edge{Kind: graph.EdgeRan, FirstSeen: epoch, LastSeen: epoch.Add(time.Hour), Count: 1, Sources: []string{"a", "bc"}, Alerts: []graph.ID{alert(1)}}
	all := []graph.Edge{usual, usual}
	for _, change := range []func(e *graph.Edge){
		func(e *graph.Edge) { e.FirstSeen = epoch.Add(-time.Hour) }, func(e *graph.Edge) { e.LastSeen = epoch },
		func(e *graph.Edge) { e.EndedAt = epoch }, func(e *graph.Edge) { e.EndedAt = epoch.Add(time.Second) },
		func(e *graph.Edge) { e.FirstSeen = time.Time{} }, func(e *graph.Edge) { e.FirstSeen, e.LastSeen = time.Time{}, time.Time{} },
		func(e *graph.Edge) { e.LastSeen = epoch.AddDate(10, 0, 0) }, func(e *graph.Edge) { e.FirstSeen = epoch.AddDate(-100, 0, 0) },
		func(e *graph.Edge) { e.Count = 2 }, func(e *graph.Edge) { e.Inferred = true },
		func(e *graph.Edge) { e.Sources = []string{"ab", "c"} }, func(e *graph.Edge) { e.Sources = []string{"a"} }, func(e *graph.Edge) { e.Sources = nil },
		func(e *graph.Edge) { e.Alerts = []graph.ID{alert(2)} }, func(e *graph.Edge) { e.Alerts = []graph.ID{alert(1), alert(2)} }, func(e *graph.Edge) { e.Alerts = nil },
	} {
		e := usual
		change(&e)
		all = append(all, e)
	}
	b := NewBuilder()
	for i := range all {
		all[i].From, all[i].To = number(2*i), number(2*i+1)
		b.Insert(all[i], b.Node(all[i].From), b.Node(all[i].To))
	}
	g := b.Graph()
	for i, want := range all {
		if got := g.Edge(Node(2*i), g.Arcs(Node(2 * i))[0]); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("edge %d is\n%+v, want\n%+v", i, got, want)
		}
	}
	if shared, extras := g.rest.shared.n, g.rest.extras.n; shared != 9 || extras != 6 { // of the usual edges, and those of other counts, sources, alerts; of those that ended, or were seen at odd times
		t.Errorf("%d kinds of what edges share, and %d extras", shared, extras)
	}
}

// An end that an edge has no more gives its number to the next, of which graphs from before see nothing.
func TestEndsTakeTheRoomOfThoseThatAreGone(t *testing.T) {
	b := NewBuilder()
	end := func(i int) time.Time { return epoch.Add(time.Duration(i) * time.Second) }
	e := graph.Edge{Kind: graph.EdgeRan, FirstSeen: epoch, LastSeen: epoch, Count: 1}
	tie(b, 0, 1)
	var shown []*Graph
	for i := range 100 {
		if e.EndedAt = end(i); i%10 == 0 {
			cut(b, 0, b.Arcs(0)...)
			b.Insert(e, 0, 1)
		} else {
			b.Set(b.Arcs(0)[0].Edge(), e)
		}
		shown = append(shown, b.Graph())
	}
	for i, g := range shown {
		if got := g.Edge(0, g.Arcs(0)[0]).EndedAt; !got.Equal(end(i)) {
			t.Errorf("graph %d has an end at %v", i, got)
		}
	}
	if n := b.rest.extras.n; n > 2 {
		t.Errorf("%d ends had room", n)
	}
}

func TestInstantsAtTheBoundsOfARecordAreKept(t *testing.T) {
	b := NewBuilder()
	var all []graph.Edge
	for _, first := range []int64{0, 1, maxFirst - maxSpan, maxFirst - 1, maxFirst} {
		for _, span := range []int64{-1, 0, maxSpan - 1, maxSpan, maxSpan + 1} {
			e := graph.Edge{Kind: graph.EdgeRan, From: number(0), To: number(len(all) + 1), Count: 1, FirstSeen: time.UnixMicro(first).UTC(), LastSeen: time.UnixMicro(first + span).UTC()}
			all = append(all, e)
			b.Insert(e, b.Node(e.From), b.Node(e.To))
		}
	}
	g := b.Graph()
	for i, want := range all {
		if got := g.Edge(0, g.Arcs(0)[i]); !got.FirstSeen.Equal(want.FirstSeen) || !got.LastSeen.Equal(want.LastSeen) {
			t.Errorf("seen %v to %v, want %v to %v", got.FirstSeen, got.LastSeen, want.FirstSeen, want.LastSeen)
		}
	}
}

// Most edges here have a rest in common; some have alerts, a few are seen for long, and where history is kept most were
// seen several times.
func TestMemoryIsWhatTheHeapGrowsBy(t *testing.T) {
	const nodes, edges = 40_000, 200_000
	ids := make([]graph.ID, nodes)
	for i := range ids {
		ids[i] = number(i)
	}
	for name, c := range map[string]struct{ tidy, history bool }{"as it grew": {}, "tidy": {tidy: true}, "with history": {history: true}, "tidy with history": {true, true}} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			b := NewBuilder()
			if c.history {
				b.KeepHistory()
			}
			for i := range edges {
				from := epoch.Add(time.Duration(i) * time.Second)
				e := graph.Edge{Kind: graph.EdgeRan, FirstSeen: from, LastSeen: from.AddDate(i%10, 0, 0), Count: 1 + i%3, Sources: []string{fmt.Sprint("source ", i%5)}}
				if i%10 == 0 {
					e.Alerts = []graph.ID{graph.NewID(graph.KindAlert, fmt.Sprint(i)), graph.NewID(graph.KindAlert, fmt.Sprint(i/2))}
				}
				for k := range i % 4 {
					e.Sightings = append(e.Sightings, graph.Sighting{FirstSeen: from.Add(time.Duration(k*i) * time.Second), LastSeen: from.Add(time.Duration(k*i+9) * time.Second)})
				}
				b.Insert(e, b.Node(ids[i%nodes]), b.Node(ids[i*7919%(i+1)%nodes]))
			}
			if c.tidy {
				b.Tidy()
			}
			g := b.Graph()
			took, told := int(heap()-before), g.Memory().Total()
			t.Logf("%d bytes an edge: %+v", took/edges, g.Memory())
			if told < took*9/10 || told > took*11/10 {
				t.Errorf("%d bytes told of, %d taken; want no more than a tenth between", told, took)
			}
			runtime.KeepAlive(b)
			runtime.KeepAlive(g)
		})
	}
	runtime.KeepAlive(ids)
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first left to finalizers and pools
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
