package graphtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// What the busy history is made of.
const (
	busyDevices = 12
	busyAlerts  = 30
	busyBatches = 8
	busyMerge   = busyBatches / 2 // the batch that merges two incidents
)

// busyBatch updates a third of everything, joins two devices and takes one from another, and moves alerts between
// devices and incidents. n counts the tenant's batches; the last one removes what came before. No decider: it would
// be most of the time.
func busyBatch(tenant graph.TenantID, n int) graph.Batch {
	if n == busyBatches-1 {
		return graph.Batch{Expire: busyExpiry()}
	}
	var b graph.Batch
	for i := range busyDevices {
		b.Entities = append(b.Entities, busyDevice(n, "mde", i), busyDevice(n, "aad", i))
		b.Edges = append(b.Edges, busyEdge(n, graph.EdgeRan, "aad", i))
		if i%3 == n%3 {
			b.Edges = append(b.Edges, busyEdge(n, graph.EdgeAdminOf, "mde", i))
		}
	}
	b.Entities = append(b.Entities, busyUser(), busyJoin(n, n))
	if n >= 3 {
		b.Entities = append(b.Entities, busyJoin(n, n-3)) // two claim it now: it belongs to none of them
	}
	for i := range busyAlerts {
		if i%3 == n%3 || n == 0 {
			b.Alerts = append(b.Alerts, busyAlert(tenant, n, i))
		}
	}
	for _, name := range documentNames {
		key := graph.DocumentKey{Collection: "views", Key: name}
		b.Documents = append(b.Documents, graph.Document{DocumentKey: key, Value: []byte{byte(n)}})
	}
	b.Incidents = busyIncidents(n)
	return b
}

func busyKey(typ string, i int) graph.Key {
	types := map[string]graph.KeyType{"mde": graph.KeyMdeDeviceID, "aad": graph.KeyAzureADDeviceID, "host": graph.KeyHostName}
	k, _ := graph.NewKey(graph.KindDevice, types[typ], fmt.Sprint(typ, i%busyDevices))
	return k
}

// busyDevice says something new of a third of them each time.
func busyDevice(n int, typ string, i int) graph.EntityObservation {
	last := n - (n+3-i%3)%3
	return graph.EntityObservation{
		Keys: []graph.Key{busyKey(typ, i), busyKey("host", i%4)}, Source: "endpoint", ObservedAt: Epoch.Add(time.Duration(last) * time.Minute),
		Properties: map[string]json.RawMessage{"n": json.RawMessage(fmt.Sprint(last))},
	}
}

func busyUser() graph.EntityObservation {
	k, _ := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, "u")
	return graph.EntityObservation{Keys: []graph.Key{k}}
}

// busyJoin says that two ids are one device.
func busyJoin(mde, aad int) graph.EntityObservation {
	return graph.EntityObservation{Keys: []graph.Key{busyKey("mde", mde), busyKey("aad", aad)}}
}

func busyEdge(n int, kind graph.EdgeKind, typ string, i int) graph.EdgeObservation {
	return graph.EdgeObservation{
		Kind: kind, From: busyUser().ID(), To: busyKey(typ, i).ID(), Observation: graph.NewID(graph.KindObservation, fmt.Sprint(n)),
		FirstSeen: Epoch.Add(time.Duration(n) * time.Minute), Source: "endpoint",
	}
}

func busyAlert(tenant graph.TenantID, n, i int) graph.AlertContent {
	at := Epoch.Add(time.Duration(n) * time.Minute)
	return graph.AlertContent{
		ProviderAlertID: fmt.Sprint(i), Product: "product", ServiceSource: drawnSources[i%2], SourceUpdated: at, FirstActivity: Epoch, LastActivity: at,
		Title: fmt.Sprint(tenant, " ", n, strings.Repeat(" and so on", 20)), Severity: graph.Severities()[(i+n)%5],
		Reported: graph.Triage{Status: []graph.Status{graph.StatusNew, graph.StatusResolved}[(i+n)%2]},
		Evidence: []graph.Evidence{
			{Type: "deviceEvidence", Entity: busyKey("aad", i+n).ID(), Mentions: []graph.ID{busyUser().ID()}, Body: json.RawMessage(`{}`)},
			{Type: "deviceEvidence", Entity: busyKey("mde", i).ID(), Body: json.RawMessage(`{}`)},
		},
	}
}

