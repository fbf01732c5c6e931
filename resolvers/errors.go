package resolvers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers/internal/model"
)

// The codes in errors[].extensions.code. They are stable; the messages are for people and are not.
const (
	codeNotFound         = "NOT_FOUND"
	codeInvalidArgument  = "INVALID_ARGUMENT"
	codeInvalidCursor    = "INVALID_CURSOR"
	codeTooCostly        = "TOO_COSTLY"
	codeTooDeep          = "TOO_DEEP"
	codeTooLarge         = "TOO_LARGE"
	codeDeadlineExceeded = "DEADLINE_EXCEEDED"
	codeCanceled         = "CANCELED"
	codeUnavailable      = "UNAVAILABLE"
	codeInternal         = "INTERNAL"
	codeOverloaded       = "OVERLOADED"
	codeReadOnly         = "READ_ONLY"
	codeBadRequest       = "BAD_REQUEST"
	codeValidation       = errcode.ValidationFailed
	codeParse            = errcode.ParseFailed
)

// known errors of the domain: what the client is told.
var known = []struct {
	err  error
	code string
}{
	{graph.ErrNotFound, codeNotFound}, {graph.ErrInvalid, codeInvalidArgument}, {model.ErrCursor, codeInvalidCursor},
	{model.ErrCostly, codeTooCostly}, {errReadOnly, codeReadOnly},
}

// untold errors have a text of their own: the error's may say more than is meant for clients.
var untold = []struct {
	err        error
	code, text string
}{
	{context.DeadlineExceeded, codeDeadlineExceeded, "the answer took too long"},
	{context.Canceled, codeCanceled, "the request was given up"},
	{graph.ErrClosed, codeUnavailable, "the service is stopping"},
	{graph.ErrImporting, codeUnavailable, "the tenant is being imported: ask again when that has ended"},
}

// maxMessage bounds a message: the parser's and validator's quote the document.
const maxMessage = 300

// codedError is an error as it is answered.
func codedError(code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: clip(message), Extensions: map[string]any{"code": code}}
}

// overLimit says what was over which limit, for programs too.
func overLimit(code, what string, have, limit int) *gqlerror.Error {
	e := codedError(code, fmt.Sprintf("%s is %d, at most %d", what, have, limit))
	e.Extensions["limit"] = limit
	if code == codeTooCostly {
		e.Message = fmt.Sprintf("%s is at least %d, at most %d is possible", what, have, limit)
		e.Extensions["cost"] = have
	}
	return e
}

// presenter turns every error into what the client is told; what it is not told is logged.
func presenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		out := graphql.DefaultErrorPresenter(ctx, err)
		told := tell(ctx, log, err, out)
		told.Path, told.Locations = out.Path, out.Locations
		return told
	}
}

// tell finds the code: that of the domain's error, else the one that gqlgen or a limit has set.
func tell(ctx context.Context, log *slog.Logger, err error, out *gqlerror.Error) *gqlerror.Error {
	for _, k := range known {
		if errors.Is(err, k.err) {
			return codedError(k.code, sentence(k.code, plain(causeOf(err, out), k.err)))
		}
	}
	for _, u := range untold {
		if errors.Is(err, u.err) {
			return codedError(u.code, u.text)
		}
	}
	if code, ok := out.Extensions["code"].(string); ok && out.Err == nil {
		told := codedError(code, out.Message)
		told.Extensions = out.Extensions
		return told
	}
	return internal(ctx, log, "internal error", "error", err.Error())
}

// causeOf is the domain's error without the path that gqlgen's text begins with.
func causeOf(err error, out *gqlerror.Error) error {
	if out.Err != nil {
		return out.Err
	}
	return err
}

// plain is the error's text without the name of its kind, which the code tells.
func plain(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }

// plainErrors says in our words, and under one code, what the parser's library says of numbers in several ways,
// of which those about variables name another value than was sent.
func plainErrors(errs gqlerror.List) gqlerror.List {
	for i, e := range errs {
		if strings.HasPrefix(e.Message, "Int cannot represent ") || notInt.MatchString(e.Message) {
			errs[i] = codedError(codeInvalidArgument, plain(model.ErrInt, graph.ErrInvalid))
			errs[i].Path, errs[i].Locations = e.Path, e.Locations
		}
	}
	return errs
}

// notInt matches what is said of a variable that is no Int.
var notInt = regexp.MustCompile(`^cannot use .* as Int$`)

// sentence makes one of a text that only names what was not found.
func sentence(code, text string) string {
	if code == codeNotFound && !strings.HasPrefix(text, "there is no ") {
		return "there is no " + text
	}
	return text
}

// recovered logs a panic and hides it.
func recovered(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, v any) error {
		return internal(ctx, log, "panic", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// internal tells the client an id, and the log under that id what happened.
func internal(ctx context.Context, log *slog.Logger, message string, args ...any) *gqlerror.Error {
	id, _ := ctx.Value(requestKey{}).(string)
	id = cmp.Or(id, rand.Text())
	log.ErrorContext(ctx, "graphql: "+message, append(args, "id", id, "path", graphql.GetPath(ctx).String())...)
	e := codedError(codeInternal, "internal error "+id)
	e.Extensions["id"] = id
	return e
}

// clip keeps a message short and printable.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}
