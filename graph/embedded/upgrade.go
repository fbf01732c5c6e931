package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// What an upgrade makes. The engine's files are rewritten beside the old ones, which nothing touches until the
// format file says the new format. From then on an older program refuses the directory, and whoever opens it puts
// the new files in the old ones' place.
const (
	// upgradedName holds the rewritten files.
	upgradedName = "pebble.upgraded"
	// copyPrefix and the former format's number name a whole store as it was, for going back. Its files are hard
	// links where the file system has them.
	copyPrefix = "backup-format-"
	// unnamed ends the copy's name until the format file says the new format: what has the name itself is never
	// touched.
	unnamed = ".partial"
)

// oldestFormat is the first there was.
const oldestFormat = 1

// bringUp makes the directory one of this format. notice says what was done, for the user; empty for nothing.
func bringUp(o Options, dir string, format int, created bool) (notice string, err error) {
	if format == formatVersion {
		_, err := finishUpgrade(o.FS, dir)
		return "", err
	}
	if !created {
		return "", writeFormat(o.FS, dir, formatVersion) // it holds nothing yet
	}
	o.Salvage = false // it writes, so it must not begin with damage
	u := upgrade{o, dir, format}
	o.Log("upgrading %s from format %d to %d", dir, format, formatVersion)
	copied, err := u.run()
	if err != nil {
		return "", fmt.Errorf("upgrading directory %s from format %d to %d: %w", dir, format, formatVersion, err)
	}
	notice = fmt.Sprintf("upgraded the store in %s from format %d to %d; %s has it as it was: remove it when you need no way back to the older program",
		dir, format, formatVersion, copied)
	o.Log("%s", notice)
	return notice, nil
}

// finishUpgrade names the copy and puts the rewritten files in the old ones' place, where that was not done yet.
func finishUpgrade(fs vfs.FS, dir string) (copied string, err error) {
	for from := oldestFormat; from < formatVersion && err == nil; from++ {
		name := fs.PathJoin(dir, fmt.Sprint(copyPrefix, from))
		if _, none := fs.Stat(name + unnamed); none == nil {
			copied, err = nameCopy(fs, name)
		}
	}
	if err != nil {
		return "", err
	}
	return copied, replaceFiles(fs, dir)
}

// unfinished refuses a store in the middle of an upgrade whose format file is lost: what is there is of the older format.
// Only once the new one is written does the copy for going back get its name.
func unfinished(fs vfs.FS, dir string) error {
	for from := oldestFormat; from < formatVersion; from++ {
		begun := fmt.Sprint(copyPrefix, from, unnamed)
		if _, err := fs.Stat(fs.PathJoin(dir, begun)); err == nil {
			return lostStore(formatName, fmt.Sprintf("it does not say the store's format, and %s is there, so it is %d: in a copy of the directory, make it one line, %q, and the upgrade begins anew; else",
				begun, from, strings.TrimSuffix(formatText(from), "\n")))
		} else if ofTheSystem(err) {
			return err
		}
	}
	return nil
}

// nameCopy gives the copy its name, with a number where an earlier upgrade's has that.
func nameCopy(fs vfs.FS, name string) (copied string, err error) {
	copied = name
	for n := 2; ; n++ {
		if _, err := fs.Stat(copied); errors.Is(err, iofs.ErrNotExist) {
			return copied, errors.Join(fs.Rename(name+unnamed, copied), syncDirectory(fs, fs.PathDir(name)))
		} else if err != nil {
			return "", err
		}
		copied = fmt.Sprint(name, "-", n)
	}
}

