package bench

import (
	"context"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/estate"
)

// engine answers by the product's search in memory: with whole ways to what is shown, and everything else that an
// answer has.
type engine struct {
	title string
	on    traverse.Ground
	// timed asks for arrivals by the table of moves, through hubs too; else for every edge, both ways, at any time.
	timed bool
}

// newCompact puts the relations where the product keeps them.
func newCompact(g *reachGraph) *compact.Graph {
	b := compact.NewBuilder()
	sources := []string{"estate"}
	for _, n := range g.byRank { // as a scan of a store gives them
		b.Know(b.Node(g.ids[n]), true)
	}
	for _, r := range g.edges {
		b.Insert(r.edge(g, sources), b.Node(g.ids[r.from]), b.Node(g.ids[r.to]))
	}
	b.Tidy()
	return b.Graph()
}

// edge is a relation that can be used as long as it says, whatever its kind.
func (r relation) edge(g *reachGraph, sources []string) graph.Edge {
	e := graph.Edge{Kind: r.kind, From: g.ids[r.from], To: g.ids[r.to], FirstSeen: r.first.Time(), Count: 1, Sources: sources}
	switch {
	case r.until == always:
	case r.kind.Tense() == graph.State:
		e.EndedAt = r.until.Time()
	case r.kind.Tense() == graph.Credential:
		e.LastSeen = r.until.Time().Add(-traverse.DefaultCredentialLife)
	default:
		e.LastSeen = r.until.Time()
	}
	return e
}

func (e engine) name() string    { return e.title }
func (e engine) witnesses() bool { return !e.timed }

func (e engine) question(seed graph.ID, hops int) traverse.Question {
	return traverse.Question{
		Sources: []graph.ID{seed}, MaxHops: hops, TargetKinds: entityKinds,
		EveryEdge: !e.timed, Timeless: !e.timed, ThroughHubs: true,
	}
}

// entityKinds are all kinds that a node can have.
var entityKinds = func() (out []graph.Kind) {
	for _, r := range traverse.TargetTable() {
		out = append(out, r.Kind)
	}
	return out
}()

func (e engine) reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	a, err := traverse.BlastRadius(ctx, e.on, e.question(seed, hops))
	if err != nil {
		return reachAnswer{}, err
	}
	defer a.Release()
	out := reachAnswer{counts: map[graph.Kind]int{}}
	for _, h := range a.Hops[1:] {
		for k, n := range h.ByKind {
			out.counts[k] += n
		}
	}
	for _, t := range a.List(nil, firstNodes) {
		n := reachedNode{id: t.ID, hops: t.Hops}
		if e.timed {
			n.at = compact.InstantOf(t.Arrival)
		}
		steps := a.Nearest(t).Steps
		if n.prev = steps[len(steps)-1].From; n.prev == t.ID {
			n.prev = steps[len(steps)-1].To
		}
		out.first = append(out.first, n)
	}
	return out, nil
}

func TestTheEngineAnswersAsTheBareSearchesDo(t *testing.T) {
	g := readEstate(estate.Tiny())
	b, held := newBare(g), newCompact(g)
	timed := newBareTimed(b, compact.None)
	for _, sides := range [][]side{
		{b, engine{title: "engine", on: traverse.Held(held)}, newOverHTTP(t, held)},
		{timed, newSameArrays(timed, held), engine{title: "engine, by time", on: traverse.Held(held), timed: true}},
	} {
		c := contest{sides: sides, seeds: g.named(g.seeds(60, measuredDraw)), budget: 1 << 40, enough: 1}
		if sides[1].witnesses() {
			c.check = b.falseWitness
		}
		if _, err := c.run(t.Context(), reachDepths); err != nil {
			t.Error(err)
		}
	}
}
