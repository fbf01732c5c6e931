package model

import (
	"context"

	"github.com/clew-security/clew/graph"
)

// Alerts with evidence about the entity, oldest created first.
func (b *EntityBase) Alerts(ctx context.Context, first *int32, after *string) (*AlertConnection, error) {
	p, err := b.in.paging(listName("Entity.alerts", b.ID()), tickSize, first, after)
	if err != nil {
		return nil, err
	}
	all, err := together(b.in, "alerts "+p.question(), func() ([]*AlertConnection, error) {
		return alertsOfEntities(ctx, b.in, p)
	})
	if err != nil {
		return nil, err
	}
	return all[b.at], nil
}

func alertsOfEntities(ctx context.Context, in *siblings[Entity], p paging) ([]*AlertConnection, error) {
	lists, err := in.spread(ctx, parentEntities(in.rows), p.first+1, keyTick(p.after))
	if err != nil {
		return nil, err
	}
	id := func(at int) graph.ID { return in.rows[at].base().ID() }
	return alertPages(in.Session, lists, p, func(at int) string { return listName("Entity.alerts", id(at)) },
		func(at int) func(context.Context) (count, error) {
			return in.alertCounter(graph.AlertQuery{Entities: []graph.ID{id(at)}})
		}), nil
}

// parentEntities asks for alerts by entity. An alert names the ids that the evidence's things are kept under,
// which are the entity's own or its members'.
func parentEntities(rows []Entity) parents {
	at := map[graph.ID]int{}
	open := make([]int, len(rows))
	for i, r := range rows {
		at[r.base().ID()], open[i] = i, i
		for _, m := range r.base().own.Members {
			at[m] = i
		}
	}
	return parents{
		n: len(rows), open: open,
		query: func(open []int) graph.AlertQuery {
			return graph.AlertQuery{Entities: mapped(open, func(i int) graph.ID { return rows[i].base().ID() })}
		},
		of: func(a graph.Alert) []int {
			seen := map[int]bool{}
			var out []int
			for _, id := range a.Entities() {
				if i, ok := at[id]; ok && !seen[i] {
					seen[i], out = true, append(out, i)
				}
			}
			return out
		},
	}
}
