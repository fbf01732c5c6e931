package neo4j

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// tx implements rules.Tx inside one write transaction that has the tenant's lock. Records that are asked for and
// not there are created without looking again: nobody else writes the tenant's.
type tx struct {
	records
	reads runner // of the decider
	wall  time.Time
	// row is the tenant's record as written last, seq the number of the last write.
	row rules.Tenant
	seq int64
	// wrote is the token of the last write that was more than a moved clock.
	wrote string
	// replayed is the revision at which the batch was committed before, null where it was not.
	replayed any
	// absent are the homes that were asked for and have no record; places are the database's ids of homes.
	absent map[graph.ID]bool
	places map[graph.ID]int64
	// change, trim and batchKeys wait for seal.
	change    *graph.Change
	trim      []any
	batchKeys []graph.BatchKeyRecord
}

var _ rules.Tx = (*tx)(nil)

func newTx(run runner, tenant graph.TenantID, wall time.Time) *tx {
	return &tx{records: records{steady{run}, tenant}, reads: run, wall: wall, absent: map[graph.ID]bool{}, places: map[graph.ID]int64{}}
}

// begin takes the tenant's lock, makes its record where there is none, reads it, and looks for the batch.
const begin = `
MERGE (t:Tenant {key: $in.key})
ON CREATE SET t.revision = 0, t.clock = 0, t.alerts = 0, t.entities = 0, t.edges = 0, t.incidents = 0, t.next = 0, t.trimmed = 0, t.loading = false, t.seq = 0, t.wrote = ''
SET t.lock = 0
WITH t
OPTIONAL MATCH (b:BatchKey {key: $in.batch})
RETURN ` + tenantColumns + `, t.wrote, b.revision`

// lock begins a commit; of a batch without a key no other was committed.
func (t *tx) lock(ctx context.Context, batchKey string) error {
	in := map[string]any{"key": tk(t.tenant, ""), "batch": nil}
	if batchKey != "" {
		in["batch"] = t.hashed(batchKey)
	}
	found, err := t.run.query(ctx, begin, map[string]any{"in": in})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d records of the tenant", errDamaged, len(found))
	}
	t.row, t.seq = tenantOf(found[0])
	last := len(found[0].Values) - 1
	t.wrote, t.replayed = fmt.Sprint(found[0].Values[last-1]), found[0].Values[last] // a number, where an older program wrote last
	return nil
}

// ring is how many of a tenant's newest commits are remembered, by seq modulo ring. An attempt must follow the
// one whose answer was lost before so many others come between.
const ring = 1024

func (t *tx) slot(seq int64) string { return numberKey(t.tenant, seq%ring) }

const readCommit = `MATCH (c:Commit {key: $key}) RETURN c.seq, c.token, c.receipt`

// committed finds out whether the commit with this seq and token was made, and what it did.
func (t *tx) committed(ctx context.Context, seq int64, token string, receipt *graph.Receipt) (made bool, err error) {
	if t.seq < seq {
		return false, nil
	}
	found, err := t.run.query(ctx, readCommit, map[string]any{"key": t.slot(seq)})
	if err != nil {
		return false, err
	}
	if len(found) == 0 || number(found[0].Values[0]) != seq {
		return false, fmt.Errorf("%w: %d commits came after it", errLapped, t.seq-seq)
	}
	if text(found[0].Values[1]) != token {
		return false, nil
	}
	return true, json.Unmarshal([]byte(text(found[0].Values[2])), receipt)
}

// Tenant implements rules.Tx.
func (t *tx) Tenant(context.Context) (rules.Tenant, error) { return t.row, nil }

// hashed is a batch's key in the database, whatever its length.
func (t *tx) hashed(batchKey string) string {
	h := sha256.Sum256([]byte(batchKey))
	return tk(t.tenant, hex.EncodeToString(h[:]))
}

// Replayed implements rules.Tx, for the batch that lock was told of.
func (t *tx) Replayed(context.Context, string) (r graph.Revision, ok bool, err error) {
	return graph.Revision(number(t.replayed)), t.replayed != nil, nil
}

// Homes implements rules.Records.
func (t *tx) Homes(ctx context.Context, ids []graph.ID) ([]rules.Home, error) {
	for _, id := range ids {
		t.absent[id] = true
	}
	return t.homes(ctx, ids, func(id graph.ID) { delete(t.absent, id) })
}

