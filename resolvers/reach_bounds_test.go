package resolvers_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers"
)

// allReach are the seven questions of reach from a start, with what is said of the reach; one acts on an account and one
// leads to a goal.
func allReach(start, reach, account, goal string) map[string]string {
	input, flat := "", ""
	if reach != "" {
		input, flat = ", reach: {"+reach+"}", ", "+reach
	}
	const measured = ` completeness {complete reason visitedNodes visitedEdges}`
	const radius = ` {score targets(first: 3) {totalCount nodes {hop}}` + measured + `}`
	return map[string]string{
		"blastRadius":     `{blastRadius(` + start + flat + `)` + radius + `}`,
		"containment":     `{containment(` + start + `, actions: [{action: disableUser, entityId: "` + account + `"}]` + input + `) {before` + radius + ` after` + radius + ` cutOff targets(first: 3) {totalCount}}}`,
		"containmentPlan": `{containmentPlan(` + start + input + `) {responses {action} targetCount remainingCount lowerBound exact` + measured + `}}`,
		"paths":           `{paths(` + start + `, to: "` + goal + `"` + input + `) {routes {hops}` + measured + `}}`,
		"attackPaths":     `{attackPaths(` + start + `, first: 3` + input + `) {totalCount nodes {criticality}` + measured + `}}`,
		"chokePoints":     `{chokePoints(` + start + input + `) {points {lost complete}` + measured + `}}`,
		"graphDiff":       `{graphDiff(` + start + `, earlier: "2026-03-02T09:30:00Z"` + input + `) {earlier` + radius + ` later` + radius + ` added(first: 3) {totalCount} removed(first: 3) {totalCount}}}`,
	}
}

func (p *phishing) allReach(start, reach string) map[string]string {
	return allReach(start, reach, p.ann.ID().String(), p.server.ID().String())
}

// What another tenant has is answered, but for the id that was asked for, by the very bytes that what nobody has is.
func TestWhatAnotherTenantHasIsAnsweredAsWhatNobodyHas(t *testing.T) {
	p := newPhishing(t)
	theirs, nobodys := thing(t, graph.KindIdentity, "sid", "S-1-5-21-7-7-7-1007"), thing(t, graph.KindIdentity, "sid", "S-1-5-21-7-7-7-1008")
	b := graph.Batch{Entities: []graph.EntityObservation{theirs}, Decide: apartDecider{}}
	for i := range 8 {
		b.Alerts = append(b.Alerts, alert(fmt.Sprint("theirs", i), "theirs", 1, evidence("userEvidence", theirs, `"roles":["compromised"]`)))
	}
	if _, err := p.store.Apply(t.Context(), "fabrikam", b); err != nil {
		t.Fatal(err)
	}
	own, h := `from: ["`+p.mail.ID().String()+`"]`, handler(p.store)
	account, goal := p.ann.ID().String(), p.server.ID().String()
	pairs := map[string][2]string{}
	for i, id := range []string{theirs.ID().String(), nobodys.ID().String()} {
		add := func(what, query string) {
			pair := pairs[what]
			pair[i] = query
			pairs[what] = pair
		}
		for name, q := range p.allReach(`from: ["`+id+`"]`, "") {
			add(name+" from an entity", q)
		}
		for name, q := range p.allReach(`from: ["`+p.mail.ID().String()+`", "`+id+`"]`, "") {
			add(name+" from two entities", q)
		}
		for name, q := range p.allReach(`incident: "`+[]string{"8", "9"}[i]+`"`, "") {
			add(name+" from an incident", q)
		}
		add("acted on", allReach(own, "", id, goal)["containment"])
		add("led to", allReach(own, "", account, id)["paths"])
		add("spared", strings.Replace(allReach(own, "", account, goal)["containmentPlan"], own, own+`, spared: ["`+id+`"]`, 1))
	}
	same := strings.NewReplacer(theirs.ID().String(), "ID", nobodys.ID().String(), "ID", "incident 8", "ID", "incident 9", "ID")
	for what, q := range pairs {
		a, b := send(t, h, post(q[0])), send(t, h, post(q[1]))
		if a.code() != "NOT_FOUND" || len(a.Errors) != 1 || a.Data[fieldOf(q[0])] != nil {
			t.Errorf("%s: %s", what, clipped(a.body))
		}
		if x, y := same.Replace(string(a.body)), same.Replace(string(b.body)); x != y || a.status != b.status {
			t.Errorf("%s: theirs %d %s\nnobody's %d %s", what, a.status, x, b.status, y)
		}
	}
	r := post(pairs["blastRadius from an incident"][0]) // the control: they have it
	r.Header.Set("X-Tenant", "fabrikam")
	if a := send(t, h, r); a.code() != "" {
		t.Errorf("%s", clipped(a.body))
	}
}

