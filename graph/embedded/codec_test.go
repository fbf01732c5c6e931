package embedded

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

func TestSightingComesBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := func(name string) time.Time {
			if rapid.Bool().Draw(t, name+" known") {
				return graph.Micro(time.Unix(rapid.Int64Range(-1<<36, 1<<36).Draw(t, name), 123_456_789))
			}
			return time.Time{}
		}
		s := graph.Sighting{
			Observation: graph.NewID(graph.KindObservation, "o"), FirstSeen: instant("first"), LastSeen: instant("last"),
			EndedAt: instant("ended"), Source: rapid.String().Draw(t, "source"), Inferred: rapid.Bool().Draw(t, "inferred"),
		}
		got, err := decodeSighting(s.Observation, encodeSighting(s))
		if err != nil || got != s {
			t.Fatalf("wrote %+v, read %+v, %v", s, got, err)
		}
	})
}

func TestChangeComesBackAsItWasWritten(t *testing.T) {
	id := graph.NewID(graph.KindDevice, "d")
	for _, c := range []graph.Change{
		{Revision: 1, At: epoch},
		{Revision: 7, At: epoch.Add(time.Microsecond), Entities: []graph.ID{id, {}}, Alerts: []graph.ID{id}, Incidents: []graph.IncidentID{1, 1 << 60}},
	} {
		got, err := decodeChange(c.Revision, encodeChange(c))
		if d := cmp.Diff(c, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
}

func TestAfterIsTheLeastKeyBehindAPrefix(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\xff\xffb": "a\xff\xffc", "a\x00": "a\x01"} {
		if got := after([]byte(prefix)); string(got) != want {
			t.Errorf("after %q is %q, want %q", prefix, got, want)
		}
	}
}

func TestNoTenantsKeysArePrefixOfAnothers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if a != b && bytes.HasPrefix(keysOf(graph.TenantID(b)), keysOf(graph.TenantID(a))) {
			t.Fatalf("%q is a prefix of %q", a, b)
		}
	})
}

// FuzzDecode reads damaged values: an error, never a panic or a huge allocation.
func FuzzDecode(f *testing.F) {
	id := graph.NewID(graph.KindDevice, "d")
	f.Add(encodeSighting(graph.Sighting{FirstSeen: epoch, LastSeen: epoch, EndedAt: epoch, Source: "s"}))
	f.Add(encodeChange(graph.Change{Entities: []graph.ID{id}, Alerts: []graph.ID{id}, Incidents: []graph.IncidentID{1}}))
	f.Add(encodeTenant(rules.Tenant{Position: graph.Position{Revision: 300, Clock: graph.TickOf(epoch)}}))
	f.Add(encodeHome(id, rules.Home{Facts: device("d").Facts(), Revision: 7, Members: 300}))
	f.Add(encodeDocument(300, []byte("value")))
	f.Add([]byte{2, 0})
	f.Fuzz(func(t *testing.T, value []byte) {
		var alert graph.Alert
		_, _ = decodeTenant(value)
		_, _ = decodeHome(id, value)
		_, _ = decodeRecord(value, &alert)
		_, _, _ = decodeDocument(value)
		if s, err := decodeSighting(id, value); err == nil {
			if again, err := decodeSighting(id, encodeSighting(s)); err != nil || again != s {
				t.Errorf("%+v is read as %+v, %v", s, again, err)
			}
		}
		if c, err := decodeChange(1, value); err == nil {
			if again, err := decodeChange(1, encodeChange(c)); err != nil || !cmp.Equal(again, c) {
				t.Errorf("%+v is read as %+v, %v", c, again, err)
			}
		}
	})
}
