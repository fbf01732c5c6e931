package model

// The evidence types of all else, named and read as in Microsoft Graph Security v1.0: a field is the body's field of
// the same name in any case, empty where that is missing or of another JSON type.
type (
	// RegistryKeyEvidence is a key of a registry.
	RegistryKeyEvidence struct {
		EvidenceBase
		RegistryHive, RegistryKey string
	}
	// RegistryValueEvidence is a value of a registry.
	RegistryValueEvidence struct {
		EvidenceBase
		RegistryHive, RegistryKey, RegistryValueName, RegistryValue, RegistryValueType string
		MdeDeviceID                                                                    string
	}
	// SecurityGroupEvidence is a security group.
	SecurityGroupEvidence struct {
		EvidenceBase
		SecurityGroupID, DisplayName, FriendlyName, DistinguishedName string
		ActiveDirectoryObjectGUID, SID                                string
	}
	// CloudApplicationEvidence is a cloud application.
	CloudApplicationEvidence struct {
		EvidenceBase
		AppID, SaaSAppID, InstanceID *int64
		DisplayName, InstanceName    string
		Stream                       *EvidenceStream
	}
	// OauthApplicationEvidence is an OAuth application.
	OauthApplicationEvidence struct {
		EvidenceBase
		AppID, ObjectID, DisplayName, Publisher string
	}
	// ServicePrincipalEvidence is a service principal.
	ServicePrincipalEvidence struct {
		EvidenceBase
		ServicePrincipalObjectID, ServicePrincipalName, ServicePrincipalType, AppID string
		AppOwnerTenantID, TenantID                                                  string
	}
	// MalwareEvidence is malware.
	MalwareEvidence struct {
		EvidenceBase
		Name, Category string
		Files          []FileEvidence
		Processes      []ProcessEvidence
	}
	// CloudLogonSessionEvidence is a session in the cloud.
	CloudLogonSessionEvidence struct {
		EvidenceBase
		SessionID, Browser, UserAgent, DeviceName, OperatingSystem, Protocol string
		Account                                                              *UserEvidence
		StartUTCDateTime, PreviousLogonDateTime                              Instant
	}
	// CloudLogonRequestEvidence is a request to log on in the cloud.
	CloudLogonRequestEvidence struct {
		EvidenceBase
		RequestID string
	}
	// HostLogonSessionEvidence is a logon session on a device.
	HostLogonSessionEvidence struct {
		EvidenceBase
		SessionID                        string
		Account                          *UserEvidence
		Host                             *DeviceEvidence
		StartUTCDateTime, EndUTCDateTime Instant
	}
	// DnsEvidence is a resolved name.
	DnsEvidence struct {
		EvidenceBase
		DomainName                 string
		DNSServerIP, HostIPAddress *IpEvidence
		IPAddresses                []IpEvidence
	}
	// NetworkConnectionEvidence is a connection.
	NetworkConnectionEvidence struct {
		EvidenceBase
		Protocol                          string
		SourceAddress, DestinationAddress *IpEvidence
		SourcePort, DestinationPort       *int32
	}
	// MailboxConfigurationEvidence is a setting of a mailbox.
	MailboxConfigurationEvidence struct {
		EvidenceBase
		ConfigurationID, ConfigurationType, DisplayName, MailboxPrimaryAddress, UPN string
		ExternalDirectoryObjectID                                                   string
	}
	// AzureResourceEvidence is a resource in Azure.
	AzureResourceEvidence struct {
		EvidenceBase
		ResourceID, ResourceName, ResourceType string
	}
	// AmazonResourceEvidence is a resource in AWS.
	AmazonResourceEvidence struct {
		EvidenceBase
		AmazonAccountID, AmazonResourceID, ResourceName, ResourceType string
	}
	// GoogleCloudResourceEvidence is a resource in Google Cloud.
	GoogleCloudResourceEvidence struct {
		EvidenceBase
		ProjectID, FullResourceName, ResourceName, ResourceType, Location, LocationType string
		ProjectNumber                                                                   *int64
	}
	// FileHashEvidence is a hash.
	FileHashEvidence struct {
		EvidenceBase
		Algorithm, Value string
	}
	// ActiveDirectoryDomainEvidence is a domain of Active Directory.
	ActiveDirectoryDomainEvidence struct {
		EvidenceBase
		ActiveDirectoryDomainName string
		TrustedDomains            []ActiveDirectoryDomainEvidence
	}
	// ContainerEvidence is a container.
	ContainerEvidence struct {
		EvidenceBase
		ContainerID, Name string
		IsPrivileged      *bool
		Args, Command     []Word
	}
	// OtherEvidence is evidence that has no type of its own here, unknown types included; all of it is in raw.
	OtherEvidence struct {
		EvidenceBase
	}
)
