// Package retention removes what has grown old from a store, a bounded batch at a time.
package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
)

// Settings say what is kept for how long; zero keeps for ever.
type Settings struct {
	// Incidents are kept for so long after their last activity and last update, with all their alerts: an
	// incident without its alerts would explain nothing, so an alert goes with its incident and never before it.
	Incidents time.Duration
	// EndedEdges are kept for so long after their last use (see graph.Edge.UsableUntil). What a source never
	// said to have ended, and no event bounds, stays.
	EndedEdges time.Duration
	// CredentialLife is how long traces of a logon can be used, as in traversal.
	CredentialLife time.Duration
}

// Summary says what one run removed, or would remove.
type Summary struct {
	Incidents int `json:"incidents"`
	Alerts    int `json:"alerts"`
	Edges     int `json:"edges"`
}

// String is for people and logs.
func (s Summary) String() string {
	return fmt.Sprintf("%d incidents with %d alerts, %d edges", s.Incidents, s.Alerts, s.Edges)
}

// incidentsAtOnce is small, because each may bring thousands of alerts; edgesAtOnce is larger.
const (
	incidentsAtOnce = 20
	edgesAtOnce     = 500
)

// Run removes what is over from one tenant. dry only counts, what the same run would remove while nobody writes.
// It may be stopped at any time and run again; what was removed by then is in the summary, beside the error.
func Run(ctx context.Context, s graph.Store, tenant graph.TenantID, o Settings, now time.Time, dry bool) (Summary, error) {
	r := run{ctx: ctx, store: s, view: graph.View{Tenant: tenant}, settings: o, now: now, dry: dry, gone: map[graph.IncidentID]bool{}}
	if o.Incidents > 0 {
		if err := r.incidents(); err != nil {
			return r.sum, fmt.Errorf("removing old incidents: %w", err)
		}
	}
	if o.EndedEdges > 0 {
		if err := r.edges(); err != nil {
			return r.sum, fmt.Errorf("removing ended edges: %w", err)
		}
	}
	return r.sum, nil
}

type run struct {
	ctx      context.Context
	store    graph.Store
	view     graph.View
	settings Settings
	now      time.Time
	dry      bool
	sum      Summary
	// gone are the incidents that a dry run counted.
	gone map[graph.IncidentID]bool
}

func (r *run) apply(e graph.Expiry) error {
	got, err := r.store.Apply(r.ctx, r.view.Tenant, graph.Batch{Actor: "retention", Cause: "older than the setting", Expire: &e})
	r.sum.Incidents += got.ExpiredIncidents
	r.sum.Alerts += got.ExpiredAlerts
	r.sum.Edges += got.ExpiredEdges
	return err
}

// incidents removes live ones first; then redirected ones, whose turn comes when what they point to is gone.
func (r *run) incidents() error {
	live := []graph.Status{graph.StatusActive, graph.StatusInProgress, graph.StatusAwaitingAction, graph.StatusResolved}
	if err := r.incidentsOf(live); err != nil {
		return err
	}
	for before := -1; before != r.sum.Incidents; {
		before = r.sum.Incidents
		if err := r.incidentsOf([]graph.Status{graph.StatusRedirected}); err != nil {
			return err
		}
	}
	return nil
}

// incidentsOf goes through those not updated lately, the longest untouched first.
func (r *run) incidentsOf(statuses []graph.Status) error {
	cutoff := r.now.Add(-r.settings.Incidents)
	q := graph.IncidentQuery{Statuses: statuses, Paging: graph.Paging{
		Order: graph.OldestUpdated, Updated: graph.TickRange{Before: graph.TickOf(cutoff)}, Limit: incidentsAtOnce,
	}}
	for more := true; more; {
		page, err := r.store.Incidents(r.ctx, r.view, q)
		if err != nil {
			return err
		}
		var over []graph.Incident
		for _, i := range page.Items {
			q.After = i.Updated
			if i.Over(cutoff) {
				over = append(over, i)
			}
		}
		if err := r.expire(over, cutoff); err != nil {
			return err
		}
		more = page.More && len(page.Items) > 0
	}
	return nil
}

// expire removes incidents of one page.
func (r *run) expire(over []graph.Incident, cutoff time.Time) error {
	if len(over) == 0 {
		return nil
	}
	if r.dry {
		return r.count(over)
	}
	e := graph.Expiry{IncidentsBefore: cutoff}
	for _, i := range over {
		e.Incidents = append(e.Incidents, i.ID)
	}
	return r.apply(e)
}

// count is expire of a dry run: a redirected incident goes only when what it points to is there no more.
func (r *run) count(over []graph.Incident) error {
	stays, err := r.targets(over)
	if err != nil {
		return err
	}
	for _, i := range over {
		if r.gone[i.ID] || stays[i.RedirectTo] && !r.gone[i.RedirectTo] {
			continue
		}
		r.gone[i.ID] = true
		r.sum.Incidents++
		r.sum.Alerts += i.AlertCount
	}
	return nil
}

// targets are the incidents that are there of those that others point to.
func (r *run) targets(over []graph.Incident) (map[graph.IncidentID]bool, error) {
	there, ids := map[graph.IncidentID]bool{}, []graph.IncidentID{}
	for _, i := range over {
		if i.RedirectTo != 0 {
			ids = append(ids, i.RedirectTo)
		}
	}
	if len(ids) == 0 {
		return there, nil
	}
	page, err := r.store.Incidents(r.ctx, r.view, graph.IncidentQuery{IDs: ids})
	for _, i := range page.Items {
		there[i.ID] = true
	}
	return there, err
}

// edges scans all edges once and removes those that are over, a batch at a time.
func (r *run) edges() error {
	cutoff := r.now.Add(-r.settings.EndedEdges)
	var over []graph.EdgeKey
	flush := func() error {
		defer func() { over = over[:0] }()
		if r.dry || len(over) == 0 {
			return nil
		}
		return r.apply(graph.Expiry{Edges: over, EdgesBefore: cutoff, CredentialLife: r.settings.CredentialLife})
	}
	for e, err := range r.store.Edges(r.ctx, r.view, graph.EdgeQuery{}) {
		if err != nil {
			return err
		}
		if !e.Over(cutoff, r.settings.CredentialLife) {
			continue
		}
		if r.dry {
			r.sum.Edges++
		}
		if over = append(over, e.Key()); len(over) == edgesAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
