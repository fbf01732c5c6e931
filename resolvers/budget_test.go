package resolvers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/resolvers"
)

// swollen is a store with so many alerts about the same devices, with that much evidence each.
func swollen(t testing.TB, alerts, devices int) (*phishing, graph.ID) {
	t.Helper()
	p := &phishing{store: graphtest.NewModel(graphtest.NewClock().Now)}
	var pcs []graph.EntityObservation
	var about []graph.Evidence
	for i := range devices {
		pc := thing(t, graph.KindDevice, "mdeDeviceId", fmt.Sprint("pc", i))
		pcs, about = append(pcs, pc), append(about, evidence("deviceEvidence", pc, `"hostName":"pc"`))
	}
	var last graph.ID
	for i := range alerts {
		a := alert(fmt.Sprint(i), "swollen", 1, about...)
		last = a.ID()
		p.apply(t, a, pcs...)
	}
	return p, last
}

// peak is the greatest growth of the heap while something runs, in bytes.
func peak(work func()) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		select {
		case <-done:
			return most - before
		case <-time.After(2 * time.Millisecond):
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
}

// The lists that a source wrote multiply: two alerts of 5000 pieces of evidence are an answer of 50 million. It
// must end early, as one error, and hold no more than an answer may.
func TestAnAnswerThatMultipliesEndsInsteadOfGrowing(t *testing.T) {
	p, id := swollen(t, 2, 5000)
	h := handler(p.store)
	for _, inner := range []string{"evidence {evidenceType}", "evidence {__typename}", "evidence {entity {alerts {nodes {id}}}}", "id title severity status"} {
		query := `query($id: ID!) {alert(id: $id) {evidence {entity {alerts(first: 50) {nodes {` + inner + `}}}}}}`
		var a answer
		grown := peak(func() { a = send(t, h, post(query, "id", id.String())) })
		if inner == "id title severity status" {
			if a.code() != "" {
				t.Errorf("an answer within the limits: %s", clipped(a.body))
			}
			continue
		}
		if a.status != http.StatusUnprocessableEntity || a.code() != "TOO_COSTLY" || len(a.Errors) != 1 || a.Data != nil {
			t.Errorf("%s: status %d: %s", inner, a.status, clipped(a.body))
		}
		if grown > 256<<20 {
			t.Errorf("%s: the heap grew by %d MiB", inner, grown>>20)
		}
		t.Logf("%s: %d MiB", inner, grown>>20)
	}
}

func TestEvidenceIsListedUpToABoundAndCountedWhole(t *testing.T) {
	p, id := swollen(t, 1, 600)
	a := ask(t, handler(p.store), `query($id: ID!) {alert(id: $id) {evidenceCount evidence {evidenceType}}}`, "id", id.String())
	if a.at(t, "alert", "evidenceCount") != 600.0 || len(a.at(t, "alert", "evidence").([]any)) != 500 {
		t.Errorf("%s", clipped(a.body))
	}
}

// Fields, items of lists, rows and text are each bounded, and what is just within is answered.
func TestWhatAnAnswerMayHoldIsBounded(t *testing.T) {
	p, id := swollen(t, 1, 100)
	for _, c := range []struct {
		name, fields  string
		enough, short resolvers.Limits
	}{
		{"fields and items", "evidence {evidenceType}", resolvers.Limits{Resolved: 202}, resolvers.Limits{Resolved: 201}},
		{"items without fields", "evidence {__typename}", resolvers.Limits{Resolved: 102}, resolvers.Limits{Resolved: 101}},
		{"text", "title", resolvers.Limits{Text: 7}, resolvers.Limits{Text: 6}},
		{"lists of text", "mitreTechniques", resolvers.Limits{Text: 9}, resolvers.Limits{Text: 8}},
		{"JSON", "evidence {raw}", resolvers.Limits{Text: 100 * 200}, resolvers.Limits{Text: 100 * 20}},
	} {
		query := `query($id: ID!) {alert(id: $id) {` + c.fields + `}}`
		limited := func(l resolvers.Limits) http.Handler {
			return handler(p.store, func(c *resolvers.Config) { c.Limits = l })
		}
		ask(t, limited(c.enough), query, "id", id.String())
		if a := send(t, limited(c.short), post(query, "id", id.String())); a.code() != "TOO_COSTLY" || a.Data != nil {
			t.Errorf("%s: %s", c.name, clipped(a.body))
		}
	}
}

