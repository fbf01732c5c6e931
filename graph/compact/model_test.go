package compact

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// model is the obvious graph.
type model struct {
	known   map[graph.ID]bool
	grades  map[graph.ID]uint8
	aliases map[graph.ID]graph.ID
	edges   map[graph.EdgeKey]graph.Edge
}

func (m model) clone() model {
	return model{maps.Clone(m.known), maps.Clone(m.grades), maps.Clone(m.aliases), maps.Clone(m.edges)}
}

func (m model) at(id graph.ID) (out []graph.Edge) {
	for _, e := range m.edges {
		if e.From == id {
			out = append(out, e)
		}
		if e.To == id {
			out = append(out, e)
		}
	}
	return out
}

var drawn = func() (out []graph.ID) {
	for i := range 12 {
		out = append(out, graph.NewID([]graph.Kind{graph.KindDevice, graph.KindIdentity, graph.KindFile}[i%3], fmt.Sprint(i)))
	}
	return out
}()

// instants are a few usual ones, and others, for many of which records have no room.
var instants = func() (out []time.Time) {
	for _, year := range []int{2025, 2026, 2040, 1, 1726, 1969, 9999} {
		out = append(out, time.Date(year, 2, 2, 3, 4, 5, 6000, time.UTC))
	}
	return append(out, time.Time{}, time.UnixMicro(0).UTC(), time.UnixMicro(maxFirst-1).UTC(), time.UnixMicro(maxFirst).UTC())
}()

func drawInstant(t *rapid.T, name string) time.Time {
	if rapid.Bool().Draw(t, "usual") {
		return rapid.SampledFrom(instants[:2]).Draw(t, name)
	}
	return rapid.SampledFrom(instants).Draw(t, name)
}

func drawEdge(t *rapid.T) graph.Edge {
	e := graph.Edge{
		Kind:      rapid.SampledFrom([]graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeRan, graph.EdgeSignedInTo, graph.EdgePossiblySame}).Draw(t, "kind"),
		From:      rapid.SampledFrom(drawn).Draw(t, "from"),
		To:        rapid.SampledFrom(drawn).Draw(t, "to"),
		FirstSeen: drawInstant(t, "first"), LastSeen: drawInstant(t, "last"),
		Count:    rapid.IntRange(1, 2).Draw(t, "count"),
		Inferred: rapid.Bool().Draw(t, "inferred"),
		Sources:  rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}, {"ab"}}).Draw(t, "sources"),
	}
	if rapid.Bool().Draw(t, "has an end") {
		e.EndedAt = drawInstant(t, "ended")
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "alerts") {
		e.Alerts = append(e.Alerts, graph.NewID(graph.KindAlert, fmt.Sprint(i)))
	}
	if e.Kind != graph.EdgePossiblySame && rapid.Bool().Draw(t, "seen") {
		var seen []graph.Sighting
		for key := range rapid.IntRange(1, 3).Draw(t, "sightings") {
			seen = append(seen, drawSighting(t, key))
		}
		e = seenSo(e.Kind, e.From, e.To, seen)
	}
	return e
}

func TestAGraphIsWhatTheModelIsAndStaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, m := NewBuilder(), model{map[graph.ID]bool{}, map[graph.ID]uint8{}, map[graph.ID]graph.ID{}, map[graph.EdgeKey]graph.Edge{}}
		b.KeepHistory()
		type pair struct {
			g *Graph
			m model
		}
		var shown []pair
		remove := func(all []graph.Edge) {
			edges, ends := map[uint32]struct{}{}, map[Node]struct{}{}
			for _, e := range all {
				for _, a := range b.Arcs(b.Node(e.From)) {
					if a.Far() == b.Node(e.To) && a.Kind() == e.Kind && !a.Backward() {
						edges[a.Edge()] = struct{}{}
						ends[b.Node(e.From)], ends[b.Node(e.To)] = struct{}{}, struct{}{}
					}
				}
				delete(m.edges, e.Key())
			}
			b.Remove(edges, ends)
		}
		free := func(id graph.ID) bool { _, alias := m.aliases[id]; return !alias }
		put := func(t *rapid.T) {
			e := drawEdge(t)
			if !free(e.From) || !free(e.To) {
				return
			}
			if _, there := m.edges[e.Key()]; !there {
				b.Insert(e, b.Node(e.From), b.Node(e.To))
			} else {
				for _, a := range b.Arcs(b.Node(e.To)) {
					if a.Far() == b.Node(e.From) && a.Kind() == e.Kind && a.Backward() {
						b.Set(a.Edge(), e)
					}
				}
			}
			m.edges[e.Key()] = e
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "put more": put, "put still more": put, // else graphs have few edges
			"remove": func(t *rapid.T) { remove(m.at(rapid.SampledFrom(drawn).Draw(t, "node"))) },
			"know": func(t *rapid.T) {
				id, known := rapid.SampledFrom(drawn).Draw(t, "node"), rapid.Bool().Draw(t, "known")
				if free(id) {
					b.Know(b.Node(id), known)
					m.known[id] = known
				}
			},
			"grade": func(t *rapid.T) {
				id, grade := rapid.SampledFrom(drawn).Draw(t, "node"), rapid.Uint8Range(0, MaxGrade).Draw(t, "grade")
				b.Grade(b.Node(id), grade)
				m.grades[id] = grade
			},
			"alias": func(t *rapid.T) {
				id, of := rapid.SampledFrom(drawn).Draw(t, "id"), rapid.SampledFrom(drawn).Draw(t, "of")
				if id == of && free(id) || !free(of) || slices.Contains(slices.Collect(maps.Values(m.aliases)), id) {
					return
				}
				remove(m.at(id))
				b.Alias(b.Node(id), b.Node(of))
				delete(m.known, id)
				if delete(m.aliases, id); id != of {
					m.aliases[id] = of
				}
			},
			"write and read": func(t *rapid.T) { b = reload(t, b) },
			"tidy":           func(*rapid.T) { b.Tidy() },
			"sweep": func(t *rapid.T) {
				if !b.arena.sweeping() {
					b.arena.begin()
				}
				b.sweep(rapid.IntRange(0, 3).Draw(t, "nodes"))
			},
			"show": func(*rapid.T) { shown = append(shown, pair{b.Graph(), m.clone()}) },
			"":     func(t *rapid.T) { expect(t, b.Graph(), m) },
		})
		for _, p := range shown {
			expect(t, p.g, p.m)
			expect(t, decoded(t, encoded(t, p.g)).Graph(), p.m)
		}
	})
}