// apartDecider puts every alert into an incident of its own.
type apartDecider struct{}

func (apartDecider) Decide(_ context.Context, _ graph.Reader, _ graph.View, d graph.Delta) (out []graph.IncidentChange, err error) {
	for _, a := range d.Alerts {
		out = append(out, graph.IncidentChange{Alerts: []graph.ID{a}, Facts: &graph.IncidentFacts{}})
	}
	return out, nil
}

// Numbers and lists that no question can have are refused by all of them before the store is asked.
func TestEveryQuestionOfReachRefusesWhatIsOutOfBounds(t *testing.T) {
	p := newPhishing(t)
	store := &counting{Reader: p.store}
	h := handler(store)
	mail := p.mail.ID().String()
	from := `from: ["` + mail + `"]`
	refused := func(name, q, message string, variables ...any) {
		t.Helper()
		store.calls.Store(0)
		a := send(t, h, post(q, variables...))
		if a.code() != "INVALID_ARGUMENT" || len(a.Errors) != 1 || a.Errors[0].Message != message || store.calls.Load() > 0 {
			t.Errorf("%s: %d calls: %s", name, store.calls.Load(), clipped(a.body))
		}
	}
	for hops, message := range map[int]string{
		0: "maxHops is 0, 1 to 6 are possible", -1: "maxHops is -1, 1 to 6 are possible", 7: "maxHops is 7, 1 to 6 are possible",
		1000: "maxHops is 1000, 1 to 6 are possible",
	} {
		for name, q := range p.allReach(from, fmt.Sprint("maxHops: ", hops)) {
			refused(name, q, message)
		}
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = graph.NewID(graph.KindDevice, fmt.Sprint(i)).String()
	}
	for name, q := range p.allReach(`from: $from`, "") {
		q = `query($from: [ID!]) ` + q
		refused(name, q, "give exactly one of from and incident", "from", []string{})
		refused(name, q, "a list of 10000 in an argument, at most 100 are possible", "from", many)
		refused(name, q, "a list of 101 in an argument, at most 100 are possible", "from", repeated(mail, 101))
		if a := ask(t, h, q, "from", repeated(mail, 100)); a.Data[name] == nil {
			t.Errorf("%s of one entity a hundred times: %s", name, clipped(a.body))
		}
	}
	for name, q := range p.allReach(from+`, incident: "1"`, "") {
		refused(name, q, "give exactly one of from and incident")
	}
	for _, kinds := range []string{"targetKinds", "edgeKinds"} { // who computed it to be empty does not want all
		for name, q := range p.allReach(from, kinds+": []") {
			refused(name, q, "targetKinds or edgeKinds is empty: leave it out for those by default")
		}
	}
	refused("a diff from the future", `{graphDiff(`+from+`, earlier: "9998-01-01T00:00:00Z") {added {totalCount}}}`, "earlier lies in the future, and later is now")
}

