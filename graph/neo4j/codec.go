package neo4j

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

var errDamaged = errors.New("a stored record is damaged")

// tenantText is a tenant's name as records hold it, in their keys and in the property tenant: "/", "%" and bytes
// that are no UTF-8 percent-encoded, so that no two tenants are mixed up.
func tenantText(t graph.TenantID) string { return escape(string(t)) }

// escape percent-encodes what may not stand in a part of a key.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "%/") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == '%' || r == '/' || (r == utf8.RuneError && size == 1) {
			fmt.Fprintf(&b, "%%%02X", s[0])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// tk is the key of a tenant's record x: unlike any other tenant's.
func tk(t graph.TenantID, x string) string { return tenantText(t) + "/" + x }

// idKey is the key of the record that an id names, in hexadecimal: the order of a tenant's keys is that of ids.
func idKey(t graph.TenantID, id graph.ID) string { return tk(t, hex.EncodeToString(id[:])) }

// idOfKey reads the id at the end of a key that idKey made; the zero ID for null.
func idOfKey(column any) (id graph.ID, err error) {
	key, ok := column.(string)
	if !ok {
		return id, nil
	}
	if len(key) < 32 {
		return id, errDamaged
	}
	if _, err = hex.Decode(id[:], []byte(key[len(key)-32:])); err != nil {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return id, err
}

// numberKey is the key of the record that a number names.
func numberKey[N ~uint64 | ~int64](t graph.TenantID, n N) string {
	return tk(t, strconv.FormatUint(uint64(n), 10))
}

// documentKey is the key of a document. In a collection, keys are in the order of the documents' keys.
func documentKey(t graph.TenantID, d graph.DocumentKey) string {
	return tk(t, strconv.Itoa(len(d.Collection))+":"+d.Collection+"/"+ordered(d.Key))
}

// ordered writes text so that it has one order: Neo4j's indexes compare UTF-8, while what is computed, or written
// in the same transaction, is compared as UTF-16, which puts what lies beyond 16 bits before U+E000. From there on
// (and for the mark itself) a mark and six digits stand for a character.
func ordered(s string) string {
	const mark = '\uD7FF'
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= mark }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r < mark:
			b.WriteRune(r)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(r)):
			b.WriteByte(s[i]) // no UTF-8
		default:
			fmt.Fprintf(&b, "%c%06x", mark, r)
		}
	}
	return b.String()
}

// labels of the kinds of entity and types of the kinds of edge are the only parts of a statement that vary.
var labels, types, kindsByType = func() (map[graph.Kind]string, map[graph.EdgeKind]string, map[string]graph.EdgeKind) {
	labels, types, kinds := map[graph.Kind]string{}, map[graph.EdgeKind]string{}, map[string]graph.EdgeKind{}
	for k := graph.KindUnknown + 1; k < graph.KindAlert; k++ {
		if k.Entity() {
			labels[k] = strings.ToUpper(k.String()[:1]) + k.String()[1:]
		}
	}
	for _, r := range graph.EdgeKinds() {
		types[r.Kind] = upperSnake(r.Name)
		kinds[types[r.Kind]] = r.Kind
	}
	return labels, types, kinds
}()

func upperSnake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// labelOf is a kind's label beside Entity, "Other" for a kind that has none.
func labelOf(k graph.Kind) string {
	if l, ok := labels[k]; ok {
		return l
	}
	return labels[graph.KindOther]
}

// typeOf is the relationship type of an edge kind; empty for one that this version does not know.
func typeOf(k graph.EdgeKind) string { return types[k] }

// kindOfType is the reverse of typeOf, EdgeUnknown for a type that is no edge kind's.
func kindOfType(t string) graph.EdgeKind { return kindsByType[t] }

// micros is an instant as a parameter: microseconds since 1970, null where zero.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timeOf reads what micros wrote.
func timeOf(v any) time.Time {
	if n, ok := v.(int64); ok {
		return time.UnixMicro(n).UTC()
	}
	return time.Time{}
}

// text, number and truth read a column that may be null.
func text(v any) string   { s, _ := v.(string); return s }
func number(v any) int64  { n, _ := v.(int64); return n }
func truth(v any) bool    { b, _ := v.(bool); return b }
func list(v any) []any    { l, _ := v.([]any); return l }
func octets(v any) []byte { b, _ := v.([]byte); return b }

