package windows

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// says gathers what an event says.
type says struct {
	event
	at     time.Time
	device graph.EntityObservation
	// host is the value of the device's key, which scopes other keys.
	host    string
	records []format.Record
}

// begin reads what every event must have: its fields, a date and a computer.
func (s *says) begin() (err error) {
	if err := s.open(); err != nil {
		return err
	}
	if s.at, err = s.event.at(); err != nil {
		return err
	}
	k := deviceKeys(s.row.First("Hostname", "Computer"))
	if len(k) == 0 {
		return format.Invalid("no computer is named")
	}
	s.device, s.host = s.thing(k), k[0].Value
	return nil
}

// thing is an observation of what bears the keys.
func (s *says) thing(keys []graph.Key) graph.EntityObservation {
	return graph.EntityObservation{Keys: graph.SortKeys(keys), ObservedAt: s.at, Source: s.source}
}

// with is the thing with properties; those that are empty are left out.
func with(o graph.EntityObservation, properties map[string]any) graph.EntityObservation {
	o.Properties = map[string]json.RawMessage{}
	for name, v := range properties {
		if b, err := graph.EncodeJSON(v); err == nil && v != "" {
			o.Properties[name] = b
		}
	}
	return o
}

// relate says that two things were related when the event was logged. An end without a key, and a thing's relation to
// itself, say nothing: that gives nil.
//
// Sighting tells apart what is seen of the two: events with the same one widen the time in which it was seen.
func (s *says) relate(kind graph.EdgeKind, from, to graph.EntityObservation, sighting string) *graph.EdgeObservation {
	a, b := from.ID(), to.ID()
	if a.IsZero() || b.IsZero() || a == b {
		return nil
	}
	e := &format.Edge{From: from, To: to, Observation: graph.EdgeObservation{
		Kind: kind, From: a, To: b, FirstSeen: s.at, LastSeen: s.at, Source: s.source,
		Observation: graph.NewID(graph.KindObservation, formatName, kind.String(), a.String(), b.String(), s.source, sighting),
	}}
	s.records = append(s.records, format.Record{Edge: e})
	return &e.Observation
}

// once is the sighting of what two things do once: a process starts once, however many events tell of it.
const once = ""

// moment is the sighting of what happens at an instant.
func (s *says) moment() string { return s.at.Format(time.RFC3339Nano) }

// keys collects the keys of one kind; values that cannot be keys are left out.
type keys struct {
	kind graph.Kind
	list []graph.Key
}

func (k *keys) add(typ graph.KeyType, value string) {
	if key, ok := graph.NewKey(k.kind, typ, value); ok {
		k.list = append(k.list, key)
	}
}

// deviceKeys: a name with a dot is one of DNS.
func deviceKeys(name string) []graph.Key {
	k := keys{kind: graph.KindDevice}
	if strings.Contains(strings.TrimSuffix(name, "."), ".") {
		k.add(graph.KeyDNSName, name)
	} else {
		k.add(graph.KeyHostName, name)
	}
	return k.list
}

// address is that of another host, without keys where it names none: this machine's own loopback, groups, and what only
// one cable knows.
func (s *says) address(text string) graph.EntityObservation {
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	if err != nil || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == broadcast {
		return graph.EntityObservation{}
	}
	k := keys{kind: graph.KindIPAddress}
	k.add(graph.KeyIPAddress, text)
	k.add(graph.KeyPrivateIPAddress, text)
	return s.thing(k.list)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