// An alert need not be about anything. Nothing is reached then, whichever question it is, and the answer says why.
func TestAnIncidentWithoutEvidenceReachesNothing(t *testing.T) {
	p := newPhishing(t)
	p.apply(t, alert("bare", "About nothing", 7))
	last := ask(t, handler(p.store), `{incidents(first: 1, orderBy: newestCreated) {nodes {id}}}`).at(t, "incidents", "nodes", 0, "id").(string)
	for name, q := range p.allReach(`incident: "`+last+`"`, "") {
		a := ask(t, handler(p.store), q)
		empty := strings.NewReplacer(`"totalCount":0`, "", `"score":0`, "", `"visitedNodes":0`, "", `"visitedEdges":0`, "").Replace(string(a.body))
		if !strings.Contains(empty, `"complete":false,"reason":"noSources"`) {
			t.Errorf("%s: %s", name, clipped(a.body))
		}
		for _, word := range []string{`"complete":true`, `"exact":true`, `"hop`, `"lost"`, `"action"`, `"totalCount"`, `"score"`, `"visited`} {
			if strings.Contains(empty, word) {
				t.Errorf("%s: %s", name, clipped(a.body))
			}
		}
	}
}

// An incident of many assets is no question of many ids: it is answered.
func TestAnIncidentOfTenThousandAssetsIsAnswered(t *testing.T) {
	p, _ := swollen(t, 1, 10_000)
	p.ann, p.server = thing(t, graph.KindIdentity, "sid", "S-1-5-21-1-2-3-1001"), thing(t, graph.KindDevice, "mdeDeviceId", "pc9999")
	p.put(t, p.ann)
	h := handler(p.store)
	for name, q := range p.allReach(`incident: "1"`, "") {
		a := ask(t, h, q)
		if strings.Contains(string(a.body), `"complete":false`) || name != "paths" && !strings.Contains(string(a.body), `"visitedNodes":10000`) {
			t.Errorf("%s: %s", name, clipped(a.body))
		}
	}
}

