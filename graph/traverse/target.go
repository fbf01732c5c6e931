package traverse

import (
	"slices"

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

// Weight of a target: 1, 2, 4 or 8 from low to very high, so that one grade outweighs two of the next below
// only in number; for an unknown criticality the weight of its kind in TargetTable.
func Weight(k graph.Kind, c graph.Criticality) int {
	if c != graph.CriticalityUnknown {
		return 1 << (c - graph.CriticalityLow)
	}
	for _, r := range targetTable {
		if r.Kind == k {
			return r.Weight
		}
	}
	return 1
}
