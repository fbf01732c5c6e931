package cached

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
)

var update = flag.Bool("update", false, "record the goldens anew")

func TestEveryFieldOfAnAlertComesBackFromItsBytes(t *testing.T) {
	for name, want := range map[string][]graph.Alert{
		"all set": filledOf[graph.Alert](), "none set": make([]graph.Alert, 3), "none": {}, "nil": nil,
		"empty lists": {{AlertContent: graph.AlertContent{MitreTechniques: []string{}, Evidence: []graph.Evidence{{Mentions: []graph.ID{}, Body: []byte{}}}}}},
		"far times":   {{AlertContent: graph.AlertContent{FirstActivity: time.Date(1601, 1, 1, 0, 0, 0, 1000, time.UTC), LastActivity: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}}},
	} {
		got, err := readAlerts(appendAlerts(nil, want))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s (%v):\n%s", name, err, d)
		}
	}
}

// The bytes may change only together with formatVersion: replicas of two versions may share a Redis.
func TestTheBytesOfAFormatVersionStayTheSame(t *testing.T) {
	sum := sha256.Sum256(appendAlerts(nil, filledOf[graph.Alert]()))
	got := []byte(hex.EncodeToString(sum[:]) + "\n")
	golden := filepath.Join("testdata", "format1.sha256")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || formatVersion != 1 || !bytes.Equal(want, got) {
		t.Errorf("the bytes are %s, recorded for version %d: %s (%v): raise formatVersion and record a new golden", got, formatVersion, want, err)
	}
}

func TestEveryPartOfTheBytesIsNeeded(t *testing.T) {
	whole := appendAlerts(nil, filledOf[graph.Alert]())
	for n := range whole {
		if _, err := readAlerts(whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes were read as whole", n, len(whole))
		}
	}
	if _, err := readAlerts(append(whole, 0)); err == nil {
		t.Error("a byte too many was passed over")
	}
}

func FuzzReadAlerts(f *testing.F) {
	f.Add(packed(filledOf[graph.Alert](), 1<<20))
	f.Add(appendAlerts(nil, filledOf[graph.Alert]()))
	f.Add(appendAlerts(nil, make([]graph.Alert, 2)))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := unpacked(b, 1<<20); err == nil && len(v.alerts) > 0 {
			checkPacked(t, v.alerts)
		}
		alerts, err := readAlerts(b)
		if err != nil {
			return
		}
		again, err := readAlerts(appendAlerts(nil, alerts))
		if d := cmp.Diff(alerts, again); err != nil || d != "" {
			t.Errorf("what was read does not come back (%v):\n%s", err, d)
		}
	})
}

func checkPacked(t *testing.T, alerts []graph.Alert) {
	t.Helper()
	v, err := unpacked(packed(alerts, 1<<30), 1<<30)
	if err != nil || !reflect.DeepEqual(alerts, v.alerts) {
		t.Errorf("packed alerts do not come back (%v)", err)
	}
}

func TestAValueThatWouldUnfoldTooFarIsRefused(t *testing.T) {
	alerts := filledOf[graph.Alert]()
	alerts[0].Source = bytes.Repeat([]byte("x"), 1<<20)
	checkPacked(t, alerts)
	if content := packed(alerts, 1<<20); content != nil {
		t.Error("it was packed")
	}
	if _, err := unpacked(packed(alerts, 1<<21), 1<<20); err == nil {
		t.Error("it was unfolded")
	}
}

// shared lists the paths of slices and maps that both values hold in common.
func shared(path string, a, b reflect.Value, out *[]string) {
	switch a.Kind() {
	case reflect.Slice, reflect.Map:
		if a.Len() > 0 && a.UnsafePointer() == b.UnsafePointer() {
			*out = append(*out, path)
		}
	}
	switch a.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range a.Len() {
			shared(path+"[]", a.Index(i), b.Index(i), out)
		}
	case reflect.Map:
		for _, k := range a.MapKeys() {
			shared(path+"{}", a.MapIndex(k), b.MapIndex(k), out)
		}
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range a.NumField() {
			shared(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), out)
		}
	}
}

func TestACopyIsEqualAndSharesNothing(t *testing.T) {
	checkCopy(t, copyAlerts)
	checkCopy(t, copyEntities)
	checkCopy(t, copyIncidents)
}

func checkCopy[T any](t *testing.T, duplicate func([]T) []T) {
	t.Helper()
	original := filledOf[T]()
	got := duplicate(original)
	if d := cmp.Diff(original, got); d != "" {
		t.Errorf("the copy differs:\n%s", d)
	}
	var common []string
	shared("", reflect.ValueOf(original), reflect.ValueOf(got), &common)
	if len(common) > 0 {
		t.Errorf("shared with the original: %v", common)
	}
	bare := make([]T, 1)
	if d := cmp.Diff(bare, duplicate(bare)); d != "" {
		t.Errorf("the copy of nothing differs:\n%s", d)
	}
}

// A list of the copy has no room that belongs to its neighbour.
func TestGrowingAListOfACopyTouchesNoOther(t *testing.T) {
	got := copyAlerts(filledOf[graph.Alert]())
	want := copyAlerts(got)
	for i := range got {
		_ = append(got[i].Source, "overwrites"...)
		_ = append(got[i].Evidence, graph.Evidence{Type: "overwrites"})
		for _, e := range got[i].Evidence {
			_, _ = append(e.Body, "overwrites"...), append(e.Mentions, graph.ID{1})
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAValueOpensOnlyUnderItsOwnKeyAndSecret(t *testing.T) {
	one, two := secret(), secret()
	k := key{tenant: "contoso", access: "a", kind: kindAlerts, id: 7, version: version{3, 4, 5}}
	s := must(slotOf(one, k))(t)
	sealed := s.seal([]byte("plain"))
	if got, err := s.open(sealed); err != nil || string(got) != "plain" {
		t.Fatalf("%q %v", got, err)
	}
	others := map[string]slot{"other secret": must(slotOf(two, k))(t)}
	for name, change := range map[string]func(*key){
		"other tenant": func(k *key) { k.tenant = "fabrikam" }, "other access": func(k *key) { k.access = "b" },
		"fields moved over their border": func(k *key) { k.tenant, k.access = "contosoa", "" },
		"other kind":                     func(k *key) { k.kind = kindEntities }, "other incident": func(k *key) { k.id = 8 },
		"other list": func(k *key) { k.list[0] = 1 }, "other revision": func(k *key) { k.revision = 9 },
		"other created": func(k *key) { k.created = 9 }, "other updated": func(k *key) { k.updated = 9 },
	} {
		c := k
		change(&c)
		others[name] = must(slotOf(one, c))(t)
	}
	for name, o := range others {
		if _, err := o.open(sealed); err == nil || o.name == s.name {
			t.Errorf("%s opens it, or has the same name", name)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.open(bad); err == nil {
			t.Fatalf("byte %d changed, and it still opens", i)
		}
		if _, err := s.open(sealed[:i]); err == nil {
			t.Fatalf("cut to %d bytes, and it still opens", i)
		}
	}
}
