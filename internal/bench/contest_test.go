package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clew-security/clew/graph"
)

// manyClients ask at the same time in the second part of a contest.
const manyClients = 8

// contest asks sides the same questions.
type contest struct {
	// sides, of which the first is the one that ratios are against.
	sides []side
	// seeds are measured, warmUp are other ones that are not.
	seeds, warmUp []graph.ID
	// check looks at an answer with witnesses; nil where there is nothing to look for.
	check func(seed graph.ID, a reachAnswer) error
	// budget is how long one side may take for one depth with one client, after which it sits out, and for one question.
	// With many clients it asks nothing more after a quarter of that.
	budget time.Duration
	// enough is how long many clients go on, once they have asked about all seeds.
	enough time.Duration
}

// round is what one depth gave for all sides, in their order.
type round struct {
	hops        int
	alone, many []timed
}

// timed is what one side took.
type timed struct {
	side string
	// took by seed; zero for one that was not asked about, or not answered. With many clients: of each question that was
	// answered, in no order.
	took []time.Duration
	wall time.Duration
}

// run asks for the depths in turn. It returns the first error, of a side or where sides disagree, and the rounds before.
func (c contest) run(ctx context.Context, depths []int) (out []round, err error) {
	for _, hops := range depths {
		if err := c.warm(ctx, hops); err != nil {
			return nil, err
		}
	}
	for _, hops := range depths {
		r := round{hops: hops}
		wanted, err := c.oneClient(ctx, &r)
		for _, s := range c.sides {
			if err == nil {
				err = c.clients(ctx, &r, s, wanted)
			}
		}
		if err != nil {
			return out, fmt.Errorf("%d hops: %w", hops, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// warm lets every side answer without being measured, and asks nothing more after an eighth of its budget: a virtual machine compiles
// what is asked often, plans are made, pages read.
func (c contest) warm(ctx context.Context, hops int) error {
	for _, s := range c.sides {
		began := time.Now()
		for _, seed := range c.warmUp {
			if time.Since(began) > c.budget/8 {
				break
			}
			if _, _, err := c.ask(ctx, s, seed, hops); errors.Is(err, errLate) {
				break
			} else if err != nil {
				return fmt.Errorf("%s, warming up: %w", s.name(), err)
			}
		}
	}
	return nil
}

// inTurn is how many seeds one side is asked about before it is the next side's turn: what others leave of the
// processors' caches then counts little, as in a service that answers more than one question.
const inTurn = 20

// oneClient asks about one seed after the other; the sides take turns, in changing order, so that what else runs on the
// machine falls on all alike. It returns the answers on which they agree.
func (c contest) oneClient(ctx context.Context, r *round) (wanted []reachAnswer, err error) {
	for _, s := range c.sides {
		r.alone = append(r.alone, timed{side: s.name(), took: make([]time.Duration, len(c.seeds))})
	}
	for first := 0; first < len(c.seeds); first += inTurn {
		wants := make([]*reachAnswer, min(inTurn, len(c.seeds)-first))
		for j := range c.sides {
			if err := c.turn(ctx, r, (first/inTurn+j)%len(c.sides), first, wants); err != nil {
				return nil, err
			}
		}
		for _, w := range wants {
			if w == nil { // no side has time left
				return wanted, nil
			}
			wanted = append(wanted, *w)
		}
	}
	return wanted, nil
}

// turn asks a side about the seeds from the first on, as many as wants has places for, and then holds its answers against
// those of the sides before.
func (c contest) turn(ctx context.Context, r *round, j, first int, wants []*reachAnswer) error {
	t, answers := &r.alone[j], []reachAnswer{}
	for i := first; i < first+len(wants) && t.wall <= c.budget; i++ {
		a, took, err := c.ask(ctx, c.sides[j], c.seeds[i], r.hops)
		if errors.Is(err, errLate) { // it sits out
			t.wall += took
			break
		}
		if err != nil {
			return c.accept(c.sides[j], c.seeds[i], a, a, err)
		}
		t.took[i] = took
		t.wall += took
		answers = append(answers, a)
	}
	for k := range answers {
		if wants[k] == nil {
			wants[k] = &answers[k]
		}
		if err := c.accept(c.sides[j], c.seeds[first+k], answers[k], *wants[k], nil); err != nil {
			return err
		}
	}
	return nil
}

// accept says why an answer is not one.
func (c contest) accept(s side, seed graph.ID, a, want reachAnswer, err error) error {
	if err == nil {
		err = a.differs(want)
	}
	if err == nil && s.witnesses() && c.check != nil {
		err = c.check(seed, a)
	}
	if err != nil {
		return fmt.Errorf("%s from %s: %w", s.name(), seed, err)
	}
	return nil
}

// manySeeds is about how many of the seeds many clients ask.
const manySeeds = 64

// clients lets manyClients of a side ask about the same seeds, pass after pass, until it was enough.
func (c contest) clients(ctx context.Context, r *round, s side, wanted []reachAnswer) error {
	t, began := timed{side: s.name()}, time.Now()
	for first := true; first || time.Since(began) < c.enough; first = false {
		took, err := c.pass(ctx, r.hops, s, wanted[:min(manySeeds, len(wanted))])
		if err != nil {
			return err
		}
		t.took = append(t.took, took...)
	}
	t.wall = time.Since(began)
	r.many = append(r.many, t)
	return nil
}

// pass asks about every seed once, or about the first of them where the time is over.
func (c contest) pass(ctx context.Context, hops int, s side, wanted []reachAnswer) ([]time.Duration, error) {
	var all sync.WaitGroup
	var next atomic.Int64
	took, faults := make([]time.Duration, len(wanted)), make([]error, len(wanted))
	over := time.Now().Add(c.budget / 4)
	for range manyClients {
		all.Go(func() {
			for time.Now().Before(over) {
				i := int(next.Add(1)) - 1
				if i >= len(wanted) {
					return
				}
				a, t, err := c.ask(ctx, s, c.seeds[i], hops)
				if errors.Is(err, errLate) {
					return
				}
				took[i], faults[i] = t, c.accept(s, c.seeds[i], a, wanted[i], err)
			}
		})
	}
	all.Wait()
	for _, err := range faults {
		if err != nil {
			return nil, fmt.Errorf("%d clients: %w", manyClients, err)
		}
	}
	return slices.DeleteFunc(took, func(d time.Duration) bool { return d == 0 }), nil
}

// errLate is the error of a side that did not answer within the budget.
var errLate = errors.New("no answer within the budget")

// ask waits no longer than the budget.
func (c contest) ask(ctx context.Context, s side, seed graph.ID, hops int) (reachAnswer, time.Duration, error) {
	asking, stop := context.WithTimeout(ctx, c.budget)
	defer stop()
	began := time.Now()
	a, err := s.reach(asking, seed, hops)
	if err != nil && ctx.Err() == nil && errors.Is(asking.Err(), context.DeadlineExceeded) {
		err = errLate
	}
	return a, time.Since(began), err
}

// falseWitness looks for a node whose prev is not beside it, one hop nearer to the seed; the distances are to be right.
func (b *bare) falseWitness(seed graph.ID, a reachAnswer) error {
	if len(a.first) == 0 {
		return nil
	}
	s := b.idle.get()
	defer b.idle.put(s)
	defer s.forget()
	b.search(s, b.number[seed], a.first[len(a.first)-1].hops)
	hops := make(map[uint32]int, len(s.reached))
	for i, h := 0, 0; i < len(s.reached); i++ {
		for i == s.ends[h] {
			h++
		}
		hops[s.reached[i]] = h
	}
	for _, n := range a.first {
		prev, ok := b.number[n.prev]
		at := b.number[n.id]
		if h, reached := hops[prev]; !ok || !reached || h != n.hops-1 || !slices.Contains(b.neighbours[b.offsets[at]:b.offsets[at+1]], prev) {
			return fmt.Errorf("%s at %d hops has %s before it", n.id, n.hops, n.prev)
		}
	}
	return nil
}
