package graph

import "time"

// Tick is a point on a tenant's commit clock in microseconds since 1970. Every incident or alert that a
// commit changes gets one of its own; ticks are unique, strictly increasing and become visible in order, so
// whoever asks for "greater than the last one I saw" misses nothing.
type Tick int64

// Time is the tick as an instant UTC.
func (t Tick) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// TickOf is the greatest tick not after the instant.
func TickOf(t time.Time) Tick { return Tick(t.UnixMicro()) }

// MarshalText is RFC 3339 with microseconds.
func (t Tick) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339.
func (t *Tick) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	if err == nil {
		*t = TickOf(v)
	}
	return err
}

// String is RFC 3339 with exactly six fractional digits, which sorts as text.
func (t Tick) String() string { return t.Time().Format("2006-01-02T15:04:05.000000Z") }

// MaxClockLead bounds how far a read may push a tenant's clock past the wall clock.
const MaxClockLead = 5 * time.Second

// NextTicks reserves n ticks: the first is max(wall, last+1), the i-th lies i microseconds on. newLast is
// what the tenant's clock stands at afterwards; for n = 0 it stays.
func NextTicks(wall time.Time, last Tick, n int) (first, newLast Tick) {
	first = max(TickOf(wall), last+1)
	if n == 0 {
		return first, last
	}
	return first, first + Tick(n) - 1
}

// BoundClock answers a read that is bounded above by want (exclusive): newLast is where the tenant's clock
// must stand, durably, before the read, so that no later commit gets a tick below bound; bound is what the
// read may promise, at most MaxClockLead ahead of the wall clock.
func BoundClock(wall time.Time, last, want Tick) (bound, newLast Tick) {
	most := TickOf(wall.Add(MaxClockLead))
	bound = min(want, max(most, last+1))
	return bound, max(last, bound-1)
}
