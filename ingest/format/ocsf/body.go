package ocsf

import (
	"time"

	"github.com/clew-security/clew/ingest/format"
)

// body is a Graph-shaped object under construction; what is empty is left out.
type body map[string]any

func (b body) set(name, text string) body {
	if text != "" {
		b[name] = text
	}
	return b
}

func (b body) number(name string, o format.Object, field string) body {
	if n, ok := o.Integer(field); ok {
		b[name] = n
	}
	return b
}

// time sets a date; one that cannot be read is left out.
func (b body) time(name string, o format.Object, field string) body {
	if t, err := instant(o, field); err == nil && !t.IsZero() {
		b[name] = stamp(t)
	}
	return b
}

func (b body) object(name string, o body) body {
	if len(o) > 0 {
		b[name] = o
	}
	return b
}

// stamp writes dates as Graph does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
