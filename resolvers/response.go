package resolvers

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The media types of answers.
const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
)

// negotiate picks the media type of the answer: application/json where the client has no preference, as the
// specification asks for clients from before the other existed. ok is false where it accepts neither.
func negotiate(accept []string) (media string, ok bool) {
	if len(accept) == 0 {
		return mediaJSON, true
	}
	best := 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		m, q := acceptable(part)
		if q > best {
			media, best = m, q
		}
	}
	if best == 0 {
		return mediaJSON, false
	}
	return media, true
}

// acceptable is the media type that one part of an Accept header stands for, with its weight.
func acceptable(part string) (media string, q float64) {
	m, params, err := mime.ParseMediaType(part)
	if err != nil {
		return "", 0
	}
	q = 1
	if text, ok := params["q"]; ok {
		if q, err = strconv.ParseFloat(text, 64); err != nil {
			return "", 0
		}
	}
	switch m {
	case mediaJSON, "application/*", "*/*":
		return mediaJSON, q
	case mediaGraphQL:
		return mediaGraphQL, q
	}
	return "", 0
}

// statuses of answers that hold no data, by the code of the first error. In application/json a document that
// is merely wrong is answered with 200, since such clients read other statuses as the network's.
var statuses = map[string]int{
	codeParse: http.StatusBadRequest, codeValidation: http.StatusBadRequest, codeBadRequest: http.StatusBadRequest,
	codeInvalidArgument: http.StatusBadRequest, codeTooCostly: http.StatusUnprocessableEntity,
	codeTooDeep: http.StatusUnprocessableEntity, codeTooLarge: http.StatusUnprocessableEntity,
	codeDeadlineExceeded: http.StatusServiceUnavailable, codeCanceled: http.StatusServiceUnavailable,
	codeUnavailable: http.StatusServiceUnavailable, codeOverloaded: http.StatusServiceUnavailable, codeInternal: http.StatusInternalServerError,
}

// answerer writes one answer.
type answerer struct {
	w      http.ResponseWriter
	media  string
	errors int
}

func (a answerer) refuse(status int, code, message string) {
	a.send(status, &graphql.Response{Errors: gqlerror.List{codedError(code, message)}})
}

func (a answerer) write(r *graphql.Response) {
	a.send(a.status(r), r)
}

func (a answerer) status(r *graphql.Response) int {
	if r.Data != nil || len(r.Errors) == 0 {
		return http.StatusOK
	}
	code, _ := r.Errors[0].Extensions["code"].(string)
	if a.media == mediaJSON && (code == codeParse || code == codeValidation) {
		return http.StatusOK
	}
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusBadRequest
}

// send writes errors first, as the specification advises, and data only where there was an execution.
func (a answerer) send(status int, r *graphql.Response) {
	body := []byte("{")
	if len(r.Errors) > 0 {
		errs, err := json.Marshal(few(r.Errors, a.errors))
		if err != nil {
			status, errs = http.StatusInternalServerError, []byte("[]")
		}
		body = append(append(body, `"errors":`...), errs...)
	}
	if r.Data != nil {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(append(body, `"data":`...), r.Data...)
	}
	h := a.w.Header()
	h.Set("Content-Type", a.media+"; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	body = append(body, '}')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	a.w.WriteHeader(status)
	_, _ = a.w.Write(body)
}

// few keeps the errors of an answer to the limit: a document or a list may give thousands.
func few(errs gqlerror.List, limit int) gqlerror.List {
	left := len(errs) - limit
	if left <= 0 {
		return errs
	}
	last := *errs[limit-1]
	last.Message, last.Path, last.Locations = fmt.Sprintf("and %d more errors", left+1), nil, nil
	return append(errs[:limit-1:limit-1], &last)
}
