package traverse_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// asking is one of the questions: its answer as text, and whether that is said to be all there is. What is asked as of an
// instant is asked of then.
type asking struct {
	name string
	ask  func(ctx context.Context, on, then traverse.Ground) (text string, complete bool, err error)
}

// everyQuestion is asked of the estate.
func everyQuestion() []asking {
	q := traverse.Question{Sources: []graph.ID{device("host")}, MaxHops: 6}
	responses := []traverse.Response{{Action: graph.ActionIsolateDevice, Entity: device("jump")}, {Action: graph.ActionDisableUser, Entity: identity("u-000")}}
	return []asking{
		{"blast radius", func(ctx context.Context, on, _ traverse.Ground) (string, bool, error) {
			a, err := traverse.BlastRadius(ctx, on, q)
			if err != nil {
				return "", false, err
			}
			return textOf(a), a.Completeness.Complete, nil
		}},
		{"paths", func(ctx context.Context, on, _ traverse.Ground) (string, bool, error) {
			p, err := traverse.Paths(ctx, on, q, device("c-001"), 4)
			return fmt.Sprintf("%+v", p.Routes), p.Completeness.Complete, err
		}},
		{"choke points", func(ctx context.Context, on, _ traverse.Ground) (string, bool, error) {
			a, err := traverse.BlastRadius(ctx, on, q)
			if err != nil {
				return "", false, err
			}
			defer a.Release()
			points, err := a.ChokePoints(ctx, 5)
			complete := a.Completeness.Complete
			for _, p := range points {
				complete = complete && p.Complete
			}
			return fmt.Sprintf("%+v", points), complete, err
		}},
		{"containment", func(ctx context.Context, on, _ traverse.Ground) (string, bool, error) {
			c, err := traverse.Contain(ctx, on, q, responses)
			if err != nil {
				return "", false, err
			}
			complete := c.Before.Completeness.Complete && c.After.Completeness.Complete
			text := fmt.Sprint(c.CutOff, c.CutOffWeight, idsOf(c.List(nil, 100)))
			return text + textOf(c.Before) + textOf(c.After), complete, nil
		}},
		{"plan", func(ctx context.Context, on, _ traverse.Ground) (string, bool, error) {
			p, err := traverse.PlanContainment(ctx, on, traverse.PlanQuestion{Question: q, Spared: []graph.ID{identity("boss")}})
			return fmt.Sprint(p.Responses, p.Targets, p.LowerBound, idsOf(p.Remaining)), p.Exact && p.Completeness.Complete, err
		}},
		{"diff", func(ctx context.Context, on, then traverse.Ground) (string, bool, error) {
			d, err := traverse.Compare(ctx, then, on, q, at(4), time.Time{})
			if err != nil {
				return "", false, err
			}
			text := fmt.Sprint(idsOf(d.Added(nil, 100)), idsOf(d.Removed(nil, 100)))
			complete := d.Earlier.Completeness.Complete && d.Later.Completeness.Complete
			return text + textOf(d.Earlier) + textOf(d.Later), complete, nil
		}},
	}
}

// textOf tells all that an answer has but what it took, and releases it.
func textOf(a *traverse.Answer) string {
	whole := told(a)
	return fmt.Sprintf("%v %d %d %+v %+v %+v", whole.Sources, whole.Score, whole.WeightedScore, whole.Targets, whole.Hops, whole.Hubs)
}

func idsOf(list []traverse.Target) (out []graph.ID) {
	for _, t := range list {
		out = append(out, t.ID)
	}
	return out
}

// fortress has what a question can meet: accounts on a host that administer critical devices, doubles, a group, a hub,
// processes by which an isolation reaches, and an edge that is new.
func fortress() *memory {
	var edges []graph.Edge
	for i := range 3 {
		user := identity(named("u", i))
		edges = append(edges, edge(graph.EdgeLoggedOn, user, device("host"), 1, 9), edge(graph.EdgeAdminOf, user, device(named("c", i)), 1+3*i, 9))
	}
	jump, hub := device("jump"), file("hub")
	edges = append(edges,
		edge(graph.EdgeAdminOf, identity("u-000"), jump, 1, 9), edge(graph.EdgeMemberOf, identity("u-001"), group("g"), 1, 9),
		edge(graph.EdgeAdminOf, group("g"), jump, 1, 9), edge(graph.EdgeAdminOf, group("g"), device("c-001"), 2, 9),
		edge(graph.EdgeRan, id(graph.KindProcess, "p"), jump, 1, 9), edge(graph.EdgeConnectedTo, id(graph.KindProcess, "p"), id(graph.KindCloudApplication, "app"), 1, 9),
		edge(graph.EdgeLoggedOn, identity("boss"), jump, 1, 9), edge(graph.EdgeAdminOf, identity("boss"), device("c-003"), 1, 9),
		graph.Edge{Kind: graph.EdgePossiblySame, From: device("weak"), To: device("c-003")},
		edge(graph.EdgeLoggedOn, identity("last"), device("weak"), 1, 9), edge(graph.EdgeAdminOf, identity("last"), device("end"), 1, 9),
		edge(graph.EdgeDelivered, hub, device("c-002"), 1, 9), edge(graph.EdgeOwns, identity("u-002"), hub, 1, 9),
	)
	for i := range 120 {
		edges = append(edges, edge(graph.EdgePresentOn, hub, device(named("d", i)), 1, 9))
	}
	m := newMemory(edges...)
	for i := range 4 {
		m.grades[device(named("c", i))] = graph.CriticalityHigh
	}
	return m
}

