package graphtest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

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
		for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
			clock.Move(time.Duration(rapid.IntRange(-60, 60).Draw(t, "skew")) * time.Minute)
			if want, got := apply(t, model, b), apply(t, s, b); want != got {
				t.Fatalf("receipt is %+v, want %+v", got, want)
			}
			compare(t, model, s)
		}
		compareQueries(t, model, s)
	})
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
	if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
		t.Fatalf("%s differs from the model (-want +got):\n%s", question, cmp.Diff(want, got))
	}
}

func edges(t TB, s graph.Store, q graph.EdgeQuery) []graph.Edge {
	t.Helper()
	seen := map[string]bool{}
	var out []graph.Edge
	for e, err := range s.Edges(context.Background(), view, q) {
		if err != nil {
			t.Fatalf("edges: %v", err)
		}
		// An edge between two of the nodes asked for may come twice.
		if k := fmt.Sprint(e.From, e.Kind, e.To); !seen[k] {
			seen[k], out = true, append(out, e)
		}
	}
	if q.Nodes != nil {
		sortEdges(out)
	}
	return out
}

// compareQueries asks both a few drawn questions of each kind.
func compareQueries(t *rapid.T, model, s graph.Store) {
	ids := []graph.ID{{}, graph.NewID(graph.KindDevice, "nobody")}
	for _, e := range must(model.Entities(context.Background(), view, graph.EntityQuery{}))(t) {
		ids = append(append(ids, e.ID), e.Members...)
	}
	for _, k := range allKeys() {
		keys := []graph.Key{k}
		same(t, "lookup of "+k.String(), must(model.Lookup(context.Background(), view, keys))(t), must(s.Lookup(context.Background(), view, keys))(t))
	}
	for range 5 {
		some := rapid.SliceOfN(rapid.SampledFrom(ids), 1, 3).Draw(t, "ids")
		q := graph.EntityQuery{IDs: some}
		same(t, fmt.Sprint(q), must(model.Entities(context.Background(), view, q))(t), must(s.Entities(context.Background(), view, q))(t))
		eq := graph.EdgeQuery{Nodes: some, AsOf: drawTime(t), Direction: graph.Direction(rapid.IntRange(0, 3).Draw(t, "direction"))}
		same(t, fmt.Sprint(eq), edges(t, model, eq), edges(t, s, eq))
		aq := drawAlertQuery(t, some)
		same(t, fmt.Sprint(aq), must(model.Alerts(context.Background(), view, aq))(t), must(s.Alerts(context.Background(), view, aq))(t))
		iq := graph.IncidentQuery{Paging: drawPaging(t), Severities: drawSome(t, graph.Severities()), Activity: drawWindow(t)}
		same(t, fmt.Sprint(iq), must(model.Incidents(context.Background(), view, iq))(t), must(s.Incidents(context.Background(), view, iq))(t))
	}
}

func drawAlertQuery(t *rapid.T, nodes []graph.ID) graph.AlertQuery {
	q := graph.AlertQuery{Paging: drawPaging(t), Severities: drawSome(t, graph.Severities()), Activity: drawWindow(t)}
	switch rapid.IntRange(0, 2).Draw(t, "by") {
	case 1:
		q.Entities = nodes
	case 2:
		q.Incidents = rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 5), func(i int) graph.IncidentID { return graph.IncidentID(i) }), 1, 2).Draw(t, "incidents")
	}
	return q
}

func drawPaging(t *rapid.T) graph.Paging {
	return graph.Paging{
		Order: graph.TickOrder(rapid.IntRange(0, 3).Draw(t, "order")), Limit: rapid.IntRange(0, 3).Draw(t, "limit"),
		Count: rapid.Bool().Draw(t, "count"),
	}
}

func drawWindow(t *rapid.T) graph.Window {
	return graph.Window{From: drawTime(t), Before: drawTime(t)}
}

func drawSome[V any](t *rapid.T, of []V) []V {
	if rapid.Bool().Draw(t, "all") {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(of), 1, 2).Draw(t, "some")
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
