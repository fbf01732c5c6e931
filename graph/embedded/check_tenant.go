package embedded

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// tenantCheck checks one tenant.
type tenantCheck struct {
	view
	c      *checker
	tenant graph.TenantID
	record rules.Tenant
	// count is what the record must say, its Clock the greatest tick that was met.
	count graph.Position
	// found counts, by table, the index rows that records want and that are there.
	found map[table]int64
	// damage counts what was met before this tenant.
	damage int64
	// circles counts claims that ran in one.
	circles int
}

func (c *checker) tenant(id graph.TenantID) error {
	t := tenantCheck{view: c.view(id), c: c, tenant: id, found: map[table]int64{}}
	c.report.Tenants++
	var err error
	if t.record, err = t.tenantRow(); err != nil {
		return c.fault(Problem{Tenant: id, Table: tableNames[tableTenant]}, err)
	}
	if t.record.Loading {
		c.add(Problem{Tenant: id, Table: tableNames[tableTenant], Importing: true, Text: "it is being imported, or an import of it was cut short, " +
			"so it was not checked further: nothing is damaged. Import it again ('clew import'), or take away what came of it ('clew import --abandon')"})
		return nil
	}
	before := c.faults
	t.damage = c.damage
	for _, part := range []func() error{
		t.homes, t.claims, t.members, t.weakKeys, t.sightings, t.reverses, t.alerts, t.alertIndexes,
		t.incidents, t.incidentIndexes, t.changes, t.documents, t.batchKeys,
	} {
		if err := part(); errors.Is(err, errTooDamaged) {
			t.problem(tableTenant, nil, "%d reads met damage: it was not checked further", maxDamage)
			return nil
		} else if err != nil {
			return err
		}
	}
	if c.faults == before { // else they cannot be right
		t.counters()
	}
	return c.ctx.Err()
}

func (t *tenantCheck) counters() {
	r := t.record
	for _, n := range []struct {
		name      string
		have, say int
	}{
		{"alerts", t.count.Alerts, r.Alerts}, {"entities", t.count.Entities, r.Entities},
		{"edges", t.count.Edges, r.Edges}, {"incidents", t.count.Incidents, r.Position.Incidents},
	} {
		if n.have != n.say {
			t.problem(tableTenant, nil, "there are %d %s, the record says %d", n.have, n.name, n.say)
		}
	}
	if t.count.Clock > r.Clock {
		t.problem(tableTenant, nil, "tick %s is ahead of the clock %s", t.count.Clock, r.Clock)
	}
}

func (t *tenantCheck) problem(in table, key []byte, text string, args ...any) {
	t.c.add(Problem{Tenant: t.tenant, Table: tableNames[in], Key: keyText(in, key), Text: fmt.Sprintf(text, args...)})
}

// keyText is a key, behind table and tenant, for people.
func keyText(t table, key []byte) string {
	switch {
	case len(key) == 0:
		return ""
	case len(key) == 16 && (t == tableHome || t == tableAlert):
		return readID(key).String()
	case len(key) == 8 && t == tableIncident:
		return readNumber[graph.IncidentID](key).String()
	case t == tableBatchKey && utf8.Valid(key):
		return fmt.Sprintf("%.80q", key)
	}
	return hex.EncodeToString(clipKey(key))
}

// maxDamage bounds the reads of a tenant that meet damaged files: each makes the engine look for the bit that
// flipped, which takes up to seconds.
const maxDamage = 10

var errTooDamaged = errors.New("too much is damaged")

// unread reports a row that cannot be read.
func (t *tenantCheck) unread(in table, key []byte, err error) error {
	err = t.c.fault(Problem{Tenant: t.tenant, Table: tableNames[in], Key: keyText(in, key)}, err)
	if err == nil && t.c.damage-t.damage >= maxDamage {
		err = errTooDamaged
	}
	return err
}

