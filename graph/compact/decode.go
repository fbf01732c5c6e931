package compact

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/clew-security/clew/graph"
)

// ErrDamaged is the error of Decode about what is not a graph as Encode writes it.
var ErrDamaged = errors.New("graph is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// Decode reads to its end what Encode wrote, and gives a Builder that goes on from there under the limits of
// Builder.Limit. Ids and edges have the numbers they had; numbers that are free may be given again in another order.
// It takes memory in proportion to what it has read. Every number is checked: the graph is one that a Builder can have
// made, but for edges of one kind between the same nodes, of which there may be several. Errors: the reader's,
// ErrDamaged, ErrFull.
func Decode(r io.Reader, nodes, edges int) (*Builder, error) {
	d := decoder{b: NewBuilder(), r: bufio.NewReaderSize(r, 1<<16)}
	d.b.Limit(nodes, edges)
	defer d.indexing.Wait()
	for _, s := range []struct {
		tag  byte
		read func(items uint64) error
	}{
		{tagIDs, d.ids}, {tagNodes, d.nodes}, {tagSources, d.sources}, {tagShared, d.shared},
		{tagExtras, d.extras}, {tagRecords, d.records}, {tagArcs, d.arcs}, {tagHistories, d.histories}, {tagEnd, d.end},
	} {
		items, err := d.section(s.tag)
		if err == nil {
			err = s.read(items)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.b, nil
}

// decoder reads a graph, section by section.
type decoder struct {
	r *bufio.Reader
	b *Builder
	// indexing makes the table of ids meanwhile; twice is its outcome.
	indexing sync.WaitGroup
	twice    bool
	lists    []list
	// out and in are the sums over all nodes.
	out, in uint64
	names   []string // of sources
	own     bitset   // the numbers of extras that an edge has
	free    bitset   // the numbers that no edge has
	used    bitset   // those, and the numbers of edges that were read
	err     error    // the first of what reads single values
}

// list is a node's list of arcs that is being filled.
type list struct {
	at      uint32 // as place.at
	filled  uint32
	out, in uint32 // how many are still to come
}

// cutShort tells an end that comes too early.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it is cut short")
	}
	return err
}

func (d *decoder) section(tag byte) (items uint64, err error) {
	var head [9]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return 0, cutShort(err)
	}
	if head[0] != tag {
		return 0, damaged("section %d where %d is due", head[0], tag)
	}
	return binary.LittleEndian.Uint64(head[1:]), nil
}

// each reads items of one size, many at a time.
func (d *decoder) each(items uint64, size int, take func(some []byte) error) error {
	room := make([]byte, min(items, 4096)*uint64(size))
	for items > 0 {
		room = room[:min(items, 4096)*uint64(size)]
		if _, err := io.ReadFull(d.r, room); err != nil {
			return cutShort(err)
		}
		if err := take(room); err != nil {
			return err
		}
		items -= uint64(len(room) / size)
	}
	return nil
}

