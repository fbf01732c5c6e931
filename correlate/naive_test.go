package correlate

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// naive computes the parts from all alerts by the definitions in the package comment, in the plainest way:
// every pair of alerts, every alert between them, every stranger counted anew.
type naive struct {
	Settings
	all []*features
}

func newNaive(r graph.Reader, v graph.View, s Settings) (naive, error) {
	alerts, err := graph.AllAlerts(context.Background(), r, v, graph.AlertQuery{})
	if err != nil {
		return naive{}, err
	}
	n, unbounded := newNodes(context.Background(), r, v), s
	unbounded.MostParties, unbounded.MostArtifacts = 1<<30, 1<<30
	if err := n.loadFor(alerts, unbounded); err != nil {
		return naive{}, err
	}
	out := naive{Settings: s}
	for _, a := range alerts {
		less, crowd := s.withoutExcess(a)
		f := n.featuresOf(less, unbounded)
		f.alert, f.crowd = a, crowd
		out.all = append(out.all, f)
	}
	return out, nil
}

// withoutExcess takes from an alert what it names beyond the bounds: each id of which MostArtifacts smaller ones of
// its kind are named, and all people and devices of a crowd.
func (s Settings) withoutExcess(a graph.Alert) (graph.Alert, bool) {
	named := map[graph.ID]bool{}
	for _, e := range a.Evidence {
		named[e.Entity] = true
		for _, id := range e.Mentions {
			named[id] = named[id] || e.Type != "deviceEvidence"
		}
	}
	smaller, crowd := map[graph.ID]int{}, false
	for id, counts := range named {
		for other, too := range named {
			if too && counts && other.Kind() == id.Kind() && other.Compare(id) < 0 {
				smaller[id]++
			}
		}
		party := slices.Contains([]string{"device", "identity", "mailbox"}, id.Kind().String())
		crowd = crowd || party && smaller[id] >= s.MostParties
	}
	excess := func(id graph.ID) bool {
		switch id.Kind().String() {
		case "device", "identity", "mailbox":
			return crowd
		}
		return smaller[id] >= s.MostArtifacts
	}
	a.Evidence = slices.Clone(a.Evidence)
	for i, e := range a.Evidence {
		if excess(e.Entity) {
			a.Evidence[i].Entity = graph.ID{}
		}
		a.Evidence[i].Mentions = slices.DeleteFunc(slices.Clone(e.Mentions), excess)
	}
	return a, crowd
}

func instants(f *features) []point {
	if f.start.IsZero() {
		return nil
	}
	if f.start.Equal(f.end) {
		return []point{{f.start, f, false}}
	}
	return []point{{f.start, f, false}, {f.end, f, true}}
}

// between reports whether an alert that all of the tests hold for has an instant between two.
func (n naive) between(a, b point, bears func(*features) bool) bool {
	for _, f := range n.all {
		if !bears(f) {
			continue
		}
		for _, p := range instants(f) {
			if p != a && p != b && comparePoints(a, p) < 0 && comparePoints(p, b) < 0 {
				return true
			}
		}
	}
	return false
}

func (n naive) strangers(k key, p point) int {
	people, devices := map[graph.ID]bool{}, map[graph.ID]bool{}
	today := p.at.UTC().Truncate(24 * time.Hour)
	for _, f := range n.all {
		if _, bears := f.keys[k]; !bears || f.start.IsZero() {
			continue
		}
		apart := int(f.start.UTC().Truncate(24*time.Hour).Sub(today).Abs() / (24 * time.Hour))
		if apart <= n.Burst || apart > n.Window {
			continue
		}
		for _, id := range f.people {
			people[id] = true
		}
		for _, id := range f.devices {
			devices[id] = id != k.node
		}
	}
	for _, id := range p.of.people {
		delete(people, id)
	}
	for _, id := range p.of.devices {
		delete(devices, id)
	}
	maps.DeleteFunc(devices, func(_ graph.ID, counts bool) bool { return !counts })
	if k.kind == person {
		return len(devices)
	}
	return max(len(people), len(devices))
}

func (n naive) isSystem(k key, p point) bool {
	today := p.at.UTC().Truncate(24 * time.Hour)
	return slices.ContainsFunc(n.all, func(f *features) bool {
		apart := int(f.start.UTC().Truncate(24*time.Hour).Sub(today).Abs() / (24 * time.Hour))
		return !f.start.IsZero() && f.keys[k].system && apart <= n.Window
	})
}

