package scenario

import (
	"strconv"
	"strings"
	"time"
)

// object is one entity of a SecurityAlert; encoding/json sorts its names.
type object = map[string]any

// entityList numbers entities as the table does: "$id" from 2, nested ones again at the top level by "$ref".
type entityList struct {
	from   product
	tenant string
	last   int
	all    []any
	refs   []any
	files  map[string]object
}

// sentinelEntities turns Graph evidence into the entities of a SecurityAlert.
func sentinelEntities(from product, tenant string, es []evidence) []any {
	l := &entityList{from: from, tenant: tenant, last: 1, files: map[string]object{}}
	for _, e := range es {
		o := l.entity(e)
		if o == nil {
			continue
		}
		if _, again := o["$ref"]; !again && from.prefix != "da" && from.prefix != "ad" {
			judge(o, e.head())
		}
		l.all = append(l.all, o)
		l.all, l.refs = append(l.all, l.refs...), nil
	}
	return l.all
}

// judge adds what the suite's connector says of each entity.
func judge(o object, b *base) {
	at := time.Time(b.Created).UTC().Format("2006-01-02T15:04:05.9999999")
	verdict := upperFirst(b.Verdict)
	o["CreatedTimeUtc"], o["LastVerdict"] = at, verdict
	o["ThreatAnalysisSummary"] = []any{object{"AnalyzersResult": []any{}, "Verdict": verdict, "AnalysisDate": at}}
	var roles []string
	for _, r := range b.Roles {
		roles = append(roles, upperFirst(r))
	}
	if roles != nil {
		o["Roles"] = roles
	}
}

func (l *entityList) new(typ string) object {
	l.last++
	return object{"$id": strconv.Itoa(l.last), "Type": typ}
}

func (l *entityList) ref(o object) object { return object{"$ref": o["$id"]} }

func (l *entityList) entity(e evidence) object {
	switch e := e.(type) {
	case *deviceEvidence:
		return l.host(e)
	case *userEvidence:
		return l.account(e.UserAccount)
	case *ipEvidence:
		return l.ip(e)
	case *urlEvidence:
		return set(l.new("url"), "Url", e.URL)
	case *fileEvidence:
		return l.file(e.FileDetails)
	case *processEvidence:
		return l.process(e)
	case *registryValueEvidence:
		return l.registryValue(e)
	case *securityGroupEvidence:
		return set(l.new("security-group"), "DistinguishedName", "CN="+e.DisplayName, "SID", e.SID, "ObjectGuid", e.SecurityGroupID)
	case *cloudApplicationEvidence:
		return set(l.new("cloud-application"), "AppId", e.AppID, "SaasId", e.SaasAppID, "Name", e.DisplayName,
			"InstanceName", e.InstanceName, "InstanceId", e.InstanceID)
	}
	return l.cloudOrMail(e)
}

func (l *entityList) cloudOrMail(e evidence) object {
	switch e := e.(type) {
	case *cloudLogonSessionEvidence:
		o := l.new("cloud-logon-session")
		if len(l.all) > 0 { // the account comes first and is referred to
			set(o, "Account", l.ref(l.all[0].(object)))
		}
		return set(o, "SessionId", e.SessionID, "UserAgent", e.UserAgent,
			"StartTimeUtc", time.Time(e.Start).UTC().Format("2006-01-02T15:04:05.9999999Z"))
	case *cloudLogonRequestEvidence:
		return set(l.new("cloud-logon-request"), "RequestId", e.RequestID)
	case *mailboxEvidence:
		return set(l.new("mailbox"), "MailboxPrimaryAddress", e.PrimaryAddress, "DisplayName", e.DisplayName,
			"Upn", e.Upn, "AadId", e.UserAccount.AzureADUserID)
	case *analyzedMessageEvidence:
		return l.message(e)
	case *mailClusterEvidence:
		return set(l.new("mailCluster"), "NetworkMessageIds", e.NetworkMessageIDs, "Query", e.Query, "MailCount", e.EmailCount,
			"ClusterBy", e.ClusterBy, "ClusterByValue", e.ClusterByValue, "Urn", e.Urn)
	}
	return nil
}

// set adds names and values, leaving out empty texts.
func set(o object, pairs ...any) object {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" && v != text("") {
			o[pairs[i].(string)] = v
		}
	}
	return o
}

func (l *entityList) host(e *deviceEvidence) object {
	o := set(l.new("host"), "DnsDomain", e.DNSDomain, "HostName", e.HostName, "FQDN", e.DeviceDNSName, "OSFamily", "Unknown",
		"OSVersion", e.Version, "MdatpDeviceId", e.MdeDeviceID, "AadDeviceId", e.AzureADDeviceID)
	o["LoggedOnUsers"] = []any{}
	if e.MdeDeviceID == "" {
		return o
	}
	var on []any
	for _, u := range e.LoggedOnUsers {
		on = append(on, object{"AccountName": u.AccountName, "DomainName": u.DomainName})
	}
	if on != nil {
		o["LoggedOnUsers"] = on
	}
	return set(o, "OSFamily", "Windows", "RiskScore", upperFirst(e.RiskScore), "HealthStatus", upperFirst(e.HealthStatus),
		"LastExternalIpAddress", e.LastExternalIP, "LastIpAddress", e.LastIP, "AvStatus", upperFirst(e.AvStatus),
		"OnboardingStatus", upperFirst(e.OnboardingStatus))
}

