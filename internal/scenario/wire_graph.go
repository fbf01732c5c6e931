package scenario

import (
	"encoding/json"
	"time"
)

// The types of this file are the wire format of Microsoft Graph Security v1.0 (alerts_v2): names and order of
// fields as the service writes them, null where it knows nothing.

// text is a string that the wire shows as null when it is empty.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return compact(string(t))
}

// when is an instant with up to seven decimals, null when it is zero.
type when time.Time

func (w when) MarshalJSON() ([]byte, error) {
	if time.Time(w).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(w).UTC().Format("2006-01-02T15:04:05.9999999Z"))
}

// list is a collection of strings that the wire shows as [] when it is empty.
type list []string

func (l list) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("[]"), nil
	}
	return compact([]string(l))
}

type graphPage struct {
	Context string       `json:"@odata.context"`
	Count   int          `json:"@odata.count"`
	Value   []graphAlert `json:"value"`
}

type graphAlert struct {
	Type               string         `json:"@odata.type"`
	ID                 string         `json:"id"`
	ProviderAlertID    string         `json:"providerAlertId"`
	IncidentID         text           `json:"incidentId"`
	Status             string         `json:"status"`
	Severity           string         `json:"severity"`
	Classification     text           `json:"classification"`
	Determination      text           `json:"determination"`
	ServiceSource      string         `json:"serviceSource"`
	DetectionSource    string         `json:"detectionSource"`
	ProductName        string         `json:"productName"`
	DetectorID         string         `json:"detectorId"`
	TenantID           string         `json:"tenantId"`
	Title              string         `json:"title"`
	Description        string         `json:"description"`
	RecommendedActions string         `json:"recommendedActions"`
	Category           string         `json:"category"`
	AssignedTo         text           `json:"assignedTo"`
	AlertWebURL        string         `json:"alertWebUrl"`
	IncidentWebURL     text           `json:"incidentWebUrl"`
	ActorDisplayName   text           `json:"actorDisplayName"`
	ThreatDisplayName  text           `json:"threatDisplayName"`
	ThreatFamilyName   text           `json:"threatFamilyName"`
	MitreTechniques    list           `json:"mitreTechniques"`
	InvestigationState text           `json:"investigationState"`
	Created            when           `json:"createdDateTime"`
	LastUpdate         when           `json:"lastUpdateDateTime"`
	Resolved           when           `json:"resolvedDateTime"`
	FirstActivity      when           `json:"firstActivityDateTime"`
	LastActivity       when           `json:"lastActivityDateTime"`
	SystemTags         list           `json:"systemTags"`
	AlertPolicyID      text           `json:"alertPolicyId"`
	Comments           []graphComment `json:"comments"`
	Evidence           []evidence     `json:"evidence"`
}

type graphComment struct {
	Comment string `json:"comment"`
	By      string `json:"createdByDisplayName"`
	Created when   `json:"createdDateTime"`
}

// evidence is one of the evidence types below; head gives the fields they share.
type evidence interface{ head() *base }

type base struct {
	Type          string `json:"@odata.type"`
	Created       when   `json:"createdDateTime"`
	Verdict       string `json:"verdict"`
	Remediation   string `json:"remediationStatus"`
	Details       text   `json:"remediationStatusDetails"`
	Roles         list   `json:"roles"`
	DetailedRoles list   `json:"detailedRoles"`
	Tags          list   `json:"tags"`
}

func (b *base) head() *base { return b }

func newBase(typ string) base {
	return base{Type: "#microsoft.graph.security." + typ, Verdict: "unknown", Remediation: "none"}
}

type deviceEvidence struct {
	base
	FirstSeen        when           `json:"firstSeenDateTime"`
	MdeDeviceID      text           `json:"mdeDeviceId"`
	AzureADDeviceID  text           `json:"azureAdDeviceId"`
	DeviceDNSName    text           `json:"deviceDnsName"`
	HostName         text           `json:"hostName"`
	NtDomain         text           `json:"ntDomain"`
	DNSDomain        text           `json:"dnsDomain"`
	OsPlatform       text           `json:"osPlatform"`
	OsBuild          *int64         `json:"osBuild"`
	Version          text           `json:"version"`
	HealthStatus     string         `json:"healthStatus"`
	RiskScore        string         `json:"riskScore"`
	RbacGroupName    text           `json:"rbacGroupName"`
	OnboardingStatus string         `json:"onboardingStatus"`
	AvStatus         string         `json:"defenderAvStatus"`
	LastIP           text           `json:"lastIpAddress"`
	LastExternalIP   text           `json:"lastExternalIpAddress"`
	IPInterfaces     list           `json:"ipInterfaces"`
	LoggedOnUsers    []loggedOnUser `json:"loggedOnUsers"`
}

type loggedOnUser struct {
	AccountName string `json:"accountName"`
	DomainName  string `json:"domainName"`
}

type userAccount struct {
	AccountName       text `json:"accountName"`
	DomainName        text `json:"domainName"`
	UserSID           text `json:"userSid"`
	AzureADUserID     text `json:"azureAdUserId"`
	UserPrincipalName text `json:"userPrincipalName"`
	DisplayName       text `json:"displayName"`
}

type userEvidence struct {
	base
	UserAccount userAccount `json:"userAccount"`
}

type mailboxEvidence struct {
	base
	PrimaryAddress string      `json:"primaryAddress"`
	DisplayName    string      `json:"displayName"`
	Upn            string      `json:"upn"`
	UserAccount    userAccount `json:"userAccount"`
}

