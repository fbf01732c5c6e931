package resolvers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers"
)

// doubling is a document in which each of n fragments spreads the next one twice: 2^n paths.
func doubling(n int, on, leaf string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on %s { ...F%d ...F%d }\n", i, on, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on %s { %s }\n", n, on, leaf)
	return b.String()
}

func nested(n int) string {
	return strings.Repeat("{ neighbors(first: 1) { nodes ", n) + "{ id }" + strings.Repeat(" } }", n)
}

// Each limit refuses what is just over it, with its own code and status, without any store call; the same
// just below it is answered.
func TestWhatIsOverALimitIsRefusedBeforeTheStoreIsAsked(t *testing.T) {
	p := newPhishing(t)
	entity := p.ann.ID().String()
	for _, c := range []struct {
		name         string
		below, above string
		status       int
		code         string
	}{
		{"depth", `{entity(id: "` + entity + `")` + nested(6) + `}`, `{entity(id: "` + entity + `")` + nested(7) + `}`, 422, "TOO_DEEP"},
		{"depth through fragments", "{...A} fragment A on Query {entity(id: \"" + entity + "\") {...B}} fragment B on Entity " + nested(6), "{...A} fragment A on Query {entity(id: \"" + entity + "\") {...B}} fragment B on Entity " + nested(7), 422, "TOO_DEEP"},
		{"aliases", "{" + aliased(50) + "}", "{" + aliased(51) + "}", 422, "TOO_LARGE"},
		{"fields", "{" + strings.Repeat("__typename ", 1000) + "}", "{" + strings.Repeat("__typename ", 1001) + "}", 422, "TOO_LARGE"},
		{"fragment spreads", "{" + strings.Repeat("...A ", 100) + "} fragment A on Query {__typename}", "{" + strings.Repeat("...A ", 101) + "} fragment A on Query {__typename}", 422, "TOO_LARGE"},
		{"directives", "{" + strings.Repeat("__typename @skip(if: false) ", 100) + "}", "{" + strings.Repeat("__typename @skip(if: false) ", 101) + "}", 422, "TOO_LARGE"},
		{"tokens", "{__typename" + strings.Repeat(",", 20_000) + "}", "{incidents(filter: {severities: [" + strings.Repeat("high ", 10_000) + "]}) {totalCount}}", 400, "GRAPHQL_PARSE_FAILED"},
		{"cost", "{incidents(first: 500) {nodes {alerts(first: 95) {nodes {id}}}}}", "{incidents(first: 500) {nodes {alerts(first: 500) {nodes {id}}}}}", 422, "TOO_COSTLY"},
		{"cost by default page size", "{incidents {nodes {alerts {nodes {evidence {roles}}}}}}", "{incidents {nodes {alerts {nodes {evidence {roles verdict entity {id}}}}}}}", 422, "TOO_COSTLY"},
		{"cost of heavy fields", "{" + blasts(49) + "}", "{" + blasts(50) + "}", 422, "TOO_COSTLY"},
		{"cost of introspection", "{a: __schema {description}}", "{a: __schema {description} b: __schema {description}}", 422, "TOO_COSTLY"},
		{"greatest first", "{incidents(first: 500) {totalCount}}", "{incidents(first: 501) {totalCount}}", 400, "INVALID_ARGUMENT"},
		{"least first", "{incidents(first: 1) {totalCount}}", "{incidents(first: 0) {totalCount}}", 400, "INVALID_ARGUMENT"},
		{"negative first", "{incidents(first: null) {totalCount}}", "{incidents(first: -1) {totalCount}}", 400, "INVALID_ARGUMENT"},
		{"first by a variable's default", "query($n: Int = 5) {incidents(first: $n) {totalCount}}", "query($n: Int = 501) {incidents(first: $n) {totalCount}}", 400, "INVALID_ARGUMENT"},
		{"first of more than 32 bits", "{incidents {totalCount}}", "{incidents(first: 4294967297) {totalCount}}", 400, "INVALID_ARGUMENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &counting{Reader: p.store}
			ask(t, handler(store), c.below)
			store.calls.Store(0)
			a := send(t, handler(store), post(c.above))
			if a.status != c.status || a.code() != c.code || a.Data != nil {
				t.Errorf("status %d, code %s, want %d, %s: %s", a.status, a.code(), c.status, c.code, clipped(a.body))
			}
			if n := store.calls.Load(); n != 0 {
				t.Errorf("%d store calls for a refused query", n)
			}
			if len(a.body) > 2000 {
				t.Errorf("the refusal has %d bytes", len(a.body))
			}
		})
	}
}

