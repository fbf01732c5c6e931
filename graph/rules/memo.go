package rules

import (
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
)

// memo remembers what records said, for one call: each thing is asked once, and in bulk where load is called
// ahead.
type memo struct {
	ctx     context.Context
	records Records

	homes     map[graph.ID]*Home
	members   map[graph.ID][]graph.ID
	claimants map[graph.ID][]graph.ID
	bearers   map[BearerQuery][]Bearer
	edges     map[Ends][]graph.Sighting
}

func newMemo(ctx context.Context, r Records, ids int) *memo {
	return &memo{
		ctx: ctx, records: r, homes: make(map[graph.ID]*Home, ids), members: map[graph.ID][]graph.ID{},
		claimants: map[graph.ID][]graph.ID{}, bearers: map[BearerQuery][]Bearer{}, edges: map[Ends][]graph.Sighting{},
	}
}

// fill asks for what the memo does not have yet, each once.
func fill[K comparable, V any](ctx context.Context, have map[K]V, want []K, ask func(context.Context, []K) ([]V, error)) error {
	var missing []K
	for _, k := range want {
		if _, ok := have[k]; !ok {
			missing = append(missing, k)
		}
	}
	if len(missing) > 1 {
		missing = unique(missing)
	}
	if len(missing) == 0 {
		return nil
	}
	answers, err := ask(ctx, missing)
	if err != nil {
		return err
	}
	for i, k := range missing {
		have[k] = answers[i]
	}
	return nil
}

// unique leaves out what came before.
func unique[K comparable](all []K) []K {
	seen := make(map[K]bool, len(all))
	return slices.DeleteFunc(all, func(k K) bool {
		again := seen[k]
		seen[k] = true
		return again
	})
}

// one answers a single question.
func one[K comparable, V any](ctx context.Context, have map[K]V, k K, ask func(context.Context, []K) ([]V, error)) (V, error) {
	if v, ok := have[k]; ok {
		return v, nil
	}
	err := fill(ctx, have, []K{k}, ask)
	return have[k], err
}

func (m *memo) loadHomes(ids []graph.ID) error {
	return fill(m.ctx, m.homes, ids, func(ctx context.Context, ids []graph.ID) ([]*Home, error) {
		answers, err := m.records.Homes(ctx, ids)
		out := make([]*Home, len(answers))
		for i := range answers {
			out[i] = &answers[i]
		}
		return out, err
	})
}

func (m *memo) loadClaimants(ids []graph.ID) error {
	return fill(m.ctx, m.claimants, ids, m.records.Claimants)
}

func (m *memo) loadBearers(all []BearerQuery) error {
	return fill(m.ctx, m.bearers, all, m.records.Bearers)
}

func (m *memo) home(id graph.ID) (*Home, error) {
	if h, ok := m.homes[id]; ok {
		return h, nil
	}
	if err := m.loadHomes([]graph.ID{id}); err != nil {
		return &Home{}, err
	}
	return m.homes[id], nil
}

func (m *memo) membersOf(node graph.ID) ([]graph.ID, error) {
	h, err := m.home(node)
	if err != nil || h.Members == 0 {
		return nil, err
	}
	return one(m.ctx, m.members, node, m.records.Members)
}

func (m *memo) claimantsOf(id graph.ID) ([]graph.ID, error) {
	return one(m.ctx, m.claimants, id, m.records.Claimants)
}

// Bearers implements Nodes.
func (m *memo) Bearers(q BearerQuery) ([]Bearer, error) {
	return one(m.ctx, m.bearers, q, m.records.Bearers)
}

func (m *memo) edge(at Ends) ([]graph.Sighting, error) {
	return one(m.ctx, m.edges, at, m.records.Edges)
}

// canonical is the id of the node that id belongs to; id itself where nothing else is known.
func (m *memo) canonical(id graph.ID) (graph.ID, error) {
	h, err := m.home(id)
	if h.Node.IsZero() {
		return id, err
	}
	return h.Node, err
}

// Entity reads a node without what it may be the same as; ok is false where id is no node.
func (m *memo) Entity(id graph.ID) (e graph.Entity, ok bool, err error) {
	h, err := m.home(id)
	if err != nil || !h.Observed() || (!h.Node.IsZero() && h.Node != id) {
		return e, false, err
	}
	e.ID, e.Revision, e.Facts = id, h.Revision, h.Facts
	if e.Members, err = m.membersOf(id); err != nil {
		return e, true, err
	}
	return e, true, m.unite(&e)
}

// unite adds what the members know.
func (m *memo) unite(e *graph.Entity) error {
	if err := m.loadHomes(e.Members); err != nil {
		return err
	}
	for _, id := range e.Members {
		if h := m.homes[id]; h.Observed() {
			e.Facts = e.Facts.Merge(h.Facts)
		}
	}
	return nil
}
