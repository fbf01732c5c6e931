// Package correlate decides which alerts are one incident, and says why.
//
// The model, for a reader new to it. An alert names things: devices, people, messages, files. Some of them, the
// *keys*, tie alerts together; kinds.go lists them. Each alert is two instants, its first and last activity. On each
// key the instants of its alerts stand in order of time, and only *neighbours* can be linked, if the gap between
// them is short enough for what the key proves:
//
//	sharedAsset        the same device, person or mail sender, within Settings.AssetGap: one hands-on session.
//	sharedArtifact     the same message, URL, file hash, attacker address, session, OAuth application or
//	                   process, within ArtifactGap: these belong to one attacker.
//	sameUserOnDevice   the same person on the same device, within ArtifactGap: together they are specific.
//	splitDetection     one detector twice within SplitGap, about parties that do not contradict each other: one
//	                   observation that was reported as actor and as machine.
//
// A thing that many strangers use proves little. The *strangers* of a key, as seen from an alert, are the people and
// devices that other alerts name with it on other days (its own day and the ones next to it do not count, so that
// an attack that spreads within a day makes no hub), less those the alert itself names. Beyond Settings.Strangers the
// allowed gap shrinks to HubGap divided by their number, and two alerts of a crowded device that name different people are
// not linked by it. Never keys: built-in accounts, private and reserved addresses, an endpoint's own egress
// address, cloud applications, registry keys, hosts of URLs, files that lie in a system folder, and
// long-running system processes, which are the parents of everything.
//
// What one alert contributes is bounded, as whoever may send alerts could else stop the server or join all incidents
// with a single one. An alert that names more than Settings.MostParties devices, identities or mailboxes is about a
// crowd: it bears no key of a device, person or mail sender and splits no detection, but is linked by artefacts. Of
// those it bears, of each kind, the MostArtifacts with the smallest ids. Both are decided on the alert's content
// alone, before ids are resolved.
//
// Incidents are the connected components. So the partition is a pure function of the set of alerts and of what is
// known of their entities; order of arrival and batching do not matter. A Correlator decides inside a commit and
// looks only at the region that the commit can change: the changed alerts, the whole of every incident they touch
// or are linked to, and the incidents that held together by a link which a changed alert withdraws (it came between
// two neighbours, or made their key a hub). A link on a key depends only on alerts that bear this key (of a pair: on
// alerts that bear either), within Window days and ArtifactGap of it, which is what makes the region small.
//
// What an incident shows as its reasons is the spanning forest of its links with the greatest scores: take any away
// and the incident may fall apart; none is there for show.
package correlate
