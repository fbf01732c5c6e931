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

// Run removes what is over from one tenant. dry only counts, edges as shown. It may be stopped at any time and
// run again; what was removed by then is in the summary, beside the error.
func Run(ctx context.Context, s graph.Store, tenant graph.TenantID, o Settings, now time.Time, dry bool) (Summary, error) {
	r := run{ctx: ctx, store: s, view: graph.View{Tenant: tenant}, settings: o, now: now, dry: dry}
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
		if err := r.incidentsOf([]graph.Status{graph.StatusRedirected}); err != nil || r.dry {
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
		var over []graph.IncidentID
		for _, i := range page.Items {
			q.After = i.Updated
			if i.Over(cutoff) {
				over = append(over, i.ID)
				r.count(i)
			}
		}
		if len(over) > 0 && !r.dry {
			if err := r.apply(graph.Expiry{Incidents: over, IncidentsBefore: cutoff}); err != nil {
				return err
			}
		}
		more = page.More && len(page.Items) > 0
	}
	return nil
}

// count is for dry runs: redirected ones are counted though what they point to may stay.
func (r *run) count(i graph.Incident) {
	if r.dry && i.RedirectTo == 0 {
		r.sum.Incidents++
		r.sum.Alerts += i.AlertCount
	}
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
		if over = append(over, graph.EdgeKey{From: e.From, Kind: e.Kind, To: e.To}); len(over) == edgesAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
