package compact

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	"github.com/clew-security/clew/graph"
)

// ids numbers ids, once and for all graphs of a Builder: one goroutine adds, any number look up. An id keeps its number
// when nothing is left of it.
type ids struct {
	names draft[graph.ID]
	parts [256]atomic.Pointer[part]
}

// part is a hash table with open addresses of the numbers, plus one, of a share of the ids.
type part struct {
	slots []atomic.Uint32
	used  int // the adder's
}

// minSlots is the size of a part of few ids.
const minSlots = 4

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
	for mask := uint32(len(p.slots) - 1); ; hash++ {
		n := p.slots[hash&mask].Load()
		if n == 0 {
			return 0, false
		}
		if n <= uint32(names.n) && *names.at(n - 1) == id {
			return Node(n - 1), true
		}
	}
}

// add numbers an id that has no number.
func (t *ids) add(id graph.ID) Node {
	n := t.names.add(0, id)
	which, hash := spread(id)
	p := t.parts[which].Load()
	if p == nil || 4*p.used >= 3*len(p.slots) {
		p = t.grown(p)
		t.parts[which].Store(p)
	}
	p.put(hash, n+1)
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
		slots := minSlots
		for 4*n > 3*slots {
			slots *= 2
		}
		parts[i] = &part{slots: make([]atomic.Uint32, slots)}
	}
	for i := range uint32(t.names.n) {
		id := *t.names.at(i)
		which, hash := spread(id)
		if _, there := parts[which].find(&t.names.table, hash, id); there {
			return false
		}
		parts[which].put(hash, i+1)
	}
	for i, p := range parts {
		t.parts[i].Store(p)
	}
	return true
}

func (t *ids) grown(old *part) *part {
	if old == nil {
		return &part{slots: make([]atomic.Uint32, minSlots)}
	}
	p := &part{slots: make([]atomic.Uint32, 2*len(old.slots))}
	for i := range old.slots {
		if n := old.slots[i].Load(); n != 0 {
			_, hash := spread(*t.names.at(n - 1))
			p.put(hash, n)
		}
	}
	return p
}

func (p *part) put(hash, n uint32) {
	mask := uint32(len(p.slots) - 1)
	for ; p.slots[hash&mask].Load() != 0; hash++ {
	}
	p.slots[hash&mask].Store(n)
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
