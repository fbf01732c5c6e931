package traverse_test

import (
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

func TestEveryEdgeKindIsInTheWalkTableOnceAndInOrder(t *testing.T) {
	var want, got []graph.EdgeKind
	for _, r := range graph.EdgeKinds() {
		want = append(want, r.Kind)
	}
	for _, r := range traverse.WalkTable() {
		got = append(got, r.Kind)
		if len(r.Why) < 20 {
			t.Errorf("%s has no reason", r.Kind)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("walk table has %v, edge kinds are %v", got, want)
	}
}

func TestEveryEntityKindIsInTheTargetTableOnce(t *testing.T) {
	var want, got []graph.Kind
	for k := range 256 {
		if graph.Kind(k).Entity() {
			want = append(want, graph.Kind(k))
		}
	}
	for _, r := range traverse.TargetTable() {
		got = append(got, r.Kind)
		if r.Weight < 1 {
			t.Errorf("%s weighs %d", r.Kind, r.Weight)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("target table has %v, want %v", got, want)
	}
}

// The edges of the domain, and who gains whom over each, walked by the default question.
func TestWhatAnAttackerGainsOverEachEdge(t *testing.T) {
	k := func(kind graph.Kind) graph.ID { return id(kind, kind.String()) }
	for _, c := range []struct {
		kind             graph.EdgeKind
		from, to         graph.Kind
		onward, goesBack bool
	}{
		{graph.EdgeLoggedOn, graph.KindIdentity, graph.KindDevice, true, true},
		{graph.EdgeAdminOf, graph.KindIdentity, graph.KindDevice, true, false},
		{graph.EdgeAdminOf, graph.KindSecurityGroup, graph.KindCloudResource, true, false},
		{graph.EdgeMemberOf, graph.KindIdentity, graph.KindSecurityGroup, true, false},
		{graph.EdgeOwns, graph.KindIdentity, graph.KindMailbox, true, false},
		{graph.EdgeDelivered, graph.KindMailMessage, graph.KindMailbox, true, false},
		{graph.EdgeAttached, graph.KindFile, graph.KindMailMessage, true, true},
		{graph.EdgeContains, graph.KindMailMessage, graph.KindURL, true, true},
		{graph.EdgeContains, graph.KindMailCluster, graph.KindMailMessage, true, true},
		{graph.EdgeContains, graph.KindURL, graph.KindDomain, false, true},
		{graph.EdgeRan, graph.KindProcess, graph.KindDevice, true, false},
		{graph.EdgeRan, graph.KindIdentity, graph.KindProcess, false, true},
		{graph.EdgeSpawned, graph.KindProcess, graph.KindProcess, true, false},
		{graph.EdgeImageOf, graph.KindFile, graph.KindProcess, true, false},
		{graph.EdgePresentOn, graph.KindFile, graph.KindDevice, true, false},
		{graph.EdgeConnectedTo, graph.KindDevice, graph.KindIPAddress, false, true},
		{graph.EdgeConnectedTo, graph.KindProcess, graph.KindURL, false, true},
		{graph.EdgeConnectedTo, graph.KindDevice, graph.KindCloudApplication, true, false},
		{graph.EdgeResolvesTo, graph.KindDomain, graph.KindIPAddress, true, true},
		{graph.EdgeEvidenceOf, graph.KindDevice, graph.KindAlert, false, false},
		{graph.EdgeInIncident, graph.KindAlert, graph.KindOther, false, false},
		{graph.EdgeHasSoftware, graph.KindDevice, graph.KindSoftware, false, true},
		{graph.EdgeAffects, graph.KindVulnerability, graph.KindSoftware, true, false},
		{graph.EdgeSignedInFrom, graph.KindIdentity, graph.KindIPAddress, false, true},
		{graph.EdgeOfSession, graph.KindCloudSession, graph.KindIdentity, true, false},
		{graph.EdgeSentBy, graph.KindMailMessage, graph.KindIdentity, false, true},
		{graph.EdgeSentBy, graph.KindMailMessage, graph.KindIPAddress, false, true},
		{graph.EdgeReceivedBy, graph.KindMailMessage, graph.KindIdentity, true, false},
		{graph.EdgeIndicates, graph.KindIndicator, graph.KindMalware, false, false},
		{graph.EdgeUses, graph.KindThreatActor, graph.KindTechnique, false, false},
		{graph.EdgeSignedInTo, graph.KindIdentity, graph.KindCloudApplication, true, false},
	} {
		from, to := k(c.from), k(c.to)
		if from == to {
			to = id(c.to, "another")
		}
		m := newMemory(edge(c.kind, from, to, 1, 2))
		for _, w := range []struct {
			source, far graph.ID
			want        bool
		}{{from, to, c.onward}, {to, from, c.goesBack}} {
			a := ask(t, m, traverse.Question{Sources: []graph.ID{w.source}, TargetKinds: allKinds()})
			if got := slices.Contains(targets(a), w.far); got != w.want {
				t.Errorf("%s %s→%s: from %s reached %v, want %v", c.kind, c.from, c.to, w.source.Kind(), got, w.want)
			}
		}
	}
}

func TestWeightDoublesWithEachGradeAndFallsBackToTheKind(t *testing.T) {
	for c, want := range map[graph.Criticality]int{
		graph.CriticalityLow: 1, graph.CriticalityMedium: 2, graph.CriticalityHigh: 4, graph.CriticalityVeryHigh: 8,
	} {
		if got := traverse.Weight(graph.KindDevice, c); got != want {
			t.Errorf("%s weighs %d, want %d", c, got, want)
		}
	}
	if got := traverse.Weight(graph.KindServicePrincipal, graph.CriticalityUnknown); got != 2 {
		t.Errorf("a service principal of unknown criticality weighs %d, want 2", got)
	}
}
