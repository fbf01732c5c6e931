package traverse_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
)

// evidence makes an observation and the evidence about it.
func evidence(t *testing.T, kind graph.Kind, typ graph.KeyType, value, body string) (graph.EntityObservation, graph.Evidence) {
	t.Helper()
	k, ok := graph.NewKey(kind, typ, value)
	if !ok {
		t.Fatalf("%q is no key", value)
	}
	o := graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: graphtest.Epoch}
	return o, graph.Evidence{Type: "evidence", Entity: o.ID(), Body: []byte(body)}
}

func incident(s graph.Reader, id graph.IncidentID) (answer, error) {
	v := graph.View{Tenant: graphtest.Tenant}
	a, err := traverse.IncidentBlastRadius(context.Background(), s, v, id, traverse.Stored(s, v, graph.Criticalities{}), traverse.Question{})
	if err != nil {
		return answer{}, err
	}
	return told(a), nil
}

func TestWhatAnIncidentStartsFrom(t *testing.T) {
	for name, c := range map[string]struct {
		kind  graph.Kind
		typ   graph.KeyType
		value string
		body  string
		want  bool
	}{
		"a device without roles":            {graph.KindDevice, graph.KeyMdeDeviceID, "m1", `{}`, true},
		"a compromised account":             {graph.KindIdentity, graph.KeyUserPrincipalName, "ann@contoso.com", `{"roles":["attacked","Compromised"]}`, true},
		"an account that was only attacked": {graph.KindIdentity, graph.KeyUserPrincipalName, "ann@contoso.com", `{"roles":["Attacked"]}`, false},
		"a scanned device":                  {graph.KindDevice, graph.KeyMdeDeviceID, "m1", `{"roles":["scanned","contextual"]}`, false},
		"an attack that was prevented":      {graph.KindDevice, graph.KeyMdeDeviceID, "m1", `{"remediationStatus":"prevented"}`, false},
		"a malicious file":                  {graph.KindFile, graph.KeyFileName, "x.exe", `{"verdict":"malicious"}`, true},
		"a file of no verdict":              {graph.KindFile, graph.KeyFileName, "x.exe", `{}`, false},
		"an address":                        {graph.KindIPAddress, graph.KeyIPAddress, "203.0.113.7", `{"verdict":"malicious"}`, false},
		"a body that cannot be read":        {graph.KindDevice, graph.KeyMdeDeviceID, "m1", `[]`, true},
	} {
		o, e := evidence(t, c.kind, c.typ, c.value, c.body)
		s := graphtest.NewModel(graphtest.NewClock().Now)
		b := graph.Batch{Entities: []graph.EntityObservation{o}, Decide: graphtest.UnionDecider{}, Alerts: []graph.AlertContent{{
			Product: "p", ProviderAlertID: "1", FirstActivity: graphtest.Epoch, LastActivity: graphtest.Epoch, Evidence: []graph.Evidence{e},
		}}}
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
		a, err := incident(s, 1)
		if got := slices.Contains(a.Sources, o.ID()); got != c.want || (err != nil) == c.want || (err != nil && !errors.Is(err, traverse.ErrNoAssets)) {
			t.Errorf("%s: source is %v (%v), want %v", name, got, err, c.want)
		}
	}
}

func TestAnUnknownIncidentIsNotFound(t *testing.T) {
	s := graphtest.NewModel(graphtest.NewClock().Now)
	_, err := incident(s, 9)
	if !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
}

func TestSourcesThatWereNotReadMakeTheAnswerIncomplete(t *testing.T) {
	var b graph.Batch
	hub, about := evidence(t, graph.KindIPAddress, graph.KeyIPAddress, "203.0.113.7", `{}`)
	device, on := evidence(t, graph.KindDevice, graph.KeyMdeDeviceID, "m1", `{}`)
	b.Entities = append(b.Entities, hub, device)
	for i := range 2001 {
		b.Alerts = append(b.Alerts, graph.AlertContent{
			Product: "p", ProviderAlertID: fmt.Sprint(i), FirstActivity: graphtest.Epoch, LastActivity: graphtest.Epoch, Evidence: []graph.Evidence{about, on},
		})
	}
	for want, n := range map[bool]int{true: 2000, false: 2001} {
		part := b
		part.Alerts = b.Alerts[:n]
		s := graphtest.NewModel(graphtest.NewClock().Now)
		part.Decide = oneIncident{}
		if _, err := s.Apply(context.Background(), graphtest.Tenant, part); err != nil {
			t.Fatal(err)
		}
		a, err := incident(s, 1)
		if err != nil || a.Completeness.Complete != want || (!want && a.Completeness.Reason != traverse.LimitSources) {
			t.Errorf("%d alerts: %+v (%v)", n, a.Completeness, err)
		}
	}
}

// oneIncident puts all that changed into one new incident.
type oneIncident struct{}

func (oneIncident) Decide(_ context.Context, _ graph.Reader, _ graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	return []graph.IncidentChange{{Alerts: d.Alerts, Facts: &graph.IncidentFacts{}}}, nil
}
