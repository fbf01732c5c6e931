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

// open sniffs gzip and a byte order mark, and refuses what is no text.
func open(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, gzipMagic) {
		counted := &counter{r: in}
		z, err := gzip.NewReader(counted)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(&inflater{z: z, in: counted})
		if magic, _ := in.Peek(2); bytes.Equal(magic, gzipMagic) {
			return nil, Invalid("the file is compressed with gzip twice; unpack it once")
		}
	}
	head, _ := in.Peek(512)
	if bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}) {
		_, _ = in.Discard(3)
		return in, nil
	}
	return in, noText(head)
}

var gzipMagic = []byte{0x1f, 0x8b}

// archives are the first bytes of what often lies beside exports.
var archives = []struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "a zip archive"}, {"BZh", "compressed with bzip2"},
	{"\xfd7zXZ\x00", "compressed with xz"}, {"\x28\xb5\x2f\xfd", "compressed with zstd"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
}

// noText says what a file is by its head that cannot be read as text, once instead of line by line.
func noText(head []byte) error {
	for _, a := range archives {
		if bytes.HasPrefix(head, []byte(a.magic)) {
			return Invalid("the file is %s; unpack it first", a.name)
		}
	}
	if utf16(head) {
		return Invalid("the file is UTF-16; convert it to UTF-8")
	}
	start := bytes.TrimLeft(head, " \t\r\n")
	if bytes.IndexByte(head, 0) >= 0 && start[0] != '{' && start[0] != '[' {
		return Invalid("the file is binary, not JSON")
	}
	return nil
}

// utf16 knows it by its byte order mark, or by the zero beside each of its first two characters.
func utf16(head []byte) bool {
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return true
	}
	if len(head) < 4 {
		return false
	}
	zero := [4]bool{head[0] == 0, head[1] == 0, head[2] == 0, head[3] == 0}
	return zero == [4]bool{false, true, false, true} || zero == [4]bool{true, false, true, false}
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
