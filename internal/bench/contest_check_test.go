package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/estate"
)

// spoiled is the bare search with witnesses, and with what is done to its answers.
type spoiled struct {
	*bare
	title string
	spoil func(*reachAnswer) error
	asked *atomic.Int64
}

func (s spoiled) name() string    { return s.title }
func (s spoiled) witnesses() bool { return true }

func (s spoiled) reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	s.asked.Add(1)
	a, err := s.bare.reach(ctx, seed, hops)
	if err != nil {
		return a, err
	}
	distance := map[graph.ID]int{seed: 0}
	for i, n := range a.first {
		distance[n.id] = n.hops
		at := s.number[n.id]
		for _, m := range s.neighbours[s.offsets[at]:s.offsets[at+1]] {
			if h, ok := distance[s.ids[m]]; ok && h == n.hops-1 {
				a.first[i].prev = s.ids[m]
			}
		}
	}
	if s.spoil == nil {
		return a, nil
	}
	return a, s.spoil(&a)
}

// tinyContest is between the bare search and one more side on a tiny estate.
func tinyContest(t *testing.T, spoil func(*reachAnswer) error) (c contest, asked *atomic.Int64) {
	t.Helper()
	engine := newBare(readEstate(estate.Tiny()))
	asked = new(atomic.Int64)
	return contest{
		sides: []side{engine, spoiled{engine, "other", spoil, asked}},
		seeds: engine.named(engine.seeds(20, measuredDraw)), warmUp: engine.named(engine.seeds(3, warmUpDraw)),
		check: engine.falseWitness, budget: time.Minute,
	}, asked
}

func TestSidesThatAgreeAreMeasuredOnEverySeed(t *testing.T) {
	c, asked := tinyContest(t, nil)
	rounds, err := c.run(t.Context(), []int{1, 2})
	if err != nil || len(rounds) != 2 {
		t.Fatalf("%d rounds (%v)", len(rounds), err)
	}
	for i, r := range rounds {
		if r.hops != i+1 || len(r.alone) != 2 || len(r.alone[1].asked()) != 20 || len(r.many) != 2 || len(r.many[1].took) != 20 {
			t.Errorf("round %+v", r)
		}
	}
	if want := int64(2 * (3 + 20 + 20)); asked.Load() != want {
		t.Errorf("it was asked %d times, want %d", asked.Load(), want)
	}
	out := report(rounds)
	if !strings.Contains(out, "| bare | 1.00 (20) | 1.00 (20) |\n") || strings.Count(out, "| other |") != 5 {
		t.Errorf("report:\n%s", out)
	}
}