type mailboxConfigurationEvidence struct {
	base
	ConfigurationID       string `json:"configurationId"`
	ConfigurationType     string `json:"configurationType"`
	DisplayName           string `json:"displayName"`
	ExternalDirectoryID   string `json:"externalDirectoryObjectId"`
	MailboxPrimaryAddress string `json:"mailboxPrimaryAddress"`
	Upn                   string `json:"upn"`
}

type emailSender struct {
	EmailAddress string `json:"emailAddress"`
	DisplayName  text   `json:"displayName"`
	DomainName   string `json:"domainName"`
}

type analyzedMessageEvidence struct {
	base
	NetworkMessageID       string      `json:"networkMessageId"`
	InternetMessageID      string      `json:"internetMessageId"`
	Subject                string      `json:"subject"`
	Language               string      `json:"language"`
	SenderIP               string      `json:"senderIp"`
	RecipientEmailAddress  string      `json:"recipientEmailAddress"`
	AntiSpamDirection      string      `json:"antiSpamDirection"`
	DeliveryAction         string      `json:"deliveryAction"`
	DeliveryLocation       string      `json:"deliveryLocation"`
	Urn                    string      `json:"urn"`
	Threats                list        `json:"threats"`
	ThreatDetectionMethods list        `json:"threatDetectionMethods"`
	Urls                   list        `json:"urls"`
	URLCount               int         `json:"urlCount"`
	AttachmentsCount       int         `json:"attachmentsCount"`
	Received               when        `json:"receivedDateTime"`
	P1Sender               emailSender `json:"p1Sender"`
	P2Sender               emailSender `json:"p2Sender"`
}

type mailClusterEvidence struct {
	base
	ClusterBy         string `json:"clusterBy"`
	ClusterByValue    string `json:"clusterByValue"`
	EmailCount        int    `json:"emailCount"`
	NetworkMessageIDs list   `json:"networkMessageIds"`
	Query             string `json:"query"`
	Urn               string `json:"urn"`
}

type fileDetails struct {
	FileName      string `json:"fileName"`
	FilePath      text   `json:"filePath"`
	FileSize      *int64 `json:"fileSize"`
	FilePublisher text   `json:"filePublisher"`
	Signer        text   `json:"signer"`
	Issuer        text   `json:"issuer"`
	SHA1          text   `json:"sha1"`
	SHA256        text   `json:"sha256"`
	MD5           text   `json:"md5"`
}

type fileEvidence struct {
	base
	DetectionStatus text        `json:"detectionStatus"`
	MdeDeviceID     text        `json:"mdeDeviceId"`
	FileDetails     fileDetails `json:"fileDetails"`
}

type processEvidence struct {
	base
	DetectionStatus string       `json:"detectionStatus"`
	MdeDeviceID     string       `json:"mdeDeviceId"`
	ProcessID       int          `json:"processId"`
	CommandLine     string       `json:"processCommandLine"`
	CreationTime    when         `json:"processCreationDateTime"`
	ImageFile       fileDetails  `json:"imageFile"`
	ParentID        *int         `json:"parentProcessId"`
	ParentCreation  when         `json:"parentProcessCreationDateTime"`
	ParentImage     *fileDetails `json:"parentProcessImageFile"`
	UserAccount     *userAccount `json:"userAccount"`
}

type geoLocation struct {
	City        string `json:"city"`
	CountryName string `json:"countryName"`
	State       text   `json:"state"`
}

type ipEvidence struct {
	base
	IPAddress         string       `json:"ipAddress"`
	CountryLetterCode text         `json:"countryLetterCode"`
	Location          *geoLocation `json:"location"`
}

type urlEvidence struct {
	base
	URL string `json:"url"`
}

type registryValueEvidence struct {
	base
	MdeDeviceID string `json:"mdeDeviceId"`
	Hive        string `json:"registryHive"`
	Key         string `json:"registryKey"`
	Value       string `json:"registryValue"`
	ValueName   string `json:"registryValueName"`
	ValueType   string `json:"registryValueType"`
}

type securityGroupEvidence struct {
	base
	DisplayName     string `json:"displayName"`
	SecurityGroupID text   `json:"securityGroupId"`
	SID             string `json:"sid"`
}

type cloudApplicationEvidence struct {
	base
	AppID        int64  `json:"appId"`
	DisplayName  string `json:"displayName"`
	InstanceID   int64  `json:"instanceId"`
	InstanceName string `json:"instanceName"`
	SaasAppID    int64  `json:"saasAppId"`
}

type oauthApplicationEvidence struct {
	base
	AppID       string `json:"appId"`
	DisplayName string `json:"displayName"`
	ObjectID    string `json:"objectId"`
	Publisher   text   `json:"publisher"`
}

type cloudLogonSessionEvidence struct {
	base
	Account         *userEvidence `json:"account"`
	SessionID       string        `json:"sessionId"`
	Browser         text          `json:"browser"`
	OperatingSystem text          `json:"operatingSystem"`
	UserAgent       text          `json:"userAgent"`
	Start           when          `json:"startUtcDateTime"`
}

type cloudLogonRequestEvidence struct {
	base
	RequestID string `json:"requestId"`
}

type hostLogonSessionEvidence struct {
	base
	Account   *userEvidence   `json:"account"`
	Host      *deviceEvidence `json:"host"`
	SessionID string          `json:"sessionId"`
	Start     when            `json:"startUtcDateTime"`
	End       when            `json:"endUtcDateTime"`
}

type malwareEvidence struct {
	base
	Name     string         `json:"name"`
	Category string         `json:"category"`
	Files    []fileEvidence `json:"files"`
}
