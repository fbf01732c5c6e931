// Package graphsec reads and writes the alerts of Microsoft Graph Security v1.0 (alerts_v2), alone or
// expanded within an incident.
package graphsec

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const formatName = "graph"

// Format is Microsoft Graph Security's.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return format.OfGraph(f) || f.Has("evidence") || f.Has("serviceSource") || f.Has("providerAlertId") ||
		f.Has("alerts") && (f.Has("incidentWebUrl") || f.Has("displayName") || f.Has("redirectIncidentId") || f.Has("priorityScore"))
}

// Decode is the format.Decoder of Microsoft Graph Security. An incident gives its alerts and nothing of its
// own: which alerts belong together is decided here, and the source's incident id stays in the alerts'
// Source. Each alert is a part of its own, a bad one a flaw that leaves the others. An incident that was
// fetched without $expand=alerts is an error.
func Decode(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	if !isIncident(fields) {
		a, err := decodeAlert(fields, raw)
		if err != nil {
			return nil, err
		}
		return []format.Record{{Alert: a}}, nil
	}
	list := fields.Get("alerts")
	if list.IsNull() {
		return nil, format.Invalid("the incident has no alerts; fetch it with $expand=alerts")
	}
	return format.Alerts(list, func(raw []byte) (*graph.AlertContent, error) {
		fields, err := format.FieldsOf(raw)
		if err != nil {
			return nil, err
		}
		return decodeAlert(fields, raw)
	})
}

func isIncident(f format.Fields) bool {
	if odata := f.Text("@odata.type"); odata != "" {
		return strings.HasSuffix(odata, "security.incident")
	}
	return !f.Has("evidence") && (f.Has("alerts") || f.Has("redirectIncidentId") || f.Has("priorityScore"))
}

func decodeAlert(fields format.Fields, raw []byte) (*graph.AlertContent, error) {
	a, err := content(fields)
	if err != nil {
		return nil, fmt.Errorf("alert: %w", err)
	}
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	if a.Evidence, err = decodeEvidence(fields.Get("evidence")); err != nil {
		return nil, fmt.Errorf("alert %q: %w", a.ProviderAlertID, err)
	}
	if a.Source = fields.Without("evidence"); len(a.Evidence) == 0 { // missing, null or an empty list: the source alone tells which
		a.Source = format.Compact(raw)
	}
	return a, nil
}

// content are the fields of microsoft.graph.security.alert that the graph uses.
func content(fields format.Fields) (*graph.AlertContent, error) {
	r := format.Reading{Fields: fields}
	provider := r.Text("id")
	if p := r.Text("providerAlertId"); p != "" {
		provider = p
	}
	a := &graph.AlertContent{
		ProviderAlertID: provider, ProductName: r.Text("productName"),
		DetectionSource: r.Text("detectionSource"), DetectorID: r.Text("detectorId"), AlertPolicyID: r.Text("alertPolicyId"),
		Title: r.Text("title"), Description: r.Text("description"), Recommended: r.Text("recommendedActions"),
		Category: r.Text("category"), Severity: format.Severity(r.Text("severity")), MitreTechniques: r.Texts("mitreTechniques"),
		ThreatDisplayName: r.Text("threatDisplayName"), ThreatFamilyName: r.Text("threatFamilyName"),
		ActorDisplayName: r.Text("actorDisplayName"), InvestigationState: r.Text("investigationState"), AlertWebURL: r.Text("alertWebUrl"),
		FirstActivity: r.Time("firstActivityDateTime"), LastActivity: r.Time("lastActivityDateTime"),
		SourceCreated: r.Time("createdDateTime"), SourceUpdated: r.Time("lastUpdateDateTime"),
		Reported: format.Triage(r.Text("status"), r.Text("classification"), r.Text("determination"), r.Text("assignedTo")),
		Format:   formatName,
	}
	a.ServiceSource = format.Service(r.Text("serviceSource"), a.ProductName)
	return a, r.Err
}

func decodeEvidence(list format.Field) ([]graph.Evidence, error) {
	bodies, err := list.List()
	if err != nil {
		return nil, err
	}
	var out []graph.Evidence
	for i, body := range bodies {
		fields, err := body.Object()
		if err != nil {
			return nil, format.Invalid("evidence %d is not an object", i+1)
		}
		typ, err := fields.Get("@odata.type").Text()
		if err != nil {
			return nil, fmt.Errorf("evidence %d: %w", i+1, err)
		}
		typ = graph.EvidenceType(cmp.Or(typ, "alertEvidence"))
		out = append(out, graph.Evidence{Type: typ, Body: body.Compact()})
	}
	return out, nil
}
