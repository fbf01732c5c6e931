package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/clew-security/clew/graph"
)

// Limits of one record.
const (
	// MaxRecord bounds the bytes of one record; a longer one is rejected and skipped without being kept.
	MaxRecord = 16 << 20
	// MaxDepth bounds the nesting of JSON objects and arrays in one record.
	MaxDepth = 1000
	// MaxQuoted bounds what is kept of a record over MaxRecord.
	MaxQuoted = 64 << 10
)

// Raw is one record as it stood in the file.
type Raw struct {
	// File is the name given to Records.
	File string
	// Line is where the record starts, from 1.
	Line int
	// Offset of its first byte in the (decompressed) file, from 0.
	Offset int64
	// Within is set where something else starts before it on its line: the line alone does not name it.
	Within bool
	// Data is one valid JSON object in UTF-8, nested at most MaxDepth deep; the receiver may keep it.
	Data []byte
}

// Place names the record: file and line, and the offset where several stand on the line.
func (r Raw) Place() string {
	if r.Within {
		return fmt.Sprintf("%s:%d (byte %d)", r.File, r.Line, r.Offset)
	}
	return fmt.Sprintf("%s:%d", r.File, r.Line)
}

// RecordError says why one record cannot be read; reading goes on behind it unless Last is set. It wraps
// graph.ErrInvalid.
type RecordError struct {
	// Raw's Data is all that was read of it, of one over MaxRecord its first MaxQuoted bytes.
	Raw
	Reason string
	// Last is set where the rest of the file cannot be told apart any more.
	Last bool
}

// Error names file, line and reason.
func (e *RecordError) Error() string {
	return fmt.Sprintf("%s: %s", e.Place(), e.Reason)
}

// Unwrap makes it a graph.ErrInvalid.
func (e *RecordError) Unwrap() error { return graph.ErrInvalid }

// Records reads the JSON objects of a file one by one, in memory that does not grow with the file. It takes
// one object (pretty-printed or not), objects line by line (NDJSON), JSON arrays and OData pages
// ({"@odata.…":…, "value":[…]}) of objects, and any of these one after another; compressed with gzip, zstd or
// not; with a UTF-8 byte order mark or not.
//
// Once a whole value has stood on one line the file counts as written line by line, and a line's end ends
// what is broken.
//
// A record that is no valid object, or over a limit, gives a *RecordError in its place. Where a file is
// written line by line reading goes on at the next line. Inside an array, and in an object over several
// lines, broken syntax makes it impossible to tell where the next record starts: that error has Last set
// and ends the file. An error of another type is one of reading or of decompression and ends it too; it
// gives the offset.
func Records(file string, r io.Reader) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		plain, stop, err := open(r)
		defer stop()
		if err != nil {
			yield(Raw{}, fmt.Errorf("%s: %w", file, err))
			return
		}
		s := &scanner{window: newWindow(plain), file: file, yield: yield}
		err = s.all()
		if err != nil && !errors.Is(err, errStop) {
			yield(Raw{}, fmt.Errorf("%s: at byte %d (line %d): %w", file, s.offset, s.line, err))
		}
	}
}

// errStop ends reading without a further error: the consumer asked, or a RecordError with Last was given.
var errStop = errors.New("stop")

// errNextLine ends a value that was given up together with its line.
var errNextLine = errors.New("next line")

// scanner cuts the stream into records. It checks only what it needs to find their ends; json.Valid checks
// each record when it is whole.
type scanner struct {
	*window
	file string
	// byLine is set once the file proves to be written line by line: a line's end then ends what is broken.
	byLine bool
	// started is the line on which a value last started.
	started int
	yield   func(Raw, error) bool
}

func (s *scanner) all() error {
	for {
		c, err := s.skipSpace(true)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.top(c)
		}
		if err != nil && err != errNextLine {
			return err
		}
	}
}

// top reads one value at the top level, of which c is the first byte, still unread.
func (s *scanner) top(c byte) error {
	switch c {
	case '{':
		return s.object()
	case '[':
		start := s.begin()
		s.read()
		return s.array(start, &lexer{stack: []byte{'['}})
	}
	return s.brokenLine(s.begin(), "not a JSON object")
}

// object reads a top-level object; an OData page's records are given one by one.
func (s *scanner) object() error {
	v := s.begin()
	lex := &lexer{watchPage: true}
	for {
		more, err := s.consume(v, lex)
		switch {
		case err != nil:
			return s.broken(v, false, err)
		case lex.page:
			return s.array(v, lex)
		case !more:
			s.byLine = s.byLine || s.line == v.Line
			return s.give(v)
		}
	}
}

// array gives the elements up to the bracket that closes it, then reads on to the end of the page around.
func (s *scanner) array(start *value, lex *lexer) error {
	for first := true; ; first = false {
		c, err := s.skipSpace(!s.byLine)
		if err != nil {
			return s.broken(start, true, err)
		}
		switch {
		case c == ']':
			return s.closeArray(start, lex)
		case !first && c != ',':
			return s.broken(s.begin(), true, &lexError{fmt.Sprintf("invalid JSON: expected ',' or ']' in an array, found %q", c)})
		case !first:
			s.read()
			if _, err := s.skipSpace(!s.byLine); err != nil {
				return s.broken(start, true, err)
			}
		}
		if err := s.element(); err != nil {
			return err
		}
	}
}

// closeArray reads the bracket and what is left of the page.
func (s *scanner) closeArray(start *value, lex *lexer) error {
	lex.watchPage, lex.page = false, false
	rest := s.begin()
	for {
		rest.Data = rest.Data[:0] // nothing of it is kept
		more, err := s.consume(rest, lex)
		if err != nil {
			return s.broken(rest, true, err)
		}
		if !more {
			s.byLine = s.byLine || s.line == start.Line
			return nil
		}
	}
}

