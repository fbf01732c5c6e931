package format

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// What this package reads of JSON must be what encoding/json reads.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { "a" : [ 1 , -0.5e+7 , { } ] , "b" : "x \\\" \u00e4\ud83d\ude00" , "a" : null } `, `{"\u0061":1,"a b":true,"":false}`,
		`{"a":"\\"}`, `[]`, `{"a":}`, `{"a":01}`, `{"a":"\x"}`, `{"a":1}{`, `null`, ``, "{\"a\":\"\n\"}", `{"a":"\ud83d"}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if strings.Count(string(raw), "{")+strings.Count(string(raw), "[") > MaxDepth || !utf8.Valid(raw) {
			return // what Records gives is neither
		}
		fields, err := FieldsOf(raw)
		var want map[string]json.RawMessage
		if theirs := json.Unmarshal(raw, &want); (theirs == nil && want != nil) != (err == nil) {
			t.Fatalf("%q: %v, encoding/json says %v", raw, err, theirs)
		}
		if err != nil {
			return
		}
		for name, v := range want {
			got := fields.Get(name)
			if !bytes.Equal([]byte(got.Raw), v) {
				t.Fatalf("%q: %q is %q, want %q", raw, name, got.Raw, v)
			}
			var text string
			if json.Unmarshal(v, &text) == nil && text != fields.Text(name) {
				t.Fatalf("%q: %q has the text %q, want %q", raw, name, fields.Text(name), text)
			}
		}
		names := map[string]bool{}
		for field := range fields.All() {
			names[field.Name] = true
		}
		if len(names) != len(want) {
			t.Fatalf("%q: %d fields, want %d", raw, len(names), len(want))
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil || string(Compact(raw)) != compact.String() || string(fields.Without("no such")) != compact.String() {
			t.Fatalf("%q: %q, %q, want %q", raw, Compact(raw), fields.Without("no such"), compact.String())
		}
		o, err := ParseObject(raw)
		var theirs Object
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if fault := d.Decode(&theirs); fault != nil || err != nil || !reflect.DeepEqual(o, theirs) {
			t.Fatalf("%q: %v, want %v (%v, %v)", raw, o, theirs, err, fault)
		}
	})
}

func TestAFieldIsTakenOut(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a":1,"x":[{"x":2}],"b":{"x":3}}`:        `{"a":1,"b":{"x":3}}`,
		"{ \"x\" : 1 }":                            `{}`,
		`{"x":1,"a":"x , \"x\": ","x":2, "c" : 1}`: `{"a":"x , \"x\": ","c":1}`,
	} {
		fields, err := FieldsOf([]byte(raw))
		if err != nil || string(fields.Without("x")) != want {
			t.Errorf("%s: %s (%v), want %s", raw, fields.Without("x"), err, want)
		}
	}
}
