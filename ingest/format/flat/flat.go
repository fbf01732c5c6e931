// Package flat maps the entities of Microsoft Defender's own APIs to evidence in the shape of Microsoft Graph Security.
// They are flat: each has the fields of all types, and null in those that are not its own (learn.microsoft.com, "List
// incidents API in Microsoft Defender XDR", entity format; "Alert resource type" of Microsoft Defender for Endpoint).
package flat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Devices maps the list of an alert's devices; see Entities.
func Devices(name string, field json.RawMessage, created time.Time) ([]graph.Evidence, error) {
	return list(name, field, created, func(o format.Object) (format.Body, string) { return Device(o), "deviceEvidence" })
}

// Entities maps the list of an alert's entities, a field of this name that may be missing or null. created is the
// alert's, for entities without a date of their own. Each is kept beside its evidence as it was written. The error
// wraps graph.ErrInvalid: the field is no list, or holds what is no object.
func Entities(name string, field json.RawMessage, created time.Time) ([]graph.Evidence, error) {
	return list(name, field, created, entity)
}

func list(name string, field json.RawMessage, created time.Time, fields func(format.Object) (format.Body, string)) ([]graph.Evidence, error) {
	var raws []json.RawMessage
	if len(field) > 0 {
		if err := json.Unmarshal(field, &raws); err != nil {
			return nil, format.Invalid("%s: %s", name, format.Reword(err))
		}
	}
	var out []graph.Evidence
	for i, raw := range raws {
		o, err := format.ParseObject(raw)
		if err != nil {
			return nil, format.Invalid("%s %d: %v", name, i+1, err)
		}
		own, kind := fields(o)
		e, err := Evidence(kind, own, o, created)
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", name, i+1, err)
		}
		e.Original = format.Compact(raw)
		out = append(out, e)
	}
	return out, nil
}

// Evidence is a piece of evidence of a type with its own fields and, from the source's object, those that all types
// have: Graph has no null for verdict, remediation status and roles.
func Evidence(kind string, own format.Body, o format.Object, created time.Time) (graph.Evidence, error) {
	own["@odata.type"] = graph.ODataPrefix + kind
	own.Set("createdDateTime", created)
	own.Instants(o, "createdDateTime", "evidenceCreationTime")
	own["verdict"], own["remediationStatus"] = "unknown", "none"
	own.Enums(o, "verdict", "verdict", "remediationStatus", "remediationStatus")
	roles := []string{}
	for _, r := range o.Texts("roles") {
		roles = append(roles, format.Camel(r))
	}
	own["roles"] = roles
	own.Set("tags", o.Texts("tags"))
	body, err := graph.EncodeJSON(own)
	return graph.Evidence{Type: graph.EvidenceType(graph.ODataPrefix + kind), Body: body}, err
}

// Device has the fields of deviceEvidence: of a device in an incident, and of a machine in an alert of Defender for
// Endpoint.
func Device(o format.Object) format.Body {
	b := format.Body{}.Texts(o, "azureAdDeviceId", "aadDeviceId", "osPlatform", "osPlatform", "version", "version",
		"rbacGroupName", "rbacGroupName", "lastIpAddress", "lastIpAddress", "lastExternalIpAddress", "lastExternalIpAddress")
	b.Set("mdeDeviceId", o.First("mdatpDeviceId", "deviceId", "DeviceId", "machineId"))
	b.Set("deviceDnsName", o.First("deviceDnsName", "computerDnsName"))
	b.Enums(o, "healthStatus", "healthStatus", "riskScore", "riskScore", "onboardingStatus", "onboardingStatus",
		"defenderAvStatus", "defenderAvStatus")
	b.Numbers(o, "osBuild", "osBuild", "rbacGroupId", "rbacGroupId").Instants(o, "firstSeenDateTime", "firstSeen")
	b.Set("vmMetadata", format.Body{}.Texts(o.Object("vmMetadata"), "vmId", "vmId", "resourceId", "resourceId",
		"subscriptionId", "subscriptionId", "cloudProvider", "cloudProvider"))
	var users []any
	for _, u := range o.Objects("loggedOnUsers") {
		users = append(users, format.Body{}.Texts(u, "accountName", "accountName", "domainName", "domainName"))
	}
	b.Set("loggedOnUsers", users)
	return b
}

