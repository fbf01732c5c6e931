package story

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// body are the fields of Microsoft Graph Security v1.0 evidence that sentences use, over all types. Instants
// are texts here: one that does not parse must not cost the other fields.
type body struct {
	Roles             []string `json:"roles"`
	DetailedRoles     []string `json:"detailedRoles"`
	Verdict           string   `json:"verdict"`
	RemediationStatus string   `json:"remediationStatus"`
	DetectionStatus   string   `json:"detectionStatus"`

	MdeDeviceID   string  `json:"mdeDeviceId"`
	DeviceDNSName string  `json:"deviceDnsName"`
	HostName      string  `json:"hostName"`
	UserAccount   account `json:"userAccount"`
	FileDetails   image   `json:"fileDetails"`

	ImageFile        image  `json:"imageFile"`
	ParentImageFile  image  `json:"parentProcessImageFile"`
	ProcessCreation  string `json:"processCreationDateTime"`
	Subject          string `json:"subject"`
	Recipient        string `json:"recipientEmailAddress"`
	DeliveryAction   string `json:"deliveryAction"`
	DeliveryLocation string `json:"deliveryLocation"`
	P1Sender         sender `json:"p1Sender"`
	P2Sender         sender `json:"p2Sender"`
	AttachmentsCount int64  `json:"attachmentsCount"`

	ConfigurationType string `json:"configurationType"`
	MailboxAddress    string `json:"mailboxPrimaryAddress"`
	PrimaryAddress    string `json:"primaryAddress"`
	UPN               string `json:"upn"`
	IPAddress         string `json:"ipAddress"`
	URL               string `json:"url"`
	DomainName        string `json:"domainName"`
	DisplayName       string `json:"displayName"`
	Name              string `json:"name"`
	ResourceName      string `json:"resourceName"`
	PrincipalName     string `json:"servicePrincipalName"`
	RegistryHive      string `json:"registryHive"`
	RegistryKey       string `json:"registryKey"`
	RegistryValueName string `json:"registryValueName"`
}

type account struct {
	UserPrincipalName string `json:"userPrincipalName"`
	DisplayName       string `json:"displayName"`
	AccountName       string `json:"accountName"`
	DomainName        string `json:"domainName"`
}

