package sentinel

import (
	"encoding/json"
	"strings"

	"github.com/clew-security/clew/ingest/format"
)

func (m mapper) device(o format.Object) body {
	b := body{}.Texts(o, "hostName", "HostName", "deviceDnsName", "FQDN", "dnsDomain", "DnsDomain",
		"ntDomain", "NTDomain", "mdeDeviceId", "MdatpDeviceId", "azureAdDeviceId", "AadDeviceId",
		"osPlatform", "OSFamily", "version", "OSVersion", "rbacGroupName", "RbacGroupName")
	b.Enums(o, "healthStatus", "HealthStatus", "riskScore", "RiskScore", "onboardingStatus", "OnboardingStatus",
		"defenderAvStatus", "AvStatus")
	b.Numbers(o, "osBuild", "OsBuild", "rbacGroupId", "RbacGroupId")
	b.Instants(o, "firstSeenDateTime", "FirstSeenDateTime")
	b.Set("lastIpAddress", m.address(o, "LastIpAddress"))
	b.Set("lastExternalIpAddress", m.address(o, "LastExternalIpAddress"))
	if domain, host := o.Text("DnsDomain"), o.Text("HostName"); b["deviceDnsName"] == nil && domain != "" && host != "" {
		b["deviceDnsName"] = host + "." + domain
	}
	b.Set("vmMetadata", body{}.Texts(o, "resourceId", "AzureID", "vmId", "VmId"))
	var users []any
	for _, u := range m.objects(o, "LoggedOnUsers") {
		users = append(users, body{}.Texts(u, "accountName", "AccountName", "domainName", "DomainName"))
	}
	b.Set("loggedOnUsers", users)
	return b
}

// address reads an IP address that is a text or an entity.
func (m mapper) address(o format.Object, key string) string {
	if ip := m.object(o, key); ip != nil {
		return ip.Text("Address")
	}
	return o.Text(key)
}

func (m mapper) user(o format.Object) body { return body{"userAccount": m.account(o)} }

// account: some products put the display name into Name and the account's into AccountName.
func (m mapper) account(o format.Object) body {
	b := body{}.Texts(o, "displayName", "DisplayName", "userSid", "Sid", "azureAdUserId", "AadUserId",
		"userPrincipalName", "UserPrincipalName", "tenantId", "AadTenantId", "activeDirectoryObjectGuid", "ObjectGuid")
	name := o.Text("Name")
	b.Set("accountName", o.First("AccountName", "Name"))
	b.Set("domainName", o.First("DomainName", "NTDomain", "DnsDomain"))
	if b["displayName"] == nil && o.Text("AccountName") != "" {
		b.Set("displayName", name)
	}
	if b["userPrincipalName"] == nil {
		b.Set("userPrincipalName", principal(name, o.Text("UPNSuffix")))
	}
	return b
}

func principal(name, suffix string) string {
	switch {
	case strings.Contains(name, "@"):
		return name
	case name == "" || suffix == "" || strings.Contains(name, " "):
		return ""
	}
	return name + "@" + strings.TrimPrefix(suffix, "@")
}

func (m mapper) mailbox(o format.Object) body {
	b := body{}.Texts(o, "primaryAddress", "MailboxPrimaryAddress", "upn", "Upn", "displayName", "DisplayName")
	b.Set("userAccount", body{}.Texts(o, "azureAdUserId", "AadId", "userSid", "Sid", "userPrincipalName", "Upn",
		"displayName", "DisplayName"))
	return b
}

func (m mapper) message(o format.Object) body {
	b := body{}.Texts(o, "networkMessageId", "NetworkMessageId", "internetMessageId", "InternetMessageId",
		"recipientEmailAddress", "Recipient", "senderIp", "SenderIP", "subject", "Subject", "language", "Language",
		"urn", "Urn")
	b.Enums(o, "deliveryAction", "DeliveryAction", "deliveryLocation", "DeliveryLocation",
		"antiSpamDirection", "AntispamDirection")
	b.Instants(o, "receivedDateTime", "ReceivedDate")
	b.Set("p1Sender", sender(o, "P1Sender", ""))
	b.Set("p2Sender", sender(o, "P2Sender", o.Text("Sender")))
	b.Set("threats", o.Texts("Threats"))
	b.Set("threatDetectionMethods", o.Texts("ThreatDetectionMethods"))
	urls := o.Texts("Urls")
	for _, u := range m.objects(o, "Urls") {
		if s := u.Text("Url"); s != "" {
			urls = append(urls, s)
		}
	}
	b.Set("urls", urls)
	if n := len(urls); n > 0 {
		b["urlCount"] = n
	}
	if n := len(m.objects(o, "Files")); n > 0 {
		b["attachmentsCount"] = n
	}
	return b
}

