package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Apply implements graph.Writer. A storage error stops the store, see Store.
func (s *Store) Apply(ctx context.Context, id graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if err := s.enter(ctx); err != nil {
		return graph.Receipt{}, err
	}
	defer s.leave()
	p, err := rules.Prepare(id, b)
	if err != nil {
		return graph.Receipt{}, err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx, s); err != nil {
		return graph.Receipt{}, err
	}
	defer t.giveTurn()
	c := s.newTx(ctx, id, b.Decide != nil || b.Expire != nil)
	receipt, wrote, err := rules.Commit(ctx, c, id, p, rules.Settings{
		Wall: c.wall, KeepChanges: s.options.KeepChanges, Memory: t.memory, Outcome: t.recent.asked.Load(),
	})
	if err != nil || !wrote {
		return receipt, err
	}
	t.recent.put(c.change)
	if err := s.commitOf(t, c.batch); err != nil {
		return graph.Receipt{}, err
	}
	t.memory.Committed()
	t.announce()
	c.release()
	s.learn(id, t.memory)
	return receipt, nil
}

// commitOf makes a tenant's batch durable, and holds back who would read it before. After an error the store has
// failed, and nobody reads any more. The caller has the tenant's turn.
func (s *Store) commitOf(t *tenant, b *pebble.Batch) error {
	t.beginSync()
	if err := s.commit(b); err != nil {
		return err
	}
	t.endSync()
	return nil
}

// newTx starts a commit from what the directory says, never from memory: an earlier commit may have ended
// without a known outcome. staged is set where what is written will be read before it is committed.
func (s *Store) newTx(ctx context.Context, id graph.TenantID, staged bool) *tx {
	c := &tx{base: view{ctx, s.db, keysOf(id)}, tenant: id, wall: s.options.Clock(), staged: staged}
	if staged {
		c.batch = s.db.NewIndexedBatch()
	} else {
		c.batch = s.db.NewBatch()
	}
	return c
}
