package embedded

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// alerts implements graph.Reader's Alerts; bound is what the read may promise.
func (v view) alerts(q graph.AlertQuery, bound graph.Tick) (graph.AlertPage, error) {
	q.Paging = bounded(q.Paging, bound)
	f, err := v.alertFilter(q)
	if err != nil {
		return graph.AlertPage{}, err
	}
	p := pager[graph.ID, graph.Alert]{
		Paging: q.Paging, listed: q.IDs != nil, match: f.match, load: v.alert,
		ticks: func(a graph.Alert) (graph.Tick, graph.Tick) { return a.Created, a.Updated },
	}
	if f.all() {
		p.match = nil
	}
	from, err := v.alertSource(q, f)
	if err != nil {
		return graph.AlertPage{}, err
	}
	items, info, err := p.page(from, bound)
	return graph.AlertPage{Items: items, PageInfo: info}, err
}

// alertSource picks the narrowest way to the alerts.
func (v view) alertSource(q graph.AlertQuery, f *alertFilter) (source[graph.ID], error) {
	var all []candidate[graph.ID]
	var err error
	switch {
	case q.IDs != nil:
		return asListed(listed(q.IDs)), nil
	case q.Incidents != nil:
		for id := range f.incidents {
			if all, err = v.indexed(all, v.keys.of(tableAlertIncident, number(id))); err != nil {
				return nil, err
			}
		}
	case q.Entities != nil:
		if all, err = v.aboutNodes(f.nodes); err != nil {
			return nil, err
		}
	default:
		return byTick(v, q.Paging, tableAlertCreated, tableAlertUpdated, readID), nil
	}
	if q.Order.ByUpdate() {
		if err := v.byUpdate(all); err != nil {
			return nil, err
		}
	}
	return inOrder(q.Order, all), nil
}

// indexed adds the alerts under a prefix of an index by created tick.
func (v view) indexed(to []candidate[graph.ID], prefix []byte) ([]candidate[graph.ID], error) {
	err := v.scan(under(prefix), func(key, _ []byte) (bool, error) {
		tail := key[len(key)-24:]
		to = append(to, candidate[graph.ID]{readNumber[graph.Tick](tail), readID(tail[8:])})
		return false, nil
	})
	return to, err
}

// aboutNodes lists the alerts with evidence about any id of the nodes, each once.
func (v view) aboutNodes(nodes map[graph.ID]bool) ([]candidate[graph.ID], error) {
	var all []candidate[graph.ID]
	for node := range nodes {
		atoms, err := v.members(node)
		if err != nil {
			return nil, err
		}
		for _, atom := range append(atoms, node) {
			if all, err = v.indexed(all, v.keys.of(tableAlertEntity, atom[:])); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(all, func(a, b candidate[graph.ID]) int { return a.id.Compare(b.id) })
	return slices.Compact(all), nil
}

// byUpdate replaces created ticks by those of the last update.
func (v view) byUpdate(all []candidate[graph.ID]) error {
	for i, c := range all {
		a, _, err := v.alert(c.id)
		if err != nil {
			return err
		}
		all[i].tick = a.Updated
	}
	return nil
}

// alertFilter is a query with its incidents and nodes resolved.
type alertFilter struct {
	view
	q         graph.AlertQuery
	incidents map[graph.IncidentID]bool
	nodes     map[graph.ID]bool
}

func (v view) alertFilter(q graph.AlertQuery) (*alertFilter, error) {
	f := &alertFilter{v, q, map[graph.IncidentID]bool{}, map[graph.ID]bool{}}
	for _, id := range q.Incidents {
		live, err := v.live(id)
		if err != nil {
			return nil, err
		}
		if live != 0 {
			f.incidents[live] = true
		}
	}
	nodes, err := v.canonicals(q.Entities)
	for _, id := range nodes {
		f.nodes[id] = true
	}
	return f, err
}

// all reports whether the source alone decides.
func (f *alertFilter) all() bool {
	q := f.q
	return q.Incidents == nil && q.Entities == nil && q.Severities == nil && q.Statuses == nil && q.Sources == nil &&
		q.Activity == graph.Window{}
}

func (f *alertFilter) match(a graph.Alert) (bool, error) {
	q := f.q
	if !anyOf(q.Severities, a.Severity) || !anyOf(q.Statuses, a.Triage().Status) || !anyOf(q.Sources, a.ServiceSource) ||
		!q.Activity.Overlaps(a.FirstActivity, a.LastActivity) || (q.Incidents != nil && !f.incidents[a.Incident]) {
		return false, nil
	}
	if q.Entities == nil || q.IDs == nil && q.Incidents == nil {
		return true, nil // the source gave only alerts about them
	}
	return f.about(a)
}

func (f *alertFilter) about(a graph.Alert) (bool, error) {
	nodes, err := f.canonicals(a.Entities())
	return slices.ContainsFunc(nodes, func(id graph.ID) bool { return f.nodes[id] }), err
}
