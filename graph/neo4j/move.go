package neo4j

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

var _ graph.Mover = (*Store)(nil)

// exportTime bounds an export, which is one transaction.
const exportTime = 6 * time.Hour

// Export implements graph.Mover. While it runs it has the tenant's lock: writers wait.
func (s *Store) Export(ctx context.Context, id graph.TenantID) iter.Seq2[graph.Record, error] {
	return rules.Stream(func(yield func(graph.Record, error) bool) error {
		return s.export(ctx, id, func(r graph.Record) bool { return yield(r, nil) })
	})
}

func (s *Store) export(ctx context.Context, id graph.TenantID, yield func(graph.Record) bool) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := id.Check(); err != nil {
		return err
	}
	session := s.session(ctx, driver.AccessModeWrite)
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }()
	tx, err := session.BeginTransaction(ctx, driver.WithTxTimeout(exportTime))
	if err != nil {
		return s.explain(ctx, err)
	}
	defer func() { _ = tx.Close(context.WithoutCancel(ctx)) }()
	e := exporter{ctx, writing{tx}, id, yield}
	return s.explain(ctx, e.all())
}

// exporter yields records; each part reports whether more are wanted.
type exporter struct {
	ctx    context.Context
	run    runner
	tenant graph.TenantID
	yield  func(graph.Record) bool
}

func (e exporter) all() error {
	found, err := e.run.query(e.ctx, lockTenant, map[string]any{"key": tk(e.tenant, "")})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: the tenant has nothing", graph.ErrNotFound)
	}
	row, _ := tenantOf(found[0])
	if row.Loading || row == (rules.Tenant{}) {
		return fmt.Errorf("%w: the tenant has nothing", graph.ErrNotFound)
	}
	if !e.yield(graph.Record{Tenant: &graph.TenantRecord{Revision: row.Revision, Clock: row.Clock, Incidents: row.Next}}) {
		return nil
	}
	for _, part := range []func() (bool, error){e.homes, e.sightings, e.incidents, e.alerts, e.documents, e.batchKeys} {
		if more, err := part(); err != nil || !more {
			return err
		}
	}
	return nil
}

// tenantKeys are the bounds of the keys that tk makes for a tenant.
func tenantKeys(id graph.TenantID) map[string]any {
	return map[string]any{"from": tk(id, ""), "to": tenantText(id) + "0"} // "0" is what follows "/"
}

// stream yields what record makes of each row; none of a row that it makes nothing of.
func (e exporter) stream(cypher string, record func(*driver.Record) (graph.Record, bool, error)) (more bool, err error) {
	more = true
	err = e.run.stream(e.ctx, cypher, tenantKeys(e.tenant), func(row *driver.Record) (bool, error) {
		r, ok, err := record(row)
		if err == nil && ok {
			more = e.yield(r)
		}
		return more, err
	})
	return more, err
}

const exportHomes = `
MATCH (e:Entity) WHERE e.key >= $from AND e.key < $to
OPTIONAL MATCH (e)-[:SAME_AS]->(n:Entity)
RETURN e.key, n.key, e.facts, e.seen, e.revision, e.members ORDER BY e.key`

func (e exporter) homes() (bool, error) {
	return e.stream(exportHomes, func(row *driver.Record) (graph.Record, bool, error) {
		var r graph.HomeRecord
		var err error
		if r.ID, err = idOfKey(row.Values[0]); err != nil {
			return graph.Record{}, false, err
		}
		if r.Node, err = idOfKey(row.Values[1]); err != nil {
			return graph.Record{}, false, err
		}
		if row.Values[2] != nil {
			f, err := decodeFacts(r.ID, row.Values[2], row.Values[3])
			if err != nil {
				return graph.Record{}, false, err
			}
			r.Facts = &f
		}
		if r.Node.IsZero() {
			r.Revision, r.Members = graph.Revision(number(row.Values[4])), int(number(row.Values[5]))
		}
		return graph.Record{Home: &r}, r.Facts != nil || !r.Node.IsZero(), nil
	})
}

// exportSightings gives all edges of one source after another.
var exportSightings = `
MATCH (f:Entity)-[s:` + strings.Join(sightingTypes(), "|") + `]->(t:Entity)
WHERE f.key >= $from AND f.key < $to
RETURN f.key, type(s), t.key, properties(s) ORDER BY f.key`

