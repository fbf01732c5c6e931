package model

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"

	"github.com/clew-security/clew/graph"
)

// Alert is the type of that name.
type Alert struct {
	graph.Alert
	in   *siblings[*Alert]
	at   int
	more func() sourceFields
}

// AlertEdge is the type of that name.
type AlertEdge struct {
	Cursor string
	Node   *Alert
}

// AlertConnection is the type of that name.
type AlertConnection struct {
	page
	Nodes []*Alert
}

// Edges are the nodes with their cursors.
func (c *AlertConnection) Edges() []*AlertEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n *Alert) *AlertEdge { return &AlertEdge{cursor, n} })
}

// AlertComment is the type of that name.
type AlertComment struct {
	Comment, CreatedByDisplayName string
	CreatedDateTime               Instant
}

// sourceFields are fields of microsoft.graph.security.alert that only the source's own record has.
type sourceFields struct {
	Categories, SystemTags        []Word
	ResolvedDateTime              Instant
	IncidentWebURL                string
	Comments                      []AlertComment
	CustomDetails, AdditionalData json.RawMessage
}

func (s *Session) newAlerts(list []graph.Alert) []*Alert {
	in := newSiblings(s, make([]*Alert, len(list)))
	for i, a := range list {
		in.rows[i] = &Alert{a, in, i, sync.OnceValue(func() sourceFields { return readSource(a) })}
	}
	return in.rows
}

// readSource reads the record of a Graph alert; other formats have other names for such fields, or none.
func readSource(a graph.Alert) (f sourceFields) {
	if a.Format == "graph" {
		_ = json.Unmarshal(a.Source, &f) // a field of another type stays empty
	}
	return f
}

// Alerts is the page of alerts that the filter and order ask for.
func (s *Session) Alerts(ctx context.Context, f *AlertFilter, order graph.TickOrder, first *int32, after *string) (*AlertConnection, error) {
	q, err := f.Query(order)
	if err != nil {
		return nil, err
	}
	p, err := s.paging(listName("alerts", q), tickSize, first, after)
	if err != nil {
		return nil, err
	}
	counter := s.alertCounter(q)
	q.After, q.Limit = keyTick(p.after), p.first
	page, err := s.Reader.Alerts(ctx, s.View, q)
	if err != nil {
		return nil, err
	}
	keys := keysOf(page.Items, func(a graph.Alert) []byte { return orderKey(order, a.Created, a.Updated) })
	return &AlertConnection{s.page(p, keys, page.More, counter), s.newAlerts(page.Items)}, nil
}

func (s *Session) alertCounter(q graph.AlertQuery) func(context.Context) (count, error) {
	q.Count, q.Limit = true, 1
	return func(ctx context.Context) (count, error) {
		page, err := s.Reader.Alerts(ctx, s.View, q)
		return count{page.Total, page.TotalCapped}, err
	}
}

// Alert is one alert, nil where there is none.
func (s *Session) Alert(ctx context.Context, id graph.ID) (*Alert, error) {
	found, err := s.alertLists(ctx, [][]graph.ID{{id}})
	if err != nil || len(found[0]) == 0 {
		return nil, err
	}
	return found[0][0], nil
}

// IsNode marks a Node.
func (*Alert) IsNode() {}

// TenantID is the tenant of the view it was read in.
func (a *Alert) TenantID() string { return string(a.in.View.Tenant) }

// IncidentID is the incident that holds it.
func (a *Alert) IncidentID() graph.IncidentID { return a.Alert.Incident }

// Incident is the incident that holds it.
func (a *Alert) Incident(ctx context.Context) (*Incident, error) {
	found, err := together(a.in, "incident", func() (map[graph.IncidentID]*Incident, error) {
		return a.in.incidentsByID(ctx, idsOf(a.in.rows, (*Alert).IncidentID))
	})
	return found[a.Alert.Incident], err
}

// EvidenceCount is how much of it there is.
func (a *Alert) EvidenceCount() int { return len(a.Alert.Evidence) }

// Evidence is what it is about, MaxEvidence at most.
func (a *Alert) Evidence(ctx context.Context) ([]Evidence, error) {
	all, err := together(a.in, "evidence", func() ([][]Evidence, error) { return readEvidences(ctx, a.in.Session, a.in.rows) })
	if err != nil {
		return nil, err
	}
	return all[a.at], nil
}

// RecommendedActions is what the product advises.
func (a *Alert) RecommendedActions() string { return a.Recommended }

// Severity is unknown where the source says nothing.
func (a *Alert) Severity() graph.Severity { return known(a.Alert.Severity) }

// Status is what holds.
func (a *Alert) Status() graph.Status { return cmp.Or(a.Triage().Status, graph.StatusUnknown) }

// Classification is what holds.
func (a *Alert) Classification() string { return a.Triage().Classification }

// Determination is what holds.
func (a *Alert) Determination() string { return a.Triage().Determination }

// AssignedTo is what holds.
func (a *Alert) AssignedTo() string { return a.Triage().AssignedTo }

// ServiceSource is unknown where the source says nothing.
func (a *Alert) ServiceSource() graph.ServiceSource {
	return cmp.Or(a.Alert.ServiceSource, graph.ServiceUnknown)
}

// MitreTechniques in order.
func (a *Alert) MitreTechniques() []Word { return words(a.Alert.MitreTechniques) }

// FirstActivityDateTime bounds the activity.
func (a *Alert) FirstActivityDateTime() Instant { return Instant{a.FirstActivity} }

// LastActivityDateTime bounds the activity.
func (a *Alert) LastActivityDateTime() Instant { return Instant{a.LastActivity} }

// CreatedDateTime is a tick.
func (a *Alert) CreatedDateTime() graph.Tick { return a.Created }

// LastUpdateDateTime is a tick.
func (a *Alert) LastUpdateDateTime() graph.Tick { return a.Updated }

// SourceCreatedDateTime is by the source's clock.
func (a *Alert) SourceCreatedDateTime() Instant { return Instant{a.SourceCreated} }

// SourceLastUpdateDateTime is by the source's clock.
func (a *Alert) SourceLastUpdateDateTime() Instant { return Instant{a.SourceUpdated} }

// Categories are the source's.
func (a *Alert) Categories() []Word { return a.more().Categories }

// IncidentWebURL is the source's.
func (a *Alert) IncidentWebURL() string { return a.more().IncidentWebURL }

// ResolvedDateTime is by the source's clock.
func (a *Alert) ResolvedDateTime() Instant { return a.more().ResolvedDateTime }

// SystemTags are the source's.
func (a *Alert) SystemTags() []Word { return a.more().SystemTags }

// Comments are the source's.
func (a *Alert) Comments() []AlertComment { return a.more().Comments }

// CustomDetails are the source's.
func (a *Alert) CustomDetails() json.RawMessage { return a.more().CustomDetails }

// AdditionalData are the source's.
func (a *Alert) AdditionalData() json.RawMessage { return a.more().AdditionalData }
