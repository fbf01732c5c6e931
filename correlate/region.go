package correlate

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// region is the part of a tenant's alerts that one commit can change the incidents of.
type region struct {
	*archive
	// changed are the alerts that the commit brings, and those about entities whose identity changed. What was
	// known of the latter before is not known any more.
	changed map[*features]bool
	// in are the alerts to decide; of every incident it has all or none.
	in    map[graph.ID]*features
	whole map[graph.IncidentID]bool
}

// newRegion takes in what changed.
func newRegion(a *archive, delta graph.Delta) (*region, error) {
	r := &region{a, map[*features]bool{}, map[graph.ID]*features{}, map[graph.IncidentID]bool{}}
	seeds, err := a.readIDs(delta.Alerts)
	if err != nil {
		return nil, err
	}
	left, same := r.leftBehind(delta.Previous)
	touched, err := r.about(append(slices.Clone(delta.Entities), left...))
	if err != nil {
		return nil, err
	}
	fired, err := r.firedWith(delta.Previous, same)
	if err != nil {
		return nil, err
	}
	for _, f := range slices.Concat(seeds, touched, fired) {
		r.changed[f] = r.changed[f] || !same[f.alert.ID]
	}
	maps.DeleteFunc(r.changed, func(_ *features, changed bool) bool { return !changed })
	return r, r.take(slices.Concat(seeds, touched, fired))
}

// leftBehind lists the things that updated alerts were about before: with such an alert gone from them they may
// be hubs no more, and it no longer stands between others. same are the alerts of which nothing changed that
// the rules see; only their incidents' facts may.
func (r *region) leftBehind(previous []graph.Alert) (left []graph.ID, same map[graph.ID]bool) {
	same = map[graph.ID]bool{}
	for _, old := range previous {
		if now := r.known[old.ID]; now != nil && sameToRules(old, now.alert) {
			same[old.ID] = true
		} else {
			left = append(left, r.tiesOf(old.AlertContent).ids...)
		}
	}
	return left, same
}

func sameToRules(a, b graph.Alert) bool {
	return a.FirstActivity.Equal(b.FirstActivity) && a.LastActivity.Equal(b.LastActivity) && detectorOf(a) == detectorOf(b) &&
		slices.EqualFunc(a.Evidence, b.Evidence, func(x, y graph.Evidence) bool {
			return x.Type == y.Type && x.Entity == y.Entity && slices.Equal(x.Mentions, y.Mentions) && bytes.Equal(x.Body, y.Body)
		})
}

// firedWith reads the alerts that fired with updated ones where these were before.
func (r *region) firedWith(previous []graph.Alert, same map[graph.ID]bool) (out []*features, err error) {
	needs := map[string]span{}
	for _, old := range previous {
		if at := old.FirstActivity; !same[old.ID] && !at.IsZero() {
			d := detectorOf(old)
			needs[d] = needs[d].hull(around(at, at, r.hearing()))
		}
	}
	if err := r.hear(needs); err != nil {
		return nil, err
	}
	for d := range needs {
		out = append(out, r.detectors[d]...)
	}
	return out, nil
}

// about reads all alerts, of any time, about nodes that joined, parted or are followed differently, and about the
// nodes that they may have belonged to before: those that share a key with them.
func (r *region) about(entities []graph.ID) ([]*features, error) {
	entities = slices.DeleteFunc(slices.Clone(entities), func(id graph.ID) bool { return !isTie(id.Kind()) })
	if err := r.load(entities); err != nil || len(entities) == 0 {
		return nil, err
	}
	ids := slices.Clone(entities)
	for _, id := range entities {
		e := r.byID[id]
		ids = append(append(ids, e.SameAs), e.PossiblySameAs...)
		for _, k := range e.Keys {
			ids = append(ids, k.ID())
		}
	}
	ids, err := r.allNames(ids)
	if err != nil {
		return nil, err
	}
	return r.read(graph.AlertQuery{Entities: ids})
}

