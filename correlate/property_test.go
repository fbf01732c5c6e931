package correlate

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

var view = graph.View{Tenant: graphtest.Tenant}

// tight makes every rule matter within a dozen alerts and a few days.
var tight = Settings{
	AssetGap: 4 * time.Hour, ArtifactGap: 30 * time.Hour, Strangers: 1, HubGap: 4 * time.Hour, Window: 4, Burst: 1,
	SplitGap: 5 * time.Second, SplitSpan: time.Minute, SplitMost: 2, AncestorAge: time.Hour,
	MostParties: 2, MostArtifacts: 1,
}

func mustKey(kind graph.Kind, typ graph.KeyType, value string) graph.Key {
	k, ok := graph.NewKey(kind, typ, value)
	if !ok {
		panic(string(typ) + " cannot be " + value)
	}
	return k
}

// things are what random alerts name: some by strong keys, some by weak ones that lead to the same node, to
// several, or to none.
func things() []graph.EntityObservation {
	d, i, m := graph.KindDevice, graph.KindIdentity, graph.KindMailMessage
	nmid := func(n string) string { return "00000000-0000-0000-0000-00000000000" + n }
	of := func(keys ...graph.Key) graph.EntityObservation { return graph.EntityObservation{Keys: keys} }
	return []graph.EntityObservation{
		of(mustKey(d, graph.KeyMdeDeviceID, "m1"), mustKey(d, graph.KeyDNSName, "pc1.contoso.com")),
		of(mustKey(d, graph.KeyMdeDeviceID, "m1"), mustKey(d, graph.KeyAzureADDeviceID, "a1")),
		of(mustKey(d, graph.KeyAzureADDeviceID, "a1")),
		of(mustKey(d, graph.KeyMdeDeviceID, "m2"), mustKey(d, graph.KeyDNSName, "pc1.contoso.com")),
		of(mustKey(d, graph.KeyMdeDeviceID, "m2"), mustKey(d, graph.KeyAzureADDeviceID, "a1")),
		of(mustKey(d, graph.KeyMdeDeviceID, "m3")),
		of(mustKey(d, graph.KeyDNSName, "pc1.contoso.com")),
		of(mustKey(i, graph.KeyAzureADUserID, "u1")),
		of(mustKey(i, graph.KeyAzureADUserID, "u1"), mustKey(i, graph.KeyUserPrincipalName, "ann@contoso.com")),
		of(mustKey(i, graph.KeyAzureADUserID, "u2"), mustKey(i, graph.KeyAccountName, `contoso\bob`)),
		of(mustKey(i, graph.KeyUserPrincipalName, "ann@contoso.com")),
		of(mustKey(i, graph.KeyAccountName, `contoso\bob`)),
		of(mustKey(i, graph.KeyAccountName, `contoso\bob`), mustKey(i, graph.KeyUserPrincipalName, "bob@contoso.com")),
		of(mustKey(graph.KindMailbox, graph.KeyPrimaryAddress, "ann@contoso.com")),
		of(mustKey(graph.KindMailbox, graph.KeyPrimaryAddress, "bob@contoso.com")),
		of(mustKey(m, graph.KeyDeliveredCopy, "1-ann"), mustKey(m, graph.KeyNetworkMessageID, nmid("1"))),
		of(mustKey(m, graph.KeyDeliveredCopy, "1-bob"), mustKey(m, graph.KeyNetworkMessageID, nmid("1"))),
		of(mustKey(m, graph.KeyNetworkMessageID, nmid("1"))),
		of(mustKey(graph.KindURL, graph.KeyURL, "http://evil.example/a")),
		of(mustKey(graph.KindURL, graph.KeyURL, "https://evil.example/a")),
		of(mustKey(graph.KindIPAddress, graph.KeyIPAddress, "203.0.113.7")),
		of(mustKey(graph.KindFile, graph.KeyMD5, "0123456789abcdef0123456789abcdef")),
	}
}

var evidenceTypes = map[graph.Kind]string{
	graph.KindDevice: "deviceEvidence", graph.KindIdentity: "userEvidence", graph.KindMailbox: "mailboxEvidence",
	graph.KindMailMessage: "analyzedMessageEvidence", graph.KindURL: "urlEvidence", graph.KindIPAddress: "ipEvidence",
	graph.KindFile: "fileEvidence",
}

// world is what random alerts are made from. A later version of an alert may start at another instant and come
// from another detector.
type world struct {
	things []graph.EntityObservation
	starts []time.Duration
	about  []int // how many things an alert may be about
}

const h, s = time.Hour, time.Second

// tangled has things whose identity is in doubt, and bursts in which detectors fire together.
func tangled() world {
	return world{things(), []time.Duration{0, 2 * s, 4 * s, 7 * s, 9 * s, 3 * h, 24*h + 20*s, 48*h + 30*s,
		72 * h, 72*h + 3*s, 74 * h, 96 * h, 120 * h, 168 * h, 192 * h, 336 * h}, []int{1, 2, 2, 3, 7}}
}

