package rules

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// Settings of a commit.
type Settings struct {
	// Wall is the wall clock.
	Wall time.Time
	// KeepChanges is how many of a tenant's newest changes are kept.
	KeepChanges int
	// Memory of the tenant; nil for none.
	Memory *Memory
	// Outcome has the change carry its Outcome, where it can have one.
	Outcome bool
}

// Commit works out the batch and writes it to tx. It is the whole of graph.Writer's Apply between taking the
// tenant's lock and making durable. wrote is false where there is nothing to make durable. After an error
// nothing of tx may be kept.
func Commit(ctx context.Context, tx Tx, tenant graph.TenantID, b Prepared, s Settings) (r graph.Receipt, wrote bool, err error) {
	if b.Key != "" {
		if at, ok, err := tx.Replayed(ctx, b.Key); ok || err != nil {
			return graph.Receipt{Revision: at, Replayed: ok}, false, err
		}
	}
	start, err := tx.Tenant(ctx)
	if err != nil {
		return r, false, err
	}
	if start.Loading {
		return r, false, graph.Importing(tenant)
	}
	if s.Memory != nil {
		s.Memory.begin(start)
		tx = remembering{tx, s.Memory}
	}
	c := newCommit(ctx, tx, tenant, s, len(b.ids))
	c.start, c.row = start, start
	if err := c.stage(b); err != nil {
		return r, false, err
	}
	return c.receipt, c.wrote, nil
}

// commit is one batch in the making.
type commit struct {
	ctx      context.Context
	tenant   graph.TenantID
	tx       Tx
	settings Settings
	// base remembers what was committed.
	base *memo
	// start is the tenant's record before, row as it will be.
	start, row Tenant
	receipt    graph.Receipt
	// out is what was not written yet.
	out   Writes
	wrote bool

	subjects map[graph.ID]*subject
	// observed are those that the batch observes, as Prepared has them; atoms is what it says of them.
	observed []*subject
	atoms    []AtomWrite
	// changed are those of which something is to be written, moved those that change their node.
	changed, moved []*subject
	// claimed and borne are the new claims and bearings by id and by weak key.
	claimed map[graph.ID][]graph.ID
	borne   map[graph.ID][]Bearer
	// refollowed are the nodes that were there before and are now followed to another one, or no more.
	refollowed []graph.ID
	// touched are the nodes that changed as shown, the ends of changed edges included.
	touched []graph.ID
	// edges are those that changed, perhaps several times; scattered is set where there may be others.
	edges     []graph.EdgeKey
	scattered bool
	// whole are those of edges that the commit has every sighting of, seen those that it has the new ones of.
	whole, seen []graph.Edge

	alerts    map[graph.ID]*alertDraft
	incidents map[graph.IncidentID]*incidentDraft
	documents int // changed

	gone    gone
	expired Writes
}

// newCommit has room for what is known of so many ids.
func newCommit(ctx context.Context, tx Tx, tenant graph.TenantID, s Settings, ids int) *commit {
	return &commit{
		ctx: ctx, tenant: tenant, tx: tx, settings: s, base: newMemo(ctx, tx, ids),
		subjects: make(map[graph.ID]*subject, ids), changed: make([]*subject, 0, ids), touched: make([]graph.ID, 0, ids),
		claimed: map[graph.ID][]graph.ID{}, borne: map[graph.ID][]Bearer{},
		alerts: map[graph.ID]*alertDraft{}, incidents: map[graph.IncidentID]*incidentDraft{},
	}
}

// revision is the one this commit gets if it changes anything.
func (c *commit) revision() graph.Revision { return c.start.Revision + 1 }

