package neo4j

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// call is one call of the read side, and the round trips that it may take.
type call struct {
	name  string
	trips int
	ask   func(r *reader) (any, error)
}

func seq[T any](from, to int, one func(int) T) (out []T) {
	for i := from; i < to; i++ {
		out = append(out, one(i))
	}
	return out
}

// calls are the questions that pages of the product ask.
func calls() []call {
	first := graph.AlertContent{Product: "test", ProviderAlertID: "1"}.ID()
	users := seq(0, 100, func(i int) graph.ID { return user(i).ID() })
	evidence := append(seq(0, 250, func(i int) graph.ID { return user(i).ID() }), seq(0, 50, func(i int) graph.ID { return device(i).ID() })...)
	hosts := seq(0, 1000, func(i int) graph.ID { return host(i).ID() })
	collect := func(r *reader, q graph.EdgeQuery) (out []graph.Edge, err error) {
		err = allEdges(func(answer func(*reader) error) error { return answer(r) }, q, func(e graph.Edge, err error) bool { out = append(out, e); return true })
		return out, err
	}
	alerts := func(q graph.AlertQuery) func(r *reader) (any, error) {
		return func(r *reader) (any, error) { return r.alerts(q, 0) }
	}
	incidents := func(q graph.IncidentQuery) func(r *reader) (any, error) {
		return func(r *reader) (any, error) { return r.incidents(q, 0) }
	}
	entities := func(q graph.EntityQuery) func(r *reader) (any, error) {
		return func(r *reader) (any, error) { return r.entities(q) }
	}
	edges := func(q graph.EdgeQuery) func(r *reader) (any, error) {
		return func(r *reader) (any, error) { return r.edges(q) }
	}
	page := graph.Paging{Limit: 100, Count: true}
	return []call{
		{"one incident with its content version", 2, incidents(graph.IncidentQuery{IDs: []graph.IncidentID{1}, WithContentVersion: true})},
		{"the alerts of an incident", 1, alerts(graph.AlertQuery{Incidents: []graph.IncidentID{1}})},
		{"the entities that they are about", 1, entities(graph.EntityQuery{IDs: evidence})},
		{"a page of alerts by creation", 1, alerts(graph.AlertQuery{Paging: graph.Paging{Limit: 100}})},
		{"a page of alerts by update, counted", 2, alerts(graph.AlertQuery{Paging: graph.Paging{Limit: 100, Order: graph.OldestUpdated, Count: true}})},
		{"a later page of alerts with filters, counted", 2, alerts(graph.AlertQuery{
			Severities: []graph.Severity{graph.SeverityHigh}, Statuses: []graph.Status{graph.StatusNew}, Sources: []graph.ServiceSource{graph.ServiceDefenderEndpoint},
			Paging: graph.Paging{Limit: 100, Count: true, After: graph.TickOf(graphtest.Epoch) + 5000}})},
		{"alerts active in a long time", 3, alerts(graph.AlertQuery{Activity: graph.Window{From: graphtest.Epoch}, Paging: page})},
		{"alerts active in a short time", 3, alerts(graph.AlertQuery{Activity: graph.Window{From: graphtest.Epoch.Add(160 * time.Hour), Before: graphtest.Epoch.Add(161 * time.Hour)}, Paging: page})},
		{"alerts about a device", 2, alerts(graph.AlertQuery{Entities: []graph.ID{device(0).ID()}, Paging: page})},
		{"alerts about devices in incidents", 2, alerts(graph.AlertQuery{Entities: seq(0, 20, func(i int) graph.ID { return device(i).ID() }), Incidents: []graph.IncidentID{1, 2, 77}, Paging: page})},
		{"alerts by id with all filters", 2, alerts(graph.AlertQuery{
			IDs: []graph.ID{first, first, {}, graph.AlertContent{Product: "test", ProviderAlertID: "0"}.ID()}, Incidents: []graph.IncidentID{1}, Entities: []graph.ID{device(1).ID()},
			Paging: graph.Paging{Count: true, After: 1, Order: graph.OldestCreated}})},
		{"a page of incidents", 2, incidents(graph.IncidentQuery{Statuses: []graph.Status{graph.StatusActive}, Sources: []graph.ServiceSource{graph.ServiceDefenderEndpoint}, Paging: page})},
		{"a page of 1,000 entities", 6, entities(graph.EntityQuery{})},
		{"a later page of two kinds", 6, entities(graph.EntityQuery{Kinds: []graph.Kind{graph.KindIdentity, graph.KindDevice}, After: device(3).ID(), Limit: 500})},
		{"1,000 hosts that may be others", 6, entities(graph.EntityQuery{IDs: hosts})},
		{"edges at 100 nodes", 3, edges(graph.EdgeQuery{Nodes: users})},
		{"edges at 100 hosts", 8, edges(graph.EdgeQuery{Nodes: hosts[:100]})},
		{"observed edges at 100 nodes", 1, edges(graph.EdgeQuery{Nodes: users, Kinds: []graph.EdgeKind{graph.EdgeLoggedOn}, AsOf: graphtest.Epoch.Add(time.Hour)})},
		{"observed edges at a hub", 2, edges(graph.EdgeQuery{Nodes: []graph.ID{device(0).ID()}, Kinds: []graph.EdgeKind{graph.EdgeAdminOf}})},
		{"all edges", 4, func(r *reader) (any, error) { return collect(r, graph.EdgeQuery{}) }},
		{"changes", 1, func(r *reader) (out any, err error) {
			err = r.changes(0, func(c graph.Change, err error) bool { out = c; return err == nil })
			return out, err
		}},
		{"a page of documents", 1, func(r *reader) (any, error) {
			return r.documents(graph.DocumentQuery{Collection: "views", Prefix: "a", After: "ab"})
		}},
		{"200 keys looked up", 2, func(r *reader) (any, error) {
			return r.lookup(slices.Concat(seq(0, 100, func(i int) graph.Key { return host(i).Keys[0] }), seq(0, 100, func(i int) graph.Key { return device(i).Keys[0] })))
		}},
	}
}

