package format

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// told writes what Records gives, one line a record: "line@offset data" or "!line reason", with "!!" for
// the last and "error" for one of reading.
func told(r io.Reader) []string {
	var out []string
	for raw, err := range Records("f", r) {
		var bad *RecordError
		switch {
		case errors.As(err, &bad) && bad.Last:
			out = append(out, fmt.Sprintf("!!%d %s", bad.Line, bad.Reason))
		case errors.As(err, &bad):
			out = append(out, fmt.Sprintf("!%d %s", bad.Line, bad.Reason))
		case err != nil:
			out = append(out, "error "+err.Error())
		default:
			out = append(out, fmt.Sprintf("%d@%d %s", raw.Line, raw.Offset, raw.Data))
		}
	}
	return out
}

var framings = []struct {
	name, in string
	want     []string
}{
	{"an empty file has no record", "", nil},
	{"white space alone is no record", " \r\n\t\n", nil},
	{"one object", `{"a":1}`, []string{`1@0 {"a":1}`}},
	{"a pretty-printed object keeps its text", "{\n  \"a\": [\n{\"b\": \"}\"}\n]\n}\n", []string{"1@0 {\n  \"a\": [\n{\"b\": \"}\"}\n]\n}"}},
	{"objects line by line", "{\"a\":1}\n{\"a\":2}\r\n\n  {\"a\":3}", []string{`1@0 {"a":1}`, `2@8 {"a":2}`, `4@20 {"a":3}`}},
	{"several pretty-printed objects", "{\n\"a\":1\n}\n{\n\"a\":2\n}", []string{"1@0 {\n\"a\":1\n}", "4@10 {\n\"a\":2\n}"}},
	{"objects behind each other on one line", `{"a":1} {"a":2}`, []string{`1@0 {"a":1}`, `1@8 {"a":2}`}},
	{"an array", "[ {\"a\":1},\n {\"a\":[2,{}]} ]\n", []string{`1@2 {"a":1}`, `2@12 {"a":[2,{}]}`}},
	{"an empty array", " [ ] ", nil},
	{"arrays line by line", "[{\"a\":1}]\n[{\"a\":2},{\"a\":3}]\n", []string{`1@1 {"a":1}`, `2@11 {"a":2}`, `2@19 {"a":3}`}},
	{"a page of OData", `{"@odata.context":"x[{","@odata.count":2,"value":[{"a":1},{"a":2}],"@odata.nextLink":"y"}`,
		[]string{`1@50 {"a":1}`, `1@58 {"a":2}`}},
	{"pages behind each other", "{\"value\":[{\"a\":1}],\"nextLink\":\"x\"}\n{\"value\": [\n{\"a\":2}\n]\n}",
		[]string{`1@10 {"a":1}`, "!2 truncated JSON: the line ends within the record", `3@47 {"a":2}`,
			"!4 not a JSON object", "!5 not a JSON object"}},
	{"a pretty-printed page", "{\n\"value\": [\n{\"a\":\n2}\n]\n}\n{\"b\":1}", []string{"3@13 {\"a\":\n2}", `7@26 {"b":1}`}},
	{"a field named value within a record is no page", `{"id":"x","value":[{"a":1}]}`, []string{`1@0 {"id":"x","value":[{"a":1}]}`}},
	{"a value that is no array is no page", `{"value":{"value":[1]}}`, []string{`1@0 {"value":{"value":[1]}}`}},
	{"a text is no page's name", `{"@odata.x":"value","b":[{}]}`, []string{`1@0 {"@odata.x":"value","b":[{}]}`}},
	{"brackets and quotes in texts do not count", `{"a":"}\"]{\\"}`, []string{`1@0 {"a":"}\"]{\\"}`}},
	{"a byte order mark is skipped", "\xef\xbb\xbf{\"a\":1}", []string{`1@0 {"a":1}`}},
	{"UTF-16 without a byte order mark is named", "{\x00\"\x00a\x00", []string{"error f: invalid: the file is UTF-16; convert it to UTF-8"}},
	{"UTF-16 with the high byte first too", "\x00{\x00\"\x00a", []string{"error f: invalid: the file is UTF-16; convert it to UTF-8"}},
	{"a zip archive is refused once", "PK\x03\x04\n\n\n", []string{"error f: invalid: the file is a zip archive; unpack it first"}},
	{"a binary file is refused once", "\x7fELF\x02\x01\x01\x00\n\n\n", []string{"error f: invalid: the file is binary, not JSON"}},
	{"a file compressed twice is refused once", string(zipped(string(zipped("{}")))), []string{"error f: invalid: the file is compressed twice, with gzip and gzip; unpack it once"}},
	{"and with both kinds", string(packed(string(zipped("{}")))), []string{"error f: invalid: the file is compressed twice, with zstd and gzip; unpack it once"}},
	{"UTF-16 is named", "\xff\xfe{\x00", []string{"error f: invalid: the file is UTF-16; convert it to UTF-8"}},

	{"a line that is no JSON is rejected and the next is read", "hello\n{\"a\":1}\n", []string{"!1 not a JSON object", `2@6 {"a":1}`}},
	{"a truncated first line is rejected and the next is read", "{\"a\":1,\n{\"a\":2}\n{\"a\":3}\n",
		[]string{"!1 truncated JSON: the next line starts another record", `2@8 {"a":2}`, `3@16 {"a":3}`}},
	{"a first line truncated in a text too", "{\"a\":\"x\n{\"a\":2}\n", []string{"!1 truncated JSON: the line ends within the record", `2@8 {"a":2}`}},
	{"a truncated later line is rejected and the next is read", "{\"a\":1}\n{\"a\":[1,\n{\"a\":3}\n",
		[]string{`1@0 {"a":1}`, "!2 truncated JSON: the line ends within the record", `3@17 {"a":3}`}},
	{"a file that ends within a record", "{\"a\":1}\n{\"a\":", []string{`1@0 {"a":1}`, "!2 truncated JSON: the file ends within the record"}},
	{"a file that ends within its only record", "{\n\"a\":", []string{"!!1 truncated JSON: the file ends within the record; the rest of the file cannot be read"}},
	{"wrong brackets spoil their line only", "{\"a\":]}\n{\"a\":2}", []string{"!1 invalid JSON: a closing ] that nothing opened", `2@8 {"a":2}`}},
	{"wrong syntax spoils its record only", "{\"a\":1}\n{a:2}\n{\"a\":3}",
		[]string{`1@0 {"a":1}`, "!2 invalid character 'a' looking for beginning of object key string, at byte 2 of the record", `3@14 {"a":3}`}},
	{"invalid UTF-8 is named", "{\"a\":\"\xc3\x28\"}\n{\"a\":2}", []string{"!1 invalid UTF-8 at byte 6 of the record", `2@11 {"a":2}`}},
	{"a NUL byte is named", "{\"a\":\"\x00\"}\n{\"a\":2}", []string{"!1 NUL byte at byte 6 of the record", `2@10 {"a":2}`}},
	{"scalars on lines are rejected", "1\n\"x\"\nnull\n{}", []string{"!1 not a JSON object", "!2 not a JSON object", "!3 not a JSON object", "4@11 {}"}},
	{"elements that are no objects are rejected", `[1,"a,]",[{}],null,{"a":1}]`,
		[]string{"!1 not a JSON object", "!1 not a JSON object", "!1 not a JSON object", "!1 not a JSON object", `1@19 {"a":1}`}},
	{"wrong syntax within an element spoils it alone", "[{a:1},{\"a\":2}]",
		[]string{"!1 invalid character 'a' looking for beginning of object key string, at byte 2 of the record", `1@7 {"a":2}`}},
	{"a truncated array ends the file", `[{"a":1},{"a":`, []string{`1@1 {"a":1}`, "!!1 truncated JSON: the file ends within the record; the rest of the file cannot be read"}},
	{"an array without its comma ends the file", "[{\"a\":1}\n{\"a\":2}]\n{}", []string{`1@1 {"a":1}`,
		`!!2 invalid JSON: expected ',' or ']' in an array, found '{'; the rest of the file cannot be read`}},
	{"an array with an empty place ends the file", "[{},,{}]", []string{"1@1 {}",
		"!!1 invalid JSON: a value is missing in an array; the rest of the file cannot be read"}},
	{"a broken array on one of many lines spoils its line only", "{}\n[{},{]\n{}\n", []string{"1@0 {}", "2@4 {}",
		"!2 invalid JSON: a closing ] that nothing opened", "3@10 {}"}},
}

