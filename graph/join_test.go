package graph_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// An edge that is joined sighting by sighting, in any order, is the one that is joined of all at once.
func TestAnEdgeIsJoinedSightingBySighting(t *testing.T) {
	hidden, cut := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 6})
		all := make([]graph.Sighting, rapid.IntRange(1, 80).Draw(t, "sightings"))
		for i := range all {
			first := at.Draw(t, "first")
			s := graph.Sighting{
				Observation: graph.NewID(rapid.SampledFrom([]graph.Kind{graph.KindAlert, graph.KindObservation}).Draw(t, "kind"), string(rune('a'+i))),
				FirstSeen:   hour(first), LastSeen: hour(first + at.Draw(t, "span")), EndedAt: hour(at.Draw(t, "end")),
				Source: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "source"), Inferred: rapid.Bool().Draw(t, "inferred"),
			}
			all[i] = s
		}
		e, _ := graph.JoinDistinct(graph.EdgeAdminOf, graph.ID{1}, graph.ID{2}, all[:1], hour(0))
		for _, s := range all[1:] {
			before := slices.Clone(e.Alerts)
			next := e.Join(s)
			if !slices.Equal(before, e.Alerts) {
				t.Fatal("the edge that was joined is another")
			}
			e = next
		}
		want, _ := graph.JoinDistinct(graph.EdgeAdminOf, graph.ID{1}, graph.ID{2}, all, hour(0))
		if !reflect.DeepEqual(e, want) {
			t.Fatalf("one by one %+v, at once %+v", e, want)
		}
		if want.EndedAt.IsZero() && slices.ContainsFunc(all, func(s graph.Sighting) bool { return !s.EndedAt.IsZero() }) {
			hidden++
		}
		if len(want.Alerts) == graph.MaxEdgeAlerts {
			cut++
		}
	})
	if hidden == 0 || cut == 0 {
		t.Errorf("%d edges hid an end, %d had alerts cut", hidden, cut)
	}
}
