package graph_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

const life = 10 * time.Hour

func hour(h int) time.Time {
	if h == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(h) * time.Hour)
}

func TestWhenAnEdgeCanBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		kind                     graph.EdgeKind
		first, last, end, arrive int // hours after the epoch; 0 is unknown
		want                     int // arrival; ignored when !ok
		ok                       bool
	}{
		"an event before it was last seen":              {graph.EdgeRan, 2, 5, 0, 4, 4, true},
		"an event at the instant it was last seen":      {graph.EdgeRan, 2, 5, 0, 5, 5, true},
		"an event in the gap between sightings":         {graph.EdgeRan, 2, 9, 0, 6, 6, true},
		"an event after it was last seen":               {graph.EdgeRan, 2, 5, 0, 6, 0, false},
		"an event that begins after arrival":            {graph.EdgeRan, 5, 6, 0, 2, 5, true},
		"an event of unknown time":                      {graph.EdgeRan, 0, 0, 0, 6, 6, true},
		"an event of unknown time that ended":           {graph.EdgeRan, 0, 0, 5, 6, 0, false},
		"an attacker who is there since ever":           {graph.EdgeRan, 2, 5, 0, 0, 2, true},
		"a state long after it was seen":                {graph.EdgeAdminOf, 2, 3, 0, 90, 90, true},
		"a state at its end":                            {graph.EdgeAdminOf, 2, 3, 5, 5, 5, true},
		"a state after its end":                         {graph.EdgeAdminOf, 2, 3, 5, 6, 0, false},
		"a credential while it lives on":                {graph.EdgeLoggedOn, 2, 3, 0, 13, 13, true},
		"a credential after its life":                   {graph.EdgeLoggedOn, 2, 3, 0, 14, 0, false},
		"a credential that was revoked within its life": {graph.EdgeLoggedOn, 2, 3, 5, 6, 0, false},
		"a credential whose end lies behind its life":   {graph.EdgeLoggedOn, 2, 3, 20, 14, 0, false},
		"a credential of unknown time":                  {graph.EdgeLoggedOn, 0, 0, 0, 50, 50, true},
		"a credential of unknown time that was revoked": {graph.EdgeLoggedOn, 0, 0, 5, 6, 0, false},
	} {
		e := graph.Edge{Kind: c.kind, FirstSeen: hour(c.first), LastSeen: hour(c.last), EndedAt: hour(c.end)}
		at, ok := e.Arrive(hour(c.arrive), life)
		if ok != c.ok || (ok && !at.Equal(hour(c.want))) {
			t.Errorf("%s: %v at %v, want %v at %v", name, ok, at, c.ok, hour(c.want))
		}
	}
}

// A later arrival never arrives earlier nor where an earlier one could not: what makes earliest labels enough.
func TestArrivingLaterNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := graph.EdgeKinds()
		s := drawSighting(t)
		e, _ := graph.EdgeQuery{}.Join(rows[rapid.IntRange(0, len(rows)-1).Draw(t, "kind")].Kind, graph.ID{1}, graph.ID{2}, []graph.Sighting{s})
		early, late := drawTime(t, "early"), drawTime(t, "late")
		if late.Before(early) {
			early, late = late, early
		}
		a, okA := e.Arrive(early, life)
		b, okB := e.Arrive(late, life)
		if okB && (!okA || b.Before(a)) {
			t.Fatalf("arriving at %v gives %v %v, at %v %v %v", early, a, okA, late, b, okB)
		}
		if okA && a.Before(early) {
			t.Fatalf("arrived at %v before leaving at %v", a, early)
		}
	})
}

