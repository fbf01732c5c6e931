package scenario

import (
	"fmt"
	"strings"
	"time"
)

// product is how one product of the suite signs its alerts, in both wire formats.
type product struct {
	service, detection, name string
	// prefix is what the portal puts before the product's own alert id.
	prefix                         string
	sentinelProvider, sentinelName string
	id                             func(dice) string
	delayLeast, delayMost          time.Duration // from the last activity to the alert
}

func guidID(d dice) string    { return d.guid() }
func machineID(d dice) string { return d.guid() + "_1" }
func objectID(d dice) string  { return d.hex(24) }
func riskID(d dice) string    { return d.hex(64) }
func raisedID(d dice) string {
	return fmt.Sprintf("ra6391%014d_-%d", d.Int64N(1e14), 100000000+d.IntN(900000000))
}

func endpoint() product {
	return product{"microsoftDefenderForEndpoint", "microsoftDefenderForEndpoint", "Microsoft Defender for Endpoint", "da",
		"MDATP", "Microsoft Defender Advanced Threat Protection", machineID, time.Minute, 4 * time.Minute}
}

func office() product {
	return product{"microsoftDefenderForOffice365", "microsoftDefenderForOffice365", "Microsoft Defender for Office 365", "fa",
		"OATP", "Office 365 Advanced Threat Protection", guidID, 3 * time.Minute, 12 * time.Minute}
}

func identityProduct() product {
	return product{"microsoftDefenderForIdentity", "microsoftDefenderForIdentity", "Microsoft Defender for Identity", "aa",
		"Azure Advanced Threat Protection", "Azure Advanced Threat Protection", guidID, 2 * time.Minute, 15 * time.Minute}
}

func cloudApps() product {
	return product{"microsoftDefenderForCloudApps", "cloudAppSecurity", "Microsoft Defender for Cloud Apps", "ca",
		"MCAS", "Microsoft Cloud App Security", objectID, 10 * time.Minute, 40 * time.Minute}
}

func entra() product {
	return product{"azureAdIdentityProtection", "azureAdIdentityProtection", "AAD Identity Protection", "ad",
		"IPC", "Azure Active Directory Identity Protection", riskID, 4 * time.Minute, 20 * time.Minute}
}

func suite() product {
	return product{"microsoft365Defender", "microsoft365Defender", "Microsoft 365 Defender", "",
		"MicrosoftThreatProtection", "Microsoft 365 Defender", raisedID, 10 * time.Minute, 30 * time.Minute}
}

func lossPrevention() product {
	return product{"dataLossPrevention", "microsoftDataLossPrevention", "Microsoft Data Loss Prevention", "dl",
		"", "", guidID, 5 * time.Minute, 20 * time.Minute}
}

// route says in which shape an alert leaves.
type route uint8

const (
	asGraph route = iota
	asSentinel
	asBoth
)

// spec is one alert before the product has signed it.
type spec struct {
	product     product
	title, text string
	category    string
	severity    string
	techniques  []string
	// detector is the product's name of the detection; where it is empty, a GUID made of the title.
	detector string
	// detection, where set, replaces the product's detection source.
	detection   string
	threat      *file
	first, last time.Time
	evidence    []evidence
	route       route
	closed      string // classification/determination of an alert that is already resolved
	update      bool   // a later version follows
}

// alert is a signed alert with its label.
type alert struct {
	graphAlert
	from    product
	route   route
	label   string
	updated *graphAlert
}

// world is the scenario while it is being made.
type world struct {
	Options
	co     *company
	alerts []alert
	truth  []Label
	logons []logon
}

// logon is a sign-in that the inventory knows of: it left credentials on the device.
type logon struct {
	who  *identity
	on   *device
	last time.Time
}

// raise signs the alert and keeps it.
func (w *world) raise(d dice, label string, s spec) {
	if s.last.Before(s.first) {
		s.last = s.first
	}
	g := w.sign(d, s)
	w.date(d, &g, s)
	a := alert{graphAlert: g, from: s.product, route: s.route, label: label}
	if s.update {
		later := w.later(d, g)
		a.updated = &later
	}
	w.alerts = append(w.alerts, a)
	w.truth = append(w.truth, Label{g.ProviderAlertID, g.ServiceSource, label})
}

