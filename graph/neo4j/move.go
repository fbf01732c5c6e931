package neo4j

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
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
		return s.export(ctx, id, yield, exporter.all)
	})
}

func (s *Store) export(ctx context.Context, id graph.TenantID, yield func(graph.Record, error) bool, work func(exporter) error) error {
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
	return s.explain(ctx, work(exporter{ctx, writing{tx}, id, func(r graph.Record) bool { return yield(r, nil) }}))
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
	if row == (rules.Tenant{}) {
		return fmt.Errorf("%w: the tenant has nothing", graph.ErrNotFound)
	}
	if row.Loading {
		return graph.Importing(e.tenant)
	}
	if !e.yield(graph.Record{Tenant: &graph.TenantRecord{Revision: row.Revision, Clock: row.Clock, Incidents: row.Next}}) {
		return nil
	}
	return e.rest()
}

// rest yields all but where the tenant stands.
func (e exporter) rest() error {
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
	return s.importing(ctx, id, func(i importer) error {
		if err := i.begin(ctx); err != nil {
			return err
		}
		again := rules.Stream(func(yield func(graph.Record, error) bool) error {
			return s.export(ctx, id, yield, exporter.rest)
		})
		err := rules.Load(records, func(w rules.Writes) error {
			if err := checkKeys(graph.Batch{Documents: w.Documents}); err != nil {
				return err
			}
			return i.part(ctx, w)
		}, again)
		if err == nil || ctx.Err() != nil || errors.Is(err, errOvertaken) {
			return err
		}
		return errors.Join(err, i.end(ctx))
	})
}

// Abandon implements graph.Mover.
func (s *Store) Abandon(ctx context.Context, id graph.TenantID) error {
	return s.importing(ctx, id, func(i importer) error {
		if err := i.begin(ctx); err != nil {
			return err
		}
		return i.end(ctx)
	})
}

// importing keeps this process's writers of the tenant out while it works; what the import writes keeps out others.
func (s *Store) importing(ctx context.Context, id graph.TenantID, work func(importer) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := id.Check(); err != nil {
		return err
	}
	t := s.tenant(id)
	if err := t.takeTurn(ctx); err != nil {
		return err
	}
	defer t.giveTurn()
	t.memory.Forget()
	return work(importer{s, t, id, rand.Text()})
}

// importer is one import. Its name stands at the tenant's record, and whatever it writes or removes it does only
// while that is so, under the tenant's lock: one that began later takes over.
type importer struct {
	store  *Store
	tenant *tenant
	id     graph.TenantID
	name   string
}

var errOvertaken = fmt.Errorf("%w: another import of the tenant has begun", graph.ErrConflict)

// begin makes the tenant the import's own, and empties it of what one left that was cut short.
func (i importer) begin(ctx context.Context) error {
	err := i.commit(ctx, func(ctx context.Context, t *tx) error {
		if t.row != (rules.Tenant{}) && !t.row.Loading {
			return fmt.Errorf("%w: the tenant has a graph already", graph.ErrConflict)
		}
		t.row = rules.Tenant{Loading: true}
		_, err := t.run.query(ctx, `MATCH (t:Tenant {key: $key}) SET t.importer = $name`, i.params())
		return err
	})
	if err != nil {
		return err
	}
	return i.clear(ctx)
}

// end leaves the tenant with nothing.
func (i importer) end(ctx context.Context) error {
	if err := i.clear(ctx); err != nil {
		return err
	}
	return i.part(ctx, rules.Writes{})
}

// part commits one part.
func (i importer) part(ctx context.Context, w rules.Writes) error {
	return i.commit(ctx, func(ctx context.Context, t *tx) error {
		found, err := t.run.query(ctx, `MATCH (t:Tenant {key: $key}) RETURN t.importer = $name`, i.params())
		if err != nil {
			return err
		}
		if len(found) != 1 || !truth(found[0].Values[0]) || !t.row.Loading {
			return errOvertaken
		}
		return t.Write(ctx, w)
	})
}

// commit makes one commit of the import.
func (i importer) commit(ctx context.Context, work func(context.Context, *tx) error) error {
	out, err := i.store.commitOnce(ctx, i.id, "", func(ctx context.Context, t *tx) (graph.Receipt, bool, error) {
		err := work(ctx, t)
		return graph.Receipt{}, err == nil, err
	})
	if err == nil {
		i.tenant.learn(out.now)
	}
	return err
}

func (i importer) params() map[string]any {
	return map[string]any{"key": tk(i.id, ""), "name": i.name}
}

// clear removes all records of the tenant but its own, a bounded part at a time.
func (i importer) clear(ctx context.Context) error {
	for _, label := range []string{"Alert", "Incident", "Document", "Change", "BatchKey", "WeakKey", "Entity"} {
		if err := i.clearLabel(ctx, label); err != nil {
			return err
		}
	}
	return nil
}

// clearLabel removes those with one of our labels.
func (i importer) clearLabel(ctx context.Context, label string) error {
	cypher := fmt.Sprintf(`
MATCH (t:Tenant {key: $key})
SET t.lock = 0
WITH t WHERE t.importer = $name
MATCH (n:%s) WHERE n.key >= $from AND n.key < $to
WITH n LIMIT 2000
DETACH DELETE n
RETURN count(*)`, label)
	params := i.params()
	maps.Copy(params, tenantKeys(i.id))
	for {
		var n int64
		err := i.store.retry(ctx, func(ctx context.Context) error {
			found, err := i.store.once(ctx, driver.AccessModeWrite, cypher, params)
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
