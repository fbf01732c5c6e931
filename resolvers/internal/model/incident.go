package model

import (
	"context"
	"fmt"

	"github.com/clew-security/clew/graph"
)

// Incident is the type of that name.
type Incident struct {
	graph.Incident
	in *siblings[*Incident]
	at int
}

// IncidentEdge is the type of that name.
type IncidentEdge struct {
	Cursor string
	Node   *Incident
}

// IncidentConnection is the type of that name.
type IncidentConnection struct {
	page
	Nodes []*Incident
}

// Edges are the nodes with their cursors.
func (c *IncidentConnection) Edges() []*IncidentEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n *Incident) *IncidentEdge { return &IncidentEdge{cursor, n} })
}

func (s *Session) newIncidents(list []graph.Incident) []*Incident {
	in := newSiblings(s, make([]*Incident, len(list)))
	for i, incident := range list {
		in.rows[i] = &Incident{incident, in, i}
	}
	return in.rows
}

// Incidents is the page of incidents that the filter and order ask for.
func (s *Session) Incidents(ctx context.Context, f *IncidentFilter, order graph.TickOrder, first *int32, after *string) (*IncidentConnection, error) {
	q, err := f.Query(order)
	if err != nil {
		return nil, err
	}
	p, err := s.paging(listName("incidents", q), tickSize, first, after)
	if err != nil {
		return nil, err
	}
	counter := func(ctx context.Context) (count, error) {
		q := q
		q.Count, q.Limit = true, 1
		page, err := s.Reader.Incidents(ctx, s.View, q)
		return count{page.Total, page.TotalCapped}, err
	}
	q.After, q.Limit = keyTick(p.after), p.first
	page, err := s.Reader.Incidents(ctx, s.View, q)
	if err != nil {
		return nil, err
	}
	keys := keysOf(page.Items, func(i graph.Incident) []byte { return orderKey(order, i.Created, i.Updated) })
	return &IncidentConnection{s.page(p, keys, page.More, counter), s.newIncidents(page.Items)}, nil
}

// Incident is one incident as it is stored, nil where there is none.
func (s *Session) Incident(ctx context.Context, id graph.IncidentID) (*Incident, error) {
	found, err := s.incidentsByID(ctx, []graph.IncidentID{id})
	return found[id], err
}

// incidentsByID reads incidents, in any number, as siblings.
func (s *Session) incidentsByID(ctx context.Context, ids []graph.IncidentID) (map[graph.IncidentID]*Incident, error) {
	list, err := inChunks(ctx, ids, func(part []graph.IncidentID) ([]graph.Incident, error) {
		page, err := s.Reader.Incidents(ctx, s.View, graph.IncidentQuery{IDs: part})
		return page.Items, err
	})
	out := map[graph.IncidentID]*Incident{}
	for _, i := range s.newIncidents(list) {
		out[i.ID] = i
	}
	return out, err
}

// listName tells a list from others by its name and all that it was asked with.
func listName(name string, args ...any) string { return fmt.Sprintf("%s %+v", name, args) }

// tickSize is the length of a sort key that is a tick.
const tickSize = 8

func orderKey(o graph.TickOrder, created, updated graph.Tick) []byte {
	if o.ByUpdate() {
		return tickKey(updated)
	}
	return tickKey(created)
}

// IsNode marks a Node.
func (*Incident) IsNode() {}

// TenantID is the tenant of the view it was read in.
func (i *Incident) TenantID() string { return string(i.in.View.Tenant) }

// Severity is unknown where nothing was set.
func (i *Incident) Severity() graph.Severity { return known(i.Incident.Severity) }

// Classification is what people set.
func (i *Incident) Classification() string { return i.Triage.Classification }

// Determination is what people set.
func (i *Incident) Determination() string { return i.Triage.Determination }

// AssignedTo is what people set.
func (i *Incident) AssignedTo() string { return i.Triage.AssignedTo }

// CreatedDateTime is a tick.
func (i *Incident) CreatedDateTime() graph.Tick { return i.Created }

// LastUpdateDateTime is a tick.
func (i *Incident) LastUpdateDateTime() graph.Tick { return i.Updated }

// FirstActivityDateTime bounds the activity.
func (i *Incident) FirstActivityDateTime() Instant { return Instant{i.FirstActivity} }

// LastActivityDateTime bounds the activity.
func (i *Incident) LastActivityDateTime() Instant { return Instant{i.LastActivity} }

// MitreTechniques in order.
func (i *Incident) MitreTechniques() []Word { return words(i.Incident.MitreTechniques) }

// RedirectIncidentID is the incident that it became part of.
func (i *Incident) RedirectIncidentID() graph.IncidentID { return i.RedirectTo }

// RedirectsTo is the incident that it became part of.
func (i *Incident) RedirectsTo(ctx context.Context) (*Incident, error) {
	found, err := together(i.in, "redirectsTo", func() (map[graph.IncidentID]*Incident, error) {
		return i.in.incidentsByID(ctx, idsOf(i.in.rows, func(i *Incident) graph.IncidentID { return i.RedirectTo }))
	})
	return found[i.RedirectTo], err
}

// known is the severity, unknown for an unset one.
func known(s graph.Severity) graph.Severity {
	if s == "" {
		return graph.SeverityUnknown
	}
	return s
}
