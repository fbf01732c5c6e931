package graph

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// EntityObservation says that something bore these keys and properties at an instant. It is the only way
// entities come to be.
type EntityObservation struct {
	// Keys of one kind, normalised by NewKey; at least one.
	Keys []Key
	// Properties are JSON values by name. A null or empty text says nothing and is dropped.
	Properties map[string]json.RawMessage
	// ObservedAt is the instant the source speaks of; zero where it does not say.
	ObservedAt time.Time
	// Source names who said so, as a product name or file format.
	Source string
}

// ID is the id the observation is kept under, that of its strongest key; zero where it has no key.
func (o EntityObservation) ID() ID {
	if len(o.Keys) == 0 {
		return ID{}
	}
	return slices.MinFunc(o.Keys, CompareKeys).ID()
}

// Property is one property's value and the instant its source spoke of.
type Property struct {
	Value      json.RawMessage `json:"value"`
	ObservedAt time.Time       `json:"observedAt,omitzero"`
}

// Facts are what is known of one node: a join-semilattice, so that merging in any order and any number of
// times gives the same.
type Facts struct {
	Keys       []Key               `json:"keys"`
	Properties map[string]Property `json:"properties,omitempty"`
	FirstSeen  time.Time           `json:"firstSeen,omitzero"`
	LastSeen   time.Time           `json:"lastSeen,omitzero"`
	Sources    []string            `json:"sources,omitempty"`
}

// Facts turns one observation into mergeable form. Instants are cut to microseconds.
func (o EntityObservation) Facts() Facts {
	at := Micro(o.ObservedAt)
	f := Facts{Keys: SortKeys(o.Keys), FirstSeen: at, LastSeen: at, Properties: map[string]Property{}}
	for name, v := range o.Properties {
		if c, ok := canonicalValue(v); ok {
			f.Properties[name] = Property{c, at}
		}
	}
	if o.Source != "" {
		f.Sources = []string{o.Source}
	}
	return f
}

// canonicalValue compacts a JSON value; ok is false for one that says nothing.
func canonicalValue(v json.RawMessage) (json.RawMessage, bool) {
	if plainText(v) {
		return slices.Clone(v), len(v) > len(`""`)
	}
	if bytes.ContainsAny(v, " \t\r\n") {
		var b bytes.Buffer
		if json.Compact(&b, v) != nil {
			return nil, false
		}
		v = b.Bytes()
	} else if !json.Valid(v) {
		return nil, false
	}
	switch string(v) {
	case "null", `""`, "[]", "{}":
		return nil, false
	}
	return slices.Clone(v), true
}

// Observe is Merge with the facts of one observation, without making them: most observations of what is known say
// the same at a later instant. changed is false where that leaves f as it is.
func (f Facts) Observe(o EntityObservation) (joined Facts, changed bool) {
	at := Micro(o.ObservedAt)
	joined = Facts{Keys: f.Keys, Sources: f.Sources, FirstSeen: EarlierKnown(f.FirstSeen, at), LastSeen: Later(f.LastSeen, at)}
	changed = !joined.FirstSeen.Equal(f.FirstSeen) || !joined.LastSeen.Equal(f.LastSeen)
	if !containsAll(f.Keys, o.Keys) {
		joined.Keys = union(f.Keys, SortKeys(o.Keys), CompareKeys)
		changed = changed || len(joined.Keys) > len(f.Keys)
	}
	if o.Source != "" && !slices.Contains(f.Sources, o.Source) {
		joined.Sources, changed = union(f.Sources, []string{o.Source}, strings.Compare), true
	}
	properties, news := f.observe(o.Properties, at)
	joined.Properties = properties
	return joined, changed || news
}

// observe joins observed properties with those of f. A value that is known is shared, not copied.
func (f Facts) observe(observed map[string]json.RawMessage, at time.Time) (joined map[string]Property, changed bool) {
	joined = f.Properties
	for name, v := range observed {
		old, known := f.Properties[name]
		p := Property{old.Value, at}
		if !known || !bytes.Equal(v, old.Value) {
			var ok bool
			if p.Value, ok = canonicalValue(v); !ok {
				continue
			}
		}
		if known && !p.newer(old) {
			continue
		}
		if !changed {
			if joined, changed = maps.Clone(f.Properties), true; joined == nil {
				joined = make(map[string]Property, len(observed))
			}
		}
		joined[name] = p
	}
	return joined, changed
}

func containsAll[T comparable](all, some []T) bool {
	for _, v := range some {
		if !slices.Contains(all, v) {
			return false
		}
	}
	return true
}

