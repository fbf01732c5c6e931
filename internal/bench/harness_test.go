package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/estate"
)

func TestTurnsHoldEveryBatchOnceUpToTheLimit(t *testing.T) {
	size := estate.Options{Seed: 1, Devices: 150}
	var want []string
	for b := range estate.Batches(size) {
		want = append(want, b.Key)
	}
	for _, most := range []int{0, 1, turn, turn + 3, len(want), len(want) + 5} {
		n := 0
		for batches := range turns(size, most) {
			for _, b := range batches {
				if b.Key != want[n] {
					t.Fatalf("at most %d: batch %d is %s", most, n, b.Key)
				}
				n++
			}
		}
		if expected := len(want); n != expected && n != most || (most == 0 && n != expected) {
			t.Errorf("at most %d: %d batches of %d", most, n, expected)
		}
	}
}

// recorder is a contestant that keeps the keys it is given.
func recorder(keys map[string]int, fault error) *contestant {
	return &contestant{
		name: byHandName, pids: []int{0},
		commit: func(_ context.Context, _ graph.TenantID, b graph.Batch) error { keys[b.Key]++; return nil },
		check:  func(context.Context, int, int) error { return fault },
	}
}

func TestEveryContestantGetsTheSameBatchesAndThenSomeOfThemAgain(t *testing.T) {
	a, b := map[string]int{}, map[string]int{}
	size := estate.Options{Seed: 1, Devices: 150}
	rows, entities, err := compete(t.Context(), []*contestant{recorder(a, nil), recorder(b, nil)}, size, 0)
	if err != nil || entities < 500 || len(a) != len(b) {
		t.Fatalf("%d and %d keys, %d entities (%v)", len(a), len(b), entities, err)
	}
	for key, n := range a {
		want := 2 // once and replayed
		if strings.HasSuffix(key, "/again") {
			want = 1
		}
		if n != want || b[key] != n {
			t.Errorf("%s: %d and %d times, want %d", key, n, b[key], want)
		}
	}
	if out := table(rows); strings.Count(out, "\n") != 3 || !strings.Contains(out, "1.00") {
		t.Errorf("table:\n%s", out)
	}
}

func TestAContestantThatLostSomethingEndsTheBenchmark(t *testing.T) {
	lost := errors.New("lost")
	if _, _, err := compete(t.Context(), []*contestant{recorder(map[string]int{}, lost)}, estate.Tiny(), 0); !errors.Is(err, lost) {
		t.Errorf("error is %v", err)
	}
}

func TestLatenciesGiveTheirShares(t *testing.T) {
	var m measured
	for i := 100; i > 0; i-- {
		m.latencies = append(m.latencies, time.Duration(i)*time.Millisecond)
	}
	if m.at(0.5) != 50*time.Millisecond || m.at(0.99) != 99*time.Millisecond || m.wall() != 5050*time.Millisecond {
		t.Errorf("p50 %v, p99 %v, sum %v", m.at(0.5), m.at(0.99), m.wall())
	}
}

func TestNamesBecomeLabelsAndTypes(t *testing.T) {
	for _, r := range graph.EdgeKinds() {
		if name := relationship(r.Kind); name != strings.ToUpper(name) || strings.ReplaceAll(name, "_", "") != strings.ToUpper(r.Name) {
			t.Errorf("%s becomes %s", r.Name, name)
		}
	}
	if relationship(graph.EdgeSignedInFrom) != "SIGNED_IN_FROM" || label(graph.KindIPAddress) != "IpAddress" {
		t.Errorf("%s, %s", relationship(graph.EdgeSignedInFrom), label(graph.KindIPAddress))
	}
}