// Claimants implements rules.Records: an id without a record is claimed by none.
func (t *tx) Claimants(ctx context.Context, ids []graph.ID) ([][]graph.ID, error) {
	out, ask, places := make([][]graph.ID, len(ids)), []graph.ID{}, []int{}
	for i, id := range ids {
		if !t.absent[id] {
			ask, places = append(ask, id), append(places, i)
		}
	}
	if len(ask) == 0 {
		return out, nil
	}
	found, err := t.records.Claimants(ctx, ask)
	for i, claimants := range found {
		out[places[i]] = claimants
	}
	return out, err
}

// Staged implements rules.Tx.
func (t *tx) Staged() graph.Reader {
	return stagedReader(t.reads, func() rules.Tenant { return t.row }, t.wall)
}

// Write implements rules.Tx. The tenant's record, the change and the batch key wait for seal.
func (t *tx) Write(ctx context.Context, w rules.Writes) error {
	t.row, t.change, t.batchKeys = w.Tenant, w.Change, w.BatchKeys
	t.trim = []any{}
	for r := w.TrimAfter; r < w.TrimTo; {
		r++
		t.trim = append(t.trim, numberKey(t.tenant, r))
	}
	for _, step := range []func(context.Context, rules.Writes) error{
		t.writeIdentity, t.writeSightings, t.writeIncidents, t.writeAlerts, t.writeDocuments,
	} {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// do runs a writing statement over the rows, which may name the tenant and gives how many of them it found the
// records for: what is written was read in the same commit, so that is all of them.
func (t *tx) do(ctx context.Context, what, cypher string, rows []any) error {
	found := 0
	params := map[string]any{"tenant": tenantText(t.tenant)}
	err := t.each(ctx, cypher, rows, params, func(v []any) error { found += int(number(v[0])); return nil })
	if err == nil && found != len(rows) {
		err = fmt.Errorf("%w: %s: %d of %d records are there", errDamaged, what, found, len(rows))
	}
	return err
}

const sealCommit = closeGate + `
MATCH (t:Tenant {key: $in.key})
SET t.revision = $in.row[0], t.clock = $in.row[1], t.alerts = $in.row[2], t.entities = $in.row[3], t.edges = $in.row[4],
    t.incidents = $in.row[5], t.next = $in.row[6], t.trimmed = $in.row[7], t.loading = $in.row[8], t.seq = $in.seq, t.wrote = $in.token
MERGE (c:Commit {key: $in.slot})
SET c.seq = $in.seq, c.token = $in.token, c.receipt = $in.receipt
FOREACH (x IN $in.changes | CREATE (:Change {key: x[0], tenant: $in.tenant, revision: x[1], blob: x[2]}))
FOREACH (x IN $in.batchKeys | CREATE (:BatchKey {key: x[0], tenant: $in.tenant, name: x[1], revision: x[2]}))
WITH t
UNWIND $in.trim AS k
MATCH (old:Change {key: k})
DELETE old`

// seal writes where the tenant stands, and what the commit did for an attempt that will not know.
func (t *tx) seal(ctx context.Context, token string, receipt graph.Receipt) error {
	said, err := json.Marshal(receipt)
	if err != nil {
		return err
	}
	t.seq++
	r, keys := t.row, make([]any, len(t.batchKeys))
	for i, b := range t.batchKeys {
		keys[i] = []any{t.hashed(b.Key), b.Key, int64(b.Revision)}
	}
	in := map[string]any{
		"key": tk(t.tenant, ""), "tenant": tenantText(t.tenant), "seq": t.seq, "slot": t.slot(t.seq), "token": token, "receipt": string(said),
		"row": []any{
			int64(r.Revision), int64(r.Clock), int64(r.Alerts), int64(r.Entities), int64(r.Edges),
			int64(r.Incidents), int64(r.Next), int64(r.Trimmed), r.Loading,
		},
		"changes": []any{}, "batchKeys": keys, "trim": t.trim,
	}
	if c := t.change; c != nil {
		in["changes"] = []any{[]any{numberKey(t.tenant, c.Revision), int64(c.Revision), encodeChange(*c)}}
	}
	_, err = t.run.query(ctx, sealCommit, map[string]any{"in": in})
	return err
}
