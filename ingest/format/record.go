// Package format reads files of security records: the framing of JSON in all its usual wrappings, the Record
// that every decoder gives, and what the decoders share.
package format

import (
	"fmt"

	"github.com/clew-security/clew/graph"
)

// Record is one thing that a source said: exactly one of the fields is set.
type Record struct {
	// Alert is decoded but not projected: Evidence[].Entity is zero.
	Alert *graph.AlertContent
	// Entity says that something is there and bore these keys.
	Entity *graph.EntityObservation
	// Edge says that two things are related.
	Edge *Edge
}

// Edge is a relation together with the observations of both its ends, so that it can be committed alone.
type Edge struct {
	From, To graph.EntityObservation
	// Observation's From and To are the IDs of the observations above.
	Observation graph.EdgeObservation
}

// Decoder turns one raw JSON record into what it says. A record is taken whole or not at all: the error
// wraps graph.ErrInvalid and names what is wrong, in words meant for the person who has the file. It must
// not keep raw, and it is safe for concurrent use.
type Decoder func(raw []byte) ([]Record, error)

// Invalid is an error that wraps graph.ErrInvalid.
func Invalid(text string, args ...any) error {
	return fmt.Errorf("%w: %s", graph.ErrInvalid, fmt.Sprintf(text, args...))
}
