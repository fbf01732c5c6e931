package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/explorer"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers"
)

// newHandler is the whole HTTP face of a development service.
func newHandler(store graph.Store, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", resolvers.Handler(resolvers.Config{
		Store:  store,
		View:   func(*http.Request) graph.View { return graph.View{Tenant: devTenant} },
		Logger: log,
	}))
	mux.Handle("POST /ingest/{format}", ingestHandler{store, correlate.New(correlate.DefaultSettings()), log})
	mux.HandleFunc("/ingest/{format}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "use POST")
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := store.Ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	mux.Handle("/", explorer.Handler())
	return withRequestID(fromHereOnly(mux))
}

// withRequestID gives every answer an id that the log carries too.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", rand.Text())
		next.ServeHTTP(w, r)
	})
}

// fromHereOnly refuses what a web page elsewhere could make a browser on this machine send: a foreign Host
// (DNS rebinding), a foreign Origin, and cross-site requests of any kind but opening a page. Without tokens
// this is all that stands between a malicious page and the graph.
func fromHereOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case !isLoopbackHost(r.Host):
			problem(w, http.StatusMisdirectedRequest, "this service answers to loopback addresses only")
		case origin != "" && origin != "http://"+r.Host:
			problem(w, http.StatusForbidden, "requests from other origins are refused")
		case site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
			problem(w, http.StatusForbidden, "requests from other sites are refused")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isLoopbackHost(hostPort string) bool {
	u, err := url.Parse("http://" + hostPort)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
}

// problem answers with a small JSON error; the text is ours and never the caller's.
func problem(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]any{"error": map[string]string{"message": text}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone; there is nobody to tell
}

// printAddresses says where what is.
func printAddresses(w io.Writer, a net.Addr) {
	base := "http://" + a.String()
	fmt.Fprintf(w, "\n  Explorer  %s/\n  GraphQL   %s/graphql\n  Ingest    %s/ingest/auto  (POST)\n\nCtrl-C stops.\n", base, base, base)
}

// mediaTypes that ingest takes. All of them make a browser ask first (CORS), which is refused.
var mediaTypes = map[string]bool{
	"application/json": true, "application/x-ndjson": true, "application/ndjson": true, "application/jsonl": true,
	"application/gzip": true, "application/x-gzip": true, "application/octet-stream": true,
}

var errMediaType = errors.New("Content-Type must be application/json, application/x-ndjson or application/gzip")

func checkMediaType(r *http.Request) error {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !mediaTypes[t] {
		return errMediaType
	}
	return nil
}
