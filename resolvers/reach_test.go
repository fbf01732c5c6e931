package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers"
)

// What is asked of every route, target and completeness, and what package traverse says of it.
const (
	stepFields    = `{edgeKind backwards inferred assumedGap from {id} to {id} firstSeen lastSeen sources alerts {id}}`
	routeFields   = `{hops inferred steps ` + stepFields + `}`
	targetFields  = `{entity {id} hop weight criticality inferred witness ` + stepFields + ` earliest ` + routeFields + `}`
	measureFields = `{complete reason visitedNodes visitedEdges}`
	reachFields   = `{score weightedScore completeness ` + measureFields + ` targets(first: 10) {totalCount nodes ` + targetFields + `}}`
)

type object = map[string]any

func withID(id graph.ID) object { return object{"id": id.String()} }

func wantSteps(steps []traverse.Step) []any {
	out := []any{}
	for _, s := range steps {
		alerts := []any{}
		for _, id := range s.Alerts {
			alerts = append(alerts, withID(id))
		}
		out = append(out, object{
			"edgeKind": s.Kind.String(), "backwards": s.Backward, "inferred": s.Inferred, "assumedGap": s.Gap,
			"from": withID(s.From), "to": withID(s.To), "alerts": alerts,
			"firstSeen": written(s.FirstSeen), "lastSeen": written(s.LastSeen), "sources": append([]string{}, s.Sources...),
		})
	}
	return out
}

// written is an instant as GraphQL writes it, null for none.
func written(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999Z")
}

func wantRoute(r traverse.Route) object {
	return object{"hops": r.Hops, "inferred": r.Inferred, "steps": wantSteps(r.Steps)}
}

func wantTargets(of *traverse.Answer, list []traverse.Target) object {
	nodes := []any{}
	for _, t := range list {
		nearest := of.Nearest(t)
		nodes = append(nodes, object{
			"entity": withID(t.ID), "hop": t.Hops, "weight": t.Weight, "criticality": t.Criticality.String(), "inferred": nearest.Inferred,
			"witness": wantSteps(nearest.Steps), "earliest": wantRoute(of.Earliest(t)),
		})
	}
	return object{"totalCount": len(list), "nodes": nodes}
}

func wantMeasure(c traverse.Completeness) object {
	var reason any
	if c.Reason != traverse.LimitNone {
		reason = string(c.Reason)
	}
	return object{"complete": c.Complete, "reason": reason, "visitedNodes": c.Nodes, "visitedEdges": c.Edges}
}

func wantReach(a *traverse.Answer) object {
	return object{"score": a.Score, "weightedScore": a.WeightedScore, "completeness": wantMeasure(a.Completeness), "targets": wantTargets(a, a.List(nil, a.Targets))}
}

// must is a value of which the test does not expect an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// question is a field of reach, and what package traverse answers.
type question struct {
	name, field, args, selection string
	want                         func(ctx context.Context, on traverse.Ground, q traverse.Question) object
}

