package graphtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// checkChanges: what a store says has changed is what the model says, and whoever follows it misses nothing: each
// answer that differs from the one at an earlier revision is named by a change since then.
func checkChanges(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
		defer s.Close()
		seen := map[graph.Revision]whole{0: wholeOf(t, s)}
		changes(t, s, 0) // some stores remember more for who follows
		drawHistory(t, model, clock, func(b graph.Batch) {
			apply(t, model, b)
			r := apply(t, s, b)
			w := wholeOf(t, s)
			if old, ok := seen[r.Revision]; ok {
				nothingDiffers(t, old, w)
			}
			seen[r.Revision] = w
		})
		now := must(s.Position(context.Background(), view))(t).Revision
		for r := range now {
			got := changes(t, s, r)
			sameChanges(t, changes(t, model, r), got)
			if after, ok := seen[r+1]; ok {
				checkOutcome(t, got[0], seen[r], after)
			}
			if w, ok := seen[r]; ok {
				differences(t, w, seen[now], changes(t, s, r))
			}
		}
	})
}

// checkPastChanges: a sighting within the span of another can change without the edge being another now. It is another
// as of an instant between.
func checkPastChanges(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, "u1")
	device, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, "m1")
	ends := []graph.ID{user.ID(), device.ID()}
	hour := func(h int) time.Time { return Epoch.Add(time.Duration(h) * time.Hour) }
	seen := func(key string, first, last int) graph.EdgeObservation {
		return graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: ends[0], To: ends[1], FirstSeen: hour(first), LastSeen: hour(last),
			Observation: graph.NewID(graph.KindObservation, key),
		}
	}
	observed := []graph.EntityObservation{{Keys: []graph.Key{user}}, {Keys: []graph.Key{device}}}
	before := apply(t, s, graph.Batch{Entities: observed, Edges: []graph.EdgeObservation{seen("long", 0, 9), seen("short", 5, 6)}}).Revision
	now, then := graph.EdgeQuery{}, graph.EdgeQuery{AsOf: hour(4)}
	was := edges(t, s, now)
	wider := graph.Batch{Entities: observed, Edges: []graph.EdgeObservation{seen("short", 4, 6)}}
	after := apply(t, s, wider).Revision
	same(t, "the edge now", was, edges(t, s, now))
	if e := edges(t, s, then); len(e) != 1 || e[0].Count != 2 {
		t.Errorf("as of between the edge is %+v", e)
	}
	if names := namedBy(changes(t, s, before)).nodes; after <= before || !names[ends[0]] || !names[ends[1]] {
		t.Errorf("revision %d after %d, named are %v", after, before, names)
	}
	if again := apply(t, s, wider).Revision; again != after {
		t.Errorf("the same again made revision %d after %d", again, after)
	}
}

func changes(t TB, s graph.Store, since graph.Revision) []graph.Change {
	t.Helper()
	var out []graph.Change
	for c, err := range s.Changes(context.Background(), view, since) {
		out = append(out, must(c, err)(t))
	}
	return out
}

func sameChanges(t TB, want, got []graph.Change) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d changes, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Revision != w.Revision || !g.At.Equal(w.At) {
			t.Fatalf("change %d was made at %s, want %d at %s", g.Revision, g.At, w.Revision, w.At)
		}
		same(t, "alerts of a change", w.Alerts, g.Alerts)
		same(t, "incidents of a change", w.Incidents, g.Incidents)
		if g.Edges != nil && !slices.Equal(g.Edges, w.Edges) { // a store may not know
			t.Fatalf("revision %d changed edges %v, want %v", w.Revision, g.Edges, w.Edges)
		}
		for _, id := range w.Entities { // a store may name more
			if !slices.Contains(g.Entities, id) {
				t.Fatalf("revision %d does not name %s", w.Revision, id)
			}
		}
	}
}

// checkOutcome holds what a commit left against what the store then showed: all nodes that are others than before, none
// whose edges alone are, and edges as they are.
func checkOutcome(t TB, c graph.Change, before, after whole) {
	t.Helper()
	if c.Outcome == nil {
		return
	}
	if c.Edges == nil {
		t.Fatalf("revision %d tells what it left, but not of which edges", c.Revision)
	}
	told := map[graph.ID]bool{}
	for _, e := range c.Outcome.Entities {
		if told[e.ID] = true; e.PossiblySameAs != nil {
			t.Fatalf("%s may be the same as %v", e.ID, e.PossiblySameAs)
		}
		same(t, "a node as revision "+fmt.Sprint(c.Revision)+" left it", shown(after.nodes[e.ID]), e)
	}
	for id, e := range after.nodes {
		if changed := text(shown(e)) != text(shown(before.nodes[id])); changed && !told[id] {
			t.Fatalf("revision %d changed %+v to %+v and does not tell it", c.Revision, before.nodes[id], e)
		}
	}
	if !slices.IsSortedFunc(c.Outcome.Entities, func(a, b graph.Entity) int { return a.ID.Compare(b.ID) }) ||
		!slices.IsSortedFunc(c.Outcome.Edges, graph.Edge.Compare) || !slices.IsSortedFunc(c.Outcome.Seen, graph.Edge.Compare) {
		t.Fatalf("revision %d tells out of order: %+v", c.Revision, c.Outcome)
	}
	for _, e := range c.Outcome.Edges {
		if !slices.Contains(c.Edges, e.Key()) {
			t.Fatalf("revision %d left %+v, which it does not name", c.Revision, e)
		}
		same(t, "an edge as it was left", after.edges[e.Key()], e)
	}
	for _, e := range c.Outcome.Seen {
		is, sightings := before.edges[e.Key()], slices.Concat(before.edges[e.Key()].Sightings, e.Sightings)
		for _, s := range e.Sightings {
			is = is.Join(s)
		}
		is.Sightings = graph.DistinctSightings(sightings)
		same(t, "an edge that was seen again", after.edges[e.Key()], is)
		if both := slices.ContainsFunc(c.Outcome.Edges, func(w graph.Edge) bool { return w.Key() == e.Key() }); both || !slices.Contains(c.Edges, e.Key()) {
			t.Fatalf("revision %d saw %+v again, which it does not name, or tells whole", c.Revision, e)
		}
	}
}

