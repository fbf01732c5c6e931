package traverse_test

import (
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// edgeEnds are the kinds that the two ends of each walked edge can have, as graph.EdgeKind says them.
var edgeEnds = map[graph.EdgeKind][][2]graph.Kind{
	graph.EdgeLoggedOn: {{graph.KindIdentity, graph.KindDevice}},
	graph.EdgeAdminOf: {{graph.KindIdentity, graph.KindDevice}, {graph.KindIdentity, graph.KindCloudResource},
		{graph.KindSecurityGroup, graph.KindDevice}, {graph.KindSecurityGroup, graph.KindCloudResource}},
	graph.EdgeMemberOf: {{graph.KindIdentity, graph.KindSecurityGroup}, {graph.KindSecurityGroup, graph.KindSecurityGroup}},
	graph.EdgeOwns: {{graph.KindIdentity, graph.KindMailbox}, {graph.KindIdentity, graph.KindDevice},
		{graph.KindIdentity, graph.KindOAuthApplication}},
	graph.EdgeDelivered: {{graph.KindMailMessage, graph.KindMailbox}},
	graph.EdgeAttached:  {{graph.KindFile, graph.KindMailMessage}},
	graph.EdgeContains: {{graph.KindMailMessage, graph.KindURL}, {graph.KindMailCluster, graph.KindMailMessage},
		{graph.KindURL, graph.KindDomain}},
	graph.EdgeRan:       {{graph.KindProcess, graph.KindDevice}, {graph.KindIdentity, graph.KindProcess}},
	graph.EdgeSpawned:   {{graph.KindProcess, graph.KindProcess}},
	graph.EdgeImageOf:   {{graph.KindFile, graph.KindProcess}},
	graph.EdgePresentOn: {{graph.KindFile, graph.KindDevice}, {graph.KindRegistryKey, graph.KindDevice}, {graph.KindRegistryValue, graph.KindDevice}},
	graph.EdgeConnectedTo: {{graph.KindDevice, graph.KindIPAddress}, {graph.KindDevice, graph.KindURL}, {graph.KindDevice, graph.KindCloudApplication},
		{graph.KindProcess, graph.KindIPAddress}, {graph.KindProcess, graph.KindURL}, {graph.KindProcess, graph.KindCloudApplication}},
	graph.EdgeResolvesTo:   {{graph.KindDomain, graph.KindIPAddress}},
	graph.EdgeHasSoftware:  {{graph.KindDevice, graph.KindSoftware}},
	graph.EdgeAffects:      {{graph.KindVulnerability, graph.KindSoftware}, {graph.KindVulnerability, graph.KindDevice}},
	graph.EdgeSignedInFrom: {{graph.KindIdentity, graph.KindIPAddress}, {graph.KindCloudSession, graph.KindIPAddress}},
	graph.EdgeOfSession:    {{graph.KindCloudSession, graph.KindIdentity}, {graph.KindLogonSession, graph.KindIdentity}},
	graph.EdgeSentBy:       {{graph.KindMailMessage, graph.KindIdentity}, {graph.KindMailMessage, graph.KindMailbox}, {graph.KindMailMessage, graph.KindIPAddress}},
	graph.EdgeReceivedBy:   {{graph.KindMailMessage, graph.KindIdentity}},
	graph.EdgeSignedInTo:   {{graph.KindIdentity, graph.KindCloudApplication}},
}

// way is a move as seen from one of its two ends.
type way struct {
	at, far            graph.Kind
	edge               graph.EdgeKind
	backward, entering bool
}

// ways are all that the walk table has.
func ways(t *testing.T) (all []way) {
	for _, row := range traverse.WalkTable() {
		if row.Kind == graph.EdgePossiblySame { // identity, and no way
			continue
		}
		if len(row.Moves) > 0 && edgeEnds[row.Kind] == nil {
			t.Fatalf("%s is walked, and its edgeEnds are not known", row.Kind)
		}
		for _, m := range row.Moves {
			for _, e := range edgeEnds[row.Kind] {
				near, far := e[0], e[1]
				if m.Backward {
					near, far = far, near
				}
				if (m.Near == nil || slices.Contains(m.Near, near)) && (m.Far == nil || slices.Contains(m.Far, far)) {
					all = append(all, way{near, far, row.Kind, m.Backward, false}, way{far, near, row.Kind, m.Backward, true})
				}
			}
		}
	}
	return all
}

func taken(r graph.Removal, w way) bool { return r.Removes(w.edge, w.backward, w.entering, w.far) }

// places are the kinds of the nodes that a removal is at where the action is on this kind.
func places(on graph.Kind, r graph.Removal) (out []graph.Kind) {
	if r.Via == graph.EdgeUnknown {
		return []graph.Kind{on}
	}
	for _, e := range edgeEnds[r.Via] {
		if r.ViaDirection == graph.Out && e[0] == on {
			out = append(out, e[1])
		}
		if r.ViaDirection == graph.In && e[1] == on {
			out = append(out, e[0])
		}
	}
	return out
}

// What is removed must be something that is walked, at a node that the action is on or next to it.
func TestEveryRemovalTakesAWayThatIsWalked(t *testing.T) {
	all := ways(t)
	for _, row := range graph.ContainmentTable() {
		for _, on := range row.Kinds {
			for _, r := range slices.Concat(row.Removes, row.Keeps) {
				fars := r.Far
				if fars == nil {
					fars = allKinds()
				}
				found := 0
				for _, far := range fars {
					if slices.ContainsFunc(all, func(w way) bool {
						return w.far == far && slices.Contains(places(on, r), w.at) && taken(r, w)
					}) {
						found++
					}
				}
				if found == 0 || r.Far != nil && found < len(r.Far) {
					t.Errorf("%s on %s: %s (backward %v, entering %v, far %v, via %s) is not walked there", row.Action, on, r.Edge, r.Backward, r.Entering, r.Far, r.Via)
				}
			}
		}
	}
}

// Of every way at a node that an action is on, the table says whether it goes or stays, and not both.
func TestOfEveryWayTheTableSaysWhetherItGoes(t *testing.T) {
	checked := 0
	for _, row := range graph.ContainmentTable() {
		for _, w := range ways(t) {
			if !slices.Contains(row.Kinds, w.at) {
				continue
			}
			checked++
			covers := func(list []graph.Removal, alone bool) bool {
				return slices.ContainsFunc(list, func(r graph.Removal) bool {
					return taken(r, w) && (r.Via == graph.EdgeUnknown || slices.Contains(places(w.at, r), w.at)) && (!alone || r.With == "" && r.Via == graph.EdgeUnknown)
				})
			}
			goes, stays := covers(row.Removes, false), covers(row.Keeps, false)
			if !goes && !stays && !partly(row, w) {
				t.Errorf("%s on %s: nothing is said of %s (backward %v, entering %v) with %s", row.Action, w.at, w.edge, w.backward, w.entering, w.far)
			}
			if stays && covers(row.Removes, true) {
				t.Errorf("%s on %s: %s (backward %v, entering %v) with %s goes and stays", row.Action, w.at, w.edge, w.backward, w.entering, w.far)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d ways were looked at", checked)
	}
}

// partly reports whether the way is removed for other far ends.
func partly(row graph.ContainmentRow, w way) bool {
	return slices.ContainsFunc(row.Removes, func(r graph.Removal) bool {
		return r.Far != nil && r.Removes(w.edge, w.backward, w.entering, r.Far[0])
	})
}

// An action that a removal needs can be taken on the same kinds.
func TestActionsThatGoTogetherAreOnTheSameKind(t *testing.T) {
	for _, row := range graph.ContainmentTable() {
		for _, r := range row.Removes {
			for _, k := range row.Kinds {
				if r.With != "" && !slices.Contains(graph.ActionsOn(k), r.With) {
					t.Errorf("%s on %s needs %s, which it cannot have", row.Action, k, r.With)
				}
			}
		}
	}
}
