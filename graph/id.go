package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TenantID names one tenant. It comes from the caller's token, never from a query's arguments.
type TenantID string

// MaxTenant bounds a tenant's name in bytes: it is part of every key that is stored of the tenant.
const MaxTenant = 256

// Check refuses the empty name: a token without a tenant must not become a tenant that all of them share. It refuses
// as well what is too long for keys, and what cannot be shown as it is.
func (t TenantID) Check() error {
	switch {
	case t == "":
		return fmt.Errorf("%w: no tenant", ErrInvalid)
	case len(t) > MaxTenant:
		return fmt.Errorf("%w: the tenant's name has %d bytes, at most %d", ErrInvalid, len(t), MaxTenant)
	case !utf8.ValidString(string(t)) || strings.ContainsFunc(string(t), unicode.IsControl):
		return fmt.Errorf("%w: the tenant's name %q has what is not text, or a control character", ErrInvalid, string(t))
	}
	return nil
}

// Revision counts the commits of one tenant: the first is 1, each later one is greater by at least one.
type Revision uint64

// ID names an entity, an alert or an observation for ever. It is derived from the natural key, so two
// processes that see the same thing compute the same ID without asking anyone: the first byte is the kind,
// the other 15 are the head of SHA-256 over the key. The zero ID names nothing.
type ID [16]byte

// idText is lower-case base32 without padding: 15 bytes give exactly 24 characters.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID derives the ID of the thing of this kind whose natural key is made of parts. Parts are hashed with
// their lengths, so ("ab","c") and ("a","bc") differ.
func NewID(kind Kind, parts ...string) ID {
	var room [256]byte
	text := room[:0]
	for _, p := range parts {
		text = append(binary.BigEndian.AppendUint64(text, uint64(len(p))), p...)
	}
	sum := sha256.Sum256(text)
	id := ID{byte(kind)}
	copy(id[1:], sum[:])
	return id
}

// Kind tells what the ID names; KindUnknown for the zero ID and for a number this version does not know.
func (id ID) Kind() Kind {
	if k := Kind(id[0]); k.Known() {
		return k
	}
	return KindUnknown
}

// IsZero reports whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs by kind, then bytes: the order in which scans yield them.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// String is the text form, "device_" + 24 characters; ParseID reads it back.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return id.Kind().String() + "_" + idText.EncodeToString(id[1:])
}

// ParseID reads the text form. The error wraps ErrInvalid.
func ParseID(s string) (ID, error) {
	name, text, ok := strings.Cut(s, "_")
	kind, known := ParseKind(name)
	if !ok || !known || len(text) != 24 {
		return ID{}, fmt.Errorf("%w: %q is not an id", ErrInvalid, clip(s))
	}
	id := ID{byte(kind)}
	if _, err := idText.Decode(id[1:], []byte(text)); err != nil {
		return ID{}, fmt.Errorf("%w: %q is not an id", ErrInvalid, clip(s))
	}
	return id, nil
}

// MarshalText gives the text form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the text form; the empty text is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	v, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// IncidentID is a small decimal number, counted per tenant from 1 in the order of commits: people read it
// aloud and the legacy Defender API needs a number. Zero names no incident.
type IncidentID uint64

// String is the decimal form, empty for zero.
func (id IncidentID) String() string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}

// ParseIncidentID reads the decimal form. The error wraps ErrInvalid.
func ParseIncidentID(s string) (IncidentID, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 || s[0] == '+' || s[0] == '0' {
		return 0, fmt.Errorf("%w: %q is not an incident id", ErrInvalid, clip(s))
	}
	return IncidentID(n), nil
}

// clip keeps what an error quotes short.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
