package model

// The parts of evidence, named and read as in Microsoft Graph Security v1.0.
type (
	// UserAccount is an account (userAccount).
	UserAccount struct {
		AccountName, DomainName, DisplayName, UserPrincipalName, AzureADUserID, UserSID string
		ActiveDirectoryObjectGUID, TenantID                                             string
		ResourceAccessEvents                                                            []ResourceAccessEvent
	}
	// ResourceAccessEvent is one access to a resource (resourceAccessEvent).
	ResourceAccessEvent struct {
		AccessDateTime                           Instant
		AccountID, IPAddress, ResourceIdentifier string
	}
	// LoggedOnUser is somebody logged on to a device (loggedOnUser).
	LoggedOnUser struct {
		AccountName, DomainName string
	}
	// VmMetadata is a virtual machine (vmMetadata).
	VmMetadata struct {
		CloudProvider, ResourceID, SubscriptionID, VMID string
	}
	// EvidenceStream is a stream (stream).
	EvidenceStream struct {
		Name string
	}
	// EmailSender is a sender (emailSender).
	EmailSender struct {
		DisplayName, EmailAddress, DomainName string
	}
	// FileDetails is a file (fileDetails).
	FileDetails struct {
		FileName, FilePath, FilePublisher, Signer, Issuer, SHA256, SHA1, MD5, SHA256Ac string
		FileSize                                                                       *int64
	}
	// GeoLocation is a place on earth (geoLocation).
	GeoLocation struct {
		City, State, CountryName string
		Latitude, Longitude      *float64
	}
)

// evidenceTypes make the empty value to read a body into.
var evidenceTypes = map[string]func() Evidence{
	"deviceEvidence":                func() Evidence { return new(DeviceEvidence) },
	"userEvidence":                  func() Evidence { return new(UserEvidence) },
	"mailboxEvidence":               func() Evidence { return new(MailboxEvidence) },
	"analyzedMessageEvidence":       func() Evidence { return new(AnalyzedMessageEvidence) },
	"mailClusterEvidence":           func() Evidence { return new(MailClusterEvidence) },
	"fileEvidence":                  func() Evidence { return new(FileEvidence) },
	"processEvidence":               func() Evidence { return new(ProcessEvidence) },
	"ipEvidence":                    func() Evidence { return new(IpEvidence) },
	"urlEvidence":                   func() Evidence { return new(UrlEvidence) },
	"registryKeyEvidence":           func() Evidence { return new(RegistryKeyEvidence) },
	"registryValueEvidence":         func() Evidence { return new(RegistryValueEvidence) },
	"securityGroupEvidence":         func() Evidence { return new(SecurityGroupEvidence) },
	"cloudApplicationEvidence":      func() Evidence { return new(CloudApplicationEvidence) },
	"oauthApplicationEvidence":      func() Evidence { return new(OauthApplicationEvidence) },
	"servicePrincipalEvidence":      func() Evidence { return new(ServicePrincipalEvidence) },
	"malwareEvidence":               func() Evidence { return new(MalwareEvidence) },
	"cloudLogonSessionEvidence":     func() Evidence { return new(CloudLogonSessionEvidence) },
	"cloudLogonRequestEvidence":     func() Evidence { return new(CloudLogonRequestEvidence) },
	"hostLogonSessionEvidence":      func() Evidence { return new(HostLogonSessionEvidence) },
	"dnsEvidence":                   func() Evidence { return new(DnsEvidence) },
	"networkConnectionEvidence":     func() Evidence { return new(NetworkConnectionEvidence) },
	"mailboxConfigurationEvidence":  func() Evidence { return new(MailboxConfigurationEvidence) },
	"azureResourceEvidence":         func() Evidence { return new(AzureResourceEvidence) },
	"amazonResourceEvidence":        func() Evidence { return new(AmazonResourceEvidence) },
	"googleCloudResourceEvidence":   func() Evidence { return new(GoogleCloudResourceEvidence) },
	"fileHashEvidence":              func() Evidence { return new(FileHashEvidence) },
	"activeDirectoryDomainEvidence": func() Evidence { return new(ActiveDirectoryDomainEvidence) },
	"containerEvidence":             func() Evidence { return new(ContainerEvidence) },
}
