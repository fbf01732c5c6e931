package compact

import (
	"encoding/binary"
	"slices"

	"github.com/clew-security/clew/graph"
)

// rare is what many edges have in common, or few have.
type rare struct {
	ended    Instant
	count    int
	inferred bool
	sources  []string
	alerts   []graph.ID
}

// rares numbers what edges share, by how many use it.
type rares struct {
	draft[rare]
	uses   []int32
	unused []uint32
	byKey  map[string]uint32
	key    []byte
}

func newRares() rares { return rares{byKey: map[string]uint32{}} }

// keyOf tells apart what differs. It is void after the next call.
func (r *rares) keyOf(x rare) []byte {
	k := binary.AppendVarint(r.key[:0], int64(x.ended))
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

// take gives the number for a record of what the edge has; give must follow when it is not used any more.
func (r *rares) take(edition uint32, e graph.Edge) uint32 {
	x := rare{InstantOf(e.EndedAt), e.Count, e.Inferred, e.Sources, e.Alerts}
	key := r.keyOf(x)
	i, known := r.byKey[string(key)]
	switch n := len(r.unused); {
	case known:
		r.uses[i]++
	case n > 0:
		i, r.unused = r.unused[n-1], r.unused[:n-1]
		*r.change(edition, i), r.uses[i] = own(x), 1
	default:
		i = r.add(edition, own(x))
		r.uses = append(r.uses, 1)
	}
	if !known {
		r.byKey[string(key)] = i
	}
	if x.ended != None {
		i |= hasEnd
	}
	return i
}

// own keeps no more than it needs of what may be part of something larger.
func own(x rare) rare {
	x.sources, x.alerts = slices.Clip(slices.Clone(x.sources)), slices.Clip(slices.Clone(x.alerts))
	return x
}

func (r *rares) give(edition, i uint32) {
	i &^= hasEnd
	if r.uses[i]--; r.uses[i] == 0 {
		x := r.change(edition, i)
		delete(r.byKey, string(r.keyOf(*x)))
		*x = rare{}
		r.unused = append(r.unused, i)
	}
}
