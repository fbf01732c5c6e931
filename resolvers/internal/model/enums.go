package model

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/clew-security/clew/graph"
)

// future is what Microsoft Graph writes for a value that the reader may not know.
const future = "unknownFutureValue"

// unknown stands in lists for a value that the source left empty.
const unknown = "unknown"

// The values of the enumerations that are plain texts in the domain.
var (
	severities = []string{
		"unknown", "informational", "low", "medium", "high",
	}
	alertStatuses = []string{
		"unknown", "new", "inProgress", "resolved",
	}
	incidentStatuses = []string{
		"active", "inProgress", "awaitingAction", "resolved", "redirected",
	}
	serviceSources = []string{
		"unknown", "microsoftDefenderForEndpoint", "microsoftDefenderForIdentity", "microsoftDefenderForCloudApps",
		"microsoftDefenderForOffice365", "microsoft365Defender", "azureAdIdentityProtection",
		"microsoftAppGovernance", "dataLossPrevention", "microsoftDefenderForCloud", "microsoftSentinel",
		"microsoftInsiderRiskManagement", "microsoftThreatIntelligence", "microsoftSecurityForAI",
	}
	classifications = []string{
		"unknown", "falsePositive", "truePositive", "informationalExpectedActivity",
	}
	determinations = []string{
		"unknown", "apt", "malware", "securityPersonnel", "securityTesting", "unwantedSoftware", "other",
		"multiStagedAttack", "compromisedAccount", "phishing", "maliciousUserActivity", "notMalicious",
		"notEnoughDataToValidate", "confirmedActivity", "lineOfBusinessApplication",
	}
	roles = []string{
		"unknown", "contextual", "scanned", "source", "destination", "created", "added", "compromised", "edited",
		"attacked", "attacker", "commandAndControl", "loaded", "suspicious", "policyViolator",
	}
	verdicts = []string{
		"unknown", "suspicious", "malicious", "noThreatsFound",
	}
	remediations = []string{
		"none", "remediated", "prevented", "blocked", "notFound", "active", "pendingApproval", "declined",
		"unremediated", "running", "partiallyRemediated",
	}
	stepStatuses       = []string{"active", "remediated", "prevented", "unknown"}
	correlationReasons = []string{
		"repeatedAlertOccurrence", "sameGeography", "similarArtifacts", "sameTargetedAsset", "sameNetworkSegment",
		"eventSequence", "timeFrame", "sameThreatSource", "similarTTPsOrBehavior", "sameActor", "sameCampaign",
		"sharedIndicators", "sameAsset", "networkProximity", "eventCasualSequence", "temporalProximity",
		"lateralMovementPath",
	}
)

// writeName writes a value that is among the known ones, future for any other, null for none.
func writeName(v string, known []string) graphql.Marshaler {
	if v == "" {
		return graphql.Null
	}
	if !slices.Contains(known, v) {
		v = future
	}
	return graphql.MarshalString(v)
}

// readName reads a value that the executor has already checked against the schema.
func readName[T ~string](v any) (T, error) {
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: an enumeration's value is one of its names, and null is none: leave it out instead", graph.ErrInvalid)
	}
	return T(s), nil
}

// parsed reads a value that the domain has numbers for; unknown ones give the zero.
func parsed[T any](v any, parse func(string) (T, bool)) (T, error) {
	s, err := readName[string](v)
	out, _ := parse(s)
	return out, err
}

// MarshalAlertSeverity writes an AlertSeverity.
func MarshalAlertSeverity(v graph.Severity) graphql.Marshaler {
	return writeName(string(v), severities)
}

// UnmarshalAlertSeverity reads an AlertSeverity.
func UnmarshalAlertSeverity(v any) (graph.Severity, error) { return readName[graph.Severity](v) }

// MarshalAlertStatus writes an AlertStatus.
func MarshalAlertStatus(v graph.Status) graphql.Marshaler { return writeName(string(v), alertStatuses) }

// UnmarshalAlertStatus reads an AlertStatus.
func UnmarshalAlertStatus(v any) (graph.Status, error) { return readName[graph.Status](v) }

// MarshalIncidentStatus writes an IncidentStatus.
func MarshalIncidentStatus(v graph.Status) graphql.Marshaler {
	return writeName(string(v), incidentStatuses)
}

// UnmarshalIncidentStatus reads an IncidentStatus.
func UnmarshalIncidentStatus(v any) (graph.Status, error) { return readName[graph.Status](v) }

// MarshalServiceSource writes a ServiceSource.
func MarshalServiceSource(v graph.ServiceSource) graphql.Marshaler {
	return writeName(cmp.Or(string(v), unknown), serviceSources)
}

// UnmarshalServiceSource reads a ServiceSource.
func UnmarshalServiceSource(v any) (graph.ServiceSource, error) {
	return readName[graph.ServiceSource](v)
}

// MarshalAlertClassification writes an AlertClassification.
func MarshalAlertClassification(v string) graphql.Marshaler { return writeName(v, classifications) }

// UnmarshalAlertClassification reads an AlertClassification.
func UnmarshalAlertClassification(v any) (string, error) { return readName[string](v) }

// MarshalAlertDetermination writes an AlertDetermination.
func MarshalAlertDetermination(v string) graphql.Marshaler { return writeName(v, determinations) }

// UnmarshalAlertDetermination reads an AlertDetermination.
func UnmarshalAlertDetermination(v any) (string, error) { return readName[string](v) }

// MarshalEvidenceRole writes an EvidenceRole.
func MarshalEvidenceRole(v string) graphql.Marshaler { return writeName(cmp.Or(v, unknown), roles) }

// UnmarshalEvidenceRole reads an EvidenceRole.
func UnmarshalEvidenceRole(v any) (string, error) { return readName[string](v) }

// MarshalEvidenceVerdict writes an EvidenceVerdict.
func MarshalEvidenceVerdict(v string) graphql.Marshaler { return writeName(v, verdicts) }

// UnmarshalEvidenceVerdict reads an EvidenceVerdict.
func UnmarshalEvidenceVerdict(v any) (string, error) { return readName[string](v) }

// MarshalEvidenceRemediationStatus writes an EvidenceRemediationStatus.
func MarshalEvidenceRemediationStatus(v string) graphql.Marshaler { return writeName(v, remediations) }

// UnmarshalEvidenceRemediationStatus reads an EvidenceRemediationStatus.
func UnmarshalEvidenceRemediationStatus(v any) (string, error) { return readName[string](v) }

// MarshalCorrelationReason writes a CorrelationReason.
func MarshalCorrelationReason(v string) graphql.Marshaler {
	return writeName(cmp.Or(v, future), correlationReasons)
}

// UnmarshalCorrelationReason reads a CorrelationReason.
func UnmarshalCorrelationReason(v any) (string, error) { return readName[string](v) }

// MarshalStepStatus writes a StepStatus.
func MarshalStepStatus(v string) graphql.Marshaler { return writeName(v, stepStatuses) }

// UnmarshalStepStatus reads a StepStatus.
func UnmarshalStepStatus(v any) (string, error) { return readName[string](v) }

// MarshalResponseAction writes a ResponseAction.
func MarshalResponseAction(a graph.ResponseAction) graphql.Marshaler { return MarshalString(string(a)) }

// UnmarshalResponseAction reads a ResponseAction.
func UnmarshalResponseAction(v any) (graph.ResponseAction, error) {
	return readName[graph.ResponseAction](v)
}