// element reads one value inside an array.
func (s *scanner) element() error {
	v, lex := s.begin(), &lexer{}
	c, err := s.peek()
	if err == nil && c != '{' && c != '[' && c != '"' {
		return s.scalar(v)
	}
	for more := true; more && err == nil; {
		more, err = s.consume(v, lex)
	}
	if err != nil {
		return s.broken(v, true, err)
	}
	return s.give(v)
}

// scalar reads a number or literal up to its delimiter: valid JSON, but no record.
func (s *scanner) scalar(v *value) error {
	for {
		c, err := s.peek()
		if err != nil || bytes.IndexByte([]byte(",]}\n\r\t "), c) >= 0 {
			if len(v.Data) == 0 {
				return s.broken(v, true, &lexError{"invalid JSON: a value is missing in an array"})
			}
			return s.give(v)
		}
		s.read()
		v.add(c)
	}
}

// value is a record being read.
type value struct {
	Raw
	tooLong bool
}

func (s *scanner) begin() *value {
	within := s.started == s.line
	s.started = s.line
	return &value{Raw: Raw{File: s.file, Line: s.line, Offset: s.offset, Within: within}}
}

func (v *value) add(b ...byte) {
	switch {
	case v.tooLong:
	case len(v.Data)+len(b) > MaxRecord:
		v.tooLong = true
		v.Data = bytes.Clone(append(v.Data, b...)[:MaxQuoted])
	default:
		v.Data = append(v.Data, b...)
	}
}

// errLineEnd: the line ends within a record of a file that is written line by line.
var errLineEnd = errors.New("truncated JSON: the line ends within the record")

// errNewRecord: a line starts a new object where none can stand.
var errNewRecord = errors.New("truncated JSON: the next line starts another record")

// consume reads one byte, or a run of a text's plain bytes, into the value. A byte that shows the value to be
// broken stays unread if it may belong to the next record.
func (s *scanner) consume(v *value, lex *lexer) (more bool, err error) {
	c, err := s.peek()
	if err != nil {
		return false, err
	}
	if c == '\n' && (s.byLine || lex.inString) {
		return false, errLineEnd
	}
	if c == '{' && lex.startsLine && lex.misplaced() {
		return false, errNewRecord
	}
	if lex.inString && !lex.escaped && !lex.inKey && !textEnds[c] {
		v.add(s.run(&textEnds)...)
		return true, nil
	}
	s.read()
	v.add(c)
	more, err = lex.next(c)
	lex.startsLine = c == '\n'
	return more, err
}

// give yields the finished value, or why it is no record.
func (s *scanner) give(v *value) error {
	if why := v.flaw(); why != "" {
		return s.reject(v, why, false)
	}
	if !s.yield(v.Raw, nil) {
		return errStop
	}
	return nil
}

func (v *value) flaw() string {
	switch {
	case v.tooLong:
		return fmt.Sprintf("the record is longer than %d MiB; only its first %d KiB are kept", MaxRecord>>20, MaxQuoted>>10)
	case bytes.IndexByte(v.Data, 0) >= 0:
		return fmt.Sprintf("NUL byte at byte %d of the record", bytes.IndexByte(v.Data, 0))
	case !utf8.Valid(v.Data):
		return fmt.Sprintf("invalid UTF-8 at byte %d of the record", invalidAt(v.Data))
	case v.Data[0] != '{':
		return "not a JSON object"
	}
	if gjson.ValidBytes(v.Data) {
		return ""
	}
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(v.Data, new(struct{})), &syntax) {
		return fmt.Sprintf("%v, at byte %d of the record", syntax, syntax.Offset)
	}
	return "not valid JSON"
}

func invalidAt(b []byte) int {
	at := 0
	for len(b) > at {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n <= 1 {
			return at
		}
		at += n
	}
	return at
}

// broken deals with a value whose end cannot be found: the line is given up where lines part the records,
// else the file.
func (s *scanner) broken(v *value, inArray bool, cause error) error {
	if cause == io.EOF {
		cause = errors.New("truncated JSON: the file ends within the record")
	} else if !isFraming(cause) {
		return cause
	}
	switch {
	case s.byLine, s.line == v.Line && !inArray:
		return s.brokenLine(v, cause.Error())
	case errors.Is(cause, errNewRecord) && !inArray:
		s.byLine = true
		return s.reject(v, cause.Error(), false)
	}
	return s.reject(v, cause.Error()+"; the rest of the file cannot be read", true)
}

// isFraming tells a broken record from a broken file.
func isFraming(err error) bool {
	var syntax *lexError
	return errors.As(err, &syntax) || errors.Is(err, errLineEnd) || errors.Is(err, errNewRecord)
}

// brokenLine rejects the value and skips to the next line, which it says by errNextLine.
func (s *scanner) brokenLine(v *value, reason string) error {
	for {
		c, err := s.peek()
		if err == io.EOF || (err == nil && c == '\n') {
			break
		}
		if err != nil {
			return err
		}
		v.add(s.run(&lineEnds)...)
	}
	s.byLine = true
	if v.tooLong {
		reason = v.flaw()
	}
	if err := s.reject(v, reason, false); err != nil {
		return err
	}
	return errNextLine
}

func (s *scanner) reject(v *value, reason string, last bool) error {
	if !s.yield(Raw{}, &RecordError{Raw: v.Raw, Reason: reason, Last: last}) || last {
		return errStop
	}
	return nil
}

// skipSpace returns the next byte that is no white space, unread. Where newlines are not to be crossed, one
// gives errLineEnd.
func (s *scanner) skipSpace(newlines bool) (byte, error) {
	for {
		c, err := s.peek()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			if !newlines {
				return 0, errLineEnd
			}
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
		s.read()
	}
}
