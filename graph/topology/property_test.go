package topology

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

var errFault = errors.New("injected fault")

// drawLimits draws tiny limits: they make every bound matter on graphs of a few nodes.
func drawLimits(t *rapid.T) limits {
	n := func(name string) int { return rapid.IntRange(1, 4).Draw(t, name) }
	return limits{nodes: n("nodes"), degree: n("degree"), fold: n("fold"), rounds: n("rounds"), turn: n("turn") - 1, batch: n("batch")}
}

// bench is a store that is written to in the middle of its followers' calls, at drawn places, by the one
// goroutine there is: a failing run can be repeated and shrunk.
type bench struct {
	t       *rapid.T
	store   graph.Store
	batches []graph.Batch // to come
	truths  map[graph.Revision]truth
	faulty  bool
	// What was met: exact snapshots, which were compared, and others, commits in the middle of a scan, faults,
	// trimmed changes and removed edges.
	checked, inexact, torn, failed, rebuilt, expired int
	// saved and loaded count restarts.
	saved, loaded int
}

func newBench(t *rapid.T, store graph.Store, units int) *bench {
	b := &bench{t: t, store: store, batches: drawBatches(t, units/2, units), truths: map[graph.Revision]truth{}}
	b.truths[0] = truth{}
	return b
}

// commit commits the next batch, if there is one, or removes edges, and keeps what the store then holds.
func (b *bench) commit() bool {
	if len(b.batches) == 0 {
		return false
	}
	if b.one(4, "expire") {
		apply(b.t, b.store, graph.Batch{Expire: b.drawExpiry()})
	} else {
		apply(b.t, b.store, b.batches[0])
		b.batches = b.batches[1:]
	}
	now := truthOf(b.t, b.store)
	b.truths[now.revision] = now
	return true
}

// drawExpiry names some of the edges that are over.
func (b *bench) drawExpiry() *graph.Expiry {
	e := &graph.Expiry{EdgesBefore: graphtest.Epoch.Add(100 * time.Hour)}
	for edge, err := range b.store.Edges(context.Background(), view, graph.EdgeQuery{}) {
		if edge = must(edge, err)(b.t); edge.Over(e.EdgesBefore, e.CredentialLife) && b.one(3, "over") {
			e.Edges, b.expired = append(e.Edges, edge.Key()), b.expired+1
		}
	}
	return e
}

func (b *bench) one(of int, what string) bool { return rapid.IntRange(1, of).Draw(b.t, what) == 1 }

// follower is a topology that the test moves by hand.
func (b *bench) follower() *Topology {
	source := &hooked{Source: b.store, page: rapid.IntRange(1, 3).Draw(b.t, "page")}
	source.before = func(context.Context, string) error {
		if b.one(12, "commit during the call") {
			b.commit()
		}
		if b.faulty && b.one(12, "fail") {
			b.failed++
			return errFault
		}
		return nil
	}
	source.tear = func() bool {
		if !b.one(2, "tear") || !b.commit() {
			return false
		}
		b.torn++
		return true
	}
	source.hides = func() hidden { return hidden(rapid.IntRange(0, 2).Draw(b.t, "hides")) }
	o := Options{Grade: facts, History: b.one(2, "history"), limits: drawLimits(b.t), Poll: rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(b.t, "poll")}
	return newTopology(source, graphtest.Tenant, o)
}

// restart ends a follower and begins another from its file.
func (b *bench) restart(f *Topology) *Topology {
	s := f.toSave()
	if s != nil {
		b.saved++
		must(0, s.save(context.Background(), f.options.File))(b.t)
	}
	again := newTopology(f.source, graphtest.Tenant, f.options)
	w, err := again.open(context.Background())
	if err != nil && !errors.Is(err, errFault) {
		b.t.Fatalf("opening: %v", err)
	}
	if again.work = w; w == nil {
		return again
	}
	b.loaded++
	if s != nil && !sameMaps(w.picture, f.work.picture) {
		b.t.Fatalf("what is read is\n%+v, want\n%+v", w.picture, f.work.picture)
	}
	return again
}

// advance has the follower poll once and checks what it shows.
func (b *bench) advance(f *Topology) {
	switch err := f.advance(context.Background()); {
	case errors.Is(err, graph.ErrTooOld):
		b.rebuilt++
	case err != nil && !errors.Is(err, errFault):
		b.t.Fatalf("polling: %v", err)
	}
	b.check(f)
}

func (b *bench) check(f *Topology) {
	switch s := f.shown; {
	case s == nil:
	case s.Exact:
		b.checked++
		compare(b.t, b.truths[s.Revision], s)
	default:
		b.inexact++
	}
}

// settle commits the rest and has the followers poll until they are there.
func (b *bench) settle(followers []*Topology) {
	for b.commit() {
	}
	b.faulty = false
	last := must(b.store.Position(context.Background(), view))(b.t).Revision
	for _, f := range followers {
		for range 3000 {
			if f.shown != nil && f.shown.Revision == last && f.shown.Exact {
				break
			}
			b.advance(f)
		}
		compare(b.t, b.truths[last], f.shown)
	}
}

func TestFollowersOfAStoreThatIsWrittenToAndFailsEndEqualToIt(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		got := follow(t, func(t *rapid.T) graph.Store {
			return openStore(t, rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "keep"))
		})
		if got.rebuilt == 0 {
			t.Error("no run had to rebuild")
		}
	})
	// The model names no node too many in its changes, and trims none.
	t.Run("model", func(t *testing.T) {
		follow(t, func(*rapid.T) graph.Store { return graphtest.NewModel(time.Now) })
	})
}

// follow runs the property and counts what it met.
func follow(t *testing.T, open func(t *rapid.T) graph.Store) (total bench) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, open(t), 30)
		defer b.store.Close()
		b.faulty = rapid.Bool().Draw(t, "faulty")
		followers := []*Topology{b.follower(), b.follower()}
		followers[1].options.File = filepath.Join(dir, fmt.Sprint(runs))
		runs++
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			switch i := rapid.IntRange(0, 3).Draw(t, "who"); i {
			case 2:
				b.commit()
			case 3:
				followers[1] = b.restart(followers[1])
			default:
				b.advance(followers[i])
			}
		}
		b.settle(followers)
		followers[1] = b.restart(followers[1])
		b.settle(followers)
		total.saved, total.loaded = total.saved+b.saved, total.loaded+b.loaded
		total.checked, total.inexact, total.torn = total.checked+b.checked, total.inexact+b.inexact, total.torn+b.torn
		total.failed, total.rebuilt, total.expired = total.failed+b.failed, total.rebuilt+b.rebuilt, total.expired+b.expired
	})
	t.Logf("%d exact and %d other snapshots, %d torn scans, %d faults, %d rebuilds, %d edges removed, saved %d times, loaded %d",
		total.checked, total.inexact, total.torn, total.failed, total.rebuilt, total.expired, total.saved, total.loaded)
	if total.saved == 0 || total.loaded == 0 || total.inexact == 0 || total.torn == 0 || total.failed == 0 || total.expired == 0 {
		t.Error("the runs did not meet what they are for")
	}
	return total
}
