package compact

import (
	"encoding/binary"
	"io"

	"github.com/clew-security/clew/graph"
)

// Format is the version of what Encode writes: another one cannot be read.
const Format = 3

// The sections of a graph that is written, in their order. Each begins with its tag, a byte, and the number of its
// items, eight bytes. All numbers have their lowest byte first.
const (
	// tagIDs: the ids in order of their numbers, 16 bytes each.
	tagIDs = iota + 1
	// tagNodes: of each id eight bytes. The first four are as place.n, with how many edges lead from the node; below
	// countBits of the other four is how many lead to it, above it its grade.
	tagNodes
	// tagSources: the names of sources, each with its length before it.
	tagSources
	// tagShared: what edges share, in order of its numbers; see encoder.share.
	tagShared
	// tagExtras: what few edges have, in order of its numbers, 28 bytes each: first, last, end, and the number of what the
	// edge shares.
	tagExtras
	// tagRecords: of each number of an edge its record, 16 bytes; noRecord where no edge has the number.
	tagRecords
	// tagArcs: the edges, node by node from which they lead, eight bytes each: the arc.
	tagArcs
	// tagHistories: how edges were, of 64 edges at a time, each with its length before it, as histories has it. There is
	// one item more than such texts where they were kept, and none where they were not.
	tagHistories
	// tagEnd: nothing. Nothing follows.
	tagEnd
)

// The sizes of items that are all of one size.
const (
	idSize     = len(graph.ID{})
	nodeSize   = 8
	extraSize  = 28
	recordSize = 16
	arcSize    = 8
)

// noRecord stands where no edge has the number. No edge's is like it: what has its instants elsewhere has none itself.
var noRecord = record{^uint64(0), ^uint64(0)}

// bitset holds numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (s bitset) has(i uint32) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s bitset) add(i uint32) { s[i/64] |= 1 << (i % 64) }

// Encode writes the graph, with all that a Builder needs to go on from it; Decode reads it back. Errors: the writer's.
func (g *Graph) Encode(w io.Writer) error {
	e := encoder{w: w}
	e.ids(g)
	used := e.nodes(g)
	e.shared(g)
	e.extras(g)
	e.records(g, used)
	e.arcs(g)
	e.histories(g)
	e.section(tagEnd, 0)
	e.flush()
	return e.err
}

// encoder holds back what was written until it is much. After an error it writes nothing.
type encoder struct {
	w    io.Writer
	held []byte
	err  error
}

func (e *encoder) section(tag byte, items int) {
	e.held = binary.LittleEndian.AppendUint64(append(e.held, tag), uint64(items))
}

// spill follows every item. It reports whether there is no error yet.
func (e *encoder) spill() bool {
	if len(e.held) > 1<<16 {
		e.flush()
	}
	return e.err == nil
}

func (e *encoder) flush() {
	if e.err == nil {
		_, e.err = e.w.Write(e.held)
	}
	e.held = e.held[:0]
}

func (e *encoder) pair(a, b uint32) bool {
	e.held = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(e.held, a), b)
	return e.spill()
}

func (e *encoder) uvarint(n int) { e.held = binary.AppendUvarint(e.held, uint64(n)) }

func (e *encoder) ids(g *Graph) {
	e.section(tagIDs, g.names.n)
	for i := uint32(0); i < uint32(g.names.n) && e.spill(); i++ {
		e.held = append(e.held, g.names.at(i)[:]...)
	}
}

// nodes gives the numbers of edges that are used.
func (e *encoder) nodes(g *Graph) bitset {
	used := newBitset(g.records.n)
	e.section(tagNodes, g.names.n)
	for n := range uint32(g.names.n) {
		p := g.places.at(n)
		word, in := p.n&^(countMask|placeTight), uint32(0)
		if p.alias() {
			word |= p.count()
		}
		for _, a := range lie(g.chunks, p) {
			if a.Backward() {
				in++
			} else {
				word++
				used.add(a.Edge())
			}
		}
		if !e.pair(word, in|uint32(g.marks.at(n).Grade())<<countBits) {
			break
		}
	}
	return used
}

func (e *encoder) shared(g *Graph) {
	names, numbers := sourcesOf(&g.rest.shared)
	e.section(tagSources, len(names))
	for _, name := range names {
		e.uvarint(len(name))
		e.held = append(e.held, name...)
		e.spill()
	}
	e.section(tagShared, g.rest.shared.n)
	for i := uint32(0); i < uint32(g.rest.shared.n) && e.spill(); i++ {
		e.share(g.rest.shared.at(i), numbers)
	}
}

// sourcesOf numbers the names of all sources.
func sourcesOf(all *table[shared]) (names []string, numbers map[string]int) {
	numbers = map[string]int{}
	for i := range uint32(all.n) {
		for _, name := range all.at(i).sources {
			if _, known := numbers[name]; !known {
				numbers[name] = len(names)
				names = append(names, name)
			}
		}
	}
	return names, numbers
}

// share writes whether it is inferred, a byte; the count; how many sources there are, and their numbers; how many alerts,
// and their ids.
func (e *encoder) share(x *shared, numbers map[string]int) {
	e.held = append(e.held, byte(b2i(x.inferred)))
	e.held = binary.AppendVarint(e.held, int64(x.count))
	e.uvarint(len(x.sources))
	for _, name := range x.sources {
		e.uvarint(numbers[name])
	}
	e.uvarint(len(x.alerts))
	for _, id := range x.alerts {
		e.held = append(e.held, id[:]...)
	}
}

func (e *encoder) extras(g *Graph) {
	e.section(tagExtras, g.rest.extras.n)
	for i := uint32(0); i < uint32(g.rest.extras.n) && e.spill(); i++ {
		x := g.rest.extras.at(i)
		for _, at := range []Instant{x.first, x.last, x.ended} {
			e.held = binary.LittleEndian.AppendUint64(e.held, uint64(at))
		}
		e.held = binary.LittleEndian.AppendUint32(e.held, x.shared)
	}
}

func (e *encoder) records(g *Graph, used bitset) {
	e.section(tagRecords, g.records.n)
	for i := uint32(0); i < uint32(g.records.n) && e.spill(); i++ {
		r := noRecord
		if used.has(i) {
			r = *g.records.at(i)
		}
		e.held = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(e.held, r.first), r.span)
	}
}

func (e *encoder) arcs(g *Graph) {
	e.section(tagArcs, g.edges)
	for n := range uint32(g.names.n) {
		for _, a := range lie(g.chunks, g.places.at(n)) {
			if !a.Backward() && !e.pair(a.far, a.slot) {
				return
			}
		}
	}
}

func (e *encoder) histories(g *Graph) {
	if !g.remembers {
		e.section(tagHistories, 0)
		return
	}
	e.section(tagHistories, g.histories.n+1)
	for i := uint32(0); i < uint32(g.histories.n) && e.spill(); i++ {
		all := *g.histories.at(i)
		e.uvarint(len(all))
		e.held = append(e.held, all...)
	}
}