func (a account) name() string {
	name := a.AccountName
	if name != "" && a.DomainName != "" {
		name = a.DomainName + `\` + name
	}
	return cmp.Or(a.UserPrincipalName, name, a.DisplayName)
}

type image struct {
	FileName string `json:"fileName"`
}

type sender struct {
	EmailAddress string `json:"emailAddress"`
}

// sender is the address the reader saw, else the envelope's.
func (b body) sender() string { return cmp.Or(b.P2Sender.EmailAddress, b.P1Sender.EmailAddress) }

func (b body) registry() string {
	return strings.Join(slices.DeleteFunc([]string{b.RegistryHive, b.RegistryKey, b.RegistryValueName},
		func(s string) bool { return s == "" }), `\`)
}

// evidenceNames are the kinds that a sentence calls as this evidence does, because the node either has no
// readable name or has had several; the others go by graph.Entity.DisplayName.
var evidenceNames = map[graph.Kind]bool{
	graph.KindProcess: true, graph.KindFile: true, graph.KindMailMessage: true, graph.KindRegistryKey: true,
	graph.KindRegistryValue: true, graph.KindLogonSession: true, graph.KindCloudSession: true,
}

// name is what the evidence calls its thing, "" where it does not.
func (b body) name() string {
	return cmp.Or(b.FileDetails.FileName, b.ImageFile.FileName, b.Subject, b.DeviceDNSName, b.HostName,
		b.UserAccount.name(), b.PrimaryAddress, b.IPAddress, b.URL, b.DomainName, b.DisplayName, b.Name,
		b.ResourceName, b.PrincipalName, b.registry(), b.MailboxAddress, b.UPN)
}

// typeKinds are the evidence types that sentences speak of. They count even where the evidence has no key
// that a node could be kept under.
var typeKinds = map[string]graph.Kind{
	"deviceEvidence": graph.KindDevice, "userEvidence": graph.KindIdentity, "mailboxEvidence": graph.KindMailbox,
	"analyzedMessageEvidence": graph.KindMailMessage, "fileEvidence": graph.KindFile,
	"processEvidence": graph.KindProcess, "ipEvidence": graph.KindIPAddress, "urlEvidence": graph.KindURL,
	"registryKeyEvidence": graph.KindRegistryKey, "registryValueEvidence": graph.KindRegistryValue,
	"securityGroupEvidence": graph.KindSecurityGroup, "cloudApplicationEvidence": graph.KindCloudApplication,
	"oauthApplicationEvidence": graph.KindOAuthApplication, "servicePrincipalEvidence": graph.KindServicePrincipal,
	"malwareEvidence": graph.KindMalware, "hostLogonSessionEvidence": graph.KindLogonSession,
	"cloudLogonSessionEvidence": graph.KindCloudSession, "azureResourceEvidence": graph.KindCloudResource,
	"amazonResourceEvidence": graph.KindCloudResource, "googleCloudResourceEvidence": graph.KindCloudResource,
	"blobContainerEvidence": graph.KindCloudResource, "activeDirectoryDomainEvidence": graph.KindDomain,
}

// thing is one piece of evidence, read.
type thing struct {
	body
	typ      string
	kind     graph.Kind
	entity   graph.ID
	mentions []graph.ID
	raw      []byte
}

// things reads an alert's evidence into an order that does not depend on the source's. A body that is no
// JSON, or has fields of another type, says less and is no error.
func things(a graph.Alert) []thing {
	out := make([]thing, len(a.Evidence))
	for i, e := range a.Evidence {
		t := thing{typ: e.Type, kind: e.Entity.Kind(), entity: e.Entity, mentions: slices.SortedFunc(slices.Values(e.Mentions), graph.ID.Compare), raw: e.Body}
		if k, ok := typeKinds[e.Type]; ok {
			t.kind = k
		}
		_ = json.Unmarshal(e.Body, &t.body)
		out[i] = t
	}
	slices.SortFunc(out, compareThings)
	return slices.CompactFunc(out, func(a, b thing) bool { return compareThings(a, b) == 0 })
}

func compareThings(a, b thing) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(b.badness(), a.badness()), cmp.Compare(a.name(), b.name()),
		a.entity.Compare(b.entity), cmp.Compare(a.typ, b.typ), bytes.Compare(a.raw, b.raw),
		slices.CompareFunc(a.mentions, b.mentions, graph.ID.Compare))
}

// verdicts of Microsoft Graph Security's evidenceVerdict, worst last.
var verdicts = []string{"noThreatsFound", "unknown", "suspicious", "malicious"}

// badness orders verdicts; a verdict that is not known is unknown.
func (b body) badness() int { return badness(b.Verdict) }

func badness(verdict string) int {
	for i, v := range verdicts {
		if strings.EqualFold(v, verdict) {
			return i
		}
	}
	return 1
}

// hasRole reports whether the evidence has one of Microsoft Graph Security's evidenceRole values.
func (b body) hasRole(role string) bool {
	return slices.ContainsFunc(b.Roles, func(r string) bool { return strings.EqualFold(r, role) })
}

// outcome tallies what evidence says of remediation.
type outcome struct {
	active, remediated, prevented bool
	// open is set by malicious evidence of which nothing is said.
	open bool
}

func (o outcome) merge(p outcome) outcome {
	return outcome{o.active || p.active, o.remediated || p.remediated, o.prevented || p.prevented, o.open || p.open}
}

// outcomeOf reads evidenceRemediationStatus; where it says nothing, a file's or process's detectionStatus.
func outcomeOf(b body) outcome {
	for _, status := range []string{b.RemediationStatus, b.DetectionStatus} {
		switch strings.ToLower(status) {
		case "active", "pendingapproval", "declined", "unremediated", "running", "partiallyremediated":
			return outcome{active: true}
		case "remediated":
			return outcome{remediated: true}
		case "prevented", "blocked":
			return outcome{prevented: true}
		}
	}
	return outcome{open: b.badness() == len(verdicts)-1}
}

// status is active as soon as anything is, and otherwise no better than what is least sure.
func (o outcome) status() string {
	switch {
	case o.active:
		return "active"
	case o.open || !o.remediated && !o.prevented:
		return "unknown"
	case o.remediated:
		return "remediated"
	}
	return "prevented"
}
