package resolvers_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/resolvers"
)

// hour is a span from the start of the tests' time.
func hour(h float64) time.Time {
	return graphtest.Epoch.Add(time.Duration(h * float64(time.Hour)))
}

// thing observes an entity by key type and value pairs.
func thing(t testing.TB, kind graph.Kind, pairs ...string) graph.EntityObservation {
	t.Helper()
	o := graph.EntityObservation{ObservedAt: hour(0), Source: "test", Properties: map[string]json.RawMessage{}}
	for i := 0; i < len(pairs); i += 2 {
		if k, ok := graph.NewKey(kind, graph.KeyType(pairs[i]), pairs[i+1]); ok {
			o.Keys = append(o.Keys, k)
		} else {
			o.Properties[pairs[i]] = json.RawMessage(pairs[i+1])
		}
	}
	if o.ID().IsZero() {
		t.Fatalf("%v has no key: %v", kind, pairs)
	}
	return o
}

func edge(kind graph.EdgeKind, from, to graph.EntityObservation, first, last float64, alert graph.ID) graph.EdgeObservation {
	return graph.EdgeObservation{Kind: kind, From: from.ID(), To: to.ID(), FirstSeen: hour(first), LastSeen: hour(last), Source: "test", Observation: alert}
}

func evidence(typ string, of graph.EntityObservation, fields string) graph.Evidence {
	e := graph.Evidence{Type: typ, Body: json.RawMessage(`{"@odata.type":"` + graph.ODataPrefix + typ + `",` + fields + `}`)}
	if len(of.Keys) > 0 {
		e.Entity = of.ID()
	}
	return e
}

func alert(id, title string, at float64, evidence ...graph.Evidence) graph.AlertContent {
	return graph.AlertContent{
		ProviderAlertID: id, Product: string(graph.ServiceDefenderEndpoint), ServiceSource: graph.ServiceDefenderEndpoint,
		Title: title, Severity: graph.SeverityMedium, Category: "Execution", MitreTechniques: []string{"T1059.001"},
		FirstActivity: hour(at), LastActivity: hour(at + 0.5), SourceCreated: hour(at + 1), SourceUpdated: hour(at + 1),
		Reported: graph.Triage{Status: graph.StatusNew}, Evidence: evidence, Format: "graph",
		Source: json.RawMessage(`{"id":"` + id + `","systemTags":["priority"],"customDetails":{"Rule":"7"},"resolvedDateTime":null,"comments":[{"comment":"seen","createdByDisplayName":"soc"}]}`),
	}
}

// phishing is an estate in which one attack came by mail: three alerts in one incident, of which another had
// to be merged, and one alert that stands alone.
type phishing struct {
	store                                       *graphtest.Model
	pc, server, ann, box, mail, file, ip, named graph.EntityObservation
	mailAlert, pcAlert, bridge, alone           graph.ID
}

