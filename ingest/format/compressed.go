package format

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
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

// maxWindow bounds the memory that a zstd stream may ask for; RFC 8878 asks for 8 MiB at least.
const maxWindow = 32 << 20

// open sniffs gzip, zstd and a byte order mark, and refuses what is no text. stop frees what reading takes.
func open(r io.Reader) (_ io.Reader, stop func(), err error) {
	in, stop := bufio.NewReader(r), func() {}
	if name := compression(in); name != "" {
		i := &inflater{in: &counter{r: in}, name: name}
		if stop, err = i.begin(); err != nil {
			return nil, stop, err
		}
		in = bufio.NewReader(i)
		if again := compression(in); again != "" {
			return nil, stop, Invalid("the file is compressed twice, with %s and %s; unpack it once", name, again)
		}
	}
	head, _ := in.Peek(512)
	if bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}) {
		_, _ = in.Discard(3)
		return in, stop, nil
	}
	return in, stop, noText(head)
}

// compression is what the next bytes are compressed with; empty where they are not.
func compression(in *bufio.Reader) string {
	head, _ := in.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd"
	}
	return ""
}

// archives are the first bytes of what often lies beside exports.
var archives = []struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "a zip archive"}, {"BZh", "compressed with bzip2"},
	{"\xfd7zXZ\x00", "compressed with xz"},
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
	z    io.Reader
	in   *counter
	out  int64
	name string
}

// begin reads the head of the stream.
func (i *inflater) begin() (stop func(), err error) {
	if i.name == "gzip" {
		i.z, err = gzip.NewReader(i.in)
		return func() {}, err
	}
	z, err := zstd.NewReader(i.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return func() {}, err
	}
	i.z = z
	return z.Close, nil
}

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.z.Read(p)
	i.out += int64(n)
	if i.out > MaxDecompressed || (i.out > RatioFree && i.out > MaxRatio*i.in.n) {
		return 0, fmt.Errorf("%w: %d bytes out of %d", ErrDecompression, i.out, i.in.n)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s, behind %d compressed bytes: %w", i.name, i.in.n, err)
	}
	return n, err
}