// crowded has few things that all alerts share over a few weeks, so that hubs come and go, and an alert now and then
// names more of them than the bound.
func crowded() world {
	var all []graph.EntityObservation
	for _, n := range []string{"1", "2", "3"} {
		all = append(all, graph.EntityObservation{Keys: []graph.Key{mustKey(graph.KindDevice, graph.KeyMdeDeviceID, "m"+n)}},
			graph.EntityObservation{Keys: []graph.Key{mustKey(graph.KindIdentity, graph.KeyAzureADUserID, "u"+n)}})
	}
	all = append(all, things()[len(things())-1])
	return world{all, []time.Duration{0, h, 2 * h, 7 * h, 26 * h, 54 * h, 75 * h, 76 * h, 98 * h, 103 * h, 125 * h, 150 * h,
		175 * h, 200 * h, 222 * h, 250 * h, 274 * h, 275 * h, 300 * h, 330 * h}, []int{2, 2, 3, 6}}
}

// unit draws an alert about some of the things, in some version, or an observation without one.
func (w world) unit(t *rapid.T) graphtest.Unit {
	var u graphtest.Unit
	for range rapid.SampledFrom(w.about).Draw(t, "things") {
		u.Entities = append(u.Entities, rapid.SampledFrom(w.things).Draw(t, "thing"))
	}
	if rapid.IntRange(0, 5).Draw(t, "no alert") > 0 {
		u.Alerts = append(u.Alerts, w.alert(t, u.Entities))
	}
	return u
}

func (w world) alert(t *rapid.T, about []graph.EntityObservation) graph.AlertContent {
	n := rapid.IntRange(0, len(w.starts)-1).Draw(t, "alert")
	a := graph.AlertContent{
		ProviderAlertID: fmt.Sprint(n), Product: "p", ServiceSource: graph.ServiceDefenderEndpoint,
		Title: fmt.Sprint("alert ", n), Category: rapid.SampledFrom([]string{"Execution", "InitialAccess", "Malware"}).Draw(t, "category"),
		DetectorID:    fmt.Sprint(rapid.IntRange(0, 1).Draw(t, "detector")),
		FirstActivity: graphtest.Epoch.Add(rapid.SampledFrom(w.starts).Draw(t, "start")),
		SourceUpdated: graphtest.Epoch.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "version")) * time.Hour),
	}
	a.LastActivity = a.FirstActivity.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Hour, 50 * time.Hour}).Draw(t, "lasts"))
	for _, o := range about {
		a.Evidence = append(a.Evidence, drawEvidence(t, o.ID()))
	}
	return a
}

func drawEvidence(t *rapid.T, id graph.ID) graph.Evidence {
	e := graph.Evidence{Type: evidenceTypes[id.Kind()], Entity: id, Body: json.RawMessage(`{}`)}
	switch e.Type {
	case "ipEvidence":
		e.Body = json.RawMessage(`{"roles":["attacker"]}`)
	case "fileEvidence":
		path := rapid.SampledFrom([]string{`C:\\Users\\ann`, `C:\\Users\\bob`, `C:\\Windows`}).Draw(t, "path")
		e.Body = json.RawMessage(`{"fileDetails":{"filePath":"` + path + `"}}`)
	case "userEvidence":
		if rapid.IntRange(0, 4).Draw(t, "as sender") == 0 {
			e = graph.Evidence{Type: "analyzedMessageEvidence", Mentions: []graph.ID{e.Entity}, Body: e.Body}
		}
	}
	return e
}

func commitAll(t *rapid.T, units []graphtest.Unit, set Settings) graph.Store {
	m := graphtest.NewModel(graphtest.NewClock().Now)
	for _, b := range graphtest.Group(t, units, New(set)) {
		if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func stored(t *rapid.T, store graph.Store) map[string]graph.IncidentFacts {
	alerts, err := graph.AllAlerts(context.Background(), store, view, graph.AlertQuery{})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[graph.IncidentID][]graph.ID{}
	for _, a := range alerts {
		ids[a.Incident] = append(ids[a.Incident], a.ID)
	}
	page, err := store.Incidents(context.Background(), view, graph.IncidentQuery{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]graph.IncidentFacts{}
	for _, i := range page.Items {
		out[nameOf(ids[i.ID])] = i.IncidentFacts
	}
	return out
}

func TestIncidentsAreAFunctionOfTheSetOfAlerts(t *testing.T) {
	for name, w := range map[string]world{"where identity is in doubt": tangled(), "where hubs come and go": crowded()} {
		t.Run(name, func(t *testing.T) {
			incidents, rules, inferred, crowds := 0, map[string]int{}, 0, 0
			rapid.Check(t, func(t *rapid.T) {
				units := rapid.SliceOfN(rapid.Custom(w.unit), 1, 40).Draw(t, "units")
				for _, u := range units {
					for _, a := range u.Alerts {
						if tight.tiesOf(a).crowd {
							crowds++
						}
					}
				}
				for _, f := range checkOrder(t, units) {
					incidents++
					for _, l := range f.Links {
						rules[l.Rule]++
						if l.Inferred {
							inferred++
						}
					}
				}
			})
			t.Logf("%d incidents, links by rule %v, %d of them inferred; %d alerts about a crowd", incidents, rules, inferred, crowds)
		})
	}
}

// checkOrder commits the units in two orders and batchings and compares both with the definitions.
func checkOrder(t *rapid.T, units []graphtest.Unit) map[string]graph.IncidentFacts {
	one := commitAll(t, units, tight)
	got := stored(t, one)
	n, err := newNaive(one, view, tight)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(n.incidents(), got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("incidents are not what all alerts make them (-want +got):\n%s", d)
	}
	other := commitAll(t, rapid.Permutation(units).Draw(t, "order"), tight)
	if d := cmp.Diff(got, stored(t, other), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("another order and batching gives other incidents:\n%s", d)
	}
	return got
}