// everyQuestion asks what has an answer on the phishing estate.
func everyQuestion(p *phishing) []question {
	server, ann := p.server.ID(), p.ann.ID()
	disabled := []traverse.Response{{Action: graph.ActionDisableUser, Entity: ann}}
	return []question{
		{"containment", "containment", `actions: [{action: disableUser, entityId: "` + ann.String() + `"}]`,
			`{before ` + reachFields + ` after ` + reachFields + ` cutOff cutOffWeight targets(first: 10) {totalCount nodes ` + targetFields + `}}`,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				c := must(traverse.Contain(ctx, on, q, disabled))
				return object{"before": wantReach(c.Before), "after": wantReach(c.After), "cutOff": c.CutOff, "cutOffWeight": c.CutOffWeight,
					"targets": wantTargets(c.Before, c.List(nil, 100))}
			}},
		{"a plan", "containmentPlan", `criticality: veryHigh`, planFields,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				q.Least = graph.CriticalityVeryHigh
				return wantPlan(must(traverse.PlanContainment(ctx, on, traverse.PlanQuestion{Question: q})))
			}},
		{"a plan of few actions", "containmentPlan", `allowed: [blockUrl, isolateDevice], spared: ["` + p.pc.ID().String() + `"]`, planFields,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				allowed := []graph.ResponseAction{graph.ActionBlockURL, graph.ActionIsolateDevice}
				return wantPlan(must(traverse.PlanContainment(ctx, on, traverse.PlanQuestion{Question: q, Allowed: allowed, Spared: []graph.ID{p.pc.ID()}})))
			}},
		{"paths", "paths", `to: "` + server.String() + `", first: 2`, `{routes ` + routeFields + ` completeness ` + measureFields + `}`,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				found, routes := must(traverse.Paths(ctx, on, q, server, 2)), []any{}
				for _, r := range found.Routes {
					routes = append(routes, wantRoute(r))
				}
				return object{"routes": routes, "completeness": wantMeasure(found.Completeness)}
			}},
		{"attack paths", "attackPaths", `criticality: low`,
			`{completeness ` + measureFields + ` totalCount nodes {entity {id} criticality weight nearest ` + routeFields + ` earliest ` + routeFields + `}}`,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				q.Least = graph.CriticalityLow
				a, nodes := must(traverse.BlastRadius(ctx, on, q)), []any{}
				for _, t := range a.List(nil, a.Targets) {
					nodes = append(nodes, object{"entity": withID(t.ID), "criticality": t.Criticality.String(), "weight": t.Weight,
						"nearest": wantRoute(a.Nearest(t)), "earliest": wantRoute(a.Earliest(t))})
				}
				return object{"completeness": wantMeasure(a.Completeness), "totalCount": a.Targets, "nodes": nodes}
			}},
		{"choke points", "chokePoints", `first: 2`, `{completeness ` + measureFields + ` points {entity {id} lost lostWeight complete}}`,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				a, points := must(traverse.BlastRadius(ctx, on, q)), []any{}
				for _, c := range must(a.ChokePoints(ctx, 2)) {
					points = append(points, object{"entity": withID(c.ID), "lost": c.Lost, "lostWeight": c.LostWeight, "complete": c.Complete})
				}
				return object{"completeness": wantMeasure(a.Completeness), "points": points}
			}},
		{"a diff", "graphDiff", `earlier: "2026-03-02T09:30:00Z", later: "2026-03-02T11:00:00Z"`,
			`{earlier ` + reachFields + ` later ` + reachFields + ` added(first: 10) {totalCount nodes ` + targetFields + `} removed(first: 10) {totalCount nodes ` + targetFields + `}}`,
			func(ctx context.Context, on traverse.Ground, q traverse.Question) object {
				d := must(traverse.Compare(ctx, on, on, q, hour(1.5), hour(3)))
				return object{"earlier": wantReach(d.Earlier), "later": wantReach(d.Later),
					"added": wantTargets(d.Later, d.Added(nil, 100)), "removed": wantTargets(d.Earlier, d.Removed(nil, 100))}
			}},
	}
}

const planFields = `{responses {action entity {id}} targetCount remainingCount remaining {entity {id} hop weight criticality} lowerBound exact completeness ` + measureFields + `}`

func wantPlan(p traverse.Plan) object {
	responses, remaining := []any{}, []any{}
	for _, r := range p.Responses {
		responses = append(responses, object{"action": string(r.Action), "entity": withID(r.Entity)})
	}
	for _, t := range p.Remaining {
		remaining = append(remaining, object{"entity": withID(t.ID), "hop": t.Hops, "weight": t.Weight, "criticality": t.Criticality.String()})
	}
	return object{"responses": responses, "targetCount": p.Targets, "remainingCount": len(p.Remaining), "remaining": remaining,
		"lowerBound": p.LowerBound, "exact": p.Exact, "completeness": wantMeasure(p.Completeness)}
}

// places are how the same is asked of a query's own field and of the field of what it starts from.
func places(start, parent, field, args, selection string) [][2]string {
	return [][2]string{
		{fmt.Sprintf(`{%s(%s, %s) %s}`, field, start, args, selection), field},
		{fmt.Sprintf(`{%s {%s(%s) %s}}`, parent, field, args, selection), parent[:strings.Index(parent, "(")] + "." + field},
	}
}

