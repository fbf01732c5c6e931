package format

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The names of the formats, as the -format flag takes them and AlertContent.Format keeps them.
const (
	Graph    = "graph"
	Sentinel = "sentinel"
	Clew     = "clew"
)

// Detect names the format of a record by its shape. The error wraps graph.ErrInvalid and names the fields
// at the record's top, so that the person who has the file knows what it is.
func Detect(raw []byte) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "", Invalid("not a JSON object: %v", err)
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
	case typ == "entity" && has("keys"), typ == "edge" && has("from", "to"):
		return Clew, nil
	case has("SystemAlertId"), has("VendorOriginalId"), has("Entities", "ProviderName"):
		return Sentinel, nil
	case has("alerts") && (has("incidentWebUrl") || has("displayName") || has("redirectIncidentId") || has("priorityScore")):
		return Graph, nil
	case has("evidence"), has("serviceSource"), has("providerAlertId"):
		return Graph, nil
	}
	return "", Invalid("no known format has a record with the fields %s", topKeys(fields))
}

func topKeys(fields map[string]json.RawMessage) string {
	keys := slices.Sorted(maps.Keys(fields))
	more := ""
	if len(keys) > 12 {
		keys, more = keys[:12], ", …"
	}
	for i, k := range keys {
		keys[i] = clip(k)
	}
	return strings.Join(keys, ", ") + more
}
