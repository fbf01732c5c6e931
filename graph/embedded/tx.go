package embedded

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// tx implements rules.Tx: base reads what was committed, batch takes what is written.
type tx struct {
	base   view
	batch  *pebble.Batch
	staged bool
	tenant graph.TenantID
	wall   time.Time
	// row is the tenant's record as written last.
	row rules.Tenant
	// change is the commit's, if there is one.
	change *graph.Change
	// room is where the next key and value are made; the batch copies them.
	room struct{ key, value []byte }
}

var _ rules.Tx = (*tx)(nil)

func (t *tx) put(key, value []byte) error { return t.batch.Set(key, value, nil) }

func (t *tx) delete(key []byte) error { return t.batch.Delete(key, nil) }

// release lets a later commit have the batch's memory, once it was committed. One that may be read is left to the
// garbage collector: whoever still reads it must not meet another commit's.
func (t *tx) release() {
	if !t.staged {
		_ = t.batch.Close()
	}
}

// key is keys.of, valid until it is called again.
func (t *tx) key(of table, parts ...[]byte) []byte {
	t.room.key = t.base.keys.append(t.room.key[:0], of, parts...)
	return t.room.key
}

// each answers bulk questions one by one.
func each[Q, A any](ctx context.Context, all []Q, ask func(Q) (A, error)) ([]A, error) {
	out := make([]A, len(all))
	for i, q := range all {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a, err := ask(q)
		if err != nil {
			return nil, err
		}
		out[i] = a
	}
	return out, nil
}

// Tenant implements rules.Tx.
func (t *tx) Tenant(context.Context) (rules.Tenant, error) {
	row, err := t.base.tenantRow()
	return row, err
}

// Replayed implements rules.Tx.
func (t *tx) Replayed(_ context.Context, key string) (r graph.Revision, ok bool, err error) {
	ok, err = t.base.get(t.base.keys.of(tableBatchKey, []byte(key)), func(value []byte) error {
		n, _, err := readNumbers(value, 1)
		r = graph.Revision(n[0])
		return err
	})
	return r, ok, err
}

// Homes implements rules.Records.
func (t *tx) Homes(ctx context.Context, ids []graph.ID) ([]rules.Home, error) {
	return each(ctx, ids, t.base.home)
}

// Members implements rules.Records.
func (t *tx) Members(ctx context.Context, nodes []graph.ID) ([][]graph.ID, error) {
	return each(ctx, nodes, t.base.members)
}

// Claimants implements rules.Records.
func (t *tx) Claimants(ctx context.Context, ids []graph.ID) ([][]graph.ID, error) {
	return each(ctx, ids, t.base.claimants)
}

// Bearers implements rules.Records.
func (t *tx) Bearers(ctx context.Context, all []rules.BearerQuery) ([][]rules.Bearer, error) {
	return each(ctx, all, t.base.Bearers)
}

// Sightings implements rules.Records.
func (t *tx) Sightings(ctx context.Context, all []rules.SightingKey) ([]rules.Sighted, error) {
	return each(ctx, all, t.base.sighted)
}

// Edges implements rules.Records.
func (t *tx) Edges(ctx context.Context, all []rules.Ends) ([][]graph.Sighting, error) {
	return each(ctx, all, t.base.sightingsOf)
}

// Neighbours implements rules.Records.
func (t *tx) Neighbours(ctx context.Context, homes []graph.ID) ([][]graph.ID, error) {
	return each(ctx, homes, t.base.neighbours)
}

// Alerts implements rules.Records.
func (t *tx) Alerts(ctx context.Context, ids []graph.ID) ([]graph.Alert, error) {
	return each(ctx, ids, func(id graph.ID) (graph.Alert, error) { a, _, err := t.base.alert(id); return a, err })
}

// Incidents implements rules.Records.
func (t *tx) Incidents(ctx context.Context, ids []graph.IncidentID) ([]graph.Incident, error) {
	return each(ctx, ids, func(id graph.IncidentID) (graph.Incident, error) { i, _, err := t.base.incident(id); return i, err })
}

// Documents implements rules.Records.
func (t *tx) Documents(ctx context.Context, keys []graph.DocumentKey) ([]graph.Document, error) {
	return each(ctx, keys, func(k graph.DocumentKey) (graph.Document, error) { d, _, err := t.base.document(k); return d, err })
}

