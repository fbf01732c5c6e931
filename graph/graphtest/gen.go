package graphtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// Tenant is the tenant that the suite writes to.
const Tenant graph.TenantID = "contoso"

// Epoch is the start of the suite's time.
var Epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// Clock is a clock that tests move by hand.
type Clock struct{ at time.Time }

// NewClock starts at Epoch.
func NewClock() *Clock { return &Clock{Epoch} }

// Now is the clock's instant; it stands still until moved, so that two stores see the same.
func (c *Clock) Now() time.Time { return c.at }

// Move moves the clock, also back.
func (c *Clock) Move(d time.Duration) { c.at = c.at.Add(d) }

// keyUniverse is small on purpose: random observations join, contest and suggest one another often.
var keyUniverse = map[graph.Kind][]struct {
	typ    graph.KeyType
	values []string
}{
	graph.KindDevice: {
		{graph.KeyMdeDeviceID, []string{"m1", "m2", "m3"}}, {graph.KeyAzureADDeviceID, []string{"a1", "a2"}},
		{graph.KeyDNSName, []string{"pc1.contoso.com", "pc2.contoso.com"}}, {graph.KeyHostName, []string{"pc1", "pc2"}},
	},
	graph.KindIdentity: {
		{graph.KeyAzureADUserID, []string{"u1", "u2"}},
		{graph.KeySID, []string{"S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002"}},
		{graph.KeyUserPrincipalName, []string{"ann@contoso.com", "bob@contoso.com"}},
		{graph.KeyAccountName, []string{`contoso\ann`, `contoso\bob`}},
	},
	graph.KindFile: {
		{graph.KeySHA256, []string{hex64('a'), hex64('b')}}, {graph.KeySHA1, []string{hex64('c')[:40], hex64('d')[:40]}},
		{graph.KeyMD5, []string{hex64('e')[:32], hex64('f')[:32]}}, {graph.KeyFileName, []string{"x.exe", "y.exe"}},
	},
	graph.KindIPAddress: {{graph.KeyIPAddress, []string{"203.0.113.7"}}, {graph.KeyPrivateIPAddress, []string{"10.0.0.7"}}},
}

func hex64(c byte) string {
	b := make([]byte, 64)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

var drawnKinds = []graph.Kind{graph.KindDevice, graph.KindIdentity, graph.KindFile, graph.KindIPAddress}

// DrawEntity draws an observation with at least one key.
func DrawEntity(t *rapid.T) graph.EntityObservation {
	kind := rapid.SampledFrom(drawnKinds).Draw(t, "kind")
	o := graph.EntityObservation{ObservedAt: drawTime(t), Source: rapid.SampledFrom([]string{"endpoint", "identity"}).Draw(t, "source")}
	rows := keyUniverse[kind]
	for len(o.Keys) == 0 {
		for _, r := range rows {
			if rapid.Bool().Draw(t, "has") {
				k, ok := graph.NewKey(kind, r.typ, rapid.SampledFrom(r.values).Draw(t, string(r.typ)))
				if !ok {
					t.Fatalf("universe has a value that is no key: %s", r.typ)
				}
				o.Keys = append(o.Keys, k)
			}
		}
	}
	if rapid.Bool().Draw(t, "property") {
		v, _ := json.Marshal(rapid.IntRange(0, 3).Draw(t, "value"))
		o.Properties = map[string]json.RawMessage{"riskScore": v}
	}
	return o
}

// drawTime draws from a few instants, the unknown one among them, so that ties happen.
func drawTime(t *rapid.T) time.Time {
	h := rapid.IntRange(-1, 5).Draw(t, "hour")
	if h < 0 {
		return time.Time{}
	}
	return Epoch.Add(time.Duration(h) * time.Hour)
}

// Unit is what must stay in one batch: an alert or sighting with the entities it names. Batches are made of
// units in any order and grouping.
type Unit graph.Batch

// DrawUnit draws entities, edges between them, and perhaps an alert about some of them.
func DrawUnit(t *rapid.T) Unit {
	var u Unit
	for range rapid.IntRange(1, 3).Draw(t, "entities") {
		u.Entities = append(u.Entities, DrawEntity(t))
	}
	if len(u.Entities) > 1 && rapid.Bool().Draw(t, "edge") {
		u.Edges = append(u.Edges, drawEdge(t, u.Entities))
	}
	if rapid.Bool().Draw(t, "alert") {
		u.Alerts = append(u.Alerts, drawAlert(t, u.Entities))
	}
	return u
}

var (
	drawnEdges   = []graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeAdminOf, graph.EdgeRan}
	drawnSources = []graph.ServiceSource{graph.ServiceDefenderEndpoint, graph.ServiceDLP}
)

