package graph

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzValidJSON holds the check against the ones it stands for.
func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		"", " ", "{}", "[]", `{"a":[1,-0,0.5,1e9,1E-2,-1.25e+3,true,false,null,"x"]}`, `{"a":1,}`, `[1,]`, `[,1]`, `{"a" 1}`, `{1:2}`, "01", "1.", ".5",
		"-", "1e", "+1", "nul", "truex", `"\u00zz"`, `"\x"`, `"\ud800"`, "\"\n\"", "\"\xff\"", "\"é\"", ` { "a" : [ ] } `, "[[[[]]]]", "[[]", "{}{}", `"`, `"\`, "\x00",
		`{"a":{"b":{}}}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		const most = 50
		deep, ok := validJSON(v, most)
		want := json.Valid(v) && utf8.Valid(v)
		if want && depth(v) > most {
			if want = false; deep <= most {
				t.Fatalf("%q nests %d deep, not %d", v, depth(v), deep)
			}
		}
		if ok != want || ok && deep != depth(v) {
			t.Fatalf("%q: %t and %d deep, want %t and %d", v, ok, deep, want, depth(v))
		}
	})
}

func TestDepthIsBounded(t *testing.T) {
	for n, want := range map[int]bool{MaxDepth: true, MaxDepth + 1: false, 1_000_000: false} {
		v := []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
		if err := checkJSON(v); (err == nil) != want {
			t.Errorf("%d deep: %v", n, err)
		}
	}
	if err := checkJSON([]byte(strings.Repeat("[", MaxDepth+1))); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("open and too deep: %v", err)
	}
}

// depth of a valid JSON value.
func depth(v []byte) int {
	deep, most, text, escaped := 0, 0, false, false
	for _, c := range v {
		switch {
		case escaped:
			escaped = false
		case text && c == '\\':
			escaped = true
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			deep++
			most = max(most, deep)
		case c == '}' || c == ']':
			deep--
		}
	}
	return most
}