// Every question of reach is answered as package traverse does, whatever it is asked of.
func TestEveryQuestionOfReachIsAnsweredAsPackageTraverseDoes(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	mail := p.mail.ID().String()
	wide := traverse.Question{MaxHops: 6, ThroughHubs: true}
	ofIncident, _, err := traverse.IncidentQuestion(t.Context(), p.store, here, 1, wide)
	if err != nil {
		t.Fatal(err)
	}
	ofEntity := wide
	ofEntity.Sources = []graph.ID{p.mail.ID()}
	on := traverse.Stored(p.store, here, graph.Criticalities{})
	for _, c := range everyQuestion(p) {
		t.Run(c.name, func(t *testing.T) {
			args := c.args + `, reach: {maxHops: 6, throughHubs: true}`
			empty := blank(c.want(t.Context(), on, traverse.Question{Sources: []graph.ID{p.ip.ID()}}))
			for q, at := range map[*traverse.Question][][2]string{
				&ofEntity:   places(`from: ["`+mail+`"]`, `entity(id: "`+mail+`")`, c.field, args, c.selection),
				&ofIncident: places(`incident: "1"`, `incident(id: "1")`, c.field, args, c.selection),
			} {
				want := c.want(t.Context(), on, *q)
				if q == &ofEntity && blank(want) == empty {
					t.Errorf("nothing is answered: %s", blank(want))
				}
				for _, place := range at {
					a := ask(t, h, place[0])
					var path []any
					for _, name := range strings.Split(place[1], ".") {
						path = append(path, name)
					}
					if d := cmp.Diff(indented(want), indented(a.at(t, path...))); d != "" {
						t.Errorf("%s (-traverse +answered):\n%s", place[1], d)
					}
				}
			}
		})
	}
}

// indented is a value in lines, so that two can be compared.
func indented(v any) string { return string(must(json.MarshalIndent(v, "", " "))) }

// blank is an answer without what it took.
func blank(o object) string {
	o = maps.Clone(o)
	delete(o, "completeness")
	return indented(o)
}

// The flat arguments of blastRadius and the fields of reach say the same.
func TestReachIsSaidFlatOrAsOneInput(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	scores := map[float64]bool{}
	for _, reach := range []string{
		"maxHops: 6", "maxHops: 1", `at: "2026-04-01T00:00:00Z"`, `asOf: "2026-03-02T08:30:00Z"`, "targetKinds: [device]", "edgeKinds: [delivered]",
		"maxHops: 6, timeless: true", "maxHops: 2, everyEdge: true", "maxHops: 6, throughHubs: true, targetKinds: [file]", "edgeKinds: [ran], everyEdge: true",
	} {
		mail := p.mail.ID().String()
		a := ask(t, h, `{blastRadius(from: ["`+mail+`"], `+reach+`) {score targets {nodes {entity {id} hop}}}
			entity(id: "`+mail+`") {blastRadius(`+reach+`) {score} containment(actions: [{action: blockUrl, entityId: "`+p.url(t)+`"}], reach: {`+reach+`}) {before {score targets {nodes {entity {id} hop}}}}}}`)
		flat, input := a.at(t, "blastRadius"), a.at(t, "entity", "containment", "before")
		if indented(flat) != indented(input) || a.at(t, "entity", "blastRadius", "score") != a.at(t, "blastRadius", "score") {
			t.Errorf("%s: %s", reach, clipped(a.body))
		}
		scores[a.at(t, "blastRadius", "score").(float64)] = true
	}
	if len(scores) < 4 {
		t.Errorf("the arguments make little difference: %v", scores)
	}
}

// url adds a URL to the estate and gives its id.
func (p *phishing) url(t testing.TB) string {
	u := thing(t, graph.KindURL, "url", "https://example.net/x")
	p.put(t, u)
	return u.ID().String()
}

// asked is a question of reach for which only the start is open.
func asked(p *phishing, start string) []string {
	ann, server := p.ann.ID().String(), p.server.ID().String()
	return []string{
		`{containment(` + start + `, actions: [{action: disableUser, entityId: "` + ann + `"}]) {cutOff before {score} after {score} targets {nodes {entity {id}}}}}`,
		`{containmentPlan(` + start + `) {responses {action entity {id}} remaining {entity {id}} targetCount lowerBound exact completeness {complete reason}}}`,
		`{paths(` + start + `, to: "` + server + `") {routes {hops} completeness {complete reason}}}`,
		`{attackPaths(` + start + `) {nodes {entity {id}} totalCount completeness {complete reason}}}`,
		`{chokePoints(` + start + `) {points {lost} completeness {complete reason}}}`,
		`{graphDiff(` + start + `, earlier: "2026-03-02T09:30:00Z") {added {nodes {entity {id}}} removed {nodes {entity {id}}} earlier {score} later {score}}}`,
	}
}

