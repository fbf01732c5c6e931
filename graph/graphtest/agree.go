package graphtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// checkAgree asks a store different questions that must agree with one another, whatever the model says.
func checkAgree(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		s := openWithHistory(t, fresh)
		w := wholeOf(t, s)
		for _, agree := range []func(TB, graph.Store, whole){agreeOnNodes, agreeOnEdges, agreeOnAlerts, agreeOnIncidents, agreeOnPages, agreeOnDocuments} {
			agree(t, s, w)
		}
	})
}

// whole is all that scans of a store give.
type whole struct {
	position  graph.Position
	nodes     map[graph.ID]graph.Entity
	edges     map[graph.EdgeKey]graph.Edge
	alerts    map[graph.ID]graph.Alert
	incidents map[graph.IncidentID]graph.Incident // redirected ones too
	// root gives the node of every id that the scan names.
	root map[graph.ID]graph.ID
}

func wholeOf(t TB, s graph.Store) whole {
	t.Helper()
	ctx := context.Background()
	w := whole{
		position: must(s.Position(ctx, view))(t), nodes: map[graph.ID]graph.Entity{}, edges: map[graph.EdgeKey]graph.Edge{},
		alerts: map[graph.ID]graph.Alert{}, incidents: map[graph.IncidentID]graph.Incident{}, root: map[graph.ID]graph.ID{},
	}
	for _, e := range must(s.Entities(ctx, view, graph.EntityQuery{}))(t) {
		w.nodes[e.ID] = e
		for _, id := range append(e.Members, e.ID) {
			w.root[id] = e.ID
		}
	}
	for _, e := range edges(t, s, graph.EdgeQuery{Sightings: true}) {
		w.edges[e.Key()] = e
	}
	for _, a := range must(s.Alerts(ctx, view, graph.AlertQuery{}))(t).Items {
		w.alerts[a.ID] = a
	}
	everyStatus := append(incidentStatuses, graph.StatusRedirected)
	for _, i := range must(s.Incidents(ctx, view, graph.IncidentQuery{Statuses: everyStatus, WithContentVersion: true}))(t).Items {
		w.incidents[i.ID] = i
	}
	return w
}

// about gives the nodes that an alert's evidence names.
func (w whole) about(a graph.Alert) map[graph.ID]bool {
	out := map[graph.ID]bool{}
	for _, e := range a.Evidence {
		if !e.Entity.IsZero() {
			out[w.root[e.Entity]] = true
		}
		for _, id := range e.Mentions {
			out[w.root[id]] = true
		}
	}
	return out
}

// agreeOnNodes: a node is found by its keys, and by every id that it ever had as by its own.
func agreeOnNodes(t TB, s graph.Store, w whole) {
	t.Helper()
	ctx := context.Background()
	var ids []graph.ID
	var keys []graph.Key
	var bearers []graph.ID
	for _, id := range slices.SortedFunc(maps.Keys(w.root), graph.ID.Compare) {
		ids = append(ids, id)
		for _, k := range w.nodes[id].Keys {
			keys, bearers = append(keys, k), append(bearers, id)
		}
	}
	if len(w.nodes) != w.position.Entities || len(ids) == 0 {
		t.Fatalf("%d nodes are scanned, the position says %d", len(w.nodes), w.position.Entities)
	}
	for i, e := range must(s.Entities(ctx, view, graph.EntityQuery{IDs: ids}))(t) {
		same(t, "the node of "+ids[i].String(), w.nodes[w.root[ids[i]]], e)
	}
	for i, found := range must(s.Lookup(ctx, view, keys))(t) {
		if !slices.Contains(found, bearers[i]) {
			t.Fatalf("%s is borne by %s, but leads to %v", keys[i], bearers[i], found)
		}
	}
}

// agreeOnEdges: what is at a node is what a scan shows of it, from both ends, by every kind and every id.
func agreeOnEdges(t TB, s graph.Store, w whole) {
	t.Helper()
	if len(w.edges) > w.position.Edges {
		t.Fatalf("%d edges are scanned, of %d observed", len(w.edges), w.position.Edges)
	}
	all := slices.SortedFunc(maps.Values(w.edges), graph.Edge.Compare)
	for id, node := range w.root {
		var at [graph.Both + 1][]graph.Edge
		for _, e := range all {
			if e.From == node {
				at[graph.Out] = append(at[graph.Out], e)
			}
			if e.To == node {
				at[graph.In] = append(at[graph.In], e)
			}
		}
		at[graph.Both] = slices.Concat(at[graph.Out], at[graph.In])
		slices.SortFunc(at[graph.Both], graph.Edge.Compare)
		dir := graph.Direction(1 + id[1]%3) // one of them for each id: questions are dear
		q := graph.EdgeQuery{Nodes: []graph.ID{id}, Direction: dir, Kinds: drawnEdges, Sightings: true}
		same(t, fmt.Sprint("edges at ", id, " in direction ", dir), at[dir], edges(t, s, q))
	}
	agreeOnDerived(t, s, w, all)
}

