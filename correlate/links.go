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

// crowd knows, for one key, who else is named with it and when.
type crowd struct {
	Settings
	key    key
	days   map[int64]*parties
	around map[int64]*parties
}

// parties are what alerts name with a key.
type parties struct {
	people, devices map[graph.ID]bool
	system          bool
}

func newParties() *parties { return &parties{map[graph.ID]bool{}, map[graph.ID]bool{}, false} }

func (p *parties) addIDs(people, devices []graph.ID) {
	for _, id := range people {
		p.people[id] = true
	}
	for _, id := range devices {
		p.devices[id] = true
	}
}

func newCrowd(s Settings, k key, alerts []*features) *crowd {
	c := &crowd{s, k, map[int64]*parties{}, map[int64]*parties{}}
	for _, f := range alerts {
		d := day(f.start)
		if c.days[d] == nil {
			c.days[d] = newParties()
		}
		c.days[d].addIDs(f.people, f.devices)
		c.days[d].system = c.days[d].system || f.keys[k].system
	}
	return c
}

// near gathers the days in the window around a day, without those next to it. system holds for any day in
// the window: an operating system's file is one on the first day too.
func (c *crowd) near(d int64) *parties {
	if p, ok := c.around[d]; ok {
		return p
	}
	all := newParties()
	for at := d - int64(c.Window); at <= d+int64(c.Window); at++ {
		p := c.days[at]
		if p == nil {
			continue
		}
		all.system = all.system || p.system
		if at < d-int64(c.Burst) || at > d+int64(c.Burst) {
			merge(all.people, p.people)
			merge(all.devices, p.devices)
		}
	}
	delete(all.devices, c.key.node)
	c.around[d] = all
	return all
}

func merge(to, from map[graph.ID]bool) {
	for id := range from {
		to[id] = true
	}
}

// strangers counts those that the point's alert does not name itself. Of a person only the devices count: whom
// else an alert names is mostly whom the person attacked.
func (c *crowd) strangers(p point) int {
	near := c.near(day(p.at))
	devices := others(near.devices, p.of.devices)
	if c.key.kind == person {
		return devices
	}
	return max(devices, others(near.people, p.of.people))
}

func others(all map[graph.ID]bool, own []graph.ID) int {
	n := len(all)
	for _, id := range own {
		if all[id] {
			n--
		}
	}
	return n
}

func (c *crowd) most(p pair) int { return max(c.strangers(p.a), c.strangers(p.b)) }

// links reports whether the key links two neighbours.
func (c *crowd) links(p pair) bool {
	if c.key.kind == process {
		return p.gap() <= c.ArtifactGap // a process has no strangers
	}
	if c.key.kind == file && (c.near(day(p.a.at)).system || c.near(day(p.b.at)).system) {
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

// contradict reports whether both name parties, and no common one.
func contradict(a, b []graph.ID) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(id graph.ID) bool { return slices.Contains(b, id) })
}

// keyLinks are the links that the key makes among the alerts that bear it.
func (c *crowd) keyLinks(alerts []*features) []pair {
	return slices.DeleteFunc(neighbours(alerts, c.base(c.key.kind)), func(p pair) bool { return !c.links(p) })
}

// pairLinks are the links that one person on one device makes. alerts bear both; crowds are those of the
// person and of the device, or of one of them where the other's strangers are taken to be few.
func (s Settings) pairLinks(alerts []*features, crowds ...*crowd) []pair {
	return slices.DeleteFunc(neighbours(alerts, s.ArtifactGap), func(p pair) bool {
		crowded := slices.ContainsFunc(crowds, func(c *crowd) bool { return c.most(p) > s.Strangers })
		return crowded && p.gap() > s.AssetGap
	})
}

// splitLinks are the links that one detector makes among its alerts, which are in order of time.
func (s Settings) splitLinks(alerts []*features) []pair {
	var out []pair
	for i := 1; i < len(alerts); i++ {
		a, b := alerts[i-1], alerts[i]
		if b.start.Sub(a.start) > s.SplitGap || contradict(a.people, b.people) || contradict(a.devices, b.devices) {
			continue
		}
		if s.firings(alerts, a.start) <= s.SplitMost {
			out = append(out, pair{point{a.start, a, false}, point{b.start, b, false}})
		}
	}
	return out
}

// firings counts the alerts within SplitSpan of an instant.
func (s Settings) firings(alerts []*features, at time.Time) int {
	from, _ := slices.BinarySearchFunc(alerts, at.Add(-s.SplitSpan), func(f *features, t time.Time) int { return f.start.Compare(t) })
	n := 0
	for _, f := range alerts[from:] {
		if f.start.After(at.Add(s.SplitSpan)) {
			break
		}
		n++
	}
	return n
}
