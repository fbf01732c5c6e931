package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

var _ graph.Mover = (*Store)(nil)

// Export implements graph.Mover. The iteration holds a snapshot, and Close waits for it.
func (s *Store) Export(ctx context.Context, tenant graph.TenantID) iter.Seq2[graph.Record, error] {
	return rules.Stream(func(yield func(graph.Record, error) bool) error {
		return s.read(ctx, graph.View{Tenant: tenant}, func(v view) error { return v.export(yield) })
	})
}

func (v view) export(yield func(graph.Record, error) bool) error {
	row, err := v.tenantRow()
	if err != nil {
		return err
	}
	if row == (rules.Tenant{}) {
		return fmt.Errorf("%w: the tenant has nothing", graph.ErrNotFound)
	}
	start := graph.TenantRecord{Revision: row.Revision, Clock: row.Clock, Incidents: row.Next}
	if !yield(graph.Record{Tenant: &start}, nil) {
		return nil
	}
	return v.exportRest(yield)
}

// exportRest yields all but where the tenant stands.
func (v view) exportRest(yield func(graph.Record, error) bool) error {
	for _, part := range []func(func(graph.Record, error) bool) (bool, error){
		v.exportHomes, v.exportSightings, v.exportIncidents, v.exportAlerts, v.exportDocuments, v.exportBatchKeys,
	} {
		if more, err := part(yield); err != nil || !more {
			return err
		}
	}
	return nil
}

// exportTable yields a record for each row of a table; more is false where the caller wants no more.
func (v view) exportTable(t table, yield func(graph.Record, error) bool, record func(key, value []byte) (graph.Record, error)) (more bool, err error) {
	more = true
	err = v.scan(under(v.keys.of(t)), func(key, value []byte) (bool, error) {
		r, err := record(key, value)
		if err != nil {
			return true, err
		}
		more = yield(r, nil)
		return !more, nil
	})
	return more, err
}

func (v view) exportHomes(yield func(graph.Record, error) bool) (bool, error) {
	return v.exportTable(tableHome, yield, func(key, value []byte) (graph.Record, error) {
		id := readID(key)
		h, err := decodeHome(id, value)
		r := graph.HomeRecord{ID: id, Revision: h.Revision, Members: h.Members}
		if h.Node != id {
			r.Node = h.Node
		}
		if h.Observed() {
			r.Facts = &h.Facts
		}
		return graph.Record{Home: &r}, err
	})
}

func (v view) exportSightings(yield func(graph.Record, error) bool) (bool, error) {
	return v.exportTable(tableEdge, yield, func(key, value []byte) (graph.Record, error) {
		s, err := decodeSighting(readID(key[33:]), value)
		return graph.Record{Sighting: &graph.SightingRecord{
			Kind: graph.EdgeKind(key[16]), From: readID(key), To: readID(key[17:]), Sighting: s,
		}}, err
	})
}

// exportIncidents yields live ones, then redirected ones so that what one points to comes before it: that was
// live when it was pointed to, and redirected later.
func (v view) exportIncidents(yield func(graph.Record, error) bool) (more bool, err error) {
	var redirected []graph.Incident
	more = true
	err = v.scan(under(v.keys.of(tableIncident)), func(_, value []byte) (bool, error) {
		var i graph.Incident
		if i.Revision, err = decodeRecord(value, &i); err != nil {
			return true, err
		}
		if i.RedirectTo != 0 {
			redirected = append(redirected, i)
			return false, nil
		}
		more = yield(graph.Record{Incident: &graph.IncidentRecord{Incident: i, Revision: i.Revision}}, nil)
		return !more, nil
	})
	slices.SortFunc(redirected, func(a, b graph.Incident) int { return cmp.Compare(b.Updated, a.Updated) })
	for _, i := range redirected {
		if err != nil || !more {
			break
		}
		more = yield(graph.Record{Incident: &graph.IncidentRecord{Incident: i, Revision: i.Revision}}, nil)
	}
	return more, err
}

