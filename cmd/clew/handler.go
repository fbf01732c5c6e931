package main

import (
	"context"
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
	"strconv"
	"strings"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/explorer"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers"
)

// newHandler is the whole HTTP face of a development service; ready says whether it can answer, more adds routes.
func newHandler(store graph.Store, r reach, ready func(context.Context) error, log *slog.Logger, more ...func(*http.ServeMux)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", resolvers.Handler(resolvers.Config{
		Store: store, Writer: store, Actor: func(*http.Request) string { return devActor },
		Ground: r.ground, Criticalities: r.grade,
		View: func(r *http.Request) graph.View {
			return graph.View{Tenant: devTenant, AtLeast: minRevision(r.Context())}
		},
		Logger: log, RequestID: func(r *http.Request) string { return requestID(r.Context()) },
	}))
	mux.Handle("/ingest/{format}", ingestHandler{store, correlate.New(correlate.DefaultSettings()), log, ingestIdle})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	for _, add := range more {
		add(mux)
	}
	mux.Handle("/", explorer.Handler())
	return withRequestID(fromHereOnly(withMinRevision(mux)))
}

// devActor is who changes things where nobody is asked for a token.
const devActor = "dev"

// Headers of revisions: an answer to a write says the revision that has it, and a question that says one waits
// until what answers has seen it, whichever replica that is.
const (
	headerRevision    = resolvers.HeaderRevision
	headerMinRevision = "Clew-Min-Revision"
)

// revisionKey keys the least revision that the request's answer must show.
type revisionKey struct{}

func minRevision(ctx context.Context) graph.Revision {
	r, _ := ctx.Value(revisionKey{}).(graph.Revision)
	return r
}

// withMinRevision reads the revision that a question says.
func withMinRevision(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get(headerMinRevision)
		if text == "" {
			next.ServeHTTP(w, r)
			return
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || len(r.Header.Values(headerMinRevision)) > 1 {
			problem(w, http.StatusBadRequest, headerMinRevision+" must be one whole number")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), revisionKey{}, graph.Revision(n))))
	})
}

// requestKey keys the request's id in its context.
type requestKey struct{}

// requestID is the id of the request that ctx belongs to, empty outside of one.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// withRequestID gives every request an id that its answer, its internal errors and the log carry.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		w.Header().Set("Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, id)))
	})
}

// fromHereOnly refuses what a web page elsewhere could make a browser on this machine send: a foreign Host
// (DNS rebinding), a foreign Origin, and requests from other sites and ports of any kind but opening the
// explorer. Without tokens this is all that stands between a malicious page and the graph.
func fromHereOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		origin := r.Header.Get("Origin")
		switch {
		case !isLoopbackHost(r.Host):
			problem(w, http.StatusMisdirectedRequest, "this service answers to loopback addresses only")
		case origin != "" && !strings.EqualFold(origin, "http://"+r.Host):
			problem(w, http.StatusForbidden, "requests from other origins are refused")
		case isForeign(r) && !opensExplorer(r):
			problem(w, http.StatusForbidden, "requests from other sites are refused")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isForeign reports whether a page of another origin made the browser send this. A site is a name without its
// port, so any other program's page on this machine is of the same site.
func isForeign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// opensExplorer reports whether a link or bookmark opens the explorer.
func opensExplorer(r *http.Request) bool {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	page := r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/assets/")
	return read && page && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

func isLoopbackHost(hostPort string) bool {
	u, err := url.Parse("http://" + hostPort)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || (err == nil && ip.IsLoopback())
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
	"application/gzip": true, "application/x-gzip": true, "application/zstd": true, "application/octet-stream": true,
}

var errMediaType = errors.New("Content-Type must be application/json, application/x-ndjson, application/gzip or application/zstd")

func checkMediaType(r *http.Request) error {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !mediaTypes[t] {
		return errMediaType
	}
	return nil
}