func aliased(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: __typename ", i)
	}
	return b.String()
}

func blasts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "b%d: blastRadius(incident: \"1\") {score} ", i)
	}
	return b.String()
}

func TestATooCostlyQueryIsToldCostAndLimit(t *testing.T) {
	a := send(t, handler(newPhishing(t).store), post("{incidents(first: 500) {nodes {alerts(first: 500) {nodes {id}}}}}"))
	if a.Errors[0].Extensions["limit"] != 100_000.0 || a.Errors[0].Extensions["cost"].(float64) <= 100_000 {
		t.Errorf("extensions %v", a.Errors[0].Extensions)
	}
}

// The walks must not follow every path: 2^30 of them would take minutes, 2^90 for ever.
func TestFragmentsThatSpreadEachOtherTwiceAreReckonedOnce(t *testing.T) {
	h := handler(newPhishing(t).store)
	for _, n := range []int{30, 49} {
		a := ask(t, h, "{...F0}\n"+doubling(n, "Query", "__typename"))
		if a.at(t, "__typename") != "Query" {
			t.Errorf("n=%d: %s", n, clipped(a.body))
		}
		a = send(t, h, post("{incidents(first: 500) {...F0}}\n"+doubling(n, "IncidentConnection", "nodes {alerts(first: 500) {nodes {id}}}")))
		if a.code() != "TOO_COSTLY" {
			t.Errorf("n=%d: %s", n, clipped(a.body))
		}
	}
	// fragments around fields multiply along the way
	a := send(t, h, post("{incidents {nodes {...F0}}} fragment F0 on Incident {redirectsTo {...F0}}"))
	if a.code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("a fragment in itself: %s", clipped(a.body))
	}
}

func TestManyValidationErrorsGiveASmallAnswer(t *testing.T) {
	h := handler(newPhishing(t).store, func(c *resolvers.Config) {
		c.Limits = resolvers.Limits{Tokens: 100_000, Directives: 50_000, Fields: 50_000}
	})
	a := send(t, h, post("{__typename "+strings.Repeat("@nothing ", 20_000)+"}"))
	if a.status != http.StatusBadRequest || len(a.Errors) != 10 || len(a.body) > 5000 {
		t.Errorf("status %d, %d errors, %d bytes", a.status, len(a.Errors), len(a.body))
	}
	if last := a.Errors[9].Message; !strings.HasPrefix(last, "and ") {
		t.Errorf("the last error does not count the rest: %q", last)
	}
	if a := send(t, h, post("{a b c d e f g h i}")); len(a.Errors) != 9 {
		t.Errorf("nine errors became %d", len(a.Errors))
	}
}

func TestMessagesAreCut(t *testing.T) {
	a := send(t, handler(newPhishing(t).store), post("{"+strings.Repeat("x", 500_000)+"}"))
	if len(a.body) > 1000 || a.status != http.StatusBadRequest {
		t.Errorf("status %d, %d bytes", a.status, len(a.body))
	}
}

func TestABodyThatIsTooLargeIs413(t *testing.T) {
	h := handler(newPhishing(t).store)
	fits := post("{__typename}", "pad", strings.Repeat("x", 1<<20-100))
	if a := send(t, h, fits); a.status != http.StatusOK {
		t.Errorf("a body below the limit: %d %s", a.status, clipped(a.body))
	}
	a := send(t, h, post("{__typename}", "pad", strings.Repeat("x", 1<<20)))
	if a.status != http.StatusRequestEntityTooLarge || a.code() != "TOO_LARGE" {
		t.Errorf("status %d, %s", a.status, clipped(a.body))
	}
	r := httptest.NewRequest(http.MethodGet, "/graphql?query={__typename}&x="+strings.Repeat("x", 1<<20), nil)
	if a := send(t, h, r); a.status != http.StatusRequestURITooLong {
		t.Errorf("status %d, %s", a.status, clipped(a.body))
	}
}

