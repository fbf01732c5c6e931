package windows

import (
	"errors"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// event is one event with its fields, wherever they stood.
type event struct {
	// source is sysmon or security, empty for any other.
	source string
	id     int64
	// row are the fields about the event, fields its own.
	row, fields format.Object
}

// read reads what kind of event a row holds. Its fields are left to begin: most events are of no interest.
func read(row format.Object) (event, error) {
	e := event{row: row}
	if row["EventID"] == nil && row["SyslogMessage"] != nil {
		message := row.Text("SyslogMessage")
		if !isEvent(message) {
			return e, format.Invalid("SyslogMessage is no event in XML")
		}
		system, fields, err := readXML(message)
		if err != nil && !errors.Is(err, errCut) {
			return e, format.Invalid("SyslogMessage: %s", format.Reword(err))
		}
		e.row, e.fields = system, fields
	}
	var ok bool
	if e.id, ok = e.row.Integer("EventID"); !ok {
		return e, format.Invalid("EventID is no number")
	}
	by := e.row.First("SourceName", "Provider", "ProviderName", "EventSourceName", "Channel")
	if by == "" {
		return e, format.Invalid("neither provider nor channel is named")
	}
	e.source = sources[strings.ToLower(by)]
	return e, nil
}

// sources by provider, or where a row has none by channel. An event that was forwarded is in the channel it was forwarded
// to.
var sources = map[string]string{
	"microsoft-windows-sysmon": sysmon, "linux-sysmon": sysmon,
	"microsoft-windows-sysmon/operational": sysmon, "linux-sysmon/operational": sysmon,
	"microsoft-windows-security-auditing": security, "security": security,
}

// open finds the event's own fields: in EventData, else beside those of the row.
func (e *event) open() (err error) {
	if e.fields != nil {
		return nil
	}
	switch data := e.row["EventData"].(type) {
	case nil:
	case map[string]any:
		e.fields = data
	case string:
		if e.fields, err = fieldsIn(data); err != nil {
			return format.Invalid("EventData: %s", format.Reword(err))
		}
	default:
		return format.Invalid("EventData is neither an object nor a text")
	}
	if len(e.fields) == 0 {
		e.fields = e.row
	}
	return nil
}

func fieldsIn(text string) (fields format.Object, err error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return nil, nil
	case text[0] == '<':
		_, fields, err = readXML(text)
		return fields, err
	}
	return format.ParseObject([]byte(text))
}

// at is when the event was logged. Sysmon's own UtcTime runs behind on machines that slept, so it comes last.
func (e event) at() (time.Time, error) {
	for _, name := range []string{"TimeCreated", "@timestamp", "TimeGenerated", "EventTime", "UtcTime"} {
		t, err := format.Instant(e.row[name])
		if err != nil {
			return t, format.Invalid("%s: %s", name, format.Reword(err))
		}
		if !t.IsZero() {
			return graph.Micro(t), nil
		}
	}
	return time.Time{}, format.Invalid("no date")
}

// text is a field's text; a hyphen stands for none.
func (e event) text(name string) string {
	if s := e.fields.Text(name); s != "-" {
		return s
	}
	return ""
}