// allNames adds the ids under which alerts may name the same things.
func (r *region) allNames(ids []graph.ID) ([]graph.ID, error) {
	if err := r.load(ids); err != nil {
		return nil, err
	}
	if err := r.loadOwners(ids); err != nil {
		return nil, err
	}
	via := map[key][]graph.ID{}
	for _, id := range ids {
		if k, b := r.keyOf(id); !k.node.IsZero() {
			via[k] = append(via[k], b.via...)
		}
	}
	if err := r.nameAll(slices.Collect(maps.Keys(via)), via); err != nil {
		return nil, err
	}
	for k := range via {
		ids = append(ids, r.named[k]...)
	}
	slices.SortFunc(ids, graph.ID.Compare)
	return slices.DeleteFunc(slices.Compact(ids), graph.ID.IsZero), nil
}

// take takes alerts in, and the whole of their incidents.
func (r *region) take(alerts []*features) error {
	ids := []graph.IncidentID{}
	for _, f := range alerts {
		r.in[f.alert.ID] = f
		if i := f.alert.Incident; i != 0 && !r.whole[i] {
			r.whole[i] = true
			ids = append(ids, i)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	members, err := r.read(graph.AlertQuery{Incidents: ids})
	for _, f := range members {
		r.in[f.alert.ID] = f
	}
	return err
}

// grow takes in all that the changed alerts disturb, then all that is linked to what is in.
func (r *region) grow() error {
	if err := r.takeDisturbed(); err != nil {
		return err
	}
	for {
		if err := r.coverLinks(); err != nil {
			return err
		}
		var outside []*features
		r.links(func(l candidate) {
			for _, p := range []point{l.pair.a, l.pair.b} {
				if r.in[p.of.alert.ID] == nil {
					outside = append(outside, p.of)
				}
			}
		})
		if len(outside) == 0 {
			return nil
		}
		if err := r.take(outside); err != nil {
			return err
		}
	}
}

// takeDisturbed takes in the alerts whose links to each other the changed alerts may have broken, by coming between
// them or by making their key a hub. Alerts linked to a changed one need no search: they are its neighbours.
// To take in too much costs time and changes nothing.
func (r *region) takeDisturbed() error {
	needs, detectors := map[key]span{}, map[string]span{}
	far := 2*r.reach() + r.ArtifactGap
	for f := range r.changed {
		if f.start.IsZero() {
			continue
		}
		for k := range f.keys {
			needs[k] = needs[k].hull(around(f.start, f.end, far))
		}
		detectors[f.detector] = detectors[f.detector].hull(around(f.start, f.end, r.hearing()))
	}
	if err := r.cover(needs); err != nil {
		return err
	}
	if err := r.hear(detectors); err != nil {
		return err
	}
	var found []*features
	for k := range needs {
		found = append(found, r.disturbedOn(k)...)
	}
	for d := range detectors {
		found = append(found, r.disturbedBy(d)...)
	}
	return r.take(found)
}

// hearing is how far from an alert the firings lie that decide its links and those it can break.
func (r *region) hearing() time.Duration { return 2 * (r.SplitSpan + r.SplitGap) }

// disturbedOn compares the links on a key with and without the changed alerts.
func (r *region) disturbedOn(k key) []*features {
	now := r.bearers[k]
	before := r.unchanged(now)
	known := len(before)+r.countNew(now) == len(now)
	crowdBefore, crowdNow := newCrowd(r.Settings, k, before), r.lineOf(k)
	out := broken(crowdBefore.keyLinks(), crowdNow.made, known)
	if k.kind != person && k.kind != device {
		return out
	}
	partners := partnersOf(k, now)
	for _, p := range slices.SortedFunc(maps.Keys(partners), graph.ID.Compare) {
		both := partners[p]
		out = append(out, broken(r.pairLinks(r.unchanged(both), crowdBefore), r.pairLinks(both, crowdNow.crowd), known)...)
	}
	return out
}

// partnersOf groups the alerts on a person by device and those on a device by person.
func partnersOf(k key, alerts []*features) map[graph.ID][]*features {
	out := map[graph.ID][]*features{}
	for _, f := range alerts {
		partners := f.people
		if k.kind == person {
			partners = f.devices
		}
		for _, p := range partners {
			out[p] = append(out[p], f)
		}
	}
	return out
}

func (r *region) unchanged(alerts []*features) []*features {
	return slices.DeleteFunc(slices.Clone(alerts), func(f *features) bool { return r.changed[f] })
}

// countNew counts alerts that no earlier commit has decided. Where others changed, what they said before is
// not known, and any link may be older or newer than their change.
func (r *region) countNew(alerts []*features) int {
	n := 0
	for _, f := range alerts {
		if r.changed[f] && f.alert.Incident == 0 {
			n++
		}
	}
	return n
}

// broken are the ends of links that are no more; of all links where it is not known what was before.
func broken(before, now []pair, known bool) []*features {
	still := map[pair]bool{}
	for _, p := range now {
		still[p] = true
	}
	var out []*features
	for _, p := range before {
		if !known || !still[p] {
			out = append(out, p.a.of, p.b.of)
		}
	}
	return out
}

func (r *region) disturbedBy(detector string) []*features {
	now := slices.SortedFunc(slices.Values(r.detectors[detector]), compareAlerts)
	before := r.unchanged(now)
	return broken(r.splitLinks(before), r.splitLinks(now), len(before)+r.countNew(now) == len(now))
}

// judged are the keys on which alerts of the region can be linked: those that changed alerts bear, and those
// that at least two alerts bear. On any other, an alert would have been in one incident with what it is linked to.
func (r *region) judged() map[key][]*features {
	out := map[key][]*features{}
	for _, f := range r.in {
		if f.start.IsZero() {
			continue
		}
		for k := range f.keys {
			out[k] = append(out[k], f)
		}
	}
	maps.DeleteFunc(out, func(_ key, fs []*features) bool { return len(fs) < 2 && !r.changed[fs[0]] })
	return out
}

// firing are the detectors by which alerts of the region can be linked.
func (r *region) firing() map[string][]*features {
	out := map[string][]*features{}
	for _, f := range r.in {
		if !f.start.IsZero() {
			out[f.detector] = append(out[f.detector], f)
		}
	}
	maps.DeleteFunc(out, func(_ string, fs []*features) bool {
		slices.SortFunc(fs, compareAlerts)
		for i, f := range fs {
			if r.changed[f] || (i > 0 && f.start.Sub(fs[i-1].start) <= r.SplitGap) {
				return false
			}
		}
		return true
	})
	return out
}

// coverLinks reads all that the links of the region depend on.
func (r *region) coverLinks() error {
	needs, detectors := map[key]span{}, map[string]span{}
	far := r.reach() + r.ArtifactGap
	for k, fs := range r.judged() {
		for _, f := range fs {
			needs[k] = needs[k].hull(around(f.start, f.end, far))
		}
	}
	for d, fs := range r.firing() {
		for _, f := range fs {
			detectors[d] = detectors[d].hull(around(f.start, f.end, r.hearing()))
		}
	}
	if err := r.cover(needs); err != nil {
		return err
	}
	return r.hear(detectors)
}

// links yields every link with at least one end in the region.
func (r *region) links(yield func(candidate)) {
	report := func(pairs []pair, c candidate) {
		for _, p := range pairs {
			if c.pair = p; r.in[p.a.of.alert.ID] != nil || r.in[p.b.of.alert.ID] != nil {
				yield(c)
			}
		}
	}
	judged := r.judged()
	for k := range judged {
		report(r.lineOf(k).made, candidate{rule: k.kind.rule(), keys: []key{k}})
	}
	for k, fs := range judged {
		if k.kind != person {
			continue
		}
		all := partnersOf(k, r.bearers[k])
		for d := range partnersOf(k, fs) {
			on := key{device, d}
			if judged[on] != nil {
				report(r.pairLinks(all[d], r.lineOf(k).crowd, r.lineOf(on).crowd), candidate{rule: rulePair, keys: []key{k, on}})
			}
		}
	}
	for d := range r.firing() {
		all := slices.SortedFunc(slices.Values(r.detectors[d]), compareAlerts)
		report(r.splitLinks(all), candidate{rule: ruleSplit})
	}
}