func (n naive) linksBetween(a, b point) (out []candidate) {
	gap := b.at.Sub(a.at)
	for k := range a.of.keys {
		if _, shared := b.of.keys[k]; shared && n.keyLinks(k, a, b, gap) {
			out = append(out, candidate{k.kind.rule(), pair{a, b}, []key{k}})
		}
	}
	for _, u := range a.of.people {
		for _, d := range a.of.devices {
			if slices.Contains(b.of.people, u) && slices.Contains(b.of.devices, d) && n.pairLinks(u, d, a, b, gap) {
				out = append(out, candidate{rulePair, pair{a, b}, []key{{person, u}, {device, d}}})
			}
		}
	}
	if !a.end && !b.end && n.splitLinks(a, b, gap) {
		out = append(out, candidate{ruleSplit, pair{a, b}, nil})
	}
	return out
}

func (n naive) keyLinks(k key, a, b point, gap time.Duration) bool {
	if n.between(a, b, func(f *features) bool { _, ok := f.keys[k]; return ok }) {
		return false
	}
	if k.kind == process {
		return gap <= n.ArtifactGap
	}
	if k.kind == file && (n.isSystem(k, a) || n.isSystem(k, b)) {
		return false
	}
	most, s := n.AssetGap, max(n.strangers(k, a), n.strangers(k, b))
	if k.kind != device && k.kind != person && k.kind != sender {
		most = n.ArtifactGap
	}
	if s > n.Settings.Strangers {
		most = min(most, n.HubGap/time.Duration(s))
		if k.kind == device && contradict(a.of.people, b.of.people) {
			return false
		}
	}
	return gap <= most
}

func (n naive) pairLinks(u, d graph.ID, a, b point, gap time.Duration) bool {
	both := func(f *features) bool { return slices.Contains(f.people, u) && slices.Contains(f.devices, d) }
	most := n.ArtifactGap
	for _, k := range []key{{person, u}, {device, d}} {
		if max(n.strangers(k, a), n.strangers(k, b)) > n.Settings.Strangers {
			most = n.AssetGap
		}
	}
	return gap <= most && !n.between(a, b, both)
}

func (n naive) splitLinks(a, b point, gap time.Duration) bool {
	if a.of.detector != b.of.detector || gap > n.SplitGap || a.of.crowd || b.of.crowd || contradict(a.of.people, b.of.people) || contradict(a.of.devices, b.of.devices) {
		return false
	}
	firings := 0
	for _, f := range n.all {
		if f.detector != a.of.detector || f.start.IsZero() {
			continue
		}
		if f.start.Sub(a.at).Abs() <= n.SplitSpan {
			firings++
		}
		if f != a.of && f != b.of && compareAlerts(a.of, f) < 0 && compareAlerts(f, b.of) < 0 {
			return false
		}
	}
	return firings <= n.SplitMost
}

// incidents are the parts as digests see them: by the sorted ids of their alerts.
func (n naive) incidents() map[string]graph.IncidentFacts {
	merged, part := mergedLinks{n.Settings, map[linkKey]*scored{}}, map[graph.ID]graph.ID{}
	for _, f := range n.all {
		part[f.alert.ID] = f.alert.ID
	}
	for _, x := range n.all {
		for _, y := range n.all {
			for _, a := range instants(x) {
				for _, b := range instants(y) {
					if x != y && comparePoints(a, b) < 0 {
						for _, l := range n.linksBetween(a, b) {
							merged.add(l)
						}
					}
				}
			}
		}
	}
	forest := map[graph.ID][]graph.Link{}
	for _, l := range merged.sorted() {
		from, to := part[l.B], part[l.A]
		if from == to {
			continue
		}
		for id, p := range part {
			if p == from {
				part[id] = to
			}
		}
		forest[to] = append(append(forest[to], forest[from]...), l)
	}
	return n.facts(part, forest)
}

func (n naive) facts(part map[graph.ID]graph.ID, forest map[graph.ID][]graph.Link) map[string]graph.IncidentFacts {
	members := map[graph.ID][]*features{}
	for _, f := range n.all {
		members[part[f.alert.ID]] = append(members[part[f.alert.ID]], f)
	}
	out := map[string]graph.IncidentFacts{}
	for p, fs := range members {
		slices.SortFunc(fs, compareAlerts)
		slices.SortFunc(forest[p], graph.Link.Compare)
		var ids []graph.ID
		for _, f := range fs {
			ids = append(ids, f.alert.ID)
		}
		out[nameOf(ids)] = factsOf(fs, forest[p])
	}
	return out
}

func nameOf(ids []graph.ID) string {
	slices.SortFunc(ids, graph.ID.Compare)
	name := ""
	for _, id := range ids {
		name += id.String() + " "
	}
	return name
}
