package neo4j

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

func TestNoTwoTenantsShareAKey(t *testing.T) {
	names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "/", "%", "2F", "%2F", "\xff", "\xfe", "�", "é", "%FF"}), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := strings.Join(names.Draw(t, "a"), ""), strings.Join(names.Draw(t, "b"), "")
		x, y := strings.Join(names.Draw(t, "x"), ""), strings.Join(names.Draw(t, "y"), "")
		same := a == b && x == y
		if (tk(graph.TenantID(a), x) == tk(graph.TenantID(b), y)) != same {
			t.Fatalf("%q of %q and %q of %q: %s and %s", x, a, y, b, tk(graph.TenantID(a), x), tk(graph.TenantID(b), y))
		}
		if (tenantText(graph.TenantID(a)) == tenantText(graph.TenantID(b))) != (a == b) {
			t.Fatalf("tenants %q and %q are one", a, b)
		}
	})
}

func TestKeysOfDocumentsAreApart(t *testing.T) {
	seen := map[string]graph.DocumentKey{}
	for _, k := range []graph.DocumentKey{{Collection: "a", Key: "b/c"}, {Collection: "a/b", Key: "c"}, {Collection: "a", Key: "b"}, {Collection: "1:a", Key: "b"}} {
		if other, ok := seen[documentKey("t", k)]; ok {
			t.Errorf("%v and %v share a key", k, other)
		}
		seen[documentKey("t", k)] = k
	}
}

func TestTheOrderOfKeysIsThatOfIDs(t *testing.T) {
	var ids []graph.ID
	for _, k := range []graph.Kind{graph.KindOther, graph.KindDevice, graph.KindURL, graph.KindAlert} {
		for _, v := range []string{"a", "b", "c", "d", "e"} {
			ids = append(ids, graph.NewID(k, v))
		}
	}
	slices.SortFunc(ids, func(a, b graph.ID) int { return strings.Compare(idKey("t", a), idKey("t", b)) })
	if !slices.IsSortedFunc(ids, graph.ID.Compare) {
		t.Error("the orders differ")
	}
	for _, id := range ids {
		if got, err := idOfKey(idKey("t/ü", id)); got != id || err != nil {
			t.Errorf("%s came back as %s (%v)", id, got, err)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", 40)} {
		if _, err := idOfKey(bad); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestEveryKindHasALabelAndATypeOfItsOwn(t *testing.T) {
	for _, r := range graph.EdgeKinds() {
		if got := kindOfType(typeOf(r.Kind)); got != r.Kind {
			t.Errorf("%s is %q and comes back as %s", r.Name, typeOf(r.Kind), got)
		}
	}
	if got := typeOf(graph.EdgeSignedInFrom); got != "SIGNED_IN_FROM" {
		t.Errorf("signedInFrom is %q", got)
	}
	seen := map[string]bool{}
	for _, l := range labels {
		if seen[l] {
			t.Errorf("two kinds have the label %s", l)
		}
		seen[l] = true
	}
	if got := labelOf(graph.KindIPAddress); got != "IpAddress" {
		t.Errorf("ipAddress is %q", got)
	}
}

func TestAnInstantGrowsWithTheTime(t *testing.T) {
	last := int64(0)
	for i, at := range []time.Time{{}, time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Unix(0, 0), epoch, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		if n := graph.MicroNumber(at); i > 0 && n <= last {
			t.Errorf("%v is %d, not above %d", at, n, last)
		} else {
			last = n
		}
		if got := timeOf(micros(at)); !got.Equal(at) {
			t.Errorf("%v came back as %v", at, got)
		}
	}
}

// drawFacts draws what several observations of one id leave.
func drawFacts(t *rapid.T) (id graph.ID, all []graph.Facts) {
	for len(all) < 2 {
		e := graphtest.DrawEntity(t)
		if len(all) == 0 {
			id = e.ID()
		} else if e.ID() != id {
			e = seenLater(e, all[0], rapid.IntRange(-1, 1).Draw(t, "later"))
		}
		f := e.Facts()
		if len(all) > 0 {
			f = all[0].Merge(f)
		}
		all = append(all, f)
	}
	return id, all
}

// seenLater observes what is known already, and maybe one thing more.
func seenLater(e graph.EntityObservation, f graph.Facts, later int) graph.EntityObservation {
	e.Keys, e.ObservedAt = f.Keys, f.LastSeen.Add(time.Duration(later)*time.Hour)
	e.Properties = map[string]json.RawMessage{}
	for name, p := range f.Properties {
		e.Properties[name] = p.Value
	}
	return e
}

func TestFactsComeBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, all := drawFacts(t)
		for _, f := range all {
			stored, err := encodeFacts(f)
			if err != nil {
				t.Fatal(err)
			}
			var seen []any
			for _, n := range seenOf(f) {
				seen = append(seen, n)
			}
			got, err := decodeFacts(id, stored, seen)
			if d := cmp.Diff(f, got, cmpopts.EquateEmpty()); err != nil || d != "" {
				t.Fatalf("%v\n%s", err, d)
			}
			if old, err := decodeFacts(id, stored, append([]any{int64(7)}, seen...)); err != nil || !cmp.Equal(got, old) {
				t.Fatalf("as schema 1 had it: %v\n%s", err, cmp.Diff(got, old))
			}
		}
	})
}

