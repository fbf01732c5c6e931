package neo4j

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// drawn draws questions about what a model holds.
type drawn struct {
	t         *rapid.T
	nodes     []graph.ID
	alerts    []graph.ID
	ticks     []graph.Tick
	documents []string
}

func drawnFrom(t *rapid.T, model graph.Store, v graph.View, documents []string) drawn {
	ctx, d := context.Background(), drawn{t: t, documents: documents}
	d.nodes = []graph.ID{{}, graph.NewID(graph.KindDevice, "nobody")}
	entities, err := model.Entities(ctx, v, graph.EntityQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entities {
		d.nodes = append(append(d.nodes, e.ID), e.Members...)
	}
	alerts, err := model.Alerts(ctx, v, graph.AlertQuery{})
	if err != nil {
		t.Fatal(err)
	}
	d.alerts, d.ticks = []graph.ID{graph.NewID(graph.KindAlert, "none")}, []graph.Tick{0, 1}
	for _, a := range alerts.Items {
		d.alerts = append(d.alerts, a.ID)
		d.ticks = append(d.ticks, a.Created, a.Updated, a.Updated+1)
	}
	return d
}

// some draws nil, an empty list, or a few.
func some[V any](t *rapid.T, name string, of []V) []V {
	switch rapid.IntRange(0, 4).Draw(t, "whether "+name) {
	case 0:
		return []V{}
	case 1:
		return rapid.SliceOfN(rapid.SampledFrom(of), 1, 4).Draw(t, name)
	}
	return nil
}

func (d drawn) instant(name string) time.Time {
	h := rapid.IntRange(-1, 5).Draw(d.t, name)
	if h < 0 {
		return time.Time{}
	}
	return graphtest.Epoch.Add(time.Duration(h) * time.Hour).Add(rapid.SampledFrom([]time.Duration{0, 1, -1}).Draw(d.t, "grain"))
}

func (d drawn) window() graph.Window {
	return graph.Window{From: d.instant("from"), Before: d.instant("before")}
}

func (d drawn) paging() (p graph.Paging) {
	p = graph.Paging{
		Order: graph.TickOrder(rapid.IntRange(0, 3).Draw(d.t, "order")), Limit: rapid.IntRange(0, 3).Draw(d.t, "limit"),
		Count: rapid.Bool().Draw(d.t, "count"), After: rapid.SampledFrom(d.ticks).Draw(d.t, "after"),
	}
	for _, r := range []*graph.TickRange{&p.Created, &p.Updated} {
		if rapid.IntRange(0, 3).Draw(d.t, "ranged") == 0 {
			*r = graph.TickRange{From: rapid.SampledFrom(d.ticks).Draw(d.t, "tick from"), Before: rapid.SampledFrom(d.ticks).Draw(d.t, "tick before")}
		}
	}
	return p
}

func (d drawn) alertQuery() graph.AlertQuery {
	return graph.AlertQuery{
		IDs: some(d.t, "alert ids", d.alerts), Incidents: some(d.t, "incidents", []graph.IncidentID{1, 2, 3, 4, 99}), Entities: some(d.t, "entities", d.nodes),
		Activity: d.window(), Severities: some(d.t, "severities", graph.Severities()),
		Statuses: some(d.t, "statuses", []graph.Status{graph.StatusNew, graph.StatusResolved, ""}),
		Sources:  some(d.t, "sources", []graph.ServiceSource{graph.ServiceDefenderEndpoint, graph.ServiceDLP}), Paging: d.paging(),
	}
}

func (d drawn) incidentQuery() graph.IncidentQuery {
	return graph.IncidentQuery{
		IDs: some(d.t, "incidents", []graph.IncidentID{1, 2, 3, 4, 99}), Activity: d.window(), Severities: some(d.t, "severities", graph.Severities()),
		Statuses: some(d.t, "statuses", []graph.Status{graph.StatusActive, graph.StatusRedirected}),
		Sources:  some(d.t, "sources", []graph.ServiceSource{graph.ServiceDefenderEndpoint, graph.ServiceDLP}),
		Paging:   d.paging(), WithContentVersion: rapid.Bool().Draw(d.t, "version"),
	}
}

func (d drawn) edgeQuery() graph.EdgeQuery {
	return graph.EdgeQuery{
		Nodes: some(d.t, "nodes", d.nodes), AsOf: d.instant("as of"), Direction: graph.Direction(rapid.IntRange(0, 3).Draw(d.t, "direction")),
		Kinds: some(d.t, "kinds", []graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeAdminOf, graph.EdgePossiblySame, graph.EdgeEvidenceOf, 200}),
	}
}

