package compact

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// shared is what many edges have in common: few differ in it.
type shared struct {
	count    int
	inferred bool
	sources  []string
	alerts   []graph.ID
}

// extra is what few edges have, and hardly two alike: each has one of its own.
type extra struct {
	first, last Instant // where a record has no room for them, else None
	ended       Instant
	shared      uint32 // the number of what the edge shares
}

// rest is what records have no room for.
type rest struct {
	shared table[shared]
	extras table[extra]
}

// sharedBy is what the edge of a record shares.
func (r *rest) sharedBy(of *record) *shared {
	n := of.rest()
	if n&^maxRest != 0 {
		n = r.extras.at(n & maxRest).shared
	}
	return r.shared.at(n)
}

// restDraft is a rest in the making.
type restDraft struct {
	shared shares
	extras pool[extra]
}

func (r *restDraft) rest() *rest { return &rest{r.shared.table, r.extras.table} }

// show gives the rest as it is, for a Graph.
func (r *restDraft) show() rest { return rest{r.shared.show(), r.extras.show()} }

// take gives the number, with its marks, for a record of what the edge has; give must follow when it is not used any
// more. ok is false where there is no number left.
func (r *restDraft) take(edition uint32, e *graph.Edge, first, last Instant) (number uint32, ok bool) {
	number, ok = r.shared.take(edition, shared{e.Count, e.Inferred, e.Sources, e.Alerts})
	x, marks := extra{None, None, InstantOf(e.EndedAt), number}, uint32(0)
	if x.ended != None {
		marks |= hasEnd
	}
	if !fits(first, last) {
		marks |= hasTimes
		x.first, x.last = first, last
	}
	if ok && marks != 0 {
		number, ok = r.extras.take(edition, x)
	}
	return number | marks, ok
}

func (r *restDraft) give(edition, number uint32) {
	if number&^maxRest != 0 {
		i := number & maxRest
		number = r.extras.at(i).shared
		r.extras.give(edition, i)
	}
	r.shared.give(edition, number)
}

// pool is a draft of items that are given back, and their numbers given again.
type pool[T any] struct {
	draft[T]
	unused []uint32
}

// take puts in an item. ok is false where there is no number left.
func (p *pool[T]) take(edition uint32, v T) (number uint32, ok bool) {
	if n := len(p.unused); n > 0 {
		number, p.unused = p.unused[n-1], p.unused[:n-1]
		*p.change(edition, number) = v
		return number, true
	}
	if p.n > maxRest {
		return 0, false
	}
	return p.add(edition, v), true
}

func (p *pool[T]) give(edition, i uint32) {
	*p.change(edition, i) = *new(T)
	p.unused = append(p.unused, i)
}

// shares numbers what edges share, by how many use it.
type shares struct {
	pool[shared]
	uses          []int32
	byKey         map[string]uint32
	key           []byte
	names         map[string]string // of sources: there are few, which many share
	outside, keys int               // bytes outside of the table
}

func newShares() shares { return shares{byKey: map[string]uint32{}, names: map[string]string{}} }

// keyOf tells apart what differs. It is void after the next call.
func (s *shares) keyOf(x *shared) []byte {
	k := binary.AppendVarint(s.key[:0], int64(x.count)<<1|int64(b2i(x.inferred)))
	k = binary.AppendUvarint(k, uint64(len(x.sources)))
	for _, name := range x.sources {
		k = append(binary.AppendUvarint(k, uint64(len(name))), name...)
	}
	for _, id := range x.alerts {
		k = append(k, id[:]...)
	}
	s.key = k
	return k
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take gives the number of the one that is so.
func (s *shares) take(edition uint32, x shared) (number uint32, ok bool) {
	key := s.keyOf(&x)
	if i, known := s.byKey[string(key)]; known {
		s.uses[i]++
		return i, true
	}
	x = s.own(x)
	if number, ok = s.pool.take(edition, x); !ok {
		return 0, false
	}
	if int(number) == len(s.uses) {
		s.uses = append(s.uses, 0)
	}
	s.uses[number] = 1
	s.know(number, &x, key)
	return number, true
}

// know has it found by its key.
func (s *shares) know(i uint32, x *shared, key []byte) {
	s.byKey[string(key)] = i
	s.outside += x.outside()
	s.keys += keyed(key)
}

// own keeps no more than it needs of what may be part of something larger.
func (s *shares) own(x shared) shared {
	x.alerts = slices.Clip(slices.Clone(x.alerts))
	x.sources = slices.Clip(slices.Clone(x.sources))
	for i, name := range x.sources {
		x.sources[i], _ = s.name(name)
	}
	return x
}

// name is the one that all share, and whether there was one.
func (s *shares) name(text string) (name string, known bool) {
	if name, known = s.names[text]; !known {
		name = strings.Clone(text)
		s.names[name] = name
		s.outside += len(name) + entryBytes
	}
	return name, known
}

func (s *shares) give(edition, i uint32) {
	if s.uses[i]--; s.uses[i] == 0 {
		x := s.at(i)
		key := s.keyOf(x)
		delete(s.byKey, string(key))
		s.outside -= x.outside()
		s.keys -= keyed(key)
		s.pool.give(edition, i)
	}
}
