package graph

import (
	"cmp"
	"fmt"
	"slices"
)

// KeyType names one kind of natural key, as in Microsoft Graph Security where it has a name.
type KeyType string

// Strength says what sharing a key proves.
type Strength uint8

const (
	// Weak: the same value only suggests the same thing.
	Weak Strength = iota
	// Strong: the same value proves the same thing.
	Strong
)

// Key is one natural key of an entity; Value is normalised (see NewKey).
type Key struct {
	Kind  Kind    `json:"kind"`
	Type  KeyType `json:"type"`
	Value string  `json:"value"`
}

// KeyRow is one row of the key table.
type KeyRow struct {
	Type     KeyType
	Strength Strength
	// normalise gives the canonical text, or "" for a value that cannot be a key of this type.
	normalise func(string) string
}

// The key types that code outside the table builds values for.
const (
	KeyMdeDeviceID        KeyType = "mdeDeviceId"
	KeyAzureADDeviceID    KeyType = "azureAdDeviceId"
	KeyDNSName            KeyType = "dnsName"
	KeyHostName           KeyType = "hostName"
	KeyAzureADUserID      KeyType = "azureAdUserId"
	KeySID                KeyType = "sid"
	KeyMdeAccount         KeyType = "mdeDeviceAccount"
	KeyAadAccount         KeyType = "aadDeviceAccount"
	KeyUserPrincipalName  KeyType = "userPrincipalName"
	KeyAccountName        KeyType = "accountName"
	KeyBuiltInSID         KeyType = "builtInSid"
	KeyPrimaryAddress     KeyType = "primaryAddress"
	KeyUPN                KeyType = "upn"
	KeyDeliveredCopy      KeyType = "networkMessageIdRecipient"
	KeyNetworkMessageID   KeyType = "networkMessageId"
	KeyInternetMessageID  KeyType = "internetMessageId"
	KeyURN                KeyType = "urn"
	KeyClusterQuery       KeyType = "query"
	KeySHA256             KeyType = "sha256"
	KeySHA1               KeyType = "sha1"
	KeyMD5                KeyType = "md5"
	KeyDevicePath         KeyType = "devicePath"
	KeyFileName           KeyType = "fileName"
	KeyMdeProcess         KeyType = "mdeDeviceProcess"
	KeyAadProcess         KeyType = "aadDeviceProcess"
	KeyProcessTime        KeyType = "processIdCreationTime"
	KeyIPAddress          KeyType = "ipAddress"
	KeyPrivateIPAddress   KeyType = "privateIpAddress"
	KeyURL                KeyType = "url"
	KeyDomainName         KeyType = "domainName"
	KeyMdeRegistry        KeyType = "mdeDeviceRegistry"
	KeyAadRegistry        KeyType = "aadDeviceRegistry"
	KeyRegistryPath       KeyType = "registryPath"
	KeySecurityGroupID    KeyType = "securityGroupId"
	KeyADObjectGUID       KeyType = "activeDirectoryObjectGuid"
	KeyDisplayName        KeyType = "displayName"
	KeyAppInstance        KeyType = "appIdInstanceId"
	KeyAppID              KeyType = "appId"
	KeyObjectID           KeyType = "objectId"
	KeyServicePrincipalID KeyType = "servicePrincipalObjectId"
	KeyResourceID         KeyType = "resourceId"
	KeySoftwareID         KeyType = "softwareId"
	KeyCVE                KeyType = "cveId"
	KeyStixID             KeyType = "stixId"
	KeyPattern            KeyType = "pattern"
	KeyMdeSession         KeyType = "mdeDeviceSession"
	KeyAadSession         KeyType = "aadDeviceSession"
	KeyHostSession        KeyType = "hostSession"
	KeySessionID          KeyType = "sessionId"
	KeyName               KeyType = "name"
	KeyTechniqueID        KeyType = "techniqueId"
	KeyContainerID        KeyType = "containerId"
	KeyOtherID            KeyType = "otherId"
)

