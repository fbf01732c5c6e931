package cached

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/clew-security/clew/graph"
)

// MinSecretBytes is the least length of Redis.Secret.
const MinSecretBytes = 32

// namePrefix leads every name in Redis, for people who look there.
const namePrefix = "clew:cache:"

// overheadBytes is what sealing adds: nonce and tag.
const overheadBytes = 12 + 16

// slot is where a key's value lies in Redis and what opens it. Both come from the key and the secret by
// HMAC-SHA-512 (RFC 2104), so a value put under another name, or by someone without the secret, does not
// open, and the names tell nothing of tenants.
type slot struct {
	name   string
	sealer cipher.AEAD
}

func slotOf(secret []byte, k key) (slot, error) {
	h := hmac.New(sha512.New, secret)
	for _, part := range []string{string(k.kind), string(k.tenant), k.access, string(k.list[:])} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	for _, n := range []uint64{formatVersion, uint64(k.id), uint64(k.revision), uint64(k.created), uint64(k.updated)} {
		h.Write(binary.BigEndian.AppendUint64(nil, n))
	}
	sum := h.Sum(nil)
	block, err := aes.NewCipher(sum[:32])
	if err != nil {
		return slot{}, err
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	return slot{namePrefix + base64.RawURLEncoding.EncodeToString(sum[32:56]), sealer}, err
}

// seal encrypts and authenticates with AES-256-GCM under a random nonce. A slot's key serves one content only.
func (s slot) seal(plain []byte) []byte { return s.sealer.Seal(nil, nil, plain, nil) }

func (s slot) open(sealed []byte) ([]byte, error) {
	if len(sealed) < overheadBytes {
		return nil, errDamaged
	}
	plain, err := s.sealer.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

func checkSecret(secret []byte) error {
	if len(secret) < MinSecretBytes {
		return fmt.Errorf("%w: the cache's secret has %d bytes, at least %d are needed", graph.ErrInvalid, len(secret), MinSecretBytes)
	}
	return nil
}