func (v view) exportAlerts(yield func(graph.Record, error) bool) (bool, error) {
	return v.exportTable(tableAlert, yield, func(_, value []byte) (graph.Record, error) {
		var a graph.Alert
		revision, err := decodeRecord(value, &a)
		return graph.Record{Alert: &graph.AlertRecord{Alert: a, Revision: revision}}, err
	})
}

func (v view) exportDocuments(yield func(graph.Record, error) bool) (bool, error) {
	return v.exportTable(tableDocument, yield, func(key, value []byte) (graph.Record, error) {
		collection, name, err := readText(key)
		if err != nil {
			return graph.Record{}, err
		}
		revision, content, err := decodeDocument(value)
		return graph.Record{Document: &graph.DocumentRecord{Collection: collection, Key: string(name), Revision: revision, Value: content}}, err
	})
}

func (v view) exportBatchKeys(yield func(graph.Record, error) bool) (bool, error) {
	return v.exportTable(tableBatchKey, yield, func(key, value []byte) (graph.Record, error) {
		n, _, err := readNumbers(value, 1)
		return graph.Record{BatchKey: &graph.BatchKeyRecord{Key: string(key), Revision: graph.Revision(n[0])}}, err
	})
}

// Import implements graph.Mover. Parts are durable one after another.
func (s *Store) Import(ctx context.Context, id graph.TenantID, records iter.Seq2[graph.Record, error]) error {
	return s.importing(ctx, id, func(t *tenant) error {
		if err := s.empty(ctx, t, id, rules.Tenant{Loading: true}); err != nil {
			return err
		}
		err := rules.Load(records, func(w rules.Writes) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := s.newTx(ctx, id, false)
			if err := c.Write(ctx, w); err != nil {
				return err
			}
			return s.commitOf(t, c.batch)
		}, rules.Stream(view{ctx, s.db, keysOf(id)}.exportRest))
		if err == nil || ctx.Err() != nil || s.failure.err() != nil {
			return err
		}
		return errors.Join(err, s.empty(ctx, t, id, rules.Tenant{}))
	})
}

// Abandon implements graph.Mover.
func (s *Store) Abandon(ctx context.Context, id graph.TenantID) error {
	return s.importing(ctx, id, func(t *tenant) error { return s.empty(ctx, t, id, rules.Tenant{}) })
}

// importing keeps the tenant's writers out while it works.
func (s *Store) importing(ctx context.Context, id graph.TenantID, work func(*tenant) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := id.Check(); err != nil {
		return err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx, s); err != nil {
		return err
	}
	defer t.giveTurn()
	t.memory.Forget()
	t.recent.forget()
	defer t.announce()
	return work(t)
}

// empty removes what an import left that was cut short, and leaves the tenant with that row.
func (s *Store) empty(ctx context.Context, t *tenant, id graph.TenantID, row rules.Tenant) error {
	v := view{ctx, s.db, keysOf(id)}
	found, err := v.tenantRow()
	if err != nil || found == row && found == (rules.Tenant{}) {
		return err
	}
	if found != (rules.Tenant{}) && !found.Loading {
		return fmt.Errorf("%w: the tenant has a graph already", graph.ErrConflict)
	}
	b := s.db.NewBatch()
	for t := range tableNames {
		if err := deleteTable(b, v.keys.of(t)); err != nil {
			return err
		}
	}
	if row != (rules.Tenant{}) {
		if err := b.Set(v.keys.of(tableTenant), encodeTenant(row), nil); err != nil {
			return err
		}
	}
	return s.commitOf(t, b)
}

func deleteTable(b *pebble.Batch, prefix []byte) error {
	return b.DeleteRange(prefix, after(prefix), nil)
}

// readText reads a text that has its length before it, and gives what follows.
func readText(b []byte) (text string, rest []byte, err error) {
	r := factsReader{rest: b}
	text = string(r.bytes())
	return text, r.rest, r.err
}
