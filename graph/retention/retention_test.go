package retention

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

var (
	ctx    = context.Background()
	tenant = graph.TenantID("contoso")
	view   = graph.View{Tenant: tenant}
	day    = 24 * time.Hour
)

// each makes an incident of its own of every alert.
type each struct{}

func (each) Decide(_ context.Context, _ graph.Reader, _ graph.View, d graph.Delta) (out []graph.IncidentChange, _ error) {
	for _, id := range d.Alerts {
		out = append(out, graph.IncidentChange{Alerts: []graph.ID{id}, Facts: &graph.IncidentFacts{LastActivity: clockAt}})
	}
	return out, nil
}

var clockAt time.Time

// alertAt brings an alert, a logon that happened and a membership that did not end, at the instant.
func alertAt(t *testing.T, s graph.Store, clock *graphtest.Clock, n int, at time.Time) {
	t.Helper()
	clock.Move(at.Sub(clock.Now()))
	clockAt = at
	device, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, fmt.Sprint("d", n))
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, fmt.Sprint("u", n))
	b := graph.Batch{
		Entities: []graph.EntityObservation{{Keys: []graph.Key{device}}, {Keys: []graph.Key{user}}},
		Alerts: []graph.AlertContent{{Product: "p", ProviderAlertID: fmt.Sprint(n), LastActivity: at,
			Evidence: []graph.Evidence{{Type: "deviceEvidence", Entity: device.ID(), Body: []byte(`{}`)}}}},
		Decide: each{},
	}
	for i, kind := range []graph.EdgeKind{graph.EdgeLoggedOn, graph.EdgeAdminOf} {
		b.Edges = append(b.Edges, graph.EdgeObservation{Kind: kind, From: user.ID(), To: device.ID(), FirstSeen: at,
			Observation: graph.NewID(graph.KindObservation, fmt.Sprint(n, i))})
	}
	if _, err := s.Apply(ctx, tenant, b); err != nil {
		t.Fatal(err)
	}
}

func filled(t *testing.T, n int) (*graphtest.Model, *graphtest.Clock) {
	clock := graphtest.NewClock()
	s := graphtest.NewModel(clock.Now)
	for i := range n {
		alertAt(t, s, clock, i, graphtest.Epoch.Add(time.Duration(i)*day))
	}
	return s, clock
}

func TestWhatIsOlderThanTheSettingGoes(t *testing.T) {
	s, clock := filled(t, 60)
	now := clock.Now()
	o := Settings{Incidents: 30 * day, EndedEdges: 40 * day, CredentialLife: 5 * day}
	dry, err := Run(ctx, s, tenant, o, now, true)
	want := Summary{Incidents: 29, Alerts: 29, Edges: 14} // logons that nobody could use for 40 days: of day 0 to 13
	if err != nil || dry != want {
		t.Fatalf("a dry run counts %+v, %v", dry, err)
	}
	if p, _ := s.Position(ctx, view); p.Incidents != 60 || p.Edges != 120 {
		t.Fatalf("a dry run left %+v", p)
	}
	got, err := Run(ctx, s, tenant, o, now, false)
	if err != nil || got != want {
		t.Fatalf("removed %+v, %v, want %+v", got, err, want)
	}
	p, _ := s.Position(ctx, view)
	if p.Incidents != 31 || p.Alerts != 31 || p.Edges != 106 || p.Entities != 120 {
		t.Errorf("left %+v", p)
	}
	if again, err := Run(ctx, s, tenant, o, now, false); err != nil || again != (Summary{}) {
		t.Errorf("a second run removed %+v, %v", again, err)
	}
}

func TestWhatAPersonTouchedLatelyStays(t *testing.T) {
	s, clock := filled(t, 3)
	clock.Move(100 * day)
	b := graph.Batch{Actor: "analyst", Incidents: []graph.IncidentChange{{ID: 2, Triage: graph.Triage{AssignedTo: "ann"}}}}
	if _, err := s.Apply(ctx, tenant, b); err != nil {
		t.Fatal(err)
	}
	got, err := Run(ctx, s, tenant, Settings{Incidents: 30 * day}, clock.Now(), false)
	if err != nil || got != (Summary{Incidents: 2, Alerts: 2}) {
		t.Errorf("removed %+v, %v", got, err)
	}
}

