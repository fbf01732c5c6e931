package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/graphtest"
)

// studio is a picture that is drawn by hand, of nodes with names of one letter.
type studio struct {
	*testing.T
	*picture
}

func inStudio(t *testing.T) studio { return studio{t, newPicture(Options{})} }

func named(name string) graph.ID { return graph.NewID(graph.KindDevice, name) }

// node is one with other ids, followed to another node where there is a third name.
func node(name, members, sameAs string) graph.Entity {
	e := graph.Entity{ID: named(name)}
	for _, m := range members {
		e.Members = append(e.Members, named(string(m)))
	}
	if sameAs != "" {
		e.SameAs = named(sameAs)
	}
	return e
}

func (s studio) change(draw func(u *update)) {
	s.Helper()
	u := s.update()
	draw(u)
	if err := u.apply(); err != nil {
		s.Fatal(err)
	}
}

func (s studio) know(nodes ...graph.Entity) {
	s.Helper()
	s.change(func(u *update) {
		for _, e := range nodes {
			u.know(e, 0)
		}
	})
}

func (s studio) put(edges ...graph.Edge) {
	s.Helper()
	s.change(func(u *update) {
		for _, e := range edges {
			u.put(e)
		}
	})
}

func ran(from, to string) graph.Edge {
	return graph.Edge{Kind: graph.EdgeRan, From: named(from), To: named(to), Count: 1}
}

// want holds the picture against what is to be seen: nodes with their other ids in brackets, "a(b)", and edges, "a-b"
// observed and "a~b" where followed.
func (s studio) want(what string) {
	s.Helper()
	g := s.Graph()
	names := map[graph.ID]string{}
	for _, n := range "abcdef" {
		names[named(string(n))] = string(n)
	}
	others := map[compact.Node]string{}
	var seen []string
	for name := range strings.SplitSeq("abcdef", "") {
		if n, ok := g.Find(named(name)); ok && names[g.ID(n)] != name {
			others[n] += name
		}
	}
	edges := 0
	for n := range compact.Node(g.Numbers()) {
		if of, ok := g.Find(g.ID(n)); !ok || of != n {
			if len(g.Arcs(n)) > 0 {
				s.Errorf("%s is no node and has edges", names[g.ID(n)])
			}
			continue
		}
		text := names[g.ID(n)]
		if others[n] != "" {
			text += "(" + others[n] + ")"
		}
		seen = append(seen, text)
		for _, a := range g.Arcs(n) {
			e := g.Edge(n, a)
			if edges++; !a.Backward() {
				seen = append(seen, names[e.From]+map[bool]string{true: "~", false: "-"}[e.Kind == graph.EdgePossiblySame]+names[e.To])
			}
		}
	}
	slices.Sort(seen)
	if got := strings.Join(seen, " "); got != what {
		s.Errorf("the picture is %s, want %s", got, what)
	}
	if len(s.members) != len(others) {
		s.Errorf("%d nodes have other ids, want %d", len(s.members), len(others))
	}
	if _, all := g.Size(); edges != 2*all || s.derived != strings.Count(what, "~") {
		s.Errorf("%d arcs of %d edges, %d of them derived", edges, all, s.derived)
	}
}

func TestWhoIsFollowedToAJoinedNodeIsFollowedToWhatItWasJoinedTo(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "", ""), node("b", "", ""), node("c", "", "b"), node("d", "", "b"))
	s.want("a b c c~b d d~b")
	s.know(node("a", "b", ""), node("d", "", "b"))
	s.want("a(b) c c~a d d~a")
	s.know(node("c", "", "a"))
	s.want("a(b) c c~a d d~a")
	s.know(node("a", "bc", ""))
	s.want("a(bc) d d~a")
	s.know(node("d", "", ""))
	s.want("a(bc) d")
}