// A client that has gone, or a deadline, ends also what is answered from memory alone.
func TestFieldsFromMemoryLookAtTheDeadline(t *testing.T) {
	p, id := swollen(t, 1, 1)
	store := &counting{Reader: p.store}
	store.disturb = func(ctx context.Context) error {
		time.Sleep(30 * time.Millisecond) // the store answers, too late
		return nil
	}
	h := handler(store, func(c *resolvers.Config) { c.Limits.Time = 10 * time.Millisecond })
	a := send(t, h, post(`query($id: ID!) {alert(id: $id) {title evidenceCount}}`, "id", id.String()))
	if a.status != http.StatusServiceUnavailable || a.code() != "DEADLINE_EXCEEDED" || len(a.Errors) != 1 || a.Data != nil {
		t.Errorf("status %d: %s", a.status, clipped(a.body))
	}
}

func TestOperationsWaitForTheirTurnAndAreRefusedThen(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	store := &counting{Reader: newPhishing(t).store, disturb: func(context.Context) error {
		entered <- struct{}{}
		<-leave
		return nil
	}}
	h := handler(store, func(c *resolvers.Config) { c.Limits.Concurrent, c.Limits.Waiting = 1, 10*time.Millisecond })
	first := make(chan answer)
	go func() { first <- send(t, h, post(`{incidents {totalCount}}`)) }()
	<-entered
	a := send(t, h, post(`{__typename}`))
	if a.status != http.StatusServiceUnavailable || a.code() != "OVERLOADED" || a.header.Get("Retry-After") != "1" {
		t.Errorf("status %d, %v: %s", a.status, a.header, clipped(a.body))
	}
	go func() {
		for range entered {
		}
	}()
	close(leave)
	if a := <-first; a.code() != "" {
		t.Errorf("%s", clipped(a.body))
	}
	ask(t, h, `{__typename}`)
}

// Every list in an argument is capped, also one that many rows would read again, and order and repetition do not
// make another list of it.
func TestListsInArgumentsAreCapped(t *testing.T) {
	h := handler(newPhishing(t).store)
	for _, field := range []string{
		"incidents(first: 5) {nodes {entities(kinds: $k) {totalCount}}}", `blastRadius(incident: "1", targetKinds: $k) {score}`,
		`attackPaths(incident: "1", reach: {targetKinds: $k}) {totalCount}`,
		"incidents(first: 5) {nodes {...F}}} fragment F on Incident {blastRadius(targetKinds: $k) {score}",
	} {
		query := `query($k: [EntityKind!]) {` + field + `}`
		ask(t, h, query, "k", repeated("device", 100))
		a := send(t, h, post(query, "k", repeated("device", 101)))
		if a.status != http.StatusBadRequest || a.code() != "INVALID_ARGUMENT" {
			t.Errorf("%s: %s", field, clipped(a.body))
		}
	}
	long := strings.Join(repeated("high", 101), " ")
	if a := send(t, h, post(`{incidents(filter: {severities: [`+long+`]}) {totalCount}}`)); a.code() != "INVALID_ARGUMENT" {
		t.Errorf("%s", clipped(a.body))
	}
	page := ask(t, h, `{incidents(first: 1, filter: {severities: [high, medium, high]}) {pageInfo {endCursor}}}`)
	cursor := page.at(t, "incidents", "pageInfo", "endCursor")
	ask(t, h, `query($c: String) {incidents(after: $c, filter: {severities: [medium, high]}) {totalCount}}`, "c", cursor)
}

func repeated(s string, n int) []string {
	return strings.Fields(strings.Repeat(s+" ", n))
}

func TestInstantsThatMeanNotGivenAreRefused(t *testing.T) {
	h := handler(newPhishing(t).store)
	query := `query($t: DateTime) {incidents(filter: {created: {before: $t}}) {totalCount}}`
	for at, code := range map[string]string{
		"0001-01-01T00:00:00Z": "INVALID_ARGUMENT", "1600-12-31T23:59:59.999999Z": "INVALID_ARGUMENT", "1601-01-01T00:30:00+01:00": "INVALID_ARGUMENT",
		"1601-01-01T00:00:00Z": "", "9999-12-31T23:59:59.999999Z": "", "9999-12-31T23:59:59-01:00": "INVALID_ARGUMENT",
	} {
		if a := send(t, h, post(query, "t", at)); a.code() != code {
			t.Errorf("%s: %s", at, clipped(a.body))
		}
	}
}

