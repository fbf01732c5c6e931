package format

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// services are the names by which products call each other, in lower case: serviceSource, Sentinel's
// ProviderName and ProductName, and the names before and after Microsoft renamed them.
var services = map[string]graph.ServiceSource{
	"mdatp": graph.ServiceDefenderEndpoint,
	"microsoft defender advanced threat protection": graph.ServiceDefenderEndpoint,
	"windows defender advanced threat protection":   graph.ServiceDefenderEndpoint,
	"microsoft defender for endpoint":               graph.ServiceDefenderEndpoint,
	"windowsdefenderatp":                            graph.ServiceDefenderEndpoint,
	"microsoftdefenderatp":                          graph.ServiceDefenderEndpoint,

	"oatp":                                       graph.ServiceDefenderOffice,
	"officeatp":                                  graph.ServiceDefenderOffice,
	"office 365 advanced threat protection":      graph.ServiceDefenderOffice,
	"microsoft defender for office 365":          graph.ServiceDefenderOffice,
	"office 365 security & compliance":           graph.ServiceDefenderOffice,
	"microsoftdefenderforoffice":                 graph.ServiceDefenderOffice,
	"azure advanced threat protection":           graph.ServiceDefenderIdentity,
	"aatp":                                       graph.ServiceDefenderIdentity,
	"azureatp":                                   graph.ServiceDefenderIdentity,
	"microsoft defender for identity":            graph.ServiceDefenderIdentity,
	"mcas":                                       graph.ServiceDefenderCloudApp,
	"microsoft cloud app security":               graph.ServiceDefenderCloudApp,
	"microsoftcloudappsecurity":                  graph.ServiceDefenderCloudApp,
	"microsoft defender for cloud apps":          graph.ServiceDefenderCloudApp,
	"ipc":                                        graph.ServiceEntraProtection,
	"azure active directory identity protection": graph.ServiceEntraProtection,
	"microsoft entra id protection":              graph.ServiceEntraProtection,
	"aad identity protection":                    graph.ServiceEntraProtection,
	"microsoftthreatprotection":                  graph.ServiceMicrosoft365,
	"mtp":                                        graph.ServiceMicrosoft365,
	"microsoft 365 defender":                     graph.ServiceMicrosoft365,
	"microsoft defender xdr":                     graph.ServiceMicrosoft365,
	"microsoft xdr":                              graph.ServiceMicrosoft365,
	"microsoft app governance":                   graph.ServiceAppGovernance,
	"app governance":                             graph.ServiceAppGovernance,
	"microsoft data loss prevention":             graph.ServiceDLP,
	"microsoftdatalossprevention":                graph.ServiceDLP,
	"asc":                                        graph.ServiceDefenderCloud,
	"azure security center":                      graph.ServiceDefenderCloud,
	"azure defender":                             graph.ServiceDefenderCloud,
	"microsoft defender for cloud":               graph.ServiceDefenderCloud,
	"azure sentinel":                             graph.ServiceSentinel,
	"asi scheduled alerts":                       graph.ServiceSentinel,
	"asi nrt alerts":                             graph.ServiceSentinel,
	"microsoft sentinel":                         graph.ServiceSentinel,
	"microsoft insider risk management":          graph.ServiceInsiderRisk,
	"microsoft 365 insider risk management":      graph.ServiceInsiderRisk,
	"microsoft threat intelligence":              graph.ServiceThreatIntel,
	"threat intelligence alerts":                 graph.ServiceThreatIntel,
	"microsoft defender threat intelligence":     graph.ServiceThreatIntel,
	"microsoft security for ai":                  graph.ServiceSecurityForAI,
	"microsoft security copilot":                 graph.ServiceSecurityForAI,
}

// knownServices are the serviceSource values themselves.
var knownServices = []graph.ServiceSource{
	graph.ServiceDefenderEndpoint, graph.ServiceDefenderIdentity, graph.ServiceDefenderCloudApp,
	graph.ServiceDefenderOffice, graph.ServiceMicrosoft365, graph.ServiceEntraProtection,
	graph.ServiceAppGovernance, graph.ServiceDLP, graph.ServiceDefenderCloud, graph.ServiceSentinel,
	graph.ServiceInsiderRisk, graph.ServiceThreatIntel, graph.ServiceSecurityForAI,
}

// Service maps the names a source gives for the product, the most telling first, to a service source;
// ServiceUnknown where none of them is known.
func Service(names ...string) graph.ServiceSource {
	for _, name := range names {
		for _, s := range knownServices {
			if strings.EqualFold(string(s), name) {
				return s
			}
		}
		if s, ok := services[strings.ToLower(strings.TrimSpace(name))]; ok {
			return s
		}
	}
	return graph.ServiceUnknown
}

// idPrefixes are the letters that Microsoft 365 Defender's portal and Graph put before a product's own alert
// id (learn.microsoft.com, "Investigate alerts in Microsoft Defender XDR": alert sources and ids).
var idPrefixes = map[graph.ServiceSource]string{
	graph.ServiceDefenderEndpoint: "da", graph.ServiceDefenderOffice: "fa", graph.ServiceDefenderIdentity: "aa",
	graph.ServiceDefenderCloudApp: "ca", graph.ServiceEntraProtection: "ad", graph.ServiceMicrosoft365: "ra",
	graph.ServiceAppGovernance: "ma", graph.ServiceDLP: "dl",
}

