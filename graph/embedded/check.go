package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
)

// MaxProblems bounds Report.First.
const MaxProblems = 100

// Report says what Check found.
type Report struct {
	// Tenants and Rows that were read; a row may be read several times and counts once.
	Tenants int   `json:"tenants"`
	Rows    int64 `json:"rows"`
	// Problems counts all, First are the first of them, at most MaxProblems.
	Problems int64     `json:"problems"`
	First    []Problem `json:"first"`
}

// Problem is one thing that is not as it must be.
type Problem struct {
	// Tenant, Table and Key say where; empty where that is not known.
	Tenant graph.TenantID `json:"tenant,omitempty"`
	Table  string         `json:"table,omitempty"`
	Key    string         `json:"key,omitempty"`
	// File is the damaged file, as a path in the store's directory; a file is named once for each table that needs it.
	File string `json:"file,omitempty"`
	// Importing is set where nothing is damaged: the tenant is being imported, or an import of it was cut short.
	Importing bool `json:"importing,omitempty"`
	// Text says what is wrong.
	Text string `json:"text"`
}

// String is one line for people.
func (p Problem) String() string {
	var where []string
	for _, part := range []struct{ name, text string }{{"tenant", string(p.Tenant)}, {"", p.Table}, {"", p.Key}, {"file", p.File}} {
		if part.text != "" {
			where = append(where, strings.TrimSpace(part.name+" "+part.text))
		}
	}
	if len(where) == 0 {
		return p.Text
	}
	return strings.Join(where, ", ") + ": " + p.Text
}

// Check reads the whole store, as of one instant, and looks whether every value can be read and every index, counter
// and node agrees with the records. Reads and writes go on. It holds little in memory, whatever the store's size:
// the report and what belongs to one node or one record. progress, which may be nil, is told now and then how many
// rows were read, some of them twice. What is wrong is in the report; an error means that the check did not end.
//
// A damaged file is a problem, not an error. Whoever reads one stops the store, and so does Check, unless the store
// was opened for that, see Options.Salvage: others may stop, or not open, before anything can be checked.
func (s *Store) Check(ctx context.Context, progress func(rows int64)) (r Report, err error) {
	if err := s.enter(ctx); err != nil {
		return r, err
	}
	defer s.leave()
	if progress == nil {
		progress = func(int64) {}
	}
	snapshot := s.db.NewSnapshot()
	c := &checker{ctx: ctx, store: s, rows: snapshot, report: &r, progress: progress}
	r.First = []Problem{}
	for _, p := range s.found {
		c.add(p)
	}
	defer func() {
		if p := recover(); p != nil { // the engine's, which is then in no known state
			s.failure.set(s.panicked(p))
			err = s.failure.err()
		}
	}()
	return r, errors.Join(c.all(), snapshot.Close())
}

// corrupted hears of a damaged file. What Pebble does in the background it tries again at once and for ever (the
// statistics of tables), and at each time it looks for the bit that flipped, which takes long: so that this is not a
// processor's whole time, each waits longer.
func (s *Store) corrupted(i pebble.DataCorruptionInfo) {
	if s.options.Salvage {
		return
	}
	s.options.Log("corruption: %v", i)
	s.failure.set(lostFile(s.fileOf(i.Path), oneLine(i.Details)))
	time.Sleep(time.Duration(min(s.corruptions.Add(1), 1000)) * 10 * time.Millisecond)
}

// damaged says in one line which file a read found damaged, and what helps.
func (s *Store) damaged(err error) error {
	if d := pebble.ExtractDataCorruptionInfo(err); d != nil {
		return lostFile(s.fileOf(d.Path), oneLine(d.Details))
	}
	return err
}