func TestWhoIsFollowedToAnIDIsFollowedToWhoeverHasIt(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "b", ""), node("c", "", "b"), node("d", "", ""), node("e", "", "b"))
	s.want("a(b) c c~a d e e~a")
	s.know(node("a", "", ""), node("d", "b", ""))
	s.want("a c c~d d(b) e e~d")
	s.know(node("c", "", "a"))
	s.want("a c c~a d(b) e e~d")
	s.know(node("b", "", ""), node("d", "", ""))
	s.want("a b c c~a d e e~b")
	s.know(node("e", "b", "")) // followed to itself
	s.want("a c c~a d e(b)")
	s.know(node("b", "", "e"), node("e", "", ""))
	s.want("a b b~e c c~a d e")
	if len(s.detours) > 0 {
		t.Errorf("detours are left: %v", s.detours)
	}
}

func TestAJoinedNodeIsFollowedNoMore(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "", ""), node("b", "", "c"), node("c", "", ""))
	s.know(node("a", "b", ""))
	s.want("a(b) c")
}

func TestAnIDIsANodeAgainWhereTheStoreSaysSo(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "bc", ""))
	s.know(node("b", "", "")) // the other is not read yet
	s.want("a(c) b")
	s.know(node("a", "c", ""))
	s.want("a(c) b")
	s.know(node("c", "a", "")) // the other way round
	s.want("b c(a)")
	s.change(func(u *update) { u.drop(named("c")) })
	s.want("b")
	s.know(node("a", "", ""), node("d", "", ""))
	s.want("a b d")
	s.know(node("d", "e", ""), node("b", "d", "")) // read apart: the last holds
	s.want("a b(d)")
	s.know(node("b", "", ""))
	s.want("a b")
}

// An edge to what was another node's may be read before either, when it still seems to lead to that other one.
func TestANodeThatWasAnothersIsReadWhole(t *testing.T) {
	for name, first := range map[string][]graph.Entity{"alone": nil, "after the other": {node("a", "", "")}} {
		s := inStudio(t)
		w := work{picture: s.picture}
		s.know(node("a", "b", ""), node("c", "", ""))
		s.put(ran("c", "b"))
		s.want("a(b) c c-a")
		s.know(first...)
		if e := node("b", "", ""); !w.regrouped(e) {
			t.Errorf("%s: it is read at one end only", name)
		} else if s.know(e); w.regrouped(e) {
			t.Errorf("%s: it is read whole for ever", name)
		}
		if s.know(node("a", "b", "")); w.regrouped(node("a", "b", "")) || len(s.loose) > 0 {
			t.Errorf("%s: they are not joined again", name)
		}
	}
}

func TestAnEdgeThatIsReadAgainIsOne(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "", ""), node("b", "", ""), node("c", "b", ""))
	s.put(ran("a", "b"), ran("a", "d"))
	again := ran("a", "c") // which b is
	again.Count = 2
	s.put(again, ran("a", "c"))
	s.want("a a-c a-d c(b) d")
	k := key{s.Node(named("a")), s.Node(named("c")), graph.EdgeRan}
	if near, arc, ok := s.find(k); !ok || s.Edge(near, arc).Count != 2 {
		t.Errorf("the edge is not the one that was read last and first")
	}
	s.change(func(u *update) { u.replace(named("d")) })
	s.want("a a-c c(b)")
}

func TestWhateverChangesOfAnEdgeIsTakenIn(t *testing.T) {
	s := inStudio(t)
	old := ran("a", "b")
	s.put(old)
	for i, change := range []func(e *graph.Edge){
		func(e *graph.Edge) { e.FirstSeen = graphtest.Epoch }, func(e *graph.Edge) { e.LastSeen = graphtest.Epoch.Add(1000) }, func(e *graph.Edge) { e.EndedAt = graphtest.Epoch },
		func(e *graph.Edge) { e.Count = 2 }, func(e *graph.Edge) { e.Inferred = true }, func(e *graph.Edge) { e.Sources = []string{"s"} },
		func(e *graph.Edge) { e.Alerts = []graph.ID{graph.NewID(graph.KindAlert, "1")} },
	} {
		change(&old)
		s.change(func(u *update) {
			u.replaceBy(&plan{out: observed}, named("a"))
			u.put(old)
		})
		near, arc, ok := s.find(key{s.Node(named("a")), s.Node(named("b")), graph.EdgeRan})
		if !ok || fmt.Sprint(s.Edge(near, arc)) != fmt.Sprint(old) {
			t.Errorf("change %d: the edge is %+v, want %+v", i, s.Edge(near, arc), old)
		}
	}
}