// The deadline reaches the store as its context, and a resolver that waits for it is answered for.
func TestAQueryThatTakesTooLongEnds(t *testing.T) {
	store := &counting{Reader: newPhishing(t).store, disturb: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("the store got no deadline")
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	short := func(c *resolvers.Config) { c.Limits.Time = 20 * time.Millisecond }
	a := send(t, handler(store, short), post(`{incidents {totalCount}}`))
	if a.code() != "DEADLINE_EXCEEDED" {
		t.Errorf("%s", clipped(a.body))
	}
	store.disturb = nil
	if a := send(t, handler(store, func(c *resolvers.Config) { c.Limits.Time = time.Nanosecond }), post(`{__typename}`)); a.status != http.StatusServiceUnavailable || a.code() != "DEADLINE_EXCEEDED" {
		t.Errorf("status %d: %s", a.status, clipped(a.body))
	}
	ask(t, handler(store), `{incidents {totalCount}}`)
}

func TestInternalErrorsAreLoggedAndNotTold(t *testing.T) {
	var log bytes.Buffer
	logged := func(c *resolvers.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }
	for name, failing := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("disk /var/lib/clew: S3CRET") },
		"panic": func(context.Context) error { panic("S3CRET in a panic") },
	} {
		log.Reset()
		store := &counting{Reader: newPhishing(t).store, disturb: failing}
		a := send(t, handler(store, logged), post(`{incident(id: "1") {id}}`))
		id, _ := a.Errors[0].Extensions["id"].(string)
		if a.code() != "INTERNAL" || id == "" || bytes.Contains(a.body, []byte("S3CRET")) || bytes.Contains(a.body, []byte("goroutine")) {
			t.Errorf("%s: %s", name, clipped(a.body))
		}
		if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "S3CRET") {
			t.Errorf("%s: logged %q without %q", name, log.String(), id)
		}
	}
}

func TestAPanicOutsideOfTheResolversIsAnswered(t *testing.T) {
	h := handler(newPhishing(t).store, func(c *resolvers.Config) {
		c.View = func(*http.Request) graph.View { panic("S3CRET") }
	})
	a := send(t, h, post(`{__typename}`))
	if a.status != http.StatusInternalServerError || a.code() != "INTERNAL" || bytes.Contains(a.body, []byte("S3CRET")) {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

// A variable that is the text of a number must not slip past the cost that the number would have.
func TestTheSizeOfAPageInAVariableIsReckoned(t *testing.T) {
	h := handler(newPhishing(t).store)
	query := `query($n: Int) {incidents(first: $n) {nodes {alerts(first: $n) {nodes {id}}}}}`
	for _, c := range []struct {
		n    any
		code string
	}{{200, ""}, {500, "TOO_COSTLY"}, {"500", "INVALID_ARGUMENT"}, {501, "INVALID_ARGUMENT"}, {int64(1) << 40, "INVALID_ARGUMENT"}, {-1, "INVALID_ARGUMENT"}, {nil, ""}, {1.5, "INVALID_ARGUMENT"}, {1e30, "INVALID_ARGUMENT"}, {true, "INVALID_ARGUMENT"}} {
		if a := send(t, h, post(query, "n", c.n)); a.code() != c.code {
			t.Errorf("%v: %s", c.n, clipped(a.body))
		}
	}
}

func TestDeferIsNotOffered(t *testing.T) {
	h := handler(newPhishing(t).store)
	if a := send(t, h, post(`{incidents {... @defer {totalCount}}}`)); a.code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("%s", a.body)
	}
	if a := ask(t, h, `{__schema {directives {name}}}`); bytes.Contains(a.body, []byte("defer")) {
		t.Errorf("%s", a.body)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	p := newPhishing(t)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	if a := send(t, handler(p.store), post(`{incidents {totalCount}}`)); a.code() != "UNAVAILABLE" {
		t.Errorf("%s", clipped(a.body))
	}
}

func TestAnswersNeverEchoTheBody(t *testing.T) {
	h := handler(newPhishing(t).store)
	for _, body := range []string{
		`{"query": "{__typename}", "password":"S3CRET"`, `{"query": 5, "password":"S3CRET"}`, `["S3CRET"]`, `"S3CRET"`,
		`{"query":"{__typename}","variables":"S3CRET"}`, `{"query":"{__typename}"}{"password":"S3CRET"}`, `S3CRET`,
	} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		a := send(t, h, r)
		if a.status != http.StatusBadRequest || bytes.Contains(a.body, []byte("S3CRET")) {
			t.Errorf("%s: status %d, %s", body, a.status, a.body)
		}
	}
}

func TestHTTP(t *testing.T) {
	h := handler(newPhishing(t).store)
	const modern, old = "application/graphql-response+json", "application/json"
	ok, wrong, broken := `{"query":"{__typename}"}`, `{"query":"{nothing}"}`, `{"query":"{"}`
	for _, c := range []struct {
		name, method, contentType, accept, body, url string
		status                                       int
		answers                                      string
	}{
		{"a query", "POST", old, modern, ok, "", 200, modern},
		{"a query from an old client", "POST", old, old, ok, "", 200, old},
		{"a query without Accept", "POST", old, "", ok, "", 200, old},
		{"any answer", "POST", old, "*/*", ok, "", 200, old},
		{"a preference", "POST", old, "application/json;q=0.9, application/graphql-response+json", ok, "", 200, modern},
		{"a charset", "POST", old + "; charset=utf-8", modern, ok, "", 200, modern},
		{"a foreign charset", "POST", old + "; charset=latin1", modern, ok, "", 415, modern},
		{"an invalid document", "POST", old, modern, wrong, "", 400, modern},
		{"an invalid document from an old client", "POST", old, old, wrong, "", 200, old},
		{"a document that does not parse", "POST", old, modern, broken, "", 400, modern},
		{"a document that does not parse from an old client", "POST", old, old, broken, "", 200, old},
		{"no query", "POST", old, modern, `{}`, "", 400, modern},
		{"an unknown operation", "POST", old, modern, `{"query":"query A {__typename}","operationName":"B"}`, "", 400, modern},
		{"a missing variable", "POST", old, modern, `{"query":"query A($i: ID!) {node(id: $i) {id}}"}`, "", 400, modern},
		{"a batch", "POST", old, modern, "[" + ok + "]", "", 400, modern},
		{"a form", "POST", "application/x-www-form-urlencoded", modern, "query={__typename}", "", 415, modern},
		{"plain text", "POST", "text/plain", modern, ok, "", 415, modern},
		{"no content type", "POST", "", modern, ok, "", 415, modern},
		{"no acceptable answer", "POST", old, "text/html", ok, "", 406, old},
		{"a refused media type by weight", "POST", old, "application/json;q=0", ok, "", 406, old},
		{"GET", "GET", "", modern, "", "?query=" + url.QueryEscape("query A($i: ID!) {node(id: $i) {id}}") + "&variables=" + url.QueryEscape(`{"i":"1"}`), 200, modern},
		{"GET without a query", "GET", "", modern, "", "", 400, modern},
		{"GET with bad variables", "GET", "", modern, "", "?query={__typename}&variables=x", 400, modern},
		{"GET with a mutation", "GET", "", modern, "", "?query=mutation{x}", 400, modern},
		{"PUT", "PUT", old, modern, ok, "", 405, modern},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/graphql"+c.url, strings.NewReader(c.body))
			for name, v := range map[string]string{"Content-Type": c.contentType, "Accept": c.accept} {
				if v != "" {
					r.Header.Set(name, v)
				}
			}
			a := send(t, h, r)
			if a.status != c.status || a.header.Get("Content-Type") != c.answers+"; charset=utf-8" {
				t.Errorf("status %d, %s: %s", a.status, a.header.Get("Content-Type"), clipped(a.body))
			}
			if (a.Data == nil) == (len(a.Errors) == 0) {
				t.Errorf("data and errors do not exclude each other: %s", clipped(a.body))
			}
		})
	}
}

