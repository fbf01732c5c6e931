// Package resolvers is the GraphQL face: POST and GET by the GraphQL over HTTP specification, thin resolvers over the
// domain, and every limit in one place.
package resolvers

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers/internal/generated"
	"github.com/clew-security/clew/resolvers/internal/model"
)

// Config is what the handler needs.
type Config struct {
	// Store is read; required.
	Store graph.Reader
	// Writer takes changes; where nil, they are refused: this replica is read-only. It writes what Store reads.
	Writer graph.Writer
	// Actor names who asks, as authentication left it in the request; it is kept with what is changed. Nobody where
	// nil.
	Actor func(*http.Request) string
	// View says who asks, from what authentication left in the request; required. Nothing in a query changes
	// it.
	View func(*http.Request) graph.View
	// Ground gives a view's graph to questions of reach, as of now or earlier; nil has them read the Store. It must
	// show what View.AtLeast says.
	Ground func(context.Context, graph.View) traverse.Ground
	// Criticalities say how critical entities are; the zero value has the predefined rules alone.
	Criticalities graph.Criticalities
	// CursorKeys seal cursors: the first seals, the first two open, so that replicas can change keys one after
	// the other; 32 random bytes each. Without any, a random one, and cursors end with the process.
	CursorKeys [][]byte
	// RequestID names the request, for the log and as the id of internal errors; random ids where nil or empty.
	RequestID func(*http.Request) string
	// Limits of one request; a zero one is taken from DefaultLimits.
	Limits Limits
	// Logger gets what clients are not told: internal errors and panics, under the id that the client is given.
	// slog.Default where nil.
	Logger *slog.Logger
}

// Handler serves GraphQL at whatever path it is mounted: POST with a JSON body, GET with the same names as
// URL parameters. It answers application/graphql-response+json where that is asked for, application/json
// otherwise. Introspection is allowed. Safe for concurrent use.
func Handler(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	limits := cfg.Limits.orDefault()
	questions := query{cfg.Store, cfg.Ground, model.NewCursors(cfg.CursorKeys), cfg.Criticalities}
	resolvers := root{questions, mutation{questions, cfg.Writer}}
	schema := generated.NewExecutableSchema(generated.Config{Resolvers: resolvers, Schema: served()})
	exec := executor.New(schema)
	exec.SetParserTokenLimit(limits.Tokens)
	exec.SetQueryCache(newDocuments())
	exec.SetDefaultRulesFn(validationRules)
	exec.SetDisableSuggestion(true)
	exec.SetErrorPresenter(presenter(cfg.Logger))
	exec.SetRecoverFunc(recovered(cfg.Logger))
	exec.Use(extension.Introspection{})
	exec.Use(shapeLimit{limits})
	exec.Use(costLimit{schema.Schema(), limits})
	exec.AroundFields(budgeted)
	return &server{
		exec: exec, limits: limits, view: cfg.View, actor: cfg.Actor, log: cfg.Logger, requestID: cfg.RequestID,
		turns: make(chan struct{}, limits.Concurrent),
	}
}

// served is the schema without @defer, which gqlgen adds and a single answer cannot keep.
func served() *ast.Schema {
	s := *generated.NewExecutableSchema(generated.Config{}).Schema()
	s.Directives = maps.Clone(s.Directives)
	delete(s.Directives, "defer")
	return &s
}

// budgeted charges every field and list to the operation's budget, and writes lists that are ready.
func budgeted(ctx context.Context, next graphql.Resolver) (any, error) {
	if err := model.ChargeFields(ctx, 1); err != nil {
		return nil, err
	}
	v, err := next(ctx)
	if err == nil {
		err = model.ChargeValue(ctx, v)
	}
	if err != nil {
		return nil, err
	}
	return written(ctx, v)
}

// requestKey keys the request's id in its context.
type requestKey struct{}

// viewKey keys the view in a request's context.
type viewKey struct{}

func withView(ctx context.Context, v graph.View) context.Context {
	return context.WithValue(ctx, viewKey{}, v)
}

func viewOf(ctx context.Context) graph.View {
	v, _ := ctx.Value(viewKey{}).(graph.View)
	return v
}
