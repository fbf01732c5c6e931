package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// A store that has read what exists, and asks no more for what does not, answers like the model. What it
// forgot to learn it would take for new.
func TestAStoreThatLearnedWhatExistsStaysRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := graphtest.NewClock()
		model, fs := graphtest.NewModel(clock.Now), vfs.NewMem()
		s := openAt(t, Options{FS: fs, Clock: clock.Now})
		units := rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), 2, 12).Draw(t, "units")
		batches := graphtest.Group(t, units, graphtest.UnionDecider{})
		cut := rapid.IntRange(0, len(batches)-1).Draw(t, "reopen after")
		for i, b := range batches {
			if i == cut {
				if err := s.Close(); err != nil {
					t.Fatalf("closing: %v", err)
				}
				s = openAt(t, Options{FS: fs, Clock: clock.Now})
				memory := s.tenant(graphtest.Tenant).memory
				if err := (view{context.Background(), s.db, keysOf(graphtest.Tenant)}).teach(memory.Learner()); err != nil || !memory.Complete() {
					t.Fatalf("learning: %v", err)
				}
			}
			clock.Move(time.Second)
			want, err := model.Apply(context.Background(), graphtest.Tenant, b)
			if err != nil {
				t.Fatalf("model: %v", err)
			}
			if got, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil || got != want {
				t.Fatalf("batch %d: %+v, %v, the model says %+v", i, got, err, want)
			}
		}
		verifyRows(t, s, graphtest.Tenant)
		a, b := contentDigest(t, model), contentDigest(t, s)
		if a != b {
			t.Fatalf("digest %s, the model has %s", b, a)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("closing: %v", err)
		}
	})
}

func contentDigest(t fataler, r graph.Reader) string {
	d, err := graph.Digest(context.Background(), r, graph.View{Tenant: graphtest.Tenant})
	if err != nil {
		t.Fatalf("digest: %v", err)
	}
	return d
}

// After a few commits an opened store reads what exists, and stops doing so when it closes.
func TestLearningBeginsAfterAFewCommits(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, Options{FS: fs})
	for i := range 3 {
		if _, err := s.Apply(context.Background(), "contoso", logonBatch(i, 50)); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	s = openAt(t, Options{FS: fs})
	defer closeStore(t, s)
	memory := s.tenant("contoso").memory
	for i := range learnAfter {
		if memory.Complete() {
			t.Fatalf("learned after %d commits", i)
		}
		if _, err := s.Apply(context.Background(), "contoso", logonBatch(10+i, 50)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); !memory.Complete(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was learned")
		}
	}
}