func (e exporter) sightings() (bool, error) {
	var held []graph.SightingRecord
	flush := func() bool {
		slices.SortFunc(held, func(a, b graph.SightingRecord) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.To.Compare(b.To), a.Observation.Compare(b.Observation))
		})
		for _, r := range held {
			if !e.yield(graph.Record{Sighting: &r}) {
				return false
			}
		}
		held = held[:0]
		return true
	}
	more := true
	err := e.run.stream(e.ctx, exportSightings, tenantKeys(e.tenant), func(row *driver.Record) (bool, error) {
		r, err := sightingRecord(row)
		if err != nil {
			return false, err
		}
		if len(held) > 0 && held[0].From != r.From {
			more = flush()
		}
		held = append(held, r)
		return more, nil
	})
	if err != nil || !more {
		return more, err
	}
	return flush(), nil
}

func sightingRecord(row *driver.Record) (r graph.SightingRecord, err error) {
	r.Kind = kindOfType(text(row.Values[1]))
	if r.From, err = idOfKey(row.Values[0]); err != nil {
		return r, err
	}
	if r.To, err = idOfKey(row.Values[2]); err != nil {
		return r, err
	}
	properties, _ := row.Values[3].(map[string]any)
	r.Sighting, err = sightingOf(properties)
	return r, err
}

// Incidents that live come first; of redirected ones those redirected last, so that what one points to, which was
// live then, comes before it.
const (
	exportLive       = `MATCH (i:Incident) WHERE i.key >= $from AND i.key < $to AND i.redirect = 0 RETURN i.record, i.revision ORDER BY i.number`
	exportRedirected = `MATCH (i:Incident) WHERE i.key >= $from AND i.key < $to AND i.redirect <> 0 RETURN i.record, i.revision ORDER BY i.updated DESC`
)

func (e exporter) incidents() (more bool, err error) {
	for _, cypher := range []string{exportLive, exportRedirected} {
		more, err = e.stream(cypher, func(row *driver.Record) (graph.Record, bool, error) {
			i, err := decodeIncident(row.Values[0], row.Values[1])
			return graph.Record{Incident: &graph.IncidentRecord{Incident: i, Revision: i.Revision}}, true, err
		})
		if err != nil || !more {
			break
		}
	}
	return more, err
}

const exportAlerts = `MATCH (a:Alert) WHERE a.key >= $from AND a.key < $to RETURN a.record, a.revision ORDER BY a.key`

func (e exporter) alerts() (bool, error) {
	return e.stream(exportAlerts, func(row *driver.Record) (graph.Record, bool, error) {
		a, err := decodeAlert(row.Values[0], row.Values[1])
		return graph.Record{Alert: &graph.AlertRecord{Alert: a, Revision: a.Revision}}, true, err
	})
}

const (
	exportNames     = `MATCH (d:Document) WHERE d.key >= $from AND d.key < $to RETURN d.key, d.collection, d.name`
	exportDocuments = `UNWIND $keys AS k MATCH (d:Document {key: k}) RETURN d.collection, d.name, d.revision, d.value`
)

// documents come in the order of the records: collections by the length of their names.
func (e exporter) documents() (bool, error) {
	found, err := e.run.query(e.ctx, exportNames, tenantKeys(e.tenant))
	if err != nil {
		return false, err
	}
	type named struct {
		key   string
		order []byte
	}
	all := make([]named, len(found))
	for i, row := range found {
		collection := text(row.Values[1])
		order := append(binary.AppendUvarint(nil, uint64(len(collection))), collection+text(row.Values[2])...)
		all[i] = named{text(row.Values[0]), order}
	}
	slices.SortFunc(all, func(a, b named) int { return bytes.Compare(a.order, b.order) })
	for chunk := range slices.Chunk(all, 100) {
		keys := make([]any, len(chunk))
		for i, n := range chunk {
			keys[i] = n.key
		}
		rows, err := e.run.query(e.ctx, exportDocuments, map[string]any{"keys": keys})
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			r := graph.DocumentRecord{
				Collection: text(row.Values[0]), Key: text(row.Values[1]), Revision: graph.Revision(number(row.Values[2])), Value: octets(row.Values[3]),
			}
			if !e.yield(graph.Record{Document: &r}) {
				return false, nil
			}
		}
	}
	return true, nil
}

