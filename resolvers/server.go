package resolvers

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/clew-security/clew/graph"
)

// server is GraphQL over HTTP (graphql.github.io/graphql-over-http/draft) for one schema. gqlgen's own
// transports echo bodies, have no bound, and answer refusals with 200.
type server struct {
	exec   *executor.Executor
	limits Limits
	view   func(*http.Request) graph.View
	log    *slog.Logger
}

// ServeHTTP is the protocol: agree on media types, read, execute within the deadline, answer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media, ok := negotiate(r.Header.Values("Accept"))
	answer := answerer{w, media, s.limits.Errors}
	defer s.recover(answer, r)
	if !ok {
		answer.refuse(http.StatusNotAcceptable, codeBadRequest, "answers are "+mediaGraphQL+" or "+mediaJSON)
		return
	}
	params, refusal := s.read(w, r)
	if refusal != nil {
		if refusal.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		answer.refuse(refusal.status, refusal.code, refusal.message)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.Time)
	defer cancel()
	s.execute(graphql.StartOperationTrace(withView(ctx, s.view(r))), answer, r, params)
}

func (s *server) execute(ctx context.Context, answer answerer, r *http.Request, params *graphql.RawParams) {
	op, errs := s.exec.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		answer.write(s.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs))
		return
	}
	if r.Method == http.MethodGet && op.Operation.Operation != ast.Query {
		answer.w.Header().Set("Allow", "POST")
		answer.refuse(http.StatusMethodNotAllowed, codeBadRequest, "GET is for queries only")
		return
	}
	responses, ctx := s.exec.DispatchOperation(ctx, op)
	response := responses(ctx)
	if response == nil { // the executor's sign for a context that has ended
		response = s.exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(context.Cause(ctx))})
	}
	answer.write(response)
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
