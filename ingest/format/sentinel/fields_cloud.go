package sentinel

import (
	"strings"

	"github.com/clew-security/clew/ingest/format"
)

func (m mapper) cloudApplication(o format.Object) body {
	return body{}.Texts(o, "displayName", "Name", "instanceName", "InstanceName").
		Numbers(o, "appId", "AppId", "saasAppId", "SaasId", "instanceId", "InstanceId")
}

func (m mapper) oauthApplication(o format.Object) body {
	return body{}.Texts(o, "appId", "OAuthAppId", "objectId", "OAuthObjectId", "displayName", "Name",
		"publisher", "PublisherName")
}

func (m mapper) servicePrincipal(o format.Object) body {
	return body{}.Texts(o, "servicePrincipalName", "ServicePrincipalName", "servicePrincipalObjectId",
		"ServicePrincipalObjectId", "appId", "AppId", "appOwnerTenantId", "AppOwnerTenantId", "tenantId", "TenantId").
		Enums(o, "servicePrincipalType", "ServicePrincipalType")
}

func (m mapper) cloudSession(o format.Object) body {
	b := body{}.Texts(o, "sessionId", "SessionId", "userAgent", "UserAgent", "browser", "Browser",
		"deviceName", "DeviceName", "operatingSystem", "OperatingSystem", "protocol", "Protocol")
	b.Instants(o, "startUtcDateTime", "StartTimeUtc", "previousLogonDateTime", "PreviousLogonTimeUtc")
	m.nested(b, "account", o, "Account")
	return b
}

// nested sets a field to the evidence made of a nested entity.
func (m mapper) nested(b body, name string, o format.Object, key string) {
	child := m.object(o, key)
	kind, ok := mappingOf(child)
	if ok {
		b[name] = m.base(kind.fields(m, child), child, kind.evidence)
	}
}

// mappingOf picks only types that never nest further evidence, so that a circle of references ends here.
func mappingOf(o format.Object) (mapping, bool) {
	switch typeOf(o) {
	case "account":
		return mapping{"userEvidence", mapper.user}, true
	case "host":
		return mapping{"deviceEvidence", mapper.device}, true
	case "ip":
		return mapping{"ipEvidence", mapper.ip}, true
	case "file":
		return mapping{"fileEvidence", mapper.file}, true
	case "process":
		return mapping{"processEvidence", mapper.process}, true
	}
	return mapping{}, false
}

// nestedList sets a field to the evidence made of each entity of a list.
func (m mapper) nestedList(b body, name string, o format.Object, key string) {
	var list []any
	for _, child := range m.objects(o, key) {
		if kind, ok := mappingOf(child); ok {
			list = append(list, m.base(kind.fields(m, child), child, kind.evidence))
		}
	}
	b.Set(name, list)
}

func (m mapper) cloudRequest(o format.Object) body { return body{}.Texts(o, "requestId", "RequestId") }

func (m mapper) hostSession(o format.Object) body {
	b := body{}.Texts(o, "sessionId", "SessionId").
		Instants(o, "startUtcDateTime", "StartTimeUtc", "endUtcDateTime", "EndTimeUtc")
	m.nested(b, "account", o, "Account")
	m.nested(b, "host", o, "Host")
	return b
}

func (m mapper) malware(o format.Object) body {
	b := body{}.Texts(o, "name", "Name", "category", "Category")
	m.nestedList(b, "files", o, "Files")
	m.nestedList(b, "processes", o, "Processes")
	return b
}

func (m mapper) dns(o format.Object) body {
	b := body{}.Texts(o, "domainName", "DomainName")
	m.nested(b, "dnsServerIp", o, "DnsServerIp")
	m.nested(b, "hostIpAddress", o, "HostIpAddress")
	m.nestedList(b, "ipAddresses", o, "IpAddresses")
	return b
}

func (m mapper) connection(o format.Object) body {
	b := body{}.Numbers(o, "sourcePort", "SourcePort", "destinationPort", "DestinationPort").
		Enums(o, "protocol", "Protocol")
	m.nested(b, "sourceAddress", o, "SourceAddress")
	m.nested(b, "destinationAddress", o, "DestinationAddress")
	return b
}

func (m mapper) azureResource(o format.Object) body {
	b := body{}.Texts(o, "resourceId", "ResourceId", "resourceName", "ResourceName", "resourceType", "ResourceType")
	if segments := strings.Split(o.Text("ResourceId"), "/"); b["resourceName"] == nil && len(segments) > 1 {
		b.Set("resourceName", segments[len(segments)-1])
	}
	return b
}

func (m mapper) amazonResource(o format.Object) body {
	return body{}.Texts(o, "amazonResourceId", "AmazonResourceId", "amazonAccountId", "AmazonAccountId",
		"resourceName", "ResourceName", "resourceType", "ResourceType")
}

func (m mapper) googleResource(o format.Object) body {
	return body{}.Texts(o, "fullResourceName", "FullResourceName", "projectId", "ProjectId", "location", "Location",
		"resourceName", "ResourceName", "resourceType", "ResourceType").
		Enums(o, "locationType", "LocationType").Numbers(o, "projectNumber", "ProjectNumber")
}

func (m mapper) securityGroup(o format.Object) body {
	return body{}.Texts(o, "displayName", "DisplayName", "distinguishedName", "DistinguishedName",
		"friendlyName", "FriendlyName", "sid", "SID", "sid", "Sid", "activeDirectoryObjectGuid", "ObjectGuid",
		"securityGroupId", "AadId")
}

func (m mapper) iotDevice(o format.Object) body {
	b := body{}.Texts(o, "deviceId", "DeviceId", "deviceName", "DeviceName", "manufacturer", "Manufacturer",
		"model", "Model", "operatingSystem", "OperatingSystem", "macAddress", "MacAddress", "deviceType", "DeviceType",
		"deviceSubType", "DeviceSubType", "serialNumber", "SerialNumber", "site", "Site", "zone", "Zone",
		"sensor", "Sensor", "purdueLayer", "PurdueLayer", "source", "Source", "ioTSecurityAgentId", "IoTSecurityAgentId")
	b.Enums(o, "importance", "Importance")
	b.Set("owners", o.Texts("Owners"))
	b.Set("protocols", o.Texts("Protocols"))
	m.nested(b, "ipAddress", o, "IpAddress")
	return b
}

func (m mapper) mailboxConfiguration(o format.Object) body {
	return body{}.Texts(o, "configurationId", "ConfigurationId", "displayName", "DisplayName",
		"mailboxPrimaryAddress", "MailboxPrimaryAddress", "upn", "Upn",
		"externalDirectoryObjectId", "ExternalDirectoryObjectId").Enums(o, "configurationType", "ConfigurationType")
}

func (m mapper) container(o format.Object) body {
	return body{}.Texts(o, "containerId", "ContainerId", "name", "Name")
}
