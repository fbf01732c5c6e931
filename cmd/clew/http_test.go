package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/ingest"
)

func newStore() graph.Store { return graphtest.NewModel(graphtest.NewClock().Now) }

// failing is a store that takes nothing and tells nothing.
type failing struct{ graph.Store }

func (failing) Apply(context.Context, graph.TenantID, graph.Batch) (graph.Receipt, error) {
	return graph.Receipt{}, errors.New("disk full")
}

func (failing) Incidents(context.Context, graph.View, graph.IncidentQuery) (graph.IncidentPage, error) {
	return graph.IncidentPage{}, errors.New("disk gone")
}

func exchange(h http.Handler, method, target, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if v := header["Host"]; v != "" {
		r.Host = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// What went wrong inside is found in the log under the id that the answer bears.
func TestTheRequestsIDIsInAnswerAndLog(t *testing.T) {
	for _, c := range []struct{ path, body string }{
		{"/graphql", `{"query":"{incidents {totalCount}}"}`},
		{"/ingest/clew", `{"type":"entity","kind":"device","keys":{"mdeDeviceId":"d1"},"observedAt":"2026-03-02T08:00:00Z"}`},
	} {
		var log bytes.Buffer
		h := newHandler(failing{newStore()}, reach{}, failing{newStore()}.Ready, slog.New(slog.NewTextHandler(&log, nil)))
		w := exchange(h, "POST", c.path, c.body, asJSON)
		id := w.Header().Get("Request-Id")
		if id == "" || !strings.Contains(log.String(), "id="+id) || !strings.Contains(log.String(), "disk") {
			t.Errorf("%s: id %q, logged %q", c.path, id, log.String())
		}
		if c.path == "/graphql" && !strings.Contains(w.Body.String(), `"id":"`+id+`"`) {
			t.Errorf("%s", w.Body)
		}
	}
}

// A link may open the explorer; nothing else comes in from another site or another port.
func TestOtherSitesMayOpenTheExplorerOnly(t *testing.T) {
	store := newStore()
	h := newHandler(store, reach{}, store.Ready, quiet())
	for _, site := range []string{"cross-site", "same-site"} {
		for _, c := range []struct {
			method, path, mode string
			want               int
		}{
			{"GET", "/", "navigate", 200}, {"GET", "/", "no-cors", 403}, {"POST", "/", "navigate", 403},
			{"GET", "/graphql?query={__typename}", "navigate", 403}, {"GET", "/healthz", "navigate", 403},
			{"POST", "/ingest/auto", "navigate", 403}, {"GET", "/assets/none.js", "navigate", 404},
		} {
			w := exchange(h, c.method, c.path, "", map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": c.mode})
			if w.Code != c.want {
				t.Errorf("%s %s %s as %s: %d, want %d", site, c.method, c.path, c.mode, w.Code, c.want)
			}
			if got := w.Header().Get("Cross-Origin-Resource-Policy"); got != "same-origin" {
				t.Errorf("%s: Cross-Origin-Resource-Policy %q", c.path, got)
			}
		}
	}
	if w := exchange(h, "GET", "/healthz", "", map[string]string{"Sec-Fetch-Site": "same-origin", "Host": "LocalHost:8080"}); w.Code != 200 {
		t.Errorf("the host in other letters: %d", w.Code)
	}
}

func TestIngestAnswersInOneShape(t *testing.T) {
	store := newStore()
	h := newHandler(store, reach{}, store.Ready, quiet())
	if w := exchange(h, "POST", "/ingest/clew", "", asJSON); w.Code != 202 || !strings.Contains(w.Body.String(), `"errors":[]`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{"/ingest/xml": 404, "/ingest/clew": 405} {
		if w := exchange(h, "GET", path, "", nil); w.Code != want {
			t.Errorf("GET %s: %d, want %d", path, w.Code, want)
		}
	}
}

// raw opens a connection, sends a text and returns what comes back until the connection ends or grows silent.
func raw(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

const stalledBody = "POST /ingest/clew HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"

func TestAnImportThatStandsStillEnds(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/ingest/{format}", ingestHandler{newStore(), correlate.New(correlate.DefaultSettings()), quiet(), 50 * time.Millisecond})
	server := httptest.NewServer(mux)
	defer server.Close()
	c := raw(t, server.Listener.Addr().String(), stalledBody)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute)) // for a failure to end
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 408") {
		t.Errorf("%v: %s", err, answer[:n])
	}
}

// A client that would go on sending hears at once that the store takes nothing.
func TestAnImportThatFailsIsAnsweredWhileTheBodyGoesOn(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/ingest/{format}", ingestHandler{failing{newStore()}, correlate.New(correlate.DefaultSettings()), quiet(), time.Hour})
	server := httptest.NewServer(mux)
	defer server.Close()
	body, more := io.Pipe()
	go func() {
		for i := range 2 * ingest.DefaultBatch {
			fmt.Fprintf(more, `{"id":"%d","productName":"P","createdDateTime":"2026-01-02T03:04:05Z"}`+"\n", i)
		}
	}()
	resp, err := http.Post(server.URL+"/ingest/graph", "application/x-ndjson", body) // which is never closed
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	_ = body.Close()
}

// A request that does not end must not keep an interrupted service, nor make a failure of the interrupt.
func TestAnInterruptEndsTheServiceWhateverIsInFlight(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan error, 1)
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	ctx, interrupt := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- serveUntil(ctx, l, h, quiet(), 20*time.Millisecond) }()
	raw(t, l.Addr().String(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	interrupt()
	if err := <-stopped; err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the request's context goes on")
	}
}
