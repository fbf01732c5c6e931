package embedded

import (
	"context"
	"slices"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// fataler is what *testing.T and *rapid.T share and the checks need.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// verifyRows computes every index and counter of a tenant anew from its records and compares.
func verifyRows(t fataler, s *Store, tenant graph.TenantID) {
	t.Helper()
	v := verifier{t: t, view: view{context.Background(), s.db, keysOf(tenant)}, want: map[string]string{}}
	row, err := v.tenantRow()
	v.must(err)
	v.homes()
	v.edges()
	v.alerts()
	v.incidents()
	for _, table := range []table{
		tableClaim, tableMember, tableWeak, tableReverse, tableAlertCreated, tableAlertUpdated,
		tableAlertIncident, tableAlertEntity, tableAlertActivity, tableIncidentCreated, tableIncidentUpdated,
	} {
		v.rows(table, func(key, value []byte) {
			whole := string(v.keys.of(table, key))
			if want, ok := v.want[whole]; !ok {
				t.Fatalf("table %c has a row too many: %x", table, key)
			} else if want != string(value) {
				t.Fatalf("table %c: row %x holds %x, want %x", table, key, value, want)
			}
			delete(v.want, whole)
		})
	}
	for key := range v.want {
		t.Fatalf("table %c lacks the row %x", key[0], key[1:])
	}
	if row.Position.Alerts != v.count.Alerts || row.Entities != v.count.Entities || row.Edges != v.count.Edges || row.Incidents != v.count.Incidents {
		t.Fatalf("counters are %+v, want %+v", row.Position, v.count)
	}
	if v.count.Clock > row.Clock {
		t.Fatalf("a tick %s is ahead of the clock %s", v.count.Clock, row.Clock)
	}
}

type verifier struct {
	t fataler
	view
	want  map[string]string
	count graph.Position
}

func (v *verifier) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatalf("verifying: %v", err)
	}
}

func (v *verifier) rows(t table, row func(key, value []byte)) {
	v.t.Helper()
	v.must(v.scan(under(v.keys.of(t)), func(key, value []byte) (bool, error) {
		row(slices.Clone(key), slices.Clone(value))
		return false, nil
	}))
}

func (v *verifier) homes() {
	ids, members, rows := map[graph.ID]bool{}, map[graph.ID]int{}, map[graph.ID]rules.Home{}
	v.rows(tableHome, func(key, value []byte) {
		id := readID(key)
		h, err := decodeHome(id, value)
		v.must(err)
		rows[id], ids[id] = h, true
		for _, k := range h.Facts.Keys {
			claimed := k.ID()
			switch {
			case k.Strength() == graph.Weak:
				v.want[string(v.keys.weak(k, h.Facts.Keys[0].Rank(), id))] = ""
			case claimed != id:
				v.want[string(v.keys.of(tableClaim, claimed[:], id[:]))] = ""
				ids[claimed] = true
			}
		}
	})
	for id := range ids {
		node, err := graph.Resolve(id, v.claimants)
		v.must(err)
		h, there := rows[id]
		if there && h.Node != node || !there && node != id {
			v.t.Fatalf("%s belongs to %s, its row says %s", id, node, h.Node)
		}
		if node != id {
			v.want[string(v.keys.of(tableMember, node[:], id[:]))] = ""
			members[node]++
		} else if h.Observed() {
			v.count.Entities++
		} else if there {
			v.t.Fatalf("%s has a row that says nothing", id)
		}
	}
	for id, h := range rows {
		if h.Node == id && h.Members != members[id] {
			v.t.Fatalf("%s has %d members, its row says %d", id, members[id], h.Members)
		}
	}
}

func (v *verifier) edges() {
	v.rows(tableEdge, func(key, value []byte) {
		_, err := decodeSighting(readID(key[33:]), value)
		v.must(err)
		reverse := string(v.keys.reverse(readID(key[17:]), graph.EdgeKind(key[16]), readID(key)))
		if _, seen := v.want[reverse]; !seen {
			v.count.Edges++
		}
		v.want[reverse] = ""
	})
}

func (v *verifier) alerts() {
	v.rows(tableAlert, func(key, value []byte) {
		var a graph.Alert
		_, err := decodeRecord(value, &a)
		v.must(err)
		for _, k := range v.keys.alertRows(&a) {
			v.want[string(k)] = string(markOf(&a).encode())
		}
		v.count.Alerts++
		v.count.Clock = max(v.count.Clock, a.Updated)
	})
}

func (v *verifier) incidents() {
	v.rows(tableIncident, func(key, value []byte) {
		var i graph.Incident
		_, err := decodeRecord(value, &i)
		v.must(err)
		for _, k := range v.keys.incidentRows(&i) {
			v.want[string(k)] = string(number(i.ID))
		}
		if i.RedirectTo == 0 {
			v.count.Incidents++
		}
		v.count.Clock = max(v.count.Clock, i.Updated)
		held, err := v.ids(under(v.keys.of(tableAlertIncident, number(i.ID))))
		v.must(err)
		if len(held) != i.AlertCount {
			v.t.Fatalf("incident %s holds %d alerts, says %d", i.ID, len(held), i.AlertCount)
		}
	})
}

// contentOf is the digest and the position of the tenant that graphtest writes to.
func contentOf(t fataler, s *Store, tenant graph.TenantID) string {
	t.Helper()
	d, err := graph.Digest(context.Background(), s, graph.View{Tenant: tenant})
	if err != nil {
		t.Fatalf("digest: %v", err)
	}
	p, err := s.Position(context.Background(), graph.View{Tenant: tenant})
	if err != nil {
		t.Fatalf("position: %v", err)
	}
	return d + " " + p.Clock.String() + " " + positionText(p)
}

func positionText(p graph.Position) string {
	return string(appendNumbers(nil, uint64(p.Revision), uint64(p.Alerts), uint64(p.Entities), uint64(p.Edges), uint64(p.Incidents)))
}

func openAt(t fataler, o Options) *Store {
	t.Helper()
	s, err := Open("store", o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}
