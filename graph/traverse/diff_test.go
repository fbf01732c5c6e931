package traverse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
)

func TestADiffIsWhatIsReachedAtOneInstantAndNotAtTheOther(t *testing.T) {
	s := graphtest.NewModel(graphtest.NewClock().Now)
	observe := func(kind graph.Kind, typ graph.KeyType, value string) graph.EntityObservation {
		o, _ := evidence(t, kind, typ, value, `{}`)
		return o
	}
	ann := observe(graph.KindIdentity, graph.KeyUserPrincipalName, "ann@contoso.com")
	old, fresh := observe(graph.KindDevice, graph.KeyMdeDeviceID, "old"), observe(graph.KindDevice, graph.KeyMdeDeviceID, "new")
	admin := func(to graph.EntityObservation, first time.Time, ended time.Time) graph.EdgeObservation {
		return graph.EdgeObservation{Kind: graph.EdgeAdminOf, From: ann.ID(), To: to.ID(), FirstSeen: first, LastSeen: first, EndedAt: ended,
			Observation: graph.NewID(graph.KindObservation, to.ID().String())}
	}
	day := graphtest.Epoch
	if _, err := s.Apply(t.Context(), graphtest.Tenant, graph.Batch{
		Entities: []graph.EntityObservation{ann, old, fresh},
		Edges:    []graph.EdgeObservation{admin(old, day, day.Add(2*time.Hour)), admin(fresh, day.Add(2*time.Hour), time.Time{})},
	}); err != nil {
		t.Fatal(err)
	}
	on := traverse.Stored(s, graph.View{Tenant: graphtest.Tenant}, graph.Criticalities{})
	q := traverse.Question{Sources: []graph.ID{ann.ID()}, Start: day.Add(3 * time.Hour)}
	d, err := traverse.Compare(t.Context(), on, on, q, day.Add(time.Hour), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	if got := d.Added(nil, 10); len(got) != 1 || got[0].ID != fresh.ID() {
		t.Errorf("added %+v", got)
	}
	if got := d.Removed(nil, 10); len(got) != 1 || got[0].ID != old.ID() {
		t.Errorf("removed %+v", got)
	}
	var both sync.WaitGroup
	for range 1000 { // whoever locks the two answers in another order would wait for ever
		both.Go(func() { d.Added(nil, 10) })
		both.Go(func() { d.Removed(nil, 10) })
	}
	both.Wait()
	if d.Earlier.Score != 1 || d.Later.Score != 1 {
		t.Errorf("scores %d and %d", d.Earlier.Score, d.Later.Score)
	}
	for _, c := range [][2]time.Time{{}, {day, day}, {day.Add(1), day}} {
		if _, err := traverse.Compare(t.Context(), on, on, q, c[0], c[1]); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// Answers at two instants, of two grounds, differ by the same.
func TestADiffInMemoryIsThatOfTheStore(t *testing.T) {
	var added, removed int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		if q.AsOf.IsZero() {
			return
		}
		if m := r.IntN(16); !q.Timeless {
			q.Start = at(m) // late enough for what has ended to matter
		}
		m := newMemory(edges...)
		earlier, now := q.AsOf, []time.Time{{}, q.AsOf.Add(time.Duration(1+r.IntN(5)) * time.Minute)}[r.IntN(2)]
		if r.IntN(2) == 0 {
			q.Budget = traverse.Budget{Nodes: 1 + r.IntN(12), Edges: 1 + r.IntN(40)}
		}
		var got [2]string
		for i, on := range []traverse.Ground{m.held(), m.stored()} {
			d, err := traverse.Compare(t.Context(), on, on, q, earlier, now)
			if err != nil {
				t.Fatal(err)
			}
			plus, minus := idsOf(d.Added(nil, 100)), idsOf(d.Removed(nil, 100))
			added, removed = added+len(plus), removed+len(minus)
			got[i] = fmt.Sprintf("%v %v %+v %+v", plus, minus, told(d.Earlier), told(d.Later))
		}
		if d := cmp.Diff(got[0], got[1]); d != "" {
			t.Fatal(d)
		}
	})
	t.Logf("%d added, %d removed", added, removed)
	if added == 0 || removed == 0 {
		t.Error("the random graphs exercise too little")
	}
}

// subtracted are what one enumeration reaches and another does not, but for sources and what is the same.
func subtracted(a, b map[graph.ID][]held) (out []graph.ID) {
	for n, hs := range a {
		if _, there := b[n]; !there && nearest(hs).hops > 0 {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return out
}

// paged lists by pages, and checks that they are in order.
func paged(t *rapid.T, list func(*traverse.Target, int) []traverse.Target) (out []graph.ID) {
	var last *traverse.Target
	for {
		page := list(last, 2)
		for _, x := range page {
			if last != nil && (x.Hops < last.Hops || x.Hops == last.Hops && x.Arrival.Before(last.Arrival)) {
				t.Fatalf("%+v comes behind %+v", x, last)
			}
			out, last = append(out, x.ID), &x
		}
		if len(page) < 2 {
			slices.SortFunc(out, graph.ID.Compare)
			return out
		}
	}
}

func TestADiffIsOneAnswerWithoutTheOther(t *testing.T) {
	var added, removed, early int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		if !q.AsOf.IsZero() { // edges of several sightings are none of seenBy's
			return
		}
		m := newMemory(edges...)
		if r.IntN(2) == 0 && !q.Timeless { // what ended by then and had not earlier
			q.Start = at(6 + r.IntN(6))
		}
		then, now := at(1+r.IntN(6)), at(0)
		if r.IntN(4) == 0 {
			then = time.Unix(0, 0) // before everything that has an instant
		}
		if r.IntN(2) == 0 {
			now = then.Add(time.Duration(r.IntN(5)) * time.Minute).Add(time.Nanosecond) // at times the same, in microseconds
		}
		as := func(at time.Time) map[graph.ID][]held {
			var seen []graph.Edge
			for _, e := range edges {
				if e, there := seenBy(e, graph.Micro(at)); there {
					seen = append(seen, e)
				}
			}
			return enumerate(seen, q)
		}
		wantAdded, wantRemoved := subtracted(as(now), as(then)), subtracted(as(then), as(now))
		if !now.IsZero() {
			if _, err := traverse.Compare(t.Context(), m.stored(), m.stored(), q, now, then); !errors.Is(err, graph.ErrInvalid) {
				t.Fatalf("the later instant first: %v", err)
			}
		}
		for _, on := range []traverse.Ground{m.stored(), m.held()} {
			d, err := traverse.Compare(t.Context(), on, on, q, then, now)
			if err != nil {
				t.Fatal(err)
			}
			if got := paged(t, d.Added); !slices.Equal(got, wantAdded) {
				t.Fatalf("from %v to %v there are added %v, want %v", then, now, got, wantAdded)
			}
			if got := paged(t, d.Removed); !slices.Equal(got, wantRemoved) {
				t.Fatalf("from %v to %v there are removed %v, want %v", then, now, got, wantRemoved)
			}
			d.Release()
		}
		added, removed = added+len(wantAdded), removed+len(wantRemoved)
		if then.Year() < 2000 {
			early += len(wantAdded)
		}
		if graph.Micro(now).Equal(then) && len(wantAdded)+len(wantRemoved) > 0 {
			t.Fatal("something changed at one instant")
		}
	})
	t.Logf("%d added, %d of them since before everything, %d removed", added, early, removed)
	if added == 0 || removed == 0 || early == 0 {
		t.Error("the random graphs exercise too little")
	}
}

// What one side may not have come to is not told of the other.
func TestADiffTellsNothingThatALimitMayHaveHidden(t *testing.T) {
	var told int
	worlds(t, func(t *rapid.T, r *rand.Rand, edges []graph.Edge, q traverse.Question) {
		m, then := newMemory(edges...), at(1+r.IntN(6))
		whole, err := traverse.Compare(t.Context(), m.stored(), m.stored(), q, then, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Release()
		q.Budget = traverse.Budget{Nodes: 1 + r.IntN(8), Edges: 1 + r.IntN(20)}
		d, err := traverse.Compare(t.Context(), m.stored(), m.stored(), q, then, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Release()
		for _, x := range []struct{ some, all []graph.ID }{{paged(t, d.Added), paged(t, whole.Added)}, {paged(t, d.Removed), paged(t, whole.Removed)}} {
			for _, n := range x.some {
				if told++; !slices.Contains(x.all, n) {
					t.Fatalf("%s did not change", n)
				}
			}
		}
	})
	if told == 0 {
		t.Error("the random budgets never left anything to tell")
	}
}
