package graph

import "slices"

// ResponseAction is something that can be done against an attacker, by the name that Microsoft Defender has for it
// (machine actions of Defender for Endpoint, invokeAction of Graph's identityAccounts, remediate of analyzedEmails).
type ResponseAction string

// The actions that take ways from an attacker. Others only look (runAntiVirusScan), warn (markUserAsCompromised) or
// leave things where a reader finds them (moveToJunk, moveToDeletedItems).
const (
	ActionIsolateDevice         ResponseAction = "isolateDevice"
	ActionContainDevice         ResponseAction = "containDevice"
	ActionRestrictCodeExecution ResponseAction = "restrictCodeExecution"
	ActionDisableUser           ResponseAction = "disableUser"
	ActionContainUser           ResponseAction = "containUser"
	ActionForcePasswordReset    ResponseAction = "forcePasswordReset"
	ActionRevokeAllSessions     ResponseAction = "revokeAllSessions"
	ActionStopAndQuarantineFile ResponseAction = "stopAndQuarantineFile"
	ActionBlockFile             ResponseAction = "blockFile"
	ActionSoftDelete            ResponseAction = "softDelete"
	ActionHardDelete            ResponseAction = "hardDelete"
	ActionMoveToQuarantine      ResponseAction = "moveToQuarantine"
	ActionBlockURL              ResponseAction = "blockUrl"
	ActionBlockDomain           ResponseAction = "blockDomain"
	ActionBlockIPAddress        ResponseAction = "blockIpAddress"
)

// Removal is a way that an attacker can no longer go: over edges of one kind, in one direction, beginning or ending at
// a node. With Via it is not at the node that is acted on but at those next to it.
type Removal struct {
	Edge EdgeKind `json:"edge"`
	// Backward ways go from the edge's To to its From.
	Backward bool `json:"backward,omitempty"`
	// Entering ways end at the node; others begin there.
	Entering bool `json:"entering,omitempty"`
	// Far limits the kinds of the other end; nil means any.
	Far []Kind `json:"far,omitempty"`
	// Via names the edges to the nodes where the way begins or ends, if it is not the one acted on: those that
	// ViaDirection, as seen from it, leads to.
	Via          EdgeKind  `json:"via,omitempty"`
	ViaDirection Direction `json:"viaDirection,omitempty"`
	// With is an action without which on the same node this one does not take the way; empty for none.
	With ResponseAction `json:"with,omitempty"`
}

// ContainmentRow says what one action does to what an attacker can walk. Every way that the walk has at the kinds
// is either removed or kept: what is not named here would be a question nobody asked.
type ContainmentRow struct {
	Action ResponseAction `json:"action"`
	// Kinds it can be applied to.
	Kinds   []Kind    `json:"kinds"`
	Removes []Removal `json:"removes"`
	// Why it removes these.
	Why string `json:"why"`
	// Keeps are ways that stay, and KeepsWhy says why. A way removed for some far ends, or with another action, is
	// kept for the others and need not stand here.
	Keeps    []Removal `json:"keeps,omitempty"`
	KeepsWhy string    `json:"keepsWhy,omitempty"`
}

func leaving(k EdgeKind) Removal  { return Removal{Edge: k} }
func entering(k EdgeKind) Removal { return Removal{Edge: k, Entering: true} }

func (r Removal) back() Removal                        { r.Backward = true; return r }
func (r Removal) far(kinds ...Kind) Removal            { r.Far = kinds; return r }
func (r Removal) with(a ResponseAction) Removal        { r.With = a; return r }
func (r Removal) at(via EdgeKind, d Direction) Removal { r.Via, r.ViaDirection = via, d; return r }

// revoked ways stay open to a session that lives on.
func revoked(r Removal) Removal { return r.with(ActionRevokeAllSessions) }