// productID is what the products' own ids look like: a GUID or a number, each with or without a "_…" behind,
// or the fixed-length hexadecimal ids of Cloud Apps (24) and Entra ID Protection (64).
var productID = regexp.MustCompile(`(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_.*)?|[0-9]+(_.*)?|[0-9a-f]{24}|[0-9a-f]{64})$`)

// ProviderAlertID takes the two letters of the service off an alert id, so that an alert has one id whether
// it came from Graph ("da12eb404c-…_1") or from the product through Sentinel ("12eb404c-…_1").
func ProviderAlertID(service graph.ServiceSource, id string) string {
	id = strings.TrimSpace(id)
	prefix := idPrefixes[service]
	if prefix == "" || len(id) < 3 || !strings.EqualFold(id[:2], prefix) || !productID.MatchString(id[2:]) {
		return id
	}
	return id[2:]
}

// ServiceOfID is the service whose letters an alert id bears; ServiceUnknown where it bears none.
func ServiceOfID(id string) graph.ServiceSource {
	for service := range idPrefixes {
		if ProviderAlertID(service, id) != strings.TrimSpace(id) {
			return service
		}
	}
	return graph.ServiceUnknown
}

// Finish fills what follows from the rest of an alert and checks what every alert must have: a product, its
// provider's id and a date. The error wraps graph.ErrInvalid.
func Finish(a *graph.AlertContent) error {
	a.ProviderAlertID = ProviderAlertID(a.ServiceSource, a.ProviderAlertID)
	if a.ProviderAlertID == "" {
		return Invalid("the alert has no provider alert id")
	}
	a.Product = string(a.ServiceSource)
	if a.ServiceSource == graph.ServiceUnknown || a.ServiceSource == "" {
		a.ServiceSource = graph.ServiceUnknown
		a.Product = strings.ToLower(strings.TrimSpace(a.ProductName))
	}
	if a.Product == "" {
		return Invalid("alert %q: neither service source nor product name", clip(a.ProviderAlertID))
	}
	slices.Sort(a.MitreTechniques)
	a.MitreTechniques = slices.Compact(a.MitreTechniques)
	return dates(a)
}

// dates fills missing ones: first and last activity from each other, else from creation, else from update.
func dates(a *graph.AlertContent) error {
	a.FirstActivity, a.LastActivity = graph.Micro(a.FirstActivity), graph.Micro(a.LastActivity)
	a.SourceCreated, a.SourceUpdated = graph.Micro(a.SourceCreated), graph.Micro(a.SourceUpdated)
	known := graph.EarlierKnown(a.FirstActivity, a.LastActivity)
	for _, t := range []time.Time{a.SourceCreated, a.SourceUpdated} {
		if known.IsZero() {
			known = t
		}
	}
	if known.IsZero() {
		return Invalid("alert %q: no date", clip(a.ProviderAlertID))
	}
	a.LastActivity = graph.Later(known, graph.Later(a.FirstActivity, a.LastActivity))
	a.FirstActivity = known
	if a.SourceCreated.IsZero() {
		a.SourceCreated = a.FirstActivity
	}
	a.SourceUpdated = graph.Later(a.SourceUpdated, a.SourceCreated)
	return nil
}

// Canonical gives an enumeration's value in the case of the list, and as it is where the list has none such:
// Microsoft adds values.
func Canonical(value string, list []string) string {
	i := slices.IndexFunc(list, func(s string) bool { return strings.EqualFold(s, value) })
	if i < 0 {
		return value
	}
	return list[i]
}

// Severity reads a severity in any case; an empty one is unknown.
func Severity(s string) graph.Severity {
	for _, known := range graph.Severities() {
		if strings.EqualFold(string(known), s) {
			return known
		}
	}
	return graph.Severity(cmp.Or(s, string(graph.SeverityUnknown)))
}

// enumerations of the triage fields, from Microsoft Graph's metadata, with the names that stand in older
// documentation for some.
var (
	statuses        = []string{"unknown", "new", "inProgress", "resolved"}
	classifications = []string{"unknown", "falsePositive", "truePositive", "informationalExpectedActivity"}
	determinations  = []string{"unknown", "apt", "malware", "securityPersonnel", "securityTesting", "unwantedSoftware",
		"other", "multiStagedAttack", "compromisedAccount", "phishing", "maliciousUserActivity", "notMalicious",
		"notEnoughDataToValidate", "confirmedActivity", "lineOfBusinessApplication"}
	olderDeterminations = map[string]string{"compromiseduser": "compromisedAccount", "clean": "notMalicious",
		"insufficientdata": "notEnoughDataToValidate", "confirmeduseractivity": "confirmedActivity", "notavailable": "unknown"}
)

// Triage reads what a source says of status, classification, determination and assignee.
func Triage(status, classification, determination, assignedTo string) graph.Triage {
	if newer, ok := olderDeterminations[strings.ToLower(determination)]; ok {
		determination = newer
	}
	return graph.Triage{
		Status:         graph.Status(Canonical(status, statuses)),
		Classification: Canonical(classification, classifications),
		Determination:  Canonical(determination, determinations),
		AssignedTo:     assignedTo,
	}
}
