// Package graphsec reads and writes the alerts of Microsoft Graph Security v1.0 (alerts_v2), alone or
// expanded within an incident.
package graphsec

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// alert are the fields of microsoft.graph.security.alert that the graph uses.
type alert struct {
	ID                    string      `json:"id"`
	ProviderAlertID       string      `json:"providerAlertId"`
	ServiceSource         string      `json:"serviceSource"`
	ProductName           string      `json:"productName"`
	DetectionSource       string      `json:"detectionSource"`
	DetectorID            string      `json:"detectorId"`
	AlertPolicyID         string      `json:"alertPolicyId"`
	Title                 string      `json:"title"`
	Description           string      `json:"description"`
	RecommendedActions    string      `json:"recommendedActions"`
	Category              string      `json:"category"`
	Severity              string      `json:"severity"`
	MitreTechniques       []string    `json:"mitreTechniques"`
	ThreatDisplayName     string      `json:"threatDisplayName"`
	ThreatFamilyName      string      `json:"threatFamilyName"`
	ActorDisplayName      string      `json:"actorDisplayName"`
	InvestigationState    string      `json:"investigationState"`
	AlertWebURL           string      `json:"alertWebUrl"`
	FirstActivityDateTime format.Time `json:"firstActivityDateTime"`
	LastActivityDateTime  format.Time `json:"lastActivityDateTime"`
	CreatedDateTime       format.Time `json:"createdDateTime"`
	LastUpdateDateTime    format.Time `json:"lastUpdateDateTime"`
	Status                string      `json:"status"`
	Classification        string      `json:"classification"`
	Determination         string      `json:"determination"`
	AssignedTo            string      `json:"assignedTo"`
}

const formatName = "graph"

// Format is Microsoft Graph Security's.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return ofGraph(f) || f.Has("evidence") || f.Has("serviceSource") || f.Has("providerAlertId") ||
		f.Has("alerts") && (f.Has("incidentWebUrl") || f.Has("displayName") || f.Has("redirectIncidentId") || f.Has("priorityScore"))
}

func ofGraph(f format.Fields) bool {
	odata := f.Text("@odata.type")
	return strings.HasSuffix(odata, "security.alert") || strings.HasSuffix(odata, "security.incident")
}

// Decode is the format.Decoder of Microsoft Graph Security. An incident gives its alerts and nothing of its
// own: which alerts belong together is decided here, and the source's incident id stays in the alerts'
// Source. Each alert is a part of its own, a bad one a flaw that leaves the others. An incident that was
// fetched without $expand=alerts is an error.
func Decode(raw []byte) ([]format.Record, error) {
	if !isIncident(raw) {
		a, err := decodeAlert(raw)
		if err != nil {
			return nil, err
		}
		return []format.Record{{Alert: a}}, nil
	}
	var incident struct {
		Alerts *[]json.RawMessage `json:"alerts"`
	}
	if err := json.Unmarshal(raw, &incident); err != nil {
		return nil, format.Invalid("incident: %s", format.Reword(err))
	}
	if incident.Alerts == nil {
		return nil, format.Invalid("the incident has no alerts; fetch it with $expand=alerts")
	}
	var out []format.Record
	for i, raw := range *incident.Alerts {
		part := format.Part{Name: fmt.Sprintf("alert %d of the incident", i+1), Raw: raw}
		a, err := decodeAlert(raw)
		out = append(out, format.Record{Alert: a, Flaw: err, Part: part})
	}
	return out, nil
}

func isIncident(raw []byte) bool {
	var shape struct {
		Type     string          `json:"@odata.type"`
		Alerts   json.RawMessage `json:"alerts"`
		Redirect json.RawMessage `json:"redirectIncidentId"`
		Priority json.RawMessage `json:"priorityScore"`
		Evidence json.RawMessage `json:"evidence"`
	}
	_ = json.Unmarshal(raw, &shape) // what is wrong is told when the parts are read
	if shape.Type != "" {
		return strings.HasSuffix(shape.Type, "security.incident")
	}
	return shape.Evidence == nil && (shape.Alerts != nil || shape.Redirect != nil || shape.Priority != nil)
}

func decodeAlert(raw []byte) (*graph.AlertContent, error) {
	source, evidence, err := format.TakeField(raw, "evidence")
	if err != nil {
		return nil, err
	}
	var w alert
	if err := json.Unmarshal(source, &w); err != nil {
		return nil, format.Invalid("alert: %s", format.Reword(err))
	}
	a := w.content()
	a.Source = source
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	if a.Evidence, err = decodeEvidence(evidence); err != nil {
		return nil, fmt.Errorf("alert %q: %w", a.ProviderAlertID, err)
	}
	if len(a.Evidence) == 0 { // missing, null or an empty list: the source alone tells which
		a.Source = format.Compact(raw)
	}
	return a, nil
}

func (w alert) content() *graph.AlertContent {
	provider := w.ProviderAlertID
	if provider == "" {
		provider = w.ID
	}
	return &graph.AlertContent{
		ProviderAlertID: provider, ServiceSource: w.service(), ProductName: w.ProductName,
		DetectionSource: w.DetectionSource, DetectorID: w.DetectorID, AlertPolicyID: w.AlertPolicyID,
		Title: w.Title, Description: w.Description, Recommended: w.RecommendedActions, Category: w.Category,
		Severity: format.Severity(w.Severity), MitreTechniques: w.MitreTechniques,
		ThreatDisplayName: w.ThreatDisplayName, ThreatFamilyName: w.ThreatFamilyName,
		ActorDisplayName: w.ActorDisplayName, InvestigationState: w.InvestigationState, AlertWebURL: w.AlertWebURL,
		FirstActivity: w.FirstActivityDateTime.Time, LastActivity: w.LastActivityDateTime.Time,
		SourceCreated: w.CreatedDateTime.Time, SourceUpdated: w.LastUpdateDateTime.Time,
		Reported: format.Triage(w.Status, w.Classification, w.Determination, w.AssignedTo),
		Format:   formatName,
	}
}

// service is the serviceSource where it is known, else what the product's name says.
func (w alert) service() graph.ServiceSource {
	return format.Service(w.ServiceSource, w.ProductName)
}

func decodeEvidence(raw json.RawMessage) ([]graph.Evidence, error) {
	var bodies []json.RawMessage
	if err := unmarshal(raw, &bodies); err != nil {
		return nil, format.Invalid("evidence: %s", format.Reword(err))
	}
	var out []graph.Evidence
	for i, body := range bodies {
		var base struct {
			Type string `json:"@odata.type"`
		}
		if err := json.Unmarshal(body, &base); err != nil {
			return nil, format.Invalid("evidence %d: %s", i+1, format.Reword(err))
		}
		if body[0] != '{' {
			return nil, format.Invalid("evidence %d is not an object", i+1)
		}
		if base.Type == "" {
			base.Type = "alertEvidence"
		}
		out = append(out, graph.Evidence{Type: graph.EvidenceType(base.Type), Body: format.Compact(body)})
	}
	return out, nil
}

// unmarshal reads nothing from nothing.
func unmarshal(raw json.RawMessage, v any) error {
	if raw == nil {
		return nil
	}
	return json.Unmarshal(raw, v)
}
