package graphsec

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// EncodeAlert gives the alert back as Microsoft Graph Security's alert object, compact.
//
// One that was read by Decode comes back as the source wrote it: every field, known or not, in its order and
// with its numbers and escapes as they stood. What differs: white space between tokens is gone, and
// "evidence" that has items is the last field, where Graph has it (of several fields "evidence" the last one
// holds). Evidence that was missing, null or empty stays so in its place. What was set on the alert since,
// its triage and incident, is not in it.
//
// One from another format gets the fields that are known, with Graph's nulls and empty lists for the rest.
// Evidence.Original is not part of it. The error wraps graph.ErrInvalid: the content holds JSON that is not
// valid.
func EncodeAlert(a graph.AlertContent) ([]byte, error) {
	head, err := encodeHead(a)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, head); err != nil || b.Len() < 2 || b.Bytes()[0] != '{' {
		return nil, format.Invalid("alert %q: its source is not a JSON object", a.ProviderAlertID)
	}
	if len(a.Evidence) == 0 && verbatim(a) {
		return b.Bytes(), nil
	}
	b.Truncate(b.Len() - 1)
	if b.Len() > 1 {
		b.WriteByte(',')
	}
	b.WriteString(`"evidence":[`)
	for i, e := range a.Evidence {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := json.Compact(&b, e.Body); err != nil {
			return nil, format.Invalid("alert %q, evidence %d: %v", a.ProviderAlertID, i+1, err)
		}
	}
	b.WriteString("]}")
	return b.Bytes(), nil
}

func encodeHead(a graph.AlertContent) ([]byte, error) {
	if verbatim(a) {
		return a.Source, nil
	}
	return graph.EncodeJSON(build(a))
}

// verbatim reports whether the source is the alert itself.
func verbatim(a graph.AlertContent) bool { return a.Format == formatName && len(a.Source) > 0 }

// fields are those of microsoft.graph.security.alert but evidence, in the order of Graph's answers.
type fields struct {
	ODataType             string     `json:"@odata.type"`
	ID                    string     `json:"id"`
	ProviderAlertID       string     `json:"providerAlertId"`
	Status                string     `json:"status"`
	Severity              string     `json:"severity"`
	Classification        *string    `json:"classification"`
	Determination         *string    `json:"determination"`
	ServiceSource         string     `json:"serviceSource"`
	DetectionSource       *string    `json:"detectionSource"`
	ProductName           *string    `json:"productName"`
	DetectorID            *string    `json:"detectorId"`
	Title                 *string    `json:"title"`
	Description           *string    `json:"description"`
	RecommendedActions    *string    `json:"recommendedActions"`
	Category              *string    `json:"category"`
	AssignedTo            *string    `json:"assignedTo"`
	AlertWebURL           *string    `json:"alertWebUrl"`
	ActorDisplayName      *string    `json:"actorDisplayName"`
	ThreatDisplayName     *string    `json:"threatDisplayName"`
	ThreatFamilyName      *string    `json:"threatFamilyName"`
	InvestigationState    *string    `json:"investigationState"`
	MitreTechniques       []string   `json:"mitreTechniques"`
	CreatedDateTime       *time.Time `json:"createdDateTime"`
	LastUpdateDateTime    *time.Time `json:"lastUpdateDateTime"`
	FirstActivityDateTime *time.Time `json:"firstActivityDateTime"`
	LastActivityDateTime  *time.Time `json:"lastActivityDateTime"`
	SystemTags            []string   `json:"systemTags"`
	AlertPolicyID         *string    `json:"alertPolicyId"`
	Comments              []string   `json:"comments"`
}

func build(a graph.AlertContent) fields {
	status := string(a.Reported.Status)
	if status == "" {
		status = string(graph.StatusUnknown)
	}
	return fields{
		ODataType: graph.ODataPrefix + "alert", ID: a.ProviderAlertID, ProviderAlertID: a.ProviderAlertID,
		Status: status, Severity: string(format.Severity(string(a.Severity))),
		Classification: optional(a.Reported.Classification), Determination: optional(a.Reported.Determination),
		ServiceSource: string(a.ServiceSource), DetectionSource: optional(a.DetectionSource),
		ProductName: optional(a.ProductName), DetectorID: optional(a.DetectorID), Title: optional(a.Title),
		Description: optional(a.Description), RecommendedActions: optional(a.Recommended),
		Category: optional(a.Category), AssignedTo: optional(a.Reported.AssignedTo),
		AlertWebURL: optional(a.AlertWebURL), ActorDisplayName: optional(a.ActorDisplayName),
		ThreatDisplayName: optional(a.ThreatDisplayName), ThreatFamilyName: optional(a.ThreatFamilyName),
		InvestigationState: optional(a.InvestigationState), MitreTechniques: append([]string{}, a.MitreTechniques...),
		CreatedDateTime: instant(a.SourceCreated), LastUpdateDateTime: instant(a.SourceUpdated),
		FirstActivityDateTime: instant(a.FirstActivity), LastActivityDateTime: instant(a.LastActivity),
		SystemTags: []string{}, AlertPolicyID: optional(a.AlertPolicyID), Comments: []string{},
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
