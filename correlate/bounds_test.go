package correlate

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// work is what decisions did, in sums of counts. keys are those borne by the alerts it knows, sightings the
// counterparts it counted, nodes those it holds, ids those it asked the reader for, bytes what it allocated.
type work struct{ keys, sightings, nodes, ids, bytes int }

// counting is a decider that decides as Correlator does and counts.
type counting struct{ work }

type countingReader struct {
	graph.Reader
	ids *int
}

func (r countingReader) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	*r.ids += len(q.IDs)
	return r.Reader.Entities(ctx, v, q)
}

func (r countingReader) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	*r.ids += len(q.IDs) + len(q.Entities)
	return r.Reader.Alerts(ctx, v, q)
}

func (c *counting) Decide(ctx context.Context, staged graph.Reader, v graph.View, delta graph.Delta) ([]graph.IncidentChange, error) {
	a := newArchive(newNodes(ctx, countingReader{staged, &c.ids}, v), DefaultSettings())
	before := allocated()
	r, err := newRegion(a, delta)
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
	parts := r.parts()
	c.bytes += allocated() - before
	c.keys, c.nodes = c.keys+len(a.bearers), c.nodes+len(a.byID)
	for _, l := range a.lines {
		if l.crowd != nil {
			c.sightings += l.people.size() + l.devices.size()
		}
	}
	return graph.AssignIncidents(parts, current), nil
}

func (c *counterparts) size() int {
	if c == nil {
		return 0
	}
	return len(c.seen)
}

func allocated() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.TotalAlloc)
}

