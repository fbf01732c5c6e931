package resolvers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers/internal/model"
)

// server is GraphQL over HTTP (graphql.github.io/graphql-over-http/draft) for one schema. gqlgen's own
// transports echo bodies, have no bound, and answer refusals with 200.
type server struct {
	exec      *executor.Executor
	limits    Limits
	view      func(*http.Request) graph.View
	actor     func(*http.Request) string
	log       *slog.Logger
	requestID func(*http.Request) string
	turns     chan struct{} // holds one for each operation that is worked on
}

// ServeHTTP is the protocol: agree on media types, read, execute within the deadline, answer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = s.named(r)
	media, ok := negotiate(r.Header.Values("Accept"))
	answer := answerer{w, media, s.limits.Errors}
	defer s.unhurried(w)
	defer s.recover(answer, r)
	s.hurry(w)
	if !ok {
		answer.refuse(http.StatusNotAcceptable, codeBadRequest, "answers are "+mediaGraphQL+" or "+mediaJSON)
		return
	}
	params, refused := s.read(w, r)
	if refused == nil {
		var response *graphql.Response
		done := s.change(r)
		if response, refused = s.operate(r.WithContext(withChange(r.Context(), done)), params); refused == nil {
			done.header(w.Header())
			answer.write(response)
			return
		}
	}
	refused.header(w.Header())
	answer.refuse(refused.status, refused.code, refused.message)
}

// change is what the request's operation is about to change.
func (s *server) change(r *http.Request) *change {
	if s.actor == nil {
		return &change{}
	}
	return &change{actor: s.actor(r)}
}

// named puts the request's id where errors find it.
func (s *server) named(r *http.Request) *http.Request {
	if s.requestID == nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), requestKey{}, s.requestID(r)))
}

// hurry lets the connection end where the client takes too long to send the body or to take the answer. A writer
// that has no deadlines, such as a test's, goes without.
func (s *server) hurry(w http.ResponseWriter) {
	c, now := http.NewResponseController(w), time.Now()
	_ = c.SetReadDeadline(now.Add(s.limits.Reading))
	_ = c.SetWriteDeadline(now.Add(s.limits.Reading + s.limits.Waiting + s.limits.Time + s.limits.Writing))
}

// unhurried sends the answer off and frees the connection for the next request.
func (s *server) unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.Flush()
	_ = c.SetWriteDeadline(time.Time{})
}

// operate works on the operation when it is its turn.
func (s *server) operate(r *http.Request, params *graphql.RawParams) (*graphql.Response, *refusal) {
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.Time)
	defer cancel()
	if !s.turn(ctx) {
		return nil, refusedTurn
	}
	defer func() { <-s.turns }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, end := model.WithEnds(ctx)
	defer end()
	ctx = model.WithBudget(ctx, model.NewBudget(s.limits.Resolved, s.limits.Text, stop))
	return s.execute(graphql.StartOperationTrace(withView(ctx, s.view(r))), r, params)
}

// turn waits for the operation's turn, and reports whether it came.
func (s *server) turn(ctx context.Context) bool {
	select {
	case s.turns <- struct{}{}:
		return true
	default:
	}
	waited := time.NewTimer(s.limits.Waiting)
	defer waited.Stop()
	select {
	case s.turns <- struct{}{}:
		return true
	case <-waited.C:
	case <-ctx.Done():
	}
	return false
}

func (s *server) execute(ctx context.Context, r *http.Request, params *graphql.RawParams) (*graphql.Response, *refusal) {
	op, errs := s.exec.CreateOperationContext(ctx, params)
	if len(errs) > 0 && op.Doc != nil && op.Doc.Operations.ForName(params.OperationName) == nil {
		errs = gqlerror.List{codedError(codeValidation, noOperation)}
	}
	if errs = plainErrors(errs); len(errs) > 0 {
		return s.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs), nil
	}
	if r.Method == http.MethodGet && op.Operation.Operation != ast.Query {
		return nil, refusedGet
	}
	responses, ctx := s.exec.DispatchOperation(ctx, op)
	response := responses(ctx)
	if cutShort(ctx, response) {
		response = s.exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(context.Cause(ctx))})
	}
	return response, nil
}

// cutShort reports whether the operation was ended before it was done. No response is the executor's sign for a
// context that has ended; one with errors has holes wherever the end was noticed.
func cutShort(ctx context.Context, r *graphql.Response) bool {
	return r == nil || errors.Is(context.Cause(ctx), model.ErrCostly) || (ctx.Err() != nil && len(r.Errors) > 0)
}

// recover answers for a panic outside of any resolver.
func (s *server) recover(answer answerer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(v)
	}
	err := recovered(s.log)(r.Context(), v)
	answer.write(s.exec.DispatchError(r.Context(), gqlerror.List{gqlerror.Wrap(err)}))
}
