package graphtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// drawn draws questions about what a model holds.
type drawn struct {
	t         *rapid.T
	nodes     []graph.ID
	edges     []graph.EdgeKey
	alerts    []graph.ID
	incidents []graph.IncidentID
	ticks     []graph.Tick
}

// drawnFrom takes in all that is there, and a little that is not.
func drawnFrom(t *rapid.T, model graph.Store) drawn {
	ctx := context.Background()
	d := drawn{
		t: t, nodes: []graph.ID{{}, graph.NewID(graph.KindDevice, "nobody")}, alerts: []graph.ID{{}, graph.NewID(graph.KindAlert, "none")},
		incidents: []graph.IncidentID{0, 99}, ticks: []graph.Tick{0, 1},
	}
	others := map[graph.ID][]graph.ID{}
	for _, e := range must(model.Entities(ctx, view, graph.EntityQuery{}))(t) {
		d.nodes = append(append(d.nodes, e.ID), e.Members...)
		others[e.ID] = e.Members
	}
	for e, err := range model.Edges(ctx, view, graph.EdgeQuery{}) {
		d.edges = append(d.edges, must(e, err)(t).Key())
		for _, id := range others[e.From] {
			d.edges = append(d.edges, graph.EdgeKey{From: id, Kind: e.Kind, To: e.To})
		}
		for _, id := range others[e.To] {
			d.edges = append(d.edges, graph.EdgeKey{From: e.From, Kind: e.Kind, To: id})
		}
	}
	for _, a := range must(model.Alerts(ctx, view, graph.AlertQuery{}))(t).Items {
		d.alerts, d.ticks = append(d.alerts, a.ID), append(d.ticks, a.Created, a.Updated, a.Updated+1)
	}
	for _, i := range must(model.Incidents(ctx, view, graph.IncidentQuery{Statuses: append(incidentStatuses, graph.StatusRedirected)}))(t).Items {
		d.incidents, d.ticks = append(d.incidents, i.ID), append(d.ticks, i.Created, i.Updated)
	}
	return d
}

var incidentStatuses = []graph.Status{graph.StatusActive, graph.StatusInProgress, graph.StatusAwaitingAction, graph.StatusResolved}

// some draws nil, an empty list, or a few, of which some may be the same.
func some[V any](t *rapid.T, name string, of []V) []V {
	switch rapid.IntRange(0, 7).Draw(t, "whether "+name) {
	case 0:
		return []V{}
	case 1, 2:
		return rapid.SliceOfN(rapid.SampledFrom(of), 1, 4).Draw(t, name)
	}
	return nil
}

// instant is one of those that history speaks of, or just beside it.
func (d drawn) instant(name string) time.Time {
	at := drawTime(d.t)
	if at.IsZero() {
		return at
	}
	return at.Add(rapid.SampledFrom([]time.Duration{0, 1, -1}).Draw(d.t, name))
}

func (d drawn) window() (w graph.Window) {
	if rapid.Bool().Draw(d.t, "windowed") {
		w = graph.Window{From: d.instant("from"), Before: d.instant("before")}
	}
	return w
}

func (d drawn) tick(name string) graph.Tick { return rapid.SampledFrom(d.ticks).Draw(d.t, name) }

func (d drawn) paging() (p graph.Paging) {
	p = graph.Paging{
		Order: graph.TickOrder(rapid.IntRange(0, 3).Draw(d.t, "order")), Limit: rapid.IntRange(0, 3).Draw(d.t, "limit"),
		Count: rapid.Bool().Draw(d.t, "count"),
	}
	if rapid.Bool().Draw(d.t, "behind") {
		p.After = d.tick("after")
	}
	for _, r := range []*graph.TickRange{&p.Created, &p.Updated} {
		if rapid.IntRange(0, 3).Draw(d.t, "ranged") == 0 {
			*r = graph.TickRange{From: d.tick("tick from"), Before: d.tick("tick before")}
		}
	}
	return p
}

func (d drawn) alertQuery() graph.AlertQuery {
	return graph.AlertQuery{
		IDs: some(d.t, "alerts", d.alerts), Incidents: some(d.t, "incidents", d.incidents), Entities: some(d.t, "entities", d.nodes),
		Activity: d.window(), Severities: some(d.t, "severities", graph.Severities()),
		Statuses: some(d.t, "statuses", []graph.Status{graph.StatusNew, graph.StatusInProgress, graph.StatusResolved, ""}),
		Sources:  some(d.t, "sources", append(drawnSources, graph.ServiceSentinel)), Paging: d.paging(),
	}
}

