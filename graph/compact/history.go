package compact

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// histories are the sightings of edges, where the joined edge does not tell how it was at earlier instants. Those of
// 64 edges lie in one string, each behind its edge's place among them and its length; most edges have none.
type histories struct {
	draft[string]
	kept    bool // the sightings of edges that are put in are looked at
	outside int  // bytes outside of the table
	// packing and paging are where one edge's, and those of 64, are put together.
	packing, paging []byte
}

const (
	historyBits = 6
	historyMask = 1<<historyBits - 1
)

// historyOf gives what an edge has, packed; "" where it has none.
func historyOf(t *table[string], edge uint32) string {
	if edge>>historyBits >= uint32(t.n) {
		return ""
	}
	for rest := *t.at(edge >> historyBits); rest != ""; {
		var place byte
		var packed string
		if place, packed, rest = cutHistory(rest); place == byte(edge&historyMask) {
			return packed
		}
	}
	return ""
}

// cutHistory cuts off the first edge's.
func cutHistory(all string) (place byte, packed, rest string) {
	n, rest := uvarint(all[1:])
	n = min(n, uint64(len(rest)))
	return all[0], rest[:n], rest[n:]
}

// uvarint is binary.Uvarint of a string; it gives the rest.
func uvarint(s string) (v uint64, rest string) {
	for i := range len(s) {
		v |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return v, s[i+1:]
		}
	}
	return v, ""
}

func varint(s string) (int64, string) {
	v, rest := uvarint(s)
	return int64(v>>1) ^ -int64(v&1), rest
}

// eachHistory walks through the edges that have one.
func eachHistory(t *table[string]) iter.Seq2[uint32, string] {
	return func(yield func(edge uint32, packed string) bool) {
		for page := range uint32(t.n) {
			for rest := *t.at(page); rest != ""; {
				var place byte
				var packed string
				if place, packed, rest = cutHistory(rest); !yield(page<<historyBits|uint32(place), packed) {
					return
				}
			}
		}
	}
}

// set gives an edge another history; an empty one takes it away.
func (h *histories) set(edition, edge uint32, packed []byte) {
	if historyOf(&h.table, edge) == string(packed) {
		return
	}
	page, place := edge>>historyBits, byte(edge&historyMask)
	for uint32(h.n) <= page {
		h.add(edition, "")
	}
	all := h.paging[:0]
	for rest := *h.at(page); rest != ""; {
		one := rest
		var of byte
		if of, _, rest = cutHistory(rest); of != place {
			all = append(all, one[:len(one)-len(rest)]...)
		}
	}
	if len(packed) > 0 {
		all = binary.AppendUvarint(append(all, place), uint64(len(packed)))
		all = append(all, packed...)
	}
	h.outside += textBytes(len(all)) - textBytes(len(*h.at(page)))
	*h.change(edition, page) = string(all)
	h.paging = all
}

// renumber gives what edges have to the numbers that they get, plus one, by those that they had.
func (h *histories) renumber(edition uint32, fresh []uint32) {
	old := h.table
	h.draft, h.outside = draft[string]{}, 0
	for edge, packed := range eachHistory(&old) {
		h.set(edition, fresh[edge]-1, []byte(packed))
	}
}

// textBytes is what the text of a string takes.
func textBytes(n int) int { return (n + 15) / 16 * 16 }

// What is said of a sighting by one bit each.
const (
	seenNever    = 1 << iota // nobody says when it was first
	seenLong                 // the last instant is another than the first
	seenEnded                // it has an end
	seenInferred             // it is inferred
	seenAlert                // its observation key is an alert's id
	seenSource               // its source is another than that of the one before
)

// pack is the history of an edge by its sightings; empty where the joined edge tells all. It is void after the next
// call.
//
// Sightings are in order of when they were first. Of each come bits, and as far as these say: the time since the one
// before was first, that from the first instant to the last, that to the end, and the numbers of source and alert among
// those of the joined edge. One more than the last number is no source, or an alert that the edge has no room for,
// whose id follows.
func (h *histories) pack(e *graph.Edge) []byte {
	if tellsAll(e) {
		return nil
	}
	seen := slices.Clone(e.Sightings)
	slices.SortFunc(seen, comparePacked)
	p, at, source := h.packing[:0], known(InstantOf(e.FirstSeen)), 0
	for i := range seen {
		p, at, source = appendSighting(p, e, &seen[i], at, source)
	}
	h.packing = p
	return p
}

// comparePacked orders sightings by when they were first, and then by all else that is kept of them: in whatever order they
// come, they are packed alike.
func comparePacked(s, t graph.Sighting) int {
	for _, at := range [][2]time.Time{{s.FirstSeen, t.FirstSeen}, {s.LastSeen, t.LastSeen}, {s.EndedAt, t.EndedAt}} {
		if c := cmp.Compare(InstantOf(at[0]), InstantOf(at[1])); c != 0 {
			return c
		}
	}
	if c := cmp.Or(strings.Compare(s.Source, t.Source), cmp.Compare(b2i(s.Inferred), b2i(t.Inferred))); c != 0 {
		return c
	}
	return alertOf(s).Compare(alertOf(t))
}

// alertOf is the observation key where that is an alert's.
func alertOf(s graph.Sighting) (alert graph.ID) {
	if s.Observation.Kind() == graph.KindAlert {
		alert = s.Observation
	}
	return alert
}

// tellsAll reports whether an edge is as of any instant as if it had been seen once, as the joined edge tells: all its
// sightings begin when it does, and it shows their ends.
func tellsAll(e *graph.Edge) bool {
	return !slices.ContainsFunc(e.Sightings, func(s graph.Sighting) bool {
		return !s.FirstSeen.Equal(e.FirstSeen) || !s.EndedAt.IsZero() && !s.EndedAt.Equal(e.EndedAt)
	})
}

