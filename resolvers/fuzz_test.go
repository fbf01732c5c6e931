package resolvers_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/clew-security/clew/resolvers"
)

// Whatever the body: an answer that is JSON with data or errors, never a failure inside, never a long message.
func FuzzBody(f *testing.F) {
	h := handler(newPhishing(f).store, func(c *resolvers.Config) { c.Limits.Time = time.Minute })
	for _, s := range []string{
		`{"query":"{incidents {nodes {id alerts(first: 2) {edges {cursor}}}}}"}`, `{"query":"query A($i: ID!, $n: Int) {incident(id: $i) {links(first: $n) {totalCount}}}","variables":{"i":"1","n":3}}`,
		`{"query":"{...F} fragment F on Query {...F}"}`, `{"query":"{alerts(after: \"AAAA\") {nodes {evidence {... on FileEvidence {fileDetails {fileSize}}}}}}"}`,
		`{"query":"{incidents @include(if: $x) {totalCount} __schema {types {name}}}"}`, `{"query":"{containment(incident: 1, actions: [{action: blockUrl, entityId: \"x\"}], reach: {maxHops: 2}) {cutOff} paths(incident: 1, to: \"x\", first: 11) {routes {hops}}}"}`,
		`{"query":"{blastRadius(incident: 1, at: \"2026-01-01T00:00:00Z\", targetKinds: [device]) {score}}"}`,
		`{"query":"{incidents(filter: {created: {from: 5}}) {totalCount}}","variables":null,"operationName":null}`, `[]`, `{`, ``, `{"query":"{a","variables":{"x":[1,{"y":null}]}}`,
		`{"query":"query A($f: IncidentFilter) {incidents(filter: $f) {totalCount}}","variables":{"f":{"severities":["high",5],"activity":{"from":"x"}}}}`,
		`{"query":"query A($d: Direction!) {entity(id: \"x\") {neighbors(direction: $d) {totalCount}}}","variables":{"d":"both"}}`, `{"query":"{incidents @defer {totalCount}}"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code >= 500 {
			t.Fatalf("status %d, %v: %s", w.Code, err, clipped(w.Body.Bytes()))
		}
		if (a.Data == nil && len(a.Errors) == 0) || len(a.Errors) > 10 {
			t.Fatalf("%s", clipped(w.Body.Bytes()))
		}
		for _, e := range a.Errors {
			if e.Extensions["code"] == nil || e.Extensions["code"] == "INTERNAL" || len(e.Message) > 310 {
				t.Fatalf("%v", e)
			}
		}
	})
}
