package neo4j

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// outcome is what came of a commit.
type outcome struct {
	receipt graph.Receipt
	// token names the commit in the database.
	token string
	// now is where it left the tenant.
	now settled
	// wrote is false where there was nothing to write, or an attempt whose answer was lost had written it.
	wrote bool
}

// commitOnce attempts a commit until it is made or work, which begins anew each time, writes nothing. Where the answer
// to an attempt was lost, the next finds out whether the commit was made before it makes another.
func (s *Store) commitOnce(
	ctx context.Context, id graph.TenantID, batchKey string, work func(context.Context, *tx) (graph.Receipt, bool, error),
) (out outcome, err error) {
	token := rand.Text()
	var sent int64 // the seq of the commit that was sent last and may have been made
	err = s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
		out = outcome{token: token, now: settled{asked: time.Now()}}
		t := newTx(run, id, s.options.Clock())
		if err := t.lock(ctx, batchKey); err != nil {
			return false, err
		}
		out.now.row, out.now.seq = t.row, t.seq
		if sent != 0 {
			if made, err := t.committed(ctx, sent, token, &out.receipt); made || err != nil {
				return false, err
			}
		}
		var err error
		if out.receipt, out.wrote, err = work(ctx, t); err != nil || !out.wrote {
			return false, err
		}
		if err := t.seal(ctx, token, out.receipt); err != nil {
			return false, err
		}
		out.now.row, out.now.seq, sent = t.row, t.seq, t.seq
		return true, nil
	})
	return out, err
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
