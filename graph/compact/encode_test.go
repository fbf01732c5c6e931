package compact

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/clew-security/clew/graph"
)

type tester interface {
	Helper()
	Fatalf(string, ...any)
}

func encoded(t tester, g *Graph) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := g.Encode(&text); err != nil {
		t.Fatalf("writing: %v", err)
	}
	return text.Bytes()
}

func decode(text []byte) (*Builder, error) {
	return Decode(bytes.NewReader(text), MaxNodes, MaxEdges)
}

func decoded(t tester, text []byte) *Builder {
	t.Helper()
	b, err := decode(text)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return b
}

// reload gives a Builder from what was written of another one, and holds it against that one.
func reload(t tester, b *Builder) *Builder {
	t.Helper()
	again := decoded(t, encoded(t, b.Graph()))
	if got, want := inside(again), inside(b); got != want {
		t.Fatalf("what was read is\n%s\nwant\n%s", got, want)
	}
	return again
}

// inside is all that a Builder goes on from, but for where arcs lie, and what is free in order.
func inside(b *Builder) string {
	var out bytes.Buffer
	free, unused := slices.Sorted(slices.Values(b.free)), slices.Sorted(slices.Values(b.rest.shared.unused))
	fmt.Fprintln(&out, b.ids.names.n, b.nodes, b.edges, b.same, b.ordered, free, unused, len(b.rest.shared.byKey), b.rest.shared.keys, b.records.n)
	for n := range Node(b.ids.names.n) {
		p := *b.places.at(uint32(n))
		if found, ok := b.Find(b.ID(n)); !ok || found != n {
			fmt.Fprintf(&out, "%d is found as %d\n", n, found)
		}
		arcs := slices.SortedFunc(slices.Values(b.Arcs(n)), func(a, b Arc) int { return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.far, b.far)) })
		fmt.Fprintln(&out, n, b.ID(n), b.Mark(n), p.alias(), b.Aliased(n), p.n&placeKnown, arcs)
		for _, a := range arcs {
			fmt.Fprintln(&out, "  ", *b.records.at(a.Edge()), b.Edge(n, a))
		}
	}
	s := &b.rest.shared
	for i := range uint32(s.n) {
		x := s.at(i)
		known, ok := s.byKey[string(s.keyOf(x))]
		fmt.Fprintln(&out, i, *x, s.uses[i], ok && known == i)
	}
	fmt.Fprintln(&out, slices.Sorted(slices.Values(b.rest.extras.unused)))
	for i := range uint32(b.rest.extras.n) {
		fmt.Fprintln(&out, i, *b.rest.extras.at(i))
	}
	fmt.Fprintln(&out, b.histories.kept, b.histories.outside)
	for edge, packed := range eachHistory(&b.histories.table) {
		fmt.Fprintf(&out, "%d %x\n", edge, packed)
	}
	return out.String()
}

// someGraph has a bit of everything, also numbers that are free.
func someGraph() *Builder {
	b := NewBuilder()
	b.KeepHistory()
	for i := range 12 {
		tie(b, i, i*5%7)
		tie(b, i*3%11, i)
	}
	e := graph.Edge{Kind: graph.EdgePossiblySame, FirstSeen: instants[3], EndedAt: epoch, Count: 3, Sources: []string{"a", "endpoint"}, Alerts: []graph.ID{graph.NewID(graph.KindAlert, "1")}}
	b.Insert(e, b.Node(number(1)), b.Node(number(2)))
	cut(b, b.Node(number(3)), b.Arcs(b.Node(number(3)))...)
	e.Kind, e.Count, e.Inferred = graph.EdgeOwns, 4, true
	b.Insert(e, b.Node(number(5)), b.Node(number(6)))
	b.Insert(seenTwice(), b.Node(number(6)), b.Node(number(5)))
	b.Know(b.Node(number(4)), true)
	b.Grade(b.Node(number(4)), 5)
	b.Alias(b.Node(number(20)), b.Node(number(4)))
	return b
}

// seenTwice is an edge that has a history.
func seenTwice() graph.Edge {
	e, _ := graph.EdgeQuery{Sightings: true}.Join(graph.EdgeRan, number(6), number(5), []graph.Sighting{
		{FirstSeen: epoch, LastSeen: epoch, Source: "a"}, {FirstSeen: instants[3], LastSeen: instants[3], Observation: graph.NewID(graph.KindAlert, "1")},
	})
	return e
}