func busyAlertID(i int) graph.ID { return busyAlert("", 0, i).ID() }

// busyIncidents are four incidents, of which the last becomes part of the one before.
func busyIncidents(n int) (out []graph.IncidentChange) {
	live := graph.IncidentID(4)
	if n >= busyMerge {
		live = 3
	}
	for id := range live {
		facts := &graph.IncidentFacts{DisplayName: fmt.Sprint("after ", n), Severity: graph.Severities()[n%5], FirstActivity: Epoch, LastActivity: Epoch.Add(time.Duration(n) * time.Minute)}
		c := graph.IncidentChange{ID: id + 1, Facts: facts}
		if n == 0 {
			c.ID = 0
		}
		for i := range busyAlerts {
			if graph.IncidentID(i+n)%live == id {
				c.Alerts = append(c.Alerts, busyAlertID(i))
			}
		}
		out = append(out, c)
	}
	if n == busyMerge {
		out = append(out, graph.IncidentChange{ID: 4, RedirectTo: 3})
	}
	return out
}

func busyExpiry() *graph.Expiry {
	e := &graph.Expiry{Incidents: []graph.IncidentID{1}, IncidentsBefore: Epoch.AddDate(1, 0, 0), EdgesBefore: Epoch.AddDate(1, 0, 0)}
	for i := range busyDevices {
		for _, typ := range []string{"mde", "aad"} {
			e.Edges = append(e.Edges, graph.EdgeKey{From: busyUser().ID(), Kind: graph.EdgeRan, To: busyKey(typ, i).ID()})
		}
	}
	return e
}

// busyKind is one kind of question, asked in busyVariants ways.
type busyKind struct {
	name string
	ask  func(s graph.Store, v graph.View, variant int) (any, error)
}

const busyVariants = 6

func busyNodes() (ids []graph.ID) {
	for i := range busyDevices {
		ids = append(ids, busyKey("mde", i).ID(), busyKey("aad", i).ID())
	}
	return append(ids, busyUser().ID())
}

// alertsBeside makes a kind of question about alerts.
func alertsBeside(name string, q func(variant int) graph.AlertQuery) busyKind {
	return busyKind{name, func(s graph.Store, v graph.View, variant int) (any, error) {
		page, err := s.Alerts(context.Background(), v, q(variant))
		return page, err
	}}
}

func incidentsBeside(name string, q func(variant int) graph.IncidentQuery) busyKind {
	return busyKind{name, func(s graph.Store, v graph.View, variant int) (any, error) {
		page, err := s.Incidents(context.Background(), v, q(variant))
		return page, err
	}}
}

func edgesBeside(name string, q func(variant int) graph.EdgeQuery) busyKind {
	return busyKind{name, func(s graph.Store, v graph.View, variant int) (any, error) {
		return edgesOnce(context.Background(), s, v, q(variant))
	}}
}

func entitiesBeside(name string, q func(variant int) graph.EntityQuery) busyKind {
	return busyKind{name, func(s graph.Store, v graph.View, variant int) (any, error) {
		return s.Entities(context.Background(), v, q(variant))
	}}
}

// byTick is a page in an order; every other one is short, and every third is counted.
func byTick(variant int, first, second graph.TickOrder) graph.Paging {
	p := graph.Paging{Order: first, Count: variant%3 == 0}
	if variant%2 == 1 {
		p.Order = second
	}
	if variant >= 2 {
		p.Limit = 9
	}
	return p
}