// fileOf is a file's path in the store's directory.
func (s *Store) fileOf(path string) string {
	if rel, err := filepath.Rel(s.dir, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return path
}

// tableNames are what a report calls the tables; another letter is none of this format's.
var tableNames = map[table]string{
	tableTenant: "tenant", tableBatchKey: "batch key", tableChange: "change", tableDocument: "document",
	tableHome: "home", tableClaim: "claim", tableMember: "member", tableWeak: "weak key",
	tableEdge: "sighting", tableReverse: "reverse edge",
	tableAlert: "alert", tableAlertCreated: "alert by creation", tableAlertUpdated: "alert by update",
	tableAlertIncident: "alert by incident", tableAlertEntity: "alert by entity", tableAlertActivity: "alert by activity",
	tableIncident: "incident", tableIncidentCreated: "incident by creation", tableIncidentUpdated: "incident by update",
}

type checker struct {
	ctx      context.Context
	store    *Store
	rows     pebble.Reader
	report   *Report
	progress func(rows int64)
	// named are the damaged files that were reported, each with the tenant and table that needed it.
	named map[string]bool
	// faults counts reads that failed, damage those of them that met a damaged file.
	faults, damage int64
	// read counts rows, again where they were read again.
	read int64
}

func (c *checker) add(p Problem) {
	if c.report.Problems++; len(c.report.First) < MaxProblems {
		c.report.First = append(c.report.First, p)
	}
}

func (c *checker) row() error {
	c.report.Rows++
	if c.read++; c.read%4096 == 0 {
		c.progress(c.read)
		return c.ctx.Err()
	}
	return nil
}

// fault reports what could not be read; only the end of the check's context ends it.
func (c *checker) fault(p Problem, err error) error {
	if ended := c.ctx.Err(); ended != nil {
		return ended
	}
	c.faults++
	p.Text = err.Error()
	if d := pebble.ExtractDataCorruptionInfo(err); d != nil {
		c.damage++
		p.File = c.store.fileOf(d.Path)
		place := fmt.Sprintf("%s\x00%s\x00%s", p.Tenant, p.Table, p.File)
		if c.named[place] {
			return nil
		}
		if len(c.named) > 10_000 || c.named == nil {
			c.named = map[string]bool{}
		}
		c.named[place] = true
		p.Text = fmt.Sprintf("the file is damaged (%v); it has keys from %x to %x", oneLine(d.Details), clipKey(d.Bounds.Start), clipKey(d.Bounds.End.Key))
	}
	c.add(p)
	return nil
}

// plain is an error of the engine's in one line; what else it has to say goes to the log.
func (s *Store) plain(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	s.options.Log("storage engine: %+v", err)
	return plainError{err}
}

// plainError is the first line of an error.
type plainError struct{ error }

// Error is one line.
func (e plainError) Error() string { return oneLine(e.error) }

// Unwrap gives the whole.
func (e plainError) Unwrap() error { return e.error }

// panicked makes an error of a panic of the engine's, which is then in no known state.
func (s *Store) panicked(p any) error {
	s.options.Log("storage engine: %+v\n%s", p, debug.Stack())
	text, _, _ := strings.Cut(fmt.Sprint(p), "\n")
	return errors.New("storage engine: " + text)
}

func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

func clipKey(key []byte) []byte { return key[:min(len(key), 64)] }

// all goes through the keys table by table and checks each tenant where its record stands. Damage in one table does
// not hide another.
func (c *checker) all() error {
	for letter := range 256 {
		if err := c.table(table(letter)); err != nil {
			return err
		}
	}
	return nil
}

// table visits the tenants that have rows in a table.
func (c *checker) table(t table) error {
	end := after([]byte{byte(t)})
	for at := []byte{byte(t)}; ; {
		key, err := c.first(Problem{Table: tableNames[t]}, at, end)
		if key == nil || err != nil {
			return err
		}
		tenant, ok := tenantOf(key)
		rows := keysOf(tenant).of(t)
		switch {
		case tableNames[t] == "":
			c.add(Problem{Key: hex.EncodeToString(clipKey(key)), Text: "rows of a table that this format does not have"})
			return nil
		case !ok || !bytes.HasPrefix(key, rows):
			c.add(Problem{Table: tableNames[t], Key: hex.EncodeToString(clipKey(key)), Text: "the key names no tenant"})
			at = next(key)
			continue
		case t == tableTenant:
			err = c.tenant(tenant)
		default:
			err = c.orphans(tenant, t)
		}
		if err != nil {
			return err
		}
		at = after(rows)
	}
}

// tenantOf reads the tenant's part of a key.
func tenantOf(key []byte) (graph.TenantID, bool) {
	n, size := binary.Uvarint(key[1:])
	if size <= 0 || n == 0 || n > uint64(len(key)-1-size) {
		return "", false
	}
	return graph.TenantID(key[1+size : 1+size+int(n)]), true
}

// orphans reports rows of a tenant that has no record.
func (c *checker) orphans(tenant graph.TenantID, t table) error {
	ok, err := c.view(tenant).has(keysOf(tenant).of(tableTenant))
	if err != nil {
		return c.fault(Problem{Tenant: tenant, Table: tableNames[tableTenant]}, err)
	}
	if !ok {
		c.add(Problem{Tenant: tenant, Table: tableNames[t], Text: "rows of a tenant that has no record"})
	}
	return nil
}

func (c *checker) view(tenant graph.TenantID) view { return view{c.ctx, c.rows, keysOf(tenant)} }

// first finds the first key from a place on, nil for none; it passes over what is damaged.
func (c *checker) first(where Problem, from, to []byte) (found []byte, err error) {
	err = c.scan(where, from, to, func(key, _ []byte) (bool, error) {
		found = append([]byte{}, key...)
		return true, nil
	})
	return found, err
}

// scan calls row for each key until it says stop. Where a file is damaged it goes on behind that file's keys. row
// gives an error only where the check is to end.
func (c *checker) scan(where Problem, from, to []byte, row func(key, value []byte) (stop bool, err error)) error {
	for {
		behind, err := c.pass(from, to, row)
		if err == nil || errors.Is(err, errTooDamaged) {
			return err
		}
		if err := c.fault(where, err); err != nil {
			return err
		}
		d := pebble.ExtractDataCorruptionInfo(err)
		if d == nil {
			return nil
		}
		if end := next(d.Bounds.End.Key); string(end) > string(behind) {
			behind = end
		}
		if to != nil && string(behind) >= string(to) || string(behind) <= string(from) {
			return nil
		}
		from = behind
	}
}

// pass scans until an error of the engine's; behind is then the least key that was not given to row.
func (c *checker) pass(from, to []byte, row func(key, value []byte) (bool, error)) (behind []byte, err error) {
	it, err := c.rows.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return from, err
	}
	var last []byte
	for ok := it.First(); ok; ok = it.Next() {
		value, failed := it.ValueAndErr()
		stop := false
		if err = failed; err == nil {
			stop, err = row(it.Key(), value)
		}
		if stop || err != nil {
			break
		}
		last = append(last[:0], it.Key()...)
	}
	if behind = from; last != nil {
		behind = next(last)
	}
	if err == nil {
		err = it.Error()
	}
	if closing := it.Close(); err == nil {
		err = closing // else it is the same again
	}
	return behind, err
}
