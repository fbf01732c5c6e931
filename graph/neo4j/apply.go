package neo4j

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

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
	if err = errors.Join(err, checkKeys(id, b)); err != nil {
		return graph.Receipt{}, err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx); err != nil {
		return graph.Receipt{}, err
	}
	defer t.giveTurn()
	began := time.Now()
	receipt, now, err := s.apply(ctx, id, t, p)
	if err != nil {
		return graph.Receipt{}, err
	}
	t.learn(now)
	s.learn(id, t.memory)
	s.meters.commits.Record(ctx, time.Since(began).Seconds())
	return receipt, nil
}

// apply makes attempts until one is committed, and gives the settled position that it left.
func (s *Store) apply(ctx context.Context, id graph.TenantID, mine *tenant, b rules.Prepared) (receipt graph.Receipt, now settled, err error) {
	token := rand.Text()
	var sent int64 // the seq of the commit that was sent last and may have been made
	wrote := false
	err = s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
		now, wrote = settled{asked: time.Now()}, false
		t := newTx(run, id, s.options.Clock())
		if err := t.lock(ctx, b.Key); err != nil {
			return false, err
		}
		now.row, now.seq = t.row, t.seq
		if sent != 0 {
			made, err := t.committed(ctx, sent, token, &receipt)
			if made || err != nil {
				mine.memory.Forget() // others may have written since
				return false, err
			}
		}
		var err error
		receipt, wrote, err = rules.Commit(ctx, t, id, b, rules.Settings{
			Wall: t.wall, KeepChanges: s.options.KeepChanges, Memory: mine.remembered(t.wrote),
		})
		if err != nil || !wrote {
			return false, err
		}
		if err := t.seal(ctx, token, receipt); err != nil {
			return false, err
		}
		now.row, now.seq, sent = t.row, t.seq, t.seq
		return true, nil
	})
	if err == nil && wrote {
		mine.memory.Committed()
		mine.memoryOf = now.seq
	}
	return receipt, now, err
}

// transact runs work in a write transaction and commits where work says so.
func (s *Store) transact(ctx context.Context, work func(ctx context.Context, run runner) (commit bool, err error)) error {
	return s.retry(ctx, func(ctx context.Context) error {
		session := s.session(ctx, driver.AccessModeWrite)
		defer func() { _ = session.Close(context.WithoutCancel(ctx)) }()
		tx, err := session.BeginTransaction(ctx, driver.WithTxTimeout(s.options.QueryTimeout))
		if err != nil {
			return err
		}
		commit, err := work(ctx, writing{tx})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !commit {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			_ = tx.Close(undo) // what the server is not told it undoes when the connection ends
			return err
		}
		return s.commit(ctx, tx)
	})
}

// commit sends the commit and waits for the answer although ctx may end meanwhile.
func (s *Store) commit(ctx context.Context, tx driver.ExplicitTransaction) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.QueryTimeout+grace)
	defer cancel()
	err := tx.Commit(ctx)
	var refused *driver.Neo4jError
	if err == nil || errors.As(err, &refused) && refused.Classification() != "DatabaseError" {
		return err
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// maxKey bounds, in bytes, what an index of Neo4j takes as a key, with room for what else is in it.
const maxKey = 4000

// checkKeys refuses names that Neo4j could not keep apart or index.
func checkKeys(id graph.TenantID, b graph.Batch) error {
	if len(tenantText(id)) > maxKey/2 {
		return fmt.Errorf("%w: the tenant's name has %d bytes, at most %d", graph.ErrInvalid, len(id), maxKey/2)
	}
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