// agreeOnDerived: the edges of all nodes are those of the scan, and one for each node that is followed to another;
// kinds and ends split them without rest.
func agreeOnDerived(t TB, s graph.Store, w whole, all []graph.Edge) {
	t.Helper()
	nodes := slices.SortedFunc(maps.Keys(w.nodes), graph.ID.Compare)
	followed := 0
	for _, n := range w.nodes {
		if !n.SameAs.IsZero() {
			followed++
		}
	}
	var byKind []graph.Edge
	for _, k := range append(drawnEdges, graph.EdgePossiblySame) {
		byKind = append(byKind, edges(t, s, graph.EdgeQuery{Nodes: nodes, Kinds: []graph.EdgeKind{k}, Sightings: true})...)
	}
	slices.SortFunc(byKind, graph.Edge.Compare)
	at := edges(t, s, graph.EdgeQuery{Nodes: nodes, Sightings: true})
	same(t, "edges kind by kind", at, byKind)
	for _, dir := range []graph.Direction{graph.Out, graph.In} {
		same(t, "edges at one end of all nodes", at, edges(t, s, graph.EdgeQuery{Nodes: nodes, Direction: dir, Sightings: true}))
	}
	same(t, "edges as of after all that was seen", at, edges(t, s, graph.EdgeQuery{Nodes: nodes, AsOf: Epoch.AddDate(1, 0, 0), Sightings: true}))
	derived := 0
	at = slices.DeleteFunc(at, func(e graph.Edge) bool {
		if e.Kind != graph.EdgePossiblySame {
			return false
		}
		if derived++; w.nodes[e.From].SameAs != e.To {
			t.Fatalf("%s is followed to %s, the node says %s", e.From, e.To, w.nodes[e.From].SameAs)
		}
		return true
	})
	if derived != followed {
		t.Fatalf("%d nodes are followed to another, %d edges say so", followed, derived)
	}
	same(t, "edges at all nodes", all, at)
}

// agreeOnAlerts: alerts by node, incident, id and status are those of all alerts of which that is true.
func agreeOnAlerts(t TB, s graph.Store, w whole) {
	t.Helper()
	if len(w.alerts) != w.position.Alerts {
		t.Fatalf("%d alerts are scanned, the position says %d", len(w.alerts), w.position.Alerts)
	}
	ask := func(question string, q graph.AlertQuery, holds func(a graph.Alert) bool) {
		want := slices.DeleteFunc(slices.Collect(maps.Values(w.alerts)), func(a graph.Alert) bool { return !holds(a) })
		slices.SortFunc(want, func(a, b graph.Alert) int { return int(a.Created - b.Created) })
		q.Paging = graph.Paging{Order: graph.OldestCreated, Count: true}
		page := must(s.Alerts(context.Background(), view, q))(t)
		same(t, question, want, page.Items)
		if page.Total != len(want) {
			t.Fatalf("%s: %d are counted, %d shown", question, page.Total, len(want))
		}
	}
	for id, node := range w.root {
		ask("alerts about "+id.String(), graph.AlertQuery{Entities: []graph.ID{id}}, func(a graph.Alert) bool { return w.about(a)[node] })
	}
	for id := range w.incidents {
		ask("alerts of incident "+id.String(), graph.AlertQuery{Incidents: []graph.IncidentID{id}}, func(a graph.Alert) bool { return a.Incident == w.live(id) })
	}
	for _, st := range []graph.Status{graph.StatusNew, graph.StatusInProgress, graph.StatusResolved} {
		ask("alerts of status "+string(st), graph.AlertQuery{Statuses: []graph.Status{st}}, func(a graph.Alert) bool { return a.Triage().Status == st })
	}
	for _, src := range drawnSources {
		ask("alerts of "+string(src), graph.AlertQuery{Sources: []graph.ServiceSource{src}}, func(a graph.Alert) bool { return a.ServiceSource == src })
	}
	from := Epoch.Add(2 * time.Hour)
	ask("alerts active since", graph.AlertQuery{Activity: graph.Window{From: from}}, func(a graph.Alert) bool { return !a.LastActivity.Before(from) })
	ask("alerts active before", graph.AlertQuery{Activity: graph.Window{Before: from}}, func(a graph.Alert) bool { return a.FirstActivity.Before(from) })
	ids := slices.SortedFunc(maps.Keys(w.alerts), graph.ID.Compare)
	for i, a := range must(s.Alerts(context.Background(), view, graph.AlertQuery{IDs: ids}))(t).Items {
		same(t, "alert "+ids[i].String(), w.alerts[ids[i]], a)
	}
}

// live is where the incident's alerts are.
func (w whole) live(id graph.IncidentID) graph.IncidentID {
	for w.incidents[id].RedirectTo != 0 {
		id = w.incidents[id].RedirectTo
	}
	return id
}

