package graphtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/clew-security/clew/graph"
)

// busyReaders read each tenant.
const busyReaders = 2

// checkBeside reads while others update: each answer is the one of some commit between the last that was acknowledged
// before the call and the last that was begun before its end. Each kind of question has a run of its own.
func checkBeside(t *testing.T, fresh func(TB) Subject) {
	var overlapped atomic.Int64
	for _, k := range busyKinds {
		t.Run(k.name, func(t *testing.T) {
			s := fresh(t).Open(t, NewClock().Now)
			defer s.Close()
			var all sync.WaitGroup
			for _, h := range busyHistories() {
				b := &busy{t: t, store: s, kind: k, busyHistory: h, overlapped: &overlapped}
				all.Go(b.write)
				for reader := range busyReaders {
					all.Go(func() { b.read(reader) })
				}
			}
			all.Wait()
		})
	}
	if overlapped.Load() == 0 {
		t.Error("no answer came while a commit was under way")
	}
}

// busyHistory is what is written to a tenant, and what the model makes of it.
type busyHistory struct {
	view    graph.View
	batches []graph.Batch
	// states are the model after so many batches, revisions where it stands.
	states    []*Model
	revisions []graph.Revision

	mu    sync.Mutex
	known map[string]string // answers
}

// busyHistories are made once: the model takes its time.
var busyHistories = sync.OnceValue(func() (all []*busyHistory) {
	for _, tenant := range []graph.TenantID{"one", "two"} {
		h := &busyHistory{view: graph.View{Tenant: tenant}, known: map[string]string{}}
		model := NewModel(NewClock().Now)
		h.states, h.revisions = append(h.states, model.Reopen(NewClock().Now)), append(h.revisions, 0)
		for n := range busyBatches {
			b := busyBatch(tenant, n)
			r, err := model.Apply(context.Background(), tenant, b)
			if err != nil {
				panic(fmt.Sprintf("graphtest: batch %d of the busy history: %v", n, err))
			}
			h.batches = append(h.batches, b)
			h.states, h.revisions = append(h.states, model.Reopen(NewClock().Now)), append(h.revisions, r.Revision)
		}
		all = append(all, h)
	}
	return all
})

// answer is the model's after so many batches.
func (h *busyHistory) answer(k busyKind, variant, state int) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := fmt.Sprint(k.name, " ", variant, " ", state)
	if known, ok := h.known[key]; ok {
		return known, nil
	}
	v, err := k.ask(h.states[state], h.view, variant)
	h.known[key] = text(v)
	return h.known[key], err
}

// busy is one tenant that is written to and read at once.
type busy struct {
	*busyHistory
	t     *testing.T
	store graph.Store
	kind  busyKind
	// begun and acknowledged count batches, overlapped the answers beside which one was begun or not yet acknowledged.
	begun, acknowledged atomic.Int64
	overlapped          *atomic.Int64
}

func (b *busy) write() {
	defer b.acknowledged.Store(int64(len(b.batches))) // readers end
	for n, batch := range b.batches {
		b.begun.Add(1)
		r, err := b.store.Apply(context.Background(), b.view.Tenant, batch)
		if err != nil || r.Revision != b.revisions[n+1] {
			b.t.Errorf("batch %d gave %+v (%v), want revision %d", n, r, err, b.revisions[n+1])
			return
		}
		b.acknowledged.Add(1)
	}
}

// read asks until all is written, and once more.
func (b *busy) read(reader int) {
	for n := reader; ; n++ {
		variant, before := n%busyVariants, b.acknowledged.Load()
		got, err := b.kind.ask(b.store, b.view, variant)
		after := b.begun.Load()
		if after > before {
			b.overlapped.Add(1)
		}
		if err == nil {
			err = b.holds(variant, text(got), before, after)
		}
		if err != nil {
			b.t.Errorf("read %d of tenant %s: %v", n, b.view.Tenant, err)
			return
		}
		if int(before) == len(b.batches) {
			return
		}
	}
}

// holds looks for the answer among those of the states from before to after.
func (b *busy) holds(variant int, got string, before, after int64) error {
	for n := int(before); n <= int(after); n++ {
		if want, err := b.answer(b.kind, variant, n); err != nil || want == got {
			return err
		}
	}
	for n := range b.states {
		if want, _ := b.answer(b.kind, variant, n); want == got {
			return fmt.Errorf("question %d is answered as after %d batches, between %d and %d", variant, n, before, after)
		}
	}
	want, _ := b.answer(b.kind, variant, int(after))
	return fmt.Errorf("the answer to question %d between batches %d and %d is that of no commit\n%s", variant, before, after, firstDifference(want, got))
}

// firstDifference cuts two long texts to where they part.
func firstDifference(want, got string) string {
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	cut := func(s string) string { return s[max(0, at-150):min(len(s), at+150)] }
	return fmt.Sprintf("got  ...%s...\nlast ...%s...", cut(got), cut(want))
}
