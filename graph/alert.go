package graph

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Severity of an alert or incident, as Microsoft Graph Security's alertSeverity.
type Severity string

// The severities, least first.
const (
	SeverityUnknown       Severity = "unknown"
	SeverityInformational Severity = "informational"
	SeverityLow           Severity = "low"
	SeverityMedium        Severity = "medium"
	SeverityHigh          Severity = "high"
)

// Severities lists the severities, least first.
func Severities() []Severity {
	return []Severity{SeverityUnknown, SeverityInformational, SeverityLow, SeverityMedium, SeverityHigh}
}

// Level orders severities: 0 for unknown or a value this version does not know, 4 for high.
func (s Severity) Level() int { return max(0, slices.Index(Severities(), s)) }

// Status of an alert (unknown, new, inProgress, resolved) or of an incident (active, inProgress,
// awaitingAction, resolved, redirected).
type Status string

// The statuses of Microsoft Graph Security's alertStatus and incidentStatus.
const (
	StatusUnknown        Status = "unknown"
	StatusNew            Status = "new"
	StatusActive         Status = "active"
	StatusInProgress     Status = "inProgress"
	StatusAwaitingAction Status = "awaitingAction"
	StatusResolved       Status = "resolved"
	StatusRedirected     Status = "redirected"
)

// ServiceSource is the product that raised an alert, as Microsoft Graph Security's serviceSource.
type ServiceSource string

// The service sources that formats map product names to.
const (
	ServiceUnknown          ServiceSource = "unknown"
	ServiceDefenderEndpoint ServiceSource = "microsoftDefenderForEndpoint"
	ServiceDefenderIdentity ServiceSource = "microsoftDefenderForIdentity"
	ServiceDefenderCloudApp ServiceSource = "microsoftDefenderForCloudApps"
	ServiceDefenderOffice   ServiceSource = "microsoftDefenderForOffice365"
	ServiceMicrosoft365     ServiceSource = "microsoft365Defender"
	ServiceEntraProtection  ServiceSource = "azureAdIdentityProtection"
	ServiceAppGovernance    ServiceSource = "microsoftAppGovernance"
	ServiceDLP              ServiceSource = "dataLossPrevention"
	ServiceDefenderCloud    ServiceSource = "microsoftDefenderForCloud"
	ServiceSentinel         ServiceSource = "microsoftSentinel"
	ServiceInsiderRisk      ServiceSource = "microsoftInsiderRiskManagement"
	ServiceThreatIntel      ServiceSource = "microsoftThreatIntelligence"
	ServiceSecurityForAI    ServiceSource = "microsoftSecurityForAI"
)

// Triage are the fields that both a source and a person may set. An empty field is not set.
type Triage struct {
	Status         Status `json:"status,omitempty"`
	Classification string `json:"classification,omitempty"`
	Determination  string `json:"determination,omitempty"`
	AssignedTo     string `json:"assignedTo,omitempty"`
}

// Over returns t with what it leaves unset taken from below.
func (t Triage) Over(below Triage) Triage {
	return Triage{
		Status:         cmp.Or(t.Status, below.Status),
		Classification: cmp.Or(t.Classification, below.Classification),
		Determination:  cmp.Or(t.Determination, below.Determination),
		AssignedTo:     cmp.Or(t.AssignedTo, below.AssignedTo),
	}
}

