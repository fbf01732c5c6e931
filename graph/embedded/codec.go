package embedded

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// valueVersion leads every value that has a shape; another one is refused, not guessed at.
const valueVersion = 1

var errDamaged = errors.New("stored value is damaged")

// damaged is the error, or that the value is damaged where there is none.
func damaged(err error) error {
	if err != nil {
		return err
	}
	return errDamaged
}

// open checks the version and gives what follows it.
func open(v []byte) ([]byte, error) {
	if len(v) == 0 {
		return nil, errDamaged
	}
	if v[0] != valueVersion {
		return nil, fmt.Errorf("%w: value version %d, this program reads %d: use a newer program", graph.ErrVersion, v[0], valueVersion)
	}
	return v[1:], nil
}

func encodeTenant(t rules.Tenant) []byte {
	return appendNumbers([]byte{valueVersion}, uint64(t.Revision), uint64(t.Clock), uint64(t.Alerts), uint64(t.Entities),
		uint64(t.Edges), uint64(t.Incidents), uint64(t.Next), uint64(t.Trimmed), uint64(bit(t.Loading)))
}

func decodeTenant(v []byte) (t rules.Tenant, err error) {
	n, _, err := readNumbers(v, 9)
	if err != nil {
		return t, err
	}
	t.Revision, t.Clock = graph.Revision(n[0]), graph.Tick(n[1])
	t.Alerts, t.Entities, t.Edges, t.Incidents = int(n[2]), int(n[3]), int(n[4]), int(n[5])
	t.Next, t.Trimmed, t.Loading = graph.IncidentID(n[6]), graph.Revision(n[7]), n[8] != 0
	return t, nil
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// readNumbers reads n numbers behind the version and gives what follows them.
func readNumbers(v []byte, n int) ([]uint64, []byte, error) {
	v, err := open(v)
	out := make([]uint64, n)
	for i := 0; err == nil && i < n; i++ {
		f, size := binary.Uvarint(v)
		if size <= 0 {
			return nil, nil, errDamaged
		}
		out[i], v = f, v[size:]
	}
	return out, v, err
}

// encodeRecord writes a revision and a JSON document.
func encodeRecord(revision graph.Revision, record any) ([]byte, error) {
	doc, err := graph.EncodeJSON(record)
	return append(appendNumbers([]byte{valueVersion}, uint64(revision)), doc...), err
}

func decodeRecord(v []byte, record any) (graph.Revision, error) {
	n, doc, err := readNumbers(v, 1)
	if err != nil {
		return 0, err
	}
	return graph.Revision(n[0]), json.Unmarshal(doc, record)
}

// alertMark is what every index of alerts holds: enough to pass over an alert that is not wanted, unread.
type alertMark struct {
	id               graph.ID
	created, updated graph.Tick
	first, last      uint64 // activity, as instants
}

func markOf(a *graph.Alert) alertMark {
	return alertMark{a.ID, a.Created, a.Updated, instant(a.FirstActivity), instant(a.LastActivity)}
}

func (m alertMark) encode() []byte {
	return slices.Concat([]byte{valueVersion}, m.id[:], number(m.created), number(m.updated), number(m.first), number(m.last))
}

func (m *alertMark) decode(v []byte) error {
	v, err := open(v)
	if err != nil || len(v) != 48 {
		return cmp.Or(err, errDamaged)
	}
	m.id, m.created, m.updated = readID(v), readNumber[graph.Tick](v[16:]), readNumber[graph.Tick](v[24:])
	m.first, m.last = readNumber[uint64](v[32:]), readNumber[uint64](v[40:])
	return nil
}

// Flags of a stored sighting.
const (
	flagInferred = 1 << iota
	flagFirst
	flagLast
	flagEnded
)

// encodeSighting writes all but the observation, which is in the key.
func encodeSighting(s graph.Sighting) []byte { return appendSighting(nil, s) }

// appendSighting writes version, flags, the instants that are known in microseconds, the source.
func appendSighting(b []byte, s graph.Sighting) []byte {
	flags := len(b) + 1
	b = append(b, valueVersion, 0)
	if s.Inferred {
		b[flags] |= flagInferred
	}
	for _, f := range []struct {
		flag byte
		at   time.Time
	}{{flagFirst, s.FirstSeen}, {flagLast, s.LastSeen}, {flagEnded, s.EndedAt}} {
		if !f.at.IsZero() {
			b[flags] |= f.flag
			b = binary.AppendVarint(b, f.at.UnixMicro())
		}
	}
	return append(b, s.Source...)
}

func decodeSighting(observation graph.ID, v []byte) (graph.Sighting, error) {
	s := graph.Sighting{Observation: observation}
	v, err := open(v)
	if err != nil || len(v) == 0 {
		return s, errors.Join(err, errDamaged)
	}
	flags := v[0]
	v = v[1:]
	for _, f := range []struct {
		flag byte
		at   *time.Time
	}{{flagFirst, &s.FirstSeen}, {flagLast, &s.LastSeen}, {flagEnded, &s.EndedAt}} {
		if flags&f.flag == 0 {
			continue
		}
		micros, size := binary.Varint(v)
		if size <= 0 {
			return s, errDamaged
		}
		*f.at, v = time.UnixMicro(micros).UTC(), v[size:]
	}
	s.Inferred, s.Source = flags&flagInferred != 0, string(v)
	return s, nil
}

// encodeChange writes the instant in microseconds, then what was touched. The revision is in the key.
func encodeChange(c graph.Change) []byte {
	return rules.AppendTouched(appendNumbers([]byte{valueVersion}, uint64(c.At.UnixMicro())), c)
}

func decodeChange(revision graph.Revision, v []byte) (graph.Change, error) {
	c := graph.Change{Revision: revision}
	n, v, err := readNumbers(v, 1)
	if err != nil {
		return c, err
	}
	c.At = time.UnixMicro(int64(n[0])).UTC()
	if !rules.ReadTouched(&c, v) {
		return c, errDamaged
	}
	return c, nil
}
