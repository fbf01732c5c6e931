package embedded

import (
	"encoding/binary"
	"time"

	"github.com/clew-security/clew/graph"
)

// table is the first byte of every key. The letters are part of the stored format.
//
// Behind it comes the tenant, with its length before it, so that no tenant's keys are a prefix of another's;
// then the parts named below. Ids are 16 raw bytes, numbers 8 bytes big-endian, kinds and ranks one byte, so
// the order of the keys is the order of what they mean. Text is the last part, or has its length before it.
type table byte

const (
	tableTenant   table = 't' // → tenantRow
	tableBatchKey table = 'k' // Batch.Key → revision
	tableChange   table = 'g' // revision → Change
	tableDocument table = 'd' // collection, key → revision, value

	// Identity. A home row has what was observed under one id, which never moves, and the node it belongs to.
	// A node is an id that was observed and belongs to no other (see graph.Resolve).
	tableHome   table = 'h' // id → rules.Home
	tableClaim  table = 'c' // claimed id, claimant's home id
	tableMember table = 'm' // canonical id, id: which other ids belong to a node
	tableWeak   table = 'w' // weak key's id, rank of the bearer's home key, bearer's home id

	// Edges are kept between home ids, as observed.
	tableEdge    table = 'e' // from, kind, to, observation → Sighting
	tableReverse table = 'f' // to, kind, from

	// The indexes of alerts all hold an alertMark.
	tableAlert         table = 'A' // id → Alert
	tableAlertCreated  table = 'B' // tick
	tableAlertUpdated  table = 'C' // tick
	tableAlertIncident table = 'D' // incident, created tick, alert id
	tableAlertEntity   table = 'E' // evidence entity's home id, created tick, alert id
	tableAlertActivity table = 'F' // last activity as an instant, alert id

	tableIncident        table = 'I' // number → Incident
	tableIncidentCreated table = 'J' // tick → number
	tableIncidentUpdated table = 'K' // tick → number
)

// keys builds the keys of one tenant; it holds the tenant part.
type keys []byte

func keysOf(tenant graph.TenantID) keys {
	return append(binary.AppendUvarint(nil, uint64(len(tenant))), tenant...)
}

// of is the key in the table made of the parts.
func (k keys) of(t table, parts ...[]byte) []byte {
	n := 1 + len(k)
	for _, p := range parts {
		n += len(p)
	}
	return k.append(make([]byte, 0, n), t, parts...)
}

// append is of, behind what is in b.
func (k keys) append(b []byte, t table, parts ...[]byte) []byte {
	b = append(append(b, byte(t)), k...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// rest cuts table and tenant off a key.
func (k keys) rest(key []byte) []byte { return key[1+len(k):] }

func (k keys) edge(from graph.ID, kind graph.EdgeKind, to graph.ID, more ...byte) []byte {
	return k.of(tableEdge, from[:], []byte{byte(kind)}, to[:], more)
}

func (k keys) reverse(to graph.ID, kind graph.EdgeKind, from graph.ID) []byte {
	return k.of(tableReverse, to[:], []byte{byte(kind)}, from[:])
}

func (k keys) weak(key graph.Key, rank int, atom graph.ID) []byte {
	id := key.ID()
	return k.of(tableWeak, id[:], []byte{byte(rank)}, atom[:])
}

func (k keys) document(d graph.DocumentKey) []byte {
	return append(k.collection(d.Collection), d.Key...)
}

func (k keys) collection(name string) []byte {
	return k.of(tableDocument, binary.AppendUvarint(nil, uint64(len(name))), []byte(name))
}

// number is the key part of a revision, tick or incident.
func number[N ~uint64 | ~int64](n N) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n))
}

func readNumber[N ~uint64 | ~int64](part []byte) N {
	return N(binary.BigEndian.Uint64(part))
}

// instant is graph.MicroNumber as a number without a sign, in the same order.
func instant(t time.Time) uint64 { return uint64(graph.MicroNumber(t)) ^ 1<<63 }

func readID(part []byte) graph.ID { return graph.ID(part[:16]) }

// after is the least key behind all that begin with the prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil // no key begins so: the first byte is a table's letter
}

// next is the least key behind this one.
func next(key []byte) []byte { return append(append([]byte(nil), key...), 0) }
