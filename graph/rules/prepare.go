package rules

import (
	"cmp"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Prepared is a batch that was checked, with what needs no store to be known.
type Prepared struct {
	graph.Batch
	// ids of the entities, each once, in order; said are the places in Entities of what is said of each.
	ids  []graph.ID
	said [][]int32
	// relations are what Edges say, joined by sighting, in order.
	relations []relation
}

// relation is what a batch says of one sighting, in the batch's order.
type relation struct {
	SightingKey
	said []graph.Sighting
}

// Prepare checks the batch for a tenant and works out all that needs no store, before anyone takes a lock. The
// error is that of graph.Batch's Validate or graph.TenantID's Check.
func Prepare(tenant graph.TenantID, b graph.Batch) (p Prepared, err error) {
	ids, err := b.Check()
	if err = errors.Join(tenant.Check(), err); err != nil {
		return p, err
	}
	p = Prepared{Batch: b, relations: relations(b.Edges)}
	p.groupEntities(ids)
	return p, nil
}

// groupEntities takes the ids of all observations.
func (p *Prepared) groupEntities(all []graph.ID) {
	order := places(len(all))
	slices.SortFunc(order, func(a, b int32) int {
		if c := all[a].Compare(all[b]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	p.ids, p.said = make([]graph.ID, 0, len(all)), make([][]int32, 0, len(all))
	for group := range runs(order, func(a, b int32) bool { return all[a] == all[b] }) {
		p.ids, p.said = append(p.ids, all[group[0]]), append(p.said, group)
	}
}

// relations joins edges by sighting, in order.
func relations(all []graph.EdgeObservation) []relation {
	compare := func(a, b int32) int {
		x, y := &all[a], &all[b]
		if c := cmp.Or(x.From.Compare(y.From), cmp.Compare(x.Kind, y.Kind)); c != 0 {
			return c
		}
		return cmp.Or(x.To.Compare(y.To), x.Observation.Compare(y.Observation))
	}
	order := places(len(all))
	slices.SortStableFunc(order, compare)
	out, sightings := make([]relation, 0, len(all)), make([]graph.Sighting, 0, len(all))
	for group := range runs(order, func(a, b int32) bool { return compare(a, b) == 0 }) {
		start := len(sightings)
		for _, i := range group {
			sightings = append(sightings, all[i].Sighting())
		}
		o := &all[group[0]]
		out = append(out, relation{SightingKey{Ends{o.From, o.Kind, o.To}, o.Observation}, sightings[start:]})
	}
	return out
}

func places(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// runs cuts what is sorted where neighbours differ.
func runs[T any](all []T, same func(a, b T) bool) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for start := 0; start < len(all); {
			end := start + 1
			for end < len(all) && same(all[start], all[end]) {
				end++
			}
			if !yield(all[start:end]) {
				return
			}
			start = end
		}
	}
}
