package embedded

import (
	"iter"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// alerts implements graph.Reader's Alerts; bound is what the read may promise.
func (v view) alerts(q graph.AlertQuery, bound graph.Tick) (graph.AlertPage, error) {
	q.Paging = q.Paging.Bounded(bound)
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
	switch {
	case q.IDs != nil:
		return asListed(listed(q.IDs)), nil
	case q.Incidents != nil:
		var prefixes [][]byte
		for id := range f.incidents {
			prefixes = append(prefixes, v.keys.of(tableAlertIncident, number(id)))
		}
		return f.under(prefixes)
	case q.Entities != nil:
		prefixes, err := f.aboutNodes()
		if err != nil {
			return nil, err
		}
		return f.under(prefixes)
	}
	all, few, err := f.active()
	if err != nil {
		return nil, err
	}
	if !few {
		return byTick(v, q.Paging, tableAlertCreated, tableAlertUpdated, f.candidate), nil
	}
	return inOrder(q.Order, all), nil
}

// aboutNodes lists the prefixes of all ids of the nodes in the index by entity.
func (f *alertFilter) aboutNodes() (prefixes [][]byte, err error) {
	for node := range f.nodes {
		atoms, err := f.members(node)
		if err != nil {
			return nil, err
		}
		for _, atom := range append(atoms, node) {
			prefixes = append(prefixes, f.keys.of(tableAlertEntity, atom[:]))
		}
	}
	return prefixes, nil
}

// maxRuns bounds the prefixes that are read at once.
const maxRuns = 32

// under gives the alerts under prefixes of an index by created tick. In that order, a few prefixes are read
// side by side and no further than the page needs; else all is collected and sorted.
func (f *alertFilter) under(prefixes [][]byte) (source[graph.ID], error) {
	if !f.q.Order.ByUpdate() && len(prefixes) <= maxRuns {
		return func(visit func(candidate[graph.ID]) (bool, error)) error { return f.merge(prefixes, visit) }, nil
	}
	var all []candidate[graph.ID]
	for _, p := range prefixes {
		for c, err := range f.run(p) {
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return inOrder(f.q.Order, all), nil
}

// run reads one prefix in the page's direction.
func (f *alertFilter) run(prefix []byte) iter.Seq2[candidate[graph.ID], error] {
	r := f.q.Created
	if !f.q.Order.ByUpdate() {
		r = needed(f.q.Paging)
	}
	s := during(prefix, r)
	s.backwards = f.q.Order.Newest()
	return rules.Stream(func(yield func(candidate[graph.ID], error) bool) error {
		return f.scan(s, func(_, value []byte) (bool, error) {
			c, ok, err := f.candidate(value)
			return err == nil && ok && !yield(c, nil), err
		})
	})
}

// merge visits what the prefixes hold, each alert once: ticks are unique.
func (f *alertFilter) merge(prefixes [][]byte, visit func(candidate[graph.ID]) (bool, error)) error {
	type run struct {
		head candidate[graph.ID]
		next func() (candidate[graph.ID], error, bool)
	}
	var runs []run
	step := func(r run) error {
		c, err, ok := r.next()
		if ok && err == nil {
			runs = append(runs, run{c, r.next})
		}
		return err
	}
	for _, p := range prefixes {
		next, stop := iter.Pull2(f.run(p))
		defer stop()
		if err := step(run{next: next}); err != nil {
			return err
		}
	}
	for len(runs) > 0 {
		first := slices.MinFunc(runs, func(a, b run) int { return byOrder(f.q.Order, a.head, b.head) }).head
		for i := len(runs) - 1; i >= 0; i-- {
			if r := runs[i]; r.head == first {
				runs = slices.Delete(runs, i, i+1)
				if err := step(r); err != nil {
					return err
				}
			}
		}
		if stop, err := visit(first); stop || err != nil {
			return err
		}
	}
	return nil
}

// maxActive bounds the alerts that active collects: where more are in the window, going by tick fills a page
// sooner than all of them are sorted.
const maxActive = 10_000

// active lists the alerts that may be active in the window; few is false where it has no start or too many are.
func (f *alertFilter) active() (all []candidate[graph.ID], few bool, err error) {
	if f.q.Activity.From.IsZero() {
		return nil, false, nil
	}
	s := under(f.keys.of(tableAlertActivity))
	s.lower = f.keys.of(tableAlertActivity, number(instant(f.q.Activity.From)))
	err = f.scan(s, func(_, value []byte) (bool, error) {
		c, ok, err := f.candidate(value)
		if ok {
			all = append(all, c)
		}
		return len(all) > maxActive, err
	})
	return all, len(all) <= maxActive, err
}

// candidate reads an index row; ok is false where the alert is not wanted.
func (f *alertFilter) candidate(mark []byte) (c candidate[graph.ID], ok bool, err error) {
	var m alertMark
	if err := m.decode(mark); err != nil || !f.mayMatch(m) {
		return c, false, err
	}
	c = candidate[graph.ID]{m.created, m.id}
	if f.q.Order.ByUpdate() {
		c.tick = m.updated
	}
	return c, f.q.Count || isBehind(f.q.Paging, c.tick), nil
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

// mayMatch is false where the mark alone shows that match will be. Instants are cut, so it cannot show more.
func (f *alertFilter) mayMatch(m alertMark) bool {
	q := f.q
	return q.Created.Contains(m.created) && q.Updated.Contains(m.updated) &&
		(q.Activity.From.IsZero() || m.last >= instant(q.Activity.From)) &&
		(q.Activity.Before.IsZero() || m.first <= instant(q.Activity.Before))
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
