package rules

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// alertDraft is one alert in a commit.
type alertDraft struct {
	// stored is what was committed, written what was staged, both nil for none; now is what the commit makes
	// of it, without ticks.
	stored, written *graph.Alert
	now             graph.Alert
	// content is set where the source's word changed.
	content bool
	tick    graph.Tick
}

func (d *alertDraft) changed() bool {
	return d.stored == nil || d.content || d.now.Analyst != d.stored.Analyst || d.now.Incident != d.stored.Incident
}

// incidentDraft is one incident in a commit, like alertDraft.
type incidentDraft struct {
	stored, written *graph.Incident
	now             graph.Incident
	// named is set where a change named it or an alert left it; bumped where an alert of it changed.
	named, bumped bool
	tick          graph.Tick
}

func (d *incidentDraft) changed() (bool, error) {
	if d.stored == nil || d.bumped {
		return true, nil
	}
	old, err1 := graph.EncodeJSON(d.stored)
	now, err2 := graph.EncodeJSON(d.now)
	if err1 != nil || err2 != nil {
		return false, fmt.Errorf("%w: incident %s: %v %v", graph.ErrInvalid, d.now.ID, err1, err2)
	}
	return !bytes.Equal(old, now), nil
}

// loadAlerts makes drafts of the alerts that are stored.
func (c *commit) loadAlerts(ids []graph.ID) error {
	var ask []graph.ID
	for _, id := range ids {
		if _, ok := c.alerts[id]; !ok {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := c.tx.Alerts(c.ctx, ask)
	if err != nil {
		return err
	}
	for _, a := range found {
		if !a.ID.IsZero() {
			c.alerts[a.ID] = &alertDraft{stored: &a, now: a}
		}
	}
	return nil
}

func (c *commit) loadIncidents(ids []graph.IncidentID) error {
	var ask []graph.IncidentID
	for _, id := range ids {
		if _, ok := c.incidents[id]; !ok && id != 0 {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := c.tx.Incidents(c.ctx, ask)
	if err != nil {
		return err
	}
	for _, i := range found {
		if i.ID != 0 {
			c.incidents[i.ID] = &incidentDraft{stored: &i, now: i}
		}
	}
	return nil
}

// alert returns the draft of an alert; nil where there is no such alert.
func (c *commit) alert(id graph.ID) (*alertDraft, error) {
	err := c.loadAlerts([]graph.ID{id})
	return c.alerts[id], err
}

// incident returns the draft of an incident; nil where there is none.
func (c *commit) incident(id graph.IncidentID) (*incidentDraft, error) {
	err := c.loadIncidents([]graph.IncidentID{id})
	return c.incidents[id], err
}

// putAlerts keeps the newest version of each alert.
func (c *commit) putAlerts(all []graph.AlertContent) error {
	ids := make([]graph.ID, len(all))
	for i, content := range all {
		ids[i] = content.ID()
	}
	if err := c.loadAlerts(ids); err != nil {
		return err
	}
	for i, content := range all {
		content = content.Stored()
		d := c.alerts[ids[i]]
		switch {
		case d == nil:
			d = &alertDraft{now: graph.Alert{ID: ids[i]}}
			c.alerts[ids[i]] = d
			c.receipt.NewAlerts++
		case !content.Newer(d.now.AlertContent): // outdated, or the same
			c.receipt.DuplicateAlerts++
			continue
		default:
			c.receipt.UpdatedAlerts++
		}
		d.now.AlertContent, d.content = content, true
	}
	return nil
}

func (c *commit) editAlerts(all []graph.AlertEdit) error {
	ids := make([]graph.ID, len(all))
	for i, e := range all {
		ids[i] = e.Alert
	}
	if err := c.loadAlerts(ids); err != nil {
		return err
	}
	for _, e := range all {
		d := c.alerts[e.Alert]
		if d == nil {
			return fmt.Errorf("%w: alert %s", graph.ErrNotFound, e.Alert)
		}
		d.now.Analyst = e.Set.Over(d.now.Analyst)
	}
	return nil
}

// loadChanges asks ahead for all that the changes name.
func (c *commit) loadChanges(changes []graph.IncidentChange) error {
	var incidents []graph.IncidentID
	var alerts []graph.ID
	for _, change := range changes {
		incidents = append(incidents, change.ID, change.RedirectTo)
		alerts = append(alerts, change.Alerts...)
	}
	if err := c.loadAlerts(alerts); err != nil {
		return err
	}
	for _, id := range alerts {
		if d := c.alerts[id]; d != nil {
			incidents = append(incidents, d.now.Incident)
		}
	}
	slices.Sort(incidents)
	return c.loadIncidents(slices.Compact(incidents))
}

// changeIncidents applies the changes one by one; checkIncidents looks at the outcome.
func (c *commit) changeIncidents(changes []graph.IncidentChange) error {
	if err := c.loadChanges(changes); err != nil {
		return err
	}
	for _, change := range changes {
		d, err := c.changedIncident(change.ID)
		if err != nil {
			return err
		}
		if change.RedirectTo != 0 {
			if err := c.redirect(d, change.RedirectTo); err != nil {
				return err
			}
		} else if change.Facts != nil {
			d.now.IncidentFacts = *change.Facts
		}
		d.now.Triage = change.Triage.Over(d.now.Triage)
		for _, id := range change.Alerts {
			if err := c.moveAlert(id, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// changedIncident finds the incident that a change is for, or makes it.
func (c *commit) changedIncident(id graph.IncidentID) (*incidentDraft, error) {
	if id == 0 {
		c.row.Next++
		d := &incidentDraft{now: graph.Incident{ID: c.row.Next}, named: true}
		c.incidents[c.row.Next] = d
		return d, nil
	}
	d, err := c.incident(id)
	if err != nil {
		return nil, err
	}
	if d == nil || d.now.RedirectTo != 0 {
		return nil, fmt.Errorf("%w: incident %s is unknown or redirected", graph.ErrInvalid, id)
	}
	d.named = true
	return d, nil
}

func (c *commit) redirect(d *incidentDraft, to graph.IncidentID) error {
	target, err := c.incident(to)
	if err != nil {
		return err
	}
	if target == nil || target == d || target.now.RedirectTo != 0 {
		return fmt.Errorf("%w: incident %s cannot be redirected to %s", graph.ErrInvalid, d.now.ID, to)
	}
	d.now.RedirectTo = to
	return nil
}

func (c *commit) moveAlert(id graph.ID, to *incidentDraft) error {
	a, err := c.alert(id)
	if err != nil {
		return err
	}
	if a == nil || to.now.RedirectTo != 0 {
		return fmt.Errorf("%w: alert %s cannot join incident %s", graph.ErrInvalid, id, to.now.ID)
	}
	if a.now.Incident == to.now.ID {
		return nil
	}
	if a.now.Incident != 0 {
		from, err := c.incident(a.now.Incident)
		if err != nil {
			return err
		}
		from.named = true
		from.now.AlertCount--
	}
	a.now.Incident = to.now.ID
	to.now.AlertCount++
	return nil
}

func (c *commit) checkIncidents() error {
	for id, d := range c.incidents {
		if d.named && (d.now.RedirectTo == 0) == (d.now.AlertCount == 0) {
			return fmt.Errorf("%w: incident %s is left with %d alerts and redirect %q", graph.ErrInvalid, id, d.now.AlertCount, d.now.RedirectTo)
		}
	}
	return nil
}

// changedAlerts lists the alerts that change, in order of id.
func (c *commit) changedAlerts() []graph.ID {
	var out []graph.ID
	for id, d := range c.alerts {
		if d.changed() {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return out
}

// changedIncidents lists those whose record changed, or of which an alert changed, came or went.
func (c *commit) changedIncidents(alerts []graph.ID) ([]graph.IncidentID, error) {
	var bumped []graph.IncidentID
	for _, id := range alerts {
		a := c.alerts[id]
		bumped = append(bumped, a.now.Incident)
		if a.stored != nil {
			bumped = append(bumped, a.stored.Incident)
		}
	}
	slices.Sort(bumped)
	bumped = slices.Compact(bumped)
	if err := c.loadIncidents(bumped); err != nil {
		return nil, err
	}
	var out []graph.IncidentID
	for id, d := range c.incidents {
		_, d.bumped = slices.BinarySearch(bumped, id)
		changed, err := d.changed()
		if err != nil {
			return nil, err
		}
		if changed {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

// rewriteAlert gives the draft new ticks if it changed, else takes it back to what was committed.
func (c *commit) rewriteAlert(d *alertDraft) {
	w := AlertWrite{d.written, d.stored}
	if w.Was == nil {
		w.Was = d.stored
	}
	if d.changed() {
		a := d.now
		a.Updated, a.Revision = d.tick, c.revision()
		if d.stored == nil {
			a.Created = d.tick
			c.row.Alerts++
		}
		w.Next = &a
	} else if d.written == nil {
		return
	}
	d.written = w.Next
	c.out.Alerts = append(c.out.Alerts, w)
}

func (c *commit) rewriteIncident(d *incidentDraft) error {
	w := IncidentWrite{d.written, d.stored}
	if w.Was == nil {
		w.Was = d.stored
	}
	changed, err := d.changed()
	if changed {
		i := d.now
		i.Updated, i.Revision = d.tick, c.revision()
		if d.stored == nil {
			i.Created = d.tick
		}
		w.Next = &i
		c.row.Incidents += liveCount(&i) - liveCount(d.stored)
	} else if d.written == nil {
		return err
	}
	d.written = w.Next
	c.out.Incidents = append(c.out.Incidents, w)
	return err
}

func liveCount(i *graph.Incident) int {
	if i == nil || i.RedirectTo != 0 {
		return 0
	}
	return 1
}

// stageTicks gives every changed alert, in order of id, and then every changed incident, in order of number,
// its tick, and stages them. It is done once for the decider's eyes and again when all is decided; ticks
// then count anew from where the tenant's clock stood.
func (c *commit) stageTicks() ([]graph.ID, []graph.IncidentID, error) {
	alerts := c.changedAlerts()
	incidents, err := c.changedIncidents(alerts)
	if err != nil {
		return nil, nil, err
	}
	tick, last := graph.NextTicks(c.settings.Wall, c.start.Clock, len(alerts)+len(incidents))
	c.row.Clock, c.row.Alerts, c.row.Incidents = last, c.start.Alerts, c.start.Incidents
	for _, id := range alerts {
		c.alerts[id].tick, tick = tick, tick+1
	}
	for _, id := range incidents {
		c.incidents[id].tick, tick = tick, tick+1
	}
	c.out.Alerts, c.out.Incidents = nil, nil
	for _, id := range sortedIDs(c.alerts) {
		c.rewriteAlert(c.alerts[id])
	}
	for _, d := range c.incidents {
		if err := c.rewriteIncident(d); err != nil {
			return nil, nil, err
		}
	}
	return alerts, incidents, nil
}
