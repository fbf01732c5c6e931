package scenario

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// dice is one stream of randomness. Every part of the scenario has its own, so that more noise, say, does not
// change the attacks.
type dice struct{ *rand.Rand }

func newDice(seed uint64, stream string) dice {
	sum := sha256.Sum256([]byte(stream))
	return dice{rand.New(rand.NewPCG(seed, binary.BigEndian.Uint64(sum[:])))}
}

// hex gives n hexadecimal digits.
func (d dice) hex(n int) string {
	b := make([]byte, (n+1)/2)
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return hex.EncodeToString(b)[:n]
}

// guid gives a random GUID (RFC 9562 version 4).
func (d dice) guid() string { return asGUID(d.hex(32)) }

func asGUID(h string) string {
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}

// namedGUID is the same for the same name: detectors keep theirs for ever.
func namedGUID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return asGUID(hex.EncodeToString(sum[:16]))
}

// between gives a span in [lo, hi), in steps of 100 ns, the grain of Windows' clock.
func (d dice) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.Int64N(int64(hi-lo)/100))*100
}

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// deck deals each card once before it deals any again, so that what it hands out is spread evenly.
type deck[T any] struct {
	cards []T
	next  int
}

func newDeck[T any](d dice, cards []T) *deck[T] {
	c := append([]T(nil), cards...)
	d.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
	return &deck[T]{cards: c}
}

func (k *deck[T]) deal() T {
	k.next++
	return k.cards[(k.next-1)%len(k.cards)]
}

func (k *deck[T]) hand(n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = k.deal()
	}
	return out
}
