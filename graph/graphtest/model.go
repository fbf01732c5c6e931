// Package graphtest holds the map model, the conformance suite that every store and decorator runs whole,
// and the generators both are fed with.
package graphtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
)

// Model is graph.Store as its definitions read: it keeps the set of everything observed and computes every
// answer from all of it, from scratch. It is slow, holds nothing but memory, and is never used outside
// tests.
type Model struct {
	mu      sync.Mutex
	clock   func() time.Time
	tenants map[graph.TenantID]*modelTenant
	moved   chan struct{} // closed and replaced at every commit
	closed  bool
}

var _ graph.Store = (*Model)(nil)

// NewModel returns an empty model on the given clock.
func NewModel(clock func() time.Time) *Model {
	return &Model{clock: clock, tenants: map[graph.TenantID]*modelTenant{}, moved: make(chan struct{})}
}

// modelTenant is one tenant's state. A commit works on a copy, so an error leaves no trace.
type modelTenant struct {
	revision  graph.Revision
	last      graph.Tick
	next      graph.IncidentID
	entities  []graph.EntityObservation
	edges     []graph.EdgeObservation
	alerts    map[graph.ID]graph.Alert
	incidents map[graph.IncidentID]graph.Incident
	documents map[graph.DocumentKey]graph.Document
	keys      map[string]graph.Revision
	entityRev map[graph.ID]graph.Revision
	changes   []graph.Change
	world     *world
}

func newModelTenant() *modelTenant {
	return &modelTenant{
		alerts: map[graph.ID]graph.Alert{}, incidents: map[graph.IncidentID]graph.Incident{},
		documents: map[graph.DocumentKey]graph.Document{}, keys: map[string]graph.Revision{},
		entityRev: map[graph.ID]graph.Revision{}, world: newWorld(nil, nil),
	}
}

func (t *modelTenant) clone() *modelTenant {
	c := *t
	c.entities, c.edges = slices.Clone(t.entities), slices.Clone(t.edges)
	c.alerts, c.incidents = maps.Clone(t.alerts), maps.Clone(t.incidents)
	c.documents, c.keys = maps.Clone(t.documents), maps.Clone(t.keys)
	c.entityRev, c.changes = maps.Clone(t.entityRev), slices.Clone(t.changes)
	return &c
}

func (m *Model) tenant(id graph.TenantID) *modelTenant {
	if t, ok := m.tenants[id]; ok {
		return t
	}
	return newModelTenant()
}

// Apply implements graph.Writer.
func (m *Model) Apply(ctx context.Context, tenant graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return graph.Receipt{}, graph.ErrClosed
	}
	if err := cmpErr(ctx.Err(), tenant.Check(), b.Validate()); err != nil {
		return graph.Receipt{}, err
	}
	before := m.tenant(tenant)
	if rev, ok := before.keys[b.Key]; ok && b.Key != "" {
		return graph.Receipt{Revision: rev, Replayed: true}, nil
	}
	after := before.clone()
	receipt, err := after.apply(ctx, tenant, before, b, m.clock())
	if err != nil {
		return graph.Receipt{}, err
	}
	if b.Key != "" {
		after.keys[b.Key] = receipt.Revision
	}
	m.tenants[tenant] = after
	close(m.moved)
	m.moved = make(chan struct{})
	return receipt, nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// apply is the protocol of a commit: observe, decide, assign, tick.
func (t *modelTenant) apply(ctx context.Context, tenant graph.TenantID, before *modelTenant, b graph.Batch, wall time.Time) (graph.Receipt, error) {
	if err := t.expect(b.Expect); err != nil {
		return graph.Receipt{}, err
	}
	var receipt graph.Receipt
	t.observe(b, &receipt)
	changed, err := t.putAlerts(b, &receipt)
	if err != nil {
		return receipt, err
	}
	for _, d := range b.Documents {
		t.putDocument(d)
	}
	touched, err := t.decide(ctx, tenant, before, b, changed)
	if err != nil {
		return receipt, err
	}
	t.stamp(before, touched, t.expire(b.Expire, &receipt), wall)
	receipt.Revision = t.revision
	return receipt, nil
}

func (t *modelTenant) expect(all []graph.Expectation) error {
	for _, x := range all {
		var have graph.Revision
		switch {
		case !x.Alert.IsZero():
			have = t.alerts[x.Alert].Revision
		case x.Incident != 0:
			have = t.incidents[x.Incident].Revision
		default:
			have = t.documents[x.Document].Revision
		}
		if have != x.Revision {
			return fmt.Errorf("%w: revision is %d, expected %d", graph.ErrConflict, have, x.Revision)
		}
	}
	return nil
}