// ending is a context that ends when it is told to.
type ending struct {
	context.Context
	err error
}

func (e *ending) Err() error { return e.err }

// faulty is a reader that does something at its n-th call, and then fails or goes on.
type faulty struct {
	*memory
	calls, at int
	fault     func() error
}

func (f *faulty) call() error {
	if f.calls++; f.calls == f.at {
		return f.fault()
	}
	return nil
}

func (f *faulty) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if err := f.call(); err != nil {
		return nil, err
	}
	return f.memory.Entities(ctx, v, q)
}

// Edges fails behind the first edge: what was read of a query that failed must not pass for all of it.
func (f *faulty) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	err := f.call()
	return func(yield func(graph.Edge, error) bool) {
		for e := range f.memory.Edges(ctx, v, q) {
			if !yield(e, nil) {
				return
			}
			if err != nil {
				break
			}
		}
		if err != nil {
			yield(graph.Edge{}, err)
		}
	}
}

func (f *faulty) stored() traverse.Ground {
	return traverse.Stored(f, graph.View{Tenant: "t"}, graph.Criticalities{})
}

var errBroken = errors.New("disk is broken")

// Whichever call fails, or is the one at which the caller goes or time runs out: the question ends with that error, or
// says that its answer is not all, and the next one is answered as ever.
func TestWhicheverCallOfTheStoreFailsNoAnswerPassesForWhole(t *testing.T) {
	m := fortress()
	for _, q := range everyQuestion() {
		counter := &faulty{memory: m}
		whole, complete, err := q.ask(t.Context(), counter.stored(), counter.stored())
		if err != nil || !complete || counter.calls < 5 {
			t.Fatalf("%s: %d calls, complete %v (%v)", q.name, counter.calls, complete, err)
		}
		ends := map[string]int{}
		for at := 1; at <= counter.calls; at++ {
			for _, fault := range []error{errBroken, context.Canceled, context.DeadlineExceeded} {
				for _, goesOn := range []bool{false, true} {
					ctx := &ending{Context: t.Context()}
					f := &faulty{memory: m, at: at, fault: func() error {
						if fault != errBroken {
							ctx.err = fault
						}
						if goesOn && fault != errBroken {
							return nil
						}
						return fmt.Errorf("store: %w", fault)
					}}
					got, complete, err := q.ask(ctx, f.stored(), f.stored())
					switch {
					case err != nil && errors.Is(err, fault):
						ends["error"]++
					case err != nil:
						t.Errorf("%s, %v at call %d: %v", q.name, fault, at, err)
					case complete && got == whole && (goesOn && fault != errBroken || fault == context.DeadlineExceeded):
						ends["whole"]++
					case complete || fault != context.DeadlineExceeded:
						t.Errorf("%s, %v at call %d of %d: complete %v\n%s\nwant\n%s", q.name, fault, at, counter.calls, complete, got, whole)
					default:
						ends["part"]++
					}
					if again, complete, err := q.ask(t.Context(), m.stored(), m.stored()); err != nil || !complete || again != whole {
						t.Fatalf("%s after %v at call %d: %s (%v)\nwant\n%s", q.name, fault, at, again, err, whole)
					}
				}
			}
		}
		t.Logf("%s: %d calls, %v", q.name, counter.calls, ends)
		if ends["error"] == 0 || ends["part"] == 0 {
			t.Errorf("%s: %v", q.name, ends)
		}
	}
}

// In memory there are no calls: the context ends at some look at it, the first among them.
func TestWheneverTheContextEndsInMemoryNoAnswerPassesForWhole(t *testing.T) {
	m := fortress()
	for _, q := range everyQuestion() {
		whole, complete, err := q.ask(t.Context(), m.held(), m.stored())
		if err != nil || !complete {
			t.Fatalf("%s: complete %v (%v)", q.name, complete, err)
		}
		for _, fault := range []error{context.Canceled, context.DeadlineExceeded} {
			ended := true
			for looks := int64(0); ended; looks++ {
				ctx := &fading{Context: t.Context(), most: looks, err: fault}
				got, complete, err := q.ask(ctx, m.held(), m.stored())
				ended = ctx.looks.Load() > looks
				switch {
				case err != nil && !errors.Is(err, fault):
					t.Errorf("%s, %v after %d looks: %v", q.name, fault, looks, err)
				case err == nil && complete && got != whole, err == nil && !complete && fault == context.Canceled, !ended && err != nil:
					t.Errorf("%s, %v after %d looks: complete %v, %s (%v)\nwant\n%s", q.name, fault, looks, complete, got, err, whole)
				case looks == 0 && err == nil && complete:
					t.Errorf("%s is answered whole though %v", q.name, fault)
				}
				if again, complete, err := q.ask(t.Context(), m.held(), m.stored()); err != nil || !complete || again != whole {
					t.Fatalf("%s after %v: %s (%v)\nwant\n%s", q.name, fault, again, err, whole)
				}
			}
		}
	}
}

// So does a context of the usual kind that has ended before, on either ground.
func TestAContextThatHasEndedBeforeEndsEveryQuestion(t *testing.T) {
	m := fortress()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for _, q := range everyQuestion() {
		for name, on := range map[string]traverse.Ground{"held": m.held(), "stored": m.stored()} {
			if _, _, err := q.ask(cancelled, on, m.stored()); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %s, cancelled: %v", q.name, name, err)
			}
			if text, complete, err := q.ask(late, on, m.stored()); complete || err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, %s, too late: %s (%v)", q.name, name, text, err)
			}
		}
	}
}
