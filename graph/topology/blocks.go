package topology

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
)

// A saved graph lies in blocks: the length of what a block holds, four bytes with the lowest first; that; and the
// CRC-32C of both and of all blocks before, four bytes. One that holds nothing is the last.
const maxBlock = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errCutShort = errors.New("it is cut short")
	errChecksum = errors.New("a checksum does not match")
	errLonger   = errors.New("it goes on behind its end")
)

// blockWriter cuts what is written into blocks, until ctx ends.
type blockWriter struct {
	ctx  context.Context
	to   io.Writer
	sum  uint32
	held []byte
}

func (w *blockWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		some := p[:min(len(p), maxBlock-len(w.held))]
		w.held, p, n = append(w.held, some...), p[len(some):], n+len(some)
		if len(w.held) == maxBlock {
			err = w.flush()
		}
	}
	return n, err
}

// flush ends the block, where it holds anything.
func (w *blockWriter) flush() error {
	if len(w.held) == 0 {
		return nil
	}
	return w.cut()
}

// end writes what is left, and the last block.
func (w *blockWriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.cut()
}

func (w *blockWriter) cut() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(w.held)))
	w.sum = crc32.Update(crc32.Update(w.sum, castagnoli, length), castagnoli, w.held)
	for _, p := range [][]byte{length, w.held, binary.LittleEndian.AppendUint32(nil, w.sum)} {
		if _, err := w.to.Write(p); err != nil {
			return err
		}
	}
	w.held = w.held[:0]
	return nil
}

// blockReader gives what blocks hold, of each once its checksum matches, and io.EOF where all is read and whole.
type blockReader struct {
	ctx   context.Context
	from  io.Reader
	sum   uint32
	block []byte
	left  []byte // of the block
	err   error
}

func (r *blockReader) Read(p []byte) (n int, err error) {
	for len(r.left) == 0 && r.err == nil {
		r.left, r.err = r.next()
	}
	if len(r.left) == 0 {
		return 0, r.err
	}
	n = copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *blockReader) next() ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	var length [4]byte
	if err := r.fill(length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxBlock {
		return nil, errChecksum
	}
	r.block = slices.Grow(r.block[:0], int(n)+4)[:n+4]
	if err := r.fill(r.block); err != nil {
		return nil, err
	}
	held, sum := r.block[:n], r.block[n:]
	r.sum = crc32.Update(crc32.Update(r.sum, castagnoli, length[:]), castagnoli, held)
	if r.sum != binary.LittleEndian.Uint32(sum) {
		return nil, errChecksum
	}
	if n == 0 {
		return nil, r.over()
	}
	return held, nil
}

func (r *blockReader) fill(p []byte) error {
	_, err := io.ReadFull(r.from, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutShort
	}
	return err
}

// over gives io.EOF where nothing follows.
func (r *blockReader) over() error {
	n, err := io.ReadFull(r.from, make([]byte, 1))
	if n > 0 {
		return errLonger
	}
	return err
}
