package neo4j

import (
	"fmt"
	"maps"
	"strings"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// question asks for items x with ticks. Its text is made of constants; what is asked for are parameters.
type question struct {
	graph.Paging
	// label of x.
	label string
	// from are the clauses that give x, the last of which takes a WHERE; place is set where they give the place
	// of x in the answer too, and then After means nothing.
	from  string
	place bool
	where []string
	with  map[string]any
}

// that adds a condition, with the parameter that it names.
func (q *question) that(condition, name string, value any) {
	q.where = append(q.where, condition)
	q.with[name] = value
}

func newQuestion(label string, p graph.Paging) *question {
	q := &question{Paging: p, label: label, with: map[string]any{}}
	q.between("created", p.Created)
	q.between("updated", p.Updated)
	return q
}

// between limits a tick to the range.
func (q *question) between(property string, r graph.TickRange) {
	if r.From != 0 {
		q.that(fmt.Sprintf("x.%[1]s >= $%[1]sFrom", property), property+"From", int64(r.From))
	}
	if r.Before != 0 {
		q.that(fmt.Sprintf("x.%[1]s < $%[1]sBefore", property), property+"Before", int64(r.Before))
	}
}

// listed takes the items from keys, in their order, each once.
func (q *question) listed(keys []string) {
	rows, seen := []any{}, map[string]bool{}
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			rows = append(rows, []any{len(rows), k})
		}
	}
	q.place = true
	q.from += fmt.Sprintf("\nUNWIND $listed AS at\nMATCH (x:%s {key: at[1]})", q.label)
	q.with["listed"] = rows
}

// all takes the tenant's items from the index of the property, which must be one.
func (q *question) all(tenant graph.TenantID, property string, least int64) {
	q.from += fmt.Sprintf("\nMATCH (x:%[1]s)\nUSING INDEX x:%[1]s(tenant, %[2]s)", q.label, property)
	q.that("x.tenant = $tenant", "tenant", tenantText(tenant))
	q.that(fmt.Sprintf("x.%s >= $least", property), "least", least)
}

// orderedBy is the property that orders the page.
func (q *question) orderedBy() string {
	if q.Order.ByUpdate() {
		return "updated"
	}
	return "created"
}

// oneOf limits a property to values; nil means any.
func oneOf[V ~string](q *question, property, name string, values []V) {
	if values == nil {
		return
	}
	q.that(fmt.Sprintf("%s IN $%s", property, name), name, textsOf(values))
}

func textsOf[V ~string](values []V) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// active limits to items whose activity overlaps the window.
func (q *question) active(w graph.Window) {
	if !w.From.IsZero() {
		q.that("x.last >= $activeFrom", "activeFrom", notBefore(w.From))
	}
	if !w.Before.IsZero() {
		q.that("x.first < $activeBefore", "activeBefore", notBefore(w.Before))
	}
}

// notBefore is the first microsecond not before the instant: what is kept is cut to microseconds.
func notBefore(t time.Time) int64 {
	m := graph.MicroNumber(t)
	if time.UnixMicro(m).Before(t) {
		m++
	}
	return m
}

// ask runs the question: page takes the items, and the info is that of the page.
func (r *reader) ask(q *question, bound graph.Tick, item func(rec *driver.Record) error) (info graph.PageInfo, err error) {
	info.Bound = bound
	limit := graph.PageLimit(q.Limit)
	cypher, params := q.page(limit + 1)
	found, err := r.run.query(r.ctx, cypher, params)
	if err != nil {
		return info, err
	}
	info.More = len(found) > limit
	for _, rec := range found[:min(len(found), limit)] {
		if err := item(rec); err != nil {
			return info, err
		}
	}
	if !q.Count {
		return info, nil
	}
	total, err := r.count(q, graph.MaxCount+1)
	info.Total, info.TotalCapped = min(total, graph.MaxCount), total > graph.MaxCount
	return info, err
}

// allOf is the clause for conditions, if there are any.
func allOf(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return "\nWHERE " + strings.Join(conditions, " AND ")
}

// page is the statement for a page of at most so many items.
func (q *question) page(limit int) (string, map[string]any) {
	params, where := maps.Clone(q.with), q.where
	params["limit"] = limit
	keep, tick, direction, behind := "x", "x."+q.orderedBy(), "ASC", ">"
	if q.Order.Newest() {
		direction, behind = "DESC", "<"
	}
	order := fmt.Sprintf("x.tenant %[1]s, %[2]s %[1]s", direction, tick) // all of it, or the index's order is not used
	switch {
	case q.place:
		keep, order = "x, at", "at[0]"
	case q.After != 0:
		where = append(where[:len(where):len(where)], fmt.Sprintf("%s %s $after", tick, behind))
		params["after"] = int64(q.After)
	}
	return fmt.Sprintf("%s%s\nWITH %s\nORDER BY %s\nLIMIT $limit\nRETURN x.record, x.revision\nORDER BY %[4]s",
		q.from, allOf(where), keep, order), params
}

// count counts up to most.
func (r *reader) count(q *question, most int) (int, error) {
	params := maps.Clone(q.with)
	params["limit"] = most
	cypher := fmt.Sprintf("%s%s\nWITH x\nLIMIT $limit\nRETURN count(x)", q.from, allOf(q.where))
	found, err := r.run.query(r.ctx, cypher, params)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return int(number(found[0].Values[0])), nil
}