// The ways that are kept the same by several actions.
var (
	// toRecipients are how a message works.
	toRecipients = []Removal{leaving(EdgeDelivered), leaving(EdgeReceivedBy)}
	// ofMessage are what a message tells of other things, which its going does not undo.
	ofMessage = []Removal{
		leaving(EdgeAttached).back(), entering(EdgeAttached), leaving(EdgeContains), entering(EdgeContains),
		entering(EdgeContains).back(), leaving(EdgeContains).back(), entering(EdgeSentBy).back(),
	}
	inMessages = []Removal{leaving(EdgeDelivered).at(EdgeContains, Out), leaving(EdgeReceivedBy).at(EdgeContains, Out)}
)

const messageKeepsWhy = "a file that was opened is on its device, and link and sender stay the attacker's whatever becomes of the message"

// containmentTable errs on the attacker's side: a way counts as removed only where the action takes it from one who
// already holds the near end, not where it makes it hard.
var containmentTable = []ContainmentRow{
	{Action: ActionIsolateDevice, Kinds: []Kind{KindDevice},
		Removes: []Removal{
			entering(EdgeLoggedOn), entering(EdgeAdminOf), entering(EdgeOwns), entering(EdgePresentOn),
			entering(EdgeHasSoftware).back(), entering(EdgeAffects),
			entering(EdgeConnectedTo).back(), leaving(EdgeConnectedTo),
			entering(EdgeConnectedTo).back().at(EdgeRan, In), leaving(EdgeConnectedTo).at(EdgeRan, In),
		},
		Why:      "nobody reaches the device or its processes over the network, nor they others; only the sensor still talks to its cloud",
		Keeps:    []Removal{leaving(EdgeLoggedOn).back(), entering(EdgeRan)},
		KeepsWhy: "credentials of whoever was logged on may be taken already and work elsewhere; code that runs on the device is on it"},
	{Action: ActionContainDevice, Kinds: []Kind{KindDevice},
		Removes: []Removal{entering(EdgeLoggedOn), entering(EdgeAdminOf), entering(EdgeOwns)},
		Why:     "devices with a sensor drop every connection from and to it, so nobody logs on from them",
		Keeps: []Removal{leaving(EdgeLoggedOn).back(), entering(EdgeRan), entering(EdgePresentOn), entering(EdgeHasSoftware).back(),
			entering(EdgeAffects), entering(EdgeConnectedTo).back(), leaving(EdgeConnectedTo)},
		KeepsWhy: "the device itself is not cut off: it still reaches the internet and is reached from there, with all that is on it"},
	{Action: ActionRestrictCodeExecution, Kinds: []Kind{KindDevice},
		Removes: []Removal{entering(EdgePresentOn)},
		Why:     "only what Microsoft signed may start, so a hostile file on the device does not",
		Keeps: []Removal{leaving(EdgeLoggedOn).back(), entering(EdgeLoggedOn), entering(EdgeAdminOf), entering(EdgeOwns), entering(EdgeRan),
			entering(EdgeHasSoftware).back(), entering(EdgeAffects), entering(EdgeConnectedTo).back(), leaving(EdgeConnectedTo)},
		KeepsWhy: "what runs already runs on, and whoever logs on uses the tools that are there"},
	{Action: ActionDisableUser, Kinds: []Kind{KindIdentity},
		Removes: []Removal{
			entering(EdgeLoggedOn).back(), leaving(EdgeLoggedOn), entering(EdgeSignedInFrom).back(),
			leaving(EdgeAdminOf).far(KindDevice), leaving(EdgeOwns).far(KindDevice),
			revoked(leaving(EdgeAdminOf)), revoked(leaving(EdgeOwns)), revoked(leaving(EdgeMemberOf)),
			revoked(leaving(EdgeSignedInTo)), revoked(leaving(EdgeSentBy).back()), revoked(entering(EdgeReceivedBy)),
		},
		Why:      "the account cannot sign in or log on: what was taken of it on devices is void, and no device lets it in",
		Keeps:    []Removal{entering(EdgeOfSession), entering(EdgeRan).back()},
		KeepsWhy: "sessions that are open live on until they are revoked, with mail, applications and rights in the cloud; a process keeps its token"},
	{Action: ActionContainUser, Kinds: []Kind{KindIdentity},
		Removes: []Removal{leaving(EdgeLoggedOn), leaving(EdgeAdminOf).far(KindDevice)},
		Why:     "devices with a sensor refuse the account's logons over the network, remote desktop and remote calls",
		Keeps: []Removal{entering(EdgeLoggedOn).back(), entering(EdgeSignedInFrom).back(), leaving(EdgeOwns), leaving(EdgeMemberOf),
			leaving(EdgeSignedInTo), leaving(EdgeSentBy).back(), entering(EdgeReceivedBy), entering(EdgeOfSession), entering(EdgeRan).back()},
		KeepsWhy: "the account itself works: in the cloud, in its mailbox, at its own keyboard and by the groups it is in"},
	{Action: ActionForcePasswordReset, Kinds: []Kind{KindIdentity},
		Removes: []Removal{entering(EdgeLoggedOn).back()},
		Why:     "a password or hash that was taken on a device no longer logs on",
		Keeps: []Removal{leaving(EdgeLoggedOn), entering(EdgeSignedInFrom).back(), leaving(EdgeAdminOf), leaving(EdgeOwns), leaving(EdgeMemberOf),
			leaving(EdgeSignedInTo), leaving(EdgeSentBy).back(), entering(EdgeReceivedBy), entering(EdgeOfSession), entering(EdgeRan).back()},
		KeepsWhy: "who holds the account may set the new password himself, who stands between reads it, and open sessions live on"},
	{Action: ActionRevokeAllSessions, Kinds: []Kind{KindIdentity},
		Removes: []Removal{entering(EdgeOfSession)},
		Why:     "a stolen session or refresh token is refused",
		Keeps: []Removal{entering(EdgeLoggedOn).back(), leaving(EdgeLoggedOn), entering(EdgeSignedInFrom).back(), leaving(EdgeAdminOf), leaving(EdgeOwns),
			leaving(EdgeMemberOf), leaving(EdgeSignedInTo), leaving(EdgeSentBy).back(), entering(EdgeReceivedBy), entering(EdgeRan).back()},
		KeepsWhy: "who has the password, a hash or a ticket signs in again"},
	{Action: ActionStopAndQuarantineFile, Kinds: []Kind{KindFile},
		Removes:  []Removal{leaving(EdgePresentOn), leaving(EdgeImageOf)},
		Why:      "its processes are stopped and the file is taken away from the devices that have it",
		Keeps:    []Removal{leaving(EdgeAttached), entering(EdgeAttached).back()},
		KeepsWhy: "mailboxes are not touched, and the next message brings it again unless it is blocked"},
	{Action: ActionBlockFile, Kinds: []Kind{KindFile},
		Removes:  []Removal{leaving(EdgePresentOn), leaving(EdgeAttached), entering(EdgeAttached).back()},
		Why:      "no device opens it any more, wherever it lies and whichever message brings it",
		Keeps:    []Removal{leaving(EdgeImageOf)},
		KeepsWhy: "a process that runs already runs on until it is stopped"},
	{Action: ActionSoftDelete, Kinds: []Kind{KindMailMessage}, Removes: toRecipients,
		Why:   "the message is gone from the mailbox; the reader himself could get it back",
		Keeps: ofMessage, KeepsWhy: messageKeepsWhy},
	{Action: ActionHardDelete, Kinds: []Kind{KindMailMessage}, Removes: toRecipients,
		Why:   "the message is gone from the mailbox, and only an administrator could get it back",
		Keeps: ofMessage, KeepsWhy: messageKeepsWhy},
	{Action: ActionMoveToQuarantine, Kinds: []Kind{KindMailMessage}, Removes: toRecipients,
		Why:   "the message is where its recipient cannot open it",
		Keeps: ofMessage, KeepsWhy: messageKeepsWhy},
	{Action: ActionSoftDelete, Kinds: []Kind{KindMailCluster}, Removes: inMessages,
		Why:   "all messages of the cluster are gone from their mailboxes",
		Keeps: []Removal{leaving(EdgeContains), entering(EdgeContains).back()}, KeepsWhy: messageKeepsWhy},
	{Action: ActionHardDelete, Kinds: []Kind{KindMailCluster}, Removes: inMessages,
		Why:   "all messages of the cluster are gone from their mailboxes",
		Keeps: []Removal{leaving(EdgeContains), entering(EdgeContains).back()}, KeepsWhy: messageKeepsWhy},
	{Action: ActionMoveToQuarantine, Kinds: []Kind{KindMailCluster}, Removes: inMessages,
		Why:   "all messages of the cluster are where their recipients cannot open them",
		Keeps: []Removal{leaving(EdgeContains), entering(EdgeContains).back()}, KeepsWhy: messageKeepsWhy},
	{Action: ActionBlockURL, Kinds: []Kind{KindURL},
		Removes: []Removal{leaving(EdgeContains).back(), leaving(EdgeConnectedTo).back()},
		Why:     "no device opens the link any more, whichever message has it",
		Keeps:   []Removal{entering(EdgeContains), entering(EdgeContains).back()}, KeepsWhy: "the link itself stays the attacker's"},
	{Action: ActionBlockDomain, Kinds: []Kind{KindDomain},
		Removes: []Removal{leaving(EdgeContains).back(), leaving(EdgeResolvesTo)},
		Why:     "no device opens its links, or asks it for an address",
		Keeps:   []Removal{entering(EdgeResolvesTo).back()}, KeepsWhy: "the name itself stays the attacker's, and so do its addresses by themselves"},
	{Action: ActionBlockIPAddress, Kinds: []Kind{KindIPAddress},
		Removes:  []Removal{leaving(EdgeConnectedTo).back(), leaving(EdgeResolvesTo).back()},
		Why:      "no device connects to the address, under whatever name",
		Keeps:    []Removal{entering(EdgeResolvesTo), leaving(EdgeSignedInFrom).back(), leaving(EdgeSentBy).back()},
		KeepsWhy: "sign-ins from it and mail from it go to the cloud, which an endpoint's block does not see"},
}