// stage is the protocol of a commit: expect, observe, decide, tick. What it writes may be nothing.
func (c *commit) stage(b Prepared) error {
	for _, step := range []func() error{
		func() error { return c.expect(b.Expect) },
		func() error { return c.observeEntities(&b) },
		func() error { return c.resolveIdentity() },
		func() error { return c.findFollowers() },
		func() error { return c.observeEdges(b.relations) },
		func() error { return c.putAlerts(b.Alerts) },
		func() error { return c.editAlerts(b.Edits) },
		func() error { return c.putDocuments(b.Documents) },
		func() error { return c.changeIncidents(b.Incidents) },
		func() error { return c.expire(b.Expire) },
		func() error { c.collect(); return nil },
		func() error { return c.decide(b.Decide) },
		func() error { return c.checkIncidents() },
		func() error { return c.finish(b.Key) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) expect(all []graph.Expectation) error {
	for _, x := range all {
		have, err := c.revisionOf(x)
		if err != nil {
			return err
		}
		if have != x.Revision {
			return fmt.Errorf("%w: revision is %d, expected %d", graph.ErrConflict, have, x.Revision)
		}
	}
	return nil
}

func (c *commit) revisionOf(x graph.Expectation) (graph.Revision, error) {
	switch {
	case !x.Alert.IsZero():
		d, err := c.alert(x.Alert)
		if d == nil {
			return 0, err
		}
		return d.stored.Revision, err
	case x.Incident != 0:
		d, err := c.incident(x.Incident)
		if d == nil {
			return 0, err
		}
		return d.stored.Revision, err
	}
	d, err := c.tx.Documents(c.ctx, []graph.DocumentKey{x.Document})
	if err != nil {
		return 0, err
	}
	return d[0].Revision, nil
}

// putDocuments stores what differs from what is there.
func (c *commit) putDocuments(all []graph.Document) error {
	if len(all) == 0 {
		return nil
	}
	keys := make([]graph.DocumentKey, len(all))
	for i, d := range all {
		keys[i] = d.DocumentKey
	}
	stored, err := c.tx.Documents(c.ctx, keys)
	if err != nil {
		return err
	}
	for i, d := range all {
		if known := stored[i].Revision != 0; known == (d.Value != nil) && slices.Equal(stored[i].Value, d.Value) {
			continue
		}
		d.Revision = c.revision()
		c.out.Documents = append(c.out.Documents, d)
	}
	c.documents = len(c.out.Documents)
	return nil
}

// write stages what is to be written.
func (c *commit) write() error {
	c.out.Tenant = c.row
	err := c.tx.Write(c.ctx, c.out)
	c.out, c.wrote = Writes{}, true
	return err
}

// decide asks the decider, where there is one and something to decide, with all that came before staged.
func (c *commit) decide(d graph.Decider) error {
	if d == nil {
		return nil
	}
	delta, err := c.delta()
	if err != nil || len(delta.Alerts)+len(delta.Entities) == 0 {
		return err
	}
	if _, _, err := c.stageTicks(); err != nil {
		return err
	}
	if err := c.write(); err != nil {
		return err
	}
	changes, err := d.Decide(c.ctx, c.tx.Staged(), graph.View{Tenant: c.tenant}, delta)
	if err != nil {
		return err
	}
	if err := c.changeIncidents(changes); err != nil {
		return err
	}
	for _, id := range delta.Alerts {
		if c.alerts[id].now.Incident == 0 {
			return fmt.Errorf("%w: alert %s is in no incident", graph.ErrInvalid, id)
		}
	}
	return nil
}

// finish gives ticks and the revision. What is stored but not shown (a fact that another id of the node has
// already) and a new batch key are written without a revision.
func (c *commit) finish(batchKey string) error {
	alerts, incidents, err := c.stageTicks()
	if err != nil {
		return err
	}
	c.row.Alerts -= len(c.gone.alerts)
	c.row.Incidents -= c.gone.live
	alerts, incidents = append(alerts, c.gone.alerts...), append(incidents, c.gone.incidents...)
	c.out.Expired = c.expired.Expired
	c.out.Alerts, c.out.Incidents = append(c.out.Alerts, c.expired.Alerts...), append(c.out.Incidents, c.expired.Incidents...)
	if len(alerts)+len(incidents)+len(c.touched)+c.documents > 0 {
		slices.SortFunc(c.touched, graph.ID.Compare)
		c.row.Revision = c.revision()
		c.out.Change = &graph.Change{
			Revision: c.row.Revision, At: graph.Micro(c.settings.Wall),
			Entities: c.touched, Alerts: alerts, Incidents: incidents, Edges: c.changedEdges(),
		}
		if c.out.Change.Outcome, err = c.outcome(); err != nil {
			return err
		}
		c.trim()
	}
	c.receipt.Revision = c.row.Revision
	if batchKey != "" {
		c.out.BatchKeys = []graph.BatchKeyRecord{{Key: batchKey, Revision: c.row.Revision}}
	}
	if c.out.empty() && !c.wrote {
		return nil
	}
	if err := c.row.check(); err != nil {
		return fmt.Errorf("%w: %v", graph.ErrInvalid, err)
	}
	return c.write()
}

// trimAtOnce bounds the changes that one commit trims, after Settings.KeepChanges was lowered.
const trimAtOnce = 1000

func (c *commit) trim() {
	keep := graph.Revision(c.settings.KeepChanges)
	if c.row.Trimmed+keep >= c.row.Revision {
		return
	}
	c.out.TrimAfter = c.row.Trimmed
	c.row.Trimmed = min(c.row.Revision-keep, c.row.Trimmed+trimAtOnce)
	c.out.TrimTo = c.row.Trimmed
}
