package graph

import (
	"cmp"
	"slices"
	"time"
)

// Link says why two alerts are one incident. A and B are ordered, A before B.
type Link struct {
	A ID `json:"a"`
	B ID `json:"b"`
	// Reasons are Microsoft Graph Security's correlationReason flags, in order.
	Reasons []string `json:"reasons"`
	// Rule names the rule that made the link.
	Rule string `json:"rule"`
	// Entities the rule went by, in order of id.
	Entities []ID `json:"entities,omitempty"`
	// Score is the rule's confidence, 0 to 1.
	Score float64 `json:"score"`
	// Inferred marks a link that rests on a weak key followed as the same thing.
	Inferred bool `json:"inferred,omitempty"`
}

// NewLink orders the two alerts.
func NewLink(a, b ID, l Link) Link {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	l.A, l.B = a, b
	slices.Sort(l.Reasons)
	slices.SortFunc(l.Entities, ID.Compare)
	l.Entities = slices.Compact(l.Entities)
	return l
}

// Compare orders links by their alerts, then the rule.
func (l Link) Compare(o Link) int {
	return cmp.Or(l.A.Compare(o.A), l.B.Compare(o.B), cmp.Compare(l.Rule, o.Rule))
}

// IncidentFacts are what follows from an incident's alerts. Correlation computes them; a person's fields
// stand beside, in IncidentState.
type IncidentFacts struct {
	DisplayName     string          `json:"displayName"`
	Severity        Severity        `json:"severity"`
	FirstActivity   time.Time       `json:"firstActivityDateTime,omitzero"`
	LastActivity    time.Time       `json:"lastActivityDateTime,omitzero"`
	ServiceSources  []ServiceSource `json:"serviceSources,omitempty"`
	MitreTechniques []string        `json:"mitreTechniques,omitempty"`
	// Links hold the incident together: with any of them gone it may fall apart, none is there for show.
	Links []Link `json:"links,omitempty"`
}

// Incident is one incident as the store keeps it.
type Incident struct {
	ID IncidentID `json:"id"`
	IncidentFacts
	// Triage is what people set; Status is derived where they did not.
	Triage Triage `json:"triage,omitzero"`
	// RedirectTo is the incident this one became part of; its alerts are there.
	RedirectTo IncidentID `json:"redirectIncidentId,omitempty"`
	// AlertCount is the number of its alerts, 0 for a redirected one.
	AlertCount int `json:"alertCount"`
	// Created and Updated are ticks.
	Created Tick `json:"createdDateTime"`
	Updated Tick `json:"lastUpdateDateTime"`
	// Revision of the last commit that changed the incident itself.
	Revision Revision `json:"-"`
	// ContentVersion is the greatest revision of the incident and of all it shows: alerts and entities. Only
	// filled where the query asks; it is a cache key and never moves Updated.
	ContentVersion Revision `json:"-"`
}

// Status is what holds: redirected, else a person's word, else active.
func (i Incident) Status() Status {
	if i.RedirectTo != 0 {
		return StatusRedirected
	}
	return cmp.Or(i.Triage.Status, StatusActive)
}

// WorkedOn reports whether a person has put work into the incident.
func (i Incident) WorkedOn() bool { return i.Triage != Triage{} }

// IncidentChange creates, changes or redirects one incident within a batch. A store refuses with ErrInvalid
// a change of an incident that is unknown or redirected, an alert it does not have, a redirect to anything
// but another live incident, and a batch that leaves an incident without alerts and without a redirect, a
// redirected one with alerts, or (where a Decider is asked) a changed alert without an incident. A changed
// alert bumps its incident's tick, and so does an alert that comes or goes.
type IncidentChange struct {
	// ID of the incident; zero creates one, numbered in the order of the changes.
	ID IncidentID
	// Facts replace the incident's; nil keeps them, as a person's change does. Ignored for a redirect.
	Facts *IncidentFacts
	// Alerts now belong to this incident, wherever they were.
	Alerts []ID
	// RedirectTo makes the incident point to another, live one. Its alerts must have moved in the batch.
	RedirectTo IncidentID
	// Triage sets what a person said; unset fields stay.
	Triage Triage
}

// Survivor picks which of several incidents that become one keeps its id: the one created first, which is
// the smallest number, unless only another has been worked on by a person. incidents must not be empty.
func Survivor(incidents []Incident) IncidentID {
	s := slices.MinFunc(incidents, func(a, b Incident) int {
		if a.WorkedOn() != b.WorkedOn() {
			if a.WorkedOn() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return s.ID
}
