package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// projections by evidence type. A type that is not here becomes an entity of kind other.
var projections = map[string]func(*projector, format.Object) graph.ID{
	"deviceEvidence":               (*projector).device,
	"userEvidence":                 (*projector).user,
	"mailboxEvidence":              (*projector).mailbox,
	"analyzedMessageEvidence":      (*projector).message,
	"submissionMailEvidence":       (*projector).submission,
	"mailClusterEvidence":          (*projector).cluster,
	"fileEvidence":                 (*projector).file,
	"fileHashEvidence":             (*projector).fileHash,
	"processEvidence":              (*projector).process,
	"ipEvidence":                   (*projector).ip,
	"urlEvidence":                  (*projector).url,
	"registryKeyEvidence":          (*projector).registryKey,
	"registryValueEvidence":        (*projector).registryValue,
	"hostLogonSessionEvidence":     (*projector).hostSession,
	"cloudLogonSessionEvidence":    (*projector).cloudSession,
	"cloudApplicationEvidence":     (*projector).cloudApplication,
	"malwareEvidence":              (*projector).malware,
	"dnsEvidence":                  (*projector).dns,
	"networkConnectionEvidence":    (*projector).connection,
	"mailboxConfigurationEvidence": (*projector).mailboxConfiguration,
	"kubernetesPodEvidence":        (*projector).pod,
}

// simple are the types whose entity follows from fields alone: a kind, and the field for each key.
var simple = map[string]struct {
	kind graph.Kind
	keys []keyField
}{
	"oauthApplicationEvidence": {graph.KindOAuthApplication, []keyField{
		{graph.KeyAppID, "appId"}, {graph.KeyObjectID, "objectId"}, {graph.KeyDisplayName, "displayName"}}},
	"servicePrincipalEvidence": {graph.KindServicePrincipal, []keyField{{graph.KeyServicePrincipalID, "servicePrincipalObjectId"},
		{graph.KeyAppID, "appId"}, {graph.KeyDisplayName, "servicePrincipalName"}}},
	"securityGroupEvidence": {graph.KindSecurityGroup, []keyField{{graph.KeySecurityGroupID, "securityGroupId"},
		{graph.KeyADObjectGUID, "activeDirectoryObjectGuid"}, {graph.KeySID, "sid"}, {graph.KeyDisplayName, "displayName"}}},
	"azureResourceEvidence":         resource("resourceId", "resourceName"),
	"amazonResourceEvidence":        resource("amazonResourceId", "resourceName"),
	"googleCloudResourceEvidence":   resource("fullResourceName", "resourceName"),
	"blobEvidence":                  resource("url", "name"),
	"blobContainerEvidence":         resource("url", "name"),
	"containerEvidence":             {graph.KindContainer, []keyField{{graph.KeyContainerID, "containerId"}, {graph.KeyName, "name"}}},
	"containerImageEvidence":        {graph.KindContainer, []keyField{{graph.KeyName, "imageId"}}},
	"containerRegistryEvidence":     {graph.KindContainer, []keyField{{graph.KeyName, "registry"}}},
	"activeDirectoryDomainEvidence": {graph.KindDomain, []keyField{{graph.KeyDomainName, "activeDirectoryDomainName"}}},
}

type keyField struct {
	key   graph.KeyType
	field string
}

func resource(id, name string) struct {
	kind graph.Kind
	keys []keyField
} {
	return struct {
		kind graph.Kind
		keys []keyField
	}{graph.KindCloudResource, []keyField{{graph.KeyResourceID, id}, {graph.KeyName, name}}}
}

// evidence projects one piece of evidence and returns its entity, zero where it has none.
func (p *projector) evidence(evidenceType string, o format.Object) graph.ID {
	if project, ok := projections[evidenceType]; ok {
		return project(p, o)
	}
	row, ok := simple[evidenceType]
	if !ok {
		return p.other(evidenceType, o)
	}
	k := keys{kind: row.kind}
	for _, f := range row.keys {
		k.add(f.key, o.Text(f.field))
	}
	return p.entity(k.list, scalars(o))
}