// What another tenant has is as unknown as what nobody has: as start, as what is acted on, spared and led to.
func TestNoQuestionOfReachTellsOfAnotherTenant(t *testing.T) {
	p := newPhishing(t)
	own := thing(t, graph.KindDevice, "mdeDeviceId", "theirs")
	if _, err := p.store.Apply(t.Context(), "fabrikam", graph.Batch{Entities: []graph.EntityObservation{own}}); err != nil {
		t.Fatal(err)
	}
	nobody := handler(graphtest.NewModel(graphtest.NewClock().Now))
	var queries []string
	for _, start := range []string{`from: ["` + p.mail.ID().String() + `"]`, `from: ["` + own.ID().String() + `", "` + p.mail.ID().String() + `"]`, `incident: "1"`} {
		queries = append(queries, asked(p, start)...)
	}
	for _, q := range queries {
		r := post(q)
		r.Header.Set("X-Tenant", "fabrikam")
		a, b := send(t, handler(p.store), r), send(t, nobody, post(q))
		if a.code() != "NOT_FOUND" || a.Data[fieldOf(q)] != nil {
			t.Errorf("%s: %s", q, clipped(a.body))
		}
		if !strings.Contains(q, own.ID().String()) && string(a.body) != string(b.body) {
			t.Errorf("%s: %s, an empty store: %s", q, a.body, b.body)
		}
	}
	theirs := `from: ["` + own.ID().String() + `"]`
	for own, other := range map[string]string{
		`{containmentPlan(` + theirs + `) {exact}}`:                                                                         `{containmentPlan(` + theirs + `, spared: ["` + p.ann.ID().String() + `"]) {exact}}`,
		`{paths(` + theirs + `, to: "` + own.ID().String() + `") {routes {hops}}}`:                                          `{paths(` + theirs + `, to: "` + p.server.ID().String() + `") {routes {hops}}}`,
		`{containment(` + theirs + `, actions: [{action: isolateDevice, entityId: "` + own.ID().String() + `"}]) {cutOff}}`: `{containment(` + theirs + `, actions: [{action: isolateDevice, entityId: "` + p.pc.ID().String() + `"}]) {cutOff}}`,
	} {
		for q, code := range map[string]string{own: "", other: "NOT_FOUND"} {
			r := post(q)
			r.Header.Set("X-Tenant", "fabrikam")
			if a := send(t, handler(p.store), r); a.code() != code {
				t.Errorf("%s: %s", q, clipped(a.body))
			}
		}
	}
}

// fieldOf is the name of a query's one field.
func fieldOf(query string) string { return query[1:strings.Index(query, "(")] }

