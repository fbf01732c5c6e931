package neo4j

import (
	"context"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

const putAlerts = `
UNWIND $in.rows AS r
MERGE (a:Alert {key: r[0]})
SET a.tenant = $tenant, a.id = r[1], a.created = r[2], a.updated = r[3], a.revision = r[4], a.incident = r[5],
    a.first = r[6], a.last = r[7], a.severity = r[8], a.status = r[9], a.source = r[10], a.record = r[11]
RETURN count(*)`

const addEvidence = `
UNWIND $in.rows AS r
MATCH (a:Alert {key: r[0]})
MATCH (e:Entity {key: r[1]})
CREATE (e)-[:EVIDENCE_OF]->(a)
RETURN count(*)`

const removeEvidence = `
UNWIND $in.rows AS r
MATCH (e:Entity {key: r[1]})
MATCH (a:Alert {key: r[0]})
CALL {
  WITH e, a
  MATCH (e)-[x:EVIDENCE_OF]->(a)
  RETURN collect(x) AS found
}
UNWIND found AS x
DELETE x
RETURN count(*)`

const leaveIncident = `
UNWIND $in.rows AS k
MATCH (:Alert {key: k})-[x:IN_INCIDENT]->()
DELETE x
RETURN count(*)`

const joinIncident = `
UNWIND $in.rows AS r
MATCH (a:Alert {key: r[0]})
MATCH (i:Incident {key: r[1]})
CREATE (a)-[:IN_INCIDENT]->(i)
RETURN count(*)`

const deleteAlerts = `UNWIND $in.rows AS k MATCH (a:Alert {key: k}) DETACH DELETE a RETURN count(*)`

// alertRows are the rows of the statements above.
type alertRows struct{ put, evidence, noEvidence, leave, join []any }

// writeAlerts comes after the incidents are there.
func (t *tx) writeAlerts(ctx context.Context, w rules.Writes) error {
	var rows alertRows
	var gone []any
	for _, a := range w.Alerts {
		if a.Next == nil {
			gone = append(gone, t.key(a.Was.ID))
			continue
		}
		row, err := t.alertRow(a.Next)
		if err != nil {
			return err
		}
		rows.put = append(rows.put, row)
		t.relate(&rows, a)
	}
	for _, s := range []struct {
		what, cypher string
		rows         []any
	}{
		{"alerts", putAlerts, rows.put},
		{"alerts to delete", deleteAlerts, gone},
		{"evidence to remove", removeEvidence, rows.noEvidence},
		{"alerts and their evidence", addEvidence, rows.evidence},
		{"alerts that leave an incident", leaveIncident, rows.leave},
		{"alerts and their incidents", joinIncident, rows.join},
	} {
		if err := t.do(ctx, s.what, s.cypher, s.rows); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) alertRow(a *graph.Alert) ([]any, error) {
	record, err := encodeRecord(a)
	if err != nil {
		return nil, fmt.Errorf("%w: alert %s: %v", graph.ErrInvalid, a.ID, err)
	}
	return []any{
		t.key(a.ID), a.ID.String(), int64(a.Created), int64(a.Updated), int64(a.Revision), int64(a.Incident),
		graph.MicroNumber(a.FirstActivity), graph.MicroNumber(a.LastActivity), string(a.Severity), string(a.Triage().Status), string(a.ServiceSource), record,
	}, nil
}

// relate adds the relationships that came and went.
func (t *tx) relate(rows *alertRows, w rules.AlertWrite) {
	var was graph.Alert
	if w.Was != nil {
		was = *w.Was
	}
	key, before, now := t.key(w.Next.ID), was.Entities(), w.Next.Entities()
	for _, e := range now {
		if !slices.Contains(before, e) {
			rows.evidence = append(rows.evidence, []any{key, t.key(e)})
		}
	}
	for _, e := range before {
		if !slices.Contains(now, e) {
			rows.noEvidence = append(rows.noEvidence, []any{key, t.key(e)})
		}
	}
	if was.Incident == w.Next.Incident {
		return
	}
	if was.Incident != 0 {
		rows.leave = append(rows.leave, key)
	}
	if w.Next.Incident != 0 {
		rows.join = append(rows.join, []any{key, numberKey(t.tenant, w.Next.Incident)})
	}
}

const putIncidents = `
UNWIND $in.rows AS r
MERGE (i:Incident {key: r[0]})
SET i.tenant = $tenant, i.number = r[1], i.created = r[2], i.updated = r[3], i.revision = r[4], i.redirect = r[5],
    i.severity = r[6], i.status = r[7], i.sources = r[8], i.first = r[9], i.last = r[10], i.record = r[11]
RETURN count(*)`

const deleteIncidents = `UNWIND $in.rows AS k MATCH (i:Incident {key: k}) DETACH DELETE i RETURN count(*)`

const redirectIncidents = `
UNWIND $in.rows AS r
MATCH (i:Incident {key: r[0]})
MATCH (to:Incident {key: r[1]})
MERGE (i)-[:REDIRECTS_TO]->(to)
RETURN count(*)`

func (t *tx) writeIncidents(ctx context.Context, w rules.Writes) error {
	var put, redirect, gone []any
	for _, i := range w.Incidents {
		if i.Next == nil {
			gone = append(gone, numberKey(t.tenant, i.Was.ID))
			continue
		}
		row, err := t.incidentRow(i.Next)
		if err != nil {
			return err
		}
		put = append(put, row)
		if i.Next.RedirectTo != 0 {
			redirect = append(redirect, []any{row[0], numberKey(t.tenant, i.Next.RedirectTo)})
		}
	}
	if err := t.do(ctx, "incidents", putIncidents, put); err != nil {
		return err
	}
	if err := t.do(ctx, "incidents to delete", deleteIncidents, gone); err != nil {
		return err
	}
	return t.do(ctx, "incidents that point to another", redirectIncidents, redirect)
}

func (t *tx) incidentRow(i *graph.Incident) ([]any, error) {
	record, err := encodeRecord(i)
	if err != nil {
		return nil, fmt.Errorf("%w: incident %s: %v", graph.ErrInvalid, i.ID, err)
	}
	sources := make([]any, len(i.ServiceSources))
	for n, s := range i.ServiceSources {
		sources[n] = string(s)
	}
	return []any{
		numberKey(t.tenant, i.ID), int64(i.ID), int64(i.Created), int64(i.Updated), int64(i.Revision), int64(i.RedirectTo),
		string(i.Severity), string(i.Status()), sources, graph.MicroNumber(i.FirstActivity), graph.MicroNumber(i.LastActivity), record,
	}, nil
}
