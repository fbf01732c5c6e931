package graphtest

import (
	"bytes"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// stamp gives revision and ticks to what differs from before; where nothing differs, nothing moves.
func (t *modelTenant) stamp(before *modelTenant, touched map[graph.IncidentID]bool, gone gone, wall time.Time) {
	var alerts []graph.ID
	for id, a := range t.alerts {
		if old, ok := before.alerts[id]; !ok || !sameJSON(old, a) {
			alerts, touched[a.Incident] = append(alerts, id), true
		}
	}
	slices.SortFunc(alerts, graph.ID.Compare)
	incidents := t.changedIncidents(before, alerts, touched)
	entities := t.changedEntities(before)
	documents := t.changedDocuments(before)
	edges := t.changedEdges(before)
	touchedEntities := t.touchedEntities(before, slices.Concat(entities, gone.ends), edges)
	if len(alerts)+len(incidents)+len(touchedEntities)+documents+len(gone.alerts)+len(gone.incidents) == 0 {
		return
	}
	t.revision++
	first, last := graph.NextTicks(wall, t.last, len(alerts)+len(incidents))
	t.last = last
	for i, id := range alerts {
		a := t.alerts[id]
		a.Updated, a.Revision = first+graph.Tick(i), t.revision
		if a.Created == 0 {
			a.Created = a.Updated
		}
		t.alerts[id] = a
	}
	for i, id := range incidents {
		c := t.incidents[id]
		c.Updated, c.Revision = first+graph.Tick(len(alerts)+i), t.revision
		if c.Created == 0 {
			c.Created = c.Updated
		}
		t.incidents[id] = c
	}
	for _, id := range entities {
		t.entityRev[id] = t.revision
	}
	t.changes = append(t.changes, graph.Change{Revision: t.revision, At: graph.Micro(wall), Entities: touchedEntities,
		Alerts: append(alerts, gone.alerts...), Incidents: append(incidents, gone.incidents...), Edges: edges})
}

// changedEdges are those that changed, now or as of any instant.
func (t *modelTenant) changedEdges(before *modelTenant) []graph.EdgeKey {
	out := []graph.EdgeKey{}
	for _, w := range []*world{t.world, before.world} {
		for k := range w.edges {
			if !sameJSON(graph.DistinctSightings(before.world.edges[k]), graph.DistinctSightings(t.world.edges[k])) {
				out = append(out, graph.EdgeKey{From: k.from, Kind: k.kind, To: k.to})
			}
		}
	}
	slices.SortFunc(out, graph.EdgeKey.Compare)
	return slices.Compact(out)
}

func (t *modelTenant) changedIncidents(before *modelTenant, alerts []graph.ID, touched map[graph.IncidentID]bool) []graph.IncidentID {
	moved := map[graph.IncidentID]bool{}
	for _, id := range alerts {
		moved[t.alerts[id].Incident], moved[before.alerts[id].Incident] = true, true
	}
	var out []graph.IncidentID
	for id := range touched {
		if old, ok := before.incidents[id]; id != 0 && (!ok || moved[id] || !sameJSON(old, t.incidents[id])) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (t *modelTenant) changedEntities(before *modelTenant) []graph.ID {
	var out []graph.ID
	for id, n := range t.world.nodes {
		old, ok := before.world.nodes[id]
		if !ok || !sameJSON(old.Facts, n.Facts) || !slices.Equal(old.Members, n.Members) || old.SameAs != n.SameAs {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return out
}

// touchedEntities adds the ends of edges that changed, now or as of any instant, and what is no node any more: its edges
// are another's.
func (t *modelTenant) touchedEntities(before *modelTenant, entities []graph.ID, edges []graph.EdgeKey) []graph.ID {
	out := slices.Clone(entities)
	for _, k := range edges {
		out = append(out, k.From, k.To)
	}
	for id := range before.world.nodes {
		if _, still := t.world.nodes[id]; !still {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return slices.Compact(out)
}

func (t *modelTenant) changedDocuments(before *modelTenant) int {
	n := 0
	for k, d := range t.documents {
		if old, ok := before.documents[k]; !ok || !bytes.Equal(old.Value, d.Value) {
			d.Revision = t.revision + 1
			t.documents[k], n = d, n+1
		}
	}
	for k := range before.documents {
		if _, ok := t.documents[k]; !ok {
			n++
		}
	}
	return n
}