func (w *world) sign(d dice, s spec) graphAlert {
	id := s.product.id(d)
	g := graphAlert{
		Type: "#microsoft.graph.security.alert", ID: s.product.prefix + id, ProviderAlertID: id, Status: "new",
		Severity: s.severity, ServiceSource: s.product.service, DetectionSource: s.product.detection,
		ProductName: s.product.name, DetectorID: s.detector, TenantID: w.co.tenant, Title: s.title,
		Description: s.text, RecommendedActions: advice(s.product, s.category), Category: s.category,
		MitreTechniques: s.techniques, Comments: []graphComment{}, Evidence: s.evidence,
	}
	g.AlertWebURL = "https://security.microsoft.com/alerts/" + g.ID + "?tid=" + g.TenantID
	if s.detector == "" {
		g.DetectorID = namedGUID("detector " + s.title)
	}
	if s.detection != "" {
		g.DetectionSource = s.detection
	}
	if s.threat != nil {
		g.ThreatDisplayName, g.ThreatFamilyName = text(s.threat.threat), text(s.threat.family())
	}
	if s.product.prefix == "da" {
		g.InvestigationState = "unsupportedAlertType"
	}
	return g
}

// date sets the product's own clock: found some minutes after the last activity, touched once more after that,
// and resolved within a day where it is closed.
func (w *world) date(d dice, g *graphAlert, s spec) {
	created := w.inside(s.last.Add(d.between(s.product.delayLeast, s.product.delayMost)))
	updated := w.inside(created.Add(d.between(time.Second, 5*time.Minute)))
	for _, e := range g.Evidence {
		stamp(e, created)
	}
	g.FirstActivity, g.LastActivity, g.Created = when(s.first), when(s.last), when(created)
	if closing := created.Add(d.between(20*time.Minute, 20*time.Hour)); s.closed != "" && closing.Before(w.End()) {
		updated = closing
		g.Status, g.Resolved = "resolved", when(updated)
		classification, determination, _ := strings.Cut(s.closed, "/")
		g.Classification, g.Determination = text(classification), text(determination)
		g.AssignedTo = "soc@" + mailDomain
	}
	g.LastUpdate = when(updated)
}

// inside keeps what follows an activity within the window.
func (w *world) inside(t time.Time) time.Time {
	if last := w.End().Add(-time.Second); t.After(last) {
		return last
	}
	return t
}

// later is the version that the source gives out after an analyst has taken the alert up.
func (w *world) later(d dice, g graphAlert) graphAlert {
	at := w.inside(time.Time(g.LastUpdate).Add(d.between(2*time.Hour, 9*time.Hour)))
	if g.Status == "new" {
		g.Status, g.AssignedTo = "inProgress", "soc@"+mailDomain
	}
	g.LastUpdate = when(at)
	g.Comments = []graphComment{{"Taken up by the service desk.", "soc", when(at)}}
	return g
}

// advice is what the product recommends, by product and category.
func advice(p product, category string) string {
	switch p.prefix {
	case "fa":
		return "1. Check who received the message and who opened it.\n2. Remove the copies that are left.\n3. Block sender, URL and attachment."
	case "ad", "ca":
		return "1. Ask the user whether the activity was theirs.\n2. If not, revoke sessions, reset the password and review what the account changed."
	case "aa":
		return "1. Find out whether source and account are expected to do this.\n2. If not, isolate the source and reset the account's credentials."
	case "dl":
		return "1. Review the matched content.\n2. Speak with the user and their manager."
	}
	return "1. Validate the alert: look at the process tree and at the files involved.\n2. Scope it: find " + category +
		" on related devices and accounts.\n3. Contain it: isolate the device, stop the process, quarantine the file."
}

// family is the word behind the platform in a threat's name: "Trojan:Win32/Name.A" is of the family Name.
func (f *file) family() string {
	_, name, _ := strings.Cut(f.threat, "/")
	name, _, _ = strings.Cut(name, ".")
	return name
}
