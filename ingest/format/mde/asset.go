package mde

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// source is who says so, as where the product's alerts do.
const source = string(graph.ServiceDefenderEndpoint)

// renamed are the fields of a machine that have another name in Graph's deviceEvidence, or in docs/criticality.md.
var renamed = map[string]string{"computerDnsName": "deviceDnsName", "firstSeen": "firstSeenDateTime",
	"machineTags": "tags", "deviceValue": "assetValue"}

// enums are the fields of a machine whose values Graph writes in camel case.
var enums = []string{"healthStatus", "riskScore", "exposureLevel", "onboardingStatus", "deviceValue"}

// decodeMachine reads a machine as it was when it was last seen. Its addresses are properties: they are of that instant.
func decodeMachine(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	keys := keysOf(graph.KindDevice, o.Text("id"), o.Text("aadDeviceId"), o.Text("computerDnsName"))
	delete(o, "aadDeviceId")
	for _, name := range enums {
		if s, ok := o[name].(string); ok {
			o[name] = format.Camel(s)
		}
	}
	for name, graphs := range renamed {
		if v, ok := o[name]; ok {
			delete(o, name)
			o[graphs] = v
		}
	}
	return entity(o, keys, "lastSeen")
}

// decodeSoftware reads what is known of a product, whatever its version.
func decodeSoftware(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	return entity(o, keysOf(graph.KindSoftware, o.Text("id"), o.Text("name")), "")
}

// decodeVulnerability reads what is known of a CVE.
func decodeVulnerability(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	return entity(o, keysOf(graph.KindVulnerability, o.Text("id")), "updatedOn")
}

// keyTypes are those that keysOf gives the values to, in their order.
var keyTypes = map[graph.Kind][]graph.KeyType{
	graph.KindDevice:        {graph.KeyMdeDeviceID, graph.KeyAzureADDeviceID, graph.KeyDNSName},
	graph.KindSoftware:      {graph.KeySoftwareID, graph.KeyName},
	graph.KindVulnerability: {graph.KeyCVE},
}

// keysOf are those of the values that can be keys.
func keysOf(kind graph.Kind, values ...string) []graph.Key {
	var keys []graph.Key
	for i, v := range values {
		if key, ok := graph.NewKey(kind, keyTypes[kind][i], v); ok {
			keys = append(keys, key)
		}
	}
	return graph.SortKeys(keys)
}

// entity is the record of an entity that was so at the instant of a field, with all fields but its id as properties.
// What only people here may say is left out.
func entity(o format.Object, keys []graph.Key, at string) ([]format.Record, error) {
	dates, err := o.Dates(at)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, format.Invalid("it has no id, and no name that could be a key")
	}
	properties := map[string]json.RawMessage{}
	for name, v := range o {
		if name == "id" || strings.HasPrefix(name, "@") || graph.ReservedProperty(name) {
			continue
		}
		if properties[name], err = graph.EncodeJSON(v); err != nil {
			return nil, format.Invalid("%s: %v", name, err)
		}
	}
	return []format.Record{{Entity: observed(keys, properties, dates[at])}}, nil
}

func observed(keys []graph.Key, properties map[string]json.RawMessage, at time.Time) *graph.EntityObservation {
	return &graph.EntityObservation{Keys: keys, Properties: properties, ObservedAt: graph.Micro(at), Source: source}
}
