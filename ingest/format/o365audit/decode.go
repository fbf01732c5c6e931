// Package o365audit reads the audit log of Microsoft 365, from the Office 365 Management Activity API or from a
// search of the unified audit log.
package o365audit

import (
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const (
	formatName = "o365audit"
	source     = "Microsoft 365 audit log"
)

// Format is that of Microsoft 365's audit records.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return f.Has("CreationTime", "Operation", "RecordType") || f.Has("AuditData", "Operations") || f.Has("auditData", "operation")
}

// operations are those that say something of the graph. A record of any other is read and gives nothing.
var operations = map[string]func(event) []format.Record{
	"userloggedin":              signedIn,
	"add member to role.":       membership("Role"),
	"add member to group.":      membership("Group"),
	"remove member from role.":  membership("Role"),
	"remove member from group.": membership("Group"),
	"new-inboxrule":             inboxRule,
	"set-inboxrule":             inboxRule,
	"set-mailbox":               forwarding,
}

// event is a record with its instant.
type event struct {
	format.Object
	at time.Time
}

// Decode is the format.Decoder of audit records (learn.microsoft.com, "Office 365 Management Activity API schema"):
// alone, or as AuditData within a row of Search-UnifiedAuditLog or of Microsoft Graph's audit log query, an object or
// a text that holds one. What did not succeed gives nothing.
func Decode(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	if o, err = record(o); err != nil {
		return nil, err
	}
	at, err := format.ParseTime(o.Text("CreationTime"))
	switch {
	case err != nil:
		return nil, err
	case o.Text("Operation") == "":
		return nil, format.Invalid("the record has no operation")
	case at.IsZero():
		return nil, format.Invalid("the record has no date in CreationTime")
	}
	read := operations[strings.ToLower(o.Text("Operation"))]
	if read == nil || failed(o) {
		return nil, nil
	}
	return read(event{o, graph.Micro(at)}), nil
}

// record is the audit record that a row holds, the row itself where it holds none.
func record(row format.Object) (format.Object, error) {
	for _, name := range []string{"AuditData", "auditData"} {
		switch v := row[name].(type) {
		case map[string]any:
			return v, nil
		case string:
			o, err := format.ParseObject([]byte(v))
			if err != nil {
				return nil, format.Invalid("%s: %s", name, format.Reword(err))
			}
			return o, nil
		}
	}
	return row, nil
}

// failed reports whether the record says that the operation did not succeed: workloads write it in their own ways.
func failed(o format.Object) bool {
	switch strings.ToLower(o.Text("ResultStatus")) {
	case "", "success", "succeeded", "true":
		return false
	}
	return true
}

// seen makes a sighting of the event.
func (e event) seen() format.Seen {
	id := e.Text("Id")
	if id == "" {
		id = format.Stamp(e.at)
	}
	return format.Seen{First: e.at, Last: e.at, Statement: []string{id}}
}

func (e event) thing(kind graph.Kind, keys ...format.Keyed) graph.EntityObservation {
	return format.Thing(kind, source, e.at, keys...)
}

// named is the value of the pair with this name in a list of names and values, and whether there is one.
func (e event) named(list, name string, values ...string) (value string, ok bool) {
	for _, pair := range e.Objects(list) {
		if strings.EqualFold(pair.Text("Name"), name) {
			return strings.Trim(pair.First(values...), `"`), true
		}
	}
	return "", false
}

func (e event) parameter(name string) (value string, ok bool) {
	return e.named("Parameters", name, "Value")
}
