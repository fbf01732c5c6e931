package format

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Format is one shape of records.
type Format struct {
	// Name is what the --format flag takes, and AlertContent.Format keeps.
	Name string
	// Is reports whether an object with these fields at its top is a record of the format.
	Is     func(Fields) bool
	Decode Decoder
}

// Fields are those at the top of a JSON object.
type Fields struct{ byName map[string]json.RawMessage }

// FieldsOf reads them. The error wraps graph.ErrInvalid.
func FieldsOf(raw []byte) (Fields, error) {
	var f Fields
	if err := json.Unmarshal(raw, &f.byName); err != nil {
		return Fields{}, Invalid("not a JSON object: %s", Reword(err))
	}
	return f, nil
}

// Has reports whether all of these are there, whatever they hold.
func (f Fields) Has(names ...string) bool {
	for _, n := range names {
		if _, ok := f.byName[n]; !ok {
			return false
		}
	}
	return true
}

// Text is a field's text; empty where it is none.
func (f Fields) Text(name string) (text string) {
	_ = json.Unmarshal(f.byName[name], &text)
	return text
}

// Detect finds the first of the formats that an object with these fields is a record of. The error wraps
// graph.ErrInvalid and names the fields, so that the person who has the file knows what it is.
func Detect(fields Fields, formats []Format) (Format, error) {
	for _, f := range formats {
		if f.Is(fields) {
			return f, nil
		}
	}
	return Format{}, noRecord(fields.byName)
}

// noRecord says what an object of no known format is, as far as that shows.
func noRecord(fields map[string]json.RawMessage) error {
	var answer struct{ Code, Message string }
	failed := fields["error"] != nil && json.Unmarshal(fields["error"], &answer) == nil && answer.Code+answer.Message != ""
	switch {
	case len(fields) == 0:
		return Invalid("an object without fields")
	case failed:
		return Invalid("an API's error in place of data: code %q, message %q", clip(answer.Code), clip(answer.Message))
	case len(fields["value"]) > 0 && fields["value"][0] != '[' && onlyPage(fields):
		return Invalid("the page's value is no list; a page is {\"value\":[…]}")
	}
	return Invalid("no known format has a record with the fields %s", topKeys(fields))
}

// onlyPage reports whether the fields are those of an OData page.
func onlyPage(fields map[string]json.RawMessage) bool {
	for name := range fields {
		if name != "value" && !strings.HasPrefix(name, "@odata.") {
			return false
		}
	}
	return true
}

func topKeys(fields map[string]json.RawMessage) string {
	keys := slices.Sorted(maps.Keys(fields))
	more := ""
	if len(keys) > 12 {
		keys, more = keys[:12], ", …"
	}
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%q", clip(k))
	}
	return strings.Join(keys, ", ") + more
}