// What is not read may be held too: the ways from there are not known, and nothing said of the others is exact.
func TestWhatIsSaidOfAPartOfAnIncidentIsNotCalledExact(t *testing.T) {
	p := newPhishing(t)
	p.store = graphtest.NewModel(graphtest.NewClock().Now)
	p.connect(t)
	b := graph.Batch{Entities: []graph.EntityObservation{p.pc}, Decide: oneIncident{}}
	for i := range 2001 {
		b.Alerts = append(b.Alerts, alert(fmt.Sprint("many", i), "one of many", 2, evidence("deviceEvidence", p.pc, `"roles":["compromised"]`)))
	}
	if _, err := p.store.Apply(t.Context(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
	for name, q := range p.allReach(`incident: "1"`, "") {
		a := ask(t, handler(p.store), q)
		if n := strings.Count(string(a.body), `"complete":false,"reason":"sources"`); n != strings.Count(q, "reason") {
			t.Errorf("%s: %s", name, clipped(a.body))
		}
		for _, word := range []string{`"complete":true`, `"exact":true`} {
			if strings.Contains(string(a.body), word) {
				t.Errorf("%s is told %s: %s", name, word, clipped(a.body))
			}
		}
		if name == "chokePoints" && !strings.Contains(string(a.body), `"lost":`) {
			t.Errorf("nothing must be passed: %s", clipped(a.body))
		}
	}
}

// clique is a store of things each of which administers all others.
type clique struct {
	graph.Reader
	ids   []graph.ID
	at    map[graph.ID]bool
	edges atomic.Int64
}

func newClique(n int) *clique {
	c := &clique{at: map[graph.ID]bool{}}
	for i := range n {
		id := graph.NewID([]graph.Kind{graph.KindIdentity, graph.KindDevice}[i%2], fmt.Sprint(i))
		c.ids, c.at[id] = append(c.ids, id), true
	}
	slices.SortFunc(c.ids, graph.ID.Compare)
	return c
}

// grade makes one in fifty critical.
func (c *clique) grade(id graph.ID) graph.Criticality {
	if i, _ := slices.BinarySearchFunc(c.ids, id, graph.ID.Compare); i%50 == 7 {
		return graph.CriticalityHigh
	}
	return graph.CriticalityUnknown
}

func (c *clique) Entities(_ context.Context, _ graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	out := make([]graph.Entity, len(q.IDs))
	for i, id := range q.IDs {
		if c.at[id] {
			out[i].ID = id
			out[i].Properties = map[string]graph.Property{graph.CriticalityProperty: {Value: []byte(`"` + c.grade(id).String() + `"`)}}
		}
	}
	return out, nil
}

func (c *clique) Edges(ctx context.Context, _ graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		if !slices.Contains(q.Kinds, graph.EdgeAdminOf) {
			return
		}
		for _, from := range q.Nodes {
			for _, to := range c.ids {
				if c.edges.Add(1); from != to && !yield(administers(from, to), ctx.Err()) {
					return
				}
			}
		}
	}
}

func administers(from, to graph.ID) graph.Edge {
	return graph.Edge{Kind: graph.EdgeAdminOf, From: from, To: to, FirstSeen: hour(0), LastSeen: hour(0), Count: 1}
}

// held is the clique in memory.
func (c *clique) held() traverse.Ground {
	b := compact.NewBuilder()
	b.KeepHistory()
	for _, from := range c.ids {
		for _, to := range c.ids {
			if from != to {
				b.Insert(administers(from, to), b.Node(from), b.Node(to))
			}
		}
		b.Grade(b.Node(from), uint8(c.grade(from)))
	}
	return traverse.Held(b.Graph())
}

// A million relations of a thousand things: in memory they are looked at, of a store as many as the budget has, and
// every answer says which it was.
func TestAThousandThingsThatAllLeadToAllOthersAreBounded(t *testing.T) {
	large, small := newClique(1000), newClique(520) // more than the budget of a store either way
	held := large.held()
	for _, c := range []struct {
		where string
		*clique
		ground func(context.Context, graph.View) traverse.Ground
	}{{"held", large, func(context.Context, graph.View) traverse.Ground { return held }}, {"stored", small, nil}} {
		account := slices.IndexFunc(c.ids, func(id graph.ID) bool { return id.Kind() == graph.KindIdentity && c.grade(id) == 0 })
		start, goal := c.ids[account].String(), c.ids[len(c.ids)-1].String()
		h := handler(c, func(cfg *resolvers.Config) { cfg.Ground = c.ground })
		for name, q := range allReach(`from: ["`+start+`"]`, "maxHops: 6", start, goal) {
			if c.where == "stored" && slices.Contains([]string{"attackPaths", "containment"}, name) {
				continue // they read as a blast radius does
			}
			t.Run(c.where+" "+name, func(t *testing.T) {
				c.edges.Store(0)
				a := ask(t, h, q)
				part, whole := strings.Count(string(a.body), `"complete":false,"reason":"edges"`), strings.Count(string(a.body), `"complete":true,"reason":null`)
				if part+whole != strings.Count(q, "reason") || (c.where == "stored") != (part > 0) {
					t.Errorf("%d parts, %d whole: %s", part, whole, clipped(a.body))
				}
				if n := c.edges.Load(); n > 2_000_000 {
					t.Errorf("%d edges were read", n)
				}
			})
		}
	}
}

// However little time there is, an answer is all there is, or says that it is not, or there is none.
func TestAMillisecondGivesNoAnswerThatPassesForWhole(t *testing.T) {
	p := crowd(t, 3)
	p.administer(t, 40)
	p.server = thing(t, graph.KindDevice, "mdeDeviceId", "server0")
	limited := func(d time.Duration) http.Handler {
		return handler(p.store, func(c *resolvers.Config) { c.Limits.Time = d })
	}
	for name, q := range p.allReach(`incident: "1"`, "maxHops: 6") {
		whole := ask(t, limited(patience), q)
		for _, d := range []time.Duration{time.Nanosecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond} {
			a := send(t, limited(d), post(q))
			ended := a.code() == "DEADLINE_EXCEEDED" && len(a.Errors) == 1
			part := a.code() == "" && (strings.Contains(string(a.body), `"reason":"deadline"`) || strings.Contains(string(a.body), `"exact":false`))
			if !ended && !part && string(a.body) != string(whole.body) {
				t.Errorf("%s in %v: status %d: %s\nwant %s", name, d, a.status, clipped(a.body), clipped(whole.body))
			}
		}
	}
}
