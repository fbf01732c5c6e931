package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Reject is one line of Pipeline.Rejects.
type Reject struct {
	File string `json:"file"`
	// Line where the record starts, from 1.
	Line int `json:"line"`
	// Offset of its first byte in the (decompressed) file, where several records stand on the line; else 0.
	Offset int64  `json:"offset,omitempty"`
	Reason string `json:"reason"`
	// Record is the record itself, whole, or the part of it that is rejected. Where it is no valid JSON, or
	// nested so deep that this line would be over format.MaxDepth, it is a JSON text with what it says.
	Record json.RawMessage `json:"record"`
}

// Place names the record: file and line, and the offset where several stand on the line.
func (r Reject) Place() string {
	return format.Raw{File: r.File, Line: r.Line, Offset: r.Offset, Within: r.Offset > 0}.Place()
}

func isReject(f format.Fields) bool { return f.Has("file", "line", "reason", "record") }

// decodeRejected decodes what was rejected, which is no reject itself.
func decodeRejected(raw []byte) ([]format.Record, error) {
	if fields, err := format.FieldsOf(raw); err == nil && isReject(fields) {
		return nil, format.Invalid("a reject within a reject")
	}
	return decodeAny(raw)
}

// unwrap decodes the record in a line of a reject file. One that is no object is rejected again.
func unwrap(raw []byte) ([]format.Record, error) {
	var r struct {
		Reason string          `json:"reason"`
		Record json.RawMessage `json:"record"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, format.Invalid("a reject: %s", format.Reword(err))
	}
	records, err := decodeRejected(r.Record)
	if !bytes.HasPrefix(r.Record, []byte("{")) {
		err = format.Invalid("%s%s", before, strings.TrimPrefix(r.Reason, before))
	}
	if err != nil {
		return []format.Record{{Flaw: err, Part: format.Part{Raw: r.Record}}}, nil
	}
	for i := range records {
		if records[i].Part.Raw == nil {
			records[i].Part.Raw = r.Record
		}
	}
	return records, nil
}

// before starts the reason of a text that is rejected again; once is enough.
const before = "rejected before and no object: "

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
	record, whole := quote(raw.Data)
	if !whole {
		reason += "; bytes that are no UTF-8 are replaced in what is kept"
	}
	if err := r.writeReject(raw, reason, record); err != nil {
		return err
	}
	if r.Strict {
		return fmt.Errorf("%w: %s: %s", ErrRejected, raw.Place(), reason)
	}
	return nil
}

func (r *run) writeReject(raw format.Raw, reason string, record json.RawMessage) error {
	if r.Rejects == nil {
		return nil
	}
	reject := Reject{File: strings.ToValidUTF8(raw.File, "\uFFFD"), Line: raw.Line, Reason: reason, Record: record}
	if raw.Within {
		reject.Offset = raw.Offset
	}
	line, err := graph.EncodeJSON(reject)
	if err == nil {
		_, err = r.Rejects.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRejects, err)
	}
	return nil
}

// quote is a record for a reject's line; whole is false where not all of it could be kept.
func quote(data []byte) (record json.RawMessage, whole bool) {
	if nesting(data) < format.MaxDepth && utf8.Valid(data) && json.Valid(data) {
		return data, true
	}
	text := strings.ToValidUTF8(string(data), "\uFFFD")
	b, err := graph.EncodeJSON(strings.TrimSpace(text))
	if err != nil {
		return json.RawMessage(`""`), false
	}
	return b, utf8.Valid(data)
}

// nesting is how deep the brackets of a JSON value nest at most.
func nesting(data []byte) int {
	depth, most, inText := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case !inText && (c == '{' || c == '['):
			depth++
			most = max(most, depth)
		case !inText && (c == '}' || c == ']'):
			depth--
		}
	}
	return most
}