func TestACallTakesAFewRoundTripsWhateverItShows(t *testing.T) {
	b := bigTenant(t)
	for _, c := range calls() {
		r, n := b.reader(t)
		if _, err := c.ask(r); err != nil { // compiles the statements
			t.Fatalf("%s: %v", c.name, err)
		}
		took := time.Duration(1 << 62)
		for range 3 {
			n.asked = nil
			began := time.Now()
			if _, err := c.ask(r); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			took = min(took, time.Since(began))
		}
		t.Logf("%-46s %d round trips, %v", c.name, len(n.asked), took.Round(100*time.Microsecond))
		if len(n.asked) > c.trips {
			t.Errorf("%s takes %d round trips, want at most %d", c.name, len(n.asked), c.trips)
		}
	}
}

func TestNoStatementOfAReadLooksAtMoreThanItsTenant(t *testing.T) {
	b := bigTenant(t)
	seen := map[string]bool{}
	for _, c := range calls() {
		r, n := b.reader(t)
		if _, err := c.ask(r); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, s := range n.asked {
			if seen[s.cypher] {
				continue
			}
			seen[s.cypher] = true
			checkPlan(t, c.name, planOf(t, b.store, s), s.cypher)
		}
	}
}

func planOf(t *testing.T, s *Store, asked statement) string {
	t.Helper()
	session := s.session(context.Background(), driver.AccessModeRead)
	defer session.Close(context.Background())
	result, err := session.Run(context.Background(), "EXPLAIN "+asked.cypher, asked.params)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := result.Consume(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return text(summary.Plan().Arguments()["string-representation"])
}

// operatorName is a line's operator in the text of a plan: "| +NodeIndexSeek   | …". The driver's tree of a plan
// is not whole: it gives a node's last child for each of them.
var operatorName = regexp.MustCompile(`(?m)^\|[ |]*\+(\w+)`)

// growing are operators that look at more than the tenant's, sorting those that look at all of the tenant's.
var (
	growing = []string{"NodeByLabelScan", "AllNodesScan", "CartesianProduct", "NodeIndexScan", "DirectedRelationshipTypeScan", "UndirectedRelationshipTypeScan", "ValueHashJoin"}
	sorting = []string{"Sort", "Top", "PartialSort", "PartialTop"}
)

// checkPlan refuses what grows with the database. What an index gives in order is not sorted.
func checkPlan(t *testing.T, name, plan, cypher string, allowed ...string) {
	t.Helper()
	names := operatorName.FindAllStringSubmatch(plan, -1)
	if len(names) < 2 {
		t.Fatalf("%s: not a plan:\n%s", name, plan)
	}
	bad := growing
	for _, ordered := range []string{"(tenant, created)\n", "(tenant, updated)\n", "(tenant, revision)\n", "(d:Document)\n"} {
		if strings.Contains(cypher, ordered) {
			bad = slices.Concat(growing, sorting)
		}
	}
	for _, n := range names {
		if slices.Contains(bad, n[1]) && !slices.Contains(allowed, n[1]) {
			t.Errorf("%s: %s in the plan of%s\n%s", name, n[1], cypher, plan)
		}
	}
}

// The plans of these are kept, so those made while there is nothing must do for ever.
func TestAnEmptyDatabasePlansCommitsForEver(t *testing.T) {
	o := optionsOf(realserver.Neo4j(t, realserver.Neo4jOptions{Own: true}))
	if _, _, err := Migrate(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	params := map[string]any{
		"in": map[string]any{}, "key": "", "tenant": "", "limit": 1,
	}
	for i, cypher := range []string{
		begin, sealCommit, readCommit, createHomes, changeHomes, findHomes, setNodes, leaveNode, joinNode,
		createSightings, changeSightings(graph.EdgeLoggedOn), removeEdges(graph.EdgeLoggedOn),
		readHomes, readMembers, readClaimants, readNeighbours, readBearers, readSightings, readEdges,
		readAlerts, readIncidents, readDocuments,
		putAlerts, addEvidence, removeEvidence, leaveIncident, joinIncident, deleteAlerts,
		putIncidents, redirectIncidents, deleteIncidents, putDocuments, deleteDocuments,
	} {
		plan := planOf(t, s, statement{keepPlan + cypher, params})
		checkPlan(t, fmt.Sprint("statement ", i), plan, cypher, "CartesianProduct") // of two nodes
	}
}

func TestBigPagesAreTheModels(t *testing.T) {
	b := bigTenant(t)
	ctx := context.Background()
	compare := func(name string, ask func(graph.Store) (any, error)) {
		t.Helper()
		want, err := ask(b.model)
		got, err2 := ask(b.store)
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", name, err, err2)
		}
		if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
			at := 0
			for at < min(len(w), len(g)) && w[at] == g[at] {
				at++
			}
			t.Errorf("%s differs from the model: %.200s, want %.200s", name, g[max(0, at-50):], w[max(0, at-50):])
		}
	}
	compare("position", func(s graph.Store) (any, error) { return s.Position(ctx, b.view) })
	compare("all edges", func(s graph.Store) (any, error) {
		var out []graph.Edge
		for e, err := range s.Edges(ctx, b.view, graph.EdgeQuery{}) {
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	})
	for after, n := (graph.ID{}), 0; n < 7; n++ {
		q := graph.EntityQuery{After: after}
		compare(fmt.Sprint("page of entities ", n), func(s graph.Store) (any, error) { return s.Entities(ctx, b.view, q) })
		page, err := b.store.Entities(ctx, b.view, q)
		if err != nil || len(page) == 0 {
			t.Fatal(n, err)
		}
		if after = page[len(page)-1].ID; len(page) < graph.MaxPage {
			break
		}
	}
	for _, order := range []graph.TickOrder{graph.NewestCreated, graph.OldestCreated, graph.NewestUpdated, graph.OldestUpdated} {
		for _, w := range []graph.Window{{}, {From: graphtest.Epoch}, {From: graphtest.Epoch.Add(160 * time.Hour)}, {Before: graphtest.Epoch.Add(time.Hour)}} {
			q := graph.AlertQuery{Activity: w, Paging: graph.Paging{Order: order, Limit: 70, Count: true}}
			compare(fmt.Sprintf("alerts %+v", q), func(s graph.Store) (any, error) { return s.Alerts(ctx, b.view, q) })
		}
	}
}

func TestEdgesAtHubsAreTheModels(t *testing.T) {
	b := bigTenant(t)
	if bigUsers/2*bigSightings < edgeHub {
		t.Fatal("there is no hub")
	}
	nodes := append(seq(0, 12, func(i int) graph.ID { return device(i).ID() }), seq(0, 30, func(i int) graph.ID { return user(i).ID() })...)
	for _, d := range []graph.Direction{graph.Out, graph.In, graph.Both} {
		q := graph.EdgeQuery{Nodes: nodes, Direction: d}
		if got, want := edgeTexts(t, b.store, b.view, q), edgeTexts(t, b.model, b.view, q); !slices.Equal(got, want) {
			t.Errorf("direction %d: %d edges, not the %d of the model", d, len(got), len(want))
		}
	}
}

// edgeTexts are the edges in order, each once.
func edgeTexts(t *testing.T, s graph.Reader, v graph.View, q graph.EdgeQuery) (out []string) {
	t.Helper()
	for e, err := range s.Edges(t.Context(), v, q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%+v", e))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