// each calls row for each row of a table whose key has the length; 0 means any. What row cannot read is reported.
func (t *tenantCheck) each(in table, length int, row func(key, value []byte) error) error {
	prefix := t.keys.of(in)
	return t.c.scan(Problem{Tenant: t.tenant, Table: tableNames[in]}, prefix, after(prefix), func(key, value []byte) (bool, error) {
		if err := t.c.row(); err != nil {
			return true, err
		}
		key = t.keys.rest(key)
		if length != 0 && len(key) != length {
			t.problem(in, key, "the key has %d bytes, not %d", len(key), length)
			return false, nil
		}
		if err := unpanicked(func() error { return row(key, value) }); err != nil {
			return false, t.unread(in, key, err)
		}
		return false, nil
	})
}

// unpanicked makes an error of what damaged rows may lead to.
func unpanicked(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return work()
}

// index wants a row in an index, on behalf of a record.
func (t *tenantCheck) index(of table, record, key, want []byte) error {
	same := false
	there, err := t.get(key, func(value []byte) error { same = bytes.Equal(value, want); return nil })
	in := table(key[0])
	switch {
	case err != nil:
		return err
	case !there:
		t.problem(of, record, "its row %x is not among those of %s", clipKey(t.keys.rest(key)), tableNames[in])
	case !same:
		t.problem(of, record, "its row %x among those of %s has another value", clipKey(t.keys.rest(key)), tableNames[in])
		fallthrough
	default:
		t.found[in]++
	}
	return nil
}

// only wants no more rows in an index than records do. If there are more, wanted says of each whether it is one of
// those; it need not look at the value.
func (t *tenantCheck) only(in table, length int, wanted func(key, value []byte) (bool, error)) error {
	n := int64(0)
	if err := t.each(in, length, func(_, _ []byte) error { n++; return nil }); err != nil || n == t.found[in] {
		return err
	}
	prefix := t.keys.of(in)
	return t.c.scan(Problem{Tenant: t.tenant, Table: tableNames[in]}, prefix, after(prefix), func(key, value []byte) (bool, error) {
		key = t.keys.rest(key)
		if len(key) != length {
			return false, t.ctx.Err()
		}
		ok := false
		err := unpanicked(func() (err error) { ok, err = wanted(key, value); return err })
		if err != nil {
			return false, t.unread(in, key, err)
		}
		if !ok {
			t.problem(in, key, "no record has this row")
		}
		return false, nil
	})
}

// Claims that are damaged may run in a circle. maxClaims bounds the ids that are followed for one node (of claimants
// that disagree two are enough), maxCircles the times that this is borne.
const (
	maxClaims  = 10_000
	maxCircles = 20
)

var errCircle = fmt.Errorf("%w: its claims run in a circle", errDamaged)

// node follows the claims.
func (t *tenantCheck) node(id graph.ID) (graph.ID, error) {
	n := 0
	if t.circles >= maxCircles {
		return id, errCircle
	}
	return graph.Resolve(id, func(id graph.ID) ([]graph.ID, error) {
		if n++; n > maxClaims {
			t.circles++
			return nil, errCircle
		}
		return t.claimants(id)
	})
}

func (t *tenantCheck) homes() error {
	return t.each(tableHome, 16, func(key, value []byte) error {
		id := readID(key)
		h, err := decodeHome(id, value)
		if err != nil {
			return err
		}
		if err := t.homeKeys(id, h); err != nil {
			return err
		}
		node, err := t.node(id)
		if err != nil {
			return err
		}
		if node != h.Node {
			t.problem(tableHome, key, "by its claims it belongs to %s, its row says %s", node, h.Node)
		}
		if h.Node != id {
			return t.index(tableHome, key, t.keys.of(tableMember, h.Node[:], id[:]), nil)
		}
		return t.homeNode(id, h)
	})
}

