package graphtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// contradictions are changes of records that leave each of them sound and make them contradict one another. A store
// that believed them was damaged: only its check found them. said is a part of what the refusal says.
var contradictions = map[string]struct {
	change func(all []graph.Record) []graph.Record
	said   string
}{
	"a node that no claim leads to": {func(all []graph.Record) []graph.Record {
		alone, node := homeOf(all, "m2"), homeOf(all, "m1")
		alone.Node, alone.Revision, node.Members = node.ID, 0, node.Members+1
		return all
	}, "nothing claims it"},
	"a node of another kind": {func(all []graph.Record) []graph.Record {
		alone, node := homeOf(all, "u1"), homeOf(all, "m1")
		alone.Node, alone.Revision, node.Members = node.ID, 0, node.Members+1
		return all
	}, "nothing claims it"},
	"an id that nothing is known of": {func(all []graph.Record) []graph.Record {
		node := homeOf(all, "m1")
		node.Members++
		ghost := graph.HomeRecord{ID: graph.NewID(graph.KindDevice, "ghost"), Node: node.ID}
		return slices.Insert(all, 1, graph.Record{Home: &ghost})
	}, "nothing claims it"},
	"a claimed id left out": {func(all []graph.Record) []graph.Record {
		homeOf(all, "m1").Members--
		claimed := deviceKey(graph.KeyAzureADDeviceID, "a1").ID()
		return slices.DeleteFunc(all, func(r graph.Record) bool { return r.Home != nil && r.Home.ID == claimed })
	}, "is not there"},
	"a claimed id as a node of its own": {func(all []graph.Record) []graph.Record {
		node, claimed := homeOf(all, "m1"), homeOf(all, "a1")
		claimed.Node, claimed.Revision, node.Members = graph.ID{}, 1, node.Members-1
		return all
	}, "belongs to"},
	"an id that belongs to itself": {func(all []graph.Record) []graph.Record {
		alone := homeOf(all, "m2")
		alone.Node = alone.ID
		return all
	}, "belongs to itself"},
	"an id of another node with a revision": {func(all []graph.Record) []graph.Record {
		homeOf(all, "a1").Revision = 1
		return all
	}, "what only a node has"},
	"keys that are not strongest first": {func(all []graph.Record) []graph.Record {
		slices.Reverse(homeOf(all, "m1").Facts.Keys)
		return all
	}, "strongest first"},
	"a key twice": {func(all []graph.Record) []graph.Record {
		h := homeOf(all, "m2")
		h.Facts.Keys = append(h.Facts.Keys, h.Facts.Keys[0])
		return all
	}, "each once"},
	"a second key of the strongest type": {func(all []graph.Record) []graph.Record {
		h := homeOf(all, "m1")
		h.Facts.Keys = slices.Insert(h.Facts.Keys, 1, deviceKey(graph.KeyMdeDeviceID, "m9"))
		return all
	}, "there is one"},
	"a property without a value": {func(all []graph.Record) []graph.Record {
		homeOf(all, "m2").Facts.Properties["riskScore"] = graph.Property{}
		return all
	}, "has no value"},
	"an incident whose alerts were taken away": {func(all []graph.Record) []graph.Record {
		i := incidentOf(all)
		i.AlertCount = 0
		for _, r := range all {
			if r.Alert != nil && r.Alert.Incident == i.ID {
				r.Alert.Incident = 0
			}
		}
		return all
	}, "has 0 alerts"},
	"an incident that is redirected to none": {func(all []graph.Record) []graph.Record {
		incidentOf(all).Triage.Status = graph.StatusRedirected
		return all
	}, "redirected to none"},
	"evidence of an alert": {func(all []graph.Record) []graph.Record {
		alertOf(all, 1).Evidence = []graph.Evidence{{Type: "deviceEvidence", Entity: alertOf(all, 0).ID, Body: []byte(`{}`)}}
		return all
	}, "has evidence of"},
	"a record in another": {func(all []graph.Record) []graph.Record {
		all[0].Home = homeOf(all, "m2")
		return slices.DeleteFunc(all, func(r graph.Record) bool { return r.Tenant == nil && r.Home == all[0].Home })
	}, "several records"},
}

func deviceKey(typ graph.KeyType, value string) graph.Key {
	k, _ := graph.NewKey(graph.KindDevice, typ, value)
	return k
}

// homeOf finds what was observed with that strongest key.
func homeOf(all []graph.Record, value string) *graph.HomeRecord {
	at := slices.IndexFunc(all, func(r graph.Record) bool {
		return r.Home != nil && r.Home.Facts != nil && r.Home.Facts.Keys[0].Value == value
	})
	return all[at].Home
}

func incidentOf(all []graph.Record) *graph.IncidentRecord {
	return all[slices.IndexFunc(all, func(r graph.Record) bool { return r.Incident != nil })].Incident
}

func alertOf(all []graph.Record, n int) *graph.AlertRecord {
	return all[slices.IndexFunc(all, func(r graph.Record) bool { return r.Alert != nil })+n].Alert
}

// sequence yields records.
func sequence(all []graph.Record) func(func(graph.Record, error) bool) {
	return func(yield func(graph.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// records reads a packed tenant.
func records(t TB, packed []byte) (all []graph.Record) {
	for r, err := range unpack(t, packed) {
		all = append(all, must(r, err)(t))
	}
	return all
}

func checkMoveContradictions(t *testing.T, from, to Opener) {
	one, two := from(t, NewClock().Now), to(t, NewClock().Now)
	defer one.Close()
	defer two.Close()
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, "u1")
	m1, a1, m2 := deviceKey(graph.KeyMdeDeviceID, "m1"), deviceKey(graph.KeyAzureADDeviceID, "a1"), deviceKey(graph.KeyMdeDeviceID, "m2")
	apply(t, one, graph.Batch{Entities: []graph.EntityObservation{{Keys: []graph.Key{m1, a1}}, {Keys: []graph.Key{a1}}, {Keys: []graph.Key{m2}, Properties: map[string]json.RawMessage{"riskScore": []byte("3")}}, {Keys: []graph.Key{user}}}})
	apply(t, one, oneAlert("1"))
	apply(t, one, oneAlert("2"))
	packed := pack(t, one)
	for name, c := range contradictions {
		err := two.Import(context.Background(), Tenant, sequence(c.change(records(t, packed))))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s: %v", name, err)
		}
		if p := must(two.Position(context.Background(), view))(t); p != (graph.Position{}) {
			t.Fatalf("%s: the tenant stands at %+v", name, p)
		}
	}
	if err := two.Import(context.Background(), Tenant, sequence(records(t, packed))); err != nil {
		t.Errorf("what was not changed: %v", err)
	}
}