func TestRecordsAreReadInEveryFraming(t *testing.T) {
	for _, c := range framings {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(strings.NewReader(c.in))); diff != "" {
				t.Error(diff)
			}
			if c.want != nil && strings.HasPrefix(c.want[0], "error") {
				return
			}
			if diff := cmp.Diff(c.want, told(bytes.NewReader(zipped(c.in)))); diff != "" {
				t.Error("compressed:", diff)
			}
			if diff := cmp.Diff(c.want, told(bytes.NewReader(packed(c.in)))); diff != "" {
				t.Error("with zstd:", diff)
			}
		})
	}
}

func zipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.Bytes()
}

func packed(s string) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return z.EncodeAll([]byte(s), nil)
}

// chopped gives at most a few bytes at a time.
type chopped struct {
	r    io.Reader
	size func() int
}

func (c chopped) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.size())]) }

func TestAnyChunkingOfTheReaderGivesTheSameRecords(t *testing.T) {
	pieces := []string{"{", "}", "[", "]", ",", ":", "\n", " ", `"a"`, `"`, `\`, "1", "null", "\x00", "\xff", `{"a":1}`,
		"{\"a\":1}\n", `"value"`, `"@odata.x":1,`, `{"value":[`, "\ufeff"}
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "pieces"), "")
		want := told(strings.NewReader(in))
		r := chopped{strings.NewReader(in), func() int { return rapid.IntRange(1, 3).Draw(t, "n") }}
		if diff := cmp.Diff(want, told(r)); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
		if diff := cmp.Diff(want, told(iotest.DataErrReader(strings.NewReader(in)))); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
		checks++
	})
	t.Logf("%d inputs", checks)
}

func TestDeepNestingIsRejected(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	fits := `{"a":` + deep[1:len(deep)-1] + `}`
	got := told(strings.NewReader(fits + "\n" + `{"a":` + deep + "}\n{}\n"))
	want := []string{"1@0 " + fits, "!2 nested deeper than 1000 levels", fmt.Sprintf("3@%d {}", len(fits)+len(deep)+8)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := told(strings.NewReader(`[{"a":` + deep + `},{}]`)); len(got) != 1 || got[0] != "!!1 nested deeper than 1000 levels; the rest of the file cannot be read" {
		t.Error(got)
	}
}

// endless gives a text, then filling, then another text, without ever holding them.
func endless(head string, n int64, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(filling{}, n), strings.NewReader(tail))
}

type filling struct{}

func (filling) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestARecordOverTheLimitIsRejectedAndSkippedInFlatMemory(t *testing.T) {
	for name, c := range map[string]struct{ head, tail, line string }{
		"on its line":     {"{}\n{\"a\":\"", "\"}\n{\"b\":1}\n", "!2 "},
		"first":           {"{\"a\":\"", "\"}\n{\"b\":1}\n", "!1 "},
		"in an array":     {"[{},\n{\"a\":\"", "\"},{\"b\":1}]", "!2 "},
		"truncated":       {"{}\n{\"a\":\"", "\n{\"b\":1}\n", "!2 "},
		"no JSON at all":  {"{}\n", "\n{\"b\":1}\n", "!2 "},
		"within a number": {"{}\n[1", "\n{\"b\":1}\n", "!2 "},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			got := told(endless(c.head, 64<<20, c.tail))
			runtime.ReadMemStats(&after)
			reason := c.line + "the record is longer than 16 MiB; only its first 64 KiB are kept"
			if len(got) < 2 || !strings.Contains(strings.Join(got, "\n"), reason) || !strings.HasSuffix(got[len(got)-1], `{"b":1}`) {
				t.Errorf("got %q", got)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*MaxRecord {
				t.Errorf("%d MiB were allocated for a record of 64 MiB", used>>20)
			}
		})
	}
}

func TestARecordOverTheLimitIsQuotedInPart(t *testing.T) {
	for _, err := range Records("f", endless(`{"a":"`, MaxRecord, `"}`)) {
		var bad *RecordError
		if !errors.As(err, &bad) || len(bad.Data) != MaxQuoted || !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%T %v", err, err)
		}
	}
}

func TestAZipBombIsStopped(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.Copy(z, io.LimitReader(filling{}, 64<<20))
	_ = z.Close()
	var last error
	for _, err := range Records("bomb.gz", &bomb) {
		last = err
	}
	if !errors.Is(last, ErrDecompression) || !strings.Contains(last.Error(), "at byte 104") {
		t.Errorf("got %v", last)
	}
}

func TestAZstdBombIsStopped(t *testing.T) {
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(z, io.LimitReader(filling{}, 64<<20))
	_ = z.Close()
	var last error
	for _, err := range Records("bomb.zst", &bomb) {
		last = err
	}
	if !errors.Is(last, ErrDecompression) || !strings.Contains(last.Error(), "at byte 10") {
		t.Errorf("got %v", last)
	}
}

// A stream asks for its window in its first bytes.
func TestAZstdStreamThatWantsTooMuchMemoryIsRefused(t *testing.T) {
	head := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00} // RFC 8878: a window of 128 MiB, an empty last block
	if got := told(bytes.NewReader(head)); len(got) != 1 || !strings.Contains(got[0], "window") {
		t.Errorf("got %q", got)
	}
}

func TestATruncatedStreamIsAnErrorBehindItsRecords(t *testing.T) {
	text := "{\"a\":1}\n"
	var more strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&more, "{\"b\":%d}\n", i*7919)
	}
	text += more.String()
	for name, whole := range map[string][]byte{"gzip": zipped(text), "zstd": packed(text)} {
		got := told(bytes.NewReader(whole[:len(whole)-20]))
		if len(got) < 2 || got[0] != `1@0 {"a":1}` || !strings.Contains(got[len(got)-1], name+", behind ") || !strings.Contains(got[len(got)-1], "unexpected EOF") {
			t.Errorf("%s: got %q … %q", name, got[0], got[len(got)-1])
		}
	}
}

func TestAFailingReaderIsAnErrorWithTheOffset(t *testing.T) {
	r := io.MultiReader(strings.NewReader("{\"a\":1}\n{\"b\""), iotest.ErrReader(errors.New("disk on fire")))
	got := told(r)
	want := []string{`1@0 {"a":1}`, "error f: at byte 12 (line 2): disk on fire"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadingStopsWhenTheConsumerDoes(t *testing.T) {
	n := 0
	for range Records("f", endless("{}\n{}\nbad\n", 1<<40, "")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Error(n)
	}
}

func FuzzRecords(f *testing.F) {
	for _, c := range framings {
		f.Add([]byte(c.in))
		f.Add(zipped(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, bytewise := told(bytes.NewReader(in)), told(iotest.OneByteReader(bytes.NewReader(in)))
		if diff := cmp.Diff(whole, bytewise); diff != "" {
			t.Error(diff)
		}
		for raw, err := range Records("f", bytes.NewReader(in)) {
			if _, parse := ParseObject(raw.Data); err == nil && parse != nil {
				t.Errorf("%q is given as a record: %v", raw.Data, parse)
			}
		}
	})
}

func TestARejectedRecordIsKeptWhole(t *testing.T) {
	long := `{"a":"` + strings.Repeat("ä", 1<<20) + `",}`
	for _, err := range Records("f", strings.NewReader(long)) {
		var bad *RecordError
		if !errors.As(err, &bad) || string(bad.Data) != long {
			t.Errorf("%v", err)
		}
	}
}

func TestOnlyARecordThatDoesNotStartItsLineIsNamedWithItsOffset(t *testing.T) {
	for in, want := range map[string][]string{
		"{}\n{}\n":           {"f:1", "f:2"},
		"{} {}\n{}":          {"f:1", "f:1 (byte 3)", "f:2"},
		`{"value":[{},{a}]}`: {"f:1 (byte 10)", "f:1 (byte 13)"},
		"[\n{},\n{}, {a}\n]": {"f:2", "f:3", "f:3 (byte 10)"},
	} {
		var got []string
		for raw, err := range Records("f", strings.NewReader(in)) {
			var bad *RecordError
			if errors.As(err, &bad) {
				raw = bad.Raw
			}
			got = append(got, raw.Place())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