// mappings are how the types become evidence, by entityType in lower case.
var mappings = map[string]struct {
	evidence string
	fields   func(format.Object) format.Body
}{
	"user":          {"userEvidence", func(o format.Object) format.Body { return format.Body{"userAccount": account(o)} }},
	"ip":            {"ipEvidence", func(o format.Object) format.Body { return format.Body{}.Texts(o, "ipAddress", "ipAddress") }},
	"url":           {"urlEvidence", func(o format.Object) format.Body { return format.Body{}.Texts(o, "url", "url") }},
	"file":          {"fileEvidence", file},
	"process":       {"processEvidence", process},
	"mailbox":       {"mailboxEvidence", mailbox},
	"mailmessage":   {"analyzedMessageEvidence", message},
	"mailcluster":   {"mailClusterEvidence", func(o format.Object) format.Body { return format.Body{}.Texts(o, "clusterBy", "clusterBy") }},
	"securitygroup": {"securityGroupEvidence", group},
}

// entity maps one entity. A type that is not known keeps its name and all fields that are not null.
func entity(o format.Object) (format.Body, string) {
	kind := o.Text("entityType")
	if strings.EqualFold(kind, "registry") {
		return registry(o)
	}
	if m, ok := mappings[strings.ToLower(kind)]; ok {
		return m.fields(o), m.evidence
	}
	b := format.Body{}
	for name, v := range o {
		if name != "entityType" && name != "evidenceCreationTime" {
			b.Set(name, v)
		}
	}
	return b, cmp.Or(kind, "alertEvidence")
}

func account(o format.Object) format.Body {
	return format.Body{}.Texts(o, "accountName", "accountName", "domainName", "domainName", "userSid", "userSid",
		"azureAdUserId", "aadUserId", "userPrincipalName", "userPrincipalName")
}

func file(o format.Object) format.Body { return detected(o, "fileDetails") }

// detected is what a file and a process have in common: the file itself, the device, and how it was detected.
func detected(o format.Object, name string) format.Body {
	b := format.Body{}.Texts(o, "mdeDeviceId", "deviceId").Enums(o, "detectionStatus", "detectionStatus")
	b.Set(name, format.Body{}.Texts(o, "fileName", "fileName", "filePath", "filePath", "sha1", "sha1", "sha256", "sha256", "md5", "md5"))
	return b
}

func process(o format.Object) format.Body {
	b := detected(o, "imageFile")
	b.Texts(o, "processCommandLine", "processCommandLine").Numbers(o, "processId", "processId", "parentProcessId", "parentProcessId")
	b.Instants(o, "processCreationDateTime", "processCreationTime", "parentProcessCreationDateTime", "parentProcessCreationTime")
	b.Set("parentProcessImageFile", format.Body{}.Texts(o, "fileName", "parentProcessFileName", "filePath", "parentProcessFilePath"))
	b.Set("userAccount", account(o))
	return b
}

func mailbox(o format.Object) format.Body {
	b := format.Body{}.Texts(o, "primaryAddress", "mailboxAddress", "upn", "userPrincipalName", "displayName", "mailboxDisplayName")
	b.Set("userAccount", account(o).Texts(o, "displayName", "mailboxDisplayName"))
	return b
}

// message has no message id in these APIs: it names only whose mailbox it came to, and its sender.
func message(o format.Object) format.Body {
	b := format.Body{}.Texts(o, "recipientEmailAddress", "recipient", "subject", "subject").Enums(o, "deliveryAction", "deliveryAction")
	b.Set("p2Sender", format.Body{}.Texts(o, "emailAddress", "sender"))
	return b
}

func group(o format.Object) format.Body {
	return format.Body{}.Texts(o, "securityGroupId", "securityGroupId", "displayName", "securityGroupName")
}

// registry is evidence of a value only where its name is told: without it, all values of a key would be one.
func registry(o format.Object) (format.Body, string) {
	b := format.Body{}.Texts(o, "registryHive", "registryHive", "registryKey", "registryKey")
	if o.Text("registryValueName") == "" {
		return b, "registryKeyEvidence"
	}
	return b.Texts(o, "registryValueName", "registryValueName", "registryValue", "registryValue",
		"registryValueType", "registryValueType", "mdeDeviceId", "deviceId"), "registryValueEvidence"
}