// workOn counts the decisions on these alerts, each a commit an hour after the one before.
func workOn(t *testing.T, alerts int, about []said) work {
	m, c := graphtest.NewModel(graphtest.NewClock().Now), &counting{}
	for i := range alerts {
		var b graph.Batch
		alertAt(&b, fmt.Sprint(i), time.Duration(i)*time.Hour, about...)
		b.Decide = c
		if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d alerts of %d pieces of evidence: %+v", alerts, len(about), c.work)
	return c.work
}

// One alert that named n devices once cost n² of time and memory: each was a key, and each key copied all others.
func TestTheWorkOnOneAlertGrowsWithItsEvidenceAndNotWithItsSquare(t *testing.T) {
	for name, of := range map[string]func(string) said{"devices": dev, "people": user, "URLs": page, "people by name": byName} {
		t.Run(name, func(t *testing.T) {
			one, four := workOn(t, 2, crowdOf(2000, of)), workOn(t, 2, crowdOf(8000, of))
			if one.keys != four.keys || one.sightings != four.sightings {
				t.Errorf("what is held grows with the evidence: %+v, then %+v", one, four)
			}
			if four.keys > 2*DefaultSettings().MostArtifacts {
				t.Errorf("%d keys", four.keys)
			}
			if four.ids > 4*one.ids || four.nodes > 4*one.nodes || four.bytes > 6*one.bytes {
				t.Errorf("the work grows faster than the evidence: %+v, then %+v", one, four)
			}
		})
	}
}

// Alerts at the bound share all pairs of a person and a device; each pair once copied what all before it said.
func TestTheWorkOnAlertsAtTheBoundGrowsWithTheirPairs(t *testing.T) {
	few, many := workOn(t, 3, crowdOf(12, dev, crowdOf(12, user)...)), workOn(t, 3, crowdOf(48, dev, crowdOf(48, user)...))
	if many.keys != 3*96 || many.sightings > 17*few.sightings || many.bytes > 24*few.bytes {
		t.Errorf("4 times the parties, 16 times the pairs: %+v, then %+v", few, many)
	}
}

func byName(name string) said { return weak(graph.KeyAccountName, `contoso\`+name) }

// The property test's weeks are too few for the edges of windows: here they are the rule.
func TestCounterpartsAreCountedNearEachDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &crowd{Settings: Settings{Window: rapid.IntRange(0, 5).Draw(t, "window"), Burst: rapid.IntRange(0, 3).Draw(t, "burst")}}
		names := rapid.SampledFrom([]graph.ID{{1, 1}, {1, 2}, {1, 3}, {1, 4}})
		seen := map[graph.ID][]int64{}
		for range rapid.IntRange(0, 12).Draw(t, "alerts") {
			d, id := rapid.Int64Range(-8, 8).Draw(t, "day"), names.Draw(t, "device")
			seen[id] = append(seen[id], d)
			c.alerts = append(c.alerts, &features{start: time.Unix(d*86400+7, 0), devices: []graph.ID{id}})
		}
		own, counted := rapid.SliceOfDistinct(names, rapid.ID[graph.ID]).Draw(t, "own"), c.count(func(f *features) []graph.ID { return f.devices })
		for d := int64(-16); d <= 16; d++ {
			want := 0
			for id, days := range seen {
				near := slices.ContainsFunc(days, func(s int64) bool {
					apart := max(s-d, d-s)
					return apart > int64(c.Burst) && apart <= int64(c.Window)
				})
				if near && !slices.Contains(own, id) {
					want++
				}
			}
			if got := counted.others(d, own); got != want {
				t.Fatalf("%d near day %d, want %d", got, d, want)
			}
		}
	})
}

func TestFiringsCountUpToTheEdgesOfTheSpan(t *testing.T) {
	var all []*features
	for _, after := range []time.Duration{0, 1, time.Hour, 2 * time.Hour, 2*time.Hour + 1} {
		all = append(all, &features{start: graphtest.Epoch.Add(after)})
	}
	if n := DefaultSettings().firings(all, graphtest.Epoch.Add(time.Hour)); n != 4 {
		t.Errorf("%d, want the 4 within an hour before and after", n)
	}
}

func TestALinkNamesEachThingOnceHoweverManyPairsItRestsOn(t *testing.T) {
	x, y := &features{keys: map[key]bearing{}}, &features{keys: map[key]bearing{}}
	x.alert.ID = graph.NewID(graph.KindAlert, "x")
	m := mergedLinks{DefaultSettings(), map[linkKey]*scored{}}
	for i := range 100 {
		d, p := key{device, graph.ID{1, byte(i / 10)}}, key{person, graph.ID{2, byte(i % 10)}}
		for _, k := range []key{d, p} {
			x.keys[k] = bearing{via: []graph.ID{k.node}}
			y.keys[k] = x.keys[k]
		}
		m.add(candidate{rulePair, pair{point{of: x}, point{of: y}}, []key{p, d}})
	}
	for _, l := range m.all {
		if len(l.Entities) != 20 || len(l.Reasons) != 2 {
			t.Errorf("%d entities and reasons %v, want 20 and 2", len(l.Entities), l.Reasons)
		}
	}
}

func page(name string) said { return url("http://evil.example/" + name) }

func TestAnAlertBearsTheArtefactsWithTheSmallestIDs(t *testing.T) {
	var b graph.Batch
	alertAt(&b, "x", 0, crowdOf(150, page, dev("x"))...)
	got := DefaultSettings().tiesOf(b.Alerts[0])
	if got.crowd || len(got.ids) != 101 {
		t.Fatalf("%d ids, crowd is %v", len(got.ids), got.crowd)
	}
	smaller := 0
	for _, e := range b.Alerts[0].Evidence {
		if e.Entity.Kind() == graph.KindURL && e.Entity.Compare(got.ids[100]) <= 0 {
			smaller++
		}
	}
	if smaller != 100 {
		t.Errorf("the greatest URL that counts is the %dth", smaller)
	}
}

func TestUsersLoggedOnToADeviceAreNoCrowd(t *testing.T) {
	var b graph.Batch
	alertAt(&b, "x", 0, dev("x"))
	for i := range 60 {
		id := graph.EntityObservation{Keys: user(fmt.Sprint("member", i)).keys}.ID()
		b.Alerts[0].Evidence[0].Mentions = append(b.Alerts[0].Evidence[0].Mentions, id)
	}
	if DefaultSettings().tiesOf(b.Alerts[0]).crowd {
		t.Error("a crowd")
	}
	b.Alerts[0].Evidence[0].Type = "processEvidence"
	if !DefaultSettings().tiesOf(b.Alerts[0]).crowd {
		t.Error("no crowd, though a process is about them")
	}
}

func TestADetectionAboutACrowdIsNoHalfOfAnother(t *testing.T) {
	for about, linked := range map[int]bool{50: true, 51: false} {
		m, b := graphtest.NewModel(graphtest.NewClock().Now), graph.Batch{}
		x, y := alertAt(&b, "x", 0, crowdOf(about, dev)...), alertAt(&b, "y", time.Second, user("u"))
		b.Alerts[0].DetectorID, b.Alerts[1].DetectorID = "d", "d"
		apply(t, m, b)
		if got := incidentOf(t, m, x) == incidentOf(t, m, y); got != linked {
			t.Errorf("about %d devices: linked is %v", about, got)
		}
	}
}

func TestAnIncidentWithACrowdCountsNobody(t *testing.T) {
	m, b := graphtest.NewModel(graphtest.NewClock().Now), graph.Batch{}
	alertAt(&b, "x", 0, crowdOf(51, dev, hashed(`D:\`))...)
	alertAt(&b, "y", time.Hour, dev("x"), hashed(`D:\`))
	apply(t, m, b)
	page, err := m.Incidents(context.Background(), view, graph.IncidentQuery{})
	if err != nil || len(page.Items) != 1 || page.Items[0].DisplayName != "Suspicious activity incident affecting many users or devices" {
		t.Errorf("incidents %+v, error %v", page.Items, err)
	}
}

func TestASpanMayBeginAtTheZeroTime(t *testing.T) {
	zero, day := time.Time{}, 24*time.Hour
	at := func(from, to time.Duration) span { return span{zero.Add(from), zero.Add(to), true} }
	for _, c := range []struct {
		name      string
		got, want span
	}{
		{"joined to a later one", at(0, day).hull(at(day, 2*day)), at(0, 2*day)},
		{"joined to an earlier one", at(0, day).hull(at(-day, 0)), at(-day, day)},
		{"joined to the empty one", at(0, 0).hull(span{}), at(0, 0)},
		{"joined by the empty one", span{}.hull(at(0, 0)), at(0, 0)},
		{"reached from later", around(zero.Add(day), zero.Add(day), day), at(0, 2*day)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
		if !c.got.holds(c.want) || (span{}).holds(c.got) || !c.got.holds(span{}) {
			t.Errorf("%s: what it holds is wrong", c.name)
		}
	}
}
