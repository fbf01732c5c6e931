package scenario

import (
	"strings"
	"time"
)

// The types of this file are the wire format of Microsoft Sentinel's SecurityAlert table.

type sentinelRow struct {
	TenantID           string         `json:"TenantId"`
	TimeGenerated      sentinelTime   `json:"TimeGenerated"`
	DisplayName        string         `json:"DisplayName"`
	AlertName          string         `json:"AlertName"`
	AlertSeverity      string         `json:"AlertSeverity"`
	Description        string         `json:"Description"`
	ProviderName       string         `json:"ProviderName"`
	VendorName         string         `json:"VendorName"`
	VendorOriginalID   string         `json:"VendorOriginalId"`
	SystemAlertID      string         `json:"SystemAlertId"`
	ResourceID         string         `json:"ResourceId"`
	SourceComputerID   string         `json:"SourceComputerId"`
	AlertType          string         `json:"AlertType"`
	ConfidenceLevel    string         `json:"ConfidenceLevel"`
	ConfidenceScore    string         `json:"ConfidenceScore"`
	IsIncident         string         `json:"IsIncident"`
	StartTime          sentinelTime   `json:"StartTime"`
	EndTime            sentinelTime   `json:"EndTime"`
	ProcessingEndTime  sentinelTime   `json:"ProcessingEndTime"`
	RemediationSteps   any            `json:"RemediationSteps"`
	ExtendedProperties map[string]any `json:"ExtendedProperties"`
	Entities           []any          `json:"Entities"`
	SourceSystem       string         `json:"SourceSystem"`
	SubscriptionID     string         `json:"WorkspaceSubscriptionId"`
	ResourceGroup      string         `json:"WorkspaceResourceGroup"`
	ExtendedLinks      string         `json:"ExtendedLinks"`
	ProductName        string         `json:"ProductName"`
	ProductComponent   string         `json:"ProductComponentName"`
	AlertLink          string         `json:"AlertLink"`
	Status             string         `json:"Status"`
	CompromisedEntity  string         `json:"CompromisedEntity"`
	Tactics            string         `json:"Tactics"`
	Techniques         any            `json:"Techniques"`
	SubTechniques      any            `json:"SubTechniques"`
	Type               string         `json:"Type"`
}

// sentinelTime is an instant in microseconds (all six digits, or none), with a space and a numeric zone.
type sentinelTime time.Time

func (t sentinelTime) MarshalJSON() ([]byte, error) {
	at := time.Time(t).UTC().Truncate(time.Microsecond)
	if at.Nanosecond() == 0 {
		return compact(at.Format("2006-01-02 15:04:05-07:00"))
	}
	return compact(at.Format("2006-01-02 15:04:05.000000-07:00"))
}

func (a *alert) sentinel(workspace string) sentinelRow {
	techniques, subs := splitTechniques(a.MitreTechniques)
	processed := time.Time(a.LastUpdate)
	row := sentinelRow{
		TenantID: workspace, TimeGenerated: sentinelTime(processed.Add(800 * time.Millisecond)), DisplayName: a.Title,
		AlertName: a.Title, AlertSeverity: upperFirst(a.Severity), Description: a.Description,
		ProviderName: a.from.sentinelProvider, VendorName: "Microsoft", VendorOriginalID: a.ProviderAlertID,
		SystemAlertID: namedGUID("SecurityAlert " + a.ID), AlertType: a.DetectorID, IsIncident: "False",
		StartTime: sentinelTime(a.FirstActivity), EndTime: sentinelTime(a.LastActivity), ProcessingEndTime: sentinelTime(processed),
		RemediationSteps: "", ExtendedProperties: a.properties(), Entities: sentinelEntities(a.from, a.TenantID, a.Evidence),
		SourceSystem: "Detection", ProductName: a.from.sentinelName, AlertLink: a.AlertWebURL,
		Status: upperFirst(a.Status), Tactics: "Unknown", Techniques: orEmpty(techniques), SubTechniques: orEmpty(subs),
		Type: "SecurityAlert",
	}
	switch a.from.prefix {
	case "da":
		row.AlertType, row.Tactics, row.CompromisedEntity = "WindowsDefenderAtp", a.Category, a.firstHost()
		row.RemediationSteps = strings.Split(a.RecommendedActions, "\n")
	case "ad":
		row.Tactics, row.AlertLink = a.Category, ""
	}
	return row
}

func orEmpty(s []string) any {
	if len(s) == 0 {
		return ""
	}
	return s
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// splitTechniques parts techniques from sub-techniques: the table holds T1059.001 as T1059 and T1059.001.
func splitTechniques(all []string) (techniques, subs []string) {
	seen := map[string]bool{}
	for _, t := range all {
		parent, _, sub := strings.Cut(t, ".")
		if !seen[parent] {
			techniques, seen[parent] = append(techniques, parent), true
		}
		if sub {
			subs = append(subs, t)
		}
	}
	return techniques, subs
}

func (a *alert) firstHost() string {
	for _, e := range a.Evidence {
		if v, ok := e.(*deviceEvidence); ok {
			return string(v.DeviceDNSName)
		}
	}
	return ""
}

// properties differ by connector: Defender for Endpoint's own, Entra ID Protection's own, and the suite's.
func (a *alert) properties() map[string]any {
	p := map[string]any{"ProcessedBySentinel": "True", "Alert generation status": "Full alert created"}
	switch a.from.prefix {
	case "ad":
		a.riskProperties(p)
		return p
	case "da":
		p["MicrosoftDefenderAtp.Category"] = a.Category
		p["MicrosoftDefenderAtp.InvestigationId"] = nil
		p["MicrosoftDefenderAtp.InvestigationState"] = upperFirst(string(a.InvestigationState))
		p["LastUpdated"] = time.Time(a.LastUpdate).UTC().Format("01/02/2006 15:04:05")
		p["DetectionSource"] = "WindowsDefenderAtp"
		p["Action"] = a.RecommendedActions
		p["MitreTechniques"] = strings.Join(a.MitreTechniques, ";")
	default:
		p["OriginSource"] = "Microsoft 365 defender"
		p["Category"] = a.Category
		p["DetectionSource"] = a.DetectionSource
		p["LastUpdated"] = time.Time(a.LastUpdate).UTC().Format("1/2/2006 3:04:05 PM")
	}
	p["AssignedTo"], p["Determination"], p["Classification"] = a.AssignedTo, pascal(a.Determination), pascal(a.Classification)
	p["ThreatName"], p["ThreatFamilyName"], p["DetectorId"] = a.ThreatDisplayName, a.ThreatFamilyName, a.DetectorID
	return p
}

func pascal(t text) text {
	if t == "" {
		return ""
	}
	return text(upperFirst(string(t)))
}

func (a *alert) riskProperties(p map[string]any) {
	p["Detail Description"], p["State"], p["UpdateOwner"] = a.Description, "Open", "Ipc"
	p["UpdatedBy"], p["Comments"] = "", "Risk detail: NotSet"
	if a.Status == "resolved" {
		p["State"] = "Dismissed"
	}
	for _, e := range a.Evidence {
		switch e := e.(type) {
		case *ipEvidence:
			p["Client IP Address"] = e.IPAddress
			if e.Location != nil {
				p["Client Location"] = e.Location.City + ", " + string(e.Location.State) + ", " + string(e.CountryLetterCode)
			}
		case *cloudLogonRequestEvidence:
			p["Request Id"] = e.RequestID
		}
	}
}
