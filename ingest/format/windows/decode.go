// Package windows reads the events of Windows' Security log and of Sysmon, on Windows and on Linux. They come as rows
// with the event's fields beside the row's own (Winlogbeat, NXLog, Log Analytics' SecurityEvent) or in EventData, as
// JSON or XML (WindowsEvent, SecurityEvent), and as XML in a row of Syslog.
//
// What is read of an event is told in learn.microsoft.com, "Sysmon" (events 1, 3, 11, 15, 22, 23, 26) and "Audit events"
// (4624, 4634, 4647, 4648, 4672, 4688). Any other event says nothing for the graph, and is no error.
package windows

import (
	"strings"

	"github.com/clew-security/clew/ingest/format"
)

const formatName = "windows"

// Format is that of Windows' events.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	if f.Has("SyslogMessage") {
		return isEvent(f.Text("SyslogMessage"))
	}
	return f.Has("EventID") && (f.Has("Channel") || f.Has("EventData")) && (f.Has("Hostname") || f.Has("Computer"))
}

// isEvent tells an event in XML from all else that is written to syslog.
func isEvent(text string) bool {
	return strings.HasPrefix(text, "<Event>") || strings.HasPrefix(text, "<Event ")
}

// The names under which the graph keeps who said something.
const (
	sysmon   = "Sysmon"
	security = "Windows Security"
)

// tellings are what is said by each event of interest. A failed logon (4625) is not among them: nobody logged on, and the
// name is what somebody typed.
var tellings = map[string]map[int64]func(*says) error{
	sysmon: {
		1: (*says).sysmonProcess, 3: (*says).connection, 22: (*says).answer,
		11: (*says).file, 15: (*says).file, 23: (*says).file, 26: (*says).file,
	},
	security: {
		4688: (*says).securityProcess, 4624: (*says).logon, 4672: (*says).privileges, 4648: (*says).credentials,
		4634: (*says).logoff, 4647: (*says).logoff,
	},
}

// Decode is the format.Decoder of one event. One that says nothing for the graph gives no records.
//
// A device is known by its name alone, so all that is scoped by it is weak: processes, sessions, paths. Accounts that
// exist on every machine, and those of machines, give no identities.
func Decode(raw []byte) ([]format.Record, error) {
	row, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	e, err := read(row)
	if err != nil {
		return nil, err
	}
	tell := tellings[e.source][e.id]
	if tell == nil {
		return nil, nil
	}
	s := says{event: e}
	if err := s.begin(); err != nil {
		return nil, format.Invalid("event %d: %s", e.id, format.Reword(err))
	}
	if err := tell(&s); err != nil {
		return nil, format.Invalid("event %d: %s", e.id, format.Reword(err))
	}
	return s.records, nil
}
