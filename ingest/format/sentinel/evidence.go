package sentinel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

type body = format.Body

// mapper maps the entities of one alert.
type mapper struct {
	*tree
	created time.Time
}

// evidence maps the entities to evidence, in order. created is the alert's, for entities without a date.
func evidence(list []json.RawMessage, created time.Time) ([]graph.Evidence, error) {
	t, err := newTree(list)
	if err != nil {
		return nil, err
	}
	m := mapper{t, created}
	var out []graph.Evidence
	t.walk(func(o format.Object) {
		e, e1 := m.evidence(o)
		if e1 != nil {
			err = e1
		}
		out = append(out, e)
	})
	return out, err
}

func (m mapper) evidence(o format.Object) (e graph.Evidence, err error) {
	b := m.body(o)
	if e.Body, err = graph.EncodeJSON(b); err != nil {
		return e, fmt.Errorf("entity %s: %w", o.Text("$id"), err)
	}
	e.Type = graph.EvidenceType(b["@odata.type"].(string))
	e.Original, err = m.written(o)
	return e, err
}

// body is the whole evidence: its own fields and those of alertEvidence.
func (m mapper) body(o format.Object) body {
	kind, known := mappings[typeOf(o)]
	if !known {
		return m.base(m.unknown(o), o, cmp.Or(o.Text("Type"), "alertEvidence"))
	}
	return m.base(kind.fields(m, o), o, kind.evidence)
}

// base adds the fields of alertEvidence. Graph has no null for the three that are always set.
func (m mapper) base(b body, o format.Object, evidenceType string) body {
	b["@odata.type"] = graph.ODataPrefix + evidenceType
	created := m.created
	if t := o.Time("CreatedTimeUtc"); !t.IsZero() && !isThing[typeOf(o)] {
		created = t
	}
	b.Set("createdDateTime", created)
	b["verdict"], b["remediationStatus"] = "unknown", "none"
	b.Enums(o, "verdict", "LastVerdict", "remediationStatus", "RemediationStatus")
	roles := []string{}
	for _, r := range o.Texts("Roles") {
		roles = append(roles, format.Camel(r))
	}
	b["roles"] = roles
	var tags []string
	for _, t := range o.Objects("Tags") {
		if name := t.Text("TagName"); name != "" {
			tags = append(tags, name)
		}
	}
	b.Set("tags", tags)
	return b
}

// isThing are the types whose CreatedTimeUtc is that of the thing, not of the evidence.
var isThing = map[string]bool{"process": true, "file": true}

// unknown keeps a type that has no mapping, with all its fields.
func (m mapper) unknown(o format.Object) body {
	b := body{}
	for name, v := range o {
		if !strings.HasPrefix(name, "$") && name != "Type" {
			b[name] = v
		}
	}
	return b
}

// mapping is how one type of entity becomes evidence.
type mapping struct {
	evidence string
	fields   func(mapper, format.Object) body
}

// mappings by typeOf.
var mappings = map[string]mapping{
	"host":                 {"deviceEvidence", mapper.device},
	"account":              {"userEvidence", mapper.user},
	"mailbox":              {"mailboxEvidence", mapper.mailbox},
	"mailmessage":          {"analyzedMessageEvidence", mapper.message},
	"mailcluster":          {"mailClusterEvidence", mapper.cluster},
	"submissionmail":       {"submissionMailEvidence", mapper.submission},
	"file":                 {"fileEvidence", mapper.file},
	"filehash":             {"fileHashEvidence", mapper.fileHash},
	"process":              {"processEvidence", mapper.process},
	"ip":                   {"ipEvidence", mapper.ip},
	"url":                  {"urlEvidence", mapper.url},
	"registrykey":          {"registryKeyEvidence", mapper.registryKey},
	"registryvalue":        {"registryValueEvidence", mapper.registryValue},
	"cloudapplication":     {"cloudApplicationEvidence", mapper.cloudApplication},
	"oauthapplication":     {"oauthApplicationEvidence", mapper.oauthApplication},
	"serviceprincipal":     {"servicePrincipalEvidence", mapper.servicePrincipal},
	"cloudlogonsession":    {"cloudLogonSessionEvidence", mapper.cloudSession},
	"cloudlogonrequest":    {"cloudLogonRequestEvidence", mapper.cloudRequest},
	"hostlogonsession":     {"hostLogonSessionEvidence", mapper.hostSession},
	"malware":              {"malwareEvidence", mapper.malware},
	"dns":                  {"dnsEvidence", mapper.dns},
	"networkconnection":    {"networkConnectionEvidence", mapper.connection},
	"azureresource":        {"azureResourceEvidence", mapper.azureResource},
	"amazonresource":       {"amazonResourceEvidence", mapper.amazonResource},
	"gcpresource":          {"googleCloudResourceEvidence", mapper.googleResource},
	"securitygroup":        {"securityGroupEvidence", mapper.securityGroup},
	"iotdevice":            {"ioTDeviceEvidence", mapper.iotDevice},
	"mailboxconfiguration": {"mailboxConfigurationEvidence", mapper.mailboxConfiguration},
	"container":            {"containerEvidence", mapper.container},
}
