// Package ingest takes security records in: it projects alerts onto the graph and commits files of records
// in batches, with every rejected record told.
package ingest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Projection is what one alert says of the graph: one batch's worth, without the incident.
type Projection struct {
	// Alert has Evidence[].Entity and Mentions set.
	Alert    graph.AlertContent
	Entities []graph.EntityObservation
	Edges    []graph.EdgeObservation
}

// Project turns an alert into entities and edges. It is a pure function of the alert's evidence bodies,
// which have Microsoft Graph Security's shape whatever the source's format was, and never fails: a field of
// the wrong type says nothing. Evidence without a usable key is kept in the alert without an entity.
//
// What the evidence says itself is an explicit edge; what only standing together in one alert suggests (the
// alert's only device as the host of its processes) is inferred. The alert's only device is there when all
// its deviceEvidence has one home. An edge lasts from the alert's first to its last activity; its
// observation is the alert's id, its source the product. Order follows the evidence.
func Project(a graph.AlertContent) Projection {
	p := newProjector(a)
	a.Evidence = append([]graph.Evidence(nil), a.Evidence...)
	for i := range a.Evidence {
		e := &a.Evidence[i]
		p.mentioned = nil
		e.Entity = p.evidence(e.Type, p.bodies[i])
		e.Mentions = others(p.mentioned, e.Entity)
	}
	return Projection{Alert: a, Entities: p.entities, Edges: p.edges}
}

// others are the ids in order, each once, without the one.
func others(ids []graph.ID, but graph.ID) []graph.ID {
	slices.SortFunc(ids, graph.ID.Compare)
	return slices.DeleteFunc(slices.Compact(ids), func(id graph.ID) bool { return id == but })
}

// projector gathers one alert's projection.
type projector struct {
	alert  graph.AlertContent
	id     graph.ID
	source string
	bodies []format.Object

	entities []graph.EntityObservation
	entityAt map[string]int
	edges    []graph.EdgeObservation
	edgeAt   map[graph.EdgeObservation]int

	// devices are those of deviceEvidence, one for each home; named also has those that only an
	// mdeDeviceId names.
	devices []*device
	named   map[string]*device
	// users are the identities of userEvidence but built-in accounts, messages those of messages.
	users, messages []graph.ID
	// mentioned are the entities noted since the evidence at hand began.
	mentioned []graph.ID
}

// device is a device of the alert with the ids that scope other keys.
type device struct {
	id             graph.ID
	home, mde, aad string
}

func newProjector(a graph.AlertContent) *projector {
	p := &projector{alert: a, id: a.ID(), source: a.ProductName, entityAt: map[string]int{},
		edgeAt: map[graph.EdgeObservation]int{}, named: map[string]*device{}}
	if p.source == "" {
		p.source = a.Product
	}
	for _, e := range a.Evidence {
		o, err := format.ParseObject(e.Body)
		if err != nil {
			o = format.Object{}
		}
		p.bodies = append(p.bodies, o)
		if e.Type == "deviceEvidence" {
			p.noteDevice(o)
		}
	}
	for i, e := range a.Evidence {
		p.noteActor(e.Type, p.bodies[i])
	}
	return p
}

func (p *projector) noteDevice(o format.Object) {
	keys := deviceKeys(o)
	home, _, ok := graph.HomeAndClaims(keys)
	if !ok {
		return
	}
	d := &device{id: home.ID(), home: home.Value}
	if i := indexOf(p.devices, d.id); i >= 0 {
		d = p.devices[i]
	} else {
		p.devices = append(p.devices, d)
	}
	for _, k := range keys {
		switch {
		case k.Type == graph.KeyMdeDeviceID && d.mde == "":
			d.mde, p.named[k.Value] = k.Value, d
		case k.Type == graph.KeyAzureADDeviceID && d.aad == "":
			d.aad = k.Value
		}
	}
}

func indexOf(devices []*device, id graph.ID) int {
	for i, d := range devices {
		if d.id == id {
			return i
		}
	}
	return -1
}

// noteActor counts the distinct users and messages, which what is inferred depends on.
func (p *projector) noteActor(evidenceType string, o format.Object) {
	switch evidenceType {
	case "userEvidence":
		keys, builtIn := accountKeys(o.Object("userAccount"), p.onlyDevice())
		if home, _, ok := graph.HomeAndClaims(keys); ok && !builtIn {
			p.users = appendNew(p.users, home.ID())
		}
	case "analyzedMessageEvidence":
		if home, _, ok := graph.HomeAndClaims(messageKeys(o)); ok {
			p.messages = appendNew(p.messages, home.ID())
		}
	}
}

