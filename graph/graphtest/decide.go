package graphtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// UnionDecider puts alerts that share a node, followed weak keys included, into one incident. It decides
// everything anew at each commit: obviously a function of the set, and far too slow for use.
type UnionDecider struct{}

// Decide implements graph.Decider.
func (UnionDecider) Decide(ctx context.Context, staged graph.Reader, v graph.View, _ graph.Delta) ([]graph.IncidentChange, error) {
	alerts, err := graph.AllAlerts(ctx, staged, v, graph.AlertQuery{})
	if err != nil {
		return nil, err
	}
	parts, err := unionParts(ctx, staged, v, alerts)
	if err != nil {
		return nil, err
	}
	current, err := currentIncidents(ctx, staged, v, alerts)
	return graph.AssignIncidents(parts, current), err
}

func currentIncidents(ctx context.Context, r graph.Reader, v graph.View, alerts []graph.Alert) (map[graph.IncidentID]graph.Incident, error) {
	ids := []graph.IncidentID{}
	for _, a := range alerts {
		if a.Incident != 0 {
			ids = append(ids, a.Incident)
		}
	}
	slices.Sort(ids)
	page, err := r.Incidents(ctx, v, graph.IncidentQuery{IDs: slices.Compact(ids)})
	out := map[graph.IncidentID]graph.Incident{}
	for _, i := range page.Items {
		out[i.ID] = i
	}
	return out, err
}

func unionParts(ctx context.Context, r graph.Reader, v graph.View, alerts []graph.Alert) ([]graph.Part, error) {
	owner := map[graph.ID]int{} // node -> part
	members := map[int][]graph.Alert{}
	for i, a := range alerts {
		nodes, err := r.Entities(ctx, v, graph.EntityQuery{IDs: append([]graph.ID{}, a.Entities()...)})
		if err != nil {
			return nil, err
		}
		members[i] = append(members[i], a)
		for _, n := range nodes {
			key := cmp.Or(n.SameAs, n.ID)
			if j, ok := owner[key]; ok && j != i {
				members[i] = append(members[i], members[j]...)
				delete(members, j)
				for k, o := range owner {
					if o == j {
						owner[k] = i
					}
				}
			}
			owner[key] = i
		}
	}
	var parts []graph.Part
	for _, m := range members {
		slices.SortFunc(m, func(a, b graph.Alert) int { return a.ID.Compare(b.ID) })
		parts = append(parts, graph.Part{Alerts: m, Facts: factsOf(m)})
	}
	return parts, nil
}

func factsOf(alerts []graph.Alert) graph.IncidentFacts {
	f := graph.IncidentFacts{DisplayName: fmt.Sprintf("%d alerts", len(alerts)), Severity: graph.SeverityUnknown}
	for _, a := range alerts {
		if a.Severity.Level() > f.Severity.Level() {
			f.Severity = a.Severity
		}
		f.ServiceSources = append(f.ServiceSources, a.ServiceSource)
		f.FirstActivity = graph.EarlierKnown(f.FirstActivity, a.FirstActivity)
		f.LastActivity = graph.Later(f.LastActivity, a.LastActivity)
	}
	slices.Sort(f.ServiceSources)
	f.ServiceSources = slices.Compact(f.ServiceSources)
	return f
}