func newPhishing(t testing.TB) *phishing {
	t.Helper()
	p := &phishing{store: graphtest.NewModel(graphtest.NewClock().Now)}
	p.pc = thing(t, graph.KindDevice, "mdeDeviceId", "pc1", "hostName", "pc1", "osPlatform", `"Windows11"`, "criticality", `"low"`)
	p.server = thing(t, graph.KindDevice, "mdeDeviceId", "srv1", "hostName", "srv1", "criticality", `"veryHigh"`)
	p.ann = thing(t, graph.KindIdentity, "azureAdUserId", "11111111-1111-1111-1111-111111111111", "userPrincipalName", "ann@example.com")
	p.box = thing(t, graph.KindMailbox, "primaryAddress", "ann@example.com")
	p.mail = thing(t, graph.KindMailMessage, "networkMessageIdRecipient", "m1", "subject", `"Invoice"`)
	p.file = thing(t, graph.KindFile, "sha256", strings.Repeat("a", 64), "fileName", "invoice.docm", "fileSize", `12345`)
	p.ip = thing(t, graph.KindIPAddress, "ipAddress", "203.0.113.7")
	p.named = thing(t, graph.KindDevice, "hostName", "pc1")
	mail := alert("m", "Malicious mail", 1, evidence("analyzedMessageEvidence", p.mail, `"subject":"Invoice","roles":["source"],"verdict":"malicious","p1Sender":{"emailAddress":"a@example.net"},"urls":["https://example.net/x"]`),
		evidence("mailboxEvidence", p.box, `"primaryAddress":"ann@example.com","roles":["attacked"]`))
	pc := alert("d", "Suspicious macro", 2, evidence("deviceEvidence", p.pc, `"mdeDeviceId":"pc1","hostName":"pc1","osBuild":22631,"roles":["compromised"],"loggedOnUsers":[{"accountName":"ann"}]`),
		evidence("fileEvidence", p.file, `"fileDetails":{"fileName":"invoice.docm","fileSize":12345},"verdict":"suspicious","remediationStatus":"active"`),
		evidence("quantumEvidence", graph.EntityObservation{}, `"qubits":[1,null]`))
	bridge := alert("b", "Document opened from mail", 3, evidence("mailboxEvidence", p.box, `"upn":"ann@example.com"`),
		evidence("userEvidence", p.ann, `"userAccount":{"userPrincipalName":"ann@example.com"},"roles":["compromised"]`), evidence("deviceEvidence", p.pc, `"hostName":"pc1"`))
	bridge.Severity = graph.SeverityHigh
	alone := alert("s", "Sign-in from a strange place", 4, evidence("ipEvidence", p.ip, `"ipAddress":"203.0.113.7"`))
	p.mailAlert, p.pcAlert, p.bridge, p.alone = mail.ID(), pc.ID(), bridge.ID(), alone.ID()
	p.apply(t, mail, p.mail, p.box)
	p.apply(t, pc, p.pc, p.file, p.named)
	p.apply(t, bridge, p.box, p.ann, p.pc)
	p.apply(t, alone, p.ip)
	p.connect(t)
	p.explain(t)
	return p
}

