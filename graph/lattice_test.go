package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func drawTime(t *rapid.T, label string) time.Time {
	h := rapid.IntRange(-1, 4).Draw(t, label)
	if h < 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(h) * time.Hour)
}

func drawFacts(t *rapid.T) graph.Facts { return drawObservation(t).Facts() }

func drawObservation(t *rapid.T) graph.EntityObservation {
	o := graph.EntityObservation{ObservedAt: drawTime(t, "at"), Source: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "source"), Properties: map[string]json.RawMessage{}}
	for _, typ := range []graph.KeyType{graph.KeyMdeDeviceID, graph.KeyDNSName, graph.KeyHostName} {
		for range rapid.IntRange(0, 2).Draw(t, "keys") {
			o.Keys = append(o.Keys, graph.Key{Kind: graph.KindDevice, Type: typ, Value: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "v")})
		}
	}
	for _, name := range []string{"p", "q"} {
		o.Properties[name] = json.RawMessage(rapid.SampledFrom([]string{"1", "2", " 1 ", "null", `""`, "{", "[]"}).Draw(t, name))
	}
	return o
}

func drawSighting(t *rapid.T) graph.Sighting {
	return graph.EdgeObservation{
		FirstSeen: drawTime(t, "first"), LastSeen: drawTime(t, "last"), EndedAt: drawTime(t, "end"),
		Source: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "source"), Inferred: rapid.Bool().Draw(t, "inferred"),
		Observation: graph.NewID(graph.KindObservation, "1"),
	}.Sighting()
}

// lattice asserts what makes merging independent of order, grouping and repetition.
func lattice[V any](t *testing.T, draw func(*rapid.T) V, merge func(a, b V) V) {
	same := func(t *rapid.T, law string, a, b V) {
		if d := cmp.Diff(a, b, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("merging is not %s:\n%s", law, d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw(t), draw(t), draw(t)
		same(t, "commutative", merge(a, b), merge(b, a))
		same(t, "associative", merge(merge(a, b), c), merge(a, merge(b, c)))
		same(t, "idempotent", merge(merge(a, b), b), merge(a, b))
	})
}

func TestFactsMergeInAnyOrder(t *testing.T) { lattice(t, drawFacts, graph.Facts.Merge) }

func TestObservingIsMergingAndLeavesWhatWasKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known, o := drawFacts(t).Merge(drawFacts(t)), drawObservation(t)
		before, want := known, known.Merge(o.Facts())
		before.Properties = maps.Clone(known.Properties)
		got, changed := known.Observe(o)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("observing gives something else than merging:\n%s", d)
		}
		if changed == cmp.Equal(got, known, cmpopts.EquateEmpty()) {
			t.Fatalf("changed is %v", changed)
		}
		if d := cmp.Diff(before, known, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("what was known has changed:\n%s", d)
		}
	})
}

func TestSightingsMergeInAnyOrder(t *testing.T) { lattice(t, drawSighting, graph.Sighting.Merge) }

func TestALaterPropertyWins(t *testing.T) {
	at := func(h int, v string) graph.Facts {
		return graph.EntityObservation{
			Keys:       []graph.Key{{Kind: graph.KindDevice, Type: graph.KeyHostName, Value: "x"}},
			ObservedAt: epoch.Add(time.Duration(h) * time.Hour), Properties: map[string]json.RawMessage{"p": json.RawMessage(v)},
		}.Facts()
	}
	for name, c := range map[string]struct {
		a, b graph.Facts
		want string
	}{
		"the later one":           {at(1, "9"), at(2, "1"), "1"},
		"ties by value":           {at(1, "1"), at(1, "2"), "2"},
		"nothing said is not set": {at(1, "1"), at(2, "null"), "1"},
	} {
		if got := string(c.a.Merge(c.b).Properties["p"].Value); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTheNewerVersionOfAnAlertWinsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(i int) graph.AlertContent {
			return graph.AlertContent{Title: rapid.SampledFrom([]string{"a", "b"}).Draw(t, fmt.Sprint("title", i)), SourceUpdated: drawTime(t, "updated")}
		}
		versions := []graph.AlertContent{draw(0), draw(1), draw(2)}
		last := func(in []graph.AlertContent) graph.AlertContent {
			kept := in[0]
			for _, v := range in[1:] {
				if v.Newer(kept) {
					kept = v
				}
			}
			return kept
		}
		one, two := last(versions), last(rapid.Permutation(versions).Draw(t, "order"))
		if !one.SameAs(two) {
			t.Fatalf("kept %+v or %+v", one, two)
		}
	})
}

func TestAPersonsWordHolds(t *testing.T) {
	a := graph.Alert{AlertContent: graph.AlertContent{Reported: graph.Triage{Status: graph.StatusNew, Determination: "malware"}}}
	a.Analyst.Status = graph.StatusResolved
	if got := a.Triage(); got != (graph.Triage{Status: graph.StatusResolved, Determination: "malware"}) {
		t.Errorf("holds %+v", got)
	}
}
