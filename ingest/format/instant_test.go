package format

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
)

func TestAnInstantIsReadHoweverItIsCounted(t *testing.T) {
	want := time.Date(2026, 3, 2, 8, 0, 1, 123456000, time.UTC)
	none := time.Time{}
	for _, c := range []struct {
		v    any
		want time.Time
	}{
		{json.Number("1772438401"), want.Truncate(time.Second)},
		{json.Number("1772438401.123456"), want},
		{json.Number("1772438401123"), want.Truncate(time.Millisecond)},
		{json.Number("1772438401123456"), want},
		{json.Number("1772438401123456000"), want},
		{"1772438401123456", want},
		{"/Date(1772438401123)/", want.Truncate(time.Millisecond)},
		{" 2026-03-02T08:00:01.123456Z", want},
		{nil, none}, {"", none}, {json.Number("0"), none}, {json.Number("-62135596800000"), none},
		{json.Number("253402300799"), none}, {json.Number("253402300799000"), none}, {"9999-12-31T23:59:59Z", none},
		{"1601-01-01T00:00:00Z", none}, {"0001-01-01T00:00:00Z", none},
	} {
		got, err := Instant(c.v)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%v: %v %v, want %v", c.v, got, err, c.want)
		}
	}
	for _, v := range []any{true, map[string]any{}, []any{}, "soon", "1.2.3", "/Date(x)/", json.Number("1e400"),
		json.Number("9.3e18"), json.Number("133000000000000000")} { // the last counts from 1601
		if got, err := Instant(v); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%v: %v %v", v, got, err)
		}
	}
}
