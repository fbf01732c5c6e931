package graphtest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// read returns the tenant as it stands, after waiting for v.AtLeast.
func (m *Model) read(ctx context.Context, v graph.View) (*modelTenant, error) {
	for {
		m.mu.Lock()
		t, closed, moved := m.tenant(v.Tenant), m.closed, m.moved
		m.mu.Unlock()
		if closed {
			return nil, graph.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if t.revision >= v.AtLeast {
			return t, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// Entities implements graph.Reader.
func (m *Model) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	t, err := m.read(ctx, v)
	if err != nil {
		return nil, err
	}
	if q.IDs != nil {
		out := make([]graph.Entity, len(q.IDs))
		for i, id := range q.IDs {
			out[i] = t.entity(t.world.root[id])
		}
		return out, nil
	}
	var out []graph.Entity
	for _, id := range slices.SortedFunc(maps.Keys(t.world.nodes), graph.ID.Compare) {
		if id.Compare(q.After) > 0 && (q.Kinds == nil || slices.Contains(q.Kinds, id.Kind())) {
			out = append(out, t.entity(id))
		}
	}
	return out[:min(len(out), graph.PageLimit(q.Limit))], nil
}

func (t *modelTenant) entity(id graph.ID) graph.Entity {
	n := t.world.nodes[id]
	n.Revision = t.entityRev[id]
	return n
}

// Lookup implements graph.Reader.
func (m *Model) Lookup(ctx context.Context, v graph.View, keys []graph.Key) ([][]graph.ID, error) {
	t, err := m.read(ctx, v)
	if err != nil {
		return nil, err
	}
	out := make([][]graph.ID, len(keys))
	for i, k := range keys {
		found := t.world.bearing(k)
		out[i] = found[:min(len(found), graph.MaxLookup)]
	}
	return out, nil
}

// Edges implements graph.Reader.
func (m *Model) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		t, err := m.read(ctx, v)
		if err != nil {
			yield(graph.Edge{}, err)
			return
		}
		for _, e := range t.edgesOf(q) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (t *modelTenant) edgesOf(q graph.EdgeQuery) []graph.Edge {
	at := map[graph.ID]bool{}
	for _, id := range q.Nodes {
		at[t.world.root[id]] = true
	}
	var all, out []graph.Edge
	for k := range t.world.edges {
		if e, ok := t.world.edge(k, q); ok {
			all = append(all, e)
		}
	}
	if q.Nodes != nil {
		all = append(all, t.world.derived()...)
	}
	dir := q.Direction
	if dir == 0 {
		dir = graph.Both
	}
	if q.Keys != nil {
		q.Nodes, q.Kinds = nil, nil
		all = slices.DeleteFunc(all, func(e graph.Edge) bool {
			return !slices.Contains(q.Keys, e.Key()) || e.Kind == graph.EdgePossiblySame
		})
	}
	for _, e := range all {
		here := q.Nodes == nil || (dir&graph.Out != 0 && at[e.From]) || (dir&graph.In != 0 && at[e.To])
		if here && (q.Kinds == nil || slices.Contains(q.Kinds, e.Kind)) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, graph.Edge.Compare)
	return out
}

// Alerts implements graph.Reader.
func (m *Model) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	bound := m.bind(v.Tenant, q.Paging)
	t, err := m.read(ctx, v)
	if err != nil {
		return graph.AlertPage{}, err
	}
	var all []graph.Alert
	for _, a := range t.alerts {
		if t.matches(q, a) {
			all = append(all, a)
		}
	}
	if q.IDs != nil {
		slices.SortFunc(all, func(a, b graph.Alert) int {
			return slices.Index(q.IDs, a.ID) - slices.Index(q.IDs, b.ID)
		})
	}
	items, info := page(all, q.Paging, q.IDs != nil, bound, func(a graph.Alert) (graph.Tick, graph.Tick) { return a.Created, a.Updated })
	return graph.AlertPage{Items: items, PageInfo: info}, nil
}

func (t *modelTenant) matches(q graph.AlertQuery, a graph.Alert) bool {
	return anyOf(q.IDs, a.ID) && anyOf(q.Severities, a.Severity) && anyOf(q.Statuses, a.Triage().Status) &&
		anyOf(q.Sources, a.ServiceSource) && q.Activity.Overlaps(a.FirstActivity, a.LastActivity) &&
		(q.Incidents == nil || slices.ContainsFunc(q.Incidents, func(i graph.IncidentID) bool { return t.live(i) == a.Incident && a.Incident != 0 })) &&
		(q.Entities == nil || slices.ContainsFunc(q.Entities, func(id graph.ID) bool { return t.shows(a, t.world.root[id]) }))
}

func (t *modelTenant) shows(a graph.Alert, node graph.ID) bool {
	return !node.IsZero() && slices.ContainsFunc(a.Entities(), func(id graph.ID) bool { return t.world.root[id] == node })
}

// live follows redirects.
func (t *modelTenant) live(i graph.IncidentID) graph.IncidentID {
	for t.incidents[i].RedirectTo != 0 {
		i = t.incidents[i].RedirectTo
	}
	return i
}

// Incidents implements graph.Reader.
func (m *Model) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	bound := m.bind(v.Tenant, q.Paging)
	t, err := m.read(ctx, v)
	if err != nil {
		return graph.IncidentPage{}, err
	}
	var all []graph.Incident
	for _, i := range t.incidents {
		if incidentMatches(q, i) {
			if q.WithContentVersion {
				i.ContentVersion = t.contentVersion(i)
			}
			all = append(all, i)
		}
	}
	if q.IDs != nil {
		slices.SortFunc(all, func(a, b graph.Incident) int {
			return slices.Index(q.IDs, a.ID) - slices.Index(q.IDs, b.ID)
		})
	}
	items, info := page(all, q.Paging, q.IDs != nil, bound, func(i graph.Incident) (graph.Tick, graph.Tick) { return i.Created, i.Updated })
	return graph.IncidentPage{Items: items, PageInfo: info}, nil
}

func incidentMatches(q graph.IncidentQuery, i graph.Incident) bool {
	if i.RedirectTo != 0 && q.IDs == nil && !slices.Contains(q.Statuses, graph.StatusRedirected) {
		return false
	}
	return anyOf(q.IDs, i.ID) && anyOf(q.Severities, i.Severity) && anyOf(q.Statuses, i.Status()) &&
		q.Activity.Overlaps(i.FirstActivity, i.LastActivity) &&
		(q.Sources == nil || slices.ContainsFunc(i.ServiceSources, func(s graph.ServiceSource) bool { return slices.Contains(q.Sources, s) }))
}

func (t *modelTenant) contentVersion(i graph.Incident) graph.Revision {
	version := i.Revision
	for _, a := range t.alerts {
		if a.Incident != i.ID {
			continue
		}
		version = max(version, a.Revision)
		for _, id := range a.Entities() {
			version = max(version, t.entityRev[t.world.root[id]])
		}
	}
	return version
}

func anyOf[T comparable](allowed []T, v T) bool { return allowed == nil || slices.Contains(allowed, v) }

// bind moves the tenant's clock for a read that is bounded above, and returns the bound it may promise.
func (m *Model) bind(tenant graph.TenantID, p graph.Paging) graph.Tick {
	want := p.Updated.Before
	if want == 0 || (p.Created.Before != 0 && p.Created.Before < want) {
		want = p.Created.Before
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if want == 0 || m.closed {
		return 0
	}
	if _, written := m.tenants[tenant]; !written {
		return min(want, 1) // a read makes no tenant, and so can promise nothing about it
	}
	t := m.tenant(tenant).clone()
	bound, last := graph.BoundClock(m.clock(), t.last, want)
	t.last = last
	m.tenants[tenant] = t
	return bound
}

// page orders, filters by tick, counts and cuts.
func page[T any](all []T, p graph.Paging, keepOrder bool, bound graph.Tick, ticks func(T) (created, updated graph.Tick)) ([]T, graph.PageInfo) {
	key := func(v T) graph.Tick {
		c, u := ticks(v)
		if p.Order.ByUpdate() {
			return u
		}
		return c
	}
	all = slices.DeleteFunc(all, func(v T) bool {
		c, u := ticks(v)
		late := bound != 0 && ((p.Updated.Before != 0 && u >= bound) || (p.Created.Before != 0 && c >= bound))
		return late || !p.Created.Contains(c) || !p.Updated.Contains(u)
	})
	if !keepOrder {
		slices.SortFunc(all, func(a, b T) int {
			if p.Order.Newest() {
				a, b = b, a
			}
			return int(key(a) - key(b))
		})
	}
	info := graph.PageInfo{Bound: bound}
	if p.Count {
		info.Total, info.TotalCapped = min(len(all), graph.MaxCount), len(all) > graph.MaxCount
	}
	if p.After != 0 && !keepOrder {
		all = slices.DeleteFunc(all, func(v T) bool {
			if p.Order.Newest() {
				return key(v) >= p.After
			}
			return key(v) <= p.After
		})
	}
	limit := min(len(all), graph.PageLimit(p.Limit))
	info.More = len(all) > limit
	return all[:limit], info
}

// Documents implements graph.Reader.
func (m *Model) Documents(ctx context.Context, v graph.View, q graph.DocumentQuery) ([]graph.Document, error) {
	t, err := m.read(ctx, v)
	if err != nil {
		return nil, err
	}
	var out []graph.Document
	for k, d := range t.documents {
		if k.Collection == q.Collection && strings.HasPrefix(k.Key, q.Prefix) && k.Key > q.After {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b graph.Document) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), graph.PageLimit(q.Limit))], nil
}

// Position implements graph.Reader.
func (m *Model) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	t, err := m.read(ctx, v)
	if err != nil {
		return graph.Position{}, err
	}
	p := graph.Position{Revision: t.revision, Clock: t.last, Alerts: len(t.alerts), Entities: len(t.world.nodes)}
	pairs := map[edgeKey]bool{}
	for _, o := range t.edges {
		pairs[edgeKey{o.From, o.Kind, o.To}] = true
	}
	p.Edges = len(pairs)
	for _, i := range t.incidents {
		if i.RedirectTo == 0 {
			p.Incidents++
		}
	}
	return p, nil
}
