package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/clew-security/clew/ingest"
)

// progress shows how far an import is: a bar on a terminal, elsewhere a line every few seconds.
type progress struct {
	out   io.Writer
	what  string
	total int64
	bar   *progressbar.ProgressBar // nil where out is no terminal or a dumb one
	last  time.Time
}

// lineEvery is the time between lines where there is no terminal.
const lineEvery = 5 * time.Second

// newProgress counts bytes up to total; 0 where that is unknown.
func newProgress(out io.Writer, what string, total int64) *progress {
	p := &progress{out: out, what: what, total: total, last: time.Now()}
	if total == 0 {
		total = -1
	}
	if isTerminal(out) && os.Getenv("TERM") != "dumb" {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionEnableColorCodes(false))
	}
	return p
}

// show takes an import's progress.
func (p *progress) show(at ingest.Progress) { p.at(at.Bytes, at.Records) }

func (p *progress) at(bytes int64, records int) {
	switch {
	case p.bar != nil:
		_ = p.bar.Set64(bytes) // a bar that cannot be drawn must not stop an import
	case time.Since(p.last) >= lineEvery:
		p.last = time.Now()
		fmt.Fprintf(p.out, "%s: %s, %d records\n", p.what, share(bytes, p.total), records)
	}
}

func share(bytes, total int64) string {
	if total <= 0 {
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f of %.1f MB", float64(bytes)/1e6, float64(total)/1e6)
}

// clear makes room for a line of text.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// done takes the bar away.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// meter shows how much of a reader was read.
type meter struct {
	io.Reader
	bar *progress
	n   int64
}

// Read reads and shows.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += int64(n)
	m.bar.at(m.n, 0)
	return n, err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// useColor follows https://no-color.org: colour on a terminal, unless NO_COLOR is set or TERM is dumb.
func useColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// terminalWidth is the number of columns, 100 where it is not known.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 40 {
			return width
		}
	}
	return 100
}
