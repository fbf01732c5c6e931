package cached

import (
	"context"

	"github.com/clew-security/clew/graph"
)

// readIncident reads an incident as it stands, and with it the version of its alerts; the zero one where it is
// unknown. It is the one place that knows where that version comes from.
func (s *Store) readIncident(ctx context.Context, v graph.View, id graph.IncidentID) (graph.Incident, error) {
	page, err := s.decorated.Incidents(ctx, v, graph.IncidentQuery{IDs: []graph.IncidentID{id}})
	if err != nil || len(page.Items) == 0 {
		return graph.Incident{}, err
	}
	return page.Items[0], nil
}

// Incidents implements graph.Reader. Incidents asked for by id and nothing else may come from memory.
func (s *Store) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	if err := s.enter(ctx); err != nil {
		return graph.IncidentPage{}, err
	}
	why := ""
	switch {
	case !onlyIDs(q):
		why = bypassQuery
	case s.exact(v):
		why = bypassExact
	case !s.allAgain(v, q.IDs):
		why = bypassFirst
	}
	if why != "" {
		s.count.bypass(ctx, kindIncident, why)
		return s.decorated.Incidents(ctx, v, q)
	}
	return s.incidents(ctx, v, q)
}

// onlyIDs reports whether the query names a page of incidents and no condition. The order means nothing then.
func onlyIDs(q graph.IncidentQuery) bool {
	return len(q.IDs) > 0 && len(q.IDs) <= graph.MaxPage && q.Activity == graph.Window{} && q.Severities == nil && q.Statuses == nil &&
		q.Sources == nil && !q.WithContentVersion && q.Paging == graph.Paging{Order: q.Order}
}

// allAgain notes all of them.
func (s *Store) allAgain(v graph.View, ids []graph.IncidentID) bool {
	all := true
	for _, id := range ids {
		k := keyOf(v, kindIncident)
		k.id = id
		all = s.again(k) && all
	}
	return all
}

// incidents answers from memory if all are there, else from the store as a whole.
func (s *Store) incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	if len(q.IDs) == 1 {
		i, err := s.incident(ctx, v, q.IDs[0])
		if err != nil || i.ID == 0 {
			return graph.IncidentPage{}, err
		}
		return graph.IncidentPage{Items: copyIncidents([]graph.Incident{i})}, nil
	}
	began := s.options.clock()
	if items, ok := s.trusted(v, q.IDs); ok {
		s.count.hit(ctx, kindIncident, tierMemory)
		return graph.IncidentPage{Items: copyIncidents(items)}, nil
	}
	s.count.miss(ctx, kindIncident)
	page, err := s.decorated.Incidents(ctx, v, q)
	if err != nil {
		return page, err
	}
	for _, i := range copyIncidents(page.Items) {
		s.remember(v, &value{read: began, incident: i, bytes: incidentBytes(i)})
	}
	return page, nil
}

// trusted gives the incidents, in order and each once, if all of them are remembered.
func (s *Store) trusted(v graph.View, ids []graph.IncidentID) ([]graph.Incident, bool) {
	out, seen := make([]graph.Incident, 0, len(ids)), make(map[graph.IncidentID]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		k := keyOf(v, kindIncident)
		k.id = id
		h, ok := s.memory.get(k)
		if !ok || !s.young(h) {
			return nil, false
		}
		out = append(out, h.incident)
	}
	return out, true
}

// remember keeps an incident for as long as its version may be trusted.
func (s *Store) remember(v graph.View, h *value) {
	if s.options.Trust > 0 {
		k := keyOf(v, kindIncident)
		k.id = h.incident.ID
		s.memory.put(k, h)
	}
}

// incident is one incident, not older than the view allows; what it holds must be copied before it is given
// away. Zero where there is none.
func (s *Store) incident(ctx context.Context, v graph.View, id graph.IncidentID) (graph.Incident, error) {
	k := keyOf(v, kindIncident)
	k.id = id
	h, err := s.head(ctx, v, k, func(ctx context.Context, v graph.View) (*value, error) {
		i, err := s.readIncident(ctx, v, id)
		return &value{incident: i, bytes: incidentBytes(i)}, err
	})
	if err != nil {
		return graph.Incident{}, err
	}
	return h.incident, nil
}

// live is the incident that id leads to. A redirect never changes, so it does not matter that each step is a
// read of its own.
func (s *Store) live(ctx context.Context, v graph.View, id graph.IncidentID) (graph.Incident, error) {
	for {
		i, err := s.incident(ctx, v, id)
		if err != nil || i.RedirectTo == 0 {
			return i, err
		}
		id = i.RedirectTo
	}
}

// position is where the tenant stands, not older than the view allows.
func (s *Store) position(ctx context.Context, v graph.View) (graph.Position, error) {
	h, err := s.head(ctx, v, keyOf(v, kindPosition), func(ctx context.Context, v graph.View) (*value, error) {
		p, err := s.decorated.Position(ctx, v)
		return &value{position: p}, err
	})
	if err != nil {
		return graph.Position{}, err
	}
	return h.position, nil
}

// head gives what tells versions: read for this caller where the view wants that, else remembered or read for
// all who ask at the time. Whoever joins a read gets what was current when it began, so it must not have begun
// longer ago than a version may be trusted.
func (s *Store) head(ctx context.Context, v graph.View, k key, read func(context.Context, graph.View) (*value, error)) (*value, error) {
	now := s.options.clock()
	if s.exact(v) {
		h, err := read(ctx, v)
		if err == nil && s.options.Trust > 0 {
			h.read = now
			s.memory.put(k, h)
		}
		return h, err
	}
	if h, ok := s.memory.get(k); ok && s.young(h) {
		s.count.hit(ctx, k.kind, tierMemory)
		return h, nil
	}
	s.count.miss(ctx, k.kind)
	f, _, err := s.running.do(ctx, k, now.Add(-s.options.Trust), now, func(ctx context.Context) (filled, error) {
		h, err := read(ctx, k.view())
		if err == nil {
			h.read = now
			s.memory.put(k, h)
		}
		return filled{value: h}, err
	})
	return f.value, err
}

// young reports whether a remembered version may still be trusted.
func (s *Store) young(h *value) bool {
	age := s.options.clock().Sub(h.read)
	return age >= 0 && age < s.options.Trust
}