// Whatever is no Int is told so in the same words under one code.
func TestNumbersThatAreNoIntAreToldAlike(t *testing.T) {
	h := handler(newPhishing(t).store)
	for _, literal := range []string{"1.5", "1e1", "1000000000000000000000000000000", "4294967297"} {
		for _, field := range []string{"incidents(first: %s) {totalCount}", `blastRadius(incident: "1", maxHops: %s) {score}`} {
			a := send(t, h, post("{"+fmt.Sprintf(field, literal)+"}"))
			if a.code() != "INVALID_ARGUMENT" || !strings.HasPrefix(a.Errors[0].Message, "an Int is a whole number of 32 bits") {
				t.Errorf("%s: %s", literal, clipped(a.body))
			}
		}
	}
}

func TestMessagesAreSentences(t *testing.T) {
	h := handler(newPhishing(t).store)
	for query, want := range map[string]string{
		`{attackStory(incident: "99999") {number}}`:                         "there is no incident 99999",
		`{blastRadius(incident: "99999") {score}}`:                          "there is no incident 99999",
		`query A {__typename} query B {__typename}`:                         "the document has no such operation; one of several is chosen with operationName",
		`query($o: ListOrder = null) {incidents(orderBy: $o) {totalCount}}`: "",
	} {
		a := send(t, h, post(query))
		if want != "" && a.Errors[0].Message != want {
			t.Errorf("%s: %q", query, a.Errors[0].Message)
		}
	}
	query := `query($o: ListOrder = newestCreated) {incidents(orderBy: $o) {totalCount}}`
	if a := send(t, h, post(query, "o", nil)); a.code() != "INVALID_ARGUMENT" || !strings.Contains(a.Errors[0].Message, "leave it out") {
		t.Errorf("%s", clipped(a.body))
	}
}

func TestACursorWithLineBreaksIsRefused(t *testing.T) {
	h := handler(newPhishing(t).store)
	cursor := ask(t, h, `{incidents(first: 1) {pageInfo {endCursor}}}`).at(t, "incidents", "pageInfo", "endCursor").(string)
	for _, broken := range []string{cursor + "\n", "\r" + cursor, cursor[:5] + "\r\n" + cursor[5:]} {
		if a := send(t, h, post(`query($c: String) {incidents(after: $c) {totalCount}}`, "c", broken)); a.code() != "INVALID_CURSOR" {
			t.Errorf("%q: %s", broken, clipped(a.body))
		}
	}
}

// The id of the request is the one its internal errors are told and logged under.
func TestInternalErrorsHaveTheIDOfTheRequest(t *testing.T) {
	store := &counting{Reader: newPhishing(t).store, disturb: func(context.Context) error { return fmt.Errorf("disk") }}
	h := handler(store, func(c *resolvers.Config) { c.RequestID = func(*http.Request) string { return "REQUEST7" } })
	a := send(t, h, post(`{incident(id: "1") {id}}`))
	if a.code() != "INTERNAL" || a.Errors[0].Extensions["id"] != "REQUEST7" {
		t.Errorf("%s", clipped(a.body))
	}
}

// A body that does not come ends; the connection of one that came serves the next request, after its deadlines.
func TestASlowBodyEnds(t *testing.T) {
	h := handler(newPhishing(t).store, func(c *resolvers.Config) { c.Limits.Reading = 50 * time.Millisecond })
	server := httptest.NewServer(h)
	defer server.Close()
	body := &stalled{release: make(chan struct{})}
	defer close(body.release)
	r, err := http.NewRequest(http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// stalled is a body that begins and does not go on.
type stalled struct {
	begun   bool
	release chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		return copy(p, `{"query":`), nil
	}
	<-s.release
	return 0, fmt.Errorf("given up")
}

// The targets of an incident are one list whatever its evidence comes to say, so a cursor is good for it alone.
func TestACursorOfAnIncidentsTargetsNamesTheIncident(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	query := `query($c: String, $h: Int) {blastRadius(incident: "1", maxHops: $h) {targets(first: 1, after: $c) {pageInfo {endCursor}}}}`
	cursor := ask(t, h, query).at(t, "blastRadius", "targets", "pageInfo", "endCursor")
	more := alert("n", "More", 2.5, evidence("deviceEvidence", p.server, `"hostName":"srv1","roles":["compromised"]`), evidence("deviceEvidence", p.pc, `"hostName":"pc1"`))
	p.apply(t, more, p.server, p.pc)
	ask(t, h, query, "c", cursor)
	if a := send(t, h, post(query, "c", cursor, "h", 2)); a.code() != "INVALID_CURSOR" {
		t.Errorf("another question's cursor: %s", clipped(a.body))
	}
}
