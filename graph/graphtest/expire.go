package graphtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// gone is what an expiry removed.
type gone struct {
	alerts    []graph.ID
	incidents []graph.IncidentID
	ends      []graph.ID
}

// expire removes what is over, incidents in order of number.
func (t *modelTenant) expire(e *graph.Expiry, receipt *graph.Receipt) (out gone) {
	if e == nil {
		return out
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(e.Incidents))) {
		i, ok := t.incidents[id]
		if _, there := t.incidents[i.RedirectTo]; !ok || !i.Over(e.IncidentsBefore) || there {
			continue
		}
		for a, alert := range t.alerts {
			if alert.Incident == id {
				delete(t.alerts, a)
				out.alerts = append(out.alerts, a)
			}
		}
		delete(t.incidents, id)
		out.incidents = append(out.incidents, id)
	}
	slices.SortFunc(out.alerts, graph.ID.Compare)
	for _, at := range e.Edges {
		edge, ok := t.world.edge(edgeKey{at.From, at.Kind, at.To}, graph.EdgeQuery{})
		if !ok || at.From == at.To || !edge.Over(e.EdgesBefore, e.CredentialLife) {
			continue
		}
		out.ends = append(out.ends, at.From, at.To)
		t.dropEdge(at)
		receipt.ExpiredEdges++
	}
	receipt.ExpiredIncidents, receipt.ExpiredAlerts = len(out.incidents), len(out.alerts)
	return out
}

// dropEdge forgets every observation of an edge.
func (t *modelTenant) dropEdge(at graph.EdgeKey) {
	t.edges = slices.DeleteFunc(slices.Clone(t.edges), func(o graph.EdgeObservation) bool {
		return t.world.root[o.From] == at.From && o.Kind == at.Kind && t.world.root[o.To] == at.To
	})
	t.world = newWorld(t.entities, t.edges)
}

// checkExpiry: what is over goes with all that hangs on it, what is not over stays, and numbers are not given
// again.
func checkExpiry(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
		defer s.Close()
		batches := Group(t, drawUnits(t), UnionDecider{})
		for i, b := range batches {
			clock.Move(time.Hour)
			apply(t, model, b)
			apply(t, s, b)
			if i == len(batches)-1 || rapid.IntRange(0, 2).Draw(t, "expire") == 0 {
				expire(t, model, s, drawExpiry(t, model, clock))
			}
		}
		expire(t, model, s, drawExpiry(t, model, clock))
		more := oneAlert("after")
		if want, got := apply(t, model, more), apply(t, s, more); want != got {
			t.Fatalf("after an expiry a batch gave %+v, want %+v", got, want)
		}
		compare(t, model, s)
	})
}

// checkExpiryJoined: a receipt that counts relations between ids says another number than whoever looks beforehand.
func checkExpiryJoined(t *testing.T, fresh func(TB) Subject) {
	clock := NewClock()
	model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
	defer s.Close()
	mde, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, "m1")
	aad, _ := graph.NewKey(graph.KindDevice, graph.KeyAzureADDeviceID, "a1")
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, "u1")
	b := graph.Batch{Entities: []graph.EntityObservation{{Keys: []graph.Key{mde, aad}}, {Keys: []graph.Key{aad}}, {Keys: []graph.Key{user}}}}
	for _, device := range []graph.Key{mde, aad} {
		b.Edges = append(b.Edges, graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: user.ID(), To: device.ID(), FirstSeen: Epoch, LastSeen: Epoch,
			Observation: graph.NewID(graph.KindObservation, device.Value),
		})
	}
	apply(t, model, b)
	apply(t, s, b)
	at := graph.EdgeKey{From: user.ID(), Kind: graph.EdgeLoggedOn, To: mde.ID()}
	gone := graph.Batch{Expire: &graph.Expiry{Edges: []graph.EdgeKey{at}, EdgesBefore: Epoch.Add(time.Hour)}}
	if want, got := apply(t, model, gone), apply(t, s, gone); got != want || got.ExpiredEdges != 1 {
		t.Errorf("an expiry gave %+v, want %+v", got, want)
	}
	compare(t, model, s)
}

// drawExpiry names some incidents and edges that are there and some that are not, over or not.
func drawExpiry(t *rapid.T, model *Model, clock *Clock) *graph.Expiry {
	instant := func(name string) time.Time {
		return clock.Now().Add(time.Duration(rapid.IntRange(-120, 30).Draw(t, name)) * time.Minute)
	}
	e := &graph.Expiry{IncidentsBefore: instant("incidents before"), EdgesBefore: Epoch.Add(time.Duration(rapid.IntRange(-1, 120).Draw(t, "edges before")) * time.Hour)}
	for id := range graph.IncidentID(8) {
		if rapid.IntRange(0, 3).Draw(t, "incident") > 0 {
			e.Incidents = append(e.Incidents, id+1)
		}
	}
	for edge, err := range model.Edges(context.Background(), view, graph.EdgeQuery{}) {
		if edge = must(edge, err)(t); rapid.Bool().Draw(t, "edge") {
			e.Edges = append(e.Edges, edge.Key())
		}
	}
	if len(e.Edges) > 0 {
		first := e.Edges[0]
		e.Edges = append(e.Edges, first, graph.EdgeKey{From: first.To, Kind: first.Kind, To: first.From})
	}
	return e
}

func expire(t TB, model *Model, s graph.Store, e *graph.Expiry) {
	t.Helper()
	at := must(model.Position(context.Background(), view))(t).Revision
	b := graph.Batch{Actor: "retention", Expire: e}
	want, got := apply(t, model, b), apply(t, s, b)
	if want != got {
		t.Fatalf("an expiry gave %+v, want %+v\n%+v", got, want, e)
	}
	wantChanges, gotChanges := changes(t, model, at), changes(t, s, at)
	if len(wantChanges) != len(gotChanges) {
		t.Fatalf("an expiry made the changes %+v, want %+v", gotChanges, wantChanges)
	}
	for i, w := range wantChanges {
		same(t, "alerts of an expiry's change", w.Alerts, gotChanges[i].Alerts)
		same(t, "incidents of an expiry's change", w.Incidents, gotChanges[i].Incidents)
		same(t, "entities of an expiry's change", w.Entities, gotChanges[i].Entities)
	}
	compare(t, model, s)
	if r := apply(t, s, b); r.ExpiredAlerts+r.ExpiredEdges+r.ExpiredIncidents > 0 || r.Revision != got.Revision {
		t.Fatalf("the same expiry again gave %+v", r)
	}
}