// homeKeys checks what keys stand for in the indexes.
func (t *tenantCheck) homeKeys(id graph.ID, h rules.Home) error {
	for i, k := range h.Facts.Keys {
		claimed, row := k.ID(), []byte(nil)
		switch {
		case i == 0 && claimed != id:
			t.problem(tableHome, id[:], "its strongest key is that of %s", claimed)
		case k.Strength() == graph.Weak:
			row = t.keys.weak(k, h.Facts.Keys[0].Rank(), id)
		case claimed != id:
			row = t.keys.of(tableClaim, claimed[:], id[:])
		}
		if row != nil {
			if err := t.index(tableHome, id[:], row, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// homeNode checks an id that is a node.
func (t *tenantCheck) homeNode(id graph.ID, h rules.Home) error {
	if !h.Observed() {
		t.problem(tableHome, id[:], "the row says nothing")
		return nil
	}
	t.count.Entities++
	t.revision(tableHome, id[:], h.Revision)
	n, err := t.size(t.keys.of(tableMember, id[:]))
	if err == nil && n != h.Members {
		t.problem(tableHome, id[:], "%d ids belong to it, its row says %d", n, h.Members)
	}
	return err
}

func (t *tenantCheck) size(prefix []byte) (n int, err error) {
	err = t.view.scan(under(prefix), func(_, _ []byte) (bool, error) { n++; return false, nil })
	return n, err
}

// revision checks that a record was written by a commit that there was.
func (t *tenantCheck) revision(in table, key []byte, r graph.Revision) {
	if r > t.record.Revision {
		t.problem(in, key, "its revision %d is ahead of the tenant's %d", r, t.record.Revision)
	}
}

func (t *tenantCheck) claims() error {
	wanted := func(key, _ []byte) (bool, error) { return t.bears(readID(key[16:]), readID(key), graph.Strong) }
	if err := t.only(tableClaim, 32, wanted); err != nil {
		return err
	}
	var last graph.ID
	return t.again(tableClaim, 32, func(key, _ []byte) error {
		id := readID(key)
		if id == last {
			return nil
		}
		last = id
		there, err := t.has(t.keys.of(tableHome, id[:]))
		if err != nil || there {
			return err
		}
		node, err := t.node(id)
		if err == nil && node != id {
			t.problem(tableClaim, key, "%s belongs to %s and has no row", id, node)
		}
		return err
	})
}

// again goes through a table whose rows were counted already.
func (t *tenantCheck) again(in table, length int, row func(key, value []byte) error) error {
	before := t.c.report.Rows
	defer func() { t.c.report.Rows = before }()
	return t.each(in, length, row)
}

// bears reports whether an id was observed with a key of that id, which is not its own where it is strong.
func (t *tenantCheck) bears(home, key graph.ID, strength graph.Strength) (bool, error) {
	h, err := t.home(home)
	for _, k := range h.Facts.Keys {
		if k.Strength() == strength && k.ID() == key && (strength == graph.Weak || key != home) {
			return true, nil
		}
	}
	return false, err
}

func (t *tenantCheck) members() error {
	return t.only(tableMember, 32, func(key, _ []byte) (bool, error) {
		node, err := t.canonical(readID(key[16:]))
		return node == readID(key) && node != readID(key[16:]), err
	})
}

func (t *tenantCheck) weakKeys() error {
	return t.only(tableWeak, 33, func(key, _ []byte) (bool, error) {
		h, err := t.home(readID(key[17:]))
		if err != nil || !h.Observed() || h.Facts.Keys[0].Rank() != int(key[16]) {
			return false, err
		}
		return t.bears(readID(key[17:]), readID(key), graph.Weak)
	})
}

func (t *tenantCheck) sightings() error {
	last := make([]byte, 33)
	return t.each(tableEdge, 49, func(key, value []byte) error {
		if _, err := decodeSighting(readID(key[33:]), value); err != nil {
			return err
		}
		if bytes.Equal(last, key[:33]) {
			return nil
		}
		copy(last, key)
		t.count.Edges++
		from, kind, to := readID(key), graph.EdgeKind(key[16]), readID(key[17:])
		return errors.Join(
			t.index(tableEdge, key, t.keys.reverse(to, kind, from), nil),
			t.observed(tableEdge, key, from), t.observed(tableEdge, key, to))
	})
}

// observed wants an id that a record names to be there.
func (t *tenantCheck) observed(in table, key []byte, id graph.ID) error {
	_, observed, err := t.head(id)
	if err == nil && !observed {
		t.problem(in, key, "%s, which it names, was never observed", id)
	}
	return err
}

func (t *tenantCheck) reverses() error {
	return t.only(tableReverse, 33, func(key, _ []byte) (bool, error) {
		found := false
		s := under(t.keys.edge(readID(key[17:]), graph.EdgeKind(key[16]), readID(key)))
		err := t.view.scan(s, func(_, _ []byte) (bool, error) { found = true; return true, nil })
		return found, err
	})
}
