// Package defender reads incidents of Microsoft 365 Defender's own API (GET /api/incidents of api.security.microsoft.com),
// older than Microsoft Graph Security and still what many collectors ask.
package defender

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/flat"
)

const formatName = "defender"

// Format is Microsoft 365 Defender's.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return f.Has("incidentName") && (f.Has("incidentId") || f.Has("alerts")) || isAlert(f)
}

// isAlert: an alert stands alone where it was rejected out of an incident.
func isAlert(f format.Fields) bool {
	return f.Has("alertId") && (f.Has("serviceSource") || f.Has("entities")) ||
		f.Has("serviceSource") && (f.Has("entities") || f.Has("lastUpdatedTime"))
}

// Decode is the format.Decoder of an incident, or of one of its alerts (learn.microsoft.com, "List incidents API in
// Microsoft Defender XDR"). An incident gives its alerts and nothing of its own, as one of Microsoft Graph Security;
// its number stays in the alerts' Source. Each alert is a part of its own, a bad one a flaw that leaves the others.
func Decode(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	if isAlert(fields) {
		a, err := decodeAlert(raw)
		if err != nil {
			return nil, err
		}
		return []format.Record{{Alert: a}}, nil
	}
	list := fields.Get("alerts")
	if list.IsNull() {
		return nil, format.Invalid("the incident has no alerts")
	}
	return format.Alerts(list, decodeAlert)
}

// decodeAlert reads one alert; its Source is all of it but devices and entities, which are evidence.
func decodeAlert(raw []byte) (*graph.AlertContent, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	source := fields.Without("entities", "devices")
	o, err := format.ParseObject(source)
	if err != nil {
		return nil, err
	}
	a, err := content(o)
	if err != nil {
		return nil, fmt.Errorf("alert %q: %w", o.Text("alertId"), err)
	}
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	if a.Evidence, err = evidence(fields.Raw("devices"), fields.Raw("entities"), a.SourceCreated); err != nil {
		return nil, fmt.Errorf("alert %q: %w", a.ProviderAlertID, err)
	}
	a.Source = source
	return a, nil
}

// evidence are the devices, then the entities.
func evidence(devices, entities json.RawMessage, created time.Time) ([]graph.Evidence, error) {
	hosts, err := flat.Devices("devices", devices, created)
	if err != nil {
		return nil, err
	}
	things, err := flat.Entities("entities", entities, created)
	return append(hosts, things...), err
}

// content: the service's name is the product's too; there is no other.
func content(o format.Object) (*graph.AlertContent, error) {
	if err := o.CheckTexts(append(flat.Texts(), "alertId", "serviceSource", "actorName")...); err != nil {
		return nil, err
	}
	dates, err := o.Dates("firstActivity", "lastActivity", "creationTime", "lastUpdatedTime")
	if err != nil {
		return nil, err
	}
	a := flat.Content(o)
	a.Format, a.ProviderAlertID = formatName, o.Text("alertId")
	a.ProductName = o.First("serviceSource", "detectionSource")
	a.ServiceSource, a.ActorDisplayName = format.Service(a.ProductName), o.Text("actorName")
	a.FirstActivity, a.LastActivity = dates["firstActivity"], dates["lastActivity"]
	a.SourceCreated, a.SourceUpdated = dates["creationTime"], dates["lastUpdatedTime"]
	return a, nil
}
