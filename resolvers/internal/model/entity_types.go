package model

import "github.com/clew-security/clew/graph"

// The types of entity by kind. A field is the entity's property or key of the same name in any case, empty
// where that is missing or of another JSON type.
type (
	// Device is a computer, phone or other device.
	Device struct {
		EntityBase
		MdeDeviceID, AzureADDeviceID, DNSName, HostName, OSPlatform, Version    string
		HealthStatus, OnboardingStatus, RiskScore, RBACGroupName, LastIPAddress string
		LastExternalIPAddress                                                   string
	}
	// Identity is a user account.
	Identity struct {
		EntityBase
		AzureADUserID, SID, UserPrincipalName, AccountName string
	}
	// Mailbox is a mailbox.
	Mailbox struct {
		EntityBase
		PrimaryAddress, UPN string
	}
	// MailMessage is a message; a delivered copy of it is one of its own.
	MailMessage struct {
		EntityBase
		NetworkMessageID, InternetMessageID, Subject, RecipientEmailAddress, SenderIP string
		DeliveryAction, DeliveryLocation                                              string
		ReceivedDateTime                                                              Instant
	}
	// MailCluster is messages that belong together by a query.
	MailCluster struct {
		EntityBase
		ClusterBy, ClusterByValue, Query string
		EmailCount                       *int64
	}
	// File is a file by its content, or by device and path where no hash is known.
	File struct {
		EntityBase
		SHA256, SHA1, MD5, FileName, FilePath, FilePublisher, Signer string
		FileSize                                                     *int64
	}
	// Process is one run of a program on one device.
	Process struct {
		EntityBase
		ProcessID               *int64
		ProcessCommandLine      string
		ProcessCreationDateTime Instant
	}
	// IpAddress is an IP address.
	IpAddress struct {
		EntityBase
		IPAddress, PrivateIPAddress, CountryLetterCode string
	}
	// Url is a URL.
	Url struct {
		EntityBase
		URL string
	}
	// Domain is a DNS domain.
	Domain struct {
		EntityBase
		DomainName string
	}
	// RegistryKey is a key of a Windows registry.
	RegistryKey struct {
		EntityBase
		RegistryHive, RegistryKey string
	}
	// RegistryValue is a value of a Windows registry.
	RegistryValue struct {
		EntityBase
		RegistryHive, RegistryKey, RegistryValueName, RegistryValue, RegistryValueType string
	}
	// SecurityGroup is a group that rights are given to.
	SecurityGroup struct {
		EntityBase
		SecurityGroupID, ActiveDirectoryObjectGUID, SID, DistinguishedName string
	}
	// CloudApplication is a cloud application (SaaS).
	CloudApplication struct {
		EntityBase
		AppID, InstanceName string
		InstanceID          *int64
	}
	// OauthApplication is an OAuth application.
	OauthApplication struct {
		EntityBase
		AppID, ObjectID, Publisher string
	}
	// ServicePrincipal is a service principal or managed identity.
	ServicePrincipal struct {
		EntityBase
		ServicePrincipalObjectID, AppID, ServicePrincipalName, ServicePrincipalType string
	}
	// CloudResource is a resource in Azure, AWS or Google Cloud.
	CloudResource struct {
		EntityBase
		ResourceID, ResourceName, ResourceType string
	}
	// Software is a software product.
	Software struct {
		EntityBase
		SoftwareID, Name, Version, Vendor string
	}
	// Vulnerability is a vulnerability (CVE).
	Vulnerability struct {
		EntityBase
		CVEID string
	}
	// Indicator is an indicator of compromise.
	Indicator struct {
		EntityBase
		StixID, Pattern string
	}
	// LogonSession is a logon session on a device.
	LogonSession struct {
		EntityBase
		SessionID                        string
		StartUTCDateTime, EndUTCDateTime Instant
	}
	// CloudSession is a session in the cloud.
	CloudSession struct {
		EntityBase
		SessionID, UserAgent, Browser, OperatingSystem, DeviceName string
	}
	// Campaign is a campaign of attacks.
	Campaign struct {
		EntityBase
		StixID, Name string
	}
	// ThreatActor is a threat actor.
	ThreatActor struct {
		EntityBase
		StixID, Name string
	}
	// Malware is a malware family or sample.
	Malware struct {
		EntityBase
		StixID, Name, Category string
	}
	// Technique is an ATT&CK technique.
	Technique struct {
		EntityBase
		TechniqueID, Name string
	}
	// Container is a container.
	Container struct {
		EntityBase
		ContainerID, Name string
	}
	// OtherEntity is what has no kind of its own.
	OtherEntity struct {
		EntityBase
		OtherID string
	}
)

// entityTypes make the empty value of a kind.
var entityTypes = map[graph.Kind]func() Entity{
	graph.KindDevice:           func() Entity { return new(Device) },
	graph.KindIdentity:         func() Entity { return new(Identity) },
	graph.KindMailbox:          func() Entity { return new(Mailbox) },
	graph.KindMailMessage:      func() Entity { return new(MailMessage) },
	graph.KindMailCluster:      func() Entity { return new(MailCluster) },
	graph.KindFile:             func() Entity { return new(File) },
	graph.KindProcess:          func() Entity { return new(Process) },
	graph.KindIPAddress:        func() Entity { return new(IpAddress) },
	graph.KindURL:              func() Entity { return new(Url) },
	graph.KindDomain:           func() Entity { return new(Domain) },
	graph.KindRegistryKey:      func() Entity { return new(RegistryKey) },
	graph.KindRegistryValue:    func() Entity { return new(RegistryValue) },
	graph.KindSecurityGroup:    func() Entity { return new(SecurityGroup) },
	graph.KindCloudApplication: func() Entity { return new(CloudApplication) },
	graph.KindOAuthApplication: func() Entity { return new(OauthApplication) },
	graph.KindServicePrincipal: func() Entity { return new(ServicePrincipal) },
	graph.KindCloudResource:    func() Entity { return new(CloudResource) },
	graph.KindSoftware:         func() Entity { return new(Software) },
	graph.KindVulnerability:    func() Entity { return new(Vulnerability) },
	graph.KindIndicator:        func() Entity { return new(Indicator) },
	graph.KindLogonSession:     func() Entity { return new(LogonSession) },
	graph.KindCloudSession:     func() Entity { return new(CloudSession) },
	graph.KindCampaign:         func() Entity { return new(Campaign) },
	graph.KindThreatActor:      func() Entity { return new(ThreatActor) },
	graph.KindMalware:          func() Entity { return new(Malware) },
	graph.KindTechnique:        func() Entity { return new(Technique) },
	graph.KindContainer:        func() Entity { return new(Container) },
	graph.KindOther:            func() Entity { return new(OtherEntity) },
}