// baseFields are those of alertEvidence, which say something of the alert, not of the thing.
var baseFields = map[string]bool{"createdDateTime": true, "roles": true, "detailedRoles": true, "tags": true,
	"verdict": true, "remediationStatus": true, "remediationStatusDetails": true, "detectionStatus": true}

// scalars are the texts, numbers and truth values among the object's own fields, as properties.
func scalars(o format.Object, without ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for name, v := range o {
		switch v.(type) {
		case string, json.Number, bool:
			if b, err := graph.EncodeJSON(v); err == nil && o.Text(name) != "" && !baseFields[name] && !strings.HasPrefix(name, "@") {
				out[name] = b
			}
		}
	}
	for _, name := range without {
		delete(out, name)
	}
	return out
}

// other keeps what has no kind of its own: equal evidence meets in one entity, named by type and content.
// Evidence with no field of its own names nothing.
func (p *projector) other(evidenceType string, o format.Object) graph.ID {
	own := map[string]any{}
	for name, v := range o {
		if v != nil && !baseFields[name] && !strings.HasPrefix(name, "@odata.") {
			own[name] = v
		}
	}
	content, err := graph.EncodeJSON(own)
	if err != nil || len(own) == 0 {
		return graph.ID{}
	}
	sum := sha256.Sum256(content)
	k := keys{kind: graph.KindOther}
	k.scoped(graph.KeyOtherID, evidenceType, hex.EncodeToString(sum[:]))
	properties := scalars(o)
	properties["evidenceType"], _ = graph.EncodeJSON(evidenceType)
	return p.entity(k.list, properties)
}

func deviceKeys(o format.Object) []graph.Key {
	k := keys{kind: graph.KindDevice}
	k.add(graph.KeyMdeDeviceID, o.Text("mdeDeviceId"))
	k.add(graph.KeyAzureADDeviceID, o.Text("azureAdDeviceId"))
	k.add(graph.KeyDNSName, o.Text("deviceDnsName"))
	k.add(graph.KeyHostName, o.Text("hostName"))
	return k.list
}

func (p *projector) device(o format.Object) graph.ID {
	id := p.entity(deviceKeys(o), scalars(o))
	for _, u := range o.Objects("loggedOnUsers") {
		keys, _ := accountKeys(u, p.deviceByID(id))
		p.edge(graph.EdgeLoggedOn, p.entity(keys, scalars(u)), id, false)
	}
	return id
}

func (p *projector) deviceByID(id graph.ID) *device {
	if i := indexOf(p.devices, id); i >= 0 {
		return p.devices[i]
	}
	return nil
}

// serviceAccounts are the SIDs of Windows' own accounts by name (learn.microsoft.com, "Security
// identifiers"), for sources that give no SID.
var serviceAccounts = map[string]string{"system": "S-1-5-18", "localsystem": "S-1-5-18",
	"local service": "S-1-5-19", "localservice": "S-1-5-19",
	"network service": "S-1-5-20", "networkservice": "S-1-5-20"}

// sidOf is the account's SID, also where only the name of a service account says it.
func sidOf(account format.Object) string {
	if sid := account.Text("userSid"); sid != "" {
		return sid
	}
	switch strings.ToLower(account.Text("domainName")) {
	case "", "nt authority":
		return serviceAccounts[strings.ToLower(account.Text("accountName"))]
	}
	return ""
}

