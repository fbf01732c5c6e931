package main

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/internal/config"
)

// openServed opens the store of record. An embedded one can be backed up and checked while it is served.
func (s *assembly) openServed(ctx context.Context, c config.Config, meter metric.Meter) (record, error) {
	if c.Store.Kind != config.StoreEmbedded {
		return openRecord(ctx, c, s.log, meter)
	}
	store, err := openEmbedded(c, s.log)
	if err != nil {
		return nil, err
	}
	s.routes = append(s.routes, adminRoutes(store, s.log))
	return store, nil
}

// admin serves what a program of the operator's asks of the store as a whole.
type admin struct {
	store *embedded.Store
	log   *slog.Logger
	// idle bounds how long the one that asked may take nothing of the answer.
	idle time.Duration
	// busy is held by the one request that is worked on.
	busy sync.Mutex
}

func adminRoutes(store *embedded.Store, log *slog.Logger) func(*http.ServeMux) {
	a := &admin{store: store, log: log, idle: ingestIdle}
	return func(mux *http.ServeMux) {
		mux.Handle("/admin/backup", a.guarded(a.backup))
		mux.Handle("/admin/check", a.guarded(a.check))
	}
}

// guarded takes one POST at a time, of a program: what a browser sends is refused whatever its page, for no page of
// ours asks. The type of the content makes a browser that says nothing of itself ask first, which is refused too.
func (a *admin) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			problem(w, http.StatusMethodNotAllowed, "use POST")
		case ofBrowser(r):
			problem(w, http.StatusForbidden, "administration is not for browsers")
		case err != nil || kind != "application/json":
			problem(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
		case r.ContentLength != 0:
			problem(w, http.StatusRequestEntityTooLarge, "the body must be empty")
		case !a.busy.TryLock():
			problem(w, http.StatusConflict, "a backup or check is running already")
		default:
			defer a.busy.Unlock()
			w.Header().Set("Cache-Control", "no-store")
			next(w, r)
		}
	})
}

// ofBrowser knows a browser by the headers that no page can leave out or change.
func ofBrowser(r *http.Request) bool {
	for name := range r.Header {
		if name == "Origin" || name == "Referer" || strings.HasPrefix(name, "Sec-") {
			return true
		}
	}
	return false
}

// backup streams an archive. Where it ends early the connection breaks, so that nobody takes it for whole.
func (a *admin) backup(w http.ResponseWriter, r *http.Request) {
	out := &sending{w: w, conn: http.NewResponseController(w), idle: a.idle}
	err := a.store.Backup(r.Context(), out)
	switch {
	case err == nil:
		_ = out.conn.SetWriteDeadline(time.Time{})
	case out.begun:
		a.log.Error("backup", "id", requestID(r.Context()), "error", err)
		panic(http.ErrAbortHandler)
	default:
		a.fail(w, r, "backup", err)
	}
}

// check answers with the report.
func (a *admin) check(w http.ResponseWriter, r *http.Request) {
	report, err := a.store.Check(r.Context(), nil)
	if err != nil {
		a.fail(w, r, "check", err)
		return
	}
	writeJSON(w, http.StatusOK, report)
}

func (a *admin) fail(w http.ResponseWriter, r *http.Request, what string, err error) {
	if r.Context().Err() != nil {
		return // whoever asked has gone
	}
	a.log.Error(what, "id", requestID(r.Context()), "error", err)
	if errors.Is(err, graph.ErrClosed) {
		problem(w, http.StatusServiceUnavailable, "the service is stopping")
		return
	}
	problem(w, http.StatusServiceUnavailable, "the store cannot do it, the service's log says why; "+
		"where the store has stopped, end the service and use --data instead of --url")
}

// sending ends an answer of which nothing is taken for a while.
type sending struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	idle  time.Duration
	begun bool
}

// Write writes, the headers first.
func (s *sending) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "application/x-tar")
		h.Set("Content-Disposition", `attachment; filename="clew-backup.tar"`)
		h.Set("X-Content-Type-Options", "nosniff")
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.idle))
	return s.w.Write(b)
}
