package correlate

import (
	"cmp"
	"slices"

	"github.com/clew-security/clew/graph"
)

// crowd knows, for one key, who else is named with it and when. It refers to the alerts and counts only when
// asked: most keys tie no two alerts that are close enough for it to matter.
type crowd struct {
	Settings
	key             key
	alerts          []*features
	people, devices *counterparts
	system          *[]int64
}

func newCrowd(s Settings, k key, alerts []*features) *crowd {
	return &crowd{Settings: s, key: k, alerts: alerts}
}

// strangers counts those that the point's alert does not name itself. Of a person only the devices count: whom
// else an alert names is mostly whom the person attacked.
func (c *crowd) strangers(p point) int {
	if c.devices == nil {
		c.devices = c.count(func(f *features) []graph.ID { return f.devices })
	}
	devices := c.devices.others(day(p.at), p.of.devices)
	if c.key.kind == person {
		return devices
	}
	if c.people == nil {
		c.people = c.count(func(f *features) []graph.ID { return f.people })
	}
	return max(devices, c.people.others(day(p.at), p.of.people))
}

func (c *crowd) most(p pair) int { return max(c.strangers(p.a), c.strangers(p.b)) }

// isSystem reports whether the file was in a system folder on any day in the window: an operating system's file
// is one on the first day too.
func (c *crowd) isSystem(p point) bool {
	if c.system == nil {
		days := []int64{}
		for _, f := range c.alerts {
			if f.keys[c.key].system {
				days = append(days, day(f.start))
			}
		}
		slices.Sort(days)
		c.system = &days
	}
	d := day(p.at)
	i, _ := slices.BinarySearch(*c.system, d-int64(c.Window))
	return i < len(*c.system) && (*c.system)[i] <= d+int64(c.Window)
}

// sighting is a counterpart on a day.
type sighting struct {
	of  graph.ID
	day int64
}

func (s sighting) compare(o sighting) int {
	return cmp.Or(s.of.Compare(o.of), cmp.Compare(s.day, o.day))
}

// counterparts are the people or the devices that alerts name with a key. steps say how many there are near
// each day, so that no day needs a set of its own.
type counterparts struct {
	window, burst int64
	seen          []sighting // in order, each once
	steps         []step     // in order of day
}

// step is the number of counterparts from a day on, until the next step.
type step struct {
	day int64
	n   int
}

// count counts each counterpart but the key itself.
func (c *crowd) count(of func(*features) []graph.ID) *counterparts {
	out := &counterparts{window: int64(c.Window), burst: int64(c.Burst)}
	for _, f := range c.alerts {
		for _, id := range of(f) {
			if id != c.key.node {
				out.seen = append(out.seen, sighting{id, day(f.start)})
			}
		}
	}
	slices.SortFunc(out.seen, sighting.compare)
	out.seen = slices.Compact(out.seen)
	for rest := out.seen; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].of == rest[0].of {
			n++
		}
		out.addNear(rest[:n])
		rest = rest[n:]
	}
	out.sum()
	return out
}

// addNear adds the days that one counterpart's sightings are near to, as a step up and a step down for each
// unbroken run of days. What each sighting adds is equally long, so that in order of start it is in order of end.
func (c *counterparts) addNear(sightings []sighting) {
	var runs [][2]int64
	for _, s := range sightings {
		if c.burst < c.window {
			runs = append(runs, [2]int64{s.day - c.window, s.day - c.burst}, [2]int64{s.day + c.burst + 1, s.day + c.window + 1})
		}
	}
	slices.SortFunc(runs, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	for i := 0; i < len(runs); {
		from, until := runs[i][0], runs[i][1]
		for i++; i < len(runs) && runs[i][0] <= until; i++ {
			until = runs[i][1]
		}
		c.steps = append(c.steps, step{from, 1}, step{until, -1})
	}
}

// sum turns changes into numbers, one step a day.
func (c *counterparts) sum() {
	slices.SortFunc(c.steps, func(a, b step) int { return cmp.Compare(a.day, b.day) })
	n, out := 0, c.steps[:0]
	for i, s := range c.steps {
		n += s.n
		if i+1 == len(c.steps) || c.steps[i+1].day != s.day {
			out = append(out, step{s.day, n})
		}
	}
	c.steps = out
}

// others counts the counterparts near a day that are not among own, in which each is once.
func (c *counterparts) others(d int64, own []graph.ID) int {
	i, exact := slices.BinarySearchFunc(c.steps, d, func(s step, d int64) int { return cmp.Compare(s.day, d) })
	if !exact {
		i--
	}
	if i < 0 || c.steps[i].n == 0 {
		return 0
	}
	n := c.steps[i].n
	for _, id := range own {
		if c.seenIn(id, d-c.window, d-c.burst-1) || c.seenIn(id, d+c.burst+1, d+c.window) {
			n--
		}
	}
	return n
}

// seenIn reports whether the counterpart was seen in a closed span of days.
func (c *counterparts) seenIn(id graph.ID, from, to int64) bool {
	i, _ := slices.BinarySearchFunc(c.seen, sighting{id, from}, sighting.compare)
	return i < len(c.seen) && c.seen[i].of == id && c.seen[i].day <= to
}
