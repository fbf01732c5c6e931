package embedded

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Parts that a home row has behind its flags, in this order.
const (
	homeAlias    = 1 << iota // the canonical id it belongs to, where that is another
	homeNode                 // revision and number of members
	homeObserved             // facts
	homeAlone                // nothing: it is Home.Alone
)

// encodeHome writes a row of tableHome.
func encodeHome(id graph.ID, h rules.Home) []byte { return appendHome(nil, id, h) }

// appendHome writes version, flags, the parts.
func appendHome(b []byte, id graph.ID, h rules.Home) []byte {
	flags := len(b) + 1
	b = append(b, valueVersion, 0)
	if !h.Node.IsZero() && h.Node != id {
		b[flags] |= homeAlias
		b = append(b, h.Node[:]...)
	} else if h.Observed() {
		b[flags] |= homeNode
		if h.Alone {
			b[flags] |= homeAlone
		}
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(h.Revision)), uint64(h.Members))
	}
	if h.Observed() {
		b[flags] |= homeObserved
		b = appendFacts(b, h.Facts)
	}
	return b
}

// decodeHead reads a row without its facts, which follow in rest.
func decodeHead(id graph.ID, value []byte) (h rules.Home, observed bool, rest []byte, err error) {
	v, err := open(value)
	if err != nil || len(v) == 0 {
		return h, false, nil, damaged(err)
	}
	flags := v[0]
	h.Node, v = id, v[1:]
	if flags&homeAlias != 0 {
		if len(v) < 16 {
			return h, false, nil, errDamaged
		}
		h.Node, v = readID(v), v[16:]
	}
	if flags&homeNode != 0 {
		r := factsReader{rest: v}
		h.Revision, h.Members, h.Alone = graph.Revision(r.number()), int(r.number()), flags&homeAlone != 0
		v, err = r.rest, r.err
	}
	return h, flags&homeObserved != 0, v, err
}

func decodeHome(id graph.ID, value []byte) (rules.Home, error) {
	h, observed, rest, err := decodeHead(id, value)
	if err == nil && observed {
		h.Facts, err = decodeFacts(id.Kind(), rest)
	}
	return h, err
}

// appendFacts writes counted lists of keys (type, value), properties (name, instant, value) and sources, then
// the instants. Texts have their length before them; an instant is microseconds, 0 for none and else one more.
func appendFacts(b []byte, f graph.Facts) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.Keys)))
	for _, k := range f.Keys {
		b = appendText(appendText(b, string(k.Type)), k.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Properties)))
	names := make([]string, 0, 16) // seldom more: they stay on the stack
	for name := range f.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := f.Properties[name]
		b = appendText(appendInstant(appendText(b, name), p.ObservedAt), p.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Sources)))
	for _, s := range f.Sources {
		b = appendText(b, s)
	}
	return appendInstant(appendInstant(b, f.FirstSeen), f.LastSeen)
}

func appendText[T string | json.RawMessage](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendInstant(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), t.UnixMicro())
}

// factsReader reads what appendFacts wrote; after an error all it reads is nothing.
type factsReader struct {
	rest []byte
	err  error
}

func (r *factsReader) fail() { r.rest, r.err = nil, errDamaged }

func (r *factsReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count is a number of things that take at least one byte each.
func (r *factsReader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *factsReader) bytes() []byte {
	n := r.count()
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *factsReader) instant() time.Time {
	if r.number() == 0 {
		return time.Time{}
	}
	micros, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return time.Time{}
	}
	r.rest = r.rest[size:]
	return time.UnixMicro(micros).UTC()
}

// decodeFacts reads facts of a kind; what it returns does not alias v.
func decodeFacts(kind graph.Kind, v []byte) (graph.Facts, error) {
	r := factsReader{rest: append([]byte(nil), v...)}
	f := graph.Facts{Keys: make([]graph.Key, r.count())}
	for i := range f.Keys {
		f.Keys[i] = graph.Key{Kind: kind, Type: keyType(r.bytes()), Value: string(r.bytes())}
	}
	n := r.count()
	f.Properties = make(map[string]graph.Property, n)
	for range n {
		name, at := string(r.bytes()), r.instant()
		f.Properties[name] = graph.Property{Value: r.bytes(), ObservedAt: at}
	}
	f.Sources = make([]string, r.count())
	for i := range f.Sources {
		f.Sources[i] = string(r.bytes())
	}
	f.FirstSeen, f.LastSeen = r.instant(), r.instant()
	if r.err == nil && (len(r.rest) > 0 || len(f.Keys) == 0) {
		r.fail()
	}
	return f, r.err
}

// keyType makes a key type without a new text for those that the table knows.
func keyType(name []byte) graph.KeyType {
	if t, ok := keyTypes[string(name)]; ok {
		return t
	}
	return graph.KeyType(name)
}

var keyTypes = func() map[string]graph.KeyType {
	out := map[string]graph.KeyType{}
	for k := graph.KindDevice; k.Entity(); k++ {
		for _, row := range graph.KeyTable(k) {
			out[string(row.Type)] = row.Type
		}
	}
	return out
}()