// agreeOnIncidents: what an incident says of its alerts is what they say of it.
func agreeOnIncidents(t TB, s graph.Store, w whole) {
	t.Helper()
	held, live := map[graph.IncidentID]int{}, 0
	versions := map[graph.IncidentID]graph.Revision{}
	for _, a := range w.alerts {
		held[a.Incident]++
		versions[a.Incident] = max(versions[a.Incident], a.Revision)
		for id := range w.about(a) {
			versions[a.Incident] = max(versions[a.Incident], w.nodes[id].Revision)
		}
	}
	ids := slices.Sorted(maps.Keys(w.incidents))
	for i, got := range must(s.Incidents(context.Background(), view, graph.IncidentQuery{IDs: append([]graph.IncidentID{}, ids...), WithContentVersion: true}))(t).Items {
		want := w.incidents[ids[i]]
		same(t, "incident "+ids[i].String(), want, got)
		if got.AlertCount != held[got.ID] || (got.RedirectTo == 0) != (got.AlertCount > 0) {
			t.Fatalf("incident %s says %d alerts and redirects to %q, %d alerts say that they are in it", got.ID, got.AlertCount, got.RedirectTo, held[got.ID])
		}
		if v := max(got.Revision, versions[got.ID]); got.ContentVersion != v {
			t.Fatalf("incident %s has content version %d, what it shows has %d", got.ID, got.ContentVersion, v)
		}
		if got.RedirectTo == 0 {
			live++
		}
	}
	if live != w.position.Incidents {
		t.Fatalf("%d incidents are live, the position says %d", live, w.position.Incidents)
	}
}

// agreeOnPages: pages of any size are the whole, in every order.
func agreeOnPages(t TB, s graph.Store, w whole) {
	t.Helper()
	ctx := context.Background()
	var nodes []graph.Entity
	for q := (graph.EntityQuery{Limit: 2}); ; {
		page := must(s.Entities(ctx, view, q))(t)
		if len(page) == 0 {
			break
		}
		if page[0].ID.Compare(q.After) <= 0 {
			t.Fatalf("a page behind %s begins with %s", q.After, page[0].ID)
		}
		nodes, q.After = append(nodes, page...), page[len(page)-1].ID
	}
	same(t, "nodes page by page", slices.SortedFunc(maps.Values(w.nodes), func(a, b graph.Entity) int { return a.ID.Compare(b.ID) }), nodes)
	for order := graph.NewestCreated; order <= graph.OldestUpdated; order++ {
		limit := 1 + int(order)
		p := graph.Paging{Order: order}
		same(t, fmt.Sprint("alerts by ", limit, " in order ", order), must(s.Alerts(ctx, view, graph.AlertQuery{Paging: p}))(t).Items,
			pages(t, p, limit, func(p graph.Paging) ([]graph.Alert, bool) {
				page := must(s.Alerts(ctx, view, graph.AlertQuery{Paging: p}))(t)
				return page.Items, page.More
			}, func(a graph.Alert) (graph.Tick, graph.Tick) { return a.Created, a.Updated }))
		same(t, fmt.Sprint("incidents by ", limit, " in order ", order), must(s.Incidents(ctx, view, graph.IncidentQuery{Paging: p}))(t).Items,
			pages(t, p, limit, func(p graph.Paging) ([]graph.Incident, bool) {
				page := must(s.Incidents(ctx, view, graph.IncidentQuery{Paging: p}))(t)
				return page.Items, page.More
			}, func(i graph.Incident) (graph.Tick, graph.Tick) { return i.Created, i.Updated }))
	}
}

// pages reads all pages of at most limit items.
func pages[T any](t TB, p graph.Paging, limit int, read func(graph.Paging) (items []T, more bool), ticks func(T) (created, updated graph.Tick)) (all []T) {
	t.Helper()
	for p.Limit = limit; ; {
		items, more := read(p)
		all = append(all, items...)
		if !more {
			return all
		}
		if len(items) != limit || len(all) > graph.MaxPage {
			t.Fatalf("a page of %d has %d items, and there are more, after %d in all", limit, len(items), len(all))
		}
		created, updated := ticks(items[limit-1])
		if p.After = created; p.Order.ByUpdate() {
			p.After = updated
		}
	}
}

// agreeOnDocuments: pages of one document are the whole collection, and so are those of each first byte.
func agreeOnDocuments(t TB, s graph.Store, _ whole) {
	t.Helper()
	ctx := context.Background()
	for _, c := range documentCollections {
		all := must(s.Documents(ctx, view, graph.DocumentQuery{Collection: c}))(t)
		var single, byPrefix []graph.Document
		for q := (graph.DocumentQuery{Collection: c, Limit: 1}); ; {
			page := must(s.Documents(ctx, view, q))(t)
			if len(page) == 0 {
				break
			}
			if page[0].Key <= q.After {
				t.Fatalf("a page behind %q begins with %q", q.After, page[0].Key)
			}
			single, q.After = append(single, page...), page[0].Key
		}
		same(t, "documents one by one", all, single)
		for _, prefix := range []string{"%", "a", "b/\xC3", "\xEE", "\xEF", "\xF0\x9F"} {
			byPrefix = append(byPrefix, must(s.Documents(ctx, view, graph.DocumentQuery{Collection: c, Prefix: prefix}))(t)...)
		}
		same(t, "documents prefix by prefix", all, byPrefix)
	}
}
