package story

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

var view = graph.View{Tenant: graphtest.Tenant}

// kit gathers a batch for the model.
type kit struct {
	entities []graph.EntityObservation
	alerts   []graph.AlertContent
}

// fatal is what *testing.T and *rapid.T share.
type fatal interface{ Fatalf(string, ...any) }

func at(minute int) time.Time { return graphtest.Epoch.Add(time.Duration(minute) * time.Minute) }

// see adds a node with one key, and a display name unless that is empty.
func (k *kit) see(kind graph.Kind, typ graph.KeyType, value, name string) graph.ID {
	key, ok := graph.NewKey(kind, typ, value)
	if !ok {
		panic("no key: " + value)
	}
	o := graph.EntityObservation{Keys: []graph.Key{key}, Source: "test"}
	if name != "" {
		b, _ := json.Marshal(name)
		o.Properties = map[string]json.RawMessage{"displayName": b}
	}
	k.entities = append(k.entities, o)
	return o.ID()
}

func (k *kit) device(id, name string) graph.ID {
	return k.see(graph.KindDevice, graph.KeyMdeDeviceID, id, name)
}

func (k *kit) user(name string) graph.ID {
	return k.see(graph.KindIdentity, graph.KeyUserPrincipalName, name+"@contoso.com", name)
}

func (k *kit) mailbox(name string) graph.ID {
	return k.see(graph.KindMailbox, graph.KeyPrimaryAddress, name+"@contoso.com", "")
}

func (k *kit) ip(address string) graph.ID {
	return k.see(graph.KindIPAddress, graph.KeyIPAddress, address, "")
}

func (k *kit) proc(device, pid string) graph.ID {
	return k.see(graph.KindProcess, graph.KeyMdeProcess, graph.Scoped(device, pid, "2026-03-02T08:00:00Z"), "")
}

func (k *kit) file(name string) graph.ID { return k.see(graph.KindFile, graph.KeyFileName, name, name) }

// obj is a JSON object.
type obj = map[string]any

func ev(typ string, entity graph.ID, body obj, mentions ...graph.ID) graph.Evidence {
	full := obj{"@odata.type": graph.ODataPrefix + typ}
	for name, v := range body {
		full[name] = v
	}
	b, err := json.Marshal(full)
	if err != nil {
		panic(err)
	}
	return graph.Evidence{Type: typ, Entity: entity, Mentions: mentions, Body: b}
}

// alert is told by category, techniques and evidence; its times are minutes after the epoch.
func (k *kit) alert(id string, minute int, service graph.ServiceSource, title, category string, techniques []string, evidence ...graph.Evidence) *graph.AlertContent {
	k.alerts = append(k.alerts, graph.AlertContent{
		ProviderAlertID: id, Product: string(service), ServiceSource: service, Title: title, Category: category,
		MitreTechniques: techniques, Severity: graph.SeverityMedium, FirstActivity: at(minute), LastActivity: at(minute),
		SourceCreated: at(minute + 5), SourceUpdated: at(minute + 5), Evidence: evidence,
	})
	return &k.alerts[len(k.alerts)-1]
}

// store commits everything as incident 1.
func (k *kit) store(t fatal) *graphtest.Model {
	m := graphtest.NewModel(graphtest.NewClock().Now)
	b := graph.Batch{Entities: k.entities, Alerts: k.alerts}
	c := graph.IncidentChange{Facts: &graph.IncidentFacts{DisplayName: "Multi-stage incident", Severity: graph.SeverityHigh}}
	for _, a := range k.alerts {
		c.Alerts = append(c.Alerts, a.ID())
	}
	b.Incidents = []graph.IncidentChange{c}
	if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
		t.Fatalf("apply: %v", err)
	}
	return m
}

func (k *kit) story(t fatal) Story { return build(t, k.store(t), Options{}) }

func build(t fatal, r graph.Reader, o Options) Story {
	s, err := Build(context.Background(), r, view, 1, o)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return s
}

// sentenceOf tells a story of one alert with this evidence.
func sentenceOf(t *testing.T, title, category string, techniques []string, fill func(*kit) []graph.Evidence) Step {
	t.Helper()
	k := &kit{}
	evidence := fill(k)
	k.alert("1", 0, graph.ServiceDefenderEndpoint, title, category, techniques, evidence...)
	s := k.story(t)
	if len(s.Steps) != 1 {
		t.Fatalf("%d steps, want 1", len(s.Steps))
	}
	return s.Steps[0]
}

// fields splits "a/b c/d".
func fields(s string) [][2]string {
	var out [][2]string
	for _, f := range strings.Fields(s) {
		a, b, _ := strings.Cut(f, "/")
		out = append(out, [2]string{a, b})
	}
	return out
}
