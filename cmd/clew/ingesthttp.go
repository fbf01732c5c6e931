package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/clew-security/clew/client"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest"
)

// ingestHandler takes POST /ingest/{format}.
type ingestHandler struct {
	store  graph.Store
	decide graph.Decider
	log    *slog.Logger
}

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
	if err := checkMediaType(r); err != nil {
		problem(w, http.StatusUnsupportedMediaType, err.Error())
		return
	}
	rejects := &rejectList{}
	p := ingest.Pipeline{
		Store: h.store, Tenant: devTenant, Decode: decode, Decide: h.decide,
		Actor: "http", Cause: "POST /ingest", Rejects: rejects,
	}
	summary, err := p.Run(r.Context(), ingest.Input{Name: "body", Reader: http.MaxBytesReader(w, r.Body, maxRequest)})
	answer := client.Result{Summary: client.Summary(summary), Errors: rejects.first}
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
	case ctx.Err() != nil:
		return // the client has gone
	case errors.Is(err, graph.ErrClosed):
		status, text = http.StatusServiceUnavailable, "the service is stopping"
	case errors.Is(err, ingest.ErrStore):
		h.log.Error("ingest", "error", err)
		status, text = http.StatusServiceUnavailable, "the store did not take the batch; send the rest again"
	}
	writeJSON(w, status, struct {
		client.Result
		Error map[string]string `json:"error"`
	}{done, map[string]string{"message": text}})
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
