package traverse

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// Move is one way in which an attacker who holds the near end of an edge comes to hold the far end.
type Move struct {
	// Backward moves go from the edge's To to its From.
	Backward bool
	// Near and Far limit the kinds of the two ends; nil means any.
	Near, Far []graph.Kind
	// Shared moves connect things only because they have the near end in common (a file, an address, a
	// host). Their far ends make the degree by which hubs are judged, and at a hub they are not walked.
	// Rights and deliveries are not shared: being admin of a thousand devices is the danger itself.
	Shared bool
}

// WalkRow says how one edge kind is walked; without moves it is not walked.
type WalkRow struct {
	Kind  graph.EdgeKind
	Moves []Move
	// Why is the reason, in terms of what an attacker can do.
	Why string
}

var (
	onward       = Move{}
	onwardShared = Move{Shared: true}
	backShared   = Move{Backward: true, Shared: true}
)

// from limits a move to near ends of these kinds.
func (m Move) from(near ...graph.Kind) Move { m.Near = near; return m }

// to limits a move to far ends of these kinds.
func (m Move) to(far ...graph.Kind) Move { m.Far = far; return m }

// walkTable keeps one principle: whatever is walked to is then the attacker's, held by him or made by him.
// So a device does not lead to the addresses and links it talked to, while an address, link or file that is
// the attacker's leads to whom it serves.
var walkTable = []WalkRow{
	{graph.EdgeLoggedOn, []Move{onwardShared, backShared},
		"tickets, tokens and hashes of whoever logged on are on the device, and an account can log on again where it lately did; both for the life of a credential"},
	{graph.EdgeAdminOf, []Move{onward}, "an administrator controls what he administers; the device does not yield its absent administrators, loggedOn says who was there"},
	{graph.EdgeMemberOf, []Move{onward}, "a member has the rights of the group; the group's rights do not give its other members"},
	{graph.EdgeOwns, []Move{onward}, "an owner reads the mailbox, uses the device, sets credentials on the application"},
	{graph.EdgeDelivered, []Move{onward}, "a hostile message is in front of whoever reads the mailbox; reading a mailbox gives no hold of its senders' messages"},
	{graph.EdgeAttached, []Move{onwardShared, {Backward: true}}, "a message brings its attachment, and a hostile file comes with every message that carries it"},
	{graph.EdgeContains, []Move{
		onward.from(graph.KindMailMessage, graph.KindMailCluster),
		backShared.from(graph.KindURL),
		{Backward: true, Near: []graph.Kind{graph.KindDomain, graph.KindMailMessage}}},
		"who wrote the message chose its link and sent the rest of its cluster, who controls a link reaches all it was sent to, who controls a domain its links; a link does not give its domain"},
	{graph.EdgeRan, []Move{onward.to(graph.KindDevice), {Backward: true, Near: []graph.Kind{graph.KindProcess}}},
		"code in a process is on its device and acts with its account's token; what once ran on a device or as an account opens nothing further, loggedOn carries the credentials"},
	{graph.EdgeSpawned, []Move{onward}, "a process controls the children it starts; a child gains nothing of its parent"},
	{graph.EdgeImageOf, []Move{onwardShared}, "every process of a hostile file runs the attacker's code; a process says nothing about its file elsewhere"},
	{graph.EdgePresentOn, []Move{onwardShared}, "a hostile file lets its host be reached; files of a host that is lost are lost with it"},
	{graph.EdgeConnectedTo, []Move{
		onward.to(graph.KindCloudApplication),
		backShared.from(graph.KindIPAddress, graph.KindURL)},
		"a session to a cloud application can be taken over, and who controls an address answers whoever connects; connecting to an address gives no control of it"},
	{graph.EdgeResolvesTo, []Move{onwardShared, backShared}, "who controls a domain directs its visitors to its address, who controls the address serves the domain"},
	{graph.EdgeEvidenceOf, nil, "a statement about an alert opens no way"},
	{graph.EdgeInIncident, nil, "a statement about an incident opens no way"},
	{graph.EdgeHasSoftware, []Move{backShared}, "a hole or a backdoor in software opens every device that has it; having software does not give the software itself"},
	{graph.EdgeAffects, []Move{onward}, "what a vulnerability affects can be exploited through it"},
	{graph.EdgeSignedInFrom, []Move{backShared}, "who controls the address from which it signed in stands between (adversary in the middle); an account does not give the network it was used from"},
	{graph.EdgeOfSession, []Move{onward}, "a stolen session acts as its identity; a session gives nothing that the identity does not"},
	{graph.EdgeSentBy, []Move{
		{Backward: true, Near: []graph.Kind{graph.KindIdentity, graph.KindMailbox}},
		backShared.from(graph.KindIPAddress)},
		"who holds the sender sends as him; a message does not give hold of its sender"},
	{graph.EdgeReceivedBy, []Move{onward}, "a hostile message works on its recipient"},
	{graph.EdgeIndicates, nil, "knowledge about a threat opens no way"},
	{graph.EdgeUses, nil, "knowledge about a technique opens no way"},
	{graph.EdgePossiblySame, []Move{onward, {Backward: true}}, "both are taken for one thing: followed at zero hops, at any time, and marked inferred"},
	{graph.EdgeSignedInTo, []Move{onward}, "who holds the account signs in to the application; the application's other users are not given by it"},
}

var walkRows = func() map[graph.EdgeKind][]Move {
	rows := map[graph.EdgeKind][]Move{}
	for _, r := range walkTable {
		rows[r.Kind] = r.Moves
	}
	return rows
}()

// WalkTable lists how every edge kind is walked, in the order of graph.EdgeKinds. The caller must not
// change the moves.
func WalkTable() []WalkRow { return slices.Clone(walkTable) }

// Walked reports whether the table has any move for the kind.
func Walked(k graph.EdgeKind) bool { return len(walkRows[k]) > 0 }

// moveAt finds the move over an edge kind in one direction from a node of the near kind.
func moveAt(k graph.EdgeKind, backward bool, near graph.Kind) (Move, bool) {
	for _, m := range walkRows[k] {
		if m.Backward == backward && allows(m.Near, near) {
			return m, true
		}
	}
	return Move{}, false
}

func allows[T comparable](only []T, v T) bool { return only == nil || slices.Contains(only, v) }
