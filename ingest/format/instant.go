package format

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// lastCounted is where counted instants end: behind it lies what is no instant but a count of another kind.
var lastCounted = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)

// Instant reads an instant that a JSON record gives as a text (see ParseTime) or as a number since 1970, also in a
// text or as .NET's "/Date(…)/". The size of the number tells whether it counts seconds, milliseconds, microseconds or
// nanoseconds, rightly from September 2001 on. Nothing, a number that is not positive, the last year of the calendar and
// the years up to 1601, in which Windows' clock begins, give the zero time. The error wraps graph.ErrInvalid.
func Instant(v any) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		return counted(v.String())
	case string:
		v = strings.TrimSpace(v)
		if inner, ok := strings.CutPrefix(v, "/Date("); ok {
			return counted(strings.TrimSuffix(inner, ")/"))
		}
		if strings.Trim(v, "0123456789.") == "" && v != "" {
			return counted(v)
		}
		return ParseTime(v)
	}
	return time.Time{}, Invalid("a date is neither a text nor a number")
}

func counted(s string) (time.Time, error) {
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(n) || n >= math.MaxInt64:
		return time.Time{}, Invalid("%q is not a date", clip(s))
	case n <= 0:
		return time.Time{}, nil
	case n < 1e12:
		n *= 1e6
	case n < 1e15:
		n *= 1e3
	case n >= 1e18:
		n /= 1e3
	}
	t := time.UnixMicro(int64(math.Round(n))).UTC()
	switch {
	case t.Year() >= 9999:
		return time.Time{}, nil
	case t.After(lastCounted):
		return time.Time{}, Invalid("%q is not a date", clip(s))
	}
	return t, nil
}