func drawEdge(t *rapid.T, ends []graph.EntityObservation) graph.EdgeObservation {
	e := graph.EdgeObservation{
		Kind: rapid.SampledFrom(drawnEdges).Draw(t, "edgeKind"),
		From: rapid.SampledFrom(ends).Draw(t, "from").ID(), To: rapid.SampledFrom(ends).Draw(t, "to").ID(),
		FirstSeen: drawTime(t), Source: "endpoint", Inferred: rapid.Bool().Draw(t, "inferred"),
		Observation: graph.NewID(graph.KindObservation, rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "observation")),
	}
	if rapid.IntRange(0, 3).Draw(t, "proven") == 0 {
		e.Observation = graph.AlertContent{Product: string(drawnSources[0]), ProviderAlertID: "1"}.ID()
	}
	if last := drawTime(t); last.After(e.FirstSeen) {
		e.LastSeen = last
	}
	if rapid.IntRange(0, 4).Draw(t, "ended") == 0 {
		e.EndedAt = drawTime(t)
	}
	return e
}

// drawAlert draws one of a few alerts in one of a few versions.
func drawAlert(t *rapid.T, about []graph.EntityObservation) graph.AlertContent {
	source := rapid.SampledFrom(drawnSources).Draw(t, "product")
	a := graph.AlertContent{
		ProviderAlertID: fmt.Sprint(rapid.IntRange(1, 6).Draw(t, "alertId")), Product: string(source),
		ServiceSource: source, Title: rapid.SampledFrom([]string{"<one>", "two & more"}).Draw(t, "title"),
		Severity: rapid.SampledFrom(graph.Severities()).Draw(t, "severity"), FirstActivity: drawTime(t), SourceUpdated: drawTime(t),
		Reported: graph.Triage{Status: rapid.SampledFrom([]graph.Status{graph.StatusNew, graph.StatusResolved}).Draw(t, "status")},
	}
	a.LastActivity = graph.Later(a.FirstActivity, drawTime(t))
	for _, e := range about {
		switch rapid.IntRange(0, 4).Draw(t, "evidence") {
		case 0, 1:
			a.Evidence = append(a.Evidence, graph.Evidence{Type: "deviceEvidence", Entity: e.ID(), Body: json.RawMessage(`{"a":"<b>"}`)})
		case 2:
			a.Evidence = append(a.Evidence, graph.Evidence{Type: "processEvidence", Mentions: []graph.ID{e.ID()}, Body: json.RawMessage(`{}`)})
		}
	}
	return a
}

// DrawUnits draws units of which some say again what others say: what changes known edges is rare among units drawn apart.
func DrawUnits(t *rapid.T, least, most int) []Unit {
	units := rapid.SliceOfN(rapid.Custom(DrawUnit), least, most).Draw(t, "units")
	for i, u := range units {
		if i > 0 && rapid.Bool().Draw(t, "again") {
			units[i] = again(units[rapid.IntRange(0, i-1).Draw(t, "of")], u)
		}
	}
	return units
}

// again is a unit with another one's entities and edges besides, the edges seen in another way, or at other times.
func again(of, u Unit) Unit {
	u.Entities = slices.Concat(u.Entities, of.Entities)
	for _, e := range of.Edges {
		if len(u.Entities)%2 == 0 {
			e.Observation = graph.NewID(graph.KindObservation, fmt.Sprint("again/", len(u.Entities)))
		}
		e.FirstSeen = Epoch.Add(time.Duration(len(u.Alerts)) * time.Hour)
		e.Inferred, u.Edges = !e.Inferred, append(slices.Clone(u.Edges), e)
	}
	return u
}

// Group makes batches of units, cut at random.
func Group(t *rapid.T, units []Unit, decide graph.Decider) []graph.Batch {
	var out []graph.Batch
	for i, u := range units {
		if i == 0 || rapid.Bool().Draw(t, "cut") {
			out = append(out, graph.Batch{Actor: "test", Cause: "suite", Decide: decide})
		}
		b := &out[len(out)-1]
		b.Entities = append(b.Entities, u.Entities...)
		b.Edges = append(b.Edges, u.Edges...)
		b.Alerts = append(b.Alerts, u.Alerts...)
	}
	return out
}