// A redirected incident outlives what it points to by nothing, and never goes before it.
func TestRedirectsGoWithWhatTheyPointTo(t *testing.T) {
	s, clock := filled(t, 3)
	page, err := s.Alerts(ctx, view, graph.AlertQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []graph.ID
	for _, a := range page.Items {
		ids = append(ids, a.ID)
	}
	merge := []graph.IncidentChange{{ID: 2, Alerts: ids}, {ID: 1, RedirectTo: 2}, {ID: 3, RedirectTo: 2}}
	if _, err := s.Apply(ctx, tenant, graph.Batch{Incidents: merge}); err != nil {
		t.Fatal(err)
	}
	clock.Move(100 * day)
	for _, dry := range []bool{true, false} {
		got, err := Run(ctx, s, tenant, Settings{Incidents: 30 * day}, clock.Now(), dry)
		if err != nil || got != (Summary{Incidents: 3, Alerts: 3}) {
			t.Errorf("removed (dry: %t) %+v, %v", dry, got, err)
		}
	}
}

// A dry run that left out redirected incidents, and counted edges as shown where the run counted them between
// single ids, promised less than went.
func TestADryRunSaysWhatARunRemoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := graphtest.NewClock()
		s := graphtest.NewModel(clock.Now)
		units := rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), 1, 40).Draw(t, "units")
		for _, b := range graphtest.Group(t, units, graphtest.UnionDecider{}) {
			clock.Move(time.Hour)
			if _, err := s.Apply(ctx, tenant, b); err != nil {
				t.Fatal(err)
			}
		}
		now := clock.Now().Add(time.Duration(rapid.IntRange(-8, 8).Draw(t, "now")) * time.Hour)
		o := Settings{Incidents: time.Minute, EndedEdges: time.Minute, CredentialLife: time.Hour}
		want, err := Run(ctx, s, tenant, o, now, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Run(ctx, s, tenant, o, now, false)
		if err != nil || got != want {
			t.Fatalf("removed %+v, %v, a dry run counted %+v", got, err, want)
		}
	})
}

// An edge between nodes of several ids is one edge, for a dry run and for a run.
func TestAnEdgeOfSeveralIDsIsOne(t *testing.T) {
	s, clock := filled(t, 1)
	clock.Move(day)
	var ids []graph.Key
	for _, k := range []struct {
		typ   graph.KeyType
		value string
	}{{graph.KeyMdeDeviceID, "d0"}, {graph.KeyAzureADDeviceID, "7b1f8a50-0000-4000-8000-000000000001"}} {
		key, _ := graph.NewKey(graph.KindDevice, k.typ, k.value)
		ids = append(ids, key)
	}
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, "u0")
	b := graph.Batch{
		Entities: []graph.EntityObservation{{Keys: ids}, {Keys: ids[1:]}, {Keys: []graph.Key{user}}},
		Edges: []graph.EdgeObservation{{Kind: graph.EdgeLoggedOn, From: user.ID(), To: ids[1].ID(), FirstSeen: clock.Now(), LastSeen: clock.Now(),
			Observation: graph.NewID(graph.KindObservation, "again")}},
	}
	if _, err := s.Apply(ctx, tenant, b); err != nil {
		t.Fatal(err)
	}
	clock.Move(100 * day)
	o := Settings{EndedEdges: 30 * day, CredentialLife: day}
	dry, err1 := Run(ctx, s, tenant, o, clock.Now(), true)
	got, err2 := Run(ctx, s, tenant, o, clock.Now(), false)
	if want := (Summary{Edges: 1}); err1 != nil || err2 != nil || dry != want || got != want {
		t.Errorf("a dry run counted %+v, %v, removed %+v, %v", dry, err1, got, err2)
	}
	if p, _ := s.Position(ctx, view); p.Edges != 1 { // of three relations
		t.Errorf("left %+v", p)
	}
}

func TestNothingIsRemovedWithoutASetting(t *testing.T) {
	s, clock := filled(t, 5)
	clock.Move(10_000 * day)
	if got, err := Run(ctx, s, tenant, Settings{}, clock.Now(), false); err != nil || got != (Summary{}) {
		t.Errorf("removed %+v, %v", got, err)
	}
}

func TestACancelledRunSaysWhatItRemoved(t *testing.T) {
	s, clock := filled(t, 50)
	clock.Move(1000 * day)
	ended, cancel := context.WithCancel(ctx)
	got, err := Run(ended, cancelling{s, cancel}, tenant, Settings{Incidents: day}, clock.Now(), false)
	if !errors.Is(err, context.Canceled) || got.Incidents != incidentsAtOnce {
		t.Errorf("removed %+v, %v", got, err)
	}
}

// cancelling ends the context after the first commit.
type cancelling struct {
	graph.Store
	cancel func()
}

func (c cancelling) Apply(ctx context.Context, tenant graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	defer c.cancel()
	return c.Store.Apply(ctx, tenant, b)
}