func expect(t *rapid.T, g *Graph, m model) {
	nodes := 0
	var near []Node
	var arcs []Arc
	var together []graph.Edge
	for _, id := range drawn {
		of, alias := m.aliases[id]
		if !alias {
			of = id
		}
		want := m.at(of)
		n, ok := g.Find(id)
		there := m.known[of] || len(want) > 0
		if ok != there || ok && g.ID(n) != of {
			t.Fatalf("%s is found: %t, want %t", id, ok, there)
		}
		if !ok {
			continue
		}
		if !alias {
			nodes++
		}
		same := slices.ContainsFunc(want, func(e graph.Edge) bool { return e.Kind == graph.EdgePossiblySame })
		if mark := g.Mark(n); mark.Kind() != of.Kind() || mark.Grade() != m.grades[of] || mark.Same() != same {
			t.Fatalf("%s has the mark %s, %d, %t", of, mark.Kind(), mark.Grade(), mark.Same())
		}
		var got []graph.Edge
		if arcs := g.Arcs(n)[:g.Sorted(n)]; !slices.IsSortedFunc(arcs, compareMoves) || 3*len(arcs) < 2*len(g.Arcs(n))-2 {
			t.Fatalf("%d of %d arcs are sorted: %v", len(arcs), len(g.Arcs(n)), arcs)
		}
		for _, a := range g.Arcs(n) {
			e := g.Edge(n, a)
			first, last, ended := g.Seen(a.Edge())
			if first != InstantOf(e.FirstSeen) || last != InstantOf(e.LastSeen) || ended != InstantOf(e.EndedAt) || a.Move() != MoveOf(e.Kind, a.Backward()) ||
				e.From != e.To && a.Backward() != (e.To == of) {
				t.Fatalf("%+v was seen %d, %d, %d, move %d", e, first, last, ended, a.Move())
			}
			got, near, arcs = append(got, e), append(near, n), append(arcs, a)
			for _, at := range instants[:4] {
				if seen := m.edges[e.Key()].Sightings; seen != nil {
					want, ok := graph.JoinDistinct(e.Kind, e.From, e.To, seen, at)
					expectAt(t, g, n, a, InstantOf(at), want, ok)
				}
			}
		}
		together = append(together, got...)
		for i := range want {
			want[i].Sightings = nil
		}
		order := func(a, b graph.Edge) int { return cmp.Or(a.Compare(b), 0) }
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("at %s are\n%v\nwant\n%v", id, got, want)
		}
	}
	out := make([]graph.Edge, len(near))
	if g.Edges(near, arcs, out); fmt.Sprint(out) != fmt.Sprint(together) {
		t.Fatalf("together the edges are\n%v\none by one\n%v", out, together)
	}
	if n, e := g.Size(); n != nodes || e != len(m.edges) {
		t.Fatalf("%d nodes and %d edges, want %d and %d", n, e, nodes, len(m.edges))
	}
}

// Readers of all graphs go on while lists grow in place, pages are copied and chunks are swept.
func TestGraphsAreReadWhileTheNextIsBuilt(t *testing.T) {
	b := NewBuilder()
	id := func(i int) graph.ID { return graph.NewID(graph.KindDevice, fmt.Sprint(i)) }
	var readers sync.WaitGroup
	for round := range 60 {
		for i := range 500 {
			from, to := round*500+i, (round*500+i)*7919%(round*500+i+1)*(i%5) // many lead to one
			if from != to {
				b.Insert(graph.Edge{Kind: graph.EdgeRan, From: id(from), To: id(to), Count: 1}, b.Node(id(from)), b.Node(id(to)))
			}
		}
		hub := b.Node(id(0))
		edges, ends := map[uint32]struct{}{}, map[Node]struct{}{hub: {}}
		for _, a := range b.Arcs(hub) {
			if len(edges) < len(b.Arcs(hub))/2 {
				edges[a.Edge()], ends[a.Far()] = struct{}{}, struct{}{}
			}
		}
		b.Remove(edges, ends)
		if round%7 == 6 {
			b.Tidy()
		}
		g := b.Graph()
		readers.Go(func() {
			for range 3 {
				seen := 0
				for n := range g.Numbers() {
					for _, a := range g.Arcs(Node(n)) {
						if e := g.Edge(Node(n), a); e.From != g.ID(Node(n)) && e.To != g.ID(Node(n)) {
							t.Errorf("%v lies at %s", e, g.ID(Node(n)))
						}
						seen++
					}
				}
				if _, edges := g.Size(); seen != 2*edges {
					t.Errorf("%d arcs of %d edges", seen, edges)
				}
			}
		})
	}
	readers.Wait()
}