func replaceFiles(fs vfs.FS, dir string) error {
	upgraded, place := fs.PathJoin(dir, upgradedName), fs.PathJoin(dir, pebbleName)
	if _, err := fs.Stat(upgraded); errors.Is(err, iofs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := fs.RemoveAll(place); err != nil {
		return err
	}
	if err := fs.Rename(upgraded, place); err != nil {
		return err
	}
	return syncDirectory(fs, dir)
}

// cannotWrite says what to do about a directory that is not writable.
func cannotWrite(fs vfs.FS, dir string, err error) error {
	if !isReadOnly(err) {
		return err
	}
	format, none := readFormat(fs, dir)
	switch {
	case none != nil:
		return fmt.Errorf("directory %s cannot be written: %w", dir, err)
	case format < formatVersion:
		return fmt.Errorf("directory %s has format %d and must be upgraded to %d, but cannot be written: make it writable, or use the older program: %w",
			dir, format, formatVersion, err)
	}
	return fmt.Errorf("directory %s cannot be written, only read with 'clew check' and 'clew export --salvage': %w", dir, err)
}

// upgrade of one directory from an older format.
type upgrade struct {
	options Options
	dir     string
	from    int
}

func (u upgrade) path(name string) string { return u.options.FS.PathJoin(u.dir, name) }

func (u upgrade) copyDir() string { return u.path(fmt.Sprint(copyPrefix, u.from, unnamed)) }

// run upgrades. Until the format file is renamed the directory is the old one, untouched; afterwards it is the new
// one. What a failure left goes. It gives the copy's name.
func (u upgrade) run() (copied string, err error) {
	for _, step := range []func() error{u.clear, u.copy, u.rewrite} {
		if err := step(); err != nil {
			return "", errors.Join(err, u.clear())
		}
	}
	if err := writeFormat(u.options.FS, u.dir, formatVersion); err != nil {
		return "", err
	}
	return finishUpgrade(u.options.FS, u.dir)
}

// clear removes what an earlier try left: the old files are still the store.
func (u upgrade) clear() error {
	fs := u.options.FS
	return errors.Join(fs.RemoveAll(u.path(upgradedName)), fs.RemoveAll(u.copyDir()), syncDirectory(fs, u.dir))
}

// copy makes the copy for going back, and the one that will be rewritten.
func (u upgrade) copy() error {
	fs := u.options.FS
	if err := fs.MkdirAll(u.copyDir(), 0o700); err != nil {
		return err
	}
	if err := syncDirectory(fs, u.dir); err != nil {
		return err
	}
	err := u.with(pebbleName, func(s *Store) error {
		return s.apart(func() error {
			return errors.Join(s.checkpoint(fs.PathJoin(u.copyDir(), pebbleName)), s.checkpoint(u.path(upgradedName)))
		})
	})
	if err != nil {
		return err
	}
	if err := markCreated(fs, u.copyDir()); err != nil {
		return err
	}
	return writeFormat(fs, u.copyDir(), u.from)
}

// with opens the engine on files in the directory.
func (u upgrade) with(name string, work func(*Store) error) error {
	s := &Store{options: u.options, dir: u.dir, name: name, lock: noLock{}, failure: newFailure()}
	if err := s.openPebble(); err != nil {
		return err
	}
	return errors.Join(work(s), s.release())
}

// rewrite brings the copy's rows into the present shape.
func (u upgrade) rewrite() error {
	return u.with(upgradedName, func(s *Store) error {
		r := rewriter{s: s, batch: s.db.NewBatch(), limit: int(min(4<<20, u.options.memTableBytes/8))}
		if err := r.fromFormat1(); err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
		return s.apart(s.db.Flush)
	})
}

// rewriter changes the rows of all tenants, in batches of a bounded size that need not be durable one by one.
type rewriter struct {
	s     *Store
	batch *pebble.Batch
	limit int
}

func (r *rewriter) set(key, value []byte) error {
	if err := r.batch.Set(key, value, nil); err != nil || r.batch.Len() < r.limit {
		return err
	}
	return r.flush()
}

func (r *rewriter) flush() error {
	b := r.batch
	r.batch = r.s.db.NewBatch()
	return r.s.apart(func() error { return r.s.db.Apply(b, pebble.NoSync) })
}

// get returns a copy of a value, nil where there is none.
func (r *rewriter) get(key []byte) ([]byte, error) {
	value, closer, err := r.s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// each calls row for every row of a table, over all tenants, with the key behind the table's letter.
func (r *rewriter) each(t table, row func(key, value []byte) error) (err error) {
	it, err := r.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{byte(t)}, UpperBound: []byte{byte(t) + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := row(append([]byte{}, it.Key()[1:]...), value); err != nil {
			return fmt.Errorf("row %c%x: %w", t, it.Key()[1:], err)
		}
	}
	return it.Error()
}

// Tables that format 1 had and format 2 has not: what it knew of an id was in up to three rows.
const (
	format1Atom  table = 'a' // home id → version, Facts as JSON
	format1Node  table = 'n' // canonical id → version, revision, number of members
	format1Alias table = 'r' // id → canonical id, where they differ
)

// fromFormat1 makes one home row of three and gives tenants and changes the fields they lacked.
func (r *rewriter) fromFormat1() error {
	for _, step := range []struct {
		table table
		row   func(key, value []byte) error
	}{
		{format1Atom, r.atom1}, {format1Alias, r.alias1}, {format1Node, r.node1},
		{tableChange, r.change1}, // which reads the tenants' old rows
		{tableTenant, r.tenant1},
	} {
		if err := r.each(step.table, step.row); err != nil {
			return err
		}
	}
	for _, t := range []table{format1Atom, format1Node, format1Alias} {
		if err := r.batch.DeleteRange([]byte{byte(t)}, []byte{byte(t) + 1}, nil); err != nil {
			return err
		}
	}
	return nil
}

func inTable(t table, key []byte) []byte { return append([]byte{byte(t)}, key...) }

// atom1 writes the home row of an id that was observed.
func (r *rewriter) atom1(key, value []byte) error {
	if len(key) < 17 {
		return errDamaged
	}
	h := rules.Home{Node: readID(key[len(key)-16:])}
	id := h.Node
	alias, err1 := r.get(inTable(format1Alias, key))
	node, err2 := r.get(inTable(format1Node, key))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if (alias == nil) == (node == nil) || alias != nil && len(alias) != 16 {
		return errDamaged
	}
	if alias != nil {
		h.Node = readID(alias)
	} else {
		n, err := numbers1(node, 2)
		if err != nil {
			return err
		}
		h.Revision, h.Members = graph.Revision(n[0]), int(n[1])
	}
	facts, err := facts1Of(value)
	if err != nil {
		return err
	}
	h.Facts = facts
	return r.set(inTable(tableHome, key), encodeHome(id, h))
}

// alias1 writes the home row of an id that others only claim.
func (r *rewriter) alias1(key, value []byte) error {
	if len(key) < 17 || len(value) != 16 {
		return errDamaged
	}
	atom, err := r.get(inTable(format1Atom, key))
	if err != nil || atom != nil {
		return err
	}
	return r.set(inTable(tableHome, key), encodeHome(readID(key[len(key)-16:]), rules.Home{Node: readID(value)}))
}

// node1 has been read with its atom, without which it means nothing.
func (r *rewriter) node1(key, _ []byte) error {
	atom, err := r.get(inTable(format1Atom, key))
	if err == nil && atom == nil {
		return errDamaged
	}
	return err
}

// tenant1 rewrites a tenant's record.
func (r *rewriter) tenant1(key, value []byte) error {
	t, err := tenant1Of(value)
	if err != nil {
		return err
	}
	return r.set(inTable(tableTenant, key), encodeTenant(t))
}

// change1 rewrites a change. Format 1 did not note when it was made: it gets the tenant's last tick, before which
// it was.
func (r *rewriter) change1(key, value []byte) error {
	if len(key) < 9 {
		return errDamaged
	}
	row, err := r.get(inTable(tableTenant, key[:len(key)-8]))
	if err != nil {
		return err
	}
	t, err := tenant1Of(row)
	if err != nil {
		return err
	}
	c, err := change1Of(value)
	if err != nil {
		return err
	}
	if t.Clock != 0 {
		c.At = t.Clock.Time()
	}
	return r.set(inTable(tableChange, key), encodeChange(c))
}

// The decoders of format 1, frozen: what they read will never change.

// body1 checks the version of a value and gives what follows it.
func body1(v []byte) ([]byte, error) {
	if len(v) == 0 || v[0] != 1 {
		return nil, errDamaged
	}
	return v[1:], nil
}

func numbers1(v []byte, n int) ([]uint64, error) {
	v, err := body1(v)
	out := make([]uint64, n)
	for i := 0; err == nil && i < n; i++ {
		f, size := binary.Uvarint(v)
		if size <= 0 {
			return nil, errDamaged
		}
		out[i], v = f, v[size:]
	}
	return out, err
}

func tenant1Of(v []byte) (t rules.Tenant, err error) {
	n, err := numbers1(v, 8)
	if err != nil {
		return t, err
	}
	t.Revision, t.Clock = graph.Revision(n[0]), graph.Tick(n[1])
	t.Alerts, t.Entities, t.Edges, t.Incidents = int(n[2]), int(n[3]), int(n[4]), int(n[5])
	t.Next, t.Trimmed = graph.IncidentID(n[6]), graph.Revision(n[7])
	return t, nil
}

// facts1 is what was observed under an id, as JSON.
type facts1 struct {
	Keys []struct {
		Kind  graph.Kind    `json:"kind"`
		Type  graph.KeyType `json:"type"`
		Value string        `json:"value"`
	} `json:"keys"`
	Properties map[string]struct {
		Value      json.RawMessage `json:"value"`
		ObservedAt time.Time       `json:"observedAt"`
	} `json:"properties"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Sources   []string  `json:"sources"`
}

func facts1Of(v []byte) (out graph.Facts, err error) {
	doc, err := body1(v)
	if err != nil {
		return out, err
	}
	var f facts1
	if err := json.Unmarshal(doc, &f); err != nil {
		return out, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(f.Keys) == 0 {
		return out, errDamaged
	}
	out = graph.Facts{FirstSeen: f.FirstSeen, LastSeen: f.LastSeen, Sources: f.Sources, Properties: map[string]graph.Property{}}
	for _, k := range f.Keys {
		out.Keys = append(out.Keys, graph.Key{Kind: k.Kind, Type: k.Type, Value: k.Value})
	}
	for name, p := range f.Properties {
		out.Properties[name] = graph.Property{Value: p.Value, ObservedAt: p.ObservedAt}
	}
	return out, nil
}

// change1Of reads three counts, then the ids and numbers.
func change1Of(v []byte) (c graph.Change, err error) {
	r := factsReader1{rest: v}
	if r.rest, err = body1(v); err != nil {
		return c, err
	}
	entities, alerts, incidents := r.number(), r.number(), r.number()
	c.Entities, c.Alerts = r.ids(entities), r.ids(alerts)
	for range min(incidents, uint64(len(r.rest)/8)) {
		c.Incidents, r.rest = append(c.Incidents, graph.IncidentID(binary.BigEndian.Uint64(r.rest))), r.rest[8:]
	}
	if r.err != nil || len(r.rest) > 0 || uint64(len(c.Incidents)) != incidents {
		return c, errDamaged
	}
	return c, nil
}

// factsReader1 reads on; after an error all it reads is nothing.
type factsReader1 struct {
	rest []byte
	err  error
}

func (r *factsReader1) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.err = nil, io.ErrUnexpectedEOF
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *factsReader1) ids(n uint64) (out []graph.ID) {
	if n > uint64(len(r.rest)/16) {
		r.rest, r.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	for range n {
		out, r.rest = append(out, graph.ID(r.rest[:16])), r.rest[16:]
	}
	return out
}
