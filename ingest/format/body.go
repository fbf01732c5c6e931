package format

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
)

// Body is an object in the shape of Microsoft Graph Security under construction, made of the fields of a source's own
// object; what is empty is left out.
type Body map[string]any

// Set sets a field to a value that is not empty, and gives the object: a nil, an empty text, list or Body, or a zero time is
// none.
func (b Body) Set(name string, v any) Body {
	switch v := v.(type) {
	case nil:
	case string:
		if v != "" {
			b[name] = v
		}
	case []string:
		if len(v) > 0 {
			b[name] = v
		}
	case []any:
		if len(v) > 0 {
			b[name] = v
		}
	case Body:
		if len(v) > 0 {
			b[name] = v
		}
	case time.Time:
		if !v.IsZero() {
			b[name] = DateTime(v)
		}
	default:
		b[name] = v
	}
	return b
}

// Texts copies fields: pairs of the name in Graph and the name in the source.
func (b Body) Texts(o Object, pairs ...string) Body {
	for i := 0; i+1 < len(pairs); i += 2 {
		b.Set(pairs[i], o.Text(pairs[i+1]))
	}
	return b
}

// Enums copies fields whose values Graph writes in camel case; a bare number says nothing and is left out.
func (b Body) Enums(o Object, pairs ...string) Body {
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, number := o[pairs[i+1]].(json.Number); !number {
			b.Set(pairs[i], Camel(o.Text(pairs[i+1])))
		}
	}
	return b
}

// Numbers copies fields that Graph has as numbers.
func (b Body) Numbers(o Object, pairs ...string) Body {
	for i := 0; i+1 < len(pairs); i += 2 {
		if n, ok := o.Integer(pairs[i+1]); ok {
			b[pairs[i]] = n
		}
	}
	return b
}

// Instants copies fields that are dates; one that cannot be read is left out.
func (b Body) Instants(o Object, pairs ...string) Body {
	for i := 0; i+1 < len(pairs); i += 2 {
		b.Set(pairs[i], o.Time(pairs[i+1]))
	}
	return b
}

// DateTime writes an instant as Graph does. It keeps 100 ns, the grain of Windows, by which processes are told apart.
func DateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// Camel writes an enumeration's value as Graph does: "NoSensorData" as noSensorData, "TCP" as tcp.
func Camel(s string) string {
	if s == strings.ToUpper(s) {
		return strings.ToLower(s)
	}
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}
