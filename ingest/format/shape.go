package format

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The names of the formats, as the -format flag takes them and AlertContent.Format keeps them.
const (
	Graph    = "graph"
	Sentinel = "sentinel"
	Clew     = "clew"
	// Rejected is no format of its own: a line of a reject file, which holds a record of any.
	Rejected = "reject"
)

// Detect names the format of a record by its shape. The error wraps graph.ErrInvalid and names the fields
// at the record's top, so that the person who has the file knows what it is.
func Detect(raw []byte) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "", Invalid("not a JSON object: %s", Reword(err))
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := fields[n]; !ok {
				return false
			}
		}
		return true
	}
	var odata, typ string
	_ = json.Unmarshal(fields["@odata.type"], &odata)
	_ = json.Unmarshal(fields["type"], &typ)
	switch {
	case strings.HasSuffix(odata, "security.alert"), strings.HasSuffix(odata, "security.incident"):
		return Graph, nil
	case has("file", "line", "reason", "record"):
		return Rejected, nil
	case typ == "entity" && has("keys"), typ == "edge" && has("from", "to"):
		return Clew, nil
	case has("SystemAlertId"), has("VendorOriginalId"), has("Entities", "ProviderName"):
		return Sentinel, nil
	case has("alerts") && (has("incidentWebUrl") || has("displayName") || has("redirectIncidentId") || has("priorityScore")):
		return Graph, nil
	case has("evidence"), has("serviceSource"), has("providerAlertId"):
		return Graph, nil
	}
	return "", noRecord(fields)
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
