package format

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Limits of decompression. Alerts compress about tenfold; what is far above is made to fill a disk.
const (
	// MaxRatio of decompressed to compressed bytes, once RatioFree bytes have come out.
	MaxRatio  = 200
	RatioFree = 10 << 20
	// MaxDecompressed bounds what one compressed file may hold.
	MaxDecompressed = 4 << 30
)

// ErrDecompression: a compressed file grows beyond MaxRatio or MaxDecompressed.
var ErrDecompression = errors.New("compressed file grows beyond the limit")

// open sniffs gzip and a byte order mark.
func open(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		counted := &counter{r: in}
		z, err := gzip.NewReader(counted)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(&inflater{z: z, in: counted})
	}
	head, _ := in.Peek(3)
	switch {
	case bytes.Equal(head, []byte{0xef, 0xbb, 0xbf}):
		_, _ = in.Discard(3)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return nil, Invalid("the file is UTF-16; convert it to UTF-8")
	}
	return in, nil
}

// counter counts the compressed bytes.
type counter struct {
	r *bufio.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte keeps gzip from reading ahead, so that the ratio is exact.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// inflater decompresses within the limits.
type inflater struct {
	z   *gzip.Reader
	in  *counter
	out int64
}

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.z.Read(p)
	i.out += int64(n)
	if i.out > MaxDecompressed || (i.out > RatioFree && i.out > MaxRatio*i.in.n) {
		return 0, fmt.Errorf("%w: %d bytes out of %d", ErrDecompression, i.out, i.in.n)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("gzip, behind %d compressed bytes: %w", i.in.n, err)
	}
	return n, err
}