func (d drawn) entityQuery() graph.EntityQuery {
	return graph.EntityQuery{
		IDs: some(d.t, "ids", d.nodes), Kinds: some(d.t, "kinds", []graph.Kind{graph.KindFile, graph.KindDevice, graph.KindUnknown}),
		After: rapid.SampledFrom(d.nodes).Draw(d.t, "behind"), Limit: rapid.IntRange(0, 3).Draw(d.t, "limit"),
	}
}

func (d drawn) documentQuery() graph.DocumentQuery {
	cut := func(name string) string {
		s := rapid.SampledFrom(append(d.documents, "")).Draw(d.t, name)
		return s[:rapid.IntRange(0, len(s)).Draw(d.t, "cut")]
	}
	return graph.DocumentQuery{Collection: rapid.SampledFrom([]string{"views", "v", "rüle/s"}).Draw(d.t, "collection"), Prefix: cut("prefix"), After: cut("after"), Limit: rapid.IntRange(0, 2).Draw(d.t, "limit")}
}

// questions are those to ask of both, drawn once.
func (d drawn) questions() (out []func(graph.Reader, graph.View) (any, error)) {
	ctx := context.Background()
	add := func(ask func(graph.Reader, graph.View) (any, error)) { out = append(out, ask) }
	for range 4 {
		aq, iq, nq, dq, eq := d.alertQuery(), d.incidentQuery(), d.entityQuery(), d.documentQuery(), d.edgeQuery()
		add(func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Alerts(ctx, v, aq)
			return said{aq, x}, err
		})
		add(func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Incidents(ctx, v, iq)
			return said{iq, x}, err
		})
		add(func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Entities(ctx, v, nq)
			return said{nq, x}, err
		})
		add(func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Documents(ctx, v, dq)
			return said{dq, x}, err
		})
		add(func(r graph.Reader, v graph.View) (any, error) {
			x, err := edgesOnce(r, v, eq)
			return said{eq, x}, err
		})
	}
	return out
}

type said struct{ question, answer any }

// edgesOnce sorts what may come in any order and drops what may come twice.
func edgesOnce(r graph.Reader, v graph.View, q graph.EdgeQuery) (out []graph.Edge, err error) {
	for e, err := range r.Edges(context.Background(), v, q) {
		if err != nil {
			return nil, err
		}
		if q.Nodes == nil || !slices.ContainsFunc(out, func(o graph.Edge) bool { return o.Compare(e) == 0 }) {
			out = append(out, e)
		}
	}
	if q.Nodes != nil {
		slices.SortFunc(out, graph.Edge.Compare)
	}
	return out, nil
}

// asking asks the questions of the staged reader too. Ticks are not final there, so alerts and incidents are not
// among them.
type asking struct {
	graph.Decider
	ask    func(graph.Reader, graph.View) string
	answer *[]string
}

func (a asking) Decide(ctx context.Context, r graph.Reader, v graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	*a.answer = append(*a.answer, a.ask(r, v))
	return a.Decider.Decide(ctx, r, v, d)
}

func stagedAnswers(t *rapid.T, ids []graph.ID, keys []graph.Key) func(graph.Reader, graph.View) string {
	return func(r graph.Reader, v graph.View) string {
		ctx := context.Background()
		entities, err1 := r.Entities(ctx, v, graph.EntityQuery{IDs: ids})
		scanned, err2 := r.Entities(ctx, v, graph.EntityQuery{})
		found, err3 := r.Lookup(ctx, v, keys)
		edges, err4 := edgesOnce(r, v, graph.EdgeQuery{Nodes: ids})
		all, err5 := edgesOnce(r, v, graph.EdgeQuery{})
		about, err6 := r.Alerts(ctx, v, graph.AlertQuery{Entities: ids})
		documents, err7 := r.Documents(ctx, v, graph.DocumentQuery{Collection: "views"})
		for _, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if err != nil {
				t.Fatal(err)
			}
		}
		var alerts []string
		for _, a := range about.Items {
			alerts = append(alerts, a.ID.String())
		}
		slices.Sort(alerts)
		for i := range entities {
			entities[i].Revision = 0
		}
		for i := range scanned {
			scanned[i].Revision = 0
		}
		for i := range documents {
			documents[i].Revision = 0
		}
		return fmt.Sprintf("%+v", []any{entities, scanned, found, edges, all, alerts, documents})
	}
}