func (d *decoder) ids(items uint64) error {
	b := d.b
	if items > uint64(b.maxNodes) {
		b.full("more than %d ids", b.maxNodes)
		return b.err
	}
	err := d.each(items, idSize, func(some []byte) error {
		for ; len(some) > 0; some = some[idSize:] {
			b.ids.names.add(b.edition, graph.ID(some))
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.indexing.Go(func() { d.twice = !b.ids.index() })
	for b.ordered = min(1, uint32(items)); uint64(b.ordered) < items; b.ordered++ {
		if n := Node(b.ordered); b.ID(n-1).Compare(b.ID(n)) >= 0 {
			break
		}
	}
	return nil
}

func (d *decoder) nodes(items uint64) error {
	b := d.b
	if items != uint64(b.ids.names.n) {
		return damaged("%d nodes of %d ids", items, b.ids.names.n)
	}
	d.lists = make([]list, 0, items)
	err := d.each(items, nodeSize, func(some []byte) error {
		for ; len(some) > 0; some = some[nodeSize:] {
			if err := d.node(binary.LittleEndian.Uint32(some), binary.LittleEndian.Uint32(some[4:])); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && d.in != d.out {
		err = damaged("%d edges lead from nodes and %d to them", d.out, d.in)
	}
	if err == nil {
		err = d.aliases()
	}
	return err
}

func (d *decoder) node(word, other uint32) error {
	b, p := d.b, place{n: word &^ countMask}
	l := list{out: word & countMask, in: other & countMask}
	n := Node(len(d.lists))
	switch {
	case p.n&placeTight != 0 || p.alias() && (p.n&placeKnown != 0 || l.in > 0):
		return damaged("node %d is marked %x", n, word)
	case p.alias():
		p.n, l.out = word, 0
	case l.out+l.in > countMask:
		return damaged("node %d has more edges than one can", n)
	}
	d.lists = append(d.lists, l)
	d.out, d.in = d.out+uint64(l.out), d.in+uint64(l.in)
	b.places.add(b.edition, p)
	b.marks.add(b.edition, Mark(b.ID(n).Kind())&markKind|Mark(other>>countBits)<<markGrade)
	return nil
}

// aliases checks whose they are.
func (d *decoder) aliases() error {
	places := &d.b.places
	for n := range uint32(places.n) {
		p := places.at(n)
		if p.alias() && (p.count() >= uint32(places.n) || places.at(p.count()).alias()) {
			return damaged("node %d is another id of %d, which is no node", n, p.count())
		}
	}
	return nil
}

func (d *decoder) sources(items uint64) error {
	for ; items > 0 && d.err == nil; items-- {
		text := d.text(d.uvarint())
		name, known := d.b.rest.shared.name(text)
		if known {
			d.fail(damaged("source %q comes twice", name))
		}
		d.names = append(d.names, name)
	}
	return d.err
}

func (d *decoder) shared(items uint64) error {
	if items > maxRest+1 {
		return damaged("%d kinds of what edges share", items)
	}
	s := &d.b.rest.shared
	for ; items > 0 && d.err == nil; items-- {
		s.add(d.b.edition, d.share())
		s.uses = append(s.uses, 0)
	}
	return d.err
}

func (d *decoder) share() shared {
	inferred := d.byte()
	if inferred > 1 {
		d.fail(damaged("what edges share is marked %x", inferred))
	}
	x := shared{inferred: inferred == 1}
	if x.count = int(d.varint()); x.count<<1>>1 != x.count {
		d.fail(damaged("an edge was seen %d times", x.count))
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		x.sources = append(x.sources, d.source(d.uvarint()))
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		x.alerts = append(x.alerts, d.id())
	}
	x.sources, x.alerts = slices.Clip(x.sources), slices.Clip(x.alerts)
	return x
}

func (d *decoder) extras(items uint64) error {
	if items > maxRest+1 {
		return damaged("%d edges ended, or were seen at odd times", items)
	}
	b := d.b
	return d.each(items, extraSize, func(some []byte) error {
		for ; len(some) > 0; some = some[extraSize:] {
			at := func(i int) Instant { return Instant(binary.LittleEndian.Uint64(some[8*i:])) }
			b.rest.extras.add(b.edition, extra{at(0), at(1), at(2), binary.LittleEndian.Uint32(some[24:])})
		}
		return nil
	})
}

// The following read one value, zero after an error, which stays.

func (d *decoder) byte() byte {
	b, err := d.r.ReadByte()
	d.fail(err)
	return b
}

func (d *decoder) uvarint() uint64 {
	text, err := d.r.Peek(binary.MaxVarintLen64)
	n, size := binary.Uvarint(text)
	d.number(size, err)
	return n
}

func (d *decoder) varint() int64 {
	text, err := d.r.Peek(binary.MaxVarintLen64)
	n, size := binary.Varint(text)
	d.number(size, err)
	return n
}

// number takes one that was read; err is why no more could be.
func (d *decoder) number(size int, err error) {
	switch {
	case size < 0:
		d.fail(damaged("a number has more than 64 bits"))
	case size == 0:
		d.fail(err)
	default:
		_, err = d.r.Discard(size)
		d.fail(err)
	}
}

func (d *decoder) text(size uint64) string {
	var text []byte
	if d.err == nil {
		d.fail(d.each(size, 1, func(some []byte) error { text = append(text, some...); return nil }))
	}
	return string(text)
}

func (d *decoder) source(number uint64) string {
	if number >= uint64(len(d.names)) {
		d.fail(damaged("there is no source %d", number))
		return ""
	}
	return d.names[number]
}

func (d *decoder) id() (id graph.ID) {
	_, err := io.ReadFull(d.r, id[:])
	d.fail(err)
	return id
}

// fail notes the first error.
func (d *decoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err = cutShort(err)
	}
}

func (d *decoder) records(items uint64) error {
	b := d.b
	if items > uint64(b.maxEdges) {
		b.full("more than %d edges", b.maxEdges)
		return b.err
	}
	d.own = newBitset(b.rest.extras.n)
	err := d.each(items, recordSize, func(some []byte) error {
		for ; len(some) > 0; some = some[recordSize:] {
			r := record{binary.LittleEndian.Uint64(some), binary.LittleEndian.Uint64(some[8:])}
			if r == noRecord {
				r, b.free = record{}, append(b.free, uint32(b.records.n))
			} else if err := d.record(&r); err != nil {
				return err
			}
			b.records.add(b.edition, r)
		}
		return nil
	})
	slices.Reverse(b.free) // the first is given first
	if err == nil && uint64(b.records.n-len(b.free)) != d.out {
		err = damaged("%d edges have numbers, of %d", b.records.n-len(b.free), d.out)
	}
	if err == nil {
		err = d.rest()
	}
	return err
}

// record counts that it uses its rest, which must be such a one as it says.
func (d *decoder) record(r *record) error {
	rest, n := &d.b.rest, r.rest()
	if n&^maxRest != 0 {
		i := n & maxRest
		if int(i) >= rest.extras.n || d.own.has(i) {
			return damaged("an edge has an end or times that are not there, or another's: %d", i)
		}
		x := rest.extras.at(i)
		switch {
		case x.ended != None != (n&hasEnd != 0):
			return damaged("an edge has an end, or has none, that has none, or has one")
		case n&hasTimes != 0 && (r.first>>highBits != 0 || r.span>>lowBits != 0 || fits(x.first, x.last)),
			n&hasTimes == 0 && (x.first != None || x.last != None):
			return damaged("the instants of an edge lie where they do not belong")
		}
		d.own.add(i)
		n = x.shared
	}
	if uint64(n) >= uint64(rest.shared.n) {
		return damaged("edges share what is not there: %d", n)
	}
	rest.shared.uses[n]++
	return nil
}

// rest has what edges share found by what it is, and the numbers that nothing has given again.
func (d *decoder) rest() error {
	shares, extras := &d.b.rest.shared, &d.b.rest.extras
	for i := range uint32(shares.n) {
		if shares.uses[i] == 0 {
			shares.pool.give(d.b.edition, i)
			continue
		}
		x := shares.at(i)
		key := shares.keyOf(x)
		if _, known := shares.byKey[string(key)]; known {
			return damaged("what is the same is shared as two")
		}
		shares.know(i, x, key)
	}
	for i := range uint32(extras.n) {
		if !d.own.has(i) {
			extras.give(d.b.edition, i)
		}
	}
	return nil
}

func (d *decoder) arcs(items uint64) error {
	b := d.b
	if items != d.out {
		return damaged("%d edges, of %d", items, d.out)
	}
	d.free = newBitset(b.records.n)
	for _, e := range b.free {
		d.free.add(e)
	}
	d.used = slices.Clone(d.free)
	if err := d.lay(); err != nil {
		return err
	}
	near := Node(0)
	err := d.each(items, arcSize, func(some []byte) error {
		for ; len(some) > 0; some = some[arcSize:] {
			for d.lists[near].out == 0 {
				near++
			}
			a := Arc{binary.LittleEndian.Uint32(some), binary.LittleEndian.Uint32(some[4:])}
			if err := d.arc(near, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		b.edges = int(items)
		d.sort()
	}
	return err
}

// lay finds room for the arcs of all nodes.
func (d *decoder) lay() error {
	b := d.b
	for n := range d.lists {
		l, p := &d.lists[n], b.places.at(uint32(n))
		if !p.alias() && !b.arena.reserve(p, l.out+l.in) {
			b.noRoom()
			return b.err
		}
		if l.at = p.at; p.there() {
			b.nodes++
		}
	}
	return nil
}

// arc puts an edge in at both ends.
func (d *decoder) arc(near Node, a Arc) error {
	b, far := d.b, a.Far()
	switch {
	case a.Kind().Tense() == 0:
		return damaged("edges of kind %d", a.Kind())
	case int(far) >= len(d.lists) || d.lists[far].in == 0:
		return damaged("node %d has an edge too many", far)
	case a.Backward() || int(a.Edge()) >= b.records.n || d.used.has(a.Edge()):
		return damaged("an edge has the number %d", a.slot)
	}
	d.used.add(a.Edge())
	d.lists[near].out--
	d.put(near, a)
	d.lists[far].in--
	d.put(far, a.Reverse(near))
	if a.Kind() == graph.EdgePossiblySame {
		b.mark(near, markSame, markSame)
		b.mark(far, markSame, markSame)
	}
	return nil
}

func (d *decoder) put(n Node, a Arc) {
	l := &d.lists[n]
	d.b.arena.chunks[l.at>>chunkBits][l.at%chunkArcs+l.filled] = a
	l.filled++
}

// sort puts the arcs of every node in order.
func (d *decoder) sort() {
	places, chunks := &d.b.places.table, d.b.arena.chunks
	const some = 1 << 12
	var next atomic.Uint32
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), places.n/some+1) {
		all.Go(func() {
			var here arena
			for {
				end := next.Add(some)
				for n := end - some; n < min(end, uint32(places.n)); n++ {
					here.sort(lie(chunks, places.at(n)))
				}
				if int(end) >= places.n {
					return
				}
			}
		})
	}
	all.Wait()
}

func (d *decoder) histories(items uint64) error {
	h := &d.b.histories
	if h.kept = items > 0; !h.kept {
		return nil
	}
	for items--; items > 0 && d.err == nil; items-- {
		all := d.text(d.uvarint())
		if err := d.history(uint32(h.n)<<historyBits, all); err != nil {
			return err
		}
		h.outside += textBytes(len(all))
		h.add(d.b.edition, all)
	}
	return d.err
}

// history checks what is said of 64 edges from one on. What it says of how an edge was may be anything: see unpacking.
func (d *decoder) history(first uint32, all string) error {
	for all != "" {
		edge := first + uint32(all[0])
		size, rest := uvarint(all[1:])
		if all[0] > historyMask || int(edge) >= d.b.records.n || d.free.has(edge) || size == 0 || size > uint64(len(rest)) {
			return damaged("edge %d has no such history", edge)
		}
		all = rest[size:]
	}
	return nil
}

// end has the reader come to its own.
func (d *decoder) end(items uint64) error {
	_, err := d.r.ReadByte()
	switch d.indexing.Wait(); {
	case items != 0 || err == nil:
		return damaged("it goes on behind its end")
	case !errors.Is(err, io.EOF):
		return err
	case d.twice:
		return damaged("an id has two numbers")
	}
	return nil
}