func appendSighting(p []byte, e *graph.Edge, s *graph.Sighting, at Instant, source int) ([]byte, Instant, int) {
	first, last, ended := InstantOf(s.FirstSeen), InstantOf(s.LastSeen), InstantOf(s.EndedAt)
	from, alert := len(e.Sources), s.Observation.Kind() == graph.KindAlert
	if s.Source != "" {
		from, _ = slices.BinarySearch(e.Sources, s.Source)
	}
	head := len(p)
	p = append(p, bit(first == None, seenNever)|bit(last != first, seenLong)|bit(ended != None, seenEnded)|
		bit(s.Inferred, seenInferred)|bit(alert, seenAlert)|bit(from != source, seenSource))
	if first != None {
		p = binary.AppendUvarint(p, uint64(first-at))
		at = first
	}
	if p[head]&seenLong != 0 {
		p = binary.AppendUvarint(p, uint64(last-at))
	}
	if p[head]&seenEnded != 0 {
		p = binary.AppendVarint(p, int64(ended-at))
	}
	if p[head]&seenSource != 0 {
		p = binary.AppendUvarint(p, uint64(from))
	}
	if alert {
		i, shown := slices.BinarySearchFunc(e.Alerts, s.Observation, graph.ID.Compare)
		if p = append(p, byte(bit(shown, byte(i))|bit(!shown, byte(len(e.Alerts))))); !shown {
			p = append(p, s.Observation[:]...)
		}
	}
	return p, at, from
}

// known is where counting begins: at the edge's first instant, if it has one.
func known(first Instant) Instant {
	if first == None {
		return 0
	}
	return first
}

func bit(is bool, b byte) byte {
	if is {
		return b
	}
	return 0
}

// unpacking reads a history. What is no history gives sightings that nobody made, and no more.
type unpacking struct {
	rest   string
	at     Instant // when the one before was first; before the first one, when the edge was
	source uint64
	of     *shared
}

// unpacked is a sighting; source and alert are numbers among those of the edge, or what lies behind them.
type unpacked struct {
	head               byte
	first, last, ended Instant
	source, alert      uint64
	id                 graph.ID // of an alert that is not among those of the edge
}

// unpackingOf begins to read the history of the edge of a record.
func unpackingOf(rest *rest, r *record, packed string) unpacking {
	first, _, _ := r.seen(rest)
	return unpacking{rest: packed, at: known(first), of: rest.sharedBy(r)}
}

func (u *unpacking) next() (s unpacked, ok bool) {
	if u.rest == "" {
		return s, false
	}
	s.head, u.rest = u.rest[0], u.rest[1:]
	s.first, s.ended = None, None
	if s.head&seenNever == 0 {
		u.at += Instant(u.number())
		s.first = u.at
	}
	if s.last = s.first; s.head&seenLong != 0 {
		s.last = u.at + Instant(u.number())
	}
	if s.head&seenEnded != 0 {
		var v int64
		v, u.rest = varint(u.rest)
		s.ended = u.at + Instant(v)
	}
	if s.head&seenSource != 0 {
		u.source = u.number()
	}
	s.source = u.source
	if s.head&seenAlert != 0 {
		if s.alert = u.number(); s.alert >= uint64(len(u.of.alerts)) {
			u.rest = u.rest[copy(s.id[:], u.rest):]
		}
	}
	return s, true
}

func (u *unpacking) number() (v uint64) {
	v, u.rest = uvarint(u.rest)
	return v
}

// sighting is what was unpacked as the edge's sighting. Only an alert's has an observation key.
func (u *unpacking) sighting(s unpacked) graph.Sighting {
	out := graph.Sighting{
		FirstSeen: s.first.Time(), LastSeen: s.last.Time(), EndedAt: s.ended.Time(),
		Inferred: s.head&seenInferred != 0, Observation: s.id,
	}
	if s.source < uint64(len(u.of.sources)) {
		out.Source = u.of.sources[s.source]
	}
	if s.head&seenAlert != 0 && s.alert < uint64(len(u.of.alerts)) {
		out.Observation = u.of.alerts[s.alert]
	}
	return out
}

// KeepHistory has the Builder keep of the sightings of edges (graph.EdgeQuery.Sightings) what EdgeAt needs. It must be
// said before there are edges.
func (b *Builder) KeepHistory() { b.histories.kept = true }

// SameHistory reports whether an edge was seen just as one with which it has all else in common; always true where no
// history is kept.
func (b *Builder) SameHistory(edge uint32, e graph.Edge) bool {
	return !b.histories.kept || historyOf(&b.histories.table, edge) == string(b.histories.pack(&e))
}

// Sightings are those of an edge as far as they are remembered: only alerts' have observation keys. ok is false where some
// are not, so that the edge cannot be joined with one more.
func (b *Builder) Sightings(near Node, a Arc) (all []graph.Sighting, ok bool) {
	if !b.histories.kept {
		return nil, true
	}
	e := b.Edge(near, a)
	packed := historyOf(&b.histories.table, a.Edge())
	if packed == "" {
		s := graph.Sighting{FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, EndedAt: e.EndedAt, Inferred: e.Inferred}
		if len(e.Sources) > 0 {
			s.Source = e.Sources[0]
		}
		if len(e.Alerts) > 0 {
			s.Observation = e.Alerts[0]
		}
		return []graph.Sighting{s}, e.Count == 1
	}
	return sightingsOf(unpackingOf(b.rest.rest(), b.records.at(a.Edge()), packed)), true
}

// remember keeps the sightings of an edge that was put in or changed.
func (b *Builder) remember(edge uint32, e *graph.Edge) {
	if b.histories.kept {
		b.histories.set(b.edition, edge, b.histories.pack(e))
	}
}