// Whatever is wrong with a question of reach is said as such, before anything is searched.
func TestQuestionsOfReachThatMeanNothingAreRefused(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	mail, ann, url := p.mail.ID().String(), p.ann.ID().String(), p.url(t)
	from, alert := `from: ["`+mail+`"]`, p.pcAlert.String()
	act := func(action, id string) string { return `actions: [{action: ` + action + `, entityId: "` + id + `"}]` }
	for _, c := range []struct{ query, message string }{
		{`containment(` + from + `, actions: []) {cutOff}`, "actions has 0 items, 1 to 1000 are possible"},
		{`containment(` + from + `, ` + act("isolateDevice", ann) + `) {cutOff}`, `"isolateDevice" cannot be done to ` + ann},
		{`containment(` + from + `, ` + act("disableUser", alert) + `) {cutOff}`, alert + " is no entity"},
		{`containment(` + from + `, ` + act("disableUser", "x") + `) {cutOff}`, ""},
		{`containment(from: ["` + alert + `"], ` + act("disableUser", ann) + `) {cutOff}`, alert + " is no entity"},
		{`containment(` + act("disableUser", ann) + `) {cutOff}`, "give exactly one of from and incident"},
		{`containment(` + from + `, incident: "1", ` + act("disableUser", ann) + `) {cutOff}`, "give exactly one of from and incident"},
		{`containment(` + from + `, ` + act("disableUser", ann) + `, reach: {maxHops: 7}) {cutOff}`, "maxHops is 7, 1 to 6 are possible"},
		{`containmentPlan(from: ["` + alert + `"]) {exact}`, alert + " is no entity"},
		{`containmentPlan(` + from + `, allowed: []) {exact}`, "allowed is empty; leave it out to allow all actions"},
		{`containmentPlan(` + from + `, spared: ["` + alert + `"]) {exact}`, alert + " is no entity"},
		{`containmentPlan(` + from + `, criticality: unknown) {exact}`, "criticality must be low, medium, high or veryHigh"},
		{`containmentPlan(from: []) {exact}`, "give exactly one of from and incident"},
		{`containmentPlan(` + from + `, reach: {edgeKinds: [indicates]}) {exact}`, "edges of kind indicates are not walked"},
		{`paths(` + from + `, to: "` + alert + `") {routes {hops}}`, alert + " is no entity"},
		{`paths(from: ["` + alert + `"], to: "` + ann + `") {routes {hops}}`, alert + " is no entity"},
		{`paths(` + from + `, to: "` + ann + `", first: 0) {routes {hops}}`, "first is 0, 1 to 10 are possible"},
		{`paths(` + from + `, to: "` + ann + `", first: 11) {routes {hops}}`, "first is 11, 1 to 10 are possible"},
		{`attackPaths(from: ["` + alert + `"]) {totalCount}`, alert + " is no entity"},
		{`attackPaths(` + from + `, criticality: unknown) {totalCount}`, "criticality must be low, medium, high or veryHigh"},
		{`attackPaths(` + from + `, first: 501) {totalCount}`, "first is 501, 1 to 500 are possible"},
		{`chokePoints(from: ["` + alert + `"]) {points {lost}}`, alert + " is no entity"},
		{`chokePoints(` + from + `, first: 0) {points {lost}}`, "first is 0, 1 to 20 are possible"},
		{`chokePoints(` + from + `, first: 21) {points {lost}}`, "first is 21, 1 to 20 are possible"},
		{`graphDiff(from: ["` + alert + `"], earlier: "2026-03-02T09:00:00Z") {earlier {score}}`, alert + " is no entity"},
		{`graphDiff(` + from + `, earlier: "2026-03-02T09:00:00Z", later: "2026-03-02T09:00:00Z") {earlier {score}}`, "the earlier instant must lie before the later one"},
		{`graphDiff(` + from + `, earlier: "2026-03-02T10:00:00Z", later: "2026-03-02T09:00:00Z") {earlier {score}}`, "the earlier instant must lie before the later one"},
		{`graphDiff(` + from + `, earlier: "2026-03-02T10:00:00Z", reach: {asOf: "2026-03-02T09:00:00Z"}) {earlier {score}}`, "the asOf of reach must not be given: earlier and later say it"},
		{`blastRadius(from: ["` + alert + `"]) {score}`, alert + " is no entity"},
	} {
		a := send(t, h, post(`{`+c.query+`}`))
		if a.code() != "INVALID_ARGUMENT" || c.message != "" && a.Errors[0].Message != c.message {
			t.Errorf("%s: %s", c.query, clipped(a.body))
		}
	}
	none := graph.NewID(graph.KindIdentity, "none").String()
	for _, q := range []string{
		`containment(` + from + `, ` + act("disableUser", none) + `) {cutOff}`, `containmentPlan(` + from + `, spared: ["` + none + `"]) {exact}`,
		`paths(` + from + `, to: "` + none + `") {routes {hops}}`,
	} {
		if a := send(t, h, post(`{`+q+`}`)); a.code() != "NOT_FOUND" || a.Errors[0].Message != "there is no entity "+none {
			t.Errorf("%s: %s", q, clipped(a.body))
		}
	}
	many := func(n int) []object {
		out := make([]object, n)
		for i := range out {
			out[i] = object{"action": "blockUrl", "entityId": url}
		}
		return out
	}
	query := `query($a: [ResponseActionInput!]!) {containment(` + from + `, actions: $a) {cutOff}}`
	ask(t, h, query, "a", many(1000))
	if a := send(t, h, post(query, "a", many(1001))); a.code() != "INVALID_ARGUMENT" {
		t.Errorf("1001 actions: %s", clipped(a.body))
	}
}

