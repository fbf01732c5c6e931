package resolvers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// rows is a store with n incidents of two alerts each, and n devices that lead to two files each.
func rows(t testing.TB, n int) (*phishing, []string) {
	t.Helper()
	p := &phishing{store: graphtest.NewModel(graphtest.NewClock().Now)}
	var ids []string
	for i := range n {
		pc := thing(t, graph.KindDevice, "mdeDeviceId", fmt.Sprint("pc", i))
		one, two := thing(t, graph.KindFile, "sha1", fmt.Sprintf("%040d", i+1)), thing(t, graph.KindFile, "sha1", fmt.Sprintf("%039da", i+1))
		for j, f := range []graph.EntityObservation{one, two} {
			a := alert(fmt.Sprint(i, "-", j), "an alert", 1, evidence("deviceEvidence", pc, `"hostName":"pc"`), evidence("fileEvidence", f, `"mdeDeviceId":"pc"`))
			p.apply(t, a, pc, f)
			b := graph.Batch{Entities: []graph.EntityObservation{pc, f}, Edges: []graph.EdgeObservation{edge(graph.EdgePresentOn, f, pc, 1, 1, a.ID())}}
			if _, err := p.store.Apply(t.Context(), graphtest.Tenant, b); err != nil {
				t.Fatal(err)
			}
		}
		ids = append(ids, pc.ID().String())
	}
	return p, ids
}

// The number of store calls of a query does not grow with the number of rows it answers, at any depth.
func TestStoreCallsDoNotGrowWithRows(t *testing.T) {
	few, fewIDs := rows(t, 2)
	many, _ := rows(t, 12)
	for _, c := range []struct {
		name, query string
		calls       int
	}{
		{"incidents", `{incidents {nodes {id displayName links {nodes {alerts {id}}}}}}`, 2},
		{"incidents counted", `{incidents {totalCount totalCountCapped nodes {id}}}`, 2},
		{"incidents with alerts", `{incidents {nodes {alerts(first: 5) {totalCount nodes {title}}}}}`, 2},
		{"incidents with alerts and their evidence's entities", `{incidents(first: 20) {nodes {alerts(first: 5) {nodes {evidence {entity {displayName}}}}}}}`, 3},
		{"incidents with entities", `{incidents(first: 20) {nodes {entities(first: 5) {totalCount nodes {displayName}}}}}`, 4},
		{"alerts with incident", `{alerts {nodes {incident {displayName}}}}`, 2},
		{"four levels down", `{incidents(first: 12) {nodes {alerts(first: 2) {nodes {evidence {entity {alerts(first: 2) {nodes {incident {id}}}}}}}}}}`, 5},
		{"neighbors of neighbors", `{alerts(first: 24) {nodes {evidence {entity {neighbors(first: 2) {nodes {neighbors(first: 2) {edges {relation {alerts {id}} node {id}}}}}}}}}}`, 7},
		{"same entity", `{alerts {nodes {evidence {entity {sameAs {id} possiblySameAs {id}}}}}}`, 4},
		{"story", `{attackStory(incident: "1") {alerts {id} actor {entity {id}} target {entity {id}}}}`, 5},
		{"aliases share", `{incidents {nodes {a: alerts(first: 3) {nodes {id}} b: alerts(first: 3) {nodes {title}}}}}`, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := callsOf(t, few, c.query), callsOf(t, many, c.query)
			if !slices.Equal(a, b) {
				t.Errorf("calls for 2 rows %v, for 12 rows %v", a, b)
			}
			if len(b) > c.calls {
				t.Errorf("%d calls, at most %d: %v", len(b), c.calls, b)
			}
		})
	}
	// the count of an entity's alerts is the declared exception, and is charged for
	q := `{entity(id: "` + fewIDs[0] + `") {alerts(first: 1) {totalCount}}}`
	if n := len(callsOf(t, few, q)); n != 3 {
		t.Errorf("counting the alerts of one entity takes %d calls", n)
	}
}

func callsOf(t *testing.T, p *phishing, query string) []string {
	t.Helper()
	store := &counting{Reader: p.store}
	a := ask(t, handler(store), query)
	if !strings.Contains(string(a.body), "id") && len(a.body) < 10 {
		t.Fatalf("no answer: %s", a.body)
	}
	slices.Sort(store.trace)
	return store.trace
}

// Parents whose alerts are of very different number are still read in few calls: who has enough drops out.
func TestALargeIncidentDoesNotStarveOthers(t *testing.T) {
	p := crowd(t, 30)
	for i := range 3 {
		p.lone(t, i)
	}
	store := &counting{Reader: p.store}
	a := ask(t, handler(store), `{incidents(orderBy: oldestCreated) {nodes {id alerts(first: 1) {totalCount pageInfo {hasNextPage} nodes {title}}}}}`)
	for i, want := range []string{"alert 0", "lone 0", "lone 1", "lone 2"} {
		if got := a.at(t, "incidents", "nodes", i, "alerts", "nodes", 0, "title"); got != want {
			t.Errorf("incident %d shows %v", i, got)
		}
	}
	if a.at(t, "incidents", "nodes", 0, "alerts", "pageInfo", "hasNextPage") != true || a.at(t, "incidents", "nodes", 1, "alerts", "pageInfo", "hasNextPage") != false {
		t.Errorf("%s", a.body)
	}
	if n := store.calls.Load(); n > 3 {
		t.Errorf("%d calls", n)
	}
}
