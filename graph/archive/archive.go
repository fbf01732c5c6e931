// Package archive writes and reads what graph.Mover carries, as a file: a line of JSON a record, between a line
// that says what it is and one that says that it is whole.
//
// The records of one tenant have one order and one form, so two archives of equal content are equal from the
// second line on, whatever store they come from.
package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

// Version of the format that Write writes and the newest that Read reads.
const Version = 1

const name = "clew tenant archive"

// MaxLine bounds one record in bytes, as JSON with its line's end. Reading takes a few times that of memory. The largest
// that are made are of an alert: it holds what a source may send as one, whole and once more as pieces of evidence.
const MaxLine = 64 << 20

// head is the first line.
type head struct {
	Format  string         `json:"format"`
	Version int            `json:"version"`
	Tenant  graph.TenantID `json:"tenant"`
}

// tail is the last line.
type tail struct {
	End *Summary `json:"end"`
}

// Summary says how much an archive holds; SHA256 is over its records' lines.
type Summary struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

// Write writes an archive. On an error what was written has no end line, and Read refuses it.
func Write(w io.Writer, tenant graph.TenantID, records iter.Seq2[graph.Record, error]) (Summary, error) {
	out := bufio.NewWriterSize(w, 1<<16)
	first, err := graph.EncodeJSON(head{name, Version, tenant})
	if err != nil {
		return Summary{}, err
	}
	if _, err := out.Write(append(first, '\n')); err != nil {
		return Summary{}, err
	}
	sum := graph.NewRecordSum()
	for r, err := range records {
		if err != nil {
			return Summary{}, err
		}
		line, err := sum.Add(r)
		if err == nil {
			err = checkLine(line)
		}
		if err != nil {
			return Summary{}, fmt.Errorf("record %d cannot be carried: %w", sum.Records, err)
		}
		if _, err := out.Write(line); err != nil {
			return Summary{}, err
		}
	}
	s := Summary{sum.Records, sum.SHA256()}
	last, err := graph.EncodeJSON(tail{&s})
	if err == nil {
		_, err = out.Write(append(last, '\n'))
	}
	return s, errors.Join(err, out.Flush())
}

// Reader reads one archive.
type Reader struct {
	// Tenant it was made of.
	Tenant graph.TenantID
	lines  *bufio.Reader
	whole  []byte // what the last line is in, where it is longer than what lines hold
	sum    hash.Hash
	found  Summary
}

// NewReader reads the first line of an archive, compressed with gzip or not. The error wraps graph.ErrInvalid
// where this is no archive, and graph.ErrVersion where a newer program wrote it.
func NewReader(r io.Reader) (*Reader, error) {
	text, err := uncompressed(r)
	if err != nil {
		return nil, err
	}
	a := &Reader{lines: bufio.NewReaderSize(text, 1<<16), sum: sha256.New()}
	line, err := a.line()
	var h head
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, fmt.Errorf("%w: there is nothing in it", graph.ErrInvalid)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, a.cutShort()
	case errors.Is(err, graph.ErrInvalid):
		return nil, err
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: this is no %s, or a damaged one: %w", graph.ErrInvalid, name, err)
	case json.Unmarshal(line, &h) != nil || h.Format != name:
		return nil, fmt.Errorf("%w: this is no %s", graph.ErrInvalid, name)
	}
	if h.Version != Version {
		return nil, fmt.Errorf("%w: the archive has version %d, this program reads %d: use a newer program", graph.ErrVersion, h.Version, Version)
	}
	a.Tenant = h.Tenant
	return a, nil
}

// line reads up to a line's end. It holds until the next one is read.
func (a *Reader) line() ([]byte, error) {
	part, err := a.lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return part, err
	}
	for a.whole = a.whole[:0]; ; part, err = a.lines.ReadSlice('\n') {
		a.whole = append(a.whole, part...)
		if len(a.whole) > MaxLine {
			return nil, fmt.Errorf("%w: %w", graph.ErrInvalid, checkLine(a.whole))
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return a.whole, err
		}
	}
}

// checkLine refuses a line that is too long to be read, or would take too much memory.
func checkLine(line []byte) error {
	if len(line) > MaxLine {
		return fmt.Errorf("it is longer than %d bytes", MaxLine)
	}
	return checkLists(line)
}

// Records yields the records, once. The last item is an error where the archive is cut short, was changed or
// has anything behind its end.
func (a *Reader) Records() iter.Seq2[graph.Record, error] {
	return func(yield func(graph.Record, error) bool) {
		for {
			r, end, err := a.next()
			if err != nil {
				yield(graph.Record{}, err)
				return
			}
			if end || !yield(r, nil) {
				return
			}
		}
	}
}

// Summary is what was read; whole once Records has ended without an error.
func (a *Reader) Summary() Summary { return a.found }

func (a *Reader) next() (r graph.Record, end bool, err error) {
	line, err := a.line()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r, false, a.cutShort()
	}
	if err != nil {
		return r, false, fmt.Errorf("record %d: %w", a.found.Records+1, err)
	}
	var t tail
	if bytes.HasPrefix(line, []byte(`{"end"`)) && json.Unmarshal(line, &t) == nil && t.End != nil {
		return r, true, a.checkEnd(*t.End)
	}
	if r, err = decode(line); err != nil {
		return r, false, fmt.Errorf("%w: record %d: %w", graph.ErrInvalid, a.found.Records+1, err)
	}
	a.sum.Write(line)
	a.found.Records++
	return r, false, nil
}

// decode reads what is on a line and nothing but one record.
func decode(line []byte) (r graph.Record, err error) {
	if err := checkLists(line); err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if _, behind := d.Token(); behind != io.EOF {
		return r, errors.New("there is something behind the record")
	}
	return r, checkText(line, r)
}

// checkText refuses what the decoding replaced without a word: bytes that are not UTF-8, and halves of surrogate
// pairs outside of raw values, which keep theirs.
func checkText(line []byte, r graph.Record) error {
	if !utf8.Valid(line) {
		return errors.New("it is not UTF-8")
	}
	if !bytes.Contains(line, []byte(`\ud`)) && !bytes.Contains(line, []byte(`\uD`)) {
		return nil
	}
	again, err := graph.EncodeJSON(r)
	if err == nil && !bytes.Equal(again, bytes.TrimSpace(line)) {
		err = errors.New("it is read as something else, perhaps for half of a surrogate pair")
	}
	return err
}

func (a *Reader) cutShort() error {
	return fmt.Errorf("%w: the archive is cut short after %d records", graph.ErrInvalid, a.found.Records)
}

func (a *Reader) checkEnd(want Summary) error {
	a.found.SHA256 = hex.EncodeToString(a.sum.Sum(nil))
	if a.found != want {
		return fmt.Errorf("%w: the archive was changed: it holds %d records with SHA-256 %s, and says %d with %s",
			graph.ErrInvalid, a.found.Records, a.found.SHA256, want.Records, want.SHA256)
	}
	switch _, err := a.lines.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: there is something behind the archive's end", graph.ErrInvalid)
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return a.cutShort()
	default:
		return err
	}
}
