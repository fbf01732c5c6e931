// Package formattest holds every decoder to the same promises.
package formattest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Samples are the records of the files that the pattern matches, which framing must be able to read.
func Samples(t testing.TB, pattern string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no samples (%v)", pattern, err)
	}
	var out [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for raw, err := range format.Records(path, bytes.NewReader(text)) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, bytes.Clone(raw.Data))
		}
	}
	return out
}

// Fuzz decodes whatever the fuzzer makes of the samples and of these records.
func Fuzz(f *testing.F, decode format.Decoder, pattern string, more ...string) {
	for _, raw := range Samples(f, pattern) {
		f.Add(raw)
	}
	for _, raw := range more {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if utf8.Valid(raw) { // as all is that format.Records gives
			Sound(t, decode, raw)
		}
	})
}

// Sound decodes a record and checks what it gives: an ErrInvalid and nothing, or records that can each be committed
// alone; and the same again, without a trace left in raw.
func Sound(t testing.TB, decode format.Decoder, raw []byte) []format.Record {
	t.Helper()
	before := bytes.Clone(raw)
	records, err := decode(raw)
	if err != nil {
		if !errors.Is(err, graph.ErrInvalid) || records != nil {
			t.Errorf("%.300s: %d records and an error that is no ErrInvalid: %v", raw, len(records), err)
		}
		return nil
	}
	for _, r := range records {
		if err := check(r); err != nil {
			t.Errorf("%.300s: %v", raw, err)
		}
	}
	again, err := decode(raw)
	if err != nil || !reflect.DeepEqual(records, again) || !bytes.Equal(raw, before) {
		t.Errorf("%.300s: decoded again it is another (%v)", raw, err)
	}
	return records
}

func check(r format.Record) error {
	switch {
	case r.Flaw != nil:
		if !errors.Is(r.Flaw, graph.ErrInvalid) {
			return errors.New("a flaw that is no ErrInvalid: " + r.Flaw.Error())
		}
		return nil
	case r.Alert != nil:
		return graph.Batch{Alerts: []graph.AlertContent{*r.Alert}}.Validate()
	case r.Edge != nil:
		return graph.Batch{Entities: []graph.EntityObservation{r.Edge.From, r.Edge.To},
			Edges: []graph.EdgeObservation{r.Edge.Observation}}.Validate()
	case r.Entity != nil:
		return graph.Batch{Entities: []graph.EntityObservation{*r.Entity}}.Validate()
	}
	return errors.New("a record that says nothing")
}

// Bodies are the types of an alert's evidence, each with its own fields, in order of their names.
func Bodies(a graph.AlertContent) (out []string) {
	for _, e := range a.Evidence {
		var b map[string]any
		_ = json.Unmarshal(e.Body, &b)
		for _, base := range []string{"@odata.type", "createdDateTime", "roles", "verdict", "remediationStatus"} {
			delete(b, base)
		}
		own, _ := graph.EncodeJSON(b)
		out = append(out, e.Type+string(own))
	}
	return out
}
