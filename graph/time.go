package graph

import "time"

// Micro cuts an instant to microseconds UTC, the grain of everything stored; clients cut there too.
func Micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// MicroNumber is an instant in microseconds since 1970, cut, as a number that grows with the time from long before
// year 0 to long after 9999, beyond which no record can be written. A zero time is far in the past.
func MicroNumber(t time.Time) int64 {
	const most = 1 << 41 // seconds, near 70,000 years
	return time.Unix(min(max(t.Unix(), -most), most), int64(t.Nanosecond())).UnixMicro()
}

// EarlierKnown is the earlier of two instants, of which a zero one is unknown.
func EarlierKnown(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// Later is the later of two instants; a zero one is earlier than any.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Window is a span of time; a zero bound is open.
type Window struct {
	// From is the first instant in it.
	From time.Time
	// Before is the first instant after it.
	Before time.Time
}

// Contains reports whether the instant lies in the window.
func (w Window) Contains(t time.Time) bool {
	return (w.From.IsZero() || !t.Before(w.From)) && (w.Before.IsZero() || t.Before(w.Before))
}

// Overlaps reports whether the closed span first..last meets the window.
func (w Window) Overlaps(first, last time.Time) bool {
	return (w.From.IsZero() || !last.Before(w.From)) && (w.Before.IsZero() || first.Before(w.Before))
}
