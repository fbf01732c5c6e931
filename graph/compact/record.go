package compact

// record is what every edge has: the instant it was first seen, the time from then until it was last, and the number of
// the rest. It takes 16 bytes, so that none lies in two cache lines.
type record struct {
	first uint64 // in microseconds since 1970; below highBits the upper bits of the number
	span  uint64 // in microseconds; below lowBits the lower bits of the number
}

// The instants that fit lie before the year 2112, the spans are below 8.9 years. Others lie with the rest.
const (
	highBits, lowBits = 12, 16
	maxFirst          = 1 << (64 - highBits)
	maxSpan           = 1 << (64 - lowBits)
)

// Of the number of the rest: above maxRest is marked what the edge has an extra for, whose number it is then; else it is
// that of what the edge shares.
const (
	maxRest  = 1<<26 - 1
	hasEnd   = 1 << 26 // the edge has an end of its own
	hasTimes = 1 << 27 // the record has no room for first and last
)

// fits reports whether a record has room for the two.
func fits(first, last Instant) bool {
	return first >= 0 && first < maxFirst && last >= first && last-first < maxSpan
}

func recordOf(first, last Instant, rest uint32) record {
	r := record{uint64(rest >> lowBits), uint64(rest % (1 << lowBits))}
	if rest&hasTimes == 0 {
		r.first |= uint64(first) << highBits
		r.span |= uint64(last-first) << lowBits
	}
	return r
}

// rest is the number of the rest, with its marks.
func (r *record) rest() uint32 {
	return uint32(r.first%(1<<highBits))<<lowBits | uint32(r.span%(1<<lowBits))
}

func (r *record) seen(rest *rest) (first, last, ended Instant) {
	n := r.rest()
	if n&^maxRest == 0 {
		first = Instant(r.first >> highBits)
		return first, first + Instant(r.span>>lowBits), None
	}
	x := rest.extras.at(n & maxRest)
	if n&hasTimes != 0 {
		return x.first, x.last, x.ended
	}
	first = Instant(r.first >> highBits)
	return first, first + Instant(r.span>>lowBits), x.ended
}
