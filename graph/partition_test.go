package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

func alertIn(id string, hour int, in graph.IncidentID) graph.Alert {
	return graph.Alert{
		ID: graph.NewID(graph.KindAlert, id), Incident: in,
		AlertContent: graph.AlertContent{FirstActivity: epoch.Add(time.Duration(hour) * time.Hour)},
	}
}

func TestHowIncidentIDsLive(t *testing.T) {
	worked := graph.Triage{AssignedTo: "ann"}
	a, b, c := func(i graph.IncidentID) graph.Alert { return alertIn("a", 1, i) }, func(i graph.IncidentID) graph.Alert { return alertIn("b", 2, i) }, func(i graph.IncidentID) graph.Alert { return alertIn("c", 3, i) }
	for name, x := range map[string]struct {
		parts   [][]graph.Alert
		current []graph.Incident
		want    string
	}{
		"a new one":                              {[][]graph.Alert{{a(0)}}, nil, "0+1"},
		"one that grows keeps its id":            {[][]graph.Alert{{a(7), b(0)}}, []graph.Incident{{ID: 7}}, "7+1"},
		"of two the one created first stays":     {[][]graph.Alert{{a(9), b(7)}}, []graph.Incident{{ID: 7}, {ID: 9}}, "7+1 9>7"},
		"unless only the other was worked on":    {[][]graph.Alert{{a(9), b(7)}}, []graph.Incident{{ID: 7}, {ID: 9, Triage: worked}}, "9+1 7>9"},
		"both worked on: the one created first":  {[][]graph.Alert{{a(9), b(7)}}, []graph.Incident{{ID: 7, Triage: worked}, {ID: 9, Triage: worked}}, "7+1 9>7"},
		"the part with the earliest alert keeps": {[][]graph.Alert{{b(7)}, {a(7), c(7)}}, []graph.Incident{{ID: 7}}, "7+0 0+1"},
		"new ones go by their earliest alert":    {[][]graph.Alert{{c(0)}, {b(0)}, {a(0)}}, nil, "0+1 0+1 0+1"},
		"its earliest alert, not its part's":     {[][]graph.Alert{{a(9), c(7)}, {b(7)}}, []graph.Incident{{ID: 7}, {ID: 9}}, "9+1 7+0"},
		"falling apart and joining at once":      {[][]graph.Alert{{a(7)}, {b(7), c(9)}}, []graph.Incident{{ID: 7}, {ID: 9}}, "7+0 9+1"},
	} {
		current := map[graph.IncidentID]graph.Incident{}
		for _, i := range x.current {
			current[i.ID] = i
		}
		var parts []graph.Part
		for _, p := range x.parts {
			parts = append(parts, graph.Part{Alerts: p})
		}
		got := ""
		for _, ch := range graph.AssignIncidents(parts, current) {
			if ch.RedirectTo != 0 {
				got += fmt.Sprintf(" %d>%d", ch.ID, ch.RedirectTo)
			} else {
				got += fmt.Sprintf(" %d+%d", ch.ID, len(ch.Alerts))
			}
		}
		if got[1:] != x.want {
			t.Errorf("%s: %s, want %s", name, got[1:], x.want)
		}
	}
}

// Whatever sequence of partitions is wanted, every alert is in the incident of its part, no id ever given
// is lost, and the order in which parts and alerts are listed does not matter.
func TestAssigningIsAFunctionOfTheSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 6
		in, redirect, next := [n]graph.IncidentID{}, map[graph.IncidentID]graph.IncidentID{}, graph.IncidentID(0)
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			wanted := map[int][]graph.Alert{}
			for i := range n {
				p := rapid.IntRange(0, 2).Draw(t, "part")
				wanted[p] = append(wanted[p], alertIn(fmt.Sprint(i), i%3, in[i]))
			}
			current := map[graph.IncidentID]graph.Incident{}
			for _, i := range in {
				current[i] = graph.Incident{ID: i}
			}
			var parts, shuffled []graph.Part
			for p := range 3 {
				if len(wanted[p]) > 0 {
					parts = append(parts, graph.Part{Alerts: wanted[p]})
					shuffled = append(shuffled, graph.Part{Alerts: rapid.Permutation(wanted[p]).Draw(t, "alerts")})
				}
			}
			changes := graph.AssignIncidents(parts, current)
			if again := graph.AssignIncidents(rapid.Permutation(shuffled).Draw(t, "parts"), current); !cmp.Equal(again, changes) {
				t.Fatalf("%v or %v", changes, again)
			}
			for _, c := range changes {
				if c.ID == 0 {
					next++
					c.ID = next
				}
				if c.RedirectTo != 0 {
					redirect[c.ID] = c.RedirectTo
				}
				for i := range n {
					if slices.Contains(c.Alerts, graph.NewID(graph.KindAlert, fmt.Sprint(i))) {
						in[i] = c.ID
					}
				}
			}
			for _, p := range parts {
				held := map[graph.IncidentID]bool{}
				for i := range n {
					if slices.ContainsFunc(p.Alerts, func(a graph.Alert) bool { return a.ID == graph.NewID(graph.KindAlert, fmt.Sprint(i)) }) {
						held[in[i]] = true
					}
				}
				if len(held) != 1 {
					t.Fatalf("one part lies in incidents %v", held)
				}
			}
			for id := graph.IncidentID(1); id <= next; id++ {
				live := id
				for redirect[live] != 0 {
					live = redirect[live]
				}
				if !slices.Contains(in[:], live) {
					t.Fatalf("incident %d leads to %d, which holds nothing", id, live)
				}
			}
		}
	})
}
