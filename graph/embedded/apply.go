package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
)

// Apply implements graph.Writer. A storage error stops the store, see Store.
func (s *Store) Apply(ctx context.Context, id graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if err := s.enter(ctx); err != nil {
		return graph.Receipt{}, err
	}
	defer s.leave()
	if err := errors.Join(id.Check(), b.Validate()); err != nil {
		return graph.Receipt{}, err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx, s); err != nil {
		return graph.Receipt{}, err
	}
	defer t.giveTurn()
	c, err := s.newCommit(ctx, id)
	if err != nil {
		return graph.Receipt{}, err
	}
	if replayed, ok, err := c.replayed(b.Key); ok || err != nil {
		return replayed, err
	}
	receipt, err := c.stage(id, b)
	if err != nil || c.batch.Empty() {
		return receipt, err
	}
	if err := s.commit(c.batch); err != nil {
		return graph.Receipt{}, err
	}
	t.announce()
	return receipt, nil
}

// commit is one batch in the making. It starts from what the directory says, never from memory: an earlier
// commit may have ended without a known outcome.
type commit struct {
	store *Store
	// batch is left to the garbage collector: whoever still reads it must not meet another commit's.
	batch *pebble.Batch
	// base reads what was committed, staged the same with this batch upon it.
	base, staged view
	// start is the tenant's row before, row as it will be.
	start, row tenantRow
	wall       time.Time
	receipt    graph.Receipt

	atoms map[graph.ID]*atomChange
	// moved are the ids that change their node.
	moved map[graph.ID]move
	// memberCounts remembers nodeRow.Members as staged.
	memberCounts map[graph.ID]int
	// refollowed are the nodes that were there before and are now followed to another one, or no more.
	refollowed map[graph.ID]bool
	// touched are the nodes that changed as shown, the ends of changed edges included.
	touched map[graph.ID]bool

	alerts    map[graph.ID]*alertDraft
	incidents map[graph.IncidentID]*incidentDraft
	documents int // changed
}

func (s *Store) newCommit(ctx context.Context, id graph.TenantID) (*commit, error) {
	k, batch := keysOf(id), s.db.NewIndexedBatch()
	c := &commit{
		store: s, batch: batch, base: view{ctx, s.db, k}, staged: view{ctx, batch, k}, wall: s.options.Clock(),
		atoms: map[graph.ID]*atomChange{}, moved: map[graph.ID]move{}, memberCounts: map[graph.ID]int{},
		refollowed: map[graph.ID]bool{}, touched: map[graph.ID]bool{},
		alerts: map[graph.ID]*alertDraft{}, incidents: map[graph.IncidentID]*incidentDraft{},
	}
	var err error
	c.start, err = c.base.tenantRow()
	c.row = c.start
	return c, err
}

// revision is the one this commit gets if it changes anything.
func (c *commit) revision() graph.Revision { return c.start.Revision + 1 }

func (c *commit) put(key, value []byte) error { return c.batch.Set(key, value, nil) }

func (c *commit) delete(key []byte) error { return c.batch.Delete(key, nil) }

func (c *commit) replayed(key string) (r graph.Receipt, ok bool, err error) {
	if key == "" {
		return r, false, nil
	}
	ok, err = c.base.get(c.base.keys.of(tableBatchKey, []byte(key)), func(value []byte) error {
		n, _, err := readNumbers(value, 1)
		r = graph.Receipt{Revision: graph.Revision(n[0]), Replayed: true}
		return err
	})
	return r, ok, err
}

// stage is the protocol of a commit: expect, observe, decide, tick. What it stages may be nothing.
func (c *commit) stage(id graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if err := c.expect(b.Expect); err != nil {
		return graph.Receipt{}, err
	}
	for _, step := range []func() error{
		func() error { return c.observeEntities(b.Entities) },
		func() error { return c.resolveIdentity() },
		func() error { return c.findFollowers() },
		func() error { return c.observeEdges(b.Edges) },
		func() error { return c.putAlerts(b.Alerts) },
		func() error { return c.editAlerts(b.Edits) },
		func() error { return c.putDocuments(b.Documents) },
		func() error { return c.changeIncidents(b.Incidents) },
		func() error { return c.decide(id, b.Decide) },
		func() error { return c.checkIncidents() },
		func() error { return c.finish(b.Key) },
	} {
		if err := step(); err != nil {
			return graph.Receipt{}, err
		}
	}
	return c.receipt, nil
}

func (c *commit) expect(all []graph.Expectation) error {
	for _, x := range all {
		var have graph.Revision
		var err error
		switch {
		case !x.Alert.IsZero():
			var a graph.Alert
			a, _, err = c.base.alert(x.Alert)
			have = a.Revision
		case x.Incident != 0:
			var i graph.Incident
			i, _, err = c.base.incident(x.Incident)
			have = i.Revision
		default:
			var d graph.Document
			d, _, err = c.base.document(x.Document)
			have = d.Revision
		}
		if err != nil {
			return err
		}
		if have != x.Revision {
			return fmt.Errorf("%w: revision is %d, expected %d", graph.ErrConflict, have, x.Revision)
		}
	}
	return nil
}

func (c *commit) putDocuments(all []graph.Document) error {
	for _, d := range all {
		old, ok, err := c.staged.document(d.DocumentKey)
		if err != nil {
			return err
		}
		if ok == (d.Value != nil) && slices.Equal(old.Value, d.Value) {
			continue
		}
		c.documents++
		if d.Value == nil {
			err = c.delete(c.staged.keys.document(d.DocumentKey))
		} else {
			err = c.put(c.staged.keys.document(d.DocumentKey), encodeDocument(c.revision(), d.Value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decide asks the decider, where there is one and something to decide, with all that came before staged.
func (c *commit) decide(id graph.TenantID, d graph.Decider) error {
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
	if err := c.put(c.staged.keys.of(tableTenant), c.row.encode()); err != nil {
		return err
	}
	changes, err := d.Decide(c.base.ctx, stagedReader{c, id}, graph.View{Tenant: id}, delta)
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
	if len(alerts)+len(incidents)+len(c.touched)+c.documents > 0 {
		c.row.Revision = c.revision()
		change := graph.Change{Revision: c.row.Revision, Entities: sortedIDs(c.touched), Alerts: alerts, Incidents: incidents}
		if err := c.putChange(change); err != nil {
			return err
		}
	}
	c.receipt.Revision = c.row.Revision
	if batchKey != "" {
		value := appendNumbers([]byte{valueVersion}, uint64(c.row.Revision))
		if err := c.put(c.staged.keys.of(tableBatchKey, []byte(batchKey)), value); err != nil {
			return err
		}
	}
	if c.batch.Empty() {
		return nil
	}
	return c.put(c.staged.keys.of(tableTenant), c.row.encode())
}

// trimAtOnce bounds the changes that one commit trims, after Options.KeepChanges was lowered.
const trimAtOnce = 1000

func (c *commit) putChange(change graph.Change) error {
	if err := c.put(c.staged.keys.of(tableChange, number(change.Revision)), encodeChange(change)); err != nil {
		return err
	}
	keep := graph.Revision(c.store.options.KeepChanges)
	for n := 0; n < trimAtOnce && c.row.Trimmed+keep < change.Revision; n++ {
		c.row.Trimmed++
		if err := c.delete(c.staged.keys.of(tableChange, number(c.row.Trimmed))); err != nil {
			return err
		}
	}
	return nil
}
