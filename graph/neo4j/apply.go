package neo4j

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Apply implements graph.Writer. An attempt that fails because of a deadlock, a lost connection, a change of
// leader or the like is made again as a whole, for Options.RetryTime; a Decider is then asked again. Where the
// answer to a commit was lost, the next attempt finds out whether it was made, so the receipt is the true one.
// The context is not looked at any more once the commit has been sent.
func (s *Store) Apply(ctx context.Context, id graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if err := s.enter(ctx); err != nil {
		return graph.Receipt{}, err
	}
	defer s.leave()
	p, err := rules.Prepare(id, b)
	if err = errors.Join(err, checkKeys(b)); err != nil {
		return graph.Receipt{}, err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx); err != nil {
		return graph.Receipt{}, err
	}
	defer t.giveTurn()
	began := time.Now()
	out, err := s.commitOnce(ctx, id, b.Key, func(ctx context.Context, x *tx) (graph.Receipt, bool, error) {
		return rules.Commit(ctx, x, id, p, rules.Settings{
			Wall: x.wall, KeepChanges: s.options.KeepChanges, Memory: t.remembered(x.wrote),
		})
	})
	if err != nil {
		return graph.Receipt{}, err
	}
	if out.wrote {
		t.memory.Committed()
		t.memoryOf = out.token
	}
	t.learn(out.now)
	s.learn(id, t.memory)
	s.meters.commits.Record(ctx, time.Since(began).Seconds())
	return out.receipt, nil
}

// maxKey bounds, in bytes, what an index of Neo4j takes as a key, with room for what else is in it.
const maxKey = 4000

// checkKeys refuses names that Neo4j could not keep apart or index.
func checkKeys(b graph.Batch) error {
	if !utf8.ValidString(b.Key) {
		return fmt.Errorf("%w: the batch's key is not UTF-8", graph.ErrInvalid)
	}
	for i, d := range b.Documents {
		if n := len(d.Collection) + len(ordered(d.Key)); n > maxKey {
			return fmt.Errorf("%w: document %d: collection and key have %d bytes, at most %d", graph.ErrInvalid, i, n, maxKey)
		}
		if !utf8.ValidString(d.Collection) || !utf8.ValidString(d.Key) {
			return fmt.Errorf("%w: document %d: collection or key is not UTF-8", graph.ErrInvalid, i)
		}
	}
	return nil
}
