package story

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

// TextOptions shape a story for a terminal.
type TextOptions struct {
	// Color marks sentences by severity with ANSI colours.
	Color bool
	// Width in characters that lines are wrapped at; 0 means 100. Sentences always get at least 30.
	Width int
}

const (
	defaultWidth  = 100
	leastSentence = 30
	besideLeast   = 60
	timeLayout    = "2006-01-02 15:04:05"
)

// colors are ANSI SGR codes by severity; others stay plain.
var colors = map[graph.Severity]string{
	graph.SeverityHigh: "31", graph.SeverityMedium: "33", graph.SeverityLow: "36",
}

// Text writes the story for people at a terminal: a line for each step with number, time UTC, tactic,
// technique ids and sentence, wrapped in its column, or below where that would be under 60 characters. Errors are the writer's. Characters are counted, not
// measured: wide ones (CJK) shift what follows.
func Text(s Story, w io.Writer, o TextOptions) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Incident %s: %s\n", s.Incident.ID, clean(s.Incident.DisplayName))
	severity := cmp.Or(clean(string(s.Incident.Severity)), string(graph.SeverityUnknown))
	fmt.Fprintf(out, "Severity %s, %s, times in UTC\n\n", severity, count(len(s.Steps), "step"))
	for _, row := range layout(s.Steps) {
		row.write(out, o)
	}
	if s.Entry != nil {
		fmt.Fprintf(out, "\nHow it came in: step %d. %s\n", s.Entry.Step, s.Entry.Why)
	}
	if s.Truncated {
		fmt.Fprint(out, "\nThe incident has more steps than are shown.\n")
	}
	return out.Flush()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// row is one step, its head padded to the column where sentences begin.
type row struct {
	head, sentence string
	// number is the width of the first column with what follows it.
	number   int
	severity graph.Severity
}

func layout(steps []Step) []row {
	cells := make([][]string, len(steps))
	var widths [4]int
	for i, s := range steps {
		cells[i] = []string{fmt.Sprint(s.Number), clock(s.Time), s.Tactic, techniqueList(s.Techniques)}
		for c, text := range cells[i] {
			widths[c] = max(widths[c], utf8.RuneCountInString(text))
		}
	}
	rows := make([]row, len(steps))
	for i, s := range steps {
		head := fmt.Sprintf("%*s  ", widths[0], cells[i][0])
		for c := 1; c < len(widths); c++ {
			if widths[c] > 0 {
				head += fmt.Sprintf("%-*s  ", widths[c], cells[i][c])
			}
		}
		rows[i] = row{head, s.Sentence, widths[0] + 2, s.Severity}
	}
	return rows
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "time unknown"
	}
	return t.UTC().Format(timeLayout)
}

// techniqueList shows two ids and how many more there are.
func techniqueList(ids []string) string {
	const shown = 2
	var out []string
	for _, id := range ids[:min(len(ids), shown)] {
		out = append(out, cut(tidy(id), 12))
	}
	text := strings.Join(out, " ")
	if more := len(ids) - shown; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

func (r row) write(out *bufio.Writer, o TextOptions) {
	indent := utf8.RuneCountInString(r.head)
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	head := r.head
	if o.Width-indent < besideLeast { // a narrow column is hard to read: the sentence goes below
		fmt.Fprintln(out, strings.TrimRight(r.head, " "))
		indent = r.number
		head = strings.Repeat(" ", indent)
	}
	for _, line := range wrap(r.sentence, max(leastSentence, o.Width-indent)) {
		if code := colors[r.severity]; o.Color && code != "" {
			line = "\x1b[" + code + "m" + line + "\x1b[0m"
		}
		fmt.Fprintln(out, head+line)
		head = strings.Repeat(" ", indent)
	}
}

// wrap breaks a text at spaces into lines of at most width characters; a longer word is broken.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for runes := []rune(line); len(runes) > width; runes = []rune(line) {
			lines, line = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	return append(lines, line)
}
