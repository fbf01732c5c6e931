package neo4j

import (
	"fmt"
	"math"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// What the query's incidents and entities stand for: the incidents they redirect to at last (none redirects to two),
// and all homes of their nodes. The second may import the first: two subqueries that know nothing of each other
// are planned as a product.
const (
	liveAsked = `
CALL {
  UNWIND $incidents AS k
  MATCH (i:Incident {key: k})
  MATCH (i)-[:REDIRECTS_TO*0..]->(l)
  WHERE l.redirect = 0
  RETURN collect(DISTINCT l) AS live
}`

	homesAsked = `
CALL {%s
  UNWIND $entities AS k
  MATCH (e:Entity {key: k})
  OPTIONAL MATCH (e)-[:SAME_AS]->(c)
  WITH DISTINCT coalesce(c, e) AS n
  OPTIONAL MATCH (m)-[:SAME_AS]->(n)
  WITH n, collect(m) AS members
  UNWIND [n] + members AS h
  RETURN collect(h) AS homes
}`
)

// alerts implements graph.Reader's Alerts; bound is what the read may promise.
func (r *reader) alerts(q graph.AlertQuery, bound graph.Tick) (out graph.AlertPage, err error) {
	q.Paging = q.Paging.Bounded(bound)
	ask := newQuestion("Alert", q.Paging)
	oneOf(ask, "x.severity", "severities", q.Severities)
	oneOf(ask, "x.status", "statuses", q.Statuses)
	oneOf(ask, "x.source", "sources", q.Sources)
	ask.active(q.Activity)
	r.resolve(ask, q)
	if err := r.alertSource(ask, q); err != nil {
		return out, err
	}
	out.PageInfo, err = r.ask(ask, bound, func(rec *driver.Record) error {
		a, err := decodeAlert(rec.Values[0], rec.Values[1])
		out.Items = append(out.Items, a)
		return err
	})
	return out, err
}

// resolve finds what the incidents and entities asked for stand for.
func (r *reader) resolve(ask *question, q graph.AlertQuery) {
	imports := ""
	if q.Incidents != nil {
		ask.from += liveAsked
		ask.with["incidents"] = r.incidentKeys(q.Incidents)
		imports = "\n  WITH live"
	}
	if q.Entities != nil {
		ask.from += fmt.Sprintf(homesAsked, imports)
		ask.with["entities"] = r.idKeys(q.Entities)
	}
}

// idKeys are the keys of the records that ids name.
func (r *reader) idKeys(ids []graph.ID) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = r.key(id)
	}
	return keys
}

const (
	aboutAsked = `EXISTS { MATCH (x)<-[:EVIDENCE_OF]-(h) WHERE h IN homes }`
	inAsked    = `EXISTS { MATCH (x)-[:IN_INCIDENT]->(l) WHERE l IN live }`
)

// alertSource picks the narrowest way to the alerts, and makes conditions of what is asked for besides.
func (r *reader) alertSource(ask *question, q graph.AlertQuery) error {
	switch {
	case q.IDs != nil:
		ask.listed(r.idKeys(q.IDs))
		if q.Incidents != nil {
			ask.where = append(ask.where, inAsked)
		}
	case q.Incidents != nil:
		ask.from += "\nUNWIND live AS l\nMATCH (x)-[:IN_INCIDENT]->(l)"
	case q.Entities != nil:
		ask.from += "\nUNWIND homes AS h\nMATCH (h)-[:EVIDENCE_OF]->(x)\nWITH DISTINCT x"
		return nil
	default:
		return r.allAlerts(ask, q)
	}
	if q.Entities != nil {
		ask.where = append(ask.where, aboutAsked)
	}
	return nil
}

// maxActive bounds the alerts that are taken by activity: where more are in the window, going by tick fills a page
// sooner than all of them are sorted.
const maxActive = 10_000

// allAlerts goes by activity where that leaves few, else by tick.
func (r *reader) allAlerts(ask *question, q graph.AlertQuery) error {
	if q.Activity.From.IsZero() {
		ask.all(r.tenant, ask.orderedBy(), math.MinInt64)
		return nil
	}
	probe := &question{label: ask.label, with: map[string]any{}}
	probe.all(r.tenant, "last", notBefore(q.Activity.From))
	some, err := r.count(probe, maxActive+1)
	switch {
	case err != nil:
		return err
	case some <= maxActive:
		ask.all(r.tenant, "last", notBefore(q.Activity.From))
	default:
		ask.all(r.tenant, ask.orderedBy(), math.MinInt64)
	}
	return nil
}