var busyKinds = []busyKind{
	entitiesBeside("entities by id", func(int) graph.EntityQuery { return graph.EntityQuery{IDs: busyNodes()} }),
	entitiesBeside("a scan of entities", func(variant int) graph.EntityQuery { return graph.EntityQuery{Limit: 5 * variant} }),
	{"lookups", func(s graph.Store, v graph.View, variant int) (any, error) {
		var keys []graph.Key
		for i := range busyDevices {
			keys = append(keys, busyKey("aad", i), busyKey("host", i))
		}
		return s.Lookup(context.Background(), v, keys)
	}},
	edgesBeside("edges of nodes", func(variant int) graph.EdgeQuery {
		return graph.EdgeQuery{Nodes: busyNodes()[variant:], Direction: graph.Direction(variant % 4)}
	}),
	edgesBeside("a scan of edges", func(int) graph.EdgeQuery { return graph.EdgeQuery{} }),
	alertsBeside("alerts in order of creation", func(variant int) graph.AlertQuery {
		return graph.AlertQuery{Paging: byTick(variant, graph.NewestCreated, graph.OldestCreated)}
	}),
	alertsBeside("alerts in order of update", func(variant int) graph.AlertQuery {
		return graph.AlertQuery{Paging: byTick(variant, graph.NewestUpdated, graph.OldestUpdated)}
	}),
	alertsBeside("alerts by what is said of them", func(variant int) graph.AlertQuery {
		q := graph.AlertQuery{Paging: byTick(variant, graph.NewestCreated, graph.OldestUpdated)}
		switch variant % 3 {
		case 0:
			q.Statuses = []graph.Status{graph.StatusNew}
		case 1:
			q.Severities, q.Sources = graph.Severities()[:3], drawnSources[:1]
		default:
			q.Activity = graph.Window{From: Epoch.Add(time.Duration(variant) * time.Minute)}
		}
		return q
	}),
	alertsBeside("alerts by id", func(int) graph.AlertQuery {
		var ids []graph.ID
		for i := range busyAlerts {
			ids = append(ids, busyAlertID(i))
		}
		return graph.AlertQuery{IDs: ids}
	}),
	alertsBeside("alerts about entities", func(variant int) graph.AlertQuery {
		return graph.AlertQuery{Entities: busyNodes()[variant : variant+2], Paging: byTick(variant, graph.NewestCreated, graph.OldestUpdated)}
	}),
	alertsBeside("alerts of incidents", func(variant int) graph.AlertQuery {
		q := graph.AlertQuery{Incidents: []graph.IncidentID{graph.IncidentID(1 + variant%4)}, Paging: byTick(variant, graph.NewestCreated, graph.OldestUpdated)}
		if variant == 5 {
			q.Incidents = append(q.Incidents, 4, 3)
		}
		return q
	}),
	incidentsBeside("incidents in order", func(variant int) graph.IncidentQuery {
		q := graph.IncidentQuery{Paging: byTick(variant, graph.NewestUpdated, graph.OldestCreated)}
		if variant == 4 {
			q.Statuses = []graph.Status{graph.StatusActive, graph.StatusRedirected}
		}
		return q
	}),
	incidentsBeside("incidents with the version of their content", func(int) graph.IncidentQuery {
		return graph.IncidentQuery{IDs: []graph.IncidentID{1, 2, 3, 4}, WithContentVersion: true}
	}),
	{"documents", func(s graph.Store, v graph.View, variant int) (any, error) {
		return s.Documents(context.Background(), v, graph.DocumentQuery{Collection: "views", Limit: variant})
	}},
	{"the position, or changes", func(s graph.Store, v graph.View, variant int) (any, error) {
		if variant%2 == 0 {
			return s.Position(context.Background(), v)
		}
		var out []graph.Change
		for c, err := range s.Changes(context.Background(), v, graph.Revision(variant)) {
			c.Edges, c.Outcome = nil, nil // which a store may not know
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
		return out, nil
	}},
}
