package neo4j

import (
	"context"
	"fmt"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// Incident 1 points to 2, which points to 3.
func TestARedirectedIncidentMeansTheOneItLeadsTo(t *testing.T) {
	clock := graphtest.NewClock()
	o := migrated(t)
	o.Clock = clock.Now
	s, model, v := open(t, o), graphtest.NewModel(clock.Now), graph.View{Tenant: tenantOfTest(t)}
	var first graph.Batch
	var ids []graph.ID
	for _, name := range []string{"1", "2", "3"} {
		a := alertNamed(name)
		ids = append(ids, a.Alerts[0].ID())
		first.Entities, first.Alerts = append(first.Entities, a.Entities...), append(first.Alerts, a.Alerts...)
		facts := &graph.IncidentFacts{DisplayName: name, ServiceSources: []graph.ServiceSource{graph.ServiceDLP}}
		first.Incidents = append(first.Incidents, graph.IncidentChange{Facts: facts, Alerts: ids[len(ids)-1:]})
	}
	for _, b := range []graph.Batch{
		first,
		{Incidents: []graph.IncidentChange{{ID: 2, Alerts: ids[:1]}, {ID: 1, RedirectTo: 2}}},
		{Incidents: []graph.IncidentChange{{ID: 3, Alerts: ids[:2]}, {ID: 2, RedirectTo: 3}}},
	} {
		mustApply(t, s, v.Tenant, b)
		mustApply(t, model, v.Tenant, b)
	}
	ctx := context.Background()
	for _, q := range []graph.AlertQuery{
		{Incidents: []graph.IncidentID{1}}, {Incidents: []graph.IncidentID{1, 2, 3, 9}}, {Incidents: []graph.IncidentID{9}},
		{IDs: ids[1:], Incidents: []graph.IncidentID{2}}, {IDs: ids, Incidents: []graph.IncidentID{9}},
	} {
		want, _ := model.Alerts(ctx, v, q)
		got, err := s.Alerts(ctx, v, q)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || err != nil {
			t.Errorf("%+v gives %+v (%v), want %+v", q, got, err, want)
		}
	}
	for _, q := range []graph.IncidentQuery{
		{}, {Paging: graph.Paging{Count: true, Order: graph.OldestUpdated}, WithContentVersion: true}, {Statuses: []graph.Status{graph.StatusRedirected}},
		{Statuses: []graph.Status{graph.StatusActive}}, {IDs: []graph.IncidentID{3, 1, 9, 1}, WithContentVersion: true},
		{Sources: []graph.ServiceSource{graph.ServiceDLP}}, {Sources: []graph.ServiceSource{}},
	} {
		want, _ := model.Incidents(ctx, v, q)
		got, err := s.Incidents(ctx, v, q)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || err != nil {
			t.Errorf("%+v gives %+v (%v), want %+v", q, got, err, want)
		}
	}
}
