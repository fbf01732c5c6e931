package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/clew-security/clew/client"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest"
)

// ingestHandler takes POST /ingest/{format}.
type ingestHandler struct {
	store  graph.Store
	decide graph.Decider
	log    *slog.Logger
	idle   time.Duration
}

// ingestIdle bounds how long nothing may come of a body before the import ends, and how long the answer may take
// to go: an import may take hours, one that stands still holds a connection for nothing.
const ingestIdle = time.Minute

// maxRequest bounds one import's body in bytes, as sent.
const maxRequest = 4 << 30

// maxErrors bounds the rejects that an answer lists; the count is always whole.
const maxErrors = 100

// ServeHTTP answers 202 with counts once everything counted is durable.
func (h ingestHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	decode, known := ingest.Formats()[r.PathValue("format")]
	if !known {
		problem(w, http.StatusNotFound, "no such format: use "+formatNames())
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "use POST")
		return
	}
	if err := checkMediaType(r); err != nil {
		problem(w, http.StatusUnsupportedMediaType, err.Error())
		return
	}
	rejects := &rejectList{first: []client.Reject{}}
	body := &impatient{
		body: http.MaxBytesReader(w, r.Body, maxRequest), conn: http.NewResponseController(w), idle: h.idle,
	}
	p := ingest.Pipeline{
		Store: h.store, Tenant: devTenant, Decode: decode, Decide: h.decide,
		Actor: "http", Cause: "POST /ingest", Rejects: rejects,
	}
	summary, err := p.Run(r.Context(), ingest.Input{Name: "body", Reader: body, Stop: body.stop})
	if body.late.Load() { // the server ends the context too, which is what the pipeline tells
		err = os.ErrDeadlineExceeded
	}
	body.answering()
	defer body.answered()
	answer := client.Result{Summary: client.Summary(summary), Errors: rejects.first}
	if p, atErr := h.store.Position(r.Context(), graph.View{Tenant: devTenant}); atErr == nil {
		w.Header().Set(headerRevision, strconv.FormatUint(uint64(p.Revision), 10))
	}
	if err == nil {
		writeJSON(w, http.StatusAccepted, answer)
		return
	}
	h.fail(w, r.Context(), answer, err)
}

// fail answers with what was committed until the error, and a text that gives nothing away.
func (h ingestHandler) fail(w http.ResponseWriter, ctx context.Context, done client.Result, err error) {
	status, text := http.StatusBadRequest, "the body cannot be read to its end: "+err.Error()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		status, text = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		status, text = http.StatusRequestTimeout, fmt.Sprintf("nothing more came of the body for %v", h.idle)
	case ctx.Err() != nil:
		return // the client has gone
	case errors.Is(err, graph.ErrClosed):
		status, text = http.StatusServiceUnavailable, "the service is stopping"
	case errors.Is(err, graph.ErrImporting):
		status, text = http.StatusServiceUnavailable, "the tenant is being imported; send the rest again when that has ended"
	case errors.Is(err, ingest.ErrStore):
		h.log.Error("ingest", "id", requestID(ctx), "error", err)
		status, text = http.StatusServiceUnavailable, "the store did not take the batch; send the rest again"
	}
	writeJSON(w, status, struct {
		client.Result
		Error map[string]string `json:"error"`
	}{done, map[string]string{"message": text}})
}

// impatient ends a body of which nothing comes for a while.
type impatient struct {
	body io.Reader
	conn *http.ResponseController
	idle time.Duration
	late atomic.Bool
	// stopped: nobody wants the rest.
	stopped atomic.Bool
}

// stop lets a Read that waits return.
func (b *impatient) stop() {
	b.stopped.Store(true)
	_ = b.conn.SetReadDeadline(time.Now())
}

// Read waits for a while at most; the error is os.ErrDeadlineExceeded. At the end of the body the deadline goes:
// one that is left would end the request while it is worked on.
func (b *impatient) Read(p []byte) (int, error) {
	if b.late.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	_ = b.conn.SetReadDeadline(time.Now().Add(b.idle))
	if b.stopped.Load() { // perhaps before that line
		_ = b.conn.SetReadDeadline(time.Now())
	}
	n, err := b.body.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && !b.stopped.Load() {
		b.late.Store(true)
	}
	if err == io.EOF {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// answering lets the connection end where the client does not take the answer. The server first reads some of what
// is left of the body, until the deadline of the last read; where nobody wants it, for a moment only.
func (b *impatient) answering() {
	if b.stopped.Load() {
		_ = b.conn.SetReadDeadline(time.Now().Add(min(time.Second, b.idle)))
	}
	_ = b.conn.SetWriteDeadline(time.Now().Add(2 * b.idle))
}

// answered sends the answer off and frees the connection for the next request.
func (b *impatient) answered() {
	_ = b.conn.Flush()
	_ = b.conn.SetWriteDeadline(time.Time{})
}

// rejectList keeps the first rejects that a pipeline writes, one line of JSON each.
type rejectList struct{ first []client.Reject }

// Write takes one reject.
func (l *rejectList) Write(line []byte) (int, error) {
	if len(l.first) < maxErrors {
		var r client.Reject
		if err := json.Unmarshal(line, &r); err != nil {
			return 0, err
		}
		l.first = append(l.first, r)
	}
	return len(line), nil
}
