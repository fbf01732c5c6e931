package ingest

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/formattest"
)

// junk is what a field may hold where something else belongs.
var junk = []string{
	`null`, `7`, `-1.5e300`, `true`, `""`, `" "`, `"soon"`, `"\u0000\u202e\ufffd"`, `"` + strings.Repeat("long ", 600) + `"`,
	`"1601-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"3/4/2026 5:06:07 AM"`, `"/Date(-62135596800000)/"`, `"/Date(999999999999999)/"`,
	`"00000000-0000-0000-0000-000000000000"`, `"@"`, `"a@b"`, `[]`, `{}`, `[null]`, `[null,7,"x"]`, `[[{}]]`, `{"a":{"b":[1]}}`, `{"value":7}`,
}

// everyField calls visit with a way to set each field and item of a JSON value, at any depth, and sets it back.
func everyField(v any, visit func(set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			old := v[name]
			visit(func(n any) { v[name] = n })
			v[name] = old
			everyField(old, visit)
		}
	case []any:
		for i, old := range v {
			visit(func(n any) { v[i] = n })
			v[i] = old
			everyField(old, visit)
		}
	}
}

// sampleRecords are those of a format's samples, an incident's alerts each by itself.
func sampleRecords(t *testing.T, f format.Format) (out []any) {
	t.Helper()
	for _, raw := range formattest.Samples(t, filepath.Join("testdata", "formats", f.Name, "*.json")) {
		raws := [][]byte{raw}
		if records, err := f.Decode(raw); err == nil && len(records) > 1 && records[0].Part.Raw != nil {
			raws = nil
			for _, r := range records {
				raws = append(raws, r.Part.Raw)
			}
		}
		for _, raw := range raws {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
	}
	return out
}

func TestWhateverAFieldHoldsIsAnErrorOrASoundBatch(t *testing.T) {
	for _, f := range formats {
		field, taken, refused := 0, 0, 0
		for _, record := range sampleRecords(t, f) {
			everyField(record, func(set func(any)) {
				for field++; field%3 != 0; field++ { // two of them in turn: fields repeat
					var v any
					_ = json.Unmarshal([]byte(junk[field%len(junk)]), &v)
					set(v)
					raw, _ := json.Marshal(record)
					n, err := sound(f.Decode, raw)
					if err != nil {
						t.Fatalf("%s: %v: %s", f.Name, err, raw)
					}
					taken, refused = taken+n, refused+1-min(n, 1)
				}
			})
		}
		t.Logf("%s: %d alerts and lines taken, %d records refused", f.Name, taken, refused)
		if taken == 0 || refused == 0 {
			t.Errorf("%s: the samples are too poor to test anything", f.Name)
		}
	}
}

// sound counts what is taken of a record; the error is one that no file may cause.
func sound(decode format.Decoder, raw []byte) (taken int, err error) {
	records, err := decode(raw)
	if err != nil && !errors.Is(err, graph.ErrInvalid) {
		return 0, err
	}
	for _, r := range records {
		if r.Flaw != nil {
			continue
		}
		if err := (unit{part: partOf(r)}).batch().Validate(); err != nil {
			return 0, err
		}
		taken++
	}
	return taken, nil
}
