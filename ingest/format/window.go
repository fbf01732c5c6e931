package format

import "io"

// window is a reader's next bytes, with the place of the first unread one. It stands in for bufio.Reader
// where every byte is looked at.
type window struct {
	r        io.Reader
	buf      []byte
	pos, end int
	err      error
	// offset and line of the next byte.
	offset int64
	line   int
}

func newWindow(r io.Reader) *window { return &window{r: r, buf: make([]byte, 64<<10), line: 1} }

// peek returns the next byte, unread.
func (w *window) peek() (byte, error) {
	if w.pos == w.end {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	return w.buf[w.pos], nil
}

func (w *window) fill() error {
	for empty := 0; w.pos == w.end; empty++ {
		if w.err != nil {
			return w.err
		}
		if empty == 100 {
			w.err = io.ErrNoProgress
			continue
		}
		w.pos, w.end = 0, 0
		w.end, w.err = w.r.Read(w.buf)
	}
	return nil
}

// read takes the byte that was peeked.
func (w *window) read() {
	if w.buf[w.pos] == '\n' {
		w.line++
	}
	w.pos++
	w.offset++
}

// run takes the bytes at hand up to the first that ends the run.
func (w *window) run(ends *[256]bool) []byte {
	start := w.pos
	for w.pos < w.end && !ends[w.buf[w.pos]] {
		w.pos++
	}
	w.offset += int64(w.pos - start)
	return w.buf[start:w.pos]
}

// textEnds end a run of plain bytes in a JSON text, lineEnds a run within a line. Both have the newline, so
// that a run never crosses a line.
var (
	textEnds = [256]bool{'"': true, '\\': true, '\n': true}
	lineEnds = [256]bool{'\n': true}
)