// ContainmentTable lists what every action removes and keeps, one row or more an action. The caller must not change
// the removals.
func ContainmentTable() []ContainmentRow { return slices.Clone(containmentTable) }

// ResponseActions lists the actions, each once, in the order of the table.
func ResponseActions() []ResponseAction {
	var out []ResponseAction
	for _, r := range containmentTable {
		if !slices.Contains(out, r.Action) {
			out = append(out, r.Action)
		}
	}
	return out
}

// ParseResponseAction reads a name; ok is false for one that is not in the table.
func ParseResponseAction(s string) (a ResponseAction, ok bool) {
	return ResponseAction(s), slices.Contains(ResponseActions(), ResponseAction(s))
}

// ActionsOn lists the actions that can be applied to a kind, in the order of the table. Whether this one asset may be
// acted on is another question: what is critical may not.
func ActionsOn(k Kind) []ResponseAction {
	var out []ResponseAction
	for _, r := range containmentTable {
		if slices.Contains(r.Kinds, k) {
			out = append(out, r.Action)
		}
	}
	return out
}

// RemovalsOn is what the actions remove where all of them are taken on one node of the kind. Actions that cannot be
// applied to it remove nothing. The caller must not change the kinds.
func RemovalsOn(k Kind, taken ...ResponseAction) []Removal {
	var out []Removal
	for _, row := range containmentTable {
		if !slices.Contains(row.Kinds, k) || !slices.Contains(taken, row.Action) {
			continue
		}
		for _, r := range row.Removes {
			if r.With == "" || slices.Contains(taken, r.With) {
				out = append(out, r)
			}
		}
	}
	return out
}

// Removes reports whether the removal takes a way: over an edge of this kind in this direction, entering or leaving
// the node it is at, with this far end. Which node that is, Via says.
func (r Removal) Removes(k EdgeKind, backward, entering bool, far Kind) bool {
	return r.Edge == k && r.Backward == backward && r.Entering == entering && (r.Far == nil || slices.Contains(r.Far, far))
}
