package resolvers_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/resolvers"
)

// crowd is a store with n alerts about one device and one of its own each: one incident, and many entities.
func crowd(t testing.TB, n int) *phishing {
	t.Helper()
	p := &phishing{store: graphtest.NewModel(graphtest.NewClock().Now)}
	p.pc = thing(t, graph.KindDevice, "mdeDeviceId", "shared")
	for i := range n {
		p.join(t, i)
	}
	return p
}

// join adds an alert about the shared device.
func (p *phishing) join(t testing.TB, i int) {
	t.Helper()
	other := thing(t, graph.KindFile, "sha1", fmt.Sprintf("%040d", i+1))
	a := alert(fmt.Sprint("c", i), fmt.Sprint("alert ", i), float64(i), evidence("deviceEvidence", p.pc, `"mdeDeviceId":"shared"`), evidence("fileEvidence", other, `"mdeDeviceId":"shared"`))
	p.apply(t, a, p.pc, other)
	b := graph.Batch{Entities: []graph.EntityObservation{p.pc, other}, Edges: []graph.EdgeObservation{edge(graph.EdgePresentOn, other, p.pc, float64(i), float64(i), a.ID())}}
	if _, err := p.store.Apply(t.Context(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

// administer lets somebody who was logged on to the shared device administer n servers that matter, and others for two
// hours only.
func (p *phishing) administer(t testing.TB, n int) {
	t.Helper()
	admin := thing(t, graph.KindIdentity, "sid", "S-1-5-21-1-2-3-1001")
	p.ann = admin
	b := graph.Batch{Entities: []graph.EntityObservation{p.pc, admin}, Edges: []graph.EdgeObservation{
		edge(graph.EdgeLoggedOn, admin, p.pc, 0, 5, graph.NewID(graph.KindObservation, "logon"))}}
	for i := range n {
		server := thing(t, graph.KindDevice, "mdeDeviceId", fmt.Sprint("server", i), "criticality", `"high"`)
		former := thing(t, graph.KindDevice, "mdeDeviceId", fmt.Sprint("former", i))
		b.Entities = append(b.Entities, server, former)
		administers := edge(graph.EdgeAdminOf, admin, server, float64(i), float64(i), graph.NewID(graph.KindObservation, fmt.Sprint(i)))
		administered := edge(graph.EdgeAdminOf, admin, former, 0, 1, graph.NewID(graph.KindObservation, fmt.Sprint("former", i)))
		administered.EndedAt = hour(2)
		b.Edges = append(b.Edges, administers, administered)
	}
	if _, err := p.store.Apply(t.Context(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

// lone adds an alert, and so an incident, of its own.
func (p *phishing) lone(t testing.TB, i int) {
	t.Helper()
	own := thing(t, graph.KindDevice, "mdeDeviceId", fmt.Sprint("lone", i))
	p.apply(t, alert(fmt.Sprint("l", i), fmt.Sprint("lone ", i), float64(i), evidence("deviceEvidence", own, `"mdeDeviceId":"x"`)), own)
}

// lists are all connections: how to ask for a page, and the path to it.
func lists(p *phishing) map[string]struct {
	query string
	path  []any
} {
	type list = struct {
		query string
		path  []any
	}
	const arguments = `(first: $n, after: $after)`
	const page = arguments + ` {totalCount pageInfo {hasNextPage hasPreviousPage startCursor endCursor} edges {cursor node {`
	head := "query($n: Int, $after: String) {"
	disable := `containment(incident: "1", actions: [{action: disableUser, entityId: "` + p.ann.ID().String() + `"}])`
	return map[string]list{
		"incidents":           {head + `incidents` + page + `id}}}}`, []any{"incidents"}},
		"alerts":              {head + `alerts` + page + `id}}}}`, []any{"alerts"}},
		"Incident.alerts":     {head + `incident(id: "1") {alerts` + page + `id}}}}}`, []any{"incident", "alerts"}},
		"Incident.entities":   {head + `incident(id: "1") {entities` + page + `id}}}}}`, []any{"incident", "entities"}},
		"Incident.links":      {head + `incident(id: "1") {links` + page + `rule alerts {id}}}}}}`, []any{"incident", "links"}},
		"Entity.alerts":       {head + `entity(id: "` + p.pc.ID().String() + `") {alerts` + page + `id}}}}}`, []any{"entity", "alerts"}},
		"Entity.neighbors":    {head + `entity(id: "` + p.pc.ID().String() + `") {neighbors` + page + `id}}}}}`, []any{"entity", "neighbors"}},
		"BlastRadius.targets": {head + `blastRadius(incident: "1", targetKinds: [device]) {targets` + page + `entity {id}}}}}}`, []any{"blastRadius", "targets"}},
		"Containment.targets": {head + disable + ` {targets` + page + `entity {id}}}}}}`, []any{"containment", "targets"}},
		"Containment.before":  {head + disable + ` {before {targets` + page + `entity {id}}}}}}}`, []any{"containment", "before", "targets"}},
		"Query.attackPaths":   {head + `attackPaths(incident: "1", first: $n, after: $after)` + strings.TrimPrefix(page, arguments) + `entity {id}}}}}`, []any{"attackPaths"}},
		"GraphDiff.added":     {head + `graphDiff(incident: "1", earlier: "2026-03-02T07:59:00Z") {added` + page + `entity {id}}}}}}`, []any{"graphDiff", "added"}},
		"GraphDiff.removed":   {head + `graphDiff(incident: "1", earlier: "2026-03-02T09:30:00Z", reach: {at: "2026-03-02T11:00:00Z"}) {removed` + page + `entity {id}}}}}}`, []any{"graphDiff", "removed"}},
		"GraphDiff.later":     {head + `graphDiff(incident: "1", earlier: "2026-03-02T09:30:00Z") {later {targets` + page + `entity {id}}}}}}}`, []any{"graphDiff", "later", "targets"}},
	}
}

// walk reads a list page by page and returns the items as text, and all cursors.
func walk(t testing.TB, h http.Handler, query string, path []any, size int) (items, cursors []string) {
	t.Helper()
	vars := []any{"n", size}
	for range 1000 {
		a := ask(t, h, query, vars...)
		c := a.at(t, path...).(map[string]any)
		info := c["pageInfo"].(map[string]any)
		for _, e := range c["edges"].([]any) {
			items = append(items, fmt.Sprint(e.(map[string]any)["node"]))
			cursors = append(cursors, e.(map[string]any)["cursor"].(string))
		}
		if n := len(c["edges"].([]any)); n > size || (n > 0 && info["endCursor"] != cursors[len(cursors)-1]) || info["hasPreviousPage"] != (len(vars) > 2) {
			t.Fatalf("%d items, %v", n, info)
		}
		if info["hasNextPage"] != true {
			if int(c["totalCount"].(float64)) != len(items) {
				t.Errorf("totalCount %v, read %d", c["totalCount"], len(items))
			}
			return items, cursors
		}
		vars = []any{"n", size, "after", info["endCursor"]}
	}
	t.Fatal("the list does not end")
	return nil, nil
}

// full is an estate in which every list has several items.
func full(t testing.TB) *phishing {
	t.Helper()
	p := crowd(t, 5)
	p.lone(t, 1)
	p.lone(t, 2)
	p.administer(t, 3)
	page, err := p.store.Incidents(t.Context(), graph.View{Tenant: graphtest.Tenant}, graph.IncidentQuery{IDs: []graph.IncidentID{1}})
	if err != nil {
		t.Fatal(err)
	}
	facts := page.Items[0].IncidentFacts
	for i := range 4 {
		a, b := alert(fmt.Sprint("c", i), "", 0), alert(fmt.Sprint("c", i+1), "", 0)
		facts.Links = append(facts.Links, graph.NewLink(a.ID(), b.ID(), graph.Link{Reasons: []string{"sameAsset"}, Rule: "sharedEntity", Score: 1}))
	}
	if _, err := p.store.Apply(t.Context(), graphtest.Tenant, graph.Batch{Incidents: []graph.IncidentChange{{ID: 1, Facts: &facts}}}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryListIsTheSameInPagesOfAnySize(t *testing.T) {
	p := full(t)
	h := handler(p.store)
	for name, l := range lists(p) {
		whole, _ := walk(t, h, l.query, l.path, 100)
		if len(whole) < 3 {
			t.Errorf("%s has only %d items", name, len(whole))
		}
		for _, size := range []int{1, 2, 3} {
			if got, _ := walk(t, h, l.query, l.path, size); !slices.Equal(got, whole) {
				t.Errorf("%s in pages of %d: %v, whole %v", name, size, got, whole)
			}
		}
	}
}

// A cursor is good for the list, order, filter, parent, tenant and key it was made with, and for nothing else.
func TestACursorThatIsNotTheListsOwnIsRefused(t *testing.T) {
	p := full(t)
	h := handler(p.store)
	cursors := map[string]string{}
	for name, l := range lists(p) {
		_, c := walk(t, h, l.query, l.path, 1)
		cursors[name] = c[0]
	}
	refused := func(name string, h http.Handler, r *http.Request) {
		t.Helper()
		if a := send(t, h, r); a.code() != "INVALID_CURSOR" {
			t.Errorf("%s: %s", name, clipped(a.body))
		}
	}
	for name, l := range lists(p) {
		for of, cursor := range cursors {
			if of != name {
				refused(of+" for "+name, h, post(l.query, "n", 1, "after", cursor))
			}
		}
		for _, forged := range forgeries(cursors[name]) {
			refused("forged for "+name, h, post(l.query, "n", 1, "after", forged))
		}
		other := post(l.query, "n", 1, "after", cursors[name])
		other.Header.Set("X-Tenant", "fabrikam")
		if strings.Contains(name, ".") {
			continue // the parent is null or an error for another tenant
		}
		refused("another tenant's for "+name, h, other)
	}
	c := cursors["incidents"]
	refused("another order", h, post(`query($after: String) {incidents(after: $after, orderBy: oldestUpdated) {totalCount}}`, "after", c))
	refused("another filter", h, post(`query($after: String) {incidents(after: $after, filter: {severities: [high]}) {totalCount}}`, "after", c))
	refused("another parent", h, post(`query($after: String) {incident(id: "2") {alerts(after: $after) {totalCount}}}`, "after", cursors["Incident.alerts"]))
	isolate := `query($after: String) {containment(incident: "1", actions: [{action: isolateDevice, entityId: "` + p.pc.ID().String() + `"}]) {%s}}`
	refused("other actions", h, post(fmt.Sprintf(isolate, "targets(after: $after) {totalCount}"), "after", cursors["Containment.targets"]))
	refused("other actions", h, post(fmt.Sprintf(isolate, "before {targets(after: $after) {totalCount}}"), "after", cursors["Containment.before"]))
	refused("another criticality", h, post(`query($after: String) {attackPaths(incident: "1", criticality: low, after: $after) {totalCount}}`, "after", cursors["Query.attackPaths"]))
	ask(t, h, `query($after: String) {incidents(after: $after, orderBy: newestCreated) {totalCount}}`, "after", c)
}

// forgeries change one bit of seal and key each, and cut, extend and empty the cursor.
func forgeries(cursor string) []string {
	b, _ := base64.RawURLEncoding.DecodeString(cursor)
	out := []string{"", "x", cursor + "A", cursor[:len(cursor)-2], "AAAA", base64.RawURLEncoding.EncodeToString(append(slices.Clone(b), 0))}
	for _, i := range []int{0, 15, 16, len(b) - 1} {
		if i < len(b) {
			c := slices.Clone(b)
			c[i] ^= 1
			out = append(out, base64.RawURLEncoding.EncodeToString(c))
		}
	}
	return out
}

func TestCursorsOutliveOneChangeOfKeys(t *testing.T) {
	p := full(t)
	l := lists(p)["alerts"]
	keyed := func(keys ...string) http.Handler {
		return handler(p.store, func(c *resolvers.Config) {
			c.CursorKeys = nil
			for _, k := range keys {
				c.CursorKeys = append(c.CursorKeys, []byte(strings.Repeat(k, 32)))
			}
		})
	}
	_, cursors := walk(t, keyed("a"), l.query, l.path, 1)
	for _, c := range []struct {
		name string
		h    http.Handler
		good bool
	}{
		{"same key", keyed("a"), true}, {"new key before it", keyed("b", "a"), true}, {"two changes later", keyed("c", "b"), false},
		{"a third key", keyed("c", "b", "a"), false}, {"random key", keyed(), false},
	} {
		if a := send(t, c.h, post(l.query, "n", 1, "after", cursors[0])); (a.code() == "") != c.good || (!c.good && a.code() != "INVALID_CURSOR") {
			t.Errorf("%s: %s", c.name, clipped(a.body))
		}
	}
	if a, b := keyed(), keyed(); a != nil {
		_, c := walk(t, a, l.query, l.path, 1)
		if a := send(t, b, post(l.query, "n", 1, "after", c[0])); a.code() != "INVALID_CURSOR" {
			t.Error("two processes took the same random key")
		}
	}
}

// Pages by creation miss nothing that was there and repeat nothing while others write.
func TestPagingWhileWritten(t *testing.T) {
	for _, order := range []string{"newestCreated", "oldestCreated"} {
		p := crowd(t, 3)
		for i := range 5 {
			p.lone(t, i)
		}
		h := handler(p.store)
		query := `query($after: String) {incidents(first: 2, after: $after, orderBy: ` + order + `) {nodes {id} pageInfo {hasNextPage endCursor}}}`
		vars, seen := []any(nil), []string(nil)
		for i := range 20 {
			a := ask(t, h, query, vars...)
			for _, n := range a.at(t, "incidents", "nodes").([]any) {
				seen = append(seen, n.(map[string]any)["id"].(string))
			}
			if a.at(t, "incidents", "pageInfo", "hasNextPage") != true {
				break
			}
			vars = []any{"after", a.at(t, "incidents", "pageInfo", "endCursor")}
			if i < 3 { // a new incident, and a change of an old one, between two pages
				p.lone(t, 100+i)
				p.join(t, 100+i)
			}
		}
		want := []string{"6", "5", "4", "3", "2", "1"}
		if order == "oldestCreated" {
			want = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: read %v, want %v", order, seen, want)
		}
	}
}

func TestFiltersAndOrders(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	for _, c := range []struct{ args, want string }{
		{``, "3 1"}, {`orderBy: oldestCreated`, "1 3"}, {`orderBy: oldestUpdated`, "3 1"}, {`orderBy: newestUpdated`, "1 3"},
		{`filter: {severities: [high]}`, "1"}, {`filter: {severities: []}`, "3 1"}, {`filter: {statuses: [redirected]}`, "2"},
		{`filter: {serviceSources: [microsoftSentinel]}`, ""}, {`filter: {activity: {from: "2026-03-02T12:15:00Z"}}`, "3"},
		{`filter: {activity: {before: "2026-03-02T10:00:00Z"}}`, "1"}, {`filter: {created: {from: "2026-03-02T08:00:00.000002Z"}}`, "3"},
		{`filter: {created: {before: "2026-03-02T09:00:00.000002+01:00"}}`, "1"}, {`filter: {updated: {before: "1969-01-01T00:00:00Z"}}`, ""},
	} {
		a := ask(t, h, `{incidents(first: 10 `+c.args+`) {nodes {id}}}`)
		var got []string
		for _, n := range a.at(t, "incidents", "nodes").([]any) {
			got = append(got, n.(map[string]any)["id"].(string))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.args, got, c.want)
		}
	}
	a := ask(t, h, `{incident: alerts(filter: {incidents: ["2"]}) {totalCount} entity: alerts(filter: {entities: ["`+p.box.ID().String()+`"], statuses: [new]}) {totalCount} none: alerts(filter: {statuses: [resolved]}) {totalCount}}`)
	if a.at(t, "incident", "totalCount") != 3.0 || a.at(t, "entity", "totalCount") != 2.0 || a.at(t, "none", "totalCount") != 0.0 {
		t.Errorf("%s", a.body)
	}
	long := `["` + strings.Repeat(p.box.ID().String()+`","`, 100) + p.box.ID().String() + `"]`
	if a := send(t, h, post(`{alerts(filter: {entities: `+long+`}) {totalCount}}`)); a.code() != "INVALID_ARGUMENT" {
		t.Errorf("a list of 101: %s", clipped(a.body))
	}
}

// Another tenant sees nothing: every id is as unknown as any.
func TestAnotherTenantSeesNothing(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	for _, q := range []string{
		`{incidents {totalCount nodes {id}} alerts {totalCount nodes {id}}}`,
		`{incident(id: "1") {id} alert(id: "` + p.pcAlert.String() + `") {id} entity(id: "` + p.pc.ID().String() + `") {id} node(id: "1") {id}}`,
		`{attackStory(incident: "1") {number}}`, `{blastRadius(incident: "1") {score}}`, `{blastRadius(from: ["` + p.pc.ID().String() + `"]) {score}}`,
	} {
		theirs, nobodys := post(q), post(q)
		theirs.Header.Set("X-Tenant", "fabrikam")
		nobodys.Header.Set("X-Tenant", "empty")
		a, b := send(t, h, theirs), send(t, handler(graphtest.NewModel(graphtest.NewClock().Now)), nobodys)
		if a.status != b.status || string(a.body) != string(b.body) {
			t.Errorf("%s: %s, an empty store: %s", q, a.body, b.body)
		}
	}
}
