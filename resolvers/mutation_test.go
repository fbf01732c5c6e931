package resolvers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/resolvers"
)

const setCriticality = `mutation($input: SetAssetCriticalityInput!) {
  setAssetCriticality(input: $input) {
    revision clientMutationId entities { id criticality criticalityReason { source rule setBy setDateTime comment observedDateTime } }
  }
}`

// recording is a writer that keeps what it was given, and can fail.
type recording struct {
	graph.Writer
	batches []graph.Batch
	fail    error
}

func (r *recording) Apply(ctx context.Context, tenant graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	r.batches = append(r.batches, b)
	if r.fail != nil {
		return graph.Receipt{}, r.fail
	}
	return r.Writer.Apply(ctx, tenant, b)
}

// writable lets ann write to the store.
func writable(w graph.Writer) func(*resolvers.Config) {
	return func(c *resolvers.Config) {
		c.Writer, c.Actor = w, func(*http.Request) string { return "ann" }
	}
}

func input(pairs ...any) map[string]any {
	in := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		in[pairs[i].(string)] = pairs[i+1]
	}
	return in
}

func ids(of ...graph.EntityObservation) []string {
	var out []string
	for _, o := range of {
		out = append(out, o.ID().String())
	}
	return out
}

// reasonOf asks how critical an entity is, and why, in a request of its own.
func reasonOf(t testing.TB, h http.Handler, of graph.EntityObservation) string {
	t.Helper()
	a := ask(t, h, `query($id: ID!) {entity(id: $id) {criticality criticalityReason {source rule setBy comment}}}`, "id", of.ID().String())
	b, err := json.Marshal(a.at(t, "entity"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatAnAnalystSetsIsToldAndKept(t *testing.T) {
	p := newPhishing(t)
	w := &recording{Writer: p.store}
	h := handler(p.store, writable(w))
	a := ask(t, h, setCriticality, "input", input("entityIds", ids(p.server, p.pc), "criticality", "medium", "comment", "<moved>", "clientMutationId", "7"))
	if a.at(t, "setAssetCriticality", "clientMutationId") != "7" || a.at(t, "setAssetCriticality", "entities", 1, "criticality") != "medium" {
		t.Errorf("%s", a.body)
	}
	if got := a.header.Get("Clew-Revision"); got == "" || got != fmt.Sprint(a.at(t, "setAssetCriticality", "revision")) {
		t.Errorf("the header says revision %q: %s", got, a.body)
	}
	if b := w.batches[0]; b.Actor != "ann" || b.Cause != "setAssetCriticality" || len(w.batches) != 1 {
		t.Errorf("%d batches, by %s for %s", len(w.batches), b.Actor, b.Cause)
	}
	const set = `{"criticality":"medium","criticalityReason":{"comment":"\u003cmoved\u003e","rule":null,"setBy":"ann","source":"analyst"}}`
	p.put(t, thing(t, graph.KindDevice, "mdeDeviceId", "srv1", "criticality", `"low"`), p.pc)
	for _, of := range []graph.EntityObservation{p.server, p.pc} {
		if got := reasonOf(t, h, of); got != set {
			t.Errorf("%s", got)
		}
	}
	ask(t, h, setCriticality, "input", input("entityIds", ids(p.server), "criticality", nil))
	if got := reasonOf(t, h, p.server); !strings.Contains(got, `"source":"product"`) {
		t.Errorf("taken back: %s", got)
	}
	if got := reasonOf(t, h, p.pc); got != set {
		t.Errorf("the other: %s", got)
	}
}

func TestBlastRadiusWeighsByWordAndRules(t *testing.T) {
	p := newPhishing(t)
	rules, err := graph.NewCriticalities([]graph.CriticalityRule{{Name: "mine", Criticality: graph.CriticalityHigh, Names: []string{"srv?"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := handler(p.store, writable(p.store), func(c *resolvers.Config) { c.Criticalities = rules })
	weights := func() (out []any) {
		const targets = ` {targets {nodes {entity {id} weight}}}`
		a := ask(t, h, `query($id: ID!) {entity(id: $id) {blastRadius`+targets+`} blastRadius(from: [$id])`+targets+` incident(id: "1") {blastRadius`+targets+`}}`, "id", p.ann.ID().String())
		for _, path := range [][]any{{"entity", "blastRadius"}, {"blastRadius"}, {"incident", "blastRadius"}} {
			for _, n := range a.at(t, append(path, "targets", "nodes")...).([]any) {
				if m := n.(map[string]any); m["entity"].(map[string]any)["id"] == p.server.ID().String() {
					out = append(out, m["weight"])
				}
			}
		}
		return out
	}
	if got := weights(); !slices.Equal(got, []any{4.0, 4.0, 4.0}) {
		t.Errorf("by the custom rule the server weighs %v", got)
	}
	ask(t, h, setCriticality, "input", input("entityIds", ids(p.server), "criticality", "low"))
	if got := weights(); !slices.Equal(got, []any{1.0, 1.0, 1.0}) {
		t.Errorf("set to low the server weighs %v", got)
	}
	if got := reasonOf(t, handler(p.store, func(c *resolvers.Config) { c.Criticalities = rules }), p.named); !strings.Contains(got, `"unknown"`) {
		t.Errorf("another device is %s", got)
	}
}

func TestWrongChangesAreRefusedAndChangeNothing(t *testing.T) {
	p := newPhishing(t)
	known := p.pc.ID().String()
	many := make([]string, 101)
	for i := range many {
		many[i] = graph.NewID(graph.KindDevice, fmt.Sprint(i)).String()
	}
	for _, c := range []struct {
		name  string
		input map[string]any
		code  string
	}{
		{"no entity", input("entityIds", []string{}, "criticality", "low"), "INVALID_ARGUMENT"},
		{"too many entities", input("entityIds", many, "criticality", "low"), "INVALID_ARGUMENT"},
		{"the same one too often", input("entityIds", slices.Repeat([]string{known}, 101), "criticality", "low"), "INVALID_ARGUMENT"},
		{"no id", input("entityIds", []string{"pc1"}, "criticality", "low"), "INVALID_ARGUMENT"},
		{"an empty id", input("entityIds", []string{""}, "criticality", "low"), "INVALID_ARGUMENT"},
		{"an alert", input("entityIds", []string{known, p.pcAlert.String()}, "criticality", "low"), "INVALID_ARGUMENT"},
		{"an incident", input("entityIds", []string{"1"}, "criticality", "low"), "INVALID_ARGUMENT"},
		{"an unknown entity beside a known one", input("entityIds", []string{known, many[0]}, "criticality", "low"), "NOT_FOUND"},
		{"no criticality", input("entityIds", []string{known}), "INVALID_ARGUMENT"},
		{"the criticality unknown", input("entityIds", []string{known}, "criticality", "unknown"), "INVALID_ARGUMENT"},
		{"a criticality that is none", input("entityIds", []string{known}, "criticality", "urgent"), "GRAPHQL_VALIDATION_FAILED"},
		{"a long comment", input("entityIds", []string{known}, "criticality", "low", "comment", strings.Repeat("c", 2001)), "INVALID_ARGUMENT"},
		{"a long id of the client's", input("entityIds", []string{known}, "criticality", "low", "clientMutationId", strings.Repeat("c", 201)), "INVALID_ARGUMENT"},
		{"a field that is none", input("entityIds", []string{known}, "criticality", "low", "by", "eve"), "GRAPHQL_VALIDATION_FAILED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &recording{Writer: p.store}
			a := send(t, handler(p.store, writable(w)), post(setCriticality, "input", c.input))
			if a.code() != c.code || a.Data != nil || len(w.batches) > 0 || a.header.Get("Clew-Revision") != "" || len(a.body) > 1000 {
				t.Errorf("code %s, want %s, %d batches: %s", a.code(), c.code, len(w.batches), clipped(a.body))
			}
		})
	}
	h := handler(p.store, writable(p.store))
	ask(t, h, setCriticality, "input", input("entityIds", slices.Repeat([]string{known}, 100), "criticality", "low",
		"comment", strings.Repeat("c", 2000), "clientMutationId", strings.Repeat("c", 200))) // the control
}

// Nobody learns from the answer whether another tenant has an entity.
func TestAnotherTenantsEntityIsAsUnknownAsNone(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store, writable(p.store))
	told := map[string]string{}
	for tenant, id := range map[string]string{"elsewhere": p.pc.ID().String(), string(graphtest.Tenant): graph.NewID(graph.KindDevice, "none").String()} {
		r := post(setCriticality, "input", input("entityIds", []string{id}, "criticality", "low"))
		r.Header.Set("X-Tenant", tenant)
		a := send(t, h, r)
		told[tenant] = fmt.Sprint(a.status, strings.ReplaceAll(string(a.body), id, "ID"))
	}
	if told["elsewhere"] != told[string(graphtest.Tenant)] || !strings.Contains(told["elsewhere"], "NOT_FOUND") {
		t.Errorf("%s", told)
	}
	if _, err := p.store.Apply(t.Context(), "elsewhere", graph.Batch{Entities: []graph.EntityObservation{p.pc}}); err != nil {
		t.Fatal(err)
	}
	r := post(setCriticality, "input", input("entityIds", ids(p.pc), "criticality", "veryHigh"))
	r.Header.Set("X-Tenant", "elsewhere")
	if a := send(t, h, r); a.at(t, "setAssetCriticality", "entities", 0, "criticality") != "veryHigh" {
		t.Errorf("%s", a.body)
	}
	if got := reasonOf(t, h, p.pc); !strings.Contains(got, "product") {
		t.Errorf("what was set elsewhere holds here: %s", got)
	}
}

func TestAReadOnlyReplicaRefusesClearly(t *testing.T) {
	p := newPhishing(t)
	a := send(t, handler(p.store), post(setCriticality, "input", input("entityIds", ids(p.pc), "criticality", "low")))
	if a.code() != "READ_ONLY" || !strings.Contains(a.Errors[0].Message, "read-only") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestWhatTheStoreRefusesIsTold(t *testing.T) {
	p := newPhishing(t)
	for err, want := range map[error]string{graph.Importing("t"): "UNAVAILABLE", graph.ErrClosed: "UNAVAILABLE", errors.New("disk"): "INTERNAL", context.DeadlineExceeded: "DEADLINE_EXCEEDED"} {
		w := &recording{Writer: p.store, fail: err}
		a := send(t, handler(p.store, writable(w)), post(setCriticality, "input", input("entityIds", ids(p.pc), "criticality", "low")))
		if a.code() != want || strings.Contains(string(a.body), "disk") || a.header.Get("Clew-Revision") != "" {
			t.Errorf("%v: %s", err, a.body)
		}
	}
}

// following is a reader behind its store: a read that does not carry a revision sees what was there at first.
type following struct {
	graph.Reader
	old    graph.Reader
	behind int
}

func (f *following) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if v.AtLeast == 0 {
		f.behind++
		return f.old.Entities(ctx, v, q)
	}
	return f.Reader.Entities(ctx, v, q)
}

// Whoever writes sees what he wrote, in the payload and in what stands behind it in the same document.
func TestWhoWritesReadsItOnAReplicaThatFollows(t *testing.T) {
	p, before := newPhishing(t), newPhishing(t)
	store := &following{Reader: p.store, old: before.store}
	h := handler(store, writable(p.store))
	a := ask(t, h, `mutation($one: SetAssetCriticalityInput!, $two: SetAssetCriticalityInput!) {
	  a: setAssetCriticality(input: $one) {revision entities {criticality sameAs {id} possiblySameAs {criticality}}}
	  b: setAssetCriticality(input: $two) {revision entities {criticality criticalityReason {comment}}}
	}`, "one", input("entityIds", ids(p.pc), "criticality", "high", "comment", "one"), "two", input("entityIds", ids(p.pc), "criticality", "veryHigh", "comment", "two"))
	if a.at(t, "a", "entities", 0, "criticality") != "high" || a.at(t, "b", "entities", 0, "criticality") != "veryHigh" {
		t.Errorf("%s", a.body)
	}
	if got := a.header.Get("Clew-Revision"); got != fmt.Sprint(a.at(t, "b", "revision")) || got == fmt.Sprint(a.at(t, "a", "revision")) {
		t.Errorf("the header says %s: %s", got, a.body)
	}
	if store.behind != 1 { // the first read of the first change, which nothing came before
		t.Errorf("%d reads did not have to see what was written", store.behind)
	}
}

func TestSeveralIDsOfOneEntityAreOne(t *testing.T) {
	p := newPhishing(t)
	aad, _ := graph.NewKey(graph.KindDevice, graph.KeyAzureADDeviceID, "22222222-2222-2222-2222-222222222222")
	p.put(t, graph.EntityObservation{Keys: []graph.Key{p.pc.Keys[0], aad}})
	w := &recording{Writer: p.store}
	a := ask(t, handler(p.store, writable(w)), setCriticality, "input", input("entityIds", []string{aad.ID().String(), p.pc.ID().String()}, "criticality", "low"))
	if got := a.at(t, "setAssetCriticality", "entities").([]any); len(got) != 1 || len(w.batches[0].Entities) != 1 {
		t.Errorf("%d entities in the batch: %s", len(w.batches[0].Entities), a.body)
	}
}

func TestAChangeReadsTwiceForAnyNumberOfEntities(t *testing.T) {
	p, all := rows(t, 12)
	for _, n := range []int{1, 12} {
		store := &counting{Reader: p.store}
		ask(t, handler(store, writable(p.store)), setCriticality, "input", input("entityIds", all[:n], "criticality", "low"))
		if got := store.calls.Load(); got != 2 {
			t.Errorf("%d calls for %d entities: %v", got, n, store.trace)
		}
	}
}

func TestAChangeIsChargedForBeforeItIsDone(t *testing.T) {
	p := newPhishing(t)
	w := &recording{Writer: p.store}
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "a%d: setAssetCriticality(input: $input) {entities {properties keys {value} alerts {nodes {id}}}} ", i)
	}
	a := send(t, handler(p.store, writable(w)), post("mutation($input: SetAssetCriticalityInput!) {"+b.String()+"}", "input", input("entityIds", ids(p.pc), "criticality", "low")))
	if a.code() != "TOO_COSTLY" || len(w.batches) > 0 {
		t.Errorf("%d batches: %s", len(w.batches), clipped(a.body))
	}
	r := get(setCriticality, `{"input":{"entityIds":["`+p.pc.ID().String()+`"],"criticality":"low"}}`)
	if a := send(t, handler(p.store, writable(w)), r); a.status != http.StatusMethodNotAllowed || len(w.batches) > 0 {
		t.Errorf("by GET: %d %s", a.status, a.body)
	}
}

// get is a request by GET, as a link makes one.
func get(query, variables string) *http.Request {
	q := url.Values{"query": {query}, "variables": {variables}}
	r := httptest.NewRequest(http.MethodGet, "/graphql?"+q.Encode(), nil)
	r.Header.Set("Accept", "application/graphql-response+json")
	return r
}