// accountKeys are the keys of a userAccount. An account that exists on every machine is one of its device
// alone, and where no device is known only suggests itself.
func accountKeys(account format.Object, d *device) (list []graph.Key, builtIn bool) {
	k := keys{kind: graph.KindIdentity}
	sid := sidOf(account)
	k.add(graph.KeyAzureADUserID, account.Text("azureAdUserId"))
	k.add(graph.KeySID, sid)
	builtIn = len(k.list) == 0 && graph.IsBuiltInSID(sid)
	k.add(graph.KeyUserPrincipalName, account.Text("userPrincipalName"))
	if !builtIn {
		if domain, name := account.Text("domainName"), account.Text("accountName"); domain != "" && name != "" {
			k.add(graph.KeyAccountName, domain+`\`+name)
		}
		return k.list, false
	}
	n := len(k.list)
	k.onDevice(graph.KeyMdeAccount, graph.KeyAadAccount, d, sid)
	if len(k.list) == n {
		k.add(graph.KeyBuiltInSID, sid)
	}
	return k.list, true
}

// account notes the identity of a userAccount.
func (p *projector) account(account format.Object, d *device) graph.ID {
	keys, _ := accountKeys(account, d)
	return p.entity(keys, scalars(account))
}

func (p *projector) user(o format.Object) graph.ID {
	d := p.onlyDevice()
	id := p.account(o.Object("userAccount"), d)
	if d != nil {
		p.edge(graph.EdgeLoggedOn, id, d.id, true)
	}
	return id
}

func (p *projector) hostSession(o format.Object) graph.ID {
	host := deviceKeys(o.Object("host"))
	deviceID := p.entity(host, scalars(o.Object("host")))
	d := p.sessionDevice(host, deviceID)
	k := keys{kind: graph.KindLogonSession}
	if d != nil {
		k.onDevice(graph.KeyMdeSession, graph.KeyAadSession, d, o.Text("sessionId"))
		k.scoped(graph.KeyHostSession, d.home, o.Text("sessionId"))
	}
	id := p.entity(k.list, scalars(o))
	account := p.account(o.Object("account").Object("userAccount"), d)
	first, last := p.span(o)
	p.edgeBetween(graph.EdgeLoggedOn, account, deviceID, false, first, last)
	p.edgeBetween(graph.EdgeOfSession, id, account, false, first, last)
	return id
}

// sessionDevice is the device a session names, with the ids the alert knows of it.
func (p *projector) sessionDevice(host []graph.Key, id graph.ID) *device {
	if id.IsZero() {
		return nil
	}
	if d := p.deviceByID(id); d != nil {
		return d
	}
	home, _, _ := graph.HomeAndClaims(host)
	d := &device{id: id, home: home.Value}
	for _, k := range host {
		switch k.Type {
		case graph.KeyMdeDeviceID:
			d.mde = k.Value
		case graph.KeyAzureADDeviceID:
			d.aad = k.Value
		}
	}
	return d
}

func (p *projector) cloudSession(o format.Object) graph.ID {
	k := keys{kind: graph.KindCloudSession}
	k.add(graph.KeySessionID, o.Text("sessionId"))
	id := p.entity(k.list, scalars(o))
	account := p.account(o.Object("account").Object("userAccount"), p.onlyDevice())
	first, last := p.span(o)
	p.edgeBetween(graph.EdgeOfSession, id, account, false, first, last)
	return id
}

func (p *projector) cloudApplication(o format.Object) graph.ID {
	k := keys{kind: graph.KindCloudApplication}
	instance := o.Text("instanceId")
	if instance == "" {
		instance = "0"
	}
	k.scoped(graph.KeyAppInstance, o.Text("appId"), instance)
	k.add(graph.KeyAppID, o.Text("appId"))
	k.add(graph.KeyDisplayName, o.Text("displayName"))
	id := p.entity(k.list, scalars(o))
	if len(p.users) == 1 {
		p.edge(graph.EdgeSignedInTo, p.users[0], id, true)
	}
	return id
}

func (p *projector) pod(o format.Object) graph.ID {
	k := keys{kind: graph.KindContainer}
	k.scoped(graph.KeyName, o.Object("namespace").Text("name")+"/"+o.Text("name"))
	if o.Text("name") == "" {
		return graph.ID{}
	}
	return p.entity(k.list, scalars(o))
}