// account names the user by what the connector knows: Entra ID Protection the Entra id alone.
func (l *entityList) account(a userAccount) object {
	o := l.new("account")
	switch l.from.prefix {
	case "ad":
		return set(o, "AadTenantId", l.tenant, "AadUserId", a.AzureADUserID)
	case "da":
		return set(o, "Name", a.AccountName, "NTDomain", a.DomainName, "Sid", a.UserSID, "AadUserId", a.AzureADUserID,
			"IsDomainJoined", true, "Asset", true, "UserPrincipalName", a.UserPrincipalName)
	}
	o = set(o, "Name", a.DisplayName, "Sid", a.UserSID, "AadUserId", a.AzureADUserID, "IsDomainJoined", true,
		"UserPrincipalName", a.UserPrincipalName, "AccountName", a.AccountName)
	if a.DomainName != "" {
		set(o, "DomainName", adDomain)
	}
	if _, suffix, ok := strings.Cut(string(a.UserPrincipalName), "@"); ok {
		set(o, "UPNSuffix", suffix)
	}
	return o
}

func (l *entityList) ip(e *ipEvidence) object {
	o := set(l.new("ip"), "Address", e.IPAddress)
	if e.Location != nil {
		o["Location"] = set(object{}, "CountryCode", e.CountryLetterCode, "State", e.Location.State, "City", e.Location.City)
	}
	return o
}

// file gives a content its "$id" once and refers to it after that.
func (l *entityList) file(f fileDetails) object {
	key := string(f.FilePath) + `\` + f.FileName + string(f.SHA256)
	if o, seen := l.files[key]; seen {
		return l.ref(o)
	}
	o := set(l.new("file"), "Directory", f.FilePath, "Name", f.FileName)
	l.files[key] = o
	var hashes []any
	for _, h := range [][2]string{{"SHA1", string(f.SHA1)}, {"MD5", string(f.MD5)}, {"SHA256", string(f.SHA256)}} {
		if h[1] != "" {
			hash := set(l.new("filehash"), "Algorithm", h[0], "Value", h[1])
			hashes, l.refs = append(hashes, hash), append(l.refs, l.ref(hash))
		}
	}
	if hashes != nil {
		o["FileHashes"] = hashes
	}
	return o
}

func (l *entityList) process(e *processEvidence) object {
	o := set(l.new("process"), "ProcessId", strconv.Itoa(e.ProcessID), "CommandLine", e.CommandLine, "ElevationToken", "Default")
	born := time.Time(e.CreationTime).UTC().Format("2006-01-02T15:04:05.9999999Z")
	set(o, "CreationTimeUtc", born, "CreatedTimeUtc", born, "ImageFile", l.nested(e.ImageFile))
	if e.ParentID != nil {
		parent := set(l.new("process"), "ProcessId", strconv.Itoa(*e.ParentID), "ImageFile", l.nested(*e.ParentImage))
		at := time.Time(e.ParentCreation).UTC().Format("2006-01-02T15:04:05.9999999Z")
		set(parent, "CreationTimeUtc", at, "CreatedTimeUtc", at)
		o["ParentProcess"] = parent
		l.refs = append(l.refs, l.ref(parent))
	}
	return o
}

// nested is a file inside another entity, repeated at the top level by reference.
func (l *entityList) nested(f fileDetails) object {
	o := l.file(f)
	if _, again := o["$ref"]; !again {
		l.refs = append(l.refs, l.ref(o))
	}
	return o
}

func (l *entityList) registryValue(e *registryValueEvidence) object {
	key := set(l.new("registry-key"), "Hive", e.Hive, "Key", e.Key)
	l.refs = append(l.refs, l.ref(key))
	return set(l.new("registry-value"), "Key", key, "Name", e.ValueName, "Value", e.Value, "ValueType", e.ValueType)
}

func (l *entityList) message(e *analyzedMessageEvidence) object {
	return set(l.new("mailMessage"), "Recipient", e.RecipientEmailAddress, "Urls", e.Urls, "Threats", e.Threats,
		"Sender", e.P1Sender.EmailAddress, "P1Sender", e.P1Sender.EmailAddress, "P1SenderDomain", e.P1Sender.DomainName,
		"SenderIP", e.SenderIP, "P2Sender", e.P2Sender.EmailAddress, "P2SenderDisplayName", e.P2Sender.DisplayName,
		"P2SenderDomain", e.P2Sender.DomainName, "ReceivedDate", time.Time(e.Received).UTC().Format("2006-01-02T15:04:05"),
		"NetworkMessageId", e.NetworkMessageID, "InternetMessageId", e.InternetMessageID, "Subject", e.Subject,
		"AntispamDirection", upperFirst(e.AntiSpamDirection), "DeliveryAction", upperFirst(e.DeliveryAction),
		"DeliveryLocation", upperFirst(e.DeliveryLocation), "Language", e.Language, "ThreatDetectionMethods", e.ThreatDetectionMethods)
}
