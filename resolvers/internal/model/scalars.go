package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/clew-security/clew/graph"
)

// errOutput: a Go type that only answers have.
var errOutput = errors.New("this type is not for input")

// MarshalString writes a String, and null for an empty one: the domain has "" for what is not known.
func MarshalString(s string) graphql.Marshaler {
	if s == "" {
		return graphql.Null
	}
	return graphql.MarshalString(s)
}

// UnmarshalString reads a String.
func UnmarshalString(v any) (string, error) { return graphql.UnmarshalString(v) }

// Word is a String that is written also when it is empty: for lists, and for fields that are never null.
type Word string

// MarshalGQL writes the text.
func (t Word) MarshalGQL(w io.Writer) { graphql.MarshalString(string(t)).MarshalGQL(w) }

// UnmarshalGQL is needed by the generator and never called.
func (*Word) UnmarshalGQL(any) error { return errOutput }

// words leaves out the empty ones.
func words(list []string) []Word {
	out := make([]Word, 0, len(list))
	for _, s := range list {
		if s != "" {
			out = append(out, Word(s))
		}
	}
	return out
}

// ErrInt: a number that no Int is.
var ErrInt = fmt.Errorf("%w: an Int is a whole number of 32 bits, written without point and exponent", graph.ErrInvalid)

// MarshalInt32 writes an Int, which in GraphQL has 32 bits.
func MarshalInt32(n int32) graphql.Marshaler { return graphql.MarshalInt32(n) }

// UnmarshalInt32 reads an Int; null is zero. The error wraps graph.ErrInvalid; a text is none, though gqlgen
// and gqlparser take it for one.
func UnmarshalInt32(v any) (int32, error) {
	if _, text := v.(string); text {
		return 0, fmt.Errorf("%w: an Int is written without quotation marks", graph.ErrInvalid)
	}
	n, err := graphql.UnmarshalInt32(v)
	if err != nil {
		return 0, ErrInt
	}
	return n, nil
}

// MarshalCount writes an Int, as far as 32 bits go.
func MarshalCount(n int) graphql.Marshaler {
	return graphql.MarshalInt(max(math.MinInt32, min(n, math.MaxInt32)))
}

// UnmarshalCount is needed by the generator and never called.
func UnmarshalCount(any) (int, error) { return 0, errOutput }

// MarshalEntityID writes an ID, null for the zero one.
func MarshalEntityID(id graph.ID) graphql.Marshaler { return MarshalString(id.String()) }

// UnmarshalEntityID is needed by the generator and never called.
func UnmarshalEntityID(any) (graph.ID, error) { return graph.ID{}, errOutput }

// MarshalIncidentID writes an ID, null for zero.
func MarshalIncidentID(id graph.IncidentID) graphql.Marshaler { return MarshalString(id.String()) }

// UnmarshalIncidentID is needed by the generator and never called.
func UnmarshalIncidentID(any) (graph.IncidentID, error) { return 0, errOutput }

// dateTime is RFC 3339 in UTC with microseconds where there are any.
const dateTime = "2006-01-02T15:04:05.999999Z"

// MarshalDateTime writes a DateTime, null for the zero instant.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(dateTime)))
	})
}

// The years of a DateTime in input: from the epoch of Windows' clocks to the last that RFC 3339 can write. The
// zero instant, in the domain one that is not given, lies outside.
const (
	firstYear = 1601
	lastYear  = 9999
)

// UnmarshalDateTime reads a DateTime; null is the zero instant. The error wraps graph.ErrInvalid.
func UnmarshalDateTime(v any) (time.Time, error) {
	if v == nil {
		return time.Time{}, nil
	}
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%w: a DateTime is written as 2026-03-02T08:15:30Z", graph.ErrInvalid)
	}
	if year := t.UTC().Year(); year < firstYear || year > lastYear {
		return t, fmt.Errorf("%w: a DateTime lies in the years %d to %d in UTC", graph.ErrInvalid, firstYear, lastYear)
	}
	return graph.Micro(t), nil
}

// MarshalTick writes a tick as DateTime with six digits, so that ticks sort as text.
func MarshalTick(t graph.Tick) graphql.Marshaler { return MarshalString(t.String()) }

// UnmarshalTick is needed by the generator and never called.
func UnmarshalTick(any) (graph.Tick, error) { return 0, errOutput }

// Instant is a DateTime that a source wrote; one that cannot be read is null.
type Instant struct{ time.Time }

// UnmarshalJSON reads RFC 3339 and never fails.
func (t *Instant) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		t.Time, _ = time.Parse(time.RFC3339Nano, s)
	}
	return nil
}

// MarshalGQL writes a DateTime.
func (t Instant) MarshalGQL(w io.Writer) { MarshalDateTime(t.Time).MarshalGQL(w) }

// UnmarshalGQL is needed by the generator and never called.
func (*Instant) UnmarshalGQL(any) error { return errOutput }

// MarshalRawJSON writes JSON as it is, null where there is none or it is not valid.
func MarshalRawJSON(raw json.RawMessage) graphql.Marshaler {
	if len(raw) == 0 || !json.Valid(raw) {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(raw) })
}

// UnmarshalRawJSON is needed by the generator and never called.
func UnmarshalRawJSON(any) (json.RawMessage, error) { return nil, errOutput }
