package graphtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// content is what the digest hashes, for showing a difference.
func content(t TB, s graph.Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := graph.WriteContent(context.Background(), s, view, &b); err != nil {
		t.Fatalf("reading content: %v", err)
	}
	return b.String()
}

func checkModel(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
		defer s.Close()
		drawHistory(t, model, clock, func(b graph.Batch) {
			applyBoth(t, model, s, b)
			compare(t, model, s)
		})
		compareQueries(t, model, s)
	})
}

// applyBoth writes to both, which must give one receipt and tell the decider the same.
func applyBoth(t TB, model, s graph.Store, b graph.Batch) {
	t.Helper()
	var want, got []string
	inner := b.Decide
	if inner != nil {
		b.Decide = asking{inner, stagedAnswers(t, b), &want}
	}
	w := apply(t, model, b)
	if inner != nil {
		b.Decide = asking{inner, stagedAnswers(t, b), &got}
	}
	if g := apply(t, s, b); w != g {
		t.Fatalf("receipt is %+v, want %+v", g, w)
	}
	for _, answer := range want { // a store may ask the decider where the model does not
		if !slices.Contains(got, answer) {
			t.Fatalf("a decider reads\n%s\nwant\n%s", strings.Join(got, "\n"), answer)
		}
	}
}

// compare holds everything readable without choice against the model: revisions and ticks too.
func compare(t TB, model, s graph.Store) {
	t.Helper()
	for _, read := range []func(graph.Store) any{
		func(s graph.Store) any { return must(s.Position(context.Background(), view))(t) },
		func(s graph.Store) any {
			return must(s.Entities(context.Background(), view, graph.EntityQuery{}))(t)
		},
		func(s graph.Store) any { return edges(t, s, graph.EdgeQuery{}) },
		func(s graph.Store) any {
			return must(s.Alerts(context.Background(), view, graph.AlertQuery{Paging: graph.Paging{Count: true}}))(t)
		},
		func(s graph.Store) any {
			q := graph.IncidentQuery{WithContentVersion: true, Paging: graph.Paging{Order: graph.OldestUpdated, Count: true}}
			return must(s.Incidents(context.Background(), view, q))(t)
		},
		func(s graph.Store) any {
			q := graph.IncidentQuery{Statuses: []graph.Status{graph.StatusRedirected}}
			return must(s.Incidents(context.Background(), view, q))(t)
		},
	} {
		same(t, "", read(model), read(s))
	}
}

// same compares by text: nil and empty lists are one.
func same(t TB, question string, want, got any) {
	t.Helper()
	if w, g := text(want), text(got); w != g {
		t.Fatalf("%s differs (-want +got):\n%s", question, cmp.Diff(want, got))
	}
}

func edges(t TB, s graph.Store, q graph.EdgeQuery) []graph.Edge {
	t.Helper()
	return must(edgesOnce(context.Background(), s, view, q))(t)
}

func allKeys() []graph.Key {
	var out []graph.Key
	for _, kind := range drawnKinds {
		for _, r := range keyUniverse[kind] {
			for _, v := range r.values {
				if k, ok := graph.NewKey(kind, r.typ, v); ok {
					out = append(out, k)
				}
			}
		}
	}
	return out
}
