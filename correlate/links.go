package correlate

import (
	"cmp"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// point is one instant of an alert.
type point struct {
	at  time.Time
	of  *features
	end bool
}

// pair is two points that stand next to each other, the earlier first.
type pair struct{ a, b point }

func (p pair) gap() time.Duration { return p.b.at.Sub(p.a.at) }

func compareAlerts(a, b *features) int {
	return cmp.Or(a.start.Compare(b.start), a.alert.ID.Compare(b.alert.ID))
}

func comparePoints(a, b point) int {
	return cmp.Or(a.at.Compare(b.at), a.of.alert.ID.Compare(b.of.alert.ID))
}

// neighbours lists the consecutive points of different alerts that are at most most apart.
func neighbours(alerts []*features, most time.Duration) []pair {
	var points []point
	for _, f := range alerts {
		points = append(points, point{f.start, f, false})
		if !f.end.Equal(f.start) {
			points = append(points, point{f.end, f, true})
		}
	}
	slices.SortFunc(points, comparePoints)
	var out []pair
	for i := 1; i < len(points); i++ {
		if p := (pair{points[i-1], points[i]}); p.a.of != p.b.of && p.gap() <= most {
			out = append(out, p)
		}
	}
	return out
}

// day is the number of the UTC day.
func day(t time.Time) int64 { return (t.Unix() - mod(t.Unix(), 86400)) / 86400 }

func mod(a, b int64) int64 { return (a%b + b) % b }

// links reports whether the key links two neighbours.
func (c *crowd) links(p pair) bool {
	if c.key.kind == process {
		return p.gap() <= c.ArtifactGap // a process has no strangers
	}
	if c.key.kind == file && (c.isSystem(p.a) || c.isSystem(p.b)) {
		return false
	}
	s, base := c.most(p), c.base(c.key.kind)
	if s <= c.Strangers {
		return p.gap() <= base
	}
	if c.key.kind == device && contradict(p.a.of.people, p.b.of.people) {
		return false
	}
	return p.gap() <= min(base, c.HubGap/time.Duration(s))
}

// contradict reports whether both name parties, and no common one. Both are in order.
func contradict(a, b []graph.ID) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(id graph.ID) bool {
		_, common := slices.BinarySearchFunc(b, id, graph.ID.Compare)
		return common
	})
}

// keyLinks are the links that the key makes among the alerts that bear it.
func (c *crowd) keyLinks() []pair {
	return slices.DeleteFunc(neighbours(c.alerts, c.base(c.key.kind)), func(p pair) bool { return !c.links(p) })
}

// pairLinks are the links that one person on one device makes. alerts bear both; crowds are those of the
// person and of the device, or of one of them where the other's strangers are taken to be few.
func (s Settings) pairLinks(alerts []*features, crowds ...*crowd) []pair {
	return slices.DeleteFunc(neighbours(alerts, s.ArtifactGap), func(p pair) bool {
		crowded := slices.ContainsFunc(crowds, func(c *crowd) bool { return c.most(p) > s.Strangers })
		return crowded && p.gap() > s.AssetGap
	})
}

// splitLinks are the links that one detector makes among its alerts, which are in order of time. An
// alert about a crowd names parties that are not kept, so that no contradiction can be seen: it is linked to none.
func (s Settings) splitLinks(alerts []*features) []pair {
	var out []pair
	for i := 1; i < len(alerts); i++ {
		a, b := alerts[i-1], alerts[i]
		if b.start.Sub(a.start) > s.SplitGap || a.crowd || b.crowd || contradict(a.people, b.people) || contradict(a.devices, b.devices) {
			continue
		}
		if s.firings(alerts, a.start) <= s.SplitMost {
			out = append(out, pair{point{a.start, a, false}, point{b.start, b, false}})
		}
	}
	return out
}

// firings counts the alerts, which are in order of time, within SplitSpan of an instant.
func (s Settings) firings(alerts []*features, at time.Time) int {
	byStart := func(f *features, t time.Time) int { return f.start.Compare(t) }
	from, _ := slices.BinarySearchFunc(alerts, at.Add(-s.SplitSpan), byStart)
	to, _ := slices.BinarySearchFunc(alerts, at.Add(s.SplitSpan+1), byStart)
	return to - from
}
