package story

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

func TestNamesThatAttackersChoseAreMadeHarmless(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"escape sequences", "a\x1b[31mb\x1b]0;x\x07.exe", "a[31mb]0;x.exe"},
		{"right-to-left override", "invoice\u202excod.exe", "invoicexcod.exe"},
		{"bidirectional isolates", "\u2066a\u2069b\u200f", "ab"},
		{"zero-width characters", "pay\u200bload\ufeff.exe", "payload.exe"},
		{"line and paragraph separators", "a\u2028b\u2029c\r\nd\te", "a b c d e"},
		{"C1 controls", "a\u009b31mb", "a31mb"},
		{"invisible fillers", "a\u3164\u2800b", "ab"},
		{"invalid UTF-8", "a\xffb", "a\ufffdb"},
		{"a long name", strings.Repeat("ä", 500), strings.Repeat("ä", 119) + "…"},
		{"a name of 120 characters", strings.Repeat("ä", 120), strings.Repeat("ä", 120)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAFileNameCannotWriteTheSentence(t *testing.T) {
	evil := "a.exe” on PC9. Nothing happened [here] {user} “"
	s := sceneOf("x", "Execution", "T1204.002", with{dev("PC7"), usr("ann"), fil(evil, "m-PC7")})
	want := `“a.exe" on PC9. Nothing happened [here] {user} "” was opened on PC7`
	if got := s.tell().sentence; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhatIsOnlyInvisibleGetsAWord(t *testing.T) {
	s := sceneOf("x", "Execution", "T1204.002", with{dev("PC7"), fil("\u202e\u200b", "m-PC7")})
	if got := s.tell().sentence; got != "an unnamed file was opened on PC7" {
		t.Errorf("got %q", got)
	}
}

func FuzzEvidenceNeverBreaksASentence(f *testing.F) {
	for _, c := range tellings {
		for _, e := range c.evidence {
			f.Add(c.category, c.techniques, e.Type, []byte(e.Body))
		}
	}
	f.Add("Execution", "T1059", "processEvidence", []byte(`{"imageFile":{"fileName":"\u001b[2J\u202e"},"attachmentsCount":"x","roles":"source"}`))
	f.Add("", "", "fileEvidence", []byte(`not JSON`))
	f.Fuzz(func(t *testing.T, category, techniques, typ string, body []byte) {
		e := graph.Evidence{Type: typ, Body: json.RawMessage(body)}
		a := graph.Alert{ID: graph.NewID(graph.KindAlert, "1"), AlertContent: graph.AlertContent{
			Title: techniques, Category: category, MitreTechniques: strings.Fields(techniques), Evidence: with{dev("PC7"), usr("ann"), e}}}
		steps := finish(fold(tellAll([]graph.Alert{a}, nil)))
		checkPlain(t, steps[0].Sentence)
		var text bytes.Buffer
		if err := Text(Story{Steps: steps}, &text, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(text.String(), "\n") {
			checkPlain(t, line)
		}
	})
}

func checkPlain(t *testing.T, line string) {
	t.Helper()
	if !utf8.ValidString(line) {
		t.Errorf("invalid UTF-8 in %q", line)
	}
	for _, r := range line {
		if unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			t.Errorf("%U in %q", r, line)
		}
	}
}
