package model

import (
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
)

// inChunks asks for ids a page at a time.
func inChunks[I, T any](ctx context.Context, ids []I, ask func([]I) ([]T, error)) ([]T, error) {
	var out []T
	for part := range slices.Chunk(ids, graph.MaxPage) {
		found, err := ask(part)
		if err == nil {
			err = charged(ctx, len(found))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// idsOf collects the ids that the rows name, each once, without the zero one.
func idsOf[T any, I comparable](rows []T, of func(T) I) []I {
	var out []I
	var none I
	seen := map[I]bool{none: true}
	for _, r := range rows {
		if id := of(r); !seen[id] {
			seen[id], out = true, append(out, id)
		}
	}
	return out
}

func same[T any](v T) T { return v }

// entitiesByID reads entities, in any number, as siblings: what an earlier id finds stands under that id too.
func (s *Session) entitiesByID(ctx context.Context, ids []graph.ID) (map[graph.ID]Entity, error) {
	found, err := inChunks(ctx, ids, func(part []graph.ID) ([]graph.Entity, error) {
		return s.Reader.Entities(ctx, s.View, graph.EntityQuery{IDs: part})
	})
	if err != nil {
		return nil, err
	}
	all := idsOf(found, func(e graph.Entity) graph.ID { return e.ID })
	list := make([]graph.Entity, 0, len(all))
	at := map[graph.ID]int{}
	for i, e := range found {
		if _, ok := at[e.ID]; !ok && !e.ID.IsZero() {
			at[e.ID] = len(list)
			list = append(list, e)
		}
		if !e.ID.IsZero() {
			at[ids[i]] = at[e.ID]
		}
	}
	rows := s.newEntities(list)
	out := make(map[graph.ID]Entity, len(at))
	for id, i := range at {
		out[id] = rows[i]
	}
	return out, nil
}

// entityLists reads the entities that each row names; unknown ones are left out.
func (s *Session) entityLists(ctx context.Context, ids [][]graph.ID) ([][]Entity, error) {
	found, err := s.entitiesByID(ctx, idsOf(slices.Concat(ids...), same))
	return pick(ids, found), err
}

// alertLists reads the alerts that each row names; unknown ones are left out.
func (s *Session) alertLists(ctx context.Context, ids [][]graph.ID) ([][]*Alert, error) {
	list, err := inChunks(ctx, idsOf(slices.Concat(ids...), same), func(part []graph.ID) ([]graph.Alert, error) {
		page, err := s.Reader.Alerts(ctx, s.View, graph.AlertQuery{IDs: part})
		return page.Items, err
	})
	found := map[graph.ID]*Alert{}
	for _, a := range s.newAlerts(list) {
		found[a.ID] = a
	}
	return pick(ids, found), err
}

func pick[T any](ids [][]graph.ID, found map[graph.ID]T) [][]T {
	out := make([][]T, len(ids))
	for i, list := range ids {
		out[i] = []T{}
		for _, id := range list {
			if v, ok := found[id]; ok {
				out[i] = append(out[i], v)
			}
		}
	}
	return out
}

// parents are the n things that lists of alerts are asked for, of which those in open may have any: query
// names those of these indices, of tells which of them an alert belongs to.
type parents struct {
	n     int
	open  []int
	query func(open []int) graph.AlertQuery
	of    func(graph.Alert) []int
}

// spread reads the first n alerts of every parent behind a tick, oldest created first. What is read for one
// page serves all parents, and a parent that has enough drops out: each page that is full satisfies at least
// one parent or has a thousand alerts.
func (s *Session) spread(ctx context.Context, p parents, n int, after graph.Tick) ([][]graph.Alert, error) {
	got := make([][]graph.Alert, p.n)
	for open := slices.Clone(p.open); len(open) > 0; {
		q := p.query(open)
		q.Order, q.After, q.Limit = graph.OldestCreated, after, min(graph.MaxPage, len(open)*n)
		page, err := s.Reader.Alerts(ctx, s.View, q)
		if err != nil {
			return nil, err
		}
		held := 0
		for _, a := range page.Items {
			after = a.Created
			for _, i := range p.of(a) {
				if len(got[i]) < n {
					got[i], held = append(got[i], a), held+1
				}
			}
		}
		if err := charged(ctx, held); err != nil {
			return nil, err
		}
		open = slices.DeleteFunc(open, func(i int) bool { return len(got[i]) >= n })
		if !page.More {
			break
		}
	}
	return got, nil
}
