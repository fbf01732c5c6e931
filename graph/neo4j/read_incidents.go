package neo4j

import (
	"math"
	"slices"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// incidents implements graph.Reader's Incidents; bound is what the read may promise.
func (r *reader) incidents(q graph.IncidentQuery, bound graph.Tick) (out graph.IncidentPage, err error) {
	q.Paging = q.Paging.Bounded(bound)
	ask := newQuestion("Incident", q.Paging)
	oneOf(ask, "x.severity", "severities", q.Severities)
	oneOf(ask, "x.status", "statuses", q.Statuses)
	if q.Sources != nil {
		ask.that("any(s IN x.sources WHERE s IN $sources)", "sources", textsOf(q.Sources))
	}
	if q.IDs == nil && !slices.Contains(q.Statuses, graph.StatusRedirected) {
		ask.where = append(ask.where, "x.redirect = 0")
	}
	ask.active(q.Activity)
	if q.IDs == nil {
		ask.all(r.tenant, ask.orderedBy(), math.MinInt64)
	} else {
		ask.listed(r.incidentKeys(q.IDs))
	}
	out.PageInfo, err = r.ask(ask, bound, func(rec *driver.Record) error {
		i, err := decodeIncident(rec.Values[0], rec.Values[1])
		out.Items = append(out.Items, i)
		return err
	})
	if err == nil && q.WithContentVersion {
		err = r.fillContentVersions(out.Items)
	}
	return out, err
}

func (r *reader) incidentKeys(ids []graph.IncidentID) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = numberKey(r.tenant, id)
	}
	return keys
}

// readShown gives the greatest revisions of what incidents show: their alerts, and the nodes these are about.
const readShown = `
UNWIND $in.rows AS q
MATCH (i:Incident {key: q[1]})
MATCH (a)-[:IN_INCIDENT]->(i)
OPTIONAL MATCH (h)-[:EVIDENCE_OF]->(a)
OPTIONAL MATCH (h)-[:SAME_AS]->(c)
RETURN q[0], max(a.revision), max(coalesce(c, h).revision)`

// fillContentVersions takes the greatest revision of each incident, its alerts and the nodes they show.
func (r *reader) fillContentVersions(items []graph.Incident) error {
	rows := make([]any, len(items))
	for n := range items {
		items[n].ContentVersion = items[n].Revision
		rows[n] = []any{n, numberKey(r.tenant, items[n].ID)}
	}
	return r.each(r.ctx, readShown, rows, nil, func(v []any) error {
		shown := graph.Revision(max(number(v[1]), number(v[2])))
		i := &items[number(v[0])]
		i.ContentVersion = max(i.ContentVersion, shown)
		return nil
	})
}
