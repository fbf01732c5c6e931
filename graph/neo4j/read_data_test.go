package neo4j

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// counting counts round trips, and keeps what was asked.
type counting struct {
	runner
	asked []statement
}

type statement struct {
	cypher string
	params map[string]any
}

func (c *counting) query(ctx context.Context, cypher string, params map[string]any) ([]*driver.Record, error) {
	c.asked = append(c.asked, statement{cypher, params})
	return c.runner.query(ctx, cypher, params)
}

func (c *counting) stream(ctx context.Context, cypher string, params map[string]any, each func(*driver.Record) (bool, error)) error {
	c.asked = append(c.asked, statement{cypher, params})
	return c.runner.stream(ctx, cypher, params, each)
}

// The sizes of the big tenant.
const (
	bigDevices   = 1500 // strong ones, and as many that bear only their host name
	bigUsers     = 700
	bigAlerts    = 10_050 // more than are counted, and more than are taken by activity
	bigIncident  = 50     // alerts of the first incident, each about bigEvidence things of its own
	bigEvidence  = 6
	bigSightings = 3 // of each user on each of some devices
)

// big is one tenant with enough in it for pages, caps and plans, and the model with the same.
type big struct {
	store *Store
	view  graph.View
	model *graphtest.Model
}

var theBig struct {
	once sync.Once
	big
}

// bigTenant is filled when the first test asks for it.
func bigTenant(t testing.TB) big {
	t.Helper()
	o := migrated(t)
	clock := graphtest.NewClock()
	o.Clock = clock.Now
	theBig.once.Do(func() {
		theBig.view.Tenant = tenantOfTest(t)
		theBig.model = graphtest.NewModel(clock.Now)
		s := open(t, o)
		for _, b := range bigBatches() {
			for _, w := range []graph.Writer{s, theBig.model} {
				if _, err := w.Apply(context.Background(), theBig.view.Tenant, b); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if theBig.model == nil {
		t.Fatal("the big tenant could not be filled")
	}
	b := theBig.big
	b.store = open(t, o)
	return b
}

func (b big) reader(t testing.TB) (*reader, *counting) {
	t.Helper()
	at, err := b.store.settled(context.Background(), b.view, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{runner: b.store.reads()}
	return newReader(context.Background(), c, b.view.Tenant, at), c
}

func observe(kind graph.Kind, keys ...string) graph.EntityObservation {
	o := graph.EntityObservation{Source: "test", ObservedAt: graphtest.Epoch, Properties: map[string]json.RawMessage{"note": json.RawMessage(`"some text about it"`)}}
	for i := 0; i < len(keys); i += 2 {
		if k, ok := graph.NewKey(kind, graph.KeyType(keys[i]), keys[i+1]); ok {
			o.Keys = append(o.Keys, k)
		}
	}
	return o
}

func device(i int) graph.EntityObservation {
	return observe(graph.KindDevice, "mdeDeviceId", fmt.Sprint("m", i), "dnsName", fmt.Sprintf("pc%d.contoso.com", i))
}

// named bears a DNS name and a host name: followed to the device, and the bare host to it.
func named(i int) graph.EntityObservation {
	return observe(graph.KindDevice, "dnsName", fmt.Sprintf("pc%d.contoso.com", i), "hostName", fmt.Sprint("pc", i))
}

func host(i int) graph.EntityObservation {
	return observe(graph.KindDevice, "hostName", fmt.Sprint("pc", i))
}
func user(i int) graph.EntityObservation {
	return observe(graph.KindIdentity, "azureAdUserId", fmt.Sprint("u", i))
}

func bigBatches() (out []graph.Batch) {
	for part := range 3 {
		var b graph.Batch
		for i := part * bigDevices / 3; i < (part+1)*bigDevices/3; i++ {
			b.Entities = append(b.Entities, device(i), named(i), host(i))
		}
		out = append(out, b)
	}
	return append(append(out, bigEdges()), bigAlertBatches()...)
}

// bigEdges has edges between homes of one node, and to a node that has members, one of which is a hub.
func bigEdges() (b graph.Batch) {
	both := observe(graph.KindDevice, "mdeDeviceId", "m0", "azureAdDeviceId", "a0")
	own := observe(graph.KindDevice, "azureAdDeviceId", "a0")
	b.Entities = append(b.Entities, device(0), both, own)
	for i := range bigUsers {
		b.Entities = append(b.Entities, user(i))
		for d := range 10 {
			to := device((i*7 + d*d) % bigDevices)
			if d == 0 && i%50 == 0 || d == 9 && i%2 == 0 {
				to = own
			}
			b.Entities = append(b.Entities, to)
			for n := range bigSightings {
				at := graphtest.Epoch.Add(time.Duration(n) * time.Hour)
				b.Edges = append(b.Edges, graph.EdgeObservation{
					Kind: []graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeAdminOf}[d%2], From: user(i).ID(), To: to.ID(),
					FirstSeen: at, LastSeen: at, Source: "test", Observation: graph.NewID(graph.KindObservation, fmt.Sprint(n)),
				})
			}
		}
	}
	return b
}

func bigAlertBatches() (out []graph.Batch) {
	for from := 0; from < bigAlerts; from += 2000 {
		var b graph.Batch
		for i := from; i < min(from+2000, bigAlerts); i++ {
			a := graph.AlertContent{
				ProviderAlertID: fmt.Sprint(i), Product: "test", ServiceSource: graph.ServiceDefenderEndpoint, Title: "an alert with a title",
				Severity: graph.Severities()[i%5], FirstActivity: graphtest.Epoch.Add(time.Duration(i) * time.Minute),
				Reported: graph.Triage{Status: []graph.Status{graph.StatusNew, graph.StatusResolved}[i%2]},
			}
			a.LastActivity = a.FirstActivity.Add(time.Hour)
			about := []graph.EntityObservation{device(i % bigDevices)}
			for n := 0; i < bigIncident && n < bigEvidence-1; n++ {
				about = append(about, user((i*bigEvidence+n)%bigUsers))
			}
			for _, e := range about {
				b.Entities = append(b.Entities, e)
				a.Evidence = append(a.Evidence, graph.Evidence{Type: "deviceEvidence", Entity: e.ID(), Body: json.RawMessage(`{"role":"compromised"}`)})
			}
			b.Alerts = append(b.Alerts, a)
		}
		b.Incidents = bigIncidentsOf(from, b.Alerts)
		out = append(out, b)
	}
	return out
}

// bigIncidentsOf puts each batch's alerts into two incidents, the very first of bigIncident alerts.
func bigIncidentsOf(from int, alerts []graph.AlertContent) []graph.IncidentChange {
	var ids []graph.ID
	for _, a := range alerts {
		ids = append(ids, a.ID())
	}
	change := func(name string, of []graph.ID) graph.IncidentChange {
		return graph.IncidentChange{Alerts: of, Facts: &graph.IncidentFacts{
			DisplayName: name, Severity: graph.SeverityHigh, FirstActivity: graphtest.Epoch, LastActivity: graphtest.Epoch.Add(time.Duration(from) * time.Minute),
			ServiceSources: []graph.ServiceSource{graph.ServiceDefenderEndpoint},
		}}
	}
	cut := min(bigIncident, len(ids)-1)
	return []graph.IncidentChange{change("first", ids[:cut]), change("second", ids[cut:])}
}
