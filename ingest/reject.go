package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Reject is one line of Pipeline.Rejects.
type Reject struct {
	File string `json:"file"`
	// Line where the record starts, from 1.
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	// Record is the record itself; a JSON text with its head, at most format.MaxQuoted bytes, where it is
	// longer or no valid JSON.
	Record json.RawMessage `json:"record"`
}

// wrapped is what wrapping graph.ErrInvalid puts into a text; in a reject it goes without saying.
var wrapped = graph.ErrInvalid.Error() + ": "

// reject tells of a record that is not taken. In a strict import what precedes it is committed, and the
// import ends.
func (r *run) reject(ctx context.Context, raw format.Raw, flaw error) error {
	if r.Strict {
		if err := r.flushAll(ctx); err != nil {
			return err
		}
	}
	return r.refuse(raw, flaw)
}

// refuse counts and writes a reject; in a strict import it is the error.
func (r *run) refuse(raw format.Raw, flaw error) error {
	r.summary.Rejected++
	reason := strings.TrimPrefix(flaw.Error(), wrapped)
	reason = strings.ReplaceAll(reason, ": "+wrapped, ": ")
	if r.Rejects != nil {
		line, err := graph.EncodeJSON(Reject{raw.File, raw.Line, reason, quote(raw.Data)})
		if err == nil {
			_, err = r.Rejects.Write(append(line, '\n'))
		}
		if err != nil {
			return fmt.Errorf("writing rejects: %w", err)
		}
	}
	if r.Strict {
		return fmt.Errorf("%w: %s:%d: %s", ErrRejected, raw.File, raw.Line, reason)
	}
	return nil
}

func quote(data []byte) json.RawMessage {
	if len(data) <= format.MaxQuoted && json.Valid(data) {
		return data
	}
	text := strings.ToValidUTF8(string(data[:min(len(data), format.MaxQuoted)]), "\uFFFD")
	b, err := graph.EncodeJSON(string(bytes.TrimSpace([]byte(text))))
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}
