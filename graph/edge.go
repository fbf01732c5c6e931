package graph

import (
	"cmp"
	"slices"
	"time"
)

// EdgeKind is a relation between two entities. The numbers are part of the stored format.
type EdgeKind uint8

// The edge kinds. Each reads from → to.
const (
	EdgeUnknown      EdgeKind = 0
	EdgeLoggedOn     EdgeKind = 1  // identity → device
	EdgeAdminOf      EdgeKind = 2  // identity or group → device or resource
	EdgeMemberOf     EdgeKind = 3  // identity or group → group
	EdgeOwns         EdgeKind = 4  // identity → mailbox, device or application
	EdgeDelivered    EdgeKind = 5  // message → mailbox
	EdgeAttached     EdgeKind = 6  // file → message
	EdgeContains     EdgeKind = 7  // message → url; cluster → message; url → domain
	EdgeRan          EdgeKind = 8  // process → device, the process ran there; identity → process, as whom
	EdgeSpawned      EdgeKind = 9  // parent process → child process
	EdgeImageOf      EdgeKind = 10 // file → process
	EdgePresentOn    EdgeKind = 11 // file, registry key or value → device
	EdgeConnectedTo  EdgeKind = 12 // device or process → ip address, url or cloud application
	EdgeResolvesTo   EdgeKind = 13 // domain → ip address
	EdgeEvidenceOf   EdgeKind = 14 // entity → alert; derived, see AlertQuery.Entities
	EdgeInIncident   EdgeKind = 15 // alert → incident; derived, see AlertQuery.Incidents
	EdgeHasSoftware  EdgeKind = 16 // device → software
	EdgeAffects      EdgeKind = 17 // vulnerability → software or device
	EdgeSignedInFrom EdgeKind = 18 // identity or session → ip address
	EdgeOfSession    EdgeKind = 19 // session → identity
	EdgeSentBy       EdgeKind = 20 // message → identity, mailbox or ip address
	EdgeReceivedBy   EdgeKind = 21 // message → identity
	EdgeIndicates    EdgeKind = 22 // indicator → threat
	EdgeUses         EdgeKind = 23 // actor, campaign or malware → technique
	EdgePossiblySame EdgeKind = 24 // weak-only node → the one node it may be; derived
	EdgeSignedInTo   EdgeKind = 25 // identity → cloud application
)

// Tense says how long an edge can be used by an attacker who arrives at one of its ends.
type Tense uint8

const (
	// Event edges could be used until the event was last seen.
	Event Tense = iota + 1
	// State edges can be used until a source says that they ended.
	State
	// Credential edges are events whose traces (tokens, hashes) outlive them by a setting.
	Credential
	// Derived edges are computed from other facts and are not walked by time.
	Derived
)

// EdgeKindRow is one row of the table of edge kinds.
type EdgeKindRow struct {
	Kind  EdgeKind
	Name  string
	Tense Tense
}

var edgeTable = []EdgeKindRow{
	{EdgeLoggedOn, "loggedOn", Credential}, {EdgeAdminOf, "adminOf", State}, {EdgeMemberOf, "memberOf", State},
	{EdgeOwns, "owns", State}, {EdgeDelivered, "delivered", Event}, {EdgeAttached, "attached", State},
	{EdgeContains, "contains", State}, {EdgeRan, "ran", Event}, {EdgeSpawned, "spawned", Event},
	{EdgeImageOf, "imageOf", Event}, {EdgePresentOn, "presentOn", State}, {EdgeConnectedTo, "connectedTo", Event},
	{EdgeResolvesTo, "resolvesTo", Event}, {EdgeEvidenceOf, "evidenceOf", Derived}, {EdgeInIncident, "inIncident", Derived},
	{EdgeHasSoftware, "hasSoftware", State}, {EdgeAffects, "affects", State}, {EdgeSignedInFrom, "signedInFrom", Event},
	{EdgeOfSession, "ofSession", Credential}, {EdgeSentBy, "sentBy", Event}, {EdgeReceivedBy, "receivedBy", Event},
	{EdgeIndicates, "indicates", State}, {EdgeUses, "usesTechnique", State}, {EdgePossiblySame, "possiblySameAs", Derived},
	{EdgeSignedInTo, "signedInTo", Event},
}

var edgeRows, edgeNames = func() (rows [256]EdgeKindRow, names map[string]EdgeKind) {
	names = map[string]EdgeKind{}
	for _, r := range edgeTable {
		rows[r.Kind], names[r.Name] = r, r.Kind
	}
	return rows, names
}()

