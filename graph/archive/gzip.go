package archive

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/clew-security/clew/graph"
)

var gzipMagic = []byte{0x1f, 0x8b}

// uncompressed looks at the first bytes. How far a file grows is not bounded, as an export may hold anything that
// compresses well: what is read is held a record at a time.
func uncompressed(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(len(gzipMagic)); !bytes.Equal(magic, gzipMagic) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: the compressed file is cut short in its header", graph.ErrInvalid)
	}
	return unzipper{z}, damaged(err)
}

// unzipper says of a damaged file that it is.
type unzipper struct{ z *gzip.Reader }

// Read implements io.Reader. A file that is cut short gives io.ErrUnexpectedEOF.
func (u unzipper) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	return n, damaged(err)
}

// damaged makes graph.ErrInvalid of what only a damaged file gives.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt) {
		return fmt.Errorf("%w: the compressed file is damaged: %w", graph.ErrInvalid, err)
	}
	return err
}
