package model

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// ErrCursor: a cursor that was not given out for this list to this caller, or is no longer valid.
var ErrCursor = errors.New("the cursor is not one of this list")

// Cursors seals and opens cursors: the sort key of an item, and 16 bytes of HMAC-SHA256 over tenant, access,
// list and sort key, so that nobody can make one up or take it to another tenant, caller or list.
type Cursors struct{ keys [][]byte }

// macSize is the length of the seal, anySize of a sort key of any length.
const (
	macSize = 16
	anySize = -1
)

// NewCursors seals with the first key and opens with the first two, so that replicas can change keys one
// after the other. Without keys, empty ones not counted, it takes a random one, good in this process only.
func NewCursors(keys [][]byte) Cursors {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k []byte) bool { return len(k) == 0 })
	if len(keys) == 0 {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
		keys = [][]byte{key}
	}
	return Cursors{keys[:min(2, len(keys))]}
}

func (c Cursors) seal(v graph.View, list string, sortKey []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(mac(c.keys[0], v, list, sortKey), sortKey...))
}

// open returns the sort key, which must have size bytes. The error is ErrCursor.
func (c Cursors) open(v graph.View, list, cursor string, size int) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") || // which the decoder would skip
		len(b) < macSize || (size != anySize && len(b) != macSize+size) {
		return nil, ErrCursor
	}
	for _, key := range c.keys {
		if hmac.Equal(b[:macSize], mac(key, v, list, b[macSize:])) {
			return b[macSize:], nil
		}
	}
	return nil, ErrCursor
}

func mac(key []byte, v graph.View, list string, sortKey []byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range []string{string(v.Tenant), v.Access, list, string(sortKey)} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return h.Sum(nil)[:macSize]
}

func tickKey(t graph.Tick) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t)) }

func keyTick(b []byte) graph.Tick {
	if len(b) == 0 {
		return 0
	}
	return graph.Tick(binary.BigEndian.Uint64(b))
}
