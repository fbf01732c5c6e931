package format

import (
	"encoding/json"
	"strings"
	"time"
)

// layouts are tried in order; fractions of a second are read by all of them. Without a zone it is UTC.
// The slashed ones are .NET's invariant culture: month first.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
	"1/2/2006 15:04:05", "1/2/2006 3:04:05 PM", "2006-01-02",
}

// windowsEpoch is the year from which Windows counts its time: what it never set reads as 1601-01-01.
const windowsEpoch = 1601

// ParseTime reads the ways in which Microsoft's products write instants, in UTC. An empty text, the first and
// last years of the calendar and all up to 1601, which products write for "none", give the zero time. The
// error wraps graph.ErrInvalid.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t = t.UTC(); t.Year() <= windowsEpoch || t.Year() >= 9999 {
				return time.Time{}, nil
			}
			return t, nil
		}
	}
	return time.Time{}, Invalid("%q is not a date", clip(s))
}

// Time is an instant in a JSON record; null is the zero time.
type Time struct{ time.Time }

// UnmarshalJSON reads what ParseTime reads.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return Invalid("a date is %s", strings.TrimPrefix(Reword(err), "it is "))
	}
	if s == nil {
		return nil
	}
	v, err := ParseTime(*s)
	t.Time = v
	return err
}

// clip keeps what an error quotes short.
func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
