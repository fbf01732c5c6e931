package format

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// For sources that speak of things and relations, not of alerts.

// Keyed is a key with its value as a source writes it.
type Keyed struct {
	Type  graph.KeyType
	Value string
}

// Thing says that something bore these keys. Values that cannot be keys are left out; where none is left the
// observation has no keys and says nothing.
func Thing(kind graph.Kind, source string, at time.Time, keys ...Keyed) graph.EntityObservation {
	o := graph.EntityObservation{ObservedAt: graph.Micro(at), Source: source}
	for _, k := range keys {
		if key, ok := graph.NewKey(kind, k.Type, k.Value); ok {
			o.Keys = append(o.Keys, key)
		}
	}
	o.Keys = graph.SortKeys(o.Keys)
	return o
}

// Bare is the observation without properties, for an end that many relations share: each carries its own.
func Bare(o graph.EntityObservation) graph.EntityObservation {
	o.Properties = nil
	return o
}

// Seen says when a relation was seen, and by which statement.
type Seen struct {
	// First and Last bound it; they may be in either order or missing. Ended is the explicit end.
	First, Last, Ended time.Time
	// Statement tells this sighting from others that the source has of the relation, such as an event's id. An
	// inventory gives none: what it says again tomorrow widens the times and counts once.
	Statement []string
}

// Relate says that two things are related, in one record; in none where an end has no key or both are one.
// The source is that of from.
func Relate(kind graph.EdgeKind, from, to graph.EntityObservation, seen Seen) []Record {
	o := graph.EdgeObservation{Kind: kind, From: from.ID(), To: to.ID(), EndedAt: graph.Micro(seen.Ended), Source: from.Source}
	if o.From.IsZero() || o.To.IsZero() || o.From == o.To {
		return nil
	}
	o.FirstSeen = graph.Micro(graph.EarlierKnown(seen.First, seen.Last))
	o.LastSeen = graph.Micro(graph.Later(seen.First, seen.Last))
	parts := append([]string{kind.String(), o.From.String(), o.To.String(), o.Source}, seen.Statement...)
	o.Observation = graph.NewID(graph.KindObservation, parts...)
	return []Record{{Edge: &Edge{From: from, To: to, Observation: o}}}
}

// Stamp is an instant in an observation's key, empty where there is none.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Properties are the texts, numbers, truth values and lists of texts among the fields, by the names that they
// have here. What is empty or of another type says nothing. Names of graph.ReservedProperty must not be asked for.
func (o Object) Properties(names map[string]string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for field, name := range names {
		var value any
		switch v := o[field].(type) {
		case string, json.Number, bool:
			value = v
		case []any:
			value = o.Texts(field)
		}
		if o.Text(field) == "" && len(o.Texts(field)) == 0 {
			continue
		}
		if b, err := graph.EncodeJSON(value); err == nil {
			out[name] = b
		}
	}
	return out
}

// Has reports whether all of these fields are there, whatever they hold.
func (o Object) Has(names ...string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { _, ok := o[n]; return !ok })
}

// Latest is the latest of the instants in these fields, zero where none has one.
func (o Object) Latest(names ...string) (latest time.Time) {
	for _, n := range names {
		latest = graph.Later(latest, o.Time(n))
	}
	return latest
}

var guid = regexp.MustCompile(`(?i)^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)

// GUID is a field's text where it is a GUID, else empty: a directory's ids are strong keys, and what stands in
// their place must not join strangers. The zero GUID is one; it makes no key.
func (o Object) GUID(name string) string { return OnlyGUID(o.Text(name)) }

// OnlyGUID is the text where it is a GUID, else empty.
func OnlyGUID(s string) string {
	if !guid.MatchString(s) {
		return ""
	}
	return s
}

// SetPlatform notes a device's operating system as osPlatform, which rules of criticality look at. "Windows" alone
// is left out: directories know no more of most machines, and said later it would take the place of an endpoint
// product's "WindowsServer2022".
func SetPlatform(properties map[string]json.RawMessage, system string) {
	if system == "" || strings.EqualFold(system, "Windows") {
		return
	}
	if b, err := graph.EncodeJSON(system); err == nil {
		properties["osPlatform"] = b
	}
}
