package model

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// MaxArgument bounds the items of one list in an argument.
const MaxArgument = 100

// TimeRange is the input of that name.
type TimeRange struct{ From, Before time.Time }

// IncidentFilter is the input of that name.
type IncidentFilter struct {
	Severities                 []graph.Severity
	Statuses                   []graph.Status
	ServiceSources             []graph.ServiceSource
	Activity, Created, Updated *TimeRange
}

// AlertFilter is the input of that name.
type AlertFilter struct {
	Incidents, Entities        []string
	Severities                 []graph.Severity
	Statuses                   []graph.Status
	ServiceSources             []graph.ServiceSource
	Activity, Created, Updated *TimeRange
}

// Query is the filter as the store takes it. The error wraps graph.ErrInvalid.
func (f *IncidentFilter) Query(order graph.TickOrder) (graph.IncidentQuery, error) {
	if f == nil {
		f = &IncidentFilter{}
	}
	q := graph.IncidentQuery{
		Activity: f.Activity.window(), Severities: distinct(f.Severities), Statuses: distinct(f.Statuses),
		Sources: distinct(f.ServiceSources),
		Paging:  graph.Paging{Order: order, Created: f.Created.ticks(), Updated: f.Updated.ticks()},
	}
	return q, atMost(len(q.Severities), len(q.Statuses), len(q.Sources))
}

// Query is the filter as the store takes it. The error wraps graph.ErrInvalid.
func (f *AlertFilter) Query(order graph.TickOrder) (graph.AlertQuery, error) {
	if f == nil {
		f = &AlertFilter{}
	}
	q := graph.AlertQuery{
		Activity: f.Activity.window(), Severities: distinct(f.Severities), Statuses: distinct(f.Statuses),
		Sources: distinct(f.ServiceSources),
		Paging:  graph.Paging{Order: order, Created: f.Created.ticks(), Updated: f.Updated.ticks()},
	}
	if err := atMost(len(q.Severities), len(q.Statuses), len(q.Sources)); err != nil {
		return q, err
	}
	var err error
	if q.Entities, err = ParseIDs(f.Entities); err != nil {
		return q, err
	}
	q.Incidents, err = parseAll(f.Incidents, graph.ParseIncidentID)
	slices.SortFunc(q.Entities, graph.ID.Compare)
	slices.Sort(q.Incidents)
	return q, err
}

// ParseIDs reads entity ids; none for none. The error wraps graph.ErrInvalid.
func ParseIDs(texts []string) ([]graph.ID, error) { return parseAll(texts, graph.ParseID) }

// parseEntities reads ids of entities. The error wraps graph.ErrInvalid.
func parseEntities(texts []string) ([]graph.ID, error) { return parseAll(texts, parseEntity) }

func parseEntity(text string) (graph.ID, error) {
	id, err := graph.ParseID(text)
	if err == nil && !id.Kind().Entity() {
		err = fmt.Errorf("%w: %s is no entity", graph.ErrInvalid, id)
	}
	return id, err
}

func parseAll[T comparable](texts []string, parse func(string) (T, error)) ([]T, error) {
	if err := atMost(len(texts)); err != nil {
		return nil, err
	}
	var out []T
	for _, s := range texts {
		v, err := parse(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out, nil
}

func atMost(lengths ...int) error {
	for _, n := range lengths {
		if n > MaxArgument {
			return fmt.Errorf("%w: a list of %d in an argument, at most %d are possible", graph.ErrInvalid, n, MaxArgument)
		}
	}
	return nil
}

func (r *TimeRange) window() graph.Window {
	if r == nil {
		return graph.Window{}
	}
	return graph.Window{From: r.From, Before: r.Before}
}

func (r *TimeRange) ticks() graph.TickRange {
	var out graph.TickRange
	if r != nil && !r.From.IsZero() {
		out.From = graph.TickOf(r.From)
	}
	if r != nil && !r.Before.IsZero() {
		out.Before = max(1, graph.TickOf(r.Before)) // 0 is open
	}
	return out
}

// distinct sorts a list and leaves out what is in it again, so that lists which mean the same are the same; an
// empty one is no condition.
func distinct[T cmp.Ordered](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