func sender(o format.Object, prefix, otherwise string) body {
	b := body{}.Texts(o, "emailAddress", prefix, "displayName", prefix+"DisplayName", "domainName", prefix+"Domain")
	if b["emailAddress"] == nil {
		b.Set("emailAddress", otherwise)
	}
	return b
}

func (m mapper) cluster(o format.Object) body {
	b := body{}.Texts(o, "clusterBy", "ClusterBy", "clusterByValue", "ClusterByValue", "query", "Query", "urn", "Urn")
	b.Set("networkMessageIds", o.Texts("NetworkMessageIds"))
	return b.Numbers(o, "emailCount", "MailCount")
}

func (m mapper) submission(o format.Object) body {
	return body{}.Texts(o, "networkMessageId", "NetworkMessageId", "recipient", "Recipient", "sender", "Sender",
		"senderIp", "SenderIp", "subject", "Subject", "submissionId", "SubmissionId", "submitter", "Submitter",
		"reportType", "ReportType").Instants(o, "submissionDateTime", "SubmissionDate")
}

func (m mapper) file(o format.Object) body {
	b := body{"fileDetails": m.fileDetails(o)}
	b.Set("mdeDeviceId", m.deviceOf(o))
	return b
}

func (m mapper) fileDetails(o format.Object) body {
	b := body{}.Texts(o, "fileName", "Name", "filePath", "Directory", "filePublisher", "Publisher",
		"signer", "Signer", "issuer", "Issuer").Numbers(o, "fileSize", "SizeInBytes")
	for _, h := range m.objects(o, "FileHashes") {
		if name, ok := hashNames[strings.ToLower(h.Text("Algorithm"))]; ok {
			b.Set(name, strings.ToLower(h.Text("Value")))
		}
	}
	return b
}

// hashNames are the fields of fileDetails by algorithm.
var hashNames = map[string]string{"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha256ac": "sha256Ac"}

func (m mapper) fileHash(o format.Object) body {
	b := body{}.Texts(o, "value", "Value")
	b["algorithm"] = "unknown"
	b.Set("algorithm", strings.ToLower(o.Text("Algorithm")))
	return b
}

// deviceOf is the endpoint product's id of the host on which the source says that the thing is.
func (m mapper) deviceOf(o format.Object) string { return m.object(o, "Host").Text("MdatpDeviceId") }

func (m mapper) process(o format.Object) body {
	b := body{}.Texts(o, "processCommandLine", "CommandLine").Numbers(o, "processId", "ProcessId").
		Instants(o, "processCreationDateTime", "CreationTimeUtc")
	b.Set("mdeDeviceId", m.deviceOf(o))
	if f := m.object(o, "ImageFile"); f != nil {
		b.Set("imageFile", m.fileDetails(f))
	}
	if a := m.object(o, "Account"); a != nil {
		b.Set("userAccount", m.account(a))
	}
	if p := m.object(o, "ParentProcess"); p != nil {
		b.Numbers(p, "parentProcessId", "ProcessId").Instants(p, "parentProcessCreationDateTime", "CreationTimeUtc")
		if f := m.object(p, "ImageFile"); f != nil {
			b.Set("parentProcessImageFile", m.fileDetails(f))
		}
	}
	return b
}

func (m mapper) ip(o format.Object) body {
	b := body{}.Texts(o, "ipAddress", "Address")
	place := m.object(o, "Location")
	b.Set("countryLetterCode", place.Text("CountryCode"))
	geo := body{}.Texts(place, "city", "City", "state", "State", "countryName", "CountryName")
	for name, from := range map[string]string{"latitude": "Latitude", "longitude": "Longitude"} {
		if n, ok := place[from].(json.Number); ok {
			geo[name] = n
		}
	}
	b.Set("location", geo)
	return b
}

func (m mapper) url(o format.Object) body { return body{}.Texts(o, "url", "Url") }

func (m mapper) registryKey(o format.Object) body {
	return body{}.Texts(o, "registryHive", "Hive", "registryKey", "Key")
}

func (m mapper) registryValue(o format.Object) body {
	b := body{}.Texts(o, "registryValueName", "Name", "registryValue", "Value", "registryValueType", "ValueType")
	b.Texts(m.object(o, "Key"), "registryHive", "Hive", "registryKey", "Key")
	b.Set("mdeDeviceId", m.deviceOf(o))
	return b
}
