package graph_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
)

func TestEveryActionHasOneRowForAKindAndSaysWhy(t *testing.T) {
	type on struct {
		action graph.ResponseAction
		kind   graph.Kind
	}
	seen := map[on]bool{}
	for _, r := range graph.ContainmentTable() {
		if len(r.Kinds) == 0 || len(r.Removes) == 0 || len(r.Why) < 20 || len(r.Keeps) == 0 || len(r.KeepsWhy) < 20 {
			t.Errorf("%s on %v is not told whole", r.Action, r.Kinds)
		}
		for _, k := range r.Kinds {
			if seen[on{r.Action, k}] || !k.Entity() {
				t.Errorf("%s on %s is there twice, or no entity", r.Action, k)
			}
			seen[on{r.Action, k}] = true
		}
	}
}

func TestRemovalsNameEdgesThatCanBeObserved(t *testing.T) {
	for _, row := range graph.ContainmentTable() {
		for i, r := range slices.Concat(row.Removes, row.Keeps) {
			if r.Edge.Tense() == 0 || r.Edge.Tense() == graph.Derived {
				t.Errorf("%s: %s is no edge that is observed", row.Action, r.Edge)
			}
			if (r.Via != graph.EdgeUnknown) != (r.ViaDirection == graph.In || r.ViaDirection == graph.Out) || r.Via != graph.EdgeUnknown && r.Via.Tense() == graph.Derived {
				t.Errorf("%s: via %s in direction %d", row.Action, r.Via, r.ViaDirection)
			}
			if _, known := graph.ParseResponseAction(string(r.With)); r.With != "" && (!known || r.With == row.Action) {
				t.Errorf("%s: with %s", row.Action, r.With)
			}
			for _, other := range slices.Concat(row.Removes, row.Keeps)[i+1:] {
				if cmp.Equal(r, other) {
					t.Errorf("%s: %+v is there twice", row.Action, r)
				}
			}
		}
	}
}

func TestActionsAndRowsReadBack(t *testing.T) {
	for _, a := range graph.ResponseActions() {
		if got, ok := graph.ParseResponseAction(string(a)); got != a || !ok {
			t.Errorf("%s is read as %s, %v", a, got, ok)
		}
	}
	for _, name := range []string{"", "runAntiVirusScan", "IsolateDevice"} {
		if got, ok := graph.ParseResponseAction(name); ok {
			t.Errorf("%q is read as %s", name, got)
		}
	}
	for _, r := range graph.ContainmentTable() {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back graph.ContainmentRow
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(r, back) {
			t.Errorf("%s: %v %s", text, err, cmp.Diff(r, back))
		}
	}
}

func TestWhatCanBeDoneToAKind(t *testing.T) {
	for kind, want := range map[graph.Kind][]graph.ResponseAction{
		graph.KindDevice:      {graph.ActionIsolateDevice, graph.ActionContainDevice, graph.ActionRestrictCodeExecution},
		graph.KindMailCluster: {graph.ActionSoftDelete, graph.ActionHardDelete, graph.ActionMoveToQuarantine},
		graph.KindURL:         {graph.ActionBlockURL},
		graph.KindSoftware:    nil,
	} {
		if got := graph.ActionsOn(kind); !slices.Equal(got, want) {
			t.Errorf("on %s: %v, want %v", kind, got, want)
		}
	}
}

// takes reports whether the actions take a way from a node of the kind itself.
func takes(k graph.Kind, way graph.EdgeKind, backward, entering bool, far graph.Kind, taken ...graph.ResponseAction) bool {
	return slices.ContainsFunc(graph.RemovalsOn(k, taken...), func(r graph.Removal) bool {
		return r.Via == graph.EdgeUnknown && r.Removes(way, backward, entering, far)
	})
}

func TestWhatActionsTakeAndLeave(t *testing.T) {
	device, identity := graph.KindDevice, graph.KindIdentity
	disable, revoke := graph.ActionDisableUser, graph.ActionRevokeAllSessions
	for _, c := range []struct {
		what string
		got  bool
		want bool
	}{
		{"an isolated device lets nobody log on", takes(device, graph.EdgeLoggedOn, false, true, identity, graph.ActionIsolateDevice), true},
		{"its credentials may be taken already", takes(device, graph.EdgeLoggedOn, true, false, identity, graph.ActionIsolateDevice), false},
		{"a disabled account logs on nowhere", takes(identity, graph.EdgeLoggedOn, false, false, device, disable), true},
		{"its sessions live on", takes(identity, graph.EdgeOfSession, false, true, graph.KindCloudSession, disable), false},
		{"and reach its mailbox", takes(identity, graph.EdgeOwns, false, false, graph.KindMailbox, disable), false},
		{"until they are revoked", takes(identity, graph.EdgeOwns, false, false, graph.KindMailbox, disable, revoke), true},
		{"which alone does not help against the password", takes(identity, graph.EdgeOwns, false, false, graph.KindMailbox, revoke), false},
		{"its own device is closed at once", takes(identity, graph.EdgeOwns, false, false, device, disable), true},
		{"an action on another kind does nothing", takes(device, graph.EdgeOwns, false, false, device, disable, revoke), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
}