func appendNew(ids []graph.ID, id graph.ID) []graph.ID {
	for _, known := range ids {
		if known == id {
			return ids
		}
	}
	return append(ids, id)
}

// onlyDevice is the alert's only device, nil where it has none or several.
func (p *projector) onlyDevice() *device {
	if len(p.devices) == 1 {
		return p.devices[0]
	}
	return nil
}

// deviceOf is the device that the evidence names, else the alert's only one, which is inferred; nil where
// there is neither.
func (p *projector) deviceOf(o format.Object) (d *device, inferred bool) {
	key, ok := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, o.Text("mdeDeviceId"))
	if !ok {
		return p.onlyDevice(), true
	}
	if d := p.named[key.Value]; d != nil {
		return d, false
	}
	d = &device{id: p.entity([]graph.Key{key}, nil), home: key.Value, mde: key.Value}
	p.named[key.Value] = d
	return d, false
}

// keys collects the keys of one kind; values that cannot be keys are left out.
type keys struct {
	kind graph.Kind
	list []graph.Key
}

func (k *keys) add(typ graph.KeyType, value string) {
	if key, ok := graph.NewKey(k.kind, typ, value); ok {
		k.list = append(k.list, key)
	}
}

// scoped adds a composite key of which no part may be empty.
func (k *keys) scoped(typ graph.KeyType, parts ...string) {
	for _, part := range parts {
		if part == "" {
			return
		}
	}
	k.add(typ, graph.Scoped(parts...))
}

// onDevice adds a key once for each strong id of the device.
func (k *keys) onDevice(mde, aad graph.KeyType, d *device, parts ...string) {
	if d != nil {
		k.scoped(mde, append([]string{d.mde}, parts...)...)
		k.scoped(aad, append([]string{d.aad}, parts...)...)
	}
}

// entity notes an observation and returns its id, zero where there is no key. The same keys seen again
// add their properties; of two values the greater bytes stay, as everywhere in the graph. What only people here may
// say is left out: an alert's fields are the sender's to name.
func (p *projector) entity(keys []graph.Key, properties map[string]json.RawMessage) graph.ID {
	sorted := graph.SortKeys(keys)
	if len(sorted) == 0 {
		return graph.ID{}
	}
	var name strings.Builder
	for _, k := range sorted {
		name.WriteString(k.Kind.String() + "\x00" + string(k.Type) + "\x00" + k.Value + "\x00")
	}
	at, seen := p.entityAt[name.String()]
	if !seen {
		at = len(p.entities)
		p.entityAt[name.String()] = at
		p.entities = append(p.entities, graph.EntityObservation{Keys: sorted,
			Properties: map[string]json.RawMessage{}, ObservedAt: p.alert.LastActivity, Source: p.source})
	}
	known := p.entities[at].Properties
	for name, v := range properties {
		if bytes.Compare(v, known[name]) > 0 && !graph.ReservedProperty(name) {
			known[name] = v
		}
	}
	id := p.entities[at].ID()
	p.mentioned = append(p.mentioned, id)
	return id
}

// edge notes a relation during the alert's activity.
func (p *projector) edge(kind graph.EdgeKind, from, to graph.ID, inferred bool) {
	p.edgeBetween(kind, from, to, inferred, p.alert.FirstActivity, p.alert.LastActivity)
}

// edgeBetween notes a relation seen from first to last; an end without an id, and a thing's relation to
// itself, say nothing. Said again, it is inferred only where it always was, and the times widen.
func (p *projector) edgeBetween(kind graph.EdgeKind, from, to graph.ID, inferred bool, first, last time.Time) {
	if from.IsZero() || to.IsZero() || from == to {
		return
	}
	name := graph.EdgeObservation{Kind: kind, From: from, To: to}
	at, seen := p.edgeAt[name]
	if !seen {
		p.edgeAt[name] = len(p.edges)
		p.edges = append(p.edges, graph.EdgeObservation{Kind: kind, From: from, To: to, FirstSeen: first,
			LastSeen: last, Source: p.source, Inferred: inferred, Observation: p.id})
		return
	}
	e := &p.edges[at]
	e.FirstSeen, e.LastSeen = graph.EarlierKnown(e.FirstSeen, first), graph.Later(e.LastSeen, last)
	e.Inferred = e.Inferred && inferred
}