// Write implements rules.Tx.
func (t *tx) Write(_ context.Context, w rules.Writes) error {
	t.row = w.Tenant
	for _, step := range []func(rules.Writes) error{
		t.writeIdentity, t.writeSightings, t.writeAlerts, t.writeRest,
	} {
		if err := step(w); err != nil {
			return err
		}
	}
	return t.put(t.base.keys.of(tableTenant), encodeTenant(w.Tenant))
}

func (t *tx) writeIdentity(w rules.Writes) error {
	for _, a := range w.Atoms {
		if err := t.writeKeys(a); err != nil {
			return err
		}
	}
	k := t.base.keys
	for _, m := range w.Moves {
		if m.From != m.ID {
			if err := t.delete(k.of(tableMember, m.From[:], m.ID[:])); err != nil {
				return err
			}
		}
		if m.To != m.ID {
			if err := t.put(k.of(tableMember, m.To[:], m.ID[:]), nil); err != nil {
				return err
			}
		}
	}
	for _, h := range w.Homes {
		if err := t.writeHome(h.ID, h.Home); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeHome(id graph.ID, h rules.Home) error {
	key := t.key(tableHome, id[:])
	if h.Node == id && !h.Observed() {
		return t.delete(key)
	}
	t.room.value = appendHome(t.room.value[:0], id, h)
	return t.put(key, t.room.value)
}

// writeKeys writes a row for each key that is new to an id: weak ones are borne, strong ones claimed.
func (t *tx) writeKeys(a rules.AtomWrite) error {
	k := t.base.keys
	for _, key := range a.Bears {
		if key.Strength() != graph.Weak {
			continue
		}
		if err := t.put(k.weak(key, a.Facts.Keys[0].Rank(), a.ID), nil); err != nil {
			return err
		}
	}
	for _, claimed := range a.Claims() {
		if err := t.put(k.of(tableClaim, claimed[:], a.ID[:]), nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeSightings(w rules.Writes) error {
	k := t.base.keys
	for _, e := range w.Expired {
		if err := t.delete(k.reverse(e.To, e.Kind, e.From)); err != nil {
			return err
		}
		if err := deleteTable(t.batch, k.edge(e.From, e.Kind, e.To)); err != nil {
			return err
		}
	}
	for _, s := range w.Sightings { // in order of key, which Pebble takes faster
		t.room.value = appendSighting(t.room.value[:0], s.Sighting)
		key := t.key(tableEdge, s.From[:], []byte{byte(s.Kind)}, s.To[:], s.Observation[:])
		if err := t.put(key, t.room.value); err != nil {
			return err
		}
	}
	for _, s := range w.Sightings {
		if !s.NewEdge {
			continue
		}
		if err := t.put(t.key(tableReverse, s.To[:], []byte{byte(s.Kind)}, s.From[:]), nil); err != nil {
			return err
		}
	}
	return nil
}

// writeAlerts replaces alerts and incidents. All rows that go, go first.
func (t *tx) writeAlerts(w rules.Writes) error {
	var stale [][]byte
	for _, a := range w.Alerts {
		if a.Was != nil {
			stale = append(stale, t.base.keys.alertRows(a.Was)...)
		}
	}
	for _, i := range w.Incidents {
		if i.Was != nil {
			stale = append(stale, t.base.keys.incidentRows(i.Was)...)
		}
	}
	for _, a := range w.Alerts {
		if a.Next == nil {
			stale = append(stale, t.base.keys.of(tableAlert, a.Was.ID[:]))
		}
	}
	for _, i := range w.Incidents {
		if i.Next == nil {
			stale = append(stale, t.base.keys.of(tableIncident, number(i.Was.ID)))
		}
	}
	if err := t.deleteAll(stale); err != nil {
		return err
	}
	for _, a := range w.Alerts {
		if a.Next == nil {
			continue
		}
		if err := t.putAlert(a.Next); err != nil {
			return err
		}
	}
	for _, i := range w.Incidents {
		if i.Next == nil {
			continue
		}
		if err := t.putIncident(i.Next); err != nil {
			return err
		}
	}
	return nil
}

// alertRows lists the keys in the indexes of alerts; their value is the alert's mark.
func (k keys) alertRows(a *graph.Alert) [][]byte {
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
func (k keys) incidentRows(i *graph.Incident) [][]byte {
	return [][]byte{k.of(tableIncidentCreated, number(i.Created)), k.of(tableIncidentUpdated, number(i.Updated))}
}

func (t *tx) deleteAll(keys [][]byte) error {
	for _, k := range keys {
		if err := t.delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putAll(keys [][]byte, value []byte) error {
	for _, k := range keys {
		if err := t.put(k, value); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putAlert(a *graph.Alert) error {
	value, err := encodeRecord(a.Revision, a)
	if err != nil {
		return fmt.Errorf("%w: alert %s: %v", graph.ErrInvalid, a.ID, err)
	}
	if err := t.putAll(t.base.keys.alertRows(a), markOf(a).encode()); err != nil {
		return err
	}
	return t.put(t.base.keys.of(tableAlert, a.ID[:]), value)
}

func (t *tx) putIncident(i *graph.Incident) error {
	value, err := encodeRecord(i.Revision, i)
	if err != nil {
		return fmt.Errorf("%w: incident %s: %v", graph.ErrInvalid, i.ID, err)
	}
	if err := t.putAll(t.base.keys.incidentRows(i), number(i.ID)); err != nil {
		return err
	}
	return t.put(t.base.keys.of(tableIncident, number(i.ID)), value)
}

// writeRest writes documents, the change and batch keys.
func (t *tx) writeRest(w rules.Writes) error {
	k := t.base.keys
	for _, d := range w.Documents {
		var err error
		if d.Value == nil {
			err = t.delete(k.document(d.DocumentKey))
		} else {
			err = t.put(k.document(d.DocumentKey), encodeDocument(d.Revision, d.Value))
		}
		if err != nil {
			return err
		}
	}
	if t.change = w.Change; w.Change != nil {
		if err := t.put(k.of(tableChange, number(w.Change.Revision)), encodeChange(*w.Change)); err != nil {
			return err
		}
	}
	for r := w.TrimAfter; r < w.TrimTo; {
		r++
		if err := t.delete(k.of(tableChange, number(r))); err != nil {
			return err
		}
	}
	for _, b := range w.BatchKeys {
		if err := t.put(k.of(tableBatchKey, []byte(b.Key)), appendNumbers([]byte{valueVersion}, uint64(b.Revision))); err != nil {
			return err
		}
	}
	return nil
}

// Bearers implements rules.Nodes.
func (v view) Bearers(q rules.BearerQuery) (out []rules.Bearer, err error) {
	s := span{lower: v.keys.of(tableWeak, q.Key[:], []byte{byte(q.Least)}), upper: v.keys.of(tableWeak, q.Key[:], []byte{byte(q.Most)})}
	err = v.scan(s, func(key, _ []byte) (bool, error) {
		b := rules.Bearer{Home: readID(key[17:]), Rank: int(key[16])}
		b.Node, err = v.canonical(b.Home)
		out = append(out, b)
		return len(out) == q.Limit, err
	})
	return out, err
}

// sighted reads one sighting. Where that is there, so is its edge.
func (v view) sighted(at rules.SightingKey) (s rules.Sighted, err error) {
	s.Seen, err = v.get(v.keys.edge(at.From, at.Kind, at.To, at.Observation[:]...), func(value []byte) (err error) {
		s.Sighting, err = decodeSighting(at.Observation, value)
		return err
	})
	if s.Edge = s.Seen; err != nil || s.Seen {
		return s, err
	}
	s.Edge, err = v.has(v.keys.reverse(at.To, at.Kind, at.From))
	return s, err
}

// sightingsOf reads all sightings of one relation between home ids.
func (v view) sightingsOf(at rules.Ends) (out []graph.Sighting, err error) {
	err = v.scan(under(v.keys.edge(at.From, at.Kind, at.To)), func(key, value []byte) (bool, error) {
		s, err := decodeSighting(readID(key[33:]), value)
		out = append(out, s)
		return false, err
	})
	return out, err
}

// neighbours lists the homes at the other ends of a home's edges.
func (v view) neighbours(home graph.ID) ([]graph.ID, error) {
	in, err := v.ids(under(v.keys.of(tableReverse, home[:])))
	if err != nil {
		return nil, err
	}
	err = v.scan(under(v.keys.of(tableEdge, home[:])), func(key, _ []byte) (bool, error) {
		in = append(in, readID(key[17:]))
		return false, nil
	})
	slices.SortFunc(in, graph.ID.Compare)
	return slices.Compact(in), err
}
