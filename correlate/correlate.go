package correlate

import (
	"context"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Correlator is the graph.Decider that keeps a tenant's incidents what the rules make of its alerts. It holds no
// state and is safe for concurrent use.
type Correlator struct {
	settings Settings
}

var _ graph.Decider = (*Correlator)(nil)

// New returns a correlator with these constants.
func New(s Settings) *Correlator { return &Correlator{s} }

// Decide implements graph.Decider. With no person's decision, what it leads to is a pure function of the set of
// alerts and entity observations. It reads the alerts that bear the keys of the changed alerts and of the
// incidents they touch, within about two windows; an error is the reader's.
func (c *Correlator) Decide(ctx context.Context, staged graph.Reader, view graph.View, delta graph.Delta) ([]graph.IncidentChange, error) {
	r, err := newRegion(newArchive(newNodes(ctx, staged, view), c.settings), delta)
	if err != nil {
		return nil, err
	}
	if err := r.grow(); err != nil {
		return nil, err
	}
	current, err := r.current()
	if err != nil {
		return nil, err
	}
	return graph.AssignIncidents(r.parts(), current), nil
}

// current reads the incidents that are there now.
func (r *region) current() (map[graph.IncidentID]graph.Incident, error) {
	out := map[graph.IncidentID]graph.Incident{}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(r.whole)), graph.MaxPage) {
		page, err := r.reader.Incidents(r.ctx, r.view, graph.IncidentQuery{IDs: ids})
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			out[i.ID] = i
		}
	}
	return out, nil
}

// parts are the connected components of the region.
func (r *region) parts() []graph.Part {
	links := mergedLinks{r.Settings, map[linkKey]*scored{}}
	r.links(links.add)
	joined := union{}
	forest := map[graph.ID][]graph.Link{}
	for _, l := range links.sorted() {
		if joined.union(l.A, l.B) {
			forest[l.A] = append(forest[l.A], l)
		}
	}
	members, held := map[graph.ID][]*features{}, map[graph.ID][]graph.Link{}
	for id, f := range r.in {
		root := joined.find(id)
		members[root] = append(members[root], f)
		held[root] = append(held[root], forest[id]...)
	}
	var parts []graph.Part
	for root, fs := range members {
		slices.SortFunc(fs, compareAlerts)
		slices.SortFunc(held[root], graph.Link.Compare)
		p := graph.Part{Facts: factsOf(fs, held[root])}
		for _, f := range fs {
			p.Alerts = append(p.Alerts, f.alert)
		}
		parts = append(parts, p)
	}
	return parts
}

// union is a union-find over alerts.
type union map[graph.ID]graph.ID

func (u union) find(id graph.ID) graph.ID {
	for {
		up, ok := u[id]
		if !ok {
			return id
		}
		if upper, ok := u[up]; ok {
			u[id] = upper
		}
		id = up
	}
}

// union joins two sets; it reports whether they were apart.
func (u union) union(a, b graph.ID) bool {
	a, b = u.find(a), u.find(b)
	if a == b {
		return false
	}
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	u[b] = a
	return true
}