const exportBatchKeys = `MATCH (b:BatchKey) WHERE b.key >= $from AND b.key < $to RETURN b.name, b.revision`

func (e exporter) batchKeys() (bool, error) {
	rows, err := e.run.query(e.ctx, exportBatchKeys, tenantKeys(e.tenant))
	if err != nil {
		return false, err
	}
	slices.SortFunc(rows, func(a, b *driver.Record) int { return strings.Compare(text(a.Values[0]), text(b.Values[0])) })
	for _, row := range rows {
		r := graph.BatchKeyRecord{Key: text(row.Values[0]), Revision: graph.Revision(number(row.Values[1]))}
		if !e.yield(graph.Record{BatchKey: &r}) {
			return false, nil
		}
	}
	return true, nil
}

// Import implements graph.Mover. Each part is a commit of its own.
func (s *Store) Import(ctx context.Context, id graph.TenantID, records iter.Seq2[graph.Record, error]) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := cmp.Or(id.Check(), checkKeys(id, graph.Batch{})); err != nil {
		return err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.giveTurn()
	t.memory.Forget()
	if err := s.clearUnfinished(ctx, id); err != nil {
		return err
	}
	first := true
	return rules.Load(records, func(w rules.Writes) error {
		if err := checkKeys(id, graph.Batch{Documents: w.Documents}); err != nil {
			return err
		}
		now, err := s.importPart(ctx, id, w, first)
		if first = false; err == nil && !now.row.Loading {
			t.learn(now)
		}
		return err
	})
}

// importPart commits one part of an import. An attempt whose answer was lost is not made twice.
func (s *Store) importPart(ctx context.Context, id graph.TenantID, w rules.Writes, first bool) (now settled, err error) {
	token, sent := rand.Text(), int64(0)
	err = s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
		now = settled{asked: time.Now()}
		t := newTx(run, id, s.options.Clock())
		if err := t.lock(ctx, ""); err != nil {
			return false, err
		}
		now.row, now.seq = t.row, t.seq
		if sent != 0 {
			var receipt graph.Receipt
			if made, err := t.committed(ctx, sent, token, &receipt); made || err != nil {
				return false, err
			}
		}
		if first != (t.row == rules.Tenant{}) || !first && !t.row.Loading {
			return false, fmt.Errorf("%w: the tenant has a graph already, or another import has begun", graph.ErrConflict)
		}
		if err := t.Write(ctx, w); err != nil {
			return false, err
		}
		if err := t.seal(ctx, token, graph.Receipt{}); err != nil {
			return false, err
		}
		now.row, now.seq, sent = t.row, t.seq, t.seq
		return true, nil
	})
	return now, err
}

// clearUnfinished removes what an import left that was cut short, a bounded part at a time; the tenant's own
// record goes last.
func (s *Store) clearUnfinished(ctx context.Context, id graph.TenantID) error {
	found, err := s.reads().query(ctx, `MATCH (t:Tenant {key: $key}) RETURN `+tenantColumns, map[string]any{"key": tk(id, "")})
	if err != nil || len(found) == 0 {
		return err
	}
	row, _ := tenantOf(found[0])
	if row == (rules.Tenant{}) {
		return nil
	}
	if !row.Loading {
		return fmt.Errorf("%w: the tenant has a graph already", graph.ErrConflict)
	}
	for _, label := range []string{"Alert", "Incident", "Document", "Change", "BatchKey", "WeakKey", "Entity"} {
		if err := s.clear(ctx, id, label); err != nil {
			return err
		}
	}
	return s.write(ctx, `MATCH (t:Tenant {key: $key}) SET t.loading = false, t.seq = t.seq + 1`, map[string]any{"key": tk(id, "")})
}

// clear removes all records of a tenant with one of our labels.
func (s *Store) clear(ctx context.Context, id graph.TenantID, label string) error {
	cypher := fmt.Sprintf(`
MATCH (n:%s) WHERE n.key >= $from AND n.key < $to
WITH n LIMIT 2000
DETACH DELETE n
RETURN count(*)`, label)
	for {
		var n int64
		err := s.retry(ctx, func(ctx context.Context) error {
			found, err := s.once(ctx, driver.AccessModeWrite, cypher, tenantKeys(id))
			if err == nil && len(found) == 1 {
				n = number(found[0].Values[0])
			}
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