func (p *phishing) apply(t testing.TB, a graph.AlertContent, about ...graph.EntityObservation) {
	t.Helper()
	b := graph.Batch{Actor: "test", Cause: "test", Alerts: []graph.AlertContent{a}, Entities: about, Decide: graphtest.UnionDecider{}}
	if _, err := p.store.Apply(context.Background(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

// connect lets ann, who was logged on to the PC, administer the server.
func (p *phishing) connect(t testing.TB) {
	t.Helper()
	b := graph.Batch{Entities: []graph.EntityObservation{p.pc, p.server, p.ann, p.box, p.mail, p.file}, Edges: []graph.EdgeObservation{
		edge(graph.EdgeLoggedOn, p.ann, p.pc, 0, 3, p.pcAlert), edge(graph.EdgeAdminOf, p.ann, p.server, 0, 0, p.bridge),
		edge(graph.EdgeOwns, p.ann, p.box, 0, 0, p.bridge), edge(graph.EdgeDelivered, p.mail, p.box, 1, 1, p.mailAlert),
		edge(graph.EdgeAttached, p.file, p.mail, 1, 1, p.mailAlert), edge(graph.EdgePresentOn, p.file, p.pc, 2, 2, p.pcAlert),
	}}
	if _, err := p.store.Apply(context.Background(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

// explain gives the first incident links and somebody to work on it.
func (p *phishing) explain(t testing.TB) {
	t.Helper()
	ctx, v := context.Background(), graph.View{Tenant: graphtest.Tenant}
	page, err := p.store.Incidents(ctx, v, graph.IncidentQuery{IDs: []graph.IncidentID{1}})
	if err != nil {
		t.Fatal(err)
	}
	facts := page.Items[0].IncidentFacts
	facts.Links = []graph.Link{
		graph.NewLink(p.mailAlert, p.bridge, graph.Link{Reasons: []string{"sameTargetedAsset"}, Rule: "sharedEntity", Entities: []graph.ID{p.box.ID()}, Score: 0.8}),
		graph.NewLink(p.pcAlert, p.bridge, graph.Link{Reasons: []string{"sameAsset", "temporalProximity"}, Rule: "sharedEntity", Entities: []graph.ID{p.pc.ID()}, Score: 0.9}),
	}
	b := graph.Batch{Incidents: []graph.IncidentChange{{ID: 1, Facts: &facts, Triage: graph.Triage{AssignedTo: "soc@example.com", Classification: "truePositive"}}}}
	if _, err := p.store.Apply(ctx, graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

// counting counts the calls of a reader, and can make them fail, hang or panic.
type counting struct {
	graph.Reader
	calls   atomic.Int64
	mu      sync.Mutex
	trace   []string
	disturb func(context.Context) error
}

func (c *counting) call(ctx context.Context, name string) error {
	c.calls.Add(1)
	c.mu.Lock()
	c.trace = append(c.trace, name)
	c.mu.Unlock()
	if c.disturb != nil {
		return c.disturb(ctx)
	}
	return nil
}

func (c *counting) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if err := c.call(ctx, "Entities"); err != nil {
		return nil, err
	}
	return c.Reader.Entities(ctx, v, q)
}

func (c *counting) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	if err := c.call(ctx, "Edges"); err != nil {
		return func(yield func(graph.Edge, error) bool) { yield(graph.Edge{}, err) }
	}
	return c.Reader.Edges(ctx, v, q)
}

func (c *counting) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	if err := c.call(ctx, "Alerts"); err != nil {
		return graph.AlertPage{}, err
	}
	return c.Reader.Alerts(ctx, v, q)
}

func (c *counting) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	if err := c.call(ctx, "Incidents"); err != nil {
		return graph.IncidentPage{}, err
	}
	return c.Reader.Incidents(ctx, v, q)
}

// key is fixed, so that goldens hold.
var key = []byte("0123456789abcdef0123456789abcdef")

// patience is how long an answer, and a turn, may take where a test is not about time: on a machine that is busy, or
// under the race detector, the limits of a service are too short.
const patience = 10 * time.Minute

// handler serves the store to the tenant that the request names, by default the tests' own, with patience.
func handler(store graph.Reader, change ...func(*resolvers.Config)) http.Handler {
	cfg := resolvers.Config{
		Store: store, CursorKeys: [][]byte{key}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		View: func(r *http.Request) graph.View {
			if t := r.Header.Get("X-Tenant"); t != "" {
				return graph.View{Tenant: graph.TenantID(t)}
			}
			return graph.View{Tenant: graphtest.Tenant}
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	cfg.Limits.Time, cfg.Limits.Waiting = cmp.Or(cfg.Limits.Time, patience), cmp.Or(cfg.Limits.Waiting, patience)
	return resolvers.Handler(cfg)
}

// answer is a response as tests look at it.
type answer struct {
	status int
	header http.Header
	body   []byte
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// at walks the data by field names and indices.
func (a answer) at(t testing.TB, path ...any) any {
	t.Helper()
	var v any = a.Data
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %v of %v in %s", p, path, a.body)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				t.Fatalf("no %v of %v in %s", p, path, a.body)
			}
			v = l[p]
		}
	}
	return v
}

func send(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	if err := json.Unmarshal(a.body, &a); err != nil {
		t.Fatalf("status %d, %v: %s", w.Code, err, a.body)
	}
	return a
}

func post(query string, variables ...any) *http.Request {
	vars := map[string]any{}
	for i := 0; i < len(variables); i += 2 {
		vars[variables[i].(string)] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	return r
}

// ask sends a query that must be answered without errors.
func ask(t testing.TB, h http.Handler, query string, variables ...any) answer {
	t.Helper()
	a := send(t, h, post(query, variables...))
	if a.status != http.StatusOK || len(a.Errors) > 0 {
		t.Fatalf("status %d: %s", a.status, clipped(a.body))
	}
	return a
}

func clipped(b []byte) string { return fmt.Sprintf("%.2000s", b) }

func (p *phishing) put(t testing.TB, o ...graph.EntityObservation) {
	t.Helper()
	if _, err := p.store.Apply(context.Background(), graphtest.Tenant, graph.Batch{Entities: o}); err != nil {
		t.Fatal(err)
	}
}
