package correlate

import (
	"cmp"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// archive holds the alerts that one decision has read, each once, and knows for which spans of time it has all
// alerts of a key or detector.
type archive struct {
	*nodes
	Settings
	known     map[graph.ID]*features
	bearers   map[key][]*features
	detectors map[string][]*features
	covered   map[key]span
	heard     map[string]span
	lines     map[key]*line
}

// line is what one key makes of the alerts that are known to bear it; crowd only of a person or device.
type line struct {
	*crowd
	alerts int
	made   []pair
}

// lineOf works the links of a key out anew only where alerts were added.
func (a *archive) lineOf(k key) *line {
	l, all := a.lines[k], a.bearers[k]
	if l == nil || l.alerts != len(all) {
		c := newCrowd(a.Settings, k, all)
		l = &line{alerts: len(all), made: c.keyLinks()}
		if k.kind == person || k.kind == device {
			l.crowd = c
		}
		a.lines[k] = l
	}
	return l
}

func newArchive(n *nodes, s Settings) *archive {
	return &archive{n, s, map[graph.ID]*features{}, map[key][]*features{}, map[string][]*features{}, map[key]span{},
		map[string]span{}, map[key]*line{}}
}

// span is a closed span of time; the zero one is empty. Any instant may be an end, also the zero time.Time.
type span struct {
	from, to time.Time
	some     bool
}

// around is the span that reaches some time beyond both instants.
func around(from, to time.Time, reach time.Duration) span {
	return span{from.Add(-reach), to.Add(reach), true}
}

func (s span) hull(o span) span {
	switch {
	case !s.some:
		return o
	case !o.some:
		return s
	}
	if o.from.Before(s.from) {
		s.from = o.from
	}
	if o.to.After(s.to) {
		s.to = o.to
	}
	return s
}

func (s span) holds(o span) bool {
	return !o.some || s.some && !o.from.Before(s.from) && !o.to.After(s.to)
}

func (s span) window() graph.Window { return graph.Window{From: s.from, Before: s.to.Add(1)} }

// each reads all pages of a query, the commit's own alerts too: those have provisional ticks. visit may change what
// it is given.
func (a *archive) each(q graph.AlertQuery, visit func([]graph.Alert) error) error {
	q.Order = graph.OldestCreated
	for {
		page, err := a.reader.Alerts(a.ctx, a.view, q)
		if err != nil {
			return err
		}
		if n := len(page.Items); n > 0 {
			q.After = page.Items[n-1].Created
		}
		if err := visit(page.Items); err != nil || !page.More || len(page.Items) == 0 {
			return err
		}
	}
}

// read reads all pages of a query and returns the features.
func (a *archive) read(q graph.AlertQuery) (out []*features, err error) {
	err = a.each(q, func(page []graph.Alert) error {
		fs, err := a.note(page)
		out = append(out, fs...)
		return err
	})
	return out, err
}

// readIDs reads alerts by id.
func (a *archive) readIDs(ids []graph.ID) (out []*features, err error) {
	for chunk := range slices.Chunk(ids, graph.MaxPage) {
		page, err := a.reader.Alerts(a.ctx, a.view, graph.AlertQuery{IDs: chunk})
		if err != nil {
			return nil, err
		}
		fs, err := a.note(page.Items)
		if err != nil {
			return nil, err
		}
		out = append(out, fs...)
	}
	return out, nil
}

// note keeps alerts under their keys. An alert without valid times has no place among them.
func (a *archive) note(alerts []graph.Alert) ([]*features, error) {
	fresh := slices.DeleteFunc(slices.Clone(alerts), func(x graph.Alert) bool { return a.known[x.ID] != nil })
	if err := a.loadFor(fresh, a.Settings); err != nil {
		return nil, err
	}
	for _, x := range fresh {
		f := a.featuresOf(x, a.Settings)
		a.known[x.ID] = f
		if f.start.IsZero() {
			continue
		}
		for k := range f.keys {
			a.bearers[k] = append(a.bearers[k], f)
		}
		a.detectors[f.detector] = append(a.detectors[f.detector], f)
	}
	out := make([]*features, 0, len(alerts))
	for _, x := range alerts {
		out = append(out, a.known[x.ID])
	}
	return out, nil
}

// cover reads what is missing of the keys' spans: one query for all keys whose spans meet.
func (a *archive) cover(needs map[key]span) error {
	var missing []key
	for k, need := range needs {
		if !a.covered[k].holds(need) {
			missing = append(missing, k)
			a.covered[k] = a.covered[k].hull(need)
		}
	}
	if err := a.nameAll(missing, a.viaOf(missing)); err != nil {
		return err
	}
	slices.SortFunc(missing, func(x, y key) int {
		return cmp.Or(a.covered[x].from.Compare(a.covered[y].from), x.compare(y))
	})
	for len(missing) > 0 {
		n, whole := 1, a.covered[missing[0]]
		for n < len(missing) && !a.covered[missing[n]].from.After(whole.to) {
			whole = whole.hull(a.covered[missing[n]])
			n++
		}
		if err := a.readKeys(missing[:n], whole); err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

func (a *archive) readKeys(keys []key, whole span) error {
	var ids []graph.ID
	for _, k := range keys {
		a.covered[k] = whole
		ids = append(ids, a.named[k]...)
	}
	slices.SortFunc(ids, graph.ID.Compare)
	_, err := a.read(graph.AlertQuery{Entities: slices.Compact(ids), Activity: whole.window()})
	return err
}

// viaOf are nodes by which known alerts name the keys.
func (a *archive) viaOf(keys []key) map[key][]graph.ID {
	out := map[key][]graph.ID{}
	for _, k := range keys {
		for _, f := range a.bearers[k] {
			out[k] = append(out[k], f.keys[k].via...)
		}
		slices.SortFunc(out[k], graph.ID.Compare)
		out[k] = slices.Compact(out[k])
	}
	return out
}

// hear reads what is missing of the detectors' spans. A Reader has no index by detector, so one query reads
// all alerts of the time and keeps those wanted.
func (a *archive) hear(needs map[string]span) error {
	var whole span
	missing := map[string]bool{}
	for d, need := range needs {
		if !a.heard[d].holds(need) {
			whole, missing[d] = whole.hull(a.heard[d].hull(need)), true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for d := range missing {
		a.heard[d] = whole
	}
	return a.each(graph.AlertQuery{Activity: whole.window()}, func(page []graph.Alert) error {
		_, err := a.note(slices.DeleteFunc(page, func(x graph.Alert) bool { return !missing[detectorOf(x)] }))
		return err
	})
}