func TestAnyQuestionIsAnsweredAsTheModelDoes(t *testing.T) {
	o, n := migrated(t), 0
	prefix := tenantOfTest(t)
	rapid.Check(t, func(t *rapid.T) {
		n++
		v := graph.View{Tenant: graph.TenantID(fmt.Sprint(prefix, "/", n))}
		clock := graphtest.NewClock()
		o.Clock = clock.Now
		s, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		model := graphtest.NewModel(clock.Now)
		names := []string{"a", "ab", "b/ä", "b/ä€", "\U0001F600", "\uFFFD", "\uE000x", "%"}
		units := rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), 1, 10).Draw(t, "units")
		for i, b := range graphtest.Group(t, units, graphtest.UnionDecider{}) {
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(t, "documents") {
				b.Documents = append(b.Documents, graph.Document{DocumentKey: graph.DocumentKey{Collection: []string{"views", "v", "rüle/s"}[i%3], Key: name}, Value: []byte{byte(i), 0xFF}})
			}
			clock.Move(time.Duration(rapid.IntRange(-60, 60).Draw(t, "skew")) * time.Minute)
			applyToBoth(t, model, s, v, b)
		}
		for _, ask := range drawnFrom(t, model, v, names).questions() {
			want, err1 := ask(model, v)
			got, err2 := ask(s, v)
			if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g || err1 != nil || err2 != nil {
				t.Fatalf("got %s (%v)\nwant %s (%v)", g, err2, w, err1)
			}
		}
	})
}

func applyToBoth(t *rapid.T, model, s graph.Store, v graph.View, b graph.Batch) {
	var ids []graph.ID
	var keys []graph.Key
	for _, e := range b.Entities {
		ids, keys = append(ids, e.ID()), append(keys, e.Keys...)
	}
	var answers [2][]string
	for i, w := range []graph.Writer{model, s} {
		b.Decide = asking{graphtest.UnionDecider{}, stagedAnswers(t, ids, keys), &answers[i]}
		if _, err := w.Apply(context.Background(), v.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range answers[0] { // a store may ask the decider where the model does not
		if !slices.Contains(answers[1], w) {
			t.Fatalf("a decider is told\n%s\nwant\n%s", strings.Join(answers[1], "\n"), w)
		}
	}
}

// Incident 1 points to 2, which points to 3.
func TestARedirectedIncidentMeansTheOneItLeadsTo(t *testing.T) {
	clock := graphtest.NewClock()
	o := migrated(t)
	o.Clock = clock.Now
	s, model, v := open(t, o), graphtest.NewModel(clock.Now), graph.View{Tenant: tenantOfTest(t)}
	var first graph.Batch
	var ids []graph.ID
	for _, name := range []string{"1", "2", "3"} {
		a := alertNamed(name)
		ids = append(ids, a.Alerts[0].ID())
		first.Entities, first.Alerts = append(first.Entities, a.Entities...), append(first.Alerts, a.Alerts...)
		facts := &graph.IncidentFacts{DisplayName: name, ServiceSources: []graph.ServiceSource{graph.ServiceDLP}}
		first.Incidents = append(first.Incidents, graph.IncidentChange{Facts: facts, Alerts: ids[len(ids)-1:]})
	}
	for _, b := range []graph.Batch{
		first,
		{Incidents: []graph.IncidentChange{{ID: 2, Alerts: ids[:1]}, {ID: 1, RedirectTo: 2}}},
		{Incidents: []graph.IncidentChange{{ID: 3, Alerts: ids[:2]}, {ID: 2, RedirectTo: 3}}},
	} {
		mustApply(t, s, v.Tenant, b)
		mustApply(t, model, v.Tenant, b)
	}
	ctx := context.Background()
	for _, q := range []graph.AlertQuery{
		{Incidents: []graph.IncidentID{1}}, {Incidents: []graph.IncidentID{1, 2, 3, 9}}, {Incidents: []graph.IncidentID{9}},
		{IDs: ids[1:], Incidents: []graph.IncidentID{2}}, {IDs: ids, Incidents: []graph.IncidentID{9}},
	} {
		want, _ := model.Alerts(ctx, v, q)
		got, err := s.Alerts(ctx, v, q)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || err != nil {
			t.Errorf("%+v gives %+v (%v), want %+v", q, got, err, want)
		}
	}
	for _, q := range []graph.IncidentQuery{
		{}, {Paging: graph.Paging{Count: true, Order: graph.OldestUpdated}, WithContentVersion: true}, {Statuses: []graph.Status{graph.StatusRedirected}},
		{Statuses: []graph.Status{graph.StatusActive}}, {IDs: []graph.IncidentID{3, 1, 9, 1}, WithContentVersion: true},
		{Sources: []graph.ServiceSource{graph.ServiceDLP}}, {Sources: []graph.ServiceSource{}},
	} {
		want, _ := model.Incidents(ctx, v, q)
		got, err := s.Incidents(ctx, v, q)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || err != nil {
			t.Errorf("%+v gives %+v (%v), want %+v", q, got, err, want)
		}
	}
}
