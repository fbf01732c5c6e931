package format

import (
	"errors"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
)

// Before, the zero of Windows' clock was an instant: one process without a creation time made its alert, and the
// incident with it, begin in 1601.
func TestADateThatMeansNoneIsNone(t *testing.T) {
	for _, s := range []string{"", "0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "1601-01-01T00:00:00.0000000Z",
		"1601-01-01T02:00:00+02:00", "1/1/1601 12:00:00 AM", "9999-12-31T23:59:59.9999999Z"} {
		if got, err := ParseTime(s); err != nil || !got.IsZero() {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}

func TestADateIsReadInEveryDialect(t *testing.T) {
	want := time.Date(2026, 3, 4, 15, 6, 7, 123456700, time.UTC)
	for _, s := range []string{"2026-03-04T15:06:07.1234567Z", "2026-03-04T17:06:07.1234567+02:00", "2026-03-04T15:06:07.1234567",
		"2026-03-04 15:06:07.1234567Z", "2026-03-04 15:06:07.1234567", "3/4/2026 15:06:07.1234567", "03/04/2026 3:06:07.1234567 PM"} {
		if got, err := ParseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"soon", "2026-13-01T00:00:00Z", "1770000000", "04.03.2026"} {
		if got, err := ParseTime(s); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}