// EdgeKinds lists the table of edge kinds in the order of their numbers.
func EdgeKinds() []EdgeKindRow { return slices.Clone(edgeTable) }

// String is the name on every wire, "unknown" for a kind this version does not know.
func (k EdgeKind) String() string { return cmp.Or(edgeRows[k].Name, "unknown") }

// Tense of the kind by the table.
func (k EdgeKind) Tense() Tense { return edgeRows[k].Tense }

// ParseEdgeKind reads a name as String gives it.
func ParseEdgeKind(s string) (EdgeKind, bool) { k, ok := edgeNames[s]; return k, ok }

// MarshalText gives the name.
func (k EdgeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name; one that is not known is EdgeUnknown, never an error.
func (k *EdgeKind) UnmarshalText(b []byte) error { *k = edgeNames[string(b)]; return nil }

// EdgeObservation says that a relation was seen. Both ends are the IDs of entity observations in the same
// batch, so that no edge dangles.
type EdgeObservation struct {
	Kind     EdgeKind
	From, To ID
	// FirstSeen and LastSeen bound when it was seen; zero where the source does not say.
	FirstSeen, LastSeen time.Time
	// EndedAt is set where the source says that the relation ended.
	EndedAt time.Time
	// Source names who said so.
	Source string
	// Inferred marks what a format only implies.
	Inferred bool
	// Observation is the distinct key of this sighting: the alert's ID where an alert says so, else an ID of
	// KindObservation. The same key seen again widens the times and adds nothing to the count.
	Observation ID
}

// Sighting is one stored observation of an edge; a join-semilattice like Facts.
type Sighting struct {
	Observation ID        `json:"observation"`
	FirstSeen   time.Time `json:"firstSeen,omitzero"`
	LastSeen    time.Time `json:"lastSeen,omitzero"`
	EndedAt     time.Time `json:"endedAt,omitzero"`
	Source      string    `json:"source,omitempty"`
	Inferred    bool      `json:"inferred,omitempty"`
}

// Sighting turns the observation into mergeable form. An instant that is missing is taken from the other.
func (o EdgeObservation) Sighting() Sighting {
	first, last := Micro(o.FirstSeen), Micro(o.LastSeen)
	if first.IsZero() {
		first = last
	}
	last = Later(first, last)
	return Sighting{o.Observation, first, last, Micro(o.EndedAt), o.Source, o.Inferred}
}

// Merge joins two sightings of one observation key.
func (s Sighting) Merge(t Sighting) Sighting {
	return Sighting{
		Observation: s.Observation,
		FirstSeen:   EarlierKnown(s.FirstSeen, t.FirstSeen),
		LastSeen:    Later(s.LastSeen, t.LastSeen),
		EndedAt:     Later(s.EndedAt, t.EndedAt),
		Source:      max(s.Source, t.Source),
		Inferred:    s.Inferred && t.Inferred,
	}
}

// Edge is one relation between two nodes, joined over all its sightings.
type Edge struct {
	Kind EdgeKind `json:"kind"`
	From ID       `json:"from"`
	To   ID       `json:"to"`
	// FirstSeen and LastSeen span all sightings; zero where no source gave a time.
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	// EndedAt is the latest explicit end, unless the relation was seen again after it.
	EndedAt time.Time `json:"endedAt,omitzero"`
	// Count is the number of distinct observation keys.
	Count int `json:"count"`
	// Sources that said so, in order.
	Sources []string `json:"sources,omitempty"`
	// Inferred is set where every sighting only implied it.
	Inferred bool `json:"inferred,omitempty"`
	// Alerts that prove the edge, in order of id, at most MaxEdgeAlerts.
	Alerts []ID `json:"alerts,omitempty"`
	// Sightings are those that it is joined of, where EdgeQuery.Sightings asked for them.
	Sightings []Sighting `json:"-"`
}

// MaxEdgeAlerts bounds Edge.Alerts.
const MaxEdgeAlerts = 20

// Key names the edge.
func (e Edge) Key() EdgeKey { return EdgeKey{e.From, e.Kind, e.To} }

// Compare orders edges by their keys.
func (e Edge) Compare(o Edge) int { return e.Key().Compare(o.Key()) }

// Join is the edge with one more sighting, of an observation key that it has not; its own Sightings stay what they are.
func (e Edge) Join(s Sighting) Edge {
	e.Count++
	e.FirstSeen, e.LastSeen = EarlierKnown(e.FirstSeen, s.FirstSeen), Later(e.LastSeen, s.LastSeen)
	e.EndedAt, e.Inferred = Later(e.EndedAt, s.EndedAt), e.Inferred && s.Inferred
	if e.EndedAt.Before(e.LastSeen) { // an end that was hidden before stays so: it was not seen last any earlier
		e.EndedAt = time.Time{}
	}
	if i, known := slices.BinarySearch(e.Sources, s.Source); s.Source != "" && !known {
		e.Sources = slices.Insert(slices.Clip(e.Sources), i, s.Source)
	}
	if i, known := slices.BinarySearchFunc(e.Alerts, s.Observation, ID.Compare); s.Observation.Kind() == KindAlert && !known {
		e.Alerts = slices.Insert(slices.Clip(e.Alerts), i, s.Observation)
		e.Alerts = e.Alerts[:min(len(e.Alerts), MaxEdgeAlerts)]
	}
	return e
}

// DistinctSightings merges those with one observation key, and gives all in order of it. One by itself it gives as it
// came.
func DistinctSightings(all []Sighting) []Sighting {
	if len(all) < 2 {
		return all
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(s, t Sighting) int { return s.Observation.Compare(t.Observation) })
	out := all[:1]
	for _, s := range all[1:] {
		if last := &out[len(out)-1]; last.Observation == s.Observation {
			*last = last.Merge(s)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// JoinDistinct makes the edge from its distinct sightings as they stood at asOf (zero: all that is known). ok is false
// where nothing had been seen by then. It looks at the observation keys of alerts alone.
func JoinDistinct(kind EdgeKind, from, to ID, distinct []Sighting, asOf time.Time) (e Edge, ok bool) {
	e = Edge{Kind: kind, From: from, To: to, Inferred: true}
	for _, s := range distinct {
		if !asOf.IsZero() && s.FirstSeen.After(asOf) {
			continue
		}
		s = s.asOf(asOf)
		e.Count++
		e.FirstSeen = EarlierKnown(e.FirstSeen, s.FirstSeen)
		e.LastSeen = Later(e.LastSeen, s.LastSeen)
		e.EndedAt = Later(e.EndedAt, s.EndedAt)
		e.Inferred = e.Inferred && s.Inferred
		if s.Source != "" {
			e.Sources = append(e.Sources, s.Source)
		}
		if s.Observation.Kind() == KindAlert {
			e.Alerts = append(e.Alerts, s.Observation)
		}
	}
	slices.Sort(e.Sources)
	e.Sources = slices.Compact(e.Sources)
	slices.SortFunc(e.Alerts, ID.Compare)
	e.Alerts = e.Alerts[:min(len(e.Alerts), MaxEdgeAlerts)]
	if e.EndedAt.Before(e.LastSeen) {
		e.EndedAt = time.Time{}
	}
	return e, e.Count > 0
}

// asOf hides what happened after the instant; a zero one hides nothing.
func (s Sighting) asOf(t time.Time) Sighting {
	if t.IsZero() {
		return s
	}
	if s.LastSeen.After(t) {
		s.LastSeen = t
	}
	if s.EndedAt.After(t) {
		s.EndedAt = time.Time{}
	}
	return s
}

// UsableUntil is the last instant at which an attacker can use the edge: event kinds until they were last
// seen, state kinds until an explicit end, credential kinds until last seen plus credentialLife. A zero
// instant means without end. Derived edges are without end.
func (e Edge) UsableUntil(credentialLife time.Duration) time.Time {
	switch e.Kind.Tense() {
	case Event:
		if !e.LastSeen.IsZero() {
			return e.LastSeen
		}
	case Credential:
		if e.LastSeen.IsZero() {
			return e.EndedAt
		}
		if until := e.LastSeen.Add(credentialLife); e.EndedAt.IsZero() || until.Before(e.EndedAt) {
			return until
		}
	}
	return e.EndedAt
}

// Arrive is the rule of time-respecting traversal: an attacker at one end since arrival can use the edge
// if arrival ≤ UsableUntil, and is at the other end at max(arrival, FirstSeen). A gap between sightings
// counts as usable. A zero arrival is before everything.
func (e Edge) Arrive(arrival time.Time, credentialLife time.Duration) (at time.Time, ok bool) {
	until := e.UsableUntil(credentialLife)
	if !until.IsZero() && arrival.After(until) {
		return time.Time{}, false
	}
	return Later(arrival, e.FirstSeen), true
}
