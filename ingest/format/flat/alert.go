package flat

import (
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// detectionSources are Graph's names of what these APIs call otherwise than by its name in another case (learn.microsoft.com,
// "Naming changes in the advanced hunting schema", January 2021).
var detectionSources = map[string]string{
	"windowsdefenderatp": "microsoftDefenderForEndpoint", "windowsdefenderav": "antivirus",
	"windowsdefendersmartscreen": "smartScreen", "customerti": "customTi", "threatexperts": "microsoftThreatExperts",
	"officeatp": "microsoftDefenderForOffice365", "azureatp": "microsoftDefenderForIdentity", "mcas": "cloudAppSecurity",
	"mtp": "microsoft365Defender",
}

// Content are the fields that an alert has in either API.
func Content(o format.Object) *graph.AlertContent {
	return &graph.AlertContent{
		DetectionSource: detectionSource(o.Text("detectionSource")), DetectorID: o.Text("detectorId"),
		Title: o.Text("title"), Description: o.Text("description"), Category: o.Text("category"),
		Severity: severity(o.Text("severity")), MitreTechniques: o.Texts("mitreTechniques"),
		ThreatFamilyName: o.Text("threatFamilyName"), InvestigationState: format.Camel(o.Text("investigationState")),
		Reported: format.Triage(status(o.Text("status")), o.Text("classification"), o.Text("determination"), o.Text("assignedTo")),
	}
}

// Texts are the fields of Content that must be texts where they are there.
func Texts() []string {
	return []string{"detectionSource", "detectorId", "title", "description", "category", "severity", "threatFamilyName",
		"investigationState", "status", "classification", "determination", "assignedTo"}
}

func detectionSource(s string) string {
	if name, ok := detectionSources[strings.ToLower(s)]; ok {
		return name
	}
	return format.Camel(s)
}

// severity: Defender for Endpoint calls an unknown one "UnSpecified".
func severity(s string) graph.Severity {
	if strings.EqualFold(s, "unspecified") {
		return graph.SeverityUnknown
	}
	return format.Severity(s)
}

// status: incidents' "Active" stands at alerts too, beside "New".
func status(s string) string {
	if strings.EqualFold(s, string(graph.StatusActive)) {
		return string(graph.StatusInProgress)
	}
	return s
}
