package graph

import "cmp"

// Kind is what an ID names. The numbers are part of the ids and of the stored format: they are never
// changed or reused.
type Kind uint8

// The kinds of entity, and at the end the kinds of ID that name no entity.
const (
	KindUnknown          Kind = 0
	KindDevice           Kind = 1
	KindIdentity         Kind = 2
	KindMailbox          Kind = 3
	KindMailMessage      Kind = 4
	KindMailCluster      Kind = 5
	KindFile             Kind = 6
	KindProcess          Kind = 7
	KindIPAddress        Kind = 8
	KindURL              Kind = 9
	KindDomain           Kind = 10
	KindRegistryKey      Kind = 11
	KindRegistryValue    Kind = 12
	KindSecurityGroup    Kind = 13
	KindCloudApplication Kind = 14
	KindOAuthApplication Kind = 15
	KindServicePrincipal Kind = 16
	KindCloudResource    Kind = 17
	KindSoftware         Kind = 18
	KindVulnerability    Kind = 19
	KindIndicator        Kind = 20
	KindLogonSession     Kind = 21
	KindCloudSession     Kind = 22
	KindCampaign         Kind = 23
	KindThreatActor      Kind = 24
	KindMalware          Kind = 25
	KindTechnique        Kind = 26
	KindContainer        Kind = 27
	KindOther            Kind = 28

	// KindAlert marks the ID of an alert.
	KindAlert Kind = 100
	// KindObservation marks the ID of an edge's observation that no alert made.
	KindObservation Kind = 101
)

// kindNames are the names on every wire.
var kindNames = [256]string{
	KindDevice: "device", KindIdentity: "identity", KindMailbox: "mailbox", KindMailMessage: "mailMessage",
	KindMailCluster: "mailCluster", KindFile: "file", KindProcess: "process", KindIPAddress: "ipAddress",
	KindURL: "url", KindDomain: "domain", KindRegistryKey: "registryKey", KindRegistryValue: "registryValue",
	KindSecurityGroup: "securityGroup", KindCloudApplication: "cloudApplication",
	KindOAuthApplication: "oauthApplication", KindServicePrincipal: "servicePrincipal",
	KindCloudResource: "cloudResource", KindSoftware: "software", KindVulnerability: "vulnerability",
	KindIndicator: "indicator", KindLogonSession: "logonSession", KindCloudSession: "cloudSession",
	KindCampaign: "campaign", KindThreatActor: "threatActor", KindMalware: "malware",
	KindTechnique: "technique", KindContainer: "container", KindOther: "other",
	KindAlert: "alert", KindObservation: "observation",
}

var kindsByName = func() map[string]Kind {
	out := map[string]Kind{}
	for k, name := range kindNames {
		if name != "" {
			out[name] = Kind(k)
		}
	}
	return out
}()

// Known reports whether this version knows the kind.
func (k Kind) Known() bool { return kindNames[k] != "" }

// Entity reports whether the kind is one of an entity, not of an alert or observation.
func (k Kind) Entity() bool { return k.Known() && k < KindAlert }

// String is the name on every wire, "unknown" for a kind this version does not know.
func (k Kind) String() string {
	return cmp.Or(kindNames[k], "unknown")
}

// ParseKind reads a name as String gives it.
func ParseKind(s string) (Kind, bool) { k, ok := kindsByName[s]; return k, ok }

// MarshalText gives the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name; one that is not known is KindUnknown, never an error.
func (k *Kind) UnmarshalText(b []byte) error { *k = kindsByName[string(b)]; return nil }
