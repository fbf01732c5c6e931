package compact

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/clew-security/clew/graph"
)

// ids numbers ids, once and for all graphs of a Builder: one goroutine adds, any number look up. An id keeps its number
// when nothing is left of it.
type ids struct {
	names draft[graph.ID]
	parts [256]atomic.Pointer[part]
}

// part is a hash table with open addresses of the numbers of a share of the ids.
type part struct {
	// slots have the numbers, and above nodeBits a fingerprint of the id's hash, so that names of other ids are hardly ever
	// read. One without is free.
	slots []atomic.Uint32
	used  int // the adder's
}

// A part is grown by a quarter when more than mostUsed of mostOf slots would be used.
const (
	mostUsed, mostOf = 17, 20
	// minSlots is the size of a part of few ids, and how far to leap at first.
	minSlots = 16
)

// newPart makes one of so many slots, and of what the allocator would round them up to.
func newPart(slots int) *part {
	s := slices.Grow([]atomic.Uint32(nil), slots)
	return &part{slots: s[:cap(s)]}
}

// full reports whether it must grow before one more is put in. So there is always a slot that is free.
func (p *part) full() bool { return mostOf*(p.used+1) > mostUsed*len(p.slots) }

// fingerprint is never 0, so that no slot with a number is.
func fingerprint(hash uint32) uint32 { return max(hash%(1<<(32-nodeBits)), 1) << nodeBits }

// first is where to begin to look.
func (p *part) first(hash uint32) int { return int(uint64(hash) * uint64(len(p.slots)) >> 32) }

// next is where to look after slot i, and how far to leap from there. Leaps get shorter until every slot is looked at:
// next to one that is taken lie more such ones, as slots fill up.
func (p *part) next(i, leap int) (int, int) {
	if i += leap; i >= len(p.slots) {
		i -= len(p.slots)
	}
	return i, max(leap-1, 1)
}

// seed keeps those who choose what is hashed into ids from choosing where they lie here.
var seed = rand.Uint64() | 1

func spread(id graph.ID) (part int, hash uint32) {
	h := (binary.LittleEndian.Uint64(id[8:]) ^ uint64(id[0])) * seed
	return int(h >> 56), uint32(h >> 24)
}

// find looks an id up among the names, which may be those of an earlier graph.
func (t *ids) find(names *table[graph.ID], id graph.ID) (Node, bool) {
	which, hash := spread(id)
	return t.parts[which].Load().find(names, hash, id)
}

func (p *part) find(names *table[graph.ID], hash uint32, id graph.ID) (Node, bool) {
	if p == nil {
		return 0, false
	}
	mark := fingerprint(hash)
	for i, leap := p.first(hash), minSlots; ; i, leap = p.next(i, leap) {
		slot := p.slots[i].Load()
		if slot == 0 {
			return 0, false
		}
		if n := slot % MaxNodes; slot-n == mark && n < uint32(names.n) && *names.at(n) == id {
			return Node(n), true
		}
	}
}

// add numbers an id that has no number.
func (t *ids) add(id graph.ID) Node {
	n := t.names.add(0, id)
	which, hash := spread(id)
	p := t.parts[which].Load()
	if p == nil || p.full() {
		p = t.grown(p)
		t.parts[which].Store(p)
	}
	p.put(hash, n)
	return Node(n)
}

// index makes the hash tables of all names, of which none is in any. It reports whether they all differ.
func (t *ids) index() bool {
	var counts [len(t.parts)]int
	for i := range uint32(t.names.n) {
		which, _ := spread(*t.names.at(i))
		counts[which]++
	}
	var parts [len(t.parts)]*part
	for i, n := range counts {
		parts[i] = newPart(max(n+n/5+1, minSlots))
	}
	for i := range uint32(t.names.n) {
		id := *t.names.at(i)
		which, hash := spread(id)
		if _, there := parts[which].find(&t.names.table, hash, id); there {
			return false
		}
		parts[which].put(hash, i)
	}
	for i, p := range parts {
		t.parts[i].Store(p)
	}
	return true
}

func (t *ids) grown(old *part) *part {
	if old == nil {
		return newPart(minSlots)
	}
	p := newPart(len(old.slots) + len(old.slots)/4 + 1)
	for i := range old.slots {
		if slot := old.slots[i].Load(); slot != 0 {
			n := slot % MaxNodes
			_, hash := spread(*t.names.at(n))
			p.put(hash, n)
		}
	}
	return p
}

func (p *part) put(hash, n uint32) {
	i, leap := p.first(hash), minSlots
	for p.slots[i].Load() != 0 {
		i, leap = p.next(i, leap)
	}
	p.slots[i].Store(fingerprint(hash) | n)
	p.used++
}

// bytes is the memory that the hash tables take.
func (t *ids) bytes() (n int) {
	for i := range t.parts {
		if p := t.parts[i].Load(); p != nil {
			n += 4 * len(p.slots)
		}
	}
	return n
}