// named is what changes name, at whatever revision.
type named struct {
	nodes, alerts map[graph.ID]bool
	incidents     map[graph.IncidentID]bool
}

func namedBy(all []graph.Change) named {
	n := named{map[graph.ID]bool{}, map[graph.ID]bool{}, map[graph.IncidentID]bool{}}
	for _, c := range all {
		for _, id := range c.Entities {
			n.nodes[id] = true
		}
		for _, id := range c.Alerts {
			n.alerts[id] = true
		}
		for _, id := range c.Incidents {
			n.incidents[id] = true
		}
	}
	return n
}

// shown is a node as its revision tells of it: a change of PossiblySameAs has none.
func shown(n graph.Entity) graph.Entity {
	n.PossiblySameAs = nil
	return n
}

// differences holds two states of a store against what it says has changed between them.
func differences(t TB, before, now whole, since []graph.Change) {
	t.Helper()
	names := namedBy(since)
	for id := range union(before.root, now.root) {
		was, is := shown(before.nodes[before.root[id]]), shown(now.nodes[now.root[id]])
		if is.ID.IsZero() { // claimed by several and never seen by itself: the one that lost it tells
			is = shown(now.nodes[now.root[was.ID]])
		}
		if text(was) != text(is) && (!names.nodes[is.ID] || is.Revision <= before.position.Revision) {
			t.Fatalf("%s changed since revision %d, but none of %+v names it\nwas %+v\nnow %+v", id, before.position.Revision, since, was, is)
		}
	}
	for id := range union(before.alerts, now.alerts) {
		if was, is := before.alerts[id], now.alerts[id]; text(was) != text(is) && !names.alerts[id] {
			t.Fatalf("%s changed since revision %d, but none of %+v names it", id, before.position.Revision, since)
		}
	}
	for id := range union(before.incidents, now.incidents) {
		was, is := before.incidents[id], now.incidents[id]
		if text(before.shownBy(id)) != text(now.shownBy(id)) && is.ID != 0 && is.ContentVersion <= before.position.Revision {
			t.Fatalf("what incident %s shows changed since revision %d, its content version is %d", id, before.position.Revision, is.ContentVersion)
		}
		was.ContentVersion, is.ContentVersion = 0, 0
		if text(was) != text(is) && !names.incidents[id] {
			t.Fatalf("incident %s changed since revision %d, but none of %+v names it", id, before.position.Revision, since)
		}
	}
	edgeDifferences(t, before, now, names)
}

// edgeDifferences: both ends of an edge that is new or another are named. Of one that is gone because an end belongs
// to another node now, that node is: whoever reads it again moves the edges of its members.
func edgeDifferences(t TB, before, now whole, names named) {
	t.Helper()
	for k := range union(before.edges, now.edges) {
		was, had := before.edges[k]
		is, has := now.edges[k]
		from, to := names.nodes[now.root[k.From]], names.nodes[now.root[k.To]]
		moved := now.root[k.From] != k.From || now.root[k.To] != k.To
		if has && (!had || text(was) != text(is)) && !(from && to) || !has && !(from && to) && !(moved && (from || to)) {
			t.Fatalf("the edge %+v was %+v at revision %d and is %+v, but its ends are named: %t and %t", k, was, before.position.Revision, is, from, to)
		}
	}
}

// shownBy is all that an incident's page shows.
func (w whole) shownBy(id graph.IncidentID) (out []any) {
	i := w.incidents[id]
	i.ContentVersion = 0
	var alerts, nodes []string
	for _, a := range w.alerts {
		if a.Incident != id {
			continue
		}
		alerts = append(alerts, text(a))
		for id := range w.about(a) {
			nodes = append(nodes, text(shown(w.nodes[id])))
		}
	}
	slices.Sort(alerts)
	slices.Sort(nodes)
	return append(out, i, alerts, slices.Compact(nodes))
}

// nothingDiffers: a batch without a revision of its own changed nothing that is shown.
func nothingDiffers(t TB, before, now whole) {
	t.Helper()
	differences(t, before, now, nil)
}

func union[K comparable, V any](a, b map[K]V) map[K]bool {
	out := map[K]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
