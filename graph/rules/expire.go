package rules

import (
	"errors"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// gone is what a commit removes.
type gone struct {
	alerts    []graph.ID
	incidents []graph.IncidentID
	live      int // of the incidents
}

// expire removes what is over.
func (c *commit) expire(e *graph.Expiry) error {
	if e == nil {
		return nil
	}
	c.scattered = true
	if err := c.loadIncidents(e.Incidents); err != nil {
		return err
	}
	incidents := slices.Clone(e.Incidents)
	slices.Sort(incidents)
	for _, id := range slices.Compact(incidents) {
		if err := c.expireIncident(id, e); err != nil {
			return err
		}
	}
	for _, at := range e.Edges {
		if err := c.expireEdge(at, e); err != nil {
			return err
		}
	}
	slices.SortFunc(c.gone.alerts, graph.ID.Compare)
	return nil
}

func (c *commit) expireIncident(id graph.IncidentID, e *graph.Expiry) error {
	d := c.incidents[id]
	if d == nil || !d.stored.Over(e.IncidentsBefore) {
		return nil
	}
	if to := d.stored.RedirectTo; to != 0 {
		if target, err := c.incident(to); err != nil || target != nil && !slices.Contains(c.gone.incidents, to) {
			return err
		}
	}
	if err := c.expireAlerts(id); err != nil {
		return err
	}
	c.gone.incidents = append(c.gone.incidents, id)
	c.gone.live += liveCount(d.stored)
	c.receipt.ExpiredIncidents++
	delete(c.incidents, id)
	c.expired.Incidents = append(c.expired.Incidents, IncidentWrite{Was: d.stored})
	return nil
}

// expireAlerts removes the alerts of an incident, page by page.
func (c *commit) expireAlerts(id graph.IncidentID) error {
	q := graph.AlertQuery{Incidents: []graph.IncidentID{id}, Paging: graph.Paging{Order: graph.OldestCreated}}
	for more := true; more; {
		page, err := c.tx.Staged().Alerts(c.ctx, graph.View{Tenant: c.tenant}, q)
		if err != nil {
			return err
		}
		for _, a := range page.Items {
			if a.Incident != id { // asked for by a redirected incident's number
				continue
			}
			c.gone.alerts = append(c.gone.alerts, a.ID)
			c.expired.Alerts = append(c.expired.Alerts, AlertWrite{Was: &a})
			c.receipt.ExpiredAlerts++
		}
		if more = page.More; more {
			q.After = page.Items[len(page.Items)-1].Created
		}
	}
	return nil
}

// expireEdge removes all sightings between the ids of two nodes.
func (c *commit) expireEdge(at graph.EdgeKey, e *graph.Expiry) error {
	shown := Ends(at)
	from, err1 := c.base.canonical(at.From)
	to, err2 := c.base.canonical(at.To)
	if err := errors.Join(err1, err2); err != nil || from != at.From || to != at.To || from == to {
		return err
	}
	seen, err := distinct(shown, c.base.membersOf, c.base.edge)
	if err != nil {
		return err
	}
	edge, ok := graph.JoinDistinct(shown.Kind, shown.From, shown.To, seen, time.Time{})
	if !ok || !edge.Over(e.EdgesBefore, e.CredentialLife) {
		return nil
	}
	before := len(c.expired.Expired)
	if err := c.expirePairs(shown); err != nil || len(c.expired.Expired) == before {
		return err
	}
	c.receipt.ExpiredEdges++
	return errors.Join(c.touchNode(shown.From), c.touchNode(shown.To))
}

// expirePairs removes the relations that an edge is made of, those that are not removed yet.
func (c *commit) expirePairs(shown Ends) error {
	pairs, err := c.pairs(shown)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		sightings, err := c.base.edge(p)
		if err != nil {
			return err
		}
		if len(sightings) > 0 && !slices.Contains(c.expired.Expired, p) {
			c.expired.Expired = append(c.expired.Expired, p)
			c.row.Edges--
		}
	}
	return nil
}

// pairs are the relations between the ids of two nodes.
func (c *commit) pairs(at Ends) (out []Ends, err error) {
	from, err := c.base.membersOf(at.From)
	if err != nil {
		return nil, err
	}
	to, err := c.base.membersOf(at.To)
	for _, f := range append(slices.Clone(from), at.From) {
		for _, t := range append(slices.Clone(to), at.To) {
			out = append(out, Ends{f, at.Kind, t})
		}
	}
	return out, err
}
