package embedded

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/clew-security/clew/graph"
)

func (t *tenantCheck) alerts() error {
	return t.each(tableAlert, 16, func(key, value []byte) error {
		var a graph.Alert
		var err error
		if a.Revision, err = decodeRecord(value, &a); err != nil {
			return errors.Join(errDamaged, err)
		}
		t.count.Alerts++
		t.count.Clock = max(t.count.Clock, a.Created, a.Updated)
		t.revision(tableAlert, key, a.Revision)
		if a.ID != readID(key) || a.ID != a.AlertContent.ID() {
			t.problem(tableAlert, key, "its record is that of %s", a.ID)
			return nil
		}
		mark := markOf(&a).encode()
		for _, row := range t.keys.alertRows(&a) {
			if err := t.index(tableAlert, key, row, mark); err != nil {
				return err
			}
		}
		return errors.Join(t.alertEntities(a), t.alertIncident(a))
	})
}

func (t *tenantCheck) alertEntities(a graph.Alert) error {
	for _, id := range a.Entities() {
		if err := t.observed(tableAlert, a.ID[:], id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tenantCheck) alertIncident(a graph.Alert) error {
	if a.Incident == 0 {
		return nil
	}
	i, ok, err := t.incident(a.Incident)
	if err == nil && (!ok || i.RedirectTo != 0) {
		t.problem(tableAlert, a.ID[:], "its incident %s is not there or redirected", a.Incident)
	}
	return err
}

// alertIndexes checks that an index has no row but those of alerts.
func (t *tenantCheck) alertIndexes() error {
	for in, length := range map[table]int{
		tableAlertCreated: 8, tableAlertUpdated: 8, tableAlertIncident: 32, tableAlertEntity: 40, tableAlertActivity: 24,
	} {
		err := t.only(in, length, func(key, value []byte) (bool, error) {
			var m alertMark
			if err := m.decode(value); err != nil {
				return false, err
			}
			a, ok, err := t.alert(m.id)
			whole := t.keys.of(in, key)
			return ok && slices.ContainsFunc(t.keys.alertRows(&a), func(row []byte) bool { return string(row) == string(whole) }), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tenantCheck) incidents() error {
	return t.each(tableIncident, 8, func(key, value []byte) error {
		var i graph.Incident
		var err error
		if i.Revision, err = decodeRecord(value, &i); err != nil {
			return errors.Join(errDamaged, err)
		}
		if i.RedirectTo == 0 {
			t.count.Incidents++
		}
		t.count.Clock = max(t.count.Clock, i.Created, i.Updated)
		t.revision(tableIncident, key, i.Revision)
		if i.ID != readNumber[graph.IncidentID](key) {
			t.problem(tableIncident, key, "its record is that of %s", i.ID)
			return nil
		}
		if i.ID > t.record.Next {
			t.problem(tableIncident, key, "its number is ahead of the last one given, %s", t.record.Next)
		}
		for _, row := range t.keys.incidentRows(&i) {
			if err := t.index(tableIncident, key, row, number(i.ID)); err != nil {
				return err
			}
		}
		return t.incidentAlerts(i)
	})
}

func (t *tenantCheck) incidentAlerts(i graph.Incident) error {
	key := number(i.ID)
	n, err := t.size(t.keys.of(tableAlertIncident, key))
	switch {
	case err != nil:
		return err
	case n != i.AlertCount:
		t.problem(tableIncident, key, "it has %d alerts, its record says %d", n, i.AlertCount)
	case (i.RedirectTo == 0) == (n == 0):
		t.problem(tableIncident, key, "it has %d alerts and redirects to %q", n, i.RedirectTo)
	case i.RedirectTo == i.ID:
		t.problem(tableIncident, key, "it redirects to itself")
	}
	return nil
}

func (t *tenantCheck) incidentIndexes() error {
	for _, in := range []table{tableIncidentCreated, tableIncidentUpdated} {
		err := t.only(in, 8, func(key, value []byte) (bool, error) {
			if len(value) != 8 {
				return false, errDamaged
			}
			i, ok, err := t.incident(readNumber[graph.IncidentID](value))
			whole := t.keys.of(in, key)
			return ok && slices.ContainsFunc(t.keys.incidentRows(&i), func(row []byte) bool { return string(row) == string(whole) }), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changes must be there for every revision that was not trimmed.
func (t *tenantCheck) changes() error {
	due, before := t.record.Trimmed+1, t.c.faults
	err := t.each(tableChange, 8, func(key, value []byte) error {
		r := readNumber[graph.Revision](key)
		if r != due {
			t.problem(tableChange, key, "it is of revision %d where that of %d was to come", r, due)
		}
		due = r + 1
		_, err := decodeChange(r, value)
		return err
	})
	if err == nil && t.c.faults == before && due != t.record.Revision+1 {
		t.problem(tableChange, nil, "the last one is of revision %d, the tenant's is %d", due-1, t.record.Revision)
	}
	return err
}

func (t *tenantCheck) documents() error {
	return t.each(tableDocument, 0, func(key, value []byte) error {
		n, size := binary.Uvarint(key)
		if size <= 0 || n == 0 || n >= uint64(len(key)-size) {
			t.problem(tableDocument, key, "the key names no collection and key")
			return nil
		}
		revision, _, err := decodeDocument(value)
		t.revision(tableDocument, key, revision)
		return err
	})
}

func (t *tenantCheck) batchKeys() error {
	return t.each(tableBatchKey, 0, func(key, value []byte) error {
		n, rest, err := readNumbers(value, 1)
		if err != nil || len(rest) > 0 {
			return damaged(err)
		}
		t.revision(tableBatchKey, key, graph.Revision(n[0]))
		return nil
	})
}