func (d drawn) incidentQuery() graph.IncidentQuery {
	return graph.IncidentQuery{
		IDs: some(d.t, "incidents", d.incidents), Activity: d.window(), Severities: some(d.t, "severities", graph.Severities()),
		Statuses: some(d.t, "statuses", append(incidentStatuses, graph.StatusRedirected)),
		Sources:  some(d.t, "sources", append(drawnSources, graph.ServiceSentinel)), Paging: d.paging(),
		WithContentVersion: rapid.Bool().Draw(d.t, "version"),
	}
}

func (d drawn) edgeQuery() graph.EdgeQuery {
	q := graph.EdgeQuery{
		Direction: graph.Direction(rapid.IntRange(0, 3).Draw(d.t, "direction")), AsOf: d.instant("as of"),
		Kinds:     some(d.t, "kinds", append(drawnEdges, graph.EdgePossiblySame, graph.EdgeEvidenceOf, 200)),
		Sightings: rapid.Bool().Draw(d.t, "sightings"),
	}
	switch rapid.IntRange(0, 5).Draw(d.t, "which") {
	case 0:
	case 1:
		q.Keys = []graph.EdgeKey{{From: rapid.SampledFrom(d.nodes).Draw(d.t, "from"), Kind: drawnEdges[0], To: rapid.SampledFrom(d.nodes).Draw(d.t, "to")}}
		if len(d.edges) > 0 {
			q.Keys = append(q.Keys, rapid.SliceOfN(rapid.SampledFrom(d.edges), 0, 6).Draw(d.t, "keys")...)
		}
	default:
		q.Nodes = rapid.SliceOfN(rapid.SampledFrom(d.nodes), 0, 4).Draw(d.t, "nodes")
	}
	return q
}

func (d drawn) entityQuery() graph.EntityQuery {
	return graph.EntityQuery{
		IDs: some(d.t, "ids", d.nodes), Kinds: some(d.t, "kinds", append(drawnKinds, graph.KindUnknown)),
		After: rapid.SampledFrom(d.nodes).Draw(d.t, "behind"), Limit: rapid.IntRange(0, 3).Draw(d.t, "limit"),
	}
}

// documentQuery cuts names anywhere, also within a character.
func (d drawn) documentQuery() graph.DocumentQuery {
	cut := func(name string) string {
		s := rapid.SampledFrom(append(documentNames, "")).Draw(d.t, name)
		return s[:rapid.IntRange(0, len(s)).Draw(d.t, "cut")]
	}
	return graph.DocumentQuery{
		Collection: rapid.SampledFrom(documentCollections).Draw(d.t, "collection"), Prefix: cut("prefix"), After: cut("after"),
		Limit: rapid.IntRange(0, 2).Draw(d.t, "limit"),
	}
}

// compareQueries asks both the same drawn questions of each kind.
func compareQueries(t *rapid.T, model, s graph.Store) {
	t.Helper()
	ctx, d := context.Background(), drawnFrom(t, model)
	ask := func(question any, read func(graph.Store) (any, error)) {
		same(t, fmt.Sprintf("%+v", question), must(read(model))(t), must(read(s))(t))
	}
	keys := append(allKeys(), graph.Key{})
	ask("lookup", func(s graph.Store) (any, error) { return s.Lookup(ctx, view, keys) })
	for range 4 {
		entities, edges, alerts, incidents, documents := d.entityQuery(), d.edgeQuery(), d.alertQuery(), d.incidentQuery(), d.documentQuery()
		ask(entities, func(s graph.Store) (any, error) { return s.Entities(ctx, view, entities) })
		ask(edges, func(s graph.Store) (any, error) { return edgesOnce(ctx, s, view, edges) })
		ask(alerts, func(s graph.Store) (any, error) { return s.Alerts(ctx, view, alerts) })
		ask(incidents, func(s graph.Store) (any, error) { return s.Incidents(ctx, view, incidents) })
		ask(documents, func(s graph.Store) (any, error) { return s.Documents(ctx, view, documents) })
	}
}

// edgesOnce sorts what may come in any order and drops what may come twice.
func edgesOnce(ctx context.Context, r graph.Reader, v graph.View, q graph.EdgeQuery) (out []graph.Edge, err error) {
	seen := map[graph.EdgeKey]bool{}
	for e, err := range r.Edges(ctx, v, q) {
		if err != nil {
			return nil, err
		}
		k := e.Key()
		if q.Nodes != nil && seen[k] {
			continue
		}
		seen[k], out = true, append(out, e)
	}
	if q.Nodes != nil {
		slices.SortFunc(out, graph.Edge.Compare)
	}
	return out, nil
}
