package format

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Object is a JSON object whose fields are read by what they should be: one that is missing or of another
// type reads as empty. Numbers are json.Number. For the parts of a record that are kept whole anyway.
type Object map[string]any

// ParseObject reads one JSON object. The error wraps graph.ErrInvalid.
func ParseObject(raw []byte) (Object, error) {
	if err := validObject(raw); err != nil {
		return nil, err
	}
	return objectOf(gjson.ParseBytes(raw)), nil
}

func objectOf(v gjson.Result) Object {
	o := Object{}
	v.ForEach(func(name, value gjson.Result) bool {
		o[name.Str] = valueOf(value)
		return true
	})
	return o
}

func valueOf(v gjson.Result) any {
	switch {
	case v.Type == gjson.String:
		return v.Str
	case v.Type == gjson.Number:
		return json.Number(v.Raw)
	case v.IsObject():
		return map[string]any(objectOf(v))
	case v.IsArray():
		list := []any{}
		v.ForEach(func(_, item gjson.Result) bool {
			list = append(list, valueOf(item))
			return true
		})
		return list
	case v.Type == gjson.Null:
		return nil
	}
	return v.Type == gjson.True
}

// Text is a string trimmed of white space, or a number or truth value as it is written.
func (o Object) Text(key string) string { return text(o[key]) }

func text(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// First is the first of the fields that has a text.
func (o Object) First(keys ...string) string {
	for _, k := range keys {
		if s := o.Text(k); s != "" {
			return s
		}
	}
	return ""
}

// Texts are the texts of an array, or the one text that stands in its place.
func (o Object) Texts(key string) []string {
	list, ok := o[key].([]any)
	if !ok {
		list = []any{o[key]}
	}
	var out []string
	for _, v := range list {
		if s := text(v); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Object is a nested object, nil where there is none.
func (o Object) Object(key string) Object {
	m, _ := o[key].(map[string]any)
	return m
}

// Objects are the objects of an array.
func (o Object) Objects(key string) []Object {
	list, _ := o[key].([]any)
	var out []Object
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Time is an instant, zero where there is none that ParseTime reads.
func (o Object) Time(key string) time.Time {
	t, _ := ParseTime(o.Text(key))
	return t
}

// Integer reads a number or its text, decimal or hexadecimal with 0x; ok is false where there is none.
func (o Object) Integer(key string) (n int64, ok bool) {
	s := strings.ToLower(o.Text(key))
	base := 10
	if hex, is := strings.CutPrefix(s, "0x"); is {
		s, base = hex, 16
	}
	n, err := strconv.ParseInt(s, base, 64)
	return n, err == nil
}

// CheckTexts reports a field that is an object or a list where a text is wanted. The error wraps graph.ErrInvalid.
func (o Object) CheckTexts(names ...string) error {
	for _, name := range names {
		switch o[name].(type) {
		case map[string]any, []any:
			return Invalid("%s is not a text", name)
		}
	}
	return nil
}

// Dates reads fields that must be dates where they are there; see ParseTime. The error names the field.
func (o Object) Dates(names ...string) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for _, name := range names {
		t, err := ParseTime(o.Text(name))
		if err != nil {
			return nil, Invalid("%s: %v", name, err)
		}
		out[name] = t
	}
	return out, nil
}
