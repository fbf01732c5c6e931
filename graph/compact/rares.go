package compact

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// rare is what many edges have in common, or few have.
type rare struct {
	first, last Instant // where a record has no room for them, else None
	ended       Instant
	count       int
	inferred    bool
	sources     []string
	alerts      []graph.ID
}

// rares numbers what edges share, by how many use it.
type rares struct {
	draft[rare]
	uses          []int32
	unused        []uint32
	byKey         map[string]uint32
	key           []byte
	names         map[string]string // of sources: there are few, which many share
	outside, keys int               // bytes outside of the table
}

func newRares() rares { return rares{byKey: map[string]uint32{}, names: map[string]string{}} }

// keyOf tells apart what differs. It is void after the next call.
func (r *rares) keyOf(x *rare) []byte {
	k := r.key[:0]
	for _, at := range []Instant{x.first, x.last, x.ended} {
		k = binary.AppendVarint(k, int64(at-None)) // None, which is the most, is short
	}
	k = binary.AppendVarint(k, int64(x.count)<<1|int64(b2i(x.inferred)))
	k = binary.AppendUvarint(k, uint64(len(x.sources)))
	for _, s := range x.sources {
		k = append(binary.AppendUvarint(k, uint64(len(s))), s...)
	}
	for _, id := range x.alerts {
		k = append(k, id[:]...)
	}
	r.key = k
	return k
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take gives the number, with its marks, for a record of what the edge has; give must follow when it is not used any
// more. ok is false where there is no number left.
func (r *rares) take(edition uint32, e *graph.Edge, first, last Instant) (number uint32, ok bool) {
	x := rare{None, None, InstantOf(e.EndedAt), e.Count, e.Inferred, e.Sources, e.Alerts}
	marks := uint32(0)
	if x.ended != None {
		marks |= hasEnd
	}
	if !fits(first, last) {
		marks |= hasTimes
		x.first, x.last = first, last
	}
	key := r.keyOf(&x)
	i, known := r.byKey[string(key)]
	if known {
		r.uses[i]++
		return i | marks, true
	}
	if i, ok = r.number(edition); ok {
		*r.change(edition, i), r.uses[i] = r.own(x), 1
		r.know(i, &x, key)
	}
	return i | marks, ok
}

// know has it found by its key.
func (r *rares) know(i uint32, x *rare, key []byte) {
	r.byKey[string(key)] = i
	r.outside += x.outside()
	r.keys += keyed(key)
}

// number finds one that nothing has.
func (r *rares) number(edition uint32) (i uint32, ok bool) {
	if n := len(r.unused); n > 0 {
		i, r.unused = r.unused[n-1], r.unused[:n-1]
		return i, true
	}
	if r.n > maxRares {
		return 0, false
	}
	r.uses = append(r.uses, 0)
	return r.add(edition, rare{}), true
}

// own keeps no more than it needs of what may be part of something larger.
func (r *rares) own(x rare) rare {
	x.alerts = slices.Clip(slices.Clone(x.alerts))
	x.sources = slices.Clip(slices.Clone(x.sources))
	for i, s := range x.sources {
		x.sources[i], _ = r.name(s)
	}
	return x
}

// name is the one that all share, and whether there was one.
func (r *rares) name(s string) (name string, known bool) {
	if name, known = r.names[s]; !known {
		name = strings.Clone(s)
		r.names[name] = name
		r.outside += len(name) + entryBytes
	}
	return name, known
}

func (r *rares) give(edition, i uint32) {
	i &= maxRares
	if r.uses[i]--; r.uses[i] == 0 {
		x := r.change(edition, i)
		key := r.keyOf(x)
		delete(r.byKey, string(key))
		r.outside -= x.outside()
		r.keys -= keyed(key)
		*x = rare{}
		r.unused = append(r.unused, i)
	}
}
