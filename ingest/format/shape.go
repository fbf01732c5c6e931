package format

import (
	"fmt"
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

// OfGraph reports whether an object says that it is an alert or incident of Microsoft Graph Security.
func OfGraph(f Fields) bool {
	odata := f.Text("@odata.type")
	return strings.HasSuffix(odata, "security.alert") || strings.HasSuffix(odata, "security.incident")
}

// Detect finds the first of the formats that an object with these fields is a record of. The error wraps
// graph.ErrInvalid and names the fields, so that the person who has the file knows what it is.
func Detect(fields Fields, formats []Format) (Format, error) {
	for _, f := range formats {
		if f.Is(fields) {
			return f, nil
		}
	}
	return Format{}, noRecord(fields)
}

// noRecord says what an object of no known format is, as far as that shows.
func noRecord(fields Fields) error {
	failed, _ := fields.Get("error").Object()
	code, message := failed.Text("code"), failed.Text("message")
	switch {
	case fields.Len() == 0:
		return Invalid("an object without fields")
	case code+message != "":
		return Invalid("an API's error in place of data: code %q, message %q", clip(code), clip(message))
	case fields.Has("value") && !fields.Get("value").value.IsArray() && onlyPage(fields):
		return Invalid("the page's value is no list; a page is {\"value\":[…]}")
	}
	return Invalid("no known format has a record with the fields %s", topKeys(fields))
}

// onlyPage reports whether the fields are those of an OData page.
func onlyPage(fields Fields) bool {
	for f := range fields.All() {
		if f.Name != "value" && !strings.HasPrefix(f.Name, "@odata.") {
			return false
		}
	}
	return true
}

func topKeys(fields Fields) string {
	var keys []string
	for f := range fields.All() {
		keys = append(keys, f.Name)
	}
	slices.Sort(keys)
	keys, more := slices.Compact(keys), ""
	if len(keys) > 12 {
		keys, more = keys[:12], ", …"
	}
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%q", clip(k))
	}
	return strings.Join(keys, ", ") + more
}
