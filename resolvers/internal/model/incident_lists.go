package model

import (
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Alerts of the incident, oldest created first.
func (i *Incident) Alerts(ctx context.Context, first *int32, after *string) (*AlertConnection, error) {
	p, err := i.in.paging(listName("Incident.alerts", i.ID), tickSize, first, after)
	if err != nil {
		return nil, err
	}
	all, err := together(i.in, "alerts "+p.question(), func() ([]*AlertConnection, error) {
		return alertsOfIncidents(ctx, i.in, p)
	})
	if err != nil {
		return nil, err
	}
	return all[i.at], nil
}

func alertsOfIncidents(ctx context.Context, in *siblings[*Incident], p paging) ([]*AlertConnection, error) {
	lists, err := in.spread(ctx, parentIncidents(in.rows), p.first+1, keyTick(p.after))
	if err != nil {
		return nil, err
	}
	return alertPages(in.Session, lists, p, func(at int) string { return listName("Incident.alerts", in.rows[at].ID) },
		func(at int) func(context.Context) (count, error) { return counted(in.rows[at].AlertCount) }), nil
}

// parentIncidents asks for alerts by incident. A redirected one has none: its alerts are where it points to.
func parentIncidents(rows []*Incident) parents {
	at := map[graph.IncidentID]int{}
	var open []int
	for i, r := range rows {
		if at[r.ID] = i; r.RedirectTo == 0 {
			open = append(open, i)
		}
	}
	return parents{
		n: len(rows), open: open,
		query: func(open []int) graph.AlertQuery {
			return graph.AlertQuery{Incidents: mapped(open, func(i int) graph.IncidentID { return rows[i].ID })}
		},
		of: func(a graph.Alert) []int {
			if i, ok := at[a.Incident]; ok {
				return []int{i}
			}
			return nil
		},
	}
}

// alertPages makes pages of lists that have one item more than the page where more follow. All the alerts
// are siblings.
func alertPages(s *Session, lists [][]graph.Alert, p paging, list func(int) string, counter func(int) func(context.Context) (count, error)) []*AlertConnection {
	out := make([]*AlertConnection, len(lists))
	parts := make([][]graph.Alert, len(lists))
	for i, l := range lists {
		parts[i] = l[:min(len(l), p.first)]
	}
	alerts := s.newAlerts(slices.Concat(parts...))
	for i, part := range parts {
		own := p
		own.list = list(i)
		keys := keysOf(part, func(a graph.Alert) []byte { return tickKey(a.Created) })
		out[i] = &AlertConnection{s.page(own, keys, len(lists[i]) > p.first, counter(i)), alerts[:len(part)]}
		alerts = alerts[len(part):]
	}
	return out
}

// Entities that the evidence of the incident's alerts is about or mentions, in order of id.
func (i *Incident) Entities(ctx context.Context, kinds []graph.Kind, first *int32, after *string) (*EntityConnection, error) {
	kinds = distinct(kinds)
	p, err := i.in.paging(listName("Incident.entities", i.ID, kinds), idSize, first, after)
	if err != nil {
		return nil, err
	}
	all, err := together(i.in, fmt.Sprint("entities ", kinds, p.question()), func() ([]*EntityConnection, error) {
		return entitiesOfIncidents(ctx, i.in, kinds, p)
	})
	if err != nil {
		return nil, err
	}
	return all[i.at], nil
}

func entitiesOfIncidents(ctx context.Context, in *siblings[*Incident], kinds []graph.Kind, p paging) ([]*EntityConnection, error) {
	nodes, err := in.nodesOfIncidents(ctx, in.rows, kinds)
	if err != nil {
		return nil, err
	}
	parts, more := make([][]graph.ID, len(nodes)), make([]bool, len(nodes))
	for i, ids := range nodes {
		parts[i], more[i] = cut(ids, p, idKey)
	}
	lists, err := in.entityLists(ctx, parts)
	if err != nil {
		return nil, err
	}
	out := make([]*EntityConnection, len(lists))
	for i, list := range lists {
		own := p
		own.list = listName("Incident.entities", in.rows[i].ID, kinds)
		keys := keysOf(list, func(e Entity) []byte { return idKey(e.base().ID()) })
		out[i] = &EntityConnection{in.page(own, keys, more[i], counted(len(nodes[i]))), list}
	}
	return out, nil
}

// nodesOfIncidents are, for each incident, the canonical ids of these kinds among its evidence, in order, of
// its oldest graph.MaxCount alerts.
func (s *Session) nodesOfIncidents(ctx context.Context, rows []*Incident, kinds []graph.Kind) ([][]graph.ID, error) {
	lists, err := s.spread(ctx, parentIncidents(rows), graph.MaxCount, 0)
	if err != nil {
		return nil, err
	}
	raw := make([][]graph.ID, len(lists))
	for i, alerts := range lists {
		for _, a := range alerts {
			raw[i] = append(raw[i], a.Entities()...)
		}
		raw[i] = slices.DeleteFunc(idsOf(raw[i], same), func(id graph.ID) bool {
			return kinds != nil && !slices.Contains(kinds, id.Kind())
		})
	}
	return s.canonical(ctx, raw)
}

// canonical maps each list of ids to the nodes they belong to, in order, each once.
func (s *Session) canonical(ctx context.Context, raw [][]graph.ID) ([][]graph.ID, error) {
	all := idsOf(slices.Concat(raw...), same)
	node := make(map[graph.ID]graph.ID, len(all))
	for chunk := range slices.Chunk(all, graph.MaxPage) {
		found, err := s.Reader.Entities(ctx, s.View, graph.EntityQuery{IDs: chunk})
		if err != nil {
			return nil, err
		}
		for i, e := range found {
			node[chunk[i]] = e.ID
		}
	}
	out := make([][]graph.ID, len(raw))
	for i, ids := range raw {
		out[i] = idsOf(ids, func(id graph.ID) graph.ID { return node[id] })
		slices.SortFunc(out[i], graph.ID.Compare)
	}
	return out, nil
}

// idSize is the length of a sort key that is an id.
const idSize = 16

func idKey(id graph.ID) []byte { return id[:] }
