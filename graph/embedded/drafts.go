package embedded

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// alertDraft is one alert in a commit.
type alertDraft struct {
	// stored is what was committed, written what the batch has now, both nil for none; now is what the
	// commit makes of it, without ticks.
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

// alert returns the draft of an alert; ok is false where there is no such alert.
func (c *commit) alert(id graph.ID) (d *alertDraft, ok bool, err error) {
	if d, ok := c.alerts[id]; ok {
		return d, true, nil
	}
	a, ok, err := c.base.alert(id)
	if err != nil || !ok {
		return nil, false, err
	}
	d = &alertDraft{stored: &a, now: a}
	c.alerts[id] = d
	return d, true, nil
}

func (c *commit) incident(id graph.IncidentID) (d *incidentDraft, ok bool, err error) {
	if d, ok := c.incidents[id]; ok {
		return d, true, nil
	}
	i, ok, err := c.base.incident(id)
	if err != nil || !ok {
		return nil, false, err
	}
	d = &incidentDraft{stored: &i, now: i}
	c.incidents[id] = d
	return d, true, nil
}

// putAlerts keeps the newest version of each alert.
func (c *commit) putAlerts(all []graph.AlertContent) error {
	for _, content := range all {
		content = content.Stored()
		d, known, err := c.alert(content.ID())
		switch {
		case err != nil:
			return err
		case !known:
			d = &alertDraft{now: graph.Alert{ID: content.ID()}}
			c.alerts[content.ID()] = d
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
	for _, e := range all {
		d, ok, err := c.alert(e.Alert)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: alert %s", graph.ErrNotFound, e.Alert)
		}
		d.now.Analyst = e.Set.Over(d.now.Analyst)
	}
	return nil
}

// changeIncidents applies the changes one by one; checkIncidents looks at the outcome.
func (c *commit) changeIncidents(changes []graph.IncidentChange) error {
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
	d, ok, err := c.incident(id)
	if err != nil {
		return nil, err
	}
	if !ok || d.now.RedirectTo != 0 {
		return nil, fmt.Errorf("%w: incident %s is unknown or redirected", graph.ErrInvalid, id)
	}
	d.named = true
	return d, nil
}

func (c *commit) redirect(d *incidentDraft, to graph.IncidentID) error {
	target, ok, err := c.incident(to)
	if err != nil {
		return err
	}
	if !ok || target == d || target.now.RedirectTo != 0 {
		return fmt.Errorf("%w: incident %s cannot be redirected to %s", graph.ErrInvalid, d.now.ID, to)
	}
	d.now.RedirectTo = to
	return nil
}

func (c *commit) moveAlert(id graph.ID, to *incidentDraft) error {
	a, ok, err := c.alert(id)
	if err != nil {
		return err
	}
	if !ok || to.now.RedirectTo != 0 {
		return fmt.Errorf("%w: alert %s cannot join incident %s", graph.ErrInvalid, id, to.now.ID)
	}
	if a.now.Incident == to.now.ID {
		return nil
	}
	if a.now.Incident != 0 {
		from, _, err := c.incident(a.now.Incident)
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

// changedIncidents lists those whose record changed, or of which an alert changed, came or went.
func (c *commit) changedIncidents(alerts []graph.ID) ([]graph.IncidentID, error) {
	for _, d := range c.incidents {
		d.bumped = false
	}
	for _, id := range alerts {
		a := c.alerts[id]
		ids := []graph.IncidentID{a.now.Incident}
		if a.stored != nil {
			ids = append(ids, a.stored.Incident)
		}
		for _, i := range ids {
			d, ok, err := c.incident(i)
			if err != nil {
				return nil, err
			}
			if ok {
				d.bumped = true
			}
		}
	}
	var out []graph.IncidentID
	for id, d := range c.incidents {
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

// rewrite is what the batch holds of an item and what it is to hold. The rows of all items go before new
// ones come, because a tick may pass from one item to another between two stagings.
type rewrite[T any] struct {
	was, next *T // was is nil for a new item
}

// rewriteAlert gives the draft new ticks if it changed, else takes it back to what was committed.
func (c *commit) rewriteAlert(d *alertDraft) (r rewrite[graph.Alert], needed bool) {
	r = rewrite[graph.Alert]{d.written, d.stored}
	if r.was == nil {
		r.was = d.stored
	}
	if d.changed() {
		a := d.now
		a.Updated, a.Revision = d.tick, c.revision()
		if d.stored == nil {
			a.Created = d.tick
			c.row.Alerts++
		}
		r.next = &a
	} else if d.written == nil {
		return r, false
	}
	d.written = r.next
	return r, true
}

func (c *commit) rewriteIncident(d *incidentDraft) (r rewrite[graph.Incident], needed bool, err error) {
	changed, err := d.changed()
	r = rewrite[graph.Incident]{d.written, d.stored}
	if r.was == nil {
		r.was = d.stored
	}
	if changed {
		i := d.now
		i.Updated, i.Revision = d.tick, c.revision()
		if d.stored == nil {
			i.Created = d.tick
		}
		r.next = &i
		c.row.Incidents += liveCount(&i) - liveCount(d.stored)
	} else if d.written == nil {
		return r, false, err
	}
	d.written = r.next
	return r, true, err
}

func liveCount(i *graph.Incident) int {
	if i == nil || i.RedirectTo != 0 {
		return 0
	}
	return 1
}

// alertRows lists the keys in the indexes of alerts; their value is the alert's mark.
func (c *commit) alertRows(a *graph.Alert) [][]byte {
	k := c.staged.keys
	rows := [][]byte{
		k.of(tableAlertCreated, number(a.Created)), k.of(tableAlertUpdated, number(a.Updated)),
		k.of(tableAlertActivity, number(instant(a.LastActivity)), a.ID[:]),
	}
	if a.Incident != 0 {
		rows = append(rows, k.of(tableAlertIncident, number(a.Incident), number(a.Created), a.ID[:]))
	}
	for _, e := range a.Entities() {
		rows = append(rows, k.of(tableAlertEntity, e[:], number(a.Created), a.ID[:]))
	}
	return rows
}

// incidentRows lists the keys in the indexes of incidents; their value is the incident's number.
func (c *commit) incidentRows(i *graph.Incident) [][]byte {
	k := c.staged.keys
	return [][]byte{k.of(tableIncidentCreated, number(i.Created)), k.of(tableIncidentUpdated, number(i.Updated))}
}

func (c *commit) deleteAll(keys [][]byte) error {
	for _, k := range keys {
		if err := c.delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) putAll(keys [][]byte, value []byte) error {
	for _, k := range keys {
		if err := c.put(k, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) putAlert(a *graph.Alert) error {
	value, err := encodeRecord(a.Revision, a)
	if err != nil {
		return fmt.Errorf("%w: alert %s: %v", graph.ErrInvalid, a.ID, err)
	}
	if err := c.putAll(c.alertRows(a), markOf(a).encode()); err != nil {
		return err
	}
	return c.put(c.staged.keys.of(tableAlert, a.ID[:]), value)
}

func (c *commit) putIncident(i *graph.Incident) error {
	value, err := encodeRecord(i.Revision, i)
	if err != nil {
		return fmt.Errorf("%w: incident %s: %v", graph.ErrInvalid, i.ID, err)
	}
	if err := c.putAll(c.incidentRows(i), number(i.ID)); err != nil {
		return err
	}
	return c.put(c.staged.keys.of(tableIncident, number(i.ID)), value)
}

// stageTicks gives every changed alert, in order of id, and then every changed incident, in order of number,
// its tick, and stages them. It is done once for the decider's eyes and again when all is decided; ticks
// then count anew from where the tenant's clock stood.
func (c *commit) stageTicks() ([]graph.ID, []graph.IncidentID, error) {
	alerts := []graph.ID{}
	for id, d := range c.alerts {
		if d.changed() {
			alerts = append(alerts, id)
		}
	}
	slices.SortFunc(alerts, graph.ID.Compare)
	incidents, err := c.changedIncidents(alerts)
	if err != nil {
		return nil, nil, err
	}
	tick, last := graph.NextTicks(c.wall, c.start.Clock, len(alerts)+len(incidents))
	c.row.Clock, c.row.Alerts, c.row.Incidents = last, c.start.Alerts, c.start.Incidents
	for _, id := range alerts {
		c.alerts[id].tick, tick = tick, tick+1
	}
	for _, id := range incidents {
		c.incidents[id].tick, tick = tick, tick+1
	}
	return alerts, incidents, c.rewriteAll()
}

// rewriteAll makes the batch hold the drafts.
func (c *commit) rewriteAll() error {
	var alerts []rewrite[graph.Alert]
	var incidents []rewrite[graph.Incident]
	for _, d := range c.alerts {
		if r, needed := c.rewriteAlert(d); needed {
			alerts = append(alerts, r)
		}
	}
	for _, d := range c.incidents {
		if r, needed, err := c.rewriteIncident(d); err != nil {
			return err
		} else if needed {
			incidents = append(incidents, r)
		}
	}
	var stale [][]byte
	for _, r := range alerts {
		if r.was != nil {
			stale = append(stale, c.alertRows(r.was)...)
		}
	}
	for _, r := range incidents {
		if r.was != nil {
			stale = append(stale, c.incidentRows(r.was)...)
		}
	}
	if err := c.deleteAll(stale); err != nil {
		return err
	}
	for _, r := range alerts {
		if err := c.putAlert(r.next); err != nil {
			return err
		}
	}
	for _, r := range incidents {
		if err := c.putIncident(r.next); err != nil {
			return err
		}
	}
	return nil
}
