package neo4j

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// errUnknown marks a commit of which the answer was lost.
var errUnknown = errors.New("the outcome of the commit is not known")

// errLapped: too much was committed since to tell.
var errLapped = errors.New("an earlier attempt's commit may have been made")

// late is an error that came when a part of the answer had been used.
type late struct{ error }

func (l late) Unwrap() error { return l.error }

// again reports whether an attempt may be made again after the error.
func again(err error) bool {
	var used late
	if errors.As(err, &used) {
		return false
	}
	var lost *driver.ConnectivityError
	if errors.As(err, &lost) {
		return errors.Is(err, errUnknown) || driver.IsRetryable(lost)
	}
	return errors.Is(err, errUnknown) || driver.IsRetryable(err)
}

// ours reports whether the error is one that callers test for, and needs no explanation.
func ours(err error) bool {
	for _, known := range []error{
		graph.ErrInvalid, graph.ErrConflict, graph.ErrNotFound, graph.ErrClosed, graph.ErrVersion, graph.ErrTooOld, graph.ErrBatchTooLarge,
		graph.ErrImporting,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// explain turns what the driver says into what ctx says, where that ended, or into what to do about it.
func (s *Store) explain(ctx context.Context, err error) error {
	switch {
	case err == nil || ours(err):
		return err
	case errors.Is(err, errUnknown):
		return errors.Join(fmt.Errorf("%w; the same batch can be applied again", err), ctx.Err())
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("neo4j at %s gave no answer within %v: %w", place(s.options), s.options.QueryTimeout+grace, err)
	}
	var refused *driver.Neo4jError
	if errors.As(err, &refused) {
		return s.explainRefusal(refused)
	}
	var lost *driver.ConnectivityError
	if errors.As(err, &lost) || strings.Contains(err.Error(), "unsupported version") {
		return explainConnection(s.options, err)
	}
	return err
}

// explainRefusal says what the server's code means here.
func (s *Store) explainRefusal(e *driver.Neo4jError) error {
	at := place(s.options)
	switch {
	case strings.HasPrefix(e.Code, "Neo.ClientError.Security."):
		return fmt.Errorf("neo4j at %s does not let user %q in: check user, password and the user's roles: %w", at, s.options.User, e)
	case e.Code == "Neo.ClientError.Database.DatabaseNotFound":
		return fmt.Errorf("neo4j at %s has no database %q: create it, or name another: %w", at, s.options.Database, e)
	case strings.Contains(e.Code, ".Transaction.TransactionTimedOut"), strings.HasSuffix(e.Code, ".Transaction.LockClientStopped"):
		return fmt.Errorf("neo4j stopped a transaction that took longer than %v; where another writer of the tenant held it up (an export, an import, a large commit), try again when that has ended: %w", s.options.QueryTimeout, e)
	case strings.HasPrefix(e.Code, "Neo.TransientError.General.MemoryPoolOutOfMemory"), strings.Contains(e.Code, "OutOfMemory"):
		return fmt.Errorf("neo4j at %s has too little memory for this transaction: give it more heap, or send smaller batches: %w", at, e)
	}
	return fmt.Errorf("neo4j at %s: %w", at, e)
}

// explainConnection tells what is not there from what is something else.
func explainConnection(o Options, err error) error {
	for _, sign := range []string{"unsupported version", "HTTP", "handshake", "Timeout while waiting"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("what listens at %s does not answer as Neo4j's Bolt protocol wants: check host and port (7687 by default) and whether it wants TLS (+s): %w", place(o), err)
		}
	}
	return fmt.Errorf("neo4j at %s cannot be reached: check the address, whether it wants TLS (+s), and that the server runs: %w", place(o), err)
}

// badURI does not repeat the driver's words: they hold the URI, and it may hold a password.
func badURI(o Options, err error) error {
	var usage *driver.UsageError
	if errors.As(err, &usage) && strings.Contains(o.URI, "@") {
		return fmt.Errorf("%w: %s is no URI for Neo4j: user and password do not belong in it", graph.ErrInvalid, place(o))
	}
	return fmt.Errorf("%w: %q is no URI for Neo4j: it looks like bolt://host:7687 or neo4j+s://host:7687", graph.ErrInvalid, place(o))
}

// place is the server's address without what may be secret.
func place(o Options) string {
	u, err := url.Parse(o.URI)
	if err != nil || u.Host == "" {
		return "the given URI"
	}
	return u.Scheme + "://" + u.Host
}