func TestSightingsJoinToOneEdge(t *testing.T) {
	alert := graph.NewID(graph.KindAlert, "a")
	see := func(obs graph.ID, first, last, end int, inferred bool) graph.Sighting {
		return graph.Sighting{Observation: obs, FirstSeen: hour(first), LastSeen: hour(last), EndedAt: hour(end), Source: "s", Inferred: inferred}
	}
	other := graph.NewID(graph.KindObservation, "o")
	for name, c := range map[string]struct {
		in          []graph.Sighting
		asOf        int
		count       int
		first, last int
		end         int
		inferred    bool
	}{
		"one":                                  {[]graph.Sighting{see(alert, 1, 2, 0, true)}, 0, 1, 1, 2, 0, true},
		"the same key twice counts once":       {[]graph.Sighting{see(alert, 1, 2, 0, true), see(alert, 2, 3, 0, true)}, 0, 1, 1, 3, 0, true},
		"two keys":                             {[]graph.Sighting{see(alert, 1, 2, 0, true), see(other, 3, 4, 0, false)}, 0, 2, 1, 4, 0, false},
		"an end":                               {[]graph.Sighting{see(alert, 1, 2, 3, false)}, 0, 1, 1, 2, 3, false},
		"seen again after the end":             {[]graph.Sighting{see(alert, 1, 2, 3, false), see(other, 4, 5, 0, false)}, 0, 2, 1, 5, 0, false},
		"as of before the second":              {[]graph.Sighting{see(alert, 1, 2, 3, false), see(other, 4, 5, 0, false)}, 3, 1, 1, 2, 3, false},
		"as of before the end":                 {[]graph.Sighting{see(alert, 1, 2, 9, false)}, 3, 1, 1, 2, 0, false},
		"as of within hides what came later":   {[]graph.Sighting{see(alert, 1, 9, 0, false)}, 3, 1, 1, 3, 0, false},
		"as of between two sayings of one key": {[]graph.Sighting{see(alert, 1, 1, 0, false), see(alert, 5, 5, 0, false)}, 3, 1, 1, 3, 0, false},
		"as of before everything":              {[]graph.Sighting{see(alert, 2, 3, 0, false)}, 1, 0, 0, 0, 0, true},
	} {
		e, ok := graph.EdgeQuery{AsOf: hour(c.asOf)}.Join(graph.EdgeAdminOf, graph.ID{1}, graph.ID{2}, c.in)
		if ok != (c.count > 0) || e.Count != c.count || e.Inferred != c.inferred || !e.FirstSeen.Equal(hour(c.first)) || !e.LastSeen.Equal(hour(c.last)) || !e.EndedAt.Equal(hour(c.end)) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestAQueryForSightingsGivesTheDistinctOnesWhateverItHides(t *testing.T) {
	keys := []graph.ID{graph.NewID(graph.KindObservation, "1"), graph.NewID(graph.KindObservation, "2"), graph.NewID(graph.KindAlert, "3")}
	slices.SortFunc(keys, graph.ID.Compare)
	see := func(key, first, last int) graph.Sighting {
		return graph.Sighting{Observation: keys[key], FirstSeen: hour(first), LastSeen: hour(last)}
	}
	given := []graph.Sighting{see(2, 4, 4), see(0, 3, 5), see(1, 2, 2), see(0, 1, 4)}
	before := slices.Clone(given)
	for _, asks := range []bool{false, true} {
		e, ok := graph.EdgeQuery{AsOf: hour(2), Sightings: asks}.Join(graph.EdgeAdminOf, graph.ID{1}, graph.ID{2}, given)
		if !ok || e.Count != 2 || !e.LastSeen.Equal(hour(2)) {
			t.Errorf("as of the second hour: %+v", e)
		}
		var want []graph.Sighting
		if asks {
			want = []graph.Sighting{see(0, 1, 5), see(1, 2, 2), see(2, 4, 4)}
		}
		if !slices.Equal(e.Sightings, want) {
			t.Errorf("asked for them: %t, sightings %+v, want %+v", asks, e.Sightings, want)
		}
	}
	if !slices.Equal(given, before) {
		t.Error("what was given is another")
	}
}

func TestEveryEdgeKindHasOneRow(t *testing.T) {
	for k := graph.EdgeKind(1); k <= graph.EdgeSignedInTo; k++ {
		if back, ok := graph.ParseEdgeKind(k.String()); !ok || back != k || k.Tense() == 0 {
			t.Errorf("kind %d: %q", k, k)
		}
	}
}
