// Package sentinel reads rows of the SecurityAlert table of Microsoft Sentinel and maps their entities to
// evidence in the shape of Microsoft Graph Security.
package sentinel

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// texts are the columns that must be a text where they are there.
var texts = []string{"DisplayName", "AlertName", "AlertSeverity", "Description", "ProviderName", "ProductName",
	"ProductComponentName", "VendorOriginalId", "SystemAlertId", "AlertType", "StartTime", "EndTime",
	"TimeGenerated", "ProcessingEndTime", "Status", "AlertLink", "CompromisedEntity"}

const formatName = "sentinel"

// Format is Microsoft Sentinel's.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return !format.OfGraph(f) && // which has fields of these names too
		(f.Has("SystemAlertId") || f.Has("VendorOriginalId") || f.Has("Entities", "ProviderName"))
}

// Decode is the format.Decoder of SecurityAlert rows, as Log Analytics and its exports write them
// (learn.microsoft.com, "SecurityAlert" table; "Microsoft Sentinel entity types reference"). Entities and
// ExtendedProperties may be JSON or a text that holds JSON. The provider's id is VendorOriginalId, else
// SystemAlertId.
func Decode(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	source, field := fields.Without("Entities"), fields.Raw("Entities")
	row, err := format.ParseObject(source)
	if err != nil {
		return nil, err
	}
	if err := row.CheckTexts(texts...); err != nil {
		return nil, err
	}
	a, err := content(row)
	if err != nil {
		return nil, fmt.Errorf("alert %q: %w", row.First("VendorOriginalId", "SystemAlertId"), err)
	}
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	entities, err := entityList(field)
	if err != nil {
		return nil, format.Invalid("alert %q: Entities: %s", a.ProviderAlertID, format.Reword(err))
	}
	if a.Evidence, err = evidence(entities, a.SourceCreated); err != nil {
		return nil, format.Invalid("alert %q: %v", a.ProviderAlertID, err)
	}
	a.Source = source
	return []format.Record{{Alert: a}}, nil
}

func content(row format.Object) (*graph.AlertContent, error) {
	ext := properties(row)
	techniques, err := techniques(row, ext)
	if err != nil {
		return nil, err
	}
	a := &graph.AlertContent{
		ProviderAlertID: row.First("VendorOriginalId", "SystemAlertId"),
		ServiceSource:   format.Service(row.Text("ProviderName"), row.Text("ProductName")),
		ProductName:     row.First("ProductName", "ProviderName"), DetectionSource: detectionSource(row, ext),
		DetectorID: ext.First("DetectorId"), Title: row.First("DisplayName", "AlertName"),
		Description: row.Text("Description"), Recommended: remediation(row), Category: category(row, ext),
		Severity: format.Severity(row.Text("AlertSeverity")), MitreTechniques: techniques,
		ThreatDisplayName: ext.Text("ThreatName"), ThreatFamilyName: ext.Text("ThreatFamilyName"),
		InvestigationState: format.Camel(ext.Text("MicrosoftDefenderAtp.InvestigationState")),
		AlertWebURL:        row.Text("AlertLink"), Format: formatName,
		Reported: format.Triage(status(row), ext.Text("Classification"), ext.Text("Determination"), ext.Text("AssignedTo")),
	}
	return a, times(a, row, ext)
}

// times reads the row's instants. The product's own LastUpdated orders versions; the times at which rows
// were processed are all that is left where it is missing.
func times(a *graph.AlertContent, row, ext format.Object) error {
	columns, err := row.Dates("StartTime", "EndTime", "ProcessingEndTime", "TimeGenerated")
	if err != nil {
		return err
	}
	a.FirstActivity, a.LastActivity = columns["StartTime"], columns["EndTime"]
	a.SourceCreated = columns["ProcessingEndTime"]
	if a.SourceCreated.IsZero() {
		a.SourceCreated = columns["TimeGenerated"]
	}
	a.SourceUpdated = ext.Time("LastUpdated")
	if a.SourceUpdated.IsZero() {
		a.SourceUpdated = a.SourceCreated
	}
	return nil
}

// properties are ExtendedProperties, an object or a text that holds one. What is neither is left to the
// alert's source: it adds detail only, and the alert stands without.
func properties(row format.Object) format.Object {
	switch v := row["ExtendedProperties"].(type) {
	case map[string]any:
		return v
	case string:
		if o, err := format.ParseObject([]byte(v)); err == nil {
			return o
		}
	}
	return format.Object{}
}

// techniques are Techniques and SubTechniques, and of MitreTechniques what they leave out. A technique that
// is there with its sub-technique is kept: sources name both.
func techniques(row, ext format.Object) ([]string, error) {
	var all []string
	for _, name := range []string{"Techniques", "SubTechniques"} {
		list, err := texted(row, name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	all = append(all, strings.Split(ext.Text("MitreTechniques"), ";")...)
	var out []string
	for _, t := range all {
		if t = strings.ToUpper(strings.TrimSpace(t)); strings.HasPrefix(t, "T") {
			out = append(out, t)
		}
	}
	return out, nil
}

// texted reads a list of texts that may itself stand in a text.
func texted(row format.Object, name string) ([]string, error) {
	s, ok := row[name].(string)
	if !ok || !strings.HasPrefix(strings.TrimSpace(s), "[") {
		return row.Texts(name), nil
	}
	var list []string
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, format.Invalid("%s: %s", name, format.Reword(err))
	}
	return list, nil
}

func remediation(row format.Object) string {
	list, err := texted(row, "RemediationSteps")
	if err != nil { // free text that starts with a bracket
		return row.Text("RemediationSteps")
	}
	return strings.Join(list, "\n")
}

// category is the product's own, else the first tactic.
func category(row, ext format.Object) string {
	if c := ext.First("MicrosoftDefenderAtp.Category", "Category"); c != "" {
		return c
	}
	first, _, _ := strings.Cut(row.Text("Tactics"), ",")
	if strings.EqualFold(first, "unknown") {
		return ""
	}
	return strings.TrimSpace(first)
}

func detectionSource(row, ext format.Object) string {
	if s := ext.Text("DetectionSource"); !strings.EqualFold(s, "WindowsDefenderAtp") {
		return format.Camel(s)
	}
	return string(graph.ServiceDefenderEndpoint)
}

// status maps Dismissed, which Graph does not have.
func status(row format.Object) string {
	if s := row.Text("Status"); !strings.EqualFold(s, "dismissed") {
		return s
	}
	return string(graph.StatusResolved)
}

// entityList reads Entities, an array or a text that holds one.
func entityList(field json.RawMessage) ([]json.RawMessage, error) {
	var inner string
	if len(field) > 0 && field[0] == '"' {
		if err := json.Unmarshal(field, &inner); err != nil {
			return nil, err
		}
		field = json.RawMessage(strings.TrimSpace(inner))
	}
	if len(field) == 0 {
		return nil, nil
	}
	var list []json.RawMessage
	err := json.Unmarshal(field, &list)
	return list, err
}
