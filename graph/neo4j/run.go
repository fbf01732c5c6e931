package neo4j

import (
	"context"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

// runner runs statements: of reads, or of a commit in the making.
type runner interface {
	// query returns all records.
	query(ctx context.Context, cypher string, params map[string]any) ([]*driver.Record, error)
	// stream calls each for one record after another until it wants no more.
	stream(ctx context.Context, cypher string, params map[string]any, each func(*driver.Record) (more bool, err error)) error
}

// grace is how much longer than the server's own limit an answer is waited for.
const grace = 5 * time.Second

// reads is the runner of reads: each statement is a transaction of its own, tried again while nothing of its
// answer was used. Neo4j reads what is committed at the moment of reading, in one transaction as in several.
type reads struct{ store *Store }

func (s *Store) reads() runner { return reads{s} }

func (r reads) query(ctx context.Context, cypher string, params map[string]any) (out []*driver.Record, err error) {
	err = r.store.retry(ctx, func(ctx context.Context) error {
		out, err = r.store.once(ctx, driver.AccessModeRead, cypher, params)
		return err
	})
	return out, err
}

// stream gives each the records as the server sends them; it is not tried again once each has seen one.
func (r reads) stream(ctx context.Context, cypher string, params map[string]any, each func(*driver.Record) (bool, error)) error {
	return r.store.retry(ctx, func(ctx context.Context) error {
		result, done, err := r.store.auto(ctx, driver.AccessModeRead, cypher, params)
		if err != nil {
			return err
		}
		defer done()
		begun := false
		err = walk(ctx, result, func(rec *driver.Record) (bool, error) {
			begun = true
			return each(rec)
		})
		if begun && err != nil {
			return late{err}
		}
		return err
	})
}

// nothing is the runner where nothing is stored.
type nothing struct{}

func (nothing) query(ctx context.Context, _ string, _ map[string]any) ([]*driver.Record, error) {
	return nil, ctx.Err()
}

func (nothing) stream(ctx context.Context, _ string, _ map[string]any, _ func(*driver.Record) (bool, error)) error {
	return ctx.Err()
}

// walk calls each for the records of a result.
func walk(ctx context.Context, result driver.ResultWithContext, each func(*driver.Record) (bool, error)) error {
	for result.Next(ctx) {
		if more, err := each(result.Record()); err != nil || !more {
			return err
		}
	}
	return result.Err()
}

// once runs one statement in a transaction of its own.
func (s *Store) once(ctx context.Context, mode driver.AccessMode, cypher string, params map[string]any) ([]*driver.Record, error) {
	result, closeSession, err := s.auto(ctx, mode, cypher, params)
	if err != nil {
		return nil, err
	}
	defer closeSession()
	return result.Collect(ctx)
}

func (s *Store) auto(ctx context.Context, mode driver.AccessMode, cypher string, params map[string]any) (driver.ResultWithContext, func(), error) {
	session := s.session(ctx, mode)
	done := func() { _ = session.Close(context.WithoutCancel(ctx)) }
	result, err := session.Run(ctx, cypher, params, driver.WithTxTimeout(s.options.QueryTimeout))
	if err != nil {
		done()
		return nil, nil, err
	}
	return result, done, nil
}

func (s *Store) session(ctx context.Context, mode driver.AccessMode) driver.SessionWithContext {
	return s.driver.NewSession(ctx, driver.SessionConfig{
		AccessMode: mode, DatabaseName: s.options.Database, BookmarkManager: s.bookmarks, FetchSize: 1000,
	})
}

// writing is the runner inside an open write transaction.
type writing struct{ tx driver.ExplicitTransaction }

func (w writing) query(ctx context.Context, cypher string, params map[string]any) ([]*driver.Record, error) {
	result, err := w.tx.Run(ctx, cypher, params)
	if err != nil {
		return nil, err
	}
	return result.Collect(ctx)
}

func (w writing) stream(ctx context.Context, cypher string, params map[string]any, each func(*driver.Record) (bool, error)) error {
	result, err := w.tx.Run(ctx, cypher, params)
	if err != nil {
		return err
	}
	if err := walk(ctx, result, each); err != nil {
		return err
	}
	_, err = result.Consume(ctx)
	return err
}

// steady is the runner of a commit's own statements. They find everything by unique keys or the database's ids, so
// their plans are right whatever the database holds; planning them anew as it grows would take longer than many
// commits.
type steady struct{ runner }

const keepPlan = "CYPHER replan=skip "

func (s steady) query(ctx context.Context, cypher string, params map[string]any) ([]*driver.Record, error) {
	return s.runner.query(ctx, keepPlan+cypher, params)
}

func (s steady) stream(ctx context.Context, cypher string, params map[string]any, each func(*driver.Record) (bool, error)) error {
	return s.runner.stream(ctx, keepPlan+cypher, params, each)
}

// retry makes attempts until one succeeds, fails for good, or the time for it is over. The error is explained.
func (s *Store) retry(ctx context.Context, attempt func(ctx context.Context) error) error {
	end := time.Now().Add(s.options.RetryTime)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := s.limited(ctx, attempt)
		if err == nil || ctx.Err() != nil || !again(err) || time.Now().Add(pause).After(end) {
			return s.explain(ctx, err)
		}
		s.options.Log("neo4j: trying again: %v", err)
		s.meters.retries.Add(ctx, 1)
		if err := s.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// limited gives the attempt the time that the server has for it, and a little more.
func (s *Store) limited(ctx context.Context, attempt func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.QueryTimeout+grace)
	defer cancel()
	return attempt(ctx)
}
