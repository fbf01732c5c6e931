package graph

import (
	"cmp"
	"slices"
)

// Part is one wanted incident: the alerts that belong together and what follows from them.
type Part struct {
	Alerts []Alert
	Facts  IncidentFacts
}

// AssignIncidents turns a wanted partition into incident changes by the rules of ids: an incident keeps its
// id as long as it lives; of several that become one the Survivor stays and the others redirect to it; of
// one that falls apart the part with the earliest alert keeps the id; new ids go in order of the earliest
// alert. The parts must hold all alerts of every incident that any of their alerts is in now; current has
// those incidents. The result is a function of its input as sets.
func AssignIncidents(parts []Part, current map[IncidentID]Incident) []IncidentChange {
	parts = inOrder(parts)
	inherited := map[int][]IncidentID{}
	for id, i := range heirsOf(parts) {
		inherited[i] = append(inherited[i], id)
	}
	var changes, redirects []IncidentChange
	for i, p := range parts {
		var held []Incident
		for _, id := range slices.Sorted(slices.Values(inherited[i])) {
			held = append(held, current[id])
		}
		c := IncidentChange{Facts: &p.Facts}
		if len(held) > 0 {
			c.ID = Survivor(held)
		}
		for _, a := range p.Alerts {
			if c.ID == 0 || a.Incident != c.ID {
				c.Alerts = append(c.Alerts, a.ID)
			}
		}
		slices.SortFunc(c.Alerts, ID.Compare)
		changes = append(changes, c)
		for _, h := range held {
			if h.ID != c.ID {
				redirects = append(redirects, IncidentChange{ID: h.ID, RedirectTo: c.ID})
			}
		}
	}
	return append(changes, redirects...)
}

// inOrder sorts the parts by their earliest alerts.
func inOrder(parts []Part) []Part {
	type headed struct {
		head Alert
		Part
	}
	all := make([]headed, len(parts))
	for i, p := range parts {
		all[i] = headed{slices.MinFunc(p.Alerts, compareAlerts), p}
	}
	slices.SortFunc(all, func(a, b headed) int { return compareAlerts(a.head, b.head) })
	out := make([]Part, len(parts))
	for i, h := range all {
		out[i] = h.Part
	}
	return out
}

// heirsOf says which part inherits each present incident: the one with the incident's earliest alert.
func heirsOf(parts []Part) map[IncidentID]int {
	first, heir := map[IncidentID]Alert{}, map[IncidentID]int{}
	for i, p := range parts {
		for _, a := range p.Alerts {
			if a.Incident == 0 {
				continue
			}
			if f, ok := first[a.Incident]; !ok || compareAlerts(a, f) < 0 {
				first[a.Incident], heir[a.Incident] = a, i
			}
		}
	}
	return heir
}

// compareAlerts orders alerts by first activity, then id.
func compareAlerts(a, b Alert) int {
	return cmp.Or(a.FirstActivity.Compare(b.FirstActivity), a.ID.Compare(b.ID))
}