// keyTable is identity in one place: the keys of each kind, strongest first. A strong key joins what shares
// it; of two different values of one strong type the stronger row decides (see Resolve). Types whose value
// carries a device (mde…, aad…) exist once for each strong device key, so that the same process named
// through either is one node as soon as the device is.
var keyTable = [256][]KeyRow{
	KindDevice: {
		{KeyMdeDeviceID, Strong, normToken}, {KeyAzureADDeviceID, Strong, normGUID},
		{KeyDNSName, Weak, normHost}, {KeyHostName, Weak, normHost},
	},
	KindIdentity: {
		{KeyAzureADUserID, Strong, normGUID}, {KeySID, Strong, normPersonalSID},
		{KeyMdeAccount, Strong, normLower}, {KeyAadAccount, Strong, normLower},
		{KeyUserPrincipalName, Weak, normAddress}, {KeyAccountName, Weak, normLower},
		{KeyBuiltInSID, Weak, normBuiltInSID},
	},
	KindMailbox:     {{KeyPrimaryAddress, Strong, normAddress}, {KeyUPN, Weak, normAddress}},
	KindMailMessage: {{KeyDeliveredCopy, Strong, normLower}, {KeyNetworkMessageID, Weak, normGUID}, {KeyInternetMessageID, Weak, normText}},
	KindMailCluster: {{KeyURN, Strong, normText}, {KeyClusterQuery, Weak, normText}},
	KindFile: {
		{KeySHA256, Strong, normHex(64)}, {KeySHA1, Strong, normHex(40)}, {KeyMD5, Strong, normHex(32)},
		{KeyDevicePath, Weak, normLower}, {KeyFileName, Weak, normLower},
	},
	KindProcess:          {{KeyMdeProcess, Strong, normLower}, {KeyAadProcess, Strong, normLower}, {KeyProcessTime, Weak, normLower}},
	KindIPAddress:        {{KeyIPAddress, Strong, normPublicIP}, {KeyPrivateIPAddress, Weak, normPrivateIP}},
	KindURL:              {{KeyURL, Strong, normURL}},
	KindDomain:           {{KeyDomainName, Strong, normHost}},
	KindRegistryKey:      {{KeyMdeRegistry, Strong, normLower}, {KeyAadRegistry, Strong, normLower}, {KeyRegistryPath, Weak, normLower}},
	KindRegistryValue:    {{KeyMdeRegistry, Strong, normLower}, {KeyAadRegistry, Strong, normLower}, {KeyRegistryPath, Weak, normLower}},
	KindSecurityGroup:    {{KeySecurityGroupID, Strong, normGUID}, {KeyADObjectGUID, Strong, normGUID}, {KeySID, Strong, normSID}, {KeyDisplayName, Weak, normLower}},
	KindCloudApplication: {{KeyAppInstance, Strong, normLower}, {KeyAppID, Weak, normToken}, {KeyDisplayName, Weak, normLower}},
	KindOAuthApplication: {{KeyAppID, Strong, normGUID}, {KeyObjectID, Strong, normGUID}, {KeyDisplayName, Weak, normLower}},
	KindServicePrincipal: {{KeyServicePrincipalID, Strong, normGUID}, {KeyAppID, Weak, normGUID}, {KeyDisplayName, Weak, normLower}},
	KindCloudResource:    {{KeyResourceID, Strong, normLower}, {KeyName, Weak, normLower}},
	KindSoftware:         {{KeySoftwareID, Strong, normLower}, {KeyName, Weak, normLower}},
	KindVulnerability:    {{KeyCVE, Strong, normUpper}},
	KindIndicator:        {{KeyStixID, Strong, normToken}, {KeyPattern, Weak, normText}},
	KindLogonSession:     {{KeyMdeSession, Strong, normLower}, {KeyAadSession, Strong, normLower}, {KeyHostSession, Weak, normLower}},
	KindCloudSession:     {{KeySessionID, Strong, normToken}},
	KindCampaign:         {{KeyStixID, Strong, normToken}, {KeyName, Weak, normLower}},
	KindThreatActor:      {{KeyStixID, Strong, normToken}, {KeyName, Weak, normLower}},
	KindMalware:          {{KeyStixID, Strong, normToken}, {KeyName, Weak, normLower}},
	KindTechnique:        {{KeyTechniqueID, Strong, normUpper}},
	KindContainer:        {{KeyContainerID, Strong, normToken}, {KeyName, Weak, normLower}},
	KindOther:            {{KeyOtherID, Strong, normText}},
}

// weakFrom is the rank of the first weak key of each kind; as many as there are keys where there is none.
var weakFrom = func() (out [256]int) {
	for kind, rows := range keyTable {
		for out[kind] < len(rows) && rows[out[kind]].Strength == Strong {
			out[kind]++
		}
	}
	return out
}()

// WeakRanks gives the ranks of a kind's weak keys: from the first to before the other.
func WeakRanks(kind Kind) (from, before int) { return weakFrom[kind], len(keyTable[kind]) }

// KeyTable lists the keys of a kind, strongest first; nil for a kind that is no entity's.
func KeyTable(kind Kind) []KeyRow { return slices.Clone(keyTable[kind]) }

// NewKey normalises value (case, IDNA, SID form, IP text, GUID braces) and returns the key. ok is false
// when the kind has no such key or the value cannot be one (an empty text, a hash of the wrong length, the
// all-zero GUID that products write for "none"): such a value identifies nothing and is not an error.
func NewKey(kind Kind, typ KeyType, value string) (key Key, ok bool) {
	i := rankOf(kind, typ)
	if i < 0 {
		return Key{}, false
	}
	v := shorten(stable(keyTable[kind][i].normalise, value))
	return Key{kind, typ, v}, v != ""
}

// stable normalises until nothing changes (what is left after one step may be a "none" word again), so
// that a normalised value is always its own normal form. A value that never settles is no key.
func stable(normalise func(string) string, v string) string {
	for range 8 {
		n := normalise(v)
		if n == v {
			return v
		}
		v = n
	}
	return ""
}

// ID is the id of the thing this key names, were it the strongest key of that thing.
func (k Key) ID() ID { return NewID(k.Kind, string(k.Type), k.Value) }

// Strength of the key by the table; Weak for a type the kind does not have.
func (k Key) Strength() Strength {
	if i := rankOf(k.Kind, k.Type); i >= 0 {
		return keyTable[k.Kind][i].Strength
	}
	return Weak
}

// Rank is the key's place in the table of its kind, 0 the strongest; -1 where it has none.
func (k Key) Rank() int { return rankOf(k.Kind, k.Type) }

// String is for people: "device mdeDeviceId=…".
func (k Key) String() string { return fmt.Sprintf("%s %s=%s", k.Kind, k.Type, clip(k.Value)) }

// CompareKeys orders keys strongest first, then by value.
func CompareKeys(a, b Key) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	if a.Type != b.Type {
		return cmp.Or(cmp.Compare(a.Rank(), b.Rank()), cmp.Compare(a.Type, b.Type))
	}
	return cmp.Compare(a.Value, b.Value)
}

func rankOf(kind Kind, typ KeyType) int {
	for i := range keyTable[kind] {
		if keyTable[kind][i].Type == typ {
			return i
		}
	}
	return -1
}

// Scoped joins the parts of a composite key value. The parts keep their borders (U+001F between them).
func Scoped(parts ...string) string {
	out := ""
	for i, p := range parts {
		if i > 0 {
			out += "\x1f"
		}
		out += p
	}
	return out
}