func TestASideThatIsWrongEndsTheContest(t *testing.T) {
	failed := errors.New("failed")
	for name, spoil := range map[string]func(*reachAnswer) error{
		"a count":     func(a *reachAnswer) error { a.counts[graph.KindDevice]++; return nil },
		"a kind":      func(a *reachAnswer) error { a.counts[graph.KindOther] = 0; return nil },
		"a node less": func(a *reachAnswer) error { a.first = a.first[:len(a.first)-1]; return nil },
		"the order":   func(a *reachAnswer) error { slices.Reverse(a.first); return nil },
		"a distance":  func(a *reachAnswer) error { a.first[len(a.first)-1].hops++; return nil },
		"an arrival":  func(a *reachAnswer) error { a.first[0].at++; return nil },
		"an error":    func(*reachAnswer) error { return failed },
	} {
		c, _ := tinyContest(t, spoil)
		c.warmUp, c.check = nil, nil
		_, err := c.run(t.Context(), []int{2})
		if err == nil || !strings.Contains(err.Error(), "other") || (name == "an error") != errors.Is(err, failed) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestASideThatIsWrongOnlyForManyClientsEndsTheContest(t *testing.T) {
	var asked *atomic.Int64
	c, asked := tinyContest(t, func(a *reachAnswer) error {
		if asked.Load() > 20 {
			a.counts[graph.KindDevice]++
		}
		return nil
	})
	c.warmUp = nil
	if _, err := c.run(t.Context(), []int{2}); err == nil || !strings.Contains(err.Error(), "8 clients") {
		t.Errorf("error is %v", err)
	}
}

func TestAFalseWitnessIsSeen(t *testing.T) {
	engine := newBare(readEstate(estate.Tiny()))
	beside := func(n graph.ID) []uint32 {
		at := engine.number[n]
		return engine.neighbours[engine.offsets[at]:engine.offsets[at+1]]
	}
	for name, of := range map[string]func(n reachedNode, hops map[graph.ID]int) (prev graph.ID){
		"none":             func(reachedNode, map[graph.ID]int) graph.ID { return graph.ID{} },
		"itself":           func(n reachedNode, _ map[graph.ID]int) graph.ID { return n.id },
		"of another graph": func(reachedNode, map[graph.ID]int) graph.ID { return graph.NewID(graph.KindDevice, "no node") },
		"nearer, not beside": func(n reachedNode, hops map[graph.ID]int) graph.ID {
			for id, h := range hops {
				if h == n.hops-1 && !slices.Contains(beside(n.id), engine.number[id]) {
					return id
				}
			}
			return n.id
		},
		"beside, not nearer": func(n reachedNode, hops map[graph.ID]int) graph.ID {
			for _, far := range beside(n.id) {
				if h, ok := hops[engine.ids[far]]; ok && h == n.hops {
					return engine.ids[far]
				}
			}
			return graph.ID{}
		},
	} {
		for _, seed := range engine.named(engine.seeds(20, measuredDraw)) {
			a, err := spoiled{bare: engine, asked: new(atomic.Int64)}.reach(t.Context(), seed, 2)
			if err == nil {
				err = engine.falseWitness(seed, a)
			}
			if err != nil {
				t.Fatal(err)
			}
			hops := map[graph.ID]int{seed: 0}
			for _, n := range a.first {
				hops[n.id] = n.hops
			}
			last := &a.first[len(a.first)-1]
			last.prev = of(*last, hops)
			if engine.falseWitness(seed, a) == nil {
				t.Errorf("%s: %s passes", name, last.prev)
			}
		}
	}
}

func TestTheContestChecksWitnesses(t *testing.T) {
	c, _ := tinyContest(t, func(a *reachAnswer) error { a.first[0].prev = graph.ID{}; return nil })
	if _, err := c.run(t.Context(), []int{2}); err == nil {
		t.Error("it takes an answer without a witness")
	}
}

func TestASideWithoutTimeLeftSitsOut(t *testing.T) {
	c, asked := tinyContest(t, nil)
	c.budget = 0 // one question takes more
	r := round{hops: 3}
	wanted, err := c.oneClient(t.Context(), &r)
	if err != nil || len(wanted) != 1 || asked.Load() != 1 || len(r.alone[1].asked()) != 1 {
		t.Errorf("%d answers, %d asked (%v)", len(wanted), asked.Load(), err)
	}
}

func TestRatiosAreOverTheSeedsThatBothAnswered(t *testing.T) {
	base := timed{took: []time.Duration{1, 2, 3, 0}}
	if ratio, seeds := (timed{took: []time.Duration{10, 0, 30, 40}}).against(base); ratio != 10 || seeds != 2 {
		t.Errorf("ratio %v over %d seeds", ratio, seeds)
	}
}

func TestNeo4jGivesTheSameAnswersAsTheBareSearch(t *testing.T) {
	engine := newBare(readEstate(estate.S()))
	server := newReachServer(t, engine.reachGraph, "1g", "128m")
	t.Run("and refuses less than all", func(t *testing.T) {
		more := *server
		more.reachGraph = &reachGraph{ids: engine.ids, edges: engine.edges[1:]}
		if err := more.warm(t.Context()); err == nil {
			t.Error("a relationship too many is not seen")
		}
	})
	for _, s := range append(server.sides(), byPattern{server, server.http}, byFrontiers{server, server.http}) {
		for i, seed := range engine.named(engine.seeds(12, measuredDraw)) {
			hops := 1 + i%4
			want, _ := engine.reach(t.Context(), seed, hops)
			got, err := s.reach(t.Context(), seed, hops)
			if err := (contest{check: engine.falseWitness}).accept(s, seed, got, want, err); err != nil {
				t.Errorf("%d hops: %v", hops, err)
			}
		}
	}
}

// slow answers nothing before it is told to stop.
type slow struct{ spoiled }

func (s slow) reach(ctx context.Context, _ graph.ID, _ int) (reachAnswer, error) {
	<-ctx.Done()
	return reachAnswer{}, ctx.Err()
}

func TestASideThatIsTooSlowSitsOut(t *testing.T) {
	c, _ := tinyContest(t, nil)
	c.sides[1], c.budget = slow{c.sides[1].(spoiled)}, 100*time.Millisecond
	rounds, err := c.run(t.Context(), []int{2})
	if err != nil || len(rounds) != 1 || len(rounds[0].alone[1].asked()) != 0 || len(rounds[0].many[1].asked()) != 0 {
		t.Errorf("%+v (%v)", rounds, err)
	}
}