func TestUnknownIDsAreNullAndBrokenOnesAreNot(t *testing.T) {
	h := handler(newPhishing(t).store)
	none := graph.NewID(graph.KindDevice, "none").String()
	noAlert := graph.NewID(graph.KindAlert, "none").String()
	a := ask(t, h, `{incident(id: "99") {id} alert(id: "`+noAlert+`") {id} entity(id: "`+none+`") {id} i: node(id: "99") {id} a: node(id: "`+noAlert+`") {id} e: node(id: "`+none+`") {id} entityOfAlert: entity(id: "`+noAlert+`") {id}}`)
	for field, v := range a.Data {
		if v != nil {
			t.Errorf("%s is %v", field, v)
		}
	}
	for _, q := range []string{
		`{incident(id: "x") {id}}`, `{incident(id: "0") {id}}`, `{alert(id: "1") {id}}`, `{entity(id: "device_") {id}}`, `{node(id: "") {id}}`,
		`{blastRadius {score}}`, `{blastRadius(from: ["` + none + `"], incident: "1") {score}}`, `{blastRadius(incident: "1", maxHops: 7) {score}}`,
		`{blastRadius(incident: "1", maxHops: 0) {score}}`, `{incidents(filter: {created: {from: "yesterday"}}) {totalCount}}`,
	} {
		if a := send(t, h, post(q)); a.code() != "INVALID_ARGUMENT" {
			t.Errorf("%s: %s", q, clipped(a.body))
		}
	}
	for _, q := range []string{`{attackStory(incident: "99") {number}}`, `{blastRadius(incident: "99") {score}}`, `{blastRadius(from: ["` + none + `"]) {score}}`} {
		if a := send(t, h, post(q)); a.code() != "NOT_FOUND" || a.status != http.StatusOK {
			t.Errorf("%s: %d %s", q, a.status, clipped(a.body))
		}
	}
}
