// Package clew reads Clew's own lines: entities and edges from an asset inventory, a directory or any other
// source that knows its things by their keys.
//
//	{"type":"entity","kind":"device","keys":{"mdeDeviceId":"…"},"properties":{…},"observedAt":"2026-01-02T03:04:05Z"}
//	{"type":"edge","kind":"loggedOn","from":{"kind":"identity","keys":{…}},"to":{…},"firstSeen":"…","lastSeen":"…"}
//
// Both may have "source", the name of who says so; an edge may have "endedAt". A key's value is a text or a
// list of texts. Composite values have U+001F between their parts (see graph.Scoped).
package clew

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// thing is an entity, alone or as the end of an edge.
type thing struct {
	Kind       string                     `json:"kind"`
	Keys       map[string]texts           `json:"keys"`
	Properties map[string]json.RawMessage `json:"properties"`
}

type entityLine struct {
	Type string `json:"type"`
	thing
	ObservedAt format.Time `json:"observedAt"`
	Source     string      `json:"source"`
}

type edgeLine struct {
	Type      string      `json:"type"`
	Kind      string      `json:"kind"`
	From      thing       `json:"from"`
	To        thing       `json:"to"`
	FirstSeen format.Time `json:"firstSeen"`
	LastSeen  format.Time `json:"lastSeen"`
	EndedAt   format.Time `json:"endedAt"`
	Source    string      `json:"source"`
}

// texts is one text or a list of them.
type texts []string

// UnmarshalJSON reads either.
func (t *texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = texts{""}
		return json.Unmarshal(b, &(*t)[0])
	}
	if json.Unmarshal(b, (*[]string)(t)) != nil {
		return errors.New("a key is neither a text nor a list of texts")
	}
	return nil
}

const formatName = "clew"

// Format is Clew's own.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	switch f.Text("type") {
	case "entity":
		return f.Has("keys")
	case "edge":
		return f.Has("from", "to")
	}
	return false
}

// Decode is the format.Decoder of Clew's own lines. An unknown field is an error: a misspelt "endedAt" must
// not pass in silence.
func Decode(raw []byte) ([]format.Record, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, format.Invalid("%s", format.Reword(err))
	}
	switch head.Type {
	case "entity":
		return decodeEntity(raw)
	case "edge":
		return decodeEdge(raw)
	}
	return nil, format.Invalid("type %q is unknown; it is one of entity, edge", head.Type)
}

func decodeEntity(raw []byte) ([]format.Record, error) {
	var l entityLine
	if err := strict(raw, &l); err != nil {
		return nil, err
	}
	o, err := l.observation(l.ObservedAt.Time, source(l.Source))
	if err != nil {
		return nil, err
	}
	return []format.Record{{Entity: &o}}, nil
}

func decodeEdge(raw []byte) ([]format.Record, error) {
	var l edgeLine
	if err := strict(raw, &l); err != nil {
		return nil, err
	}
	kind, ok := graph.ParseEdgeKind(l.Kind)
	if !ok || kind.Tense() == graph.Derived {
		return nil, format.Invalid("edge kind %q is unknown; it is one of %s", l.Kind, edgeKinds())
	}
	first, last, err := l.times()
	if err != nil {
		return nil, err
	}
	from, err := l.From.observation(last, source(l.Source))
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	to, err := l.To.observation(last, source(l.Source))
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	o := graph.EdgeObservation{Kind: kind, From: from.ID(), To: to.ID(), FirstSeen: first, LastSeen: last,
		EndedAt: graph.Micro(l.EndedAt.Time), Source: source(l.Source)}
	o.Observation = graph.NewID(graph.KindObservation, kind.String(), o.From.String(), o.To.String(), o.Source,
		format.Stamp(o.FirstSeen), format.Stamp(o.LastSeen), format.Stamp(o.EndedAt))
	return []format.Record{{Edge: &format.Edge{From: from, To: to, Observation: o}}}, nil
}

// times checks that the edge's instants are in order.
func (l edgeLine) times() (first, last time.Time, err error) {
	first, last = graph.Micro(l.FirstSeen.Time), graph.Micro(l.LastSeen.Time)
	first = graph.EarlierKnown(first, last)
	if last.IsZero() {
		last = first
	}
	switch {
	case !l.LastSeen.IsZero() && l.LastSeen.Before(l.FirstSeen.Time):
		return first, last, format.Invalid("lastSeen is before firstSeen")
	case !l.EndedAt.IsZero() && l.EndedAt.Before(last):
		return first, last, format.Invalid("endedAt is before lastSeen")
	}
	return first, last, nil
}

// source names the line's source, the format where it does not say.
func source(s string) string {
	if s == "" {
		return formatName
	}
	return s
}

func (t thing) observation(at time.Time, source string) (graph.EntityObservation, error) {
	kind, ok := graph.ParseKind(t.Kind)
	if !ok || !kind.Entity() {
		return graph.EntityObservation{}, format.Invalid("kind %q is unknown; it is one of %s", t.Kind, kinds())
	}
	keys, err := t.keys(kind)
	if err != nil {
		return graph.EntityObservation{}, err
	}
	for name := range t.Properties {
		if graph.ReservedProperty(name) {
			return graph.EntityObservation{}, format.Invalid("property %q is for what people say here, not for sources", name)
		}
	}
	return graph.EntityObservation{Keys: keys, Properties: t.Properties, ObservedAt: graph.Micro(at), Source: source}, nil
}

func (t thing) keys(kind graph.Kind) ([]graph.Key, error) {
	var keys []graph.Key
	for _, name := range slices.Sorted(maps.Keys(t.Keys)) {
		if !slices.ContainsFunc(graph.KeyTable(kind), func(r graph.KeyRow) bool { return string(r.Type) == name }) {
			return nil, format.Invalid("a %s has no key %q; it has %s", kind, name, keyTypes(kind))
		}
		for _, value := range t.Keys[name] {
			if key, ok := graph.NewKey(kind, graph.KeyType(name), value); ok {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, format.Invalid("the %s has no usable key; it has one or more of %s", kind, keyTypes(kind))
	}
	return graph.SortKeys(keys), nil
}

func strict(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil { // a thing's fields stand in the line itself
		return format.Invalid("%s", strings.TrimPrefix(format.Reword(err), "thing."))
	}
	return nil
}

// kinds, keyTypes and edgeKinds list what is allowed, for errors.
func kinds() string {
	var names []string
	for k := graph.Kind(1); k < graph.KindAlert; k++ {
		if k.Entity() {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, ", ")
}

func keyTypes(kind graph.Kind) string {
	var names []string
	for _, r := range graph.KeyTable(kind) {
		names = append(names, string(r.Type))
	}
	return strings.Join(names, ", ")
}

func edgeKinds() string {
	var names []string
	for _, r := range graph.EdgeKinds() {
		if r.Tense != graph.Derived {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ", ")
}
