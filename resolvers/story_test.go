package resolvers_test

import (
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/story"
)

var here = graph.View{Tenant: graphtest.Tenant}

func TestTheAttackStoryIsThatOfPackageStory(t *testing.T) {
	p := newPhishing(t)
	told, err := story.Build(t.Context(), p.store, here, 1, story.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const fields = `number tactic verb sentence verdict status inferred actor {id kind name entity {id}} target {id kind name entity {id}}`
	a := ask(t, handler(p.store), `{attackStory(incident: "1") {`+fields+`} incident(id: "1") {attackStory {steps {`+fields+`} entry {step {number} why}}}}`)
	for i, s := range told.Steps {
		for _, path := range [][]any{{"attackStory", i}, {"incident", "attackStory", "steps", i}} {
			field := func(name string) any { return a.at(t, append(path, name)...) }
			if field("number") != float64(s.Number) || field("sentence") != s.Sentence || text(field("tactic")) != s.Tactic || text(field("verb")) != s.Verb ||
				text(field("verdict")) != s.Verdict || field("status") != s.Status || field("inferred") != s.Inferred {
				t.Errorf("step %d: %v, told %+v", i, a.at(t, path...), s)
			}
			sameParty(t, field("actor"), s.Actor)
			sameParty(t, field("target"), s.Target)
		}
	}
	if len(told.Steps) == 0 || len(told.Steps) != len(a.at(t, "attackStory").([]any)) {
		t.Errorf("%d steps told, %s", len(told.Steps), a.body)
	}
	entry := a.at(t, "incident", "attackStory", "entry")
	if (entry == nil) != (told.Entry == nil) {
		t.Errorf("entry %v, told %v", entry, told.Entry)
	}
}

func text(v any) string { s, _ := v.(string); return s }

func sameParty(t *testing.T, got any, want *story.Party) {
	t.Helper()
	if (got == nil) != (want == nil) {
		t.Errorf("party %v, told %v", got, want)
	}
	if m, ok := got.(map[string]any); ok && (m["id"] != want.ID.String() || m["kind"] != want.Kind.String() || m["name"] != want.Name || m["entity"].(map[string]any)["id"] != m["id"]) {
		t.Errorf("party %v, told %+v", m, want)
	}
}

func TestTheBlastRadiusIsThatOfPackageTraverse(t *testing.T) {
	p := newPhishing(t)
	want, err := traverse.BlastRadius(t.Context(), traverse.Stored(p.store, here, graph.Criticalities{}), traverse.Question{Sources: []graph.ID{p.mail.ID()}, MaxHops: 4, ThroughHubs: true})
	if err != nil {
		t.Fatal(err)
	}
	a := ask(t, handler(p.store), `query($id: ID!) {
		blastRadius(from: [$id], maxHops: 4, throughHubs: true) {score weightedScore completeness {complete reason visitedNodes visitedEdges} targets {nodes {id previous entity {id} hop weight witness {edgeKind backwards}}}}
		entity(id: $id) {blastRadius(maxHops: 4, throughHubs: true) {score}}
	}`, "id", p.mail.ID().String())
	if want.Targets == 0 || a.at(t, "blastRadius", "score") != float64(want.Score) || a.at(t, "entity", "blastRadius", "score") != float64(want.Score) || a.at(t, "blastRadius", "weightedScore") != float64(want.WeightedScore) {
		t.Errorf("score %d, %s", want.Score, a.body)
	}
	if a.at(t, "blastRadius", "completeness", "visitedEdges") != float64(want.Completeness.Edges) || a.at(t, "blastRadius", "completeness", "visitedNodes") != float64(want.Completeness.Nodes) {
		t.Errorf("%+v: %s", want.Completeness, a.body)
	}
	for i, target := range want.List(nil, want.Targets) {
		n := a.at(t, "blastRadius", "targets", "nodes", i).(map[string]any)
		if steps := want.Nearest(target).Steps; n["id"] != target.ID.String() || n["previous"] != nearOf(steps[len(steps)-1]).String() {
			t.Errorf("target %d is %v behind %v, want %+v", i, n["id"], n["previous"], steps)
		}
		if n["entity"].(map[string]any)["id"] != target.ID.String() || n["hop"] != float64(target.Hops) || n["weight"] != float64(target.Weight) || len(n["witness"].([]any)) != len(want.Nearest(target).Steps) {
			t.Errorf("target %d: %v, want %+v", i, n, target)
		}
	}
}

// nearOf is the end that a step leads from.
func nearOf(s traverse.Step) graph.ID {
	if s.Backward {
		return s.To
	}
	return s.From
}
