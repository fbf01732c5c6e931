package rules

import (
	"fmt"
	"testing"

	"github.com/clew-security/clew/graph"
)

// The filter has what was added, whatever its size, and few other things.
func TestTheFilterForgetsNothing(t *testing.T) {
	var f filter
	hash := func(i int) uint64 { return hashID(saltHome, graph.NewID(graph.KindDevice, fmt.Sprint(i))) }
	const n = 200_000
	for i := range n {
		f.add(hash(i))
	}
	for i := range n {
		if !f.has(hash(i)) {
			t.Fatalf("%d of %d is gone", i, n)
		}
	}
	wrong := 0
	for i := range n {
		if f.has(hash(n + i)) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d that were never added are there", wrong, n)
	}
	if f.bytes() > 8*n {
		t.Errorf("%d bytes for %d", f.bytes(), n)
	}
	t.Logf("%d false answers in %d, %.1f bytes a hash", wrong, n, float64(f.bytes())/n)
}

// bytes is the memory that the filter takes.
func (f *filter) bytes() (n int) {
	for _, l := range f.layers {
		n += len(l.blocks) * 64
	}
	return n
}

// Homes are kept up to a bound, those used last.
func TestMemoryOfHomesIsBounded(t *testing.T) {
	m := NewMemory()
	hub := graph.NewID(graph.KindDevice, "hub")
	m.keep(hub, Home{Members: 7})
	for i := range 10 * homesRemembered {
		m.keep(graph.NewID(graph.KindDevice, fmt.Sprint(i)), Home{})
		if h, ok := m.recall(hub); i%1000 == 0 && (!ok || h.Members != 7) {
			t.Fatalf("the home in use was forgotten after %d others", i)
		}
	}
	if n := len(m.young) + len(m.old); n > 2*homesRemembered {
		t.Errorf("%d homes are kept", n)
	}
}

// A home that was committed and is not remembered any more is asked for, not taken for new.
func TestAHomeThatWasForgottenIsStillKnownToExist(t *testing.T) {
	m, id := NewMemory(), graph.NewID(graph.KindDevice, "old")
	m.begin(Tenant{})
	m.staged(Writes{Homes: []HomeWrite{{ID: id}}})
	m.Committed()
	for i := range 2*homesRemembered + 1 {
		m.keep(graph.NewID(graph.KindDevice, fmt.Sprint(i)), Home{})
	}
	if _, ok := m.recall(id); ok {
		t.Error("it is answered without being asked for")
	}
	if _, ok := m.recall(graph.NewID(graph.KindDevice, "never")); !ok {
		t.Error("what never existed is asked for")
	}
}

// Reading is due once, after so many commits, and again only when something was forgotten.
func TestReadingIsDueOnce(t *testing.T) {
	m := NewMemory()
	for i := range 5 {
		if _, due := m.Due(3); due != (i == 3) {
			t.Errorf("after %d commits it is due: %t", i, due)
		}
		m.Committed()
	}
	m.Forget()
	if _, due := m.Due(1); due {
		t.Error("it is due before a commit")
	}
	m.Committed()
	if l, due := m.Due(1); !due || !l.Learn(Existing{}, true) {
		t.Error("it is not due again")
	}
}

func TestReadingThatFailedIsDueAgainLater(t *testing.T) {
	m := NewMemory()
	for _, commits := range []int{3, 6, 12} {
		for range commits {
			if _, due := m.Due(3); due {
				t.Fatalf("it is due in less than %d commits", commits)
			}
			m.Committed()
		}
		l, due := m.Due(3)
		if !due {
			t.Fatalf("it is not due after %d commits", commits)
		}
		l.Failed()
	}
	l := m.Learner()
	m.Forget()
	l.Failed()
	if m.failures != 0 {
		t.Error("what failed before all was forgotten counts")
	}
}

// What was read before something was forgotten is not all that exists.
func TestALearnerOfAnEarlierTimeIsOfNoUse(t *testing.T) {
	m := NewMemory()
	l := m.Learner()
	m.Forget()
	if l.Learn(Existing{}, true) || m.Complete() {
		t.Error("the memory takes for whole what was read before it forgot")
	}
	if !m.Learner().Learn(Existing{}, true) || !m.Complete() {
		t.Error("a new learner is of no use")
	}
}
