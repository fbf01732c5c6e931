package cached

import (
	"cmp"
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Alerts implements graph.Reader. All pages of the alerts of one incident come from one kept value.
func (s *Store) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	if err := s.enter(ctx); err != nil {
		return graph.AlertPage{}, err
	}
	kept, why, err := s.alertsOf(ctx, v, q)
	if err != nil {
		return graph.AlertPage{}, err
	}
	if why != "" {
		s.count.bypass(ctx, kindAlerts, why)
		return s.decorated.Alerts(ctx, v, q)
	}
	return pageOf(kept.alerts, q.Paging), nil
}

// alertsOf gives all alerts of the incident that the query is about, or says why it does not.
func (s *Store) alertsOf(ctx context.Context, v graph.View, q graph.AlertQuery) (kept *value, why string, err error) {
	if !ofOneIncident(q) {
		return nil, bypassQuery, nil
	}
	k := keyOf(v, kindAlerts)
	k.id = q.Incidents[0]
	if !s.again(k) {
		return nil, bypassFirst, nil
	}
	i, err := s.live(ctx, v, k.id)
	if err != nil {
		return nil, "", err
	}
	if i.ID == 0 {
		return nil, bypassUnknown, nil
	}
	k.id = i.ID
	k = k.at(versionOf(i))
	kept, err = s.find(ctx, k, func(ctx context.Context) (filled, error) { return s.readAlerts(ctx, k) })
	if err == nil && kept.large {
		return nil, bypassLarge, nil
	}
	return kept, "", err
}

// ofOneIncident reports whether the query is for the alerts of one incident without any condition.
func ofOneIncident(q graph.AlertQuery) bool {
	return len(q.Incidents) == 1 && q.IDs == nil && q.Entities == nil && q.Activity == graph.Window{} && q.Severities == nil &&
		q.Statuses == nil && q.Sources == nil && q.Created == graph.TickRange{} && q.Updated == graph.TickRange{}
}

// readAlerts reads the whole incident, and keeps it if it still has the key's version afterwards: the version
// only grows and was read before, so it was that of the alerts too. Else the answer is newer than what was
// asked for, which is right, but is nobody's version.
func (s *Store) readAlerts(ctx context.Context, k key) (filled, error) {
	q := graph.AlertQuery{Incidents: []graph.IncidentID{k.id}, Paging: graph.Paging{Order: graph.OldestCreated}}
	page, err := s.decorated.Alerts(ctx, k.view(), q)
	if err != nil {
		return filled{}, err
	}
	if page.More {
		large := &value{large: true}
		s.memory.put(k, large)
		return filled{value: large}, nil
	}
	kept := &value{alerts: copyAlerts(page.Items), bytes: alertsBytes(page.Items)}
	began := s.options.clock()
	i, err := s.readIncident(ctx, k.view(), k.id)
	if err != nil {
		return filled{}, err
	}
	if versionOf(i) == k.version {
		return s.keep(k, kept), nil
	}
	if i.ID != 0 {
		s.remember(k.view(), &value{read: began, incident: i, bytes: incidentBytes(i)})
	}
	return filled{value: kept, moved: true}, nil
}

// pageOf cuts a page, as graph.Paging says, of all alerts there are.
func pageOf(all []graph.Alert, p graph.Paging) graph.AlertPage {
	order := make([]*graph.Alert, 0, len(all))
	for i := range all {
		if isBehind(p, tickOf(p.Order, &all[i])) {
			order = append(order, &all[i])
		}
	}
	slices.SortFunc(order, func(a, b *graph.Alert) int {
		if p.Order.Newest() {
			a, b = b, a
		}
		return cmp.Compare(tickOf(p.Order, a), tickOf(p.Order, b))
	})
	limit := min(len(order), graph.PageLimit(p.Limit))
	items := make([]graph.Alert, limit)
	for i, a := range order[:limit] {
		items[i] = *a
	}
	page := graph.AlertPage{Items: detached(items), PageInfo: graph.PageInfo{More: limit < len(order)}}
	if p.Count {
		page.Total, page.TotalCapped = min(len(all), graph.MaxCount), len(all) > graph.MaxCount
	}
	return page
}

func tickOf(o graph.TickOrder, a *graph.Alert) graph.Tick {
	if o.ByUpdate() {
		return a.Updated
	}
	return a.Created
}

// isBehind reports whether a tick comes behind p.After in the page's order.
func isBehind(p graph.Paging, tick graph.Tick) bool {
	if p.Order.Newest() {
		return p.After == 0 || tick < p.After
	}
	return tick > p.After
}