// observe takes the observations in and counts what they said.
func (t *modelTenant) observe(b graph.Batch, receipt *graph.Receipt) {
	facts := map[graph.ID]graph.Facts{}
	for id, a := range t.world.atoms {
		facts[id] = a.facts
	}
	for _, o := range b.Entities {
		old, seen := facts[o.ID()]
		now := old.Merge(o.Facts())
		switch {
		case !seen:
			receipt.NewEntities++
		case sameJSON(old, now):
			receipt.KnownEntities++
		}
		facts[o.ID()] = now
	}
	t.observeEdges(b, receipt)
	t.entities = append(t.entities, b.Entities...)
	t.edges = append(t.edges, b.Edges...)
	t.world = newWorld(t.entities, t.edges)
}

func (t *modelTenant) observeEdges(b graph.Batch, receipt *graph.Receipt) {
	pairs, sightings := map[edgeKey]bool{}, map[any]graph.Sighting{}
	see := func(o graph.EdgeObservation) (known bool) {
		k := struct {
			edgeKey
			by graph.ID
		}{edgeKey{o.From, o.Kind, o.To}, o.Observation}
		now := o.Sighting()
		if old, ok := sightings[k]; ok {
			now = old.Merge(now)
			known = now == old
		}
		sightings[k], pairs[k.edgeKey] = now, true
		return known
	}
	for _, o := range t.edges {
		see(o)
	}
	for _, o := range b.Edges {
		before := len(pairs)
		if see(o) {
			receipt.KnownEdges++
		}
		receipt.NewEdges += len(pairs) - before
	}
}

// putAlerts keeps the newest version of each alert and the last edit of each field.
func (t *modelTenant) putAlerts(b graph.Batch, receipt *graph.Receipt) (content map[graph.ID]bool, err error) {
	content = map[graph.ID]bool{}
	for _, c := range b.Alerts {
		if c, err = roundTrip(c.Stored()); err != nil {
			return nil, err
		}
		old, ok := t.alerts[c.ID()]
		switch {
		case !ok:
			receipt.NewAlerts++
		case c.SameAs(old.AlertContent) || !c.Newer(old.AlertContent):
			receipt.DuplicateAlerts++
			continue
		default:
			receipt.UpdatedAlerts++
		}
		old.ID, old.AlertContent = c.ID(), c
		t.alerts[old.ID], content[old.ID] = old, true
	}
	for _, e := range b.Edits {
		a, ok := t.alerts[e.Alert]
		if !ok {
			return nil, fmt.Errorf("%w: alert %s", graph.ErrNotFound, e.Alert)
		}
		a.Analyst = e.Set.Over(a.Analyst)
		t.alerts[e.Alert] = a
	}
	return content, nil
}

