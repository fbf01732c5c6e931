package format

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Fields are those of one JSON object, in the order in which they stand there. They keep the text they were read from.
type Fields struct {
	all []Field
}

// Field is one of them.
type Field struct {
	Name string
	// Raw is its value as it stands there.
	Raw   string
	name  string // as it stands there
	value gjson.Result
}

// FieldsOf reads them. The error wraps graph.ErrInvalid.
func FieldsOf(raw []byte) (Fields, error) {
	if err := validObject(raw); err != nil {
		return Fields{}, err
	}
	return fieldsOf(gjson.ParseBytes(raw)), nil
}

// validObject names what is wrong in the words of encoding/json, which is asked only then.
func validObject(raw []byte) error {
	start := bytes.TrimLeft(raw, " \t\r\n")
	if len(start) > 0 && start[0] == '{' && gjson.ValidBytes(raw) {
		return nil
	}
	var none struct{}
	if err := json.Unmarshal(raw, &none); err != nil {
		return Invalid("not a JSON object: %s", Reword(err))
	}
	return Invalid("not a JSON object")
}

func fieldsOf(object gjson.Result) (f Fields) {
	object.ForEach(func(name, value gjson.Result) bool {
		f.all = append(f.all, Field{name.Str, value.Raw, name.Raw, value})
		return true
	})
	return f
}

// All are the fields in order; one that comes twice is there twice.
func (f Fields) All() iter.Seq[Field] { return slices.Values(f.all) }

// Len is how many there are.
func (f Fields) Len() int { return len(f.all) }

// Get is the field of a name, of several the last; it has no Raw where there is none.
func (f Fields) Get(name string) Field {
	for i := len(f.all) - 1; i >= 0; i-- {
		if f.all[i].Name == name {
			return f.all[i]
		}
	}
	return Field{Name: name}
}

// Without is the object as it stands there but without the fields of these names, and without white space.
func (f Fields) Without(names ...string) json.RawMessage {
	out := []byte{'{'}
	for _, one := range f.all {
		if slices.Contains(names, one.Name) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendCompact(append(append(out, one.name...), ':'), one.Raw)
	}
	return append(out, '}')
}

// Has reports whether all of these are there, whatever they hold.
func (f Fields) Has(names ...string) bool {
	for _, n := range names {
		if f.Get(n).Raw == "" {
			return false
		}
	}
	return true
}

// Raw is a field's value as it stands there, nil where there is none.
func (f Fields) Raw(name string) json.RawMessage {
	if v := f.Get(name).Raw; v != "" {
		return json.RawMessage(v)
	}
	return nil
}

// Text is a field's text; empty where it is none.
func (f Fields) Text(name string) string {
	if v := f.Get(name).value; v.Type == gjson.String {
		return v.Str
	}
	return ""
}

// IsNull reports whether the field is missing or null.
func (f Field) IsNull() bool { return f.Raw == "" || f.value.Type == gjson.Null }

// Text is the field's text, empty where it is missing or null. The error wraps graph.ErrInvalid.
func (f Field) Text() (string, error) {
	switch {
	case f.IsNull():
		return "", nil
	case f.value.Type != gjson.String:
		return "", f.is("a text")
	}
	return f.value.Str, nil
}

// List are the items of the field's list as they stand there, none where it is missing or null. The error wraps
// graph.ErrInvalid.
func (f Field) List() (items []Field, err error) {
	switch {
	case f.IsNull():
		return nil, nil
	case !f.value.IsArray():
		return nil, f.is("a list")
	}
	f.value.ForEach(func(_, item gjson.Result) bool {
		items = append(items, Field{Name: fmt.Sprintf("%s[%d]", f.Name, len(items)), Raw: item.Raw, value: item})
		return true
	})
	return items, nil
}

// Texts are the items of the field's list of texts; null among them is an empty one.
func (f Field) Texts() (texts []string, err error) {
	items, err := f.List()
	for _, item := range items {
		text, wrong := item.Text()
		if wrong != nil {
			return nil, f.is("a list of texts")
		}
		texts = append(texts, text)
	}
	return texts, err
}

// Object are the fields of the field's object. The error wraps graph.ErrInvalid.
func (f Field) Object() (Fields, error) {
	if !f.value.IsObject() {
		return Fields{}, f.is("an object")
	}
	return fieldsOf(f.value), nil
}

func (f Field) is(want string) error {
	return Invalid("%s is %s, want %s", f.Name, kindOf(f.value), want)
}

// Reading reads fields that must be what they are read as, where they are there.
type Reading struct {
	Fields
	// Err is the first of what was wrong; it wraps graph.ErrInvalid.
	Err error
}

// Text is a field's text.
func (r *Reading) Text(name string) string {
	text, err := r.Get(name).Text()
	r.Err = cmp.Or(r.Err, err)
	return text
}

// Texts are those of a field's list.
func (r *Reading) Texts(name string) []string {
	texts, err := r.Get(name).Texts()
	r.Err = cmp.Or(r.Err, err)
	return texts
}

// Time is a field's instant, as ParseTime reads it.
func (r *Reading) Time(name string) time.Time {
	f := r.Get(name)
	if !f.IsNull() && f.value.Type != gjson.String {
		r.Err = cmp.Or(r.Err, Invalid("a date is %s, want a text", kindOf(f.value)))
		return time.Time{}
	}
	t, err := ParseTime(f.value.Str)
	r.Err = cmp.Or(r.Err, err)
	return t
}

// kindOf names what a value is.
func kindOf(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return "a text"
	case v.Type == gjson.Number:
		return "a number"
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "a list"
	case v.Type == gjson.Null:
		return "null"
	}
	return "true or false"
}

// Compact drops white space from a JSON value that is valid.
func Compact(raw []byte) json.RawMessage {
	return appendCompact(make([]byte, 0, len(raw)), string(raw))
}

// Compact is the field's value without white space.
func (f Field) Compact() json.RawMessage { return appendCompact(make([]byte, 0, len(f.Raw)), f.Raw) }

func appendCompact(out []byte, valid string) []byte {
	for from, i := 0, 0; ; {
		switch {
		case i == len(valid):
			return append(out, valid[from:]...)
		case valid[i] == '"':
			i = behindText(valid, i)
		case valid[i] <= ' ':
			out = append(out, valid[from:i]...)
			i++
			from = i
		default:
			i++
		}
	}
}

// behindText is where the text ends that begins at a quote.
func behindText(valid string, quote int) int {
	for i := quote + 1; ; i++ {
		n := strings.IndexByte(valid[i:], '"')
		if n < 0 {
			return len(valid)
		}
		i += n
		escapes := 0
		for valid[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}
