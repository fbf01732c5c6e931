package cached

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Entities implements graph.Reader. The same list of ids asked for again may come from memory for as long as
// the tenant has no new commit.
func (s *Store) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	kept, why, err := s.entitiesOf(ctx, v, q)
	if err != nil {
		return nil, err
	}
	if why != "" {
		s.count.bypass(ctx, kindEntities, why)
		return s.decorated.Entities(ctx, v, q)
	}
	return copyEntities(kept.entities), nil
}

// entitiesOf gives the kept answer, or says why it does not.
func (s *Store) entitiesOf(ctx context.Context, v graph.View, q graph.EntityQuery) (kept *value, why string, err error) {
	if len(q.IDs) == 0 || len(q.IDs) > graph.MaxPage || q.Kinds != nil || !q.After.IsZero() || q.Limit != 0 {
		return nil, bypassQuery, nil
	}
	k := keyOf(v, kindEntities)
	k.list = digestOf(q.IDs)
	if !s.again(k) {
		return nil, bypassFirst, nil
	}
	p, err := s.position(ctx, v)
	if err != nil {
		return nil, "", err
	}
	k = k.at(versionOfTenant(p))
	q.IDs = slices.Clone(q.IDs) // whoever asks first may be gone before the read is done
	kept, err = s.find(ctx, k, func(ctx context.Context) (filled, error) { return s.readEntities(ctx, k, q) })
	if err == nil && kept.large {
		return nil, bypassLarge, nil
	}
	return kept, "", err
}

// readEntities keeps what it read if no commit came between, as readAlerts does.
func (s *Store) readEntities(ctx context.Context, k key, q graph.EntityQuery) (filled, error) {
	found, err := s.decorated.Entities(ctx, k.view(), q)
	if err != nil {
		return filled{}, err
	}
	kept := &value{entities: copyEntities(found), bytes: entitiesBytes(found)}
	began := s.options.clock()
	p, err := s.decorated.Position(ctx, k.view())
	if err != nil {
		return filled{}, err
	}
	if versionOfTenant(p) == k.version {
		return s.keep(k, kept), nil
	}
	if s.options.Trust > 0 {
		s.memory.put(keyOf(k.view(), kindPosition), &value{read: began, position: p})
	}
	return filled{value: kept, moved: true}, nil
}

func digestOf(ids []graph.ID) [32]byte {
	all := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		all = append(all, id[:]...)
	}
	return sha256.Sum256(all)
}
