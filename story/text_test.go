package story

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

func printed(t *testing.T, s Story, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(s, &b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestColumnsWithoutContentTakeNoRoom(t *testing.T) {
	s := Story{Steps: []Step{{Number: 1, Sentence: "Odd on PC7"}, {Number: 12, Time: at(0), Sentence: "Odder"}}, Truncated: true}
	want := `Incident : x
Severity unknown, 2 steps, times in UTC

 1  time unknown         Odd on PC7
12  2026-03-02 08:00:00  Odder

The incident has more steps than are shown.
`
	s.Incident.DisplayName = "x\x1b\u202e"
	if got := printed(t, s, TextOptions{}); got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestTechniqueIdsAreCountedBeyondTwoAndCleaned(t *testing.T) {
	s := Story{Steps: []Step{{Number: 1, Techniques: []string{"T1\x1b[2J", "T1059.001", "T3", "T4"}, Sentence: "x"}}}
	if got := printed(t, s, TextOptions{}); !strings.Contains(got, "  T1[2J T1059.001 +2  x\n") || !strings.Contains(got, "1 step,") {
		t.Errorf("got:\n%s", got)
	}
}

func TestLinesKeepTheirWidthAndLoseNothing(t *testing.T) {
	sentence := "Data went from PC7 to https://" + strings.Repeat("very.long.", 20) + "example.net/ as ann"
	s := Story{Steps: []Step{{Number: 1, Time: at(0), Tactic: "Exfiltration", Sentence: sentence}}}
	_, body, _ := strings.Cut(printed(t, s, TextOptions{Width: 80}), "\n\n")
	var back strings.Builder
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("%d characters: %q", utf8.RuneCountInString(line), line)
		}
		back.WriteString(strings.ReplaceAll(line, " ", ""))
	}
	if want := strings.ReplaceAll("1 2026-03-02 08:00:00 Exfiltration"+sentence, " ", ""); back.String() != want {
		t.Errorf("the lines say %q", back.String())
	}
}

func TestWithoutColorThereAreNoEscapes(t *testing.T) {
	s := Story{Steps: []Step{{Number: 1, Severity: graph.SeverityHigh, Sentence: "x"}, {Number: 2, Severity: graph.SeverityInformational, Sentence: "y"}}}
	if got := printed(t, s, TextOptions{}); strings.Contains(got, "\x1b") {
		t.Errorf("got %q", got)
	}
	got := printed(t, s, TextOptions{Color: true})
	if !strings.Contains(got, "\x1b[31mx\x1b[0m\n") || !strings.HasSuffix(got, "  y\n") {
		t.Errorf("got %q", got)
	}
}

// broken is a writer that fails.
type broken struct{}

var errBroken = errors.New("pipe closed")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestTheWritersErrorComesBack(t *testing.T) {
	if err := Text(phishing().story(t), broken{}, TextOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("err is %v", err)
	}
}
