package traverse

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// TargetRow says what reaching a node of one kind means for the score.
type TargetRow struct {
	Kind graph.Kind
	// Target is set for assets, which Question.TargetKinds defaults to. The others are way stations: walked
	// through and counted per hop, but no loss in themselves.
	Target bool
	// Weight of a node whose criticality is not known.
	Weight int
}

// targetTable: workload identities and cloud resources weigh double, because what they hold or may do
// serves many and no person's second factor guards it. A group is no target: its rights are counted where
// they lead.
var targetTable = []TargetRow{
	{graph.KindDevice, true, 1}, {graph.KindIdentity, true, 1}, {graph.KindMailbox, true, 1},
	{graph.KindMailMessage, false, 1}, {graph.KindMailCluster, false, 1}, {graph.KindFile, false, 1},
	{graph.KindProcess, false, 1}, {graph.KindIPAddress, false, 1}, {graph.KindURL, false, 1},
	{graph.KindDomain, false, 1}, {graph.KindRegistryKey, false, 1}, {graph.KindRegistryValue, false, 1},
	{graph.KindSecurityGroup, false, 1}, {graph.KindCloudApplication, true, 1},
	{graph.KindOAuthApplication, true, 2}, {graph.KindServicePrincipal, true, 2},
	{graph.KindCloudResource, true, 2}, {graph.KindSoftware, false, 1}, {graph.KindVulnerability, false, 1},
	{graph.KindIndicator, false, 1}, {graph.KindLogonSession, false, 1}, {graph.KindCloudSession, false, 1},
	{graph.KindCampaign, false, 1}, {graph.KindThreatActor, false, 1}, {graph.KindMalware, false, 1},
	{graph.KindTechnique, false, 1}, {graph.KindContainer, true, 1}, {graph.KindOther, false, 1},
}

// TargetTable lists every kind of entity in the order of their numbers.
func TargetTable() []TargetRow { return slices.Clone(targetTable) }

// DefaultTargetKinds are the kinds of the table that are targets.
func DefaultTargetKinds() []graph.Kind {
	var kinds []graph.Kind
	for _, r := range targetTable {
		if r.Target {
			kinds = append(kinds, r.Kind)
		}
	}
	return kinds
}

// Criticality is how much the loss of an asset would hurt, as Microsoft Security Exposure Management grades it.
type Criticality uint8

// The criticalities, least first.
const (
	CriticalityUnknown Criticality = iota
	CriticalityLow
	CriticalityMedium
	CriticalityHigh
	CriticalityVeryHigh
)

// CriticalityProperty names the entity property that holds the criticality.
const CriticalityProperty = "criticality"

var criticalityNames = [...]string{"unknown", "low", "medium", "high", "veryHigh"}

// String is the name on every wire.
func (c Criticality) String() string {
	if int(c) >= len(criticalityNames) {
		return criticalityNames[0]
	}
	return criticalityNames[c]
}

// MarshalText gives the name.
func (c Criticality) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// CriticalityOf reads the entity's criticality: "veryHigh", "high", "medium", "low" in any case, or Exposure
// Management's criticalityLevel, where 0 is very high and 3 low. Anything else is unknown.
func CriticalityOf(e graph.Entity) Criticality {
	text := string(e.Properties[CriticalityProperty].Value)
	var s string
	if json.Unmarshal([]byte(text), &s) == nil {
		text = s
	}
	for c := CriticalityLow; c <= CriticalityVeryHigh; c++ {
		level := '3' - rune(c-CriticalityLow)
		if strings.EqualFold(text, c.String()) || text == string(level) {
			return c
		}
	}
	return CriticalityUnknown
}

// Weight of a target: 1, 2, 4 or 8 from low to very high, so that one grade outweighs two of the next below
// only in number; for an unknown criticality the weight of its kind in TargetTable.
func Weight(k graph.Kind, c Criticality) int {
	if c != CriticalityUnknown {
		return 1 << (c - CriticalityLow)
	}
	for _, r := range targetTable {
		if r.Kind == k {
			return r.Weight
		}
	}
	return 1
}