func TestFactsAreSeenAgainWhereTheirTextIsTheSame(t *testing.T) {
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		_, all := drawFacts(t)
		a, err1 := encodeFacts(all[0])
		b, err2 := encodeFacts(all[1])
		if err := errors.Join(err1, err2); err != nil || seenAgain(all[0], all[1]) != (a == b) {
			t.Fatalf("%v\n%s\n%s", err, a, b)
		}
		if a == b {
			same++
		}
	})
	if same == 0 {
		t.Error("nothing was the same")
	}
}

func TestDamagedFactsAreRefused(t *testing.T) {
	id := graph.NewID(graph.KindDevice, "d")
	for _, c := range []struct{ facts, seen any }{
		{`{"keys":`, []any{int64(1), int64(1)}}, {`{"keys":[]}`, nil}, {`{"keys":[]}`, []any{int64(1)}},
	} {
		if _, err := decodeFacts(id, c.facts, c.seen); !errors.Is(err, errDamaged) {
			t.Errorf("%v, %v: %v", c.facts, c.seen, err)
		}
	}
	if f, err := decodeFacts(id, nil, nil); err != nil || len(f.Keys) > 0 {
		t.Errorf("nothing stored is %v (%v)", f, err)
	}
}

func TestAnObservationIsNamedShortly(t *testing.T) {
	for _, id := range []graph.ID{graph.NewID(graph.KindObservation, "o"), graph.NewID(graph.KindAlert, "a")} {
		if got, err := observationOf(observationText(id)); got != id || err != nil {
			t.Errorf("%s came back as %s (%v)", id, got, err)
		}
	}
	if id, err := observationOf(nil); !id.IsZero() || err != nil {
		t.Errorf("nothing is %s (%v)", id, err)
	}
	if _, err := observationOf("no"); !errors.Is(err, errDamaged) {
		t.Errorf("a damaged one: %v", err)
	}
}

func TestChangeComesBackAsItWasWritten(t *testing.T) {
	id := graph.NewID(graph.KindDevice, "d")
	for _, c := range []graph.Change{
		{Revision: 1, At: epoch},
		{Revision: 7, At: epoch, Entities: []graph.ID{id, {}}, Alerts: []graph.ID{id}, Incidents: []graph.IncidentID{1, 1 << 60}},
	} {
		got, err := decodeChange(c.Revision, encodeChange(c))
		if d := cmp.Diff(c, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
}

func FuzzDecodeChange(f *testing.F) {
	f.Add(encodeChange(graph.Change{At: epoch, Entities: []graph.ID{graph.NewID(graph.KindDevice, "d")}, Incidents: []graph.IncidentID{3}}))
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeChange(1, b)
		if err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, graph.ErrVersion) {
			t.Fatal(err)
		}
		if again, err2 := decodeChange(1, encodeChange(c)); err == nil && (err2 != nil || !cmp.Equal(c, again)) {
			t.Fatalf("%+v came back as %+v (%v)", c, again, err2)
		}
	})
}