// Merge returns the join of both: keys and sources are united, the widest times kept, and of each property
// the value with the later instant (ties: the greater bytes) wins.
//
// What both hold may be shared with the result: facts are not changed in place.
func (f Facts) Merge(g Facts) Facts {
	return Facts{
		Keys:       union(f.Keys, g.Keys, CompareKeys),
		Properties: newest(f.Properties, g.Properties),
		FirstSeen:  EarlierKnown(f.FirstSeen, g.FirstSeen),
		LastSeen:   Later(f.LastSeen, g.LastSeen),
		Sources:    union(f.Sources, g.Sources, strings.Compare),
	}
}

// union joins two sorted sets.
func union[T comparable](a, b []T, compare func(T, T) int) []T {
	if !slices.ContainsFunc(b, func(v T) bool { return !slices.Contains(a, v) }) {
		return a
	}
	out := slices.Concat(a, b)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

// newest takes of each property the one that counts.
func newest(a, b map[string]Property) map[string]Property {
	out, own := a, false
	for name, p := range b {
		if old, ok := out[name]; ok && !p.newer(old) {
			continue
		}
		if !own {
			if out, own = maps.Clone(a), true; out == nil {
				out = make(map[string]Property, len(b))
			}
		}
		out[name] = p
	}
	if out == nil {
		out = map[string]Property{}
	}
	return out
}

func (p Property) newer(old Property) bool {
	if c := p.ObservedAt.Compare(old.ObservedAt); c != 0 {
		return c > 0
	}
	return bytes.Compare(p.Value, old.Value) > 0
}

// Entity is one node: everything observed under the ids that resolve to it.
type Entity struct {
	// ID is the canonical id; earlier ids of the node resolve to it for ever.
	ID ID `json:"id"`
	Facts
	// Members are the other ids that resolve here, in order.
	Members []ID `json:"members,omitempty"`
	// PossiblySameAs are nodes that share a weak key with this weak-only node, at most MaxPossiblySame.
	PossiblySameAs []ID `json:"possiblySameAs,omitempty"`
	// SameAs is the one node among them that correlation, story and traversal follow as the same thing,
	// marked inferred; zero where there is none or several.
	SameAs ID `json:"sameAs,omitzero"`
	// Revision is that of the last commit that changed what is shown here, PossiblySameAs apart.
	Revision Revision `json:"-"`
}

// MaxPossiblySame bounds Entity.PossiblySameAs.
const MaxPossiblySame = 10

// Kind of the entity.
func (e Entity) Kind() Kind { return e.ID.Kind() }

// WeakOnly reports whether no strong key is known.
func (e Entity) WeakOnly() bool { return len(e.Keys) == 0 || e.Keys[0].Strength() == Weak }

// Key returns the first value known for a key type, "" where there is none.
func (e Entity) Key(t KeyType) string {
	for _, k := range e.Keys {
		if k.Type == t {
			return k.Value
		}
	}
	return ""
}

// Text returns a property that is a JSON string, "" where it is not there or is something else.
func (e Entity) Text(name string) string {
	var s string
	if p, ok := e.Properties[name]; ok && json.Unmarshal(p.Value, &s) == nil {
		return s
	}
	return ""
}

// nameProperties are tried in order before the keys.
var nameProperties = []string{"displayName", "name", "deviceDnsName", "hostName", "fileName", "subject"}

// nameKeys are tried in order after the properties: readable ones first.
var nameKeys = []KeyType{
	KeyDNSName, KeyHostName, KeyUserPrincipalName, KeyPrimaryAddress, KeyAccountName, KeyFileName,
	KeyIPAddress, KeyPrivateIPAddress, KeyURL, KeyDomainName, KeyName, KeyDisplayName,
}

// DisplayName is what people call it: Name, or where nothing readable is known "unnamed" and the kind.
func (e Entity) DisplayName() string {
	if name := e.Name(); name != "" {
		return name
	}
	return "unnamed " + e.Kind().String()
}

// Name is a name property, a readable key, or else the strongest key's value; "" where that is a composite
// of several, which is for machines.
func (e Entity) Name() string {
	for _, n := range nameProperties {
		if s := e.Text(n); s != "" {
			return s
		}
	}
	for _, t := range nameKeys {
		if s := e.Key(t); s != "" {
			return s
		}
	}
	if len(e.Keys) > 0 && !strings.ContainsRune(e.Keys[0].Value, '\x1f') {
		return e.Keys[0].Value
	}
	return ""
}