// AlertContent is what a source says of an alert. It is replaced as a whole by a newer version.
type AlertContent struct {
	// ProviderAlertID is the id the product gave.
	ProviderAlertID string `json:"providerAlertId"`
	// Product is the key part that names the product: its ServiceSource, or its name in lower case where
	// that is not known.
	Product         string        `json:"product"`
	ServiceSource   ServiceSource `json:"serviceSource,omitempty"`
	ProductName     string        `json:"productName,omitempty"`
	DetectionSource string        `json:"detectionSource,omitempty"`
	DetectorID      string        `json:"detectorId,omitempty"`
	AlertPolicyID   string        `json:"alertPolicyId,omitempty"`
	Title           string        `json:"title,omitempty"`
	Description     string        `json:"description,omitempty"`
	Recommended     string        `json:"recommendedActions,omitempty"`
	Category        string        `json:"category,omitempty"`
	Severity        Severity      `json:"severity,omitempty"`
	// MitreTechniques are ATT&CK technique ids (T1566, T1059.001), in order, each once.
	MitreTechniques    []string `json:"mitreTechniques,omitempty"`
	ThreatDisplayName  string   `json:"threatDisplayName,omitempty"`
	ThreatFamilyName   string   `json:"threatFamilyName,omitempty"`
	ActorDisplayName   string   `json:"actorDisplayName,omitempty"`
	InvestigationState string   `json:"investigationState,omitempty"`
	AlertWebURL        string   `json:"alertWebUrl,omitempty"`
	// FirstActivity and LastActivity bound what the alert is about.
	FirstActivity time.Time `json:"firstActivityDateTime,omitzero"`
	LastActivity  time.Time `json:"lastActivityDateTime,omitzero"`
	// SourceCreated and SourceUpdated are the source's own clock; SourceUpdated orders versions.
	SourceCreated time.Time `json:"sourceCreatedDateTime,omitzero"`
	SourceUpdated time.Time `json:"sourceLastUpdateDateTime,omitzero"`
	// Reported is what the source says of status, classification and so on.
	Reported Triage `json:"reported,omitzero"`
	// Evidence in the source's order.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Format names the decoder that read it, such as "graph" or "sentinel".
	Format string `json:"format,omitempty"`
	// Source is the record as the source wrote it, without its evidence, for giving back unchanged.
	Source json.RawMessage `json:"source,omitempty"`
}

// Stored is the content as a store keeps it: instants in microseconds UTC, so that one instant is one version
// however a source writes it.
func (c AlertContent) Stored() AlertContent {
	for _, t := range []*time.Time{&c.FirstActivity, &c.LastActivity, &c.SourceCreated, &c.SourceUpdated} {
		*t = Micro(*t)
	}
	return c
}

// ID of the alert: product and the provider's id, in the tenant.
func (c AlertContent) ID() ID {
	return NewID(KindAlert, strings.ToLower(c.Product), strings.ToLower(c.ProviderAlertID))
}

// Newer reports whether c replaces old: the later SourceUpdated wins, ties by content (the greater bytes).
func (c AlertContent) Newer(old AlertContent) bool {
	if d := c.SourceUpdated.Compare(old.SourceUpdated); d != 0 {
		return d > 0
	}
	return slices.Compare(c.canonical(), old.canonical()) > 0
}

// SameAs reports whether both say the same: what an import counts as a duplicate.
func (c AlertContent) SameAs(old AlertContent) bool {
	return slices.Equal(c.canonical(), old.canonical())
}

func (c AlertContent) canonical() []byte {
	b, err := EncodeJSON(c.Stored())
	if err != nil { // Batch.Validate has looked at the raw messages
		panic("graph: alert content does not marshal: " + err.Error())
	}
	return b
}

// Entities are the ids of all entities that the evidence is about or mentions, in order, each once.
func (c AlertContent) Entities() []ID {
	var ids []ID
	for _, e := range c.Evidence {
		ids = append(ids, e.Mentions...)
		if !e.Entity.IsZero() {
			ids = append(ids, e.Entity)
		}
	}
	slices.SortFunc(ids, ID.Compare)
	return slices.Compact(ids)
}

// Alert is one alert as the store keeps it.
type Alert struct {
	ID ID `json:"id"`
	AlertContent
	// Analyst is what a person set here; a source never overwrites it.
	Analyst Triage `json:"analyst,omitzero"`
	// Incident holds the alert; every alert belongs to exactly one once correlation has decided.
	Incident IncidentID `json:"incidentId,omitempty"`
	// Created and Updated are ticks: unique, increasing, visible in order.
	Created Tick `json:"createdDateTime"`
	Updated Tick `json:"lastUpdateDateTime"`
	// Revision of the last commit that changed it.
	Revision Revision `json:"-"`
}

// Triage is what holds: a person's word over the source's.
func (a Alert) Triage() Triage { return a.Analyst.Over(a.Reported) }