// idOf reads an id's text; the zero ID for null.
func idOf(v any) (id graph.ID, err error) {
	if err = id.UnmarshalText([]byte(text(v))); err != nil {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return id, err
}

// idsOfKeys reads a list of keys that idKey made, in order of id.
func idsOfKeys(column any) ([]graph.ID, error) {
	var out []graph.ID
	for _, x := range list(column) {
		id, err := idOfKey(x)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	slices.SortFunc(out, graph.ID.Compare)
	return out, nil
}

// encodeRecord is a record as JSON text.
func encodeRecord(v any) (string, error) {
	b, err := graph.EncodeJSON(v)
	return string(b), err
}

// decodeRecord reads JSON text; null leaves v as it is.
func decodeRecord(v, column any) error {
	s, ok := column.(string)
	if !ok {
		return nil
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// storedFacts are an entity's facts as the property facts holds them, in JSON. What changes
// with every observation is kept out of it, in seen, so that seeing an entity again rewrites a few numbers only.
type storedFacts struct {
	Keys       []string                   `json:"keys"` // type=value
	Properties map[string]json.RawMessage `json:"properties,omitempty"`
	// Observed holds the instants of those properties that were not observed when the entity was last seen.
	Observed map[string]int64 `json:"observed,omitempty"`
	Sources  []string         `json:"sources,omitempty"`
}

// encodeFacts is the text of facts less the instants first and last seen.
func encodeFacts(f graph.Facts) (string, error) {
	s := storedFacts{Keys: make([]string, len(f.Keys)), Sources: f.Sources}
	for i, k := range f.Keys {
		s.Keys[i] = string(k.Type) + "=" + k.Value
	}
	if len(f.Properties) > 0 {
		s.Properties = make(map[string]json.RawMessage, len(f.Properties))
	}
	for name, p := range f.Properties {
		s.Properties[name] = p.Value
		if p.ObservedAt.Equal(f.LastSeen) {
			continue
		}
		if s.Observed == nil {
			s.Observed = map[string]int64{}
		}
		s.Observed[name] = p.ObservedAt.UnixMicro()
	}
	return encodeRecord(s)
}

// seenAgain reports whether two facts have the same text.
func seenAgain(was, now graph.Facts) bool {
	return slices.Equal(was.Keys, now.Keys) && slices.Equal(was.Sources, now.Sources) &&
		maps.EqualFunc(was.Properties, now.Properties, func(a, b graph.Property) bool {
			late, later := a.ObservedAt.Equal(was.LastSeen), b.ObservedAt.Equal(now.LastSeen)
			return late == later && (late || a.ObservedAt.Equal(b.ObservedAt)) && bytes.Equal(a.Value, b.Value)
		})
}

// seenOf is the property seen: when the entity was first and last seen.
func seenOf(f graph.Facts) []int64 {
	return []int64{f.FirstSeen.UnixMicro(), f.LastSeen.UnixMicro()}
}

// decodeFacts reads the properties facts and seen of an id; the zero Facts for nulls.
func decodeFacts(id graph.ID, facts, seen any) (f graph.Facts, err error) {
	if facts == nil {
		return f, nil
	}
	var s storedFacts
	at := list(seen)
	if err := decodeRecord(&s, facts); err != nil {
		return f, err
	}
	if len(at) > 2 { // schema 1 put a number before the two
		at = at[len(at)-2:]
	}
	if len(at) != 2 {
		return f, fmt.Errorf("%w: entity %s: when it was seen", errDamaged, id)
	}
	f = graph.Facts{
		Keys: make([]graph.Key, len(s.Keys)), Properties: make(map[string]graph.Property, len(s.Properties)),
		FirstSeen: timeOf(at[0]), LastSeen: timeOf(at[1]), Sources: s.Sources,
	}
	for i, k := range s.Keys {
		name, value, _ := strings.Cut(k, "=")
		f.Keys[i] = graph.Key{Kind: id.Kind(), Type: graph.KeyType(name), Value: value}
	}
	for name, value := range s.Properties {
		observed := f.LastSeen
		if n, other := s.Observed[name]; other {
			observed = timeOf(n)
		}
		f.Properties[name] = graph.Property{Value: value, ObservedAt: observed}
	}
	return f, nil
}

// decodeAlert reads the columns record and revision of an alert; the zero Alert for nulls.
func decodeAlert(record, revision any) (a graph.Alert, err error) {
	err = decodeRecord(&a, record)
	a.Revision = graph.Revision(number(revision))
	return a, err
}

// decodeIncident is like decodeAlert.
func decodeIncident(record, revision any) (i graph.Incident, err error) {
	err = decodeRecord(&i, record)
	i.Revision = graph.Revision(number(revision))
	return i, err
}

// observationPrefix begins the text of every id that is no alert's.
var observationPrefix = graph.KindObservation.String() + "_"

// observationText is how a relationship names what saw it: an alert's id, or that of another observation less its
// prefix, which would be most of what an edge costs.
func observationText(id graph.ID) string { return strings.TrimPrefix(id.String(), observationPrefix) }

// observationOf reads what observationText wrote; the zero ID for null.
func observationOf(v any) (graph.ID, error) {
	if s := text(v); s != "" && !strings.Contains(s, "_") {
		v = observationPrefix + s
	}
	return idOf(v)
}

// sightingOf reads the properties of a relationship.
func sightingOf(p map[string]any) (graph.Sighting, error) {
	o, err := observationOf(p["observation"])
	return graph.Sighting{
		Observation: o, FirstSeen: timeOf(p["firstSeen"]), LastSeen: timeOf(p["lastSeen"]), EndedAt: timeOf(p["endedAt"]),
		Source: text(p["source"]), Inferred: truth(p["inferred"]),
	}, err
}

// changeVersion leads the blob of a change; another one is refused, not guessed at.
const changeVersion = 1

// encodeChange writes the version, the instant in microseconds, then what was touched. The revision is in the key.
func encodeChange(c graph.Change) []byte {
	return rules.AppendTouched(binary.AppendVarint([]byte{changeVersion}, c.At.UnixMicro()), c)
}

// decodeChange reads what encodeChange wrote.
func decodeChange(revision graph.Revision, b []byte) (c graph.Change, err error) {
	c.Revision = revision
	if len(b) == 0 {
		return c, errDamaged
	}
	if b[0] != changeVersion {
		return c, fmt.Errorf("%w: change version %d, this program reads %d: use a newer program", graph.ErrVersion, b[0], changeVersion)
	}
	at, size := binary.Varint(b[1:])
	if size <= 0 {
		return c, errDamaged
	}
	c.At = time.UnixMicro(at).UTC()
	if !rules.ReadTouched(&c, b[1+size:]) {
		return c, errDamaged
	}
	return c, nil
}