// roundTrip is what any store gives back: raw JSON without white space.
func roundTrip(c graph.AlertContent) (out graph.AlertContent, err error) {
	b, err := graph.EncodeJSON(c)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

func (t *modelTenant) putDocument(d graph.Document) {
	old, ok := t.documents[d.DocumentKey]
	switch {
	case d.Value == nil:
		delete(t.documents, d.DocumentKey)
	case !ok || !bytes.Equal(old.Value, d.Value):
		d.Value, d.Revision = bytes.Clone(d.Value), 0 // stamped later
		t.documents[d.DocumentKey] = d
	}
}

// decide applies the batch's own changes and the decider's; it returns the incidents they touched.
func (t *modelTenant) decide(ctx context.Context, tenant graph.TenantID, before *modelTenant, b graph.Batch, changed map[graph.ID]bool) (map[graph.IncidentID]bool, error) {
	touched := map[graph.IncidentID]bool{}
	if err := t.changeIncidents(b.Incidents, touched); err != nil {
		return nil, err
	}
	delta := graph.Delta{Alerts: slices.SortedFunc(maps.Keys(changed), graph.ID.Compare), Entities: identityDelta(before.world, t.world)}
	for _, id := range delta.Alerts {
		if old, ok := before.alerts[id]; ok {
			delta.Previous = append(delta.Previous, old)
		}
	}
	if b.Decide != nil && len(delta.Alerts)+len(delta.Entities) > 0 {
		staged := &Model{clock: time.Now, tenants: map[graph.TenantID]*modelTenant{tenant: t.staged(delta.Alerts)}, moved: make(chan struct{})}
		changes, err := b.Decide.Decide(ctx, staged, graph.View{Tenant: tenant}, delta)
		if err != nil {
			return nil, err
		}
		if err := t.changeIncidents(changes, touched); err != nil {
			return nil, err
		}
		for _, id := range delta.Alerts {
			if t.alerts[id].Incident == 0 {
				return nil, fmt.Errorf("%w: alert %s is in no incident", graph.ErrInvalid, id)
			}
		}
	}
	return touched, t.checkIncidents(touched)
}

// staged gives new alerts provisional ticks, so that a decider can page through them.
func (t *modelTenant) staged(changed []graph.ID) *modelTenant {
	c := t.clone()
	for i, id := range changed {
		if a := c.alerts[id]; a.Created == 0 {
			a.Created = t.last + 1 + graph.Tick(i)
			a.Updated = a.Created
			c.alerts[id] = a
		}
	}
	return c
}

// identityDelta lists the nodes whose members or followed node differ, or that newly bear a weak key.
func identityDelta(before, after *world) []graph.ID {
	var out []graph.ID
	for id, n := range after.nodes {
		old, ok := before.nodes[id]
		regrouped := ok && (!slices.Equal(old.Members, n.Members) || old.SameAs != n.SameAs)
		newlyBears := slices.ContainsFunc(n.Keys, func(k graph.Key) bool {
			return k.Strength() == graph.Weak && !slices.Contains(old.Keys, k)
		})
		if regrouped || newlyBears {
			out = append(out, id)
		}
	}
	for id := range before.nodes {
		if after.root[id] != id {
			out = append(out, after.root[id])
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return slices.Compact(out)
}

func (t *modelTenant) changeIncidents(changes []graph.IncidentChange, touched map[graph.IncidentID]bool) error {
	for _, c := range changes {
		i, ok := t.incidents[c.ID]
		if c.ID == 0 {
			t.next++
			i, ok = graph.Incident{ID: t.next}, true
		}
		if !ok || i.RedirectTo != 0 {
			return fmt.Errorf("%w: incident %s is unknown or redirected", graph.ErrInvalid, c.ID)
		}
		if c.RedirectTo != 0 {
			if to, live := t.incidents[c.RedirectTo]; !live || to.RedirectTo != 0 || c.RedirectTo == i.ID {
				return fmt.Errorf("%w: redirect to incident %s", graph.ErrInvalid, c.RedirectTo)
			}
			i.RedirectTo = c.RedirectTo
		} else if c.Facts != nil {
			i.IncidentFacts = *c.Facts
		}
		i.Triage = c.Triage.Over(i.Triage)
		t.incidents[i.ID], touched[i.ID] = i, true
		for _, id := range c.Alerts {
			a, ok := t.alerts[id]
			if !ok || i.RedirectTo != 0 {
				return fmt.Errorf("%w: alert %s cannot join incident %s", graph.ErrInvalid, id, i.ID)
			}
			if a.Incident != i.ID && a.Incident != 0 {
				touched[a.Incident] = true
			}
			a.Incident = i.ID
			t.alerts[id] = a
		}
	}
	return nil
}

func (t *modelTenant) checkIncidents(touched map[graph.IncidentID]bool) error {
	count := map[graph.IncidentID]int{}
	for _, a := range t.alerts {
		count[a.Incident]++
	}
	for id := range touched {
		i := t.incidents[id]
		if (i.RedirectTo == 0) == (count[id] == 0) {
			return fmt.Errorf("%w: incident %s has %d alerts, redirect %q", graph.ErrInvalid, id, count[id], i.RedirectTo)
		}
		i.AlertCount = count[id]
		t.incidents[id] = i
	}
	return nil
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// Changes implements graph.Store.
func (m *Model) Changes(ctx context.Context, v graph.View, since graph.Revision) iter.Seq2[graph.Change, error] {
	return func(yield func(graph.Change, error) bool) {
		t, err := m.read(ctx, v)
		if err != nil {
			yield(graph.Change{}, err)
			return
		}
		for _, c := range t.changes {
			if c.Revision > since && !yield(c, nil) {
				return
			}
		}
	}
}

// Ready implements graph.Store.
func (m *Model) Ready(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return graph.ErrClosed
	}
	return ctx.Err()
}

// Close implements graph.Store.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Reopen makes a closed model usable again: what a durable store keeps, it keeps.
func (m *Model) Reopen(clock func() time.Time) *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Model{clock: clock, tenants: maps.Clone(m.tenants), moved: make(chan struct{})}
}
