package archive

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
)

func some() []graph.Record {
	k, _ := graph.NewKey(graph.KindDevice, graph.KeyHostName, "pc1")
	facts := graph.Facts{Keys: []graph.Key{k}, Properties: map[string]graph.Property{"riskScore": {Value: []byte("3")}}}
	return []graph.Record{
		{Tenant: &graph.TenantRecord{Revision: 3, Clock: 17, Incidents: 1}},
		{Home: &graph.HomeRecord{ID: k.ID(), Revision: 3, Facts: &facts}},
		{Document: &graph.DocumentRecord{Collection: "views", Key: "a", Revision: 2, Value: []byte{0, 255, '\n'}}},
		{BatchKey: &graph.BatchKeyRecord{Key: "file:1\n{\"end\"", Revision: 1}},
	}
}

func sequence(all []graph.Record) iter.Seq2[graph.Record, error] {
	return func(yield func(graph.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func written(t testing.TB) []byte {
	var b bytes.Buffer
	if _, err := Write(&b, "contoso", sequence(some())); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (out []graph.Record, err error) {
	a, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for r, err := range a.Records() {
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	b := written(t)
	got, err := read(b)
	if d := cmp.Diff(some(), got); err != nil || d != "" {
		t.Fatalf("%v\n%s", err, d)
	}
	a, _ := NewReader(bytes.NewReader(b))
	sum := graph.NewRecordSum()
	for r := range a.Records() {
		if _, err := sum.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if want := (Summary{sum.Records, sum.SHA256()}); want != a.Summary() || a.Tenant != "contoso" {
		t.Errorf("summary %+v of %s, want %+v", a.Summary(), a.Tenant, want)
	}
}

// Whatever is cut off, changed, exchanged or added is noticed.
func TestADamagedArchiveIsRefused(t *testing.T) {
	whole := written(t)
	for cut := range len(whole) {
		if _, err := read(whole[:cut]); !errors.Is(err, graph.ErrInvalid) {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
	}
	lines := strings.SplitAfter(string(whole), "\n")
	behind := func(text string) string { // with the sum of what it then is
		all := slices.Clone(lines)
		all[2] = strings.TrimSuffix(all[2], "\n") + text + "\n"
		sum := sha256.Sum256([]byte(strings.Join(all[1:len(all)-2], "")))
		all[len(all)-2] = fmt.Sprintf("{\"end\":{\"records\":%d,\"sha256\":\"%x\"}}\n", len(some()), sum)
		return strings.Join(all, "")
	}
	if _, err := read([]byte(behind(" "))); err != nil {
		t.Errorf("a space behind a record: %v", err)
	}
	for name, text := range map[string]string{
		"a changed record":     strings.Replace(string(whole), `"revision":2`, `"revision":1`, 1),
		"a line left out":      strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""),
		"a line twice":         strings.Join(slices.Insert(slices.Clone(lines), 2, lines[2]), ""),
		"something at the end": string(whole) + "{}\n",
		"an unknown field":     strings.Replace(string(whole), `"collection"`, `"colection"`, 1),
		"no archive":           "{\"alerts\":[]}\n",
		"nothing":              "",
		"a record behind one":  behind(lines[2][:len(lines[2])-1]),
		"a bracket behind one": behind("}"),
	} {
		if _, err := read([]byte(text)); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	newer := strings.Replace(string(whole), `"version":1`, `"version":2`, 1)
	if _, err := read([]byte(newer)); !errors.Is(err, graph.ErrVersion) {
		t.Errorf("a newer version: %v", err)
	}
}

// The decoding put U+FFFD for what is no text without a word, so something else was stored than was given.
func TestWhatIsNoTextIsRefused(t *testing.T) {
	source := `{"a":"\ud83d\ude00 \ud83d"}` // of a raw value, which comes back as it is
	all := []graph.Record{
		{BatchKey: &graph.BatchKeyRecord{Key: "file:1", Revision: 1}},
		{Alert: &graph.AlertRecord{Alert: graph.Alert{AlertContent: graph.AlertContent{Source: []byte(source)}}}},
	}
	var b bytes.Buffer
	if _, err := Write(&b, "contoso", sequence(all)); err != nil {
		t.Fatal(err)
	}
	if got, err := read(b.Bytes()); err != nil || string(got[1].Alert.Source) != source {
		t.Errorf("a raw value came back as %+v, %v", got, err)
	}
	for text, said := range map[string]string{"file:\xff": "record 1: it is not UTF-8", `file:\ud83d`: "record 1: it is read as something else"} {
		_, err := read(bytes.Replace(b.Bytes(), []byte("file:1"), []byte(text), 1))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func zipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The error of the compression's trailer, read behind the end line, was taken for more text there.
func TestADamagedCompressedArchiveIsSaidToBeOne(t *testing.T) {
	whole := zipped(t, written(t))
	if got, err := read(whole); err != nil || len(got) != len(some()) {
		t.Fatalf("a compressed archive gives %d records, %v", len(got), err)
	}
	for cut := 2; cut < len(whole); cut++ {
		if _, err := read(whole[:cut]); !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
	}
	for name, at := range map[string]int{"the method": 2, "the sum": len(whole) - 8, "the length": len(whole) - 1} {
		changed := bytes.Clone(whole)
		changed[at] ^= 0xff
		if _, err := read(changed); !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("with %s changed: %v", name, err)
		}
	}
	if _, err := read(zipped(t, append(written(t), "{}\n"...))); err == nil || !strings.Contains(err.Error(), "behind the archive's end") {
		t.Errorf("something behind the end: %v", err)
	}
}

func TestAFailingSourceLeavesNoWholeArchive(t *testing.T) {
	var b bytes.Buffer
	broken := errors.New("broken")
	_, err := Write(&b, "contoso", func(yield func(graph.Record, error) bool) {
		_ = yield(some()[0], nil) && yield(graph.Record{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, err := read(b.Bytes()); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("what was written is read: %v", err)
	}
}

// FuzzRead: any bytes give records or an error.
func FuzzRead(f *testing.F) {
	f.Add(written(f))
	f.Add([]byte("{\"format\":\"clew tenant archive\",\"version\":1}\n{\"end\":{}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := read(b); err == nil {
			var again bytes.Buffer
			if _, err := Write(&again, "t", sequence(all)); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}