// An incident of which nothing can be held has the empty answer, which says so.
func TestAnIncidentWithoutAssetsReachesNothing(t *testing.T) {
	p := newPhishing(t)
	for _, q := range asked(p, `incident: "3"`) {
		a := ask(t, handler(p.store), q)
		for _, word := range []string{`"id":`, `"complete":true`, `"exact":true`, `"score":1`, `"cutOff":1`, `"hops":`, `"lost":`} {
			if strings.Contains(string(a.body), word) {
				t.Errorf("%s: %s", q, clipped(a.body))
			}
		}
	}
}

// oneIncident puts all that changed into one new incident.
type oneIncident struct{}

func (oneIncident) Decide(_ context.Context, _ graph.Reader, _ graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	return []graph.IncidentChange{{Alerts: d.Alerts, Facts: &graph.IncidentFacts{}}}, nil
}

// Where not all evidence of an incident is read, every answer says so, and no plan is called exact.
func TestAnswersOfAnIncidentThatIsNotReadWholeSaySo(t *testing.T) {
	p := newPhishing(t)
	b := graph.Batch{Entities: []graph.EntityObservation{p.ann, p.server}, Decide: oneIncident{}}
	for i := range 2001 {
		a := alert(fmt.Sprint("many", i), "one of many", 5, evidence("userEvidence", p.ann, `"roles":["compromised"]`))
		b.Alerts = append(b.Alerts, a)
	}
	store := graphtest.NewModel(graphtest.NewClock().Now)
	if _, err := store.Apply(t.Context(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
	h := handler(store)
	for _, q := range asked(p, `incident: "1"`) {
		q = strings.ReplaceAll(q, "{score}", "{completeness {complete reason}}")
		a := ask(t, h, q)
		if n := strings.Count(string(a.body), `"complete":false,"reason":"sources"`); n != strings.Count(q, "reason") || strings.Contains(string(a.body), `"exact":true`) {
			t.Errorf("%s: %s", q, clipped(a.body))
		}
	}
}

// Every question, as of whatever instant, is asked of the graph that the handler was given, and asks for that once.
func TestQuestionsAreAskedOfTheGraphThatIsGiven(t *testing.T) {
	p := newPhishing(t)
	given := 0
	h := handler(p.store, func(c *resolvers.Config) {
		c.Ground = func(_ context.Context, v graph.View) traverse.Ground {
			given++
			return traverse.Stored(p.store, v, graph.Criticalities{})
		}
	})
	mail := p.mail.ID().String()
	queries := []string{`{graphDiff(from: ["` + mail + `"], earlier: "2026-03-02T09:30:00Z", later: "2026-03-02T11:00:00Z") {earlier {score} later {score}}}`}
	for _, reach := range []string{"", `, reach: {asOf: "2026-03-02T11:00:00Z"}`} {
		for _, q := range asked(p, `from: ["`+mail+`"]`)[:5] {
			queries = append(queries, strings.Replace(q, `"]`, `"]`+reach, 1))
		}
	}
	for _, q := range queries {
		given = 0
		if ask(t, h, q); given != 1 {
			t.Errorf("%s: the graph was asked for %d times", q, given)
		}
	}
}

// What a question names must be there, also where nothing is reached since the incident has no assets.
func TestWhatAQuestionNamesIsLookedForWhereNothingIsReached(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	p.apply(t, alert("n", "About nothing", 5))
	var nowhere string
	page, err := p.store.Incidents(t.Context(), graph.View{Tenant: graphtest.Tenant}, graph.IncidentQuery{Paging: graph.Paging{Order: graph.NewestCreated, Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	nowhere = fmt.Sprint(page.Items[0].ID)
	there, not := p.ann.ID().String(), graph.NewID(graph.KindIdentity, "nobody").String()
	for _, q := range []string{
		`paths(incident: %q, to: %q) {routes {hops}}`, `containment(incident: %q, actions: [{action: disableUser, entityId: %q}]) {cutOff}`,
		`containmentPlan(incident: %q, spared: [%q]) {exact}`,
	} {
		ask(t, h, "{"+fmt.Sprintf(q, nowhere, there)+"}")
		if a := send(t, h, post("{"+fmt.Sprintf(q, nowhere, not)+"}")); a.code() != "NOT_FOUND" {
			t.Errorf("%s of nobody: %s", q, a.body)
		}
	}
	ask(t, h, `{containmentPlan(incident: "`+nowhere+`") {exact}}`)
}

// stuck is a store whose edges do not come in time.
type stuck struct{ graph.Reader }

func (s stuck) Edges(ctx context.Context, _ graph.View, _ graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		<-ctx.Done()
		yield(graph.Edge{}, ctx.Err())
	}
}

// A deadline ends every question: by an answer that says so, or by the one error.
func TestADeadlineEndsEveryQuestionOfReach(t *testing.T) {
	p := newPhishing(t)
	h := handler(stuck{p.store}, func(c *resolvers.Config) { c.Limits.Time = time.Second })
	for _, q := range asked(p, `from: ["`+p.mail.ID().String()+`"]`) {
		t.Run(fieldOf(q), func(t *testing.T) {
			t.Parallel()
			q := strings.ReplaceAll(q, "{score}", "{score completeness {reason}}")
			a := send(t, h, post(q))
			bounded := a.code() == "" && strings.Contains(string(a.body), `"reason":"deadline"`)
			ended := a.code() == "DEADLINE_EXCEEDED" && len(a.Errors) == 1
			if !bounded && !ended {
				t.Errorf("status %d: %s", a.status, clipped(a.body))
			}
		})
	}
}

// Each question has its price: what is just within the limit is answered, aliases do not multiply it beyond.
func TestQuestionsOfReachCannotBeMultiplied(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	for field, most := range map[string]int{"containment": 19, "containmentPlan": 1, "paths": 4, "attackPaths": 24, "chokePoints": 4, "graphDiff": 19} {
		for _, q := range asked(p, `from: ["`+p.ip.ID().String()+`"]`) {
			if fieldOf(q) != field {
				continue
			}
			times := func(n int) string {
				var b strings.Builder
				for i := range n {
					fmt.Fprintf(&b, "f%d: %s {__typename} ", i, q[1:strings.Index(q, ") {")+1])
				}
				return "{" + b.String() + "}"
			}
			ask(t, h, times(most))
			if a := send(t, h, post(times(most+1))); a.code() != "TOO_COSTLY" {
				t.Errorf("%d of %s: %s", most+1, field, clipped(a.body))
			}
		}
	}
	a := send(t, h, post(`{incidents(first: 2) {nodes {containmentPlan {exact}}}}`))
	if a.code() != "TOO_COSTLY" {
		t.Errorf("a plan for each of two incidents: %s", clipped(a.body))
	}
}

// How often the store is asked depends on the question, and not on how many targets there are.
func TestStoreCallsOfReachDoNotGrowWithTargets(t *testing.T) {
	few, many := crowd(t, 1), crowd(t, 1)
	few.administer(t, 4)
	many.administer(t, 24)
	server := thing(t, graph.KindDevice, "mdeDeviceId", "server0")
	few.server, many.server = server, server
	for i, q := range asked(few, `incident: "1"`) {
		q = strings.ReplaceAll(q, "nodes {entity {id}}", "nodes {entity {id displayName} "+[]string{"witness", "", "", "nearest", "", "witness"}[i]+" {"+steps(i)+"}}")
		q = strings.ReplaceAll(q, `09:30:00Z") {`, `09:30:00Z", reach: {at: "2026-03-02T11:00:00Z"}) {`)
		a, b := callsOf(t, few, q), callsOf(t, many, q)
		if strings.Join(a, " ") != strings.Join(b, " ") {
			t.Errorf("%s\ncalls for few targets %v, for many %v", q, a, b)
		}
		if len(b) > 30 {
			t.Errorf("%s: %d calls: %v", q, len(b), b)
		}
	}
}

func steps(i int) string {
	if i == 3 {
		return "steps {from {id} to {id} alerts {id}}"
	}
	return "from {id} to {id} alerts {id}"
}