func TestTheEmptyGraphIsWrittenAndRead(t *testing.T) {
	for name, g := range map[string]*Graph{"zero": {}, "built": NewBuilder().Graph()} {
		b := decoded(t, encoded(t, g))
		tie(b, 0, 1)
		if nodes, edges := b.Graph().Size(); nodes != 2 || edges != 1 {
			t.Errorf("%s: it goes on with %d nodes and %d edges", name, nodes, edges)
		}
	}
	reload(t, someGraph())
}

func TestAHubIsReadBack(t *testing.T) {
	b := NewBuilder()
	for i := range chunkArcs + 10 {
		tie(b, i%2*(i+1), (i+1)%2*(i+1))
	}
	b = reload(t, b)
	if n := len(b.Arcs(b.Node(number(0)))); n != chunkArcs+10 {
		t.Errorf("the hub has %d arcs", n)
	}
}

func TestLimitsHoldForWhatIsRead(t *testing.T) {
	text := encoded(t, someGraph().Graph())
	for name, limit := range map[string][2]int{"ids": {5, 100}, "edges": {100, 5}} {
		if b, err := Decode(bytes.NewReader(text), limit[0], limit[1]); b != nil || !errors.Is(err, ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := Decode(bytes.NewReader(text), decoded(t, text).Numbers(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if b.Node(number(1000)); !errors.Is(b.Err(), ErrFull) {
		t.Errorf("the limit is not that of the Builder: %v", b.Err())
	}
}

func TestErrorsOfWriterAndReaderAreToldOf(t *testing.T) {
	g, lost := someGraph().Graph(), errors.New("lost")
	if err := g.Encode(&broken{lost}); !errors.Is(err, lost) {
		t.Errorf("writing: %v", err)
	}
	text := encoded(t, g)
	for n := range len(text) {
		for cause, want := range map[error]error{io.EOF: ErrDamaged, lost: lost} {
			r := io.MultiReader(iotest.OneByteReader(bytes.NewReader(text[:n])), iotest.ErrReader(cause))
			if b, err := Decode(r, MaxNodes, MaxEdges); b != nil || !errors.Is(err, want) || (want == lost) == errors.Is(err, ErrDamaged) {
				t.Fatalf("after %d bytes %v: %v", n, cause, err)
			}
		}
	}
	if _, err := decode(append(text, 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("with a byte more: %v", err)
	}
}

type broken struct{ err error }

func (b *broken) Write([]byte) (int, error) { return 0, b.err }

// parts are the sections of a graph that was written.
type parts struct {
	t    *testing.T
	text []byte
	at   map[byte]int // where a section's items begin
}

func (p *parts) word(tag byte, offset int) []byte { return p.text[p.at[tag]+offset:][:4] }

func (p *parts) set(tag byte, offset int, change func(uint32) uint32) {
	w := p.word(tag, offset)
	binary.LittleEndian.PutUint32(w, change(binary.LittleEndian.Uint32(w)))
}

func partsOf(t *testing.T, b *Builder) *parts {
	t.Helper()
	g := b.Graph()
	text := encoded(t, g)
	p := &parts{t, text, map[byte]int{}}
	const head = 9
	histories := 0
	for i := range uint32(g.histories.n) {
		n := len(*g.histories.at(i))
		histories += len(binary.AppendUvarint(nil, uint64(n))) + n
	}
	p.at[tagIDs] = head
	p.at[tagNodes] = p.at[tagIDs] + g.Numbers()*idSize + head
	p.at[tagSources] = p.at[tagNodes] + g.Numbers()*nodeSize + head
	p.at[tagHistories] = len(text) - head - histories
	p.at[tagArcs] = p.at[tagHistories] - head - g.edges*arcSize
	p.at[tagRecords] = p.at[tagArcs] - head - g.Slots()*recordSize
	p.at[tagExtras] = p.at[tagRecords] - head - g.rest.extras.n*extraSize
	for tag, at := range p.at {
		if text[at-head] != tag {
			t.Fatalf("section %d is not at %d", tag, at-head)
		}
	}
	return p
}

func becomes(v uint32) func(uint32) uint32 { return func(uint32) uint32 { return v } }

// What no Builder makes is refused, each for its reason.
func TestWhatCannotBeIsRefused(t *testing.T) {
	toggle := func(v uint32) func(uint32) uint32 { return func(old uint32) uint32 { return old ^ v } }
	plus := func(v uint32) func(uint32) uint32 { return func(old uint32) uint32 { return old + v } }
	build := func() *Builder { // 0 → 1, 0 → 2, and 3, which is another id of 0
		b := NewBuilder()
		tie(b, 0, 1)
		e := graph.Edge{Kind: graph.EdgeRan, FirstSeen: epoch.AddDate(-100, 0, 0), LastSeen: epoch, Count: 1}
		b.Insert(e, b.Node(number(0)), b.Node(number(2)))
		b.Alias(b.Node(number(3)), 0)
		b.KeepHistory()
		b.histories.set(b.edition, 1, []byte{0, 7}) // its length, its place, its length, and itself
		return b
	}
	for name, change := range map[string]func(p *parts){
		"an unknown section":                func(p *parts) { p.text[p.at[tagNodes]-9] = 99 },
		"an id twice":                       func(p *parts) { copy(p.text[p.at[tagIDs]:][:16], p.text[p.at[tagIDs]+16:]) },
		"more nodes than ids":               func(p *parts) { p.text[p.at[tagNodes]-8]++ },
		"a mark of the memory":              func(p *parts) { p.set(tagNodes, 0, toggle(placeTight)) },
		"another id that is known":          func(p *parts) { p.set(tagNodes, 24, toggle(placeKnown)) },
		"another id that has edges":         func(p *parts) { p.set(tagNodes, 28, plus(1)) },
		"another id of itself":              func(p *parts) { p.set(tagNodes, 24, becomes(placeAlias|3)) },
		"another id of none":                func(p *parts) { p.set(tagNodes, 24, becomes(placeAlias|4)) },
		"an edge too many that leads out":   func(p *parts) { p.set(tagNodes, 0, plus(1)) },
		"an edge too many that leads in":    func(p *parts) { p.set(tagNodes, 4, plus(1)) },
		"an edge too many at both ends":     func(p *parts) { p.set(tagNodes, 0, plus(1)); p.set(tagNodes, 4, plus(1)) },
		"more edges than have numbers":      func(p *parts) { p.set(tagNodes, 0, plus(1<<27)); p.set(tagNodes, 12, plus(1<<27)) },
		"more edges than a node can have":   func(p *parts) { p.set(tagNodes, 0, becomes(countMask)); p.set(tagNodes, 4, becomes(countMask)) },
		"edges at other ends":               func(p *parts) { p.set(tagNodes, 12, becomes(2)); p.set(tagNodes, 20, becomes(0)) },
		"a number of an edge that is free":  func(p *parts) { copy(p.text[p.at[tagRecords]:][:16], bytes.Repeat([]byte{255}, 16)) },
		"what edges share is not there":     func(p *parts) { p.set(tagExtras, 24, plus(2)) },
		"an edge shares what is not there":  func(p *parts) { p.set(tagRecords, 0, becomes(0)); p.set(tagRecords, 8, plus(1000)) },
		"an extra is not there":             func(p *parts) { p.set(tagRecords, 8, plus(1000)) },
		"an extra of two edges":             func(p *parts) { p.set(tagRecords, 8, plus(1)) },
		"an edge has no end as it should":   func(p *parts) { p.set(tagRecords, 0, toggle(hasEnd>>lowBits)) },
		"an edge has an end as none should": func(p *parts) { p.set(tagExtras, 16, becomes(1)) },
		"an edge has no times as it should": func(p *parts) {
			p.set(tagRecords, 16, toggle((hasTimes|hasEnd)>>lowBits))
			p.set(tagExtras, extraSize+16, becomes(1)) // an end
		},
		"times twice":           func(p *parts) { p.set(tagRecords, 12, plus(1)) },
		"times that need none":  func(p *parts) { copy(p.text[p.at[tagExtras]:][:16], make([]byte, 16)) },
		"more extras than read": func(p *parts) { p.text[p.at[tagExtras]-8]++ },
		"an edge less":          func(p *parts) { p.text[p.at[tagArcs]-8]-- },
		"an edge to none":       func(p *parts) { p.set(tagArcs, 0, func(v uint32) uint32 { return v&^(1<<nodeBits-1) | 4 }) },
		"an edge to another id": func(p *parts) { p.set(tagArcs, 0, func(v uint32) uint32 { return v&^(1<<nodeBits-1) | 3 }) },
		"an edge twice at one end": func(p *parts) {
			p.set(tagArcs, 8, func(uint32) uint32 { return binary.LittleEndian.Uint32(p.word(tagArcs, 0)) })
		},
		"a kind that is not known":   func(p *parts) { p.set(tagArcs, 0, func(v uint32) uint32 { return v | 31<<nodeBits }) },
		"no kind":                    func(p *parts) { p.set(tagArcs, 0, func(v uint32) uint32 { return v & (1<<nodeBits - 1) }) },
		"an edge backward":           func(p *parts) { p.set(tagArcs, 4, toggle(1<<slotBits)) },
		"a number twice":             func(p *parts) { p.set(tagArcs, 4, becomes(1)) },
		"a number that is not there": func(p *parts) { p.set(tagArcs, 4, becomes(2)) },
		"the history of no edge":     func(p *parts) { p.text[p.at[tagHistories]+1] = 2 },
		"the history of a later one": func(p *parts) { p.text[p.at[tagHistories]+1] = 64 },
		"a history that is longer":   func(p *parts) { p.text[p.at[tagHistories]+2] = 3 },
		"a history of nothing":       func(p *parts) { p.text[p.at[tagHistories]+2] = 0 },
		"a history too many":         func(p *parts) { p.text[p.at[tagHistories]-8]++ },
		"items at the end":           func(p *parts) { p.text[len(p.text)-1] = 1 },
	} {
		p := partsOf(t, build())
		if _, err := decode(p.text); err != nil {
			t.Fatal(err)
		}
		change(p)
		if b, err := decode(p.text); b != nil || !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestWhatIsSharedIsRefusedWhereItCannotBe(t *testing.T) {
	b := NewBuilder()
	for count := range 2 {
		e := graph.Edge{Kind: graph.EdgeRan, FirstSeen: epoch, LastSeen: epoch, Count: count}
		b.Insert(e, b.Node(number(0)), b.Node(number(count+1)))
	}
	p := partsOf(t, b)
	with := func(source string, shared ...[]byte) error {
		e := encoder{held: slices.Clone(p.text[:p.at[tagSources]-9])}
		e.section(tagSources, 2)
		e.held = append(e.held, 1, 'a', 1, source[0])
		e.section(tagShared, len(shared))
		_, err := decode(slices.Concat(e.held, slices.Concat(shared...), p.text[p.at[tagExtras]-9:]))
		return err
	}
	usual := []byte{0, 2, 1, 0, 0} // not inferred, once, from the first source, without alerts
	other := []byte{0, 4, 0, 0}
	if err := with("b", usual, other, usual); err != nil {
		t.Fatalf("what nothing uses is not free: %v", err)
	}
	for name, err := range map[string]error{
		"the same twice":     with("b", usual, usual),
		"a source twice":     with("a", usual, other),
		"a source of none":   with("b", usual, []byte{0, 2, 1, 2, 0}),
		"an unknown mark":    with("b", usual, []byte{2, 2, 0, 0}),
		"a longer number":    with("b", usual, append([]byte{0}, bytes.Repeat([]byte{255}, 11)...)),
		"a greater count":    with("b", usual, slices.Concat([]byte{0}, binary.AppendVarint(nil, math.MaxInt64), []byte{0, 0})),
		"more than there is": with("b", usual, []byte{0, 2, 255, 255, 255, 255, 15}),
		"too few":            with("b", usual),
	} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What little text says that there is much of takes no memory.
func TestMemoryIsTakenForWhatIsReadOnly(t *testing.T) {
	p := partsOf(t, someGraph())
	for tag, at := range p.at {
		for _, items := range []uint64{1 << 26, 1 << 40, math.MaxUint64} {
			text := slices.Clone(p.text)
			binary.LittleEndian.PutUint64(text[at-8:], items)
			took := allocated(func() {
				if _, err := decode(text); err == nil {
					t.Errorf("section %d has %d items", tag, items)
				}
			})
			if took > 1<<20 {
				t.Errorf("section %d of %d items took %d bytes", tag, items, took)
			}
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Whatever is read is refused, or a graph with which all can be done.
func FuzzDecode(f *testing.F) {
	small := NewBuilder() // else the fuzzer takes its time to make what it found smaller
	tie(small, 0, 1)
	small.Alias(small.Node(number(2)), 0)
	small.KeepHistory()
	small.Insert(seenTwice(), small.Node(number(1)), small.Node(number(0)))
	for _, b := range []*Builder{NewBuilder(), small} {
		f.Add(encoded(f, b.Graph()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := decode(text)
		if err != nil {
			if b != nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFull) {
				t.Fatalf("%v", err)
			}
			return
		}
		b = reload(t, b)
		for n := range Node(b.Numbers()) {
			if arcs := b.Arcs(n); len(arcs) > 0 && n%2 == 0 {
				cut(b, n, arcs[0])
			}
		}
		tie(b, 0, 1)
		b.Tidy()
		reload(t, b)
	})
}
