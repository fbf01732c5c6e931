package model

// The evidence types of assets and messages, named and read as in Microsoft Graph Security v1.0: a field is the body's field of
// the same name in any case, empty where that is missing or of another JSON type.
type (
	// DeviceEvidence is a device.
	DeviceEvidence struct {
		EvidenceBase
		MdeDeviceID, AzureADDeviceID, DeviceDNSName, HostName, DNSDomain, NTDomain       string
		OSPlatform, Version, HealthStatus, OnboardingStatus, RiskScore, DefenderAVStatus string
		RBACGroupName, LastIPAddress, LastExternalIPAddress                              string
		OSBuild                                                                          *int64
		RBACGroupID                                                                      *int32
		FirstSeenDateTime                                                                Instant
		IPInterfaces                                                                     []Word
		LoggedOnUsers                                                                    []LoggedOnUser
		ResourceAccessEvents                                                             []ResourceAccessEvent
		VMMetadata                                                                       *VmMetadata
	}
	// UserEvidence is a user account.
	UserEvidence struct {
		EvidenceBase
		UserAccount *UserAccount
		Stream      *EvidenceStream
	}
	// MailboxEvidence is a mailbox.
	MailboxEvidence struct {
		EvidenceBase
		DisplayName, PrimaryAddress, UPN string
		UserAccount                      *UserAccount
	}
	// AnalyzedMessageEvidence is a message.
	AnalyzedMessageEvidence struct {
		EvidenceBase
		NetworkMessageID, InternetMessageID, Subject, SenderIP, RecipientEmailAddress string
		AntiSpamDirection, DeliveryAction, DeliveryLocation, Language, URN            string
		P1Sender, P2Sender                                                            *EmailSender
		ReceivedDateTime                                                              Instant
		Threats, ThreatDetectionMethods, URLs                                         []Word
		URLCount, AttachmentsCount                                                    *int64
	}
	// MailClusterEvidence is messages that belong together.
	MailClusterEvidence struct {
		EvidenceBase
		ClusterBy, ClusterByValue, Query, URN string
		EmailCount                            *int64
		NetworkMessageIDs                     []Word
	}
	// FileEvidence is a file.
	FileEvidence struct {
		EvidenceBase
		FileDetails                  *FileDetails
		DetectionStatus, MdeDeviceID string
	}
	// ProcessEvidence is a process.
	ProcessEvidence struct {
		EvidenceBase
		ProcessID, ParentProcessID                             *int64
		ProcessCommandLine, DetectionStatus, MdeDeviceID       string
		ProcessCreationDateTime, ParentProcessCreationDateTime Instant
		ImageFile, ParentProcessImageFile                      *FileDetails
		UserAccount                                            *UserAccount
	}
	// IpEvidence is an IP address.
	IpEvidence struct {
		EvidenceBase
		IPAddress, CountryLetterCode string
		Location                     *GeoLocation
		Stream                       *EvidenceStream
	}
	// UrlEvidence is a URL.
	UrlEvidence struct {
		EvidenceBase
		URL string
	}
)
