package embedded

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// incidents implements graph.Reader's Incidents; bound is what the read may promise.
func (v view) incidents(q graph.IncidentQuery, bound graph.Tick) (graph.IncidentPage, error) {
	q.Paging = q.Paging.Bounded(bound)
	p := pager[graph.IncidentID, graph.Incident]{
		Paging: q.Paging, listed: q.IDs != nil, load: v.incident,
		match: func(i graph.Incident) (bool, error) { return matchIncident(q, i), nil },
		ticks: func(i graph.Incident) (graph.Tick, graph.Tick) { return i.Created, i.Updated },
	}
	from := byTick(v, q.Paging, tableIncidentCreated, tableIncidentUpdated, func(value []byte) (candidate[graph.IncidentID], bool, error) {
		return candidate[graph.IncidentID]{id: readNumber[graph.IncidentID](value)}, true, nil
	})
	if q.IDs != nil {
		from = asListed(listed(q.IDs))
	}
	items, info, err := p.page(from, bound)
	if err == nil && q.WithContentVersion {
		err = v.fillContentVersions(items)
	}
	return graph.IncidentPage{Items: items, PageInfo: info}, err
}

func matchIncident(q graph.IncidentQuery, i graph.Incident) bool {
	if i.RedirectTo != 0 && q.IDs == nil && !slices.Contains(q.Statuses, graph.StatusRedirected) {
		return false
	}
	return anyOf(q.Severities, i.Severity) && anyOf(q.Statuses, i.Status()) &&
		q.Activity.Overlaps(i.FirstActivity, i.LastActivity) &&
		(q.Sources == nil || slices.ContainsFunc(i.ServiceSources, func(s graph.ServiceSource) bool {
			return slices.Contains(q.Sources, s)
		}))
}

// fillContentVersions takes the greatest revision of each incident, its alerts and the nodes they show.
func (v view) fillContentVersions(items []graph.Incident) error {
	shown := map[graph.ID]graph.Revision{}
	for n := range items {
		i := &items[n]
		i.ContentVersion = i.Revision
		alerts, err := v.ids(under(v.keys.of(tableAlertIncident, number(i.ID))))
		if err != nil {
			return err
		}
		for _, id := range alerts {
			a, _, err := v.alert(id)
			if err != nil {
				return err
			}
			i.ContentVersion = max(i.ContentVersion, a.Revision)
			for _, e := range a.Entities() {
				r, err := v.nodeRevision(shown, e)
				if err != nil {
					return err
				}
				i.ContentVersion = max(i.ContentVersion, r)
			}
		}
	}
	return nil
}

func (v view) nodeRevision(known map[graph.ID]graph.Revision, id graph.ID) (graph.Revision, error) {
	if r, ok := known[id]; ok {
		return r, nil
	}
	c, err := v.canonical(id)
	if err != nil {
		return 0, err
	}
	h, _, err := v.head(c)
	known[id] = h.Revision
	return h.Revision, err
}
