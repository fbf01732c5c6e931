package resolvers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// refusal is a request that never becomes a GraphQL operation.
type refusal struct {
	status        int
	code, message string
}

// The texts say what is wrong and never quote what was sent: bodies hold secrets.
var (
	refusedMethod   = &refusal{http.StatusMethodNotAllowed, codeBadRequest, "use POST, or GET for queries"}
	refusedMedia    = &refusal{http.StatusUnsupportedMediaType, codeBadRequest, "the body must be application/json in UTF-8"}
	refusedSize     = &refusal{http.StatusRequestEntityTooLarge, codeTooLarge, "the request is too large"}
	refusedURI      = &refusal{http.StatusRequestURITooLong, codeTooLarge, "the request is too large"}
	refusedBody     = &refusal{http.StatusBadRequest, codeBadRequest, "the body could not be read"}
	refusedJSON     = &refusal{http.StatusBadRequest, codeBadRequest, "the request must be one JSON object with query, operationName, variables and extensions"}
	refusedNoQuery  = &refusal{http.StatusBadRequest, codeBadRequest, "query is missing"}
	refusedVariable = &refusal{http.StatusBadRequest, codeBadRequest, "variables and extensions must be JSON objects"}

	refusedSlow = &refusal{http.StatusRequestTimeout, codeBadRequest, "the body took too long to come"}
	refusedTurn = &refusal{http.StatusServiceUnavailable, codeOverloaded, "too many operations at once; try again soon"}
	refusedGet  = &refusal{http.StatusMethodNotAllowed, codeBadRequest, "GET is for queries only"}
)

const noOperation = "the document has no such operation; one of several is chosen with operationName"

// header sets what goes with a refusal.
func (f *refusal) header(h http.Header) {
	switch f {
	case refusedMethod:
		h.Set("Allow", "GET, POST")
	case refusedGet:
		h.Set("Allow", "POST")
	case refusedTurn:
		h.Set("Retry-After", "1")
	}
}

// read gives the operation's parameters.
func (s *server) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	switch r.Method {
	case http.MethodGet:
		return s.readURL(r)
	case http.MethodPost:
		return s.readBody(w, r)
	}
	return nil, refusedMethod
}

func (s *server) readBody(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	if err != nil || media != mediaJSON || (given && !strings.EqualFold(charset, "utf-8")) {
		return nil, refusedMedia
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.Body))
	// one that is left would end the request while it is worked on
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, refusedSlow
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, refusedSize
	}
	if err != nil {
		return nil, refusedBody
	}
	var p graphql.RawParams
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); !bytes.HasPrefix(trimmed, []byte("{")) || decode(body, &p) != nil {
		return nil, refusedJSON
	}
	return complete(&p, r)
}

func (s *server) readURL(r *http.Request) (*graphql.RawParams, *refusal) {
	if int64(len(r.URL.RawQuery)) > s.limits.Body {
		return nil, refusedURI
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refusedJSON
	}
	p := graphql.RawParams{Query: q.Get("query"), OperationName: q.Get("operationName")}
	for text, to := range map[string]*map[string]any{q.Get("variables"): &p.Variables, q.Get("extensions"): &p.Extensions} {
		if text != "" && decode([]byte(text), to) != nil {
			return nil, refusedVariable
		}
	}
	return complete(&p, r)
}

func complete(p *graphql.RawParams, r *http.Request) (*graphql.RawParams, *refusal) {
	if p.Query == "" {
		return nil, refusedNoQuery
	}
	p.Headers = r.Header
	return p, nil
}

// decode reads one JSON value that is all of the text; numbers keep their digits.
func decode(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}
