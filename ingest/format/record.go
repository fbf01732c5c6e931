// Package format reads files of security records: the framing of JSON in all its usual wrappings, the Record
// that every decoder gives, and what the decoders share.
package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/clew-security/clew/graph"
)

// Record is one thing that a source said: exactly one of Alert, Entity, Edge and Flaw is set.
type Record struct {
	// Alert is decoded but not projected: Evidence[].Entity is zero.
	Alert *graph.AlertContent
	// Entity says that something is there and bore these keys.
	Entity *graph.EntityObservation
	// Edge says that two things are related.
	Edge *Edge
	// Flaw says why a part of the raw record cannot be taken while its other parts can. As a Decoder's error
	// it wraps graph.ErrInvalid.
	Flaw error
	// Part tells which part of the raw record this was read from; the zero value means all of it.
	Part Part
}

// Part is a piece of a raw record that is taken or rejected alone, such as an alert of an incident.
type Part struct {
	// Name says in words where it stands; may be empty.
	Name string
	// Raw is its JSON as it stood there.
	Raw json.RawMessage
}

// Edge is a relation together with the observations of both its ends, so that it can be committed alone.
type Edge struct {
	From, To graph.EntityObservation
	// Observation's From and To are the IDs of the observations above.
	Observation graph.EdgeObservation
}

// Decoder turns one raw JSON record into what it says; a record of the format that says nothing for the graph gives none,
// and is no error. The error wraps graph.ErrInvalid and
// names what is wrong, in words meant for the person who has the file; nothing of the record is taken then.
// Where a raw record holds several alerts each is a Part: a bad one is a Record with a Flaw, and the rest is
// taken. It must not keep raw, and it is safe for concurrent use.
type Decoder func(raw []byte) ([]Record, error)

// Alerts decodes the alerts of an incident, each a part of its own: a bad one is a flaw and leaves the others. The error
// wraps graph.ErrInvalid.
func Alerts(list Field, decode func(raw []byte) (*graph.AlertContent, error)) (out []Record, err error) {
	alerts, err := list.List()
	if err != nil {
		return nil, fmt.Errorf("incident: %w", err)
	}
	for i, alert := range alerts {
		part := Part{Name: fmt.Sprintf("alert %d of the incident", i+1), Raw: json.RawMessage(alert.Raw)}
		a, err := decode(part.Raw)
		out = append(out, Record{Alert: a, Flaw: err, Part: part})
	}
	return out, nil
}

// Invalid is an error that wraps graph.ErrInvalid.
func Invalid(text string, args ...any) error {
	return fmt.Errorf("%w: %s", graph.ErrInvalid, fmt.Sprintf(text, args...))
}

// Reword is the text of an error in words of JSON, not of Go: encoding/json names Go's types.
func Reword(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return strings.TrimPrefix(strings.TrimPrefix(err.Error(), graph.ErrInvalid.Error()+": "), "json: ")
	}
	name := wrong.Field
	if name == "" {
		name = "it"
	}
	value, _, _ := strings.Cut(wrong.Value, " ")
	return fmt.Sprintf("%s is %s, want %s", name, found(value), wanted(wrong.Type))
}

func found(value string) string {
	words := map[string]string{"string": "a text", "array": "a list", "bool": "true or false", "object": "an object", "number": "a number"}
	if w, ok := words[value]; ok {
		return w
	}
	return value
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a number"
}
