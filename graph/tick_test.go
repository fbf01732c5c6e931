package graph_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

func TestTicksIncreaseWhateverTheWallClockDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var last graph.Tick
		for range 20 {
			wall := epoch.Add(time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "wall")) * time.Second)
			n := rapid.IntRange(0, 3).Draw(t, "items")
			first, now := graph.NextTicks(wall, last, n)
			if n > 0 && (first <= last || first < graph.TickOf(wall) || now != first+graph.Tick(n)-1) {
				t.Fatalf("after %d at %v: %d to %d", last, wall, first, now)
			}
			if n == 0 && now != last {
				t.Fatal("a commit without items moved the clock")
			}
			last = now
		}
	})
}

// After a bounded read no tick below its bound is ever given.
func TestABoundIsKeptByLaterTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := func(label string) time.Time {
			return epoch.Add(time.Duration(rapid.IntRange(-20_000, 20_000).Draw(t, label)) * time.Millisecond)
		}
		_, last := graph.NextTicks(instant("commit"), 0, 1)
		read, want := instant("read"), graph.TickOf(instant("want"))
		bound, after := graph.BoundClock(read, last, want)
		if bound > want || after < last {
			t.Fatalf("asked for %d: promised %d, the clock went from %d to %d", want, bound, last, after)
		}
		if lead := graph.TickOf(read.Add(graph.MaxClockLead)); bound < want && bound < lead {
			t.Fatalf("promised %d although %d was within reach", bound, want)
		}
		if first, _ := graph.NextTicks(instant("later"), after, 1); first < bound {
			t.Fatalf("tick %d fell below the bound %d", first, bound)
		}
		if after > last && after >= graph.TickOf(read.Add(graph.MaxClockLead)) {
			t.Fatalf("the read pushed the clock %v ahead", after.Time().Sub(read))
		}
	})
}

func TestTicksReadBackAsText(t *testing.T) {
	tick := graph.TickOf(epoch.Add(123456789 * time.Nanosecond))
	if tick.String() != "2026-03-02T08:00:00.123456Z" {
		t.Errorf("text is %s", tick)
	}
	var back graph.Tick
	if err := back.UnmarshalText([]byte(tick.String())); err != nil || back != tick {
		t.Errorf("reads back as %s (%v)", back, err)
	}
}
