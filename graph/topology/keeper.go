package topology

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// lastRound bounds how long a topology that ends takes to come to a graph that can be saved.
const lastRound = 2 * time.Second

// keeper has a topology's graph saved. It is the goroutine's.
type keeper struct {
	opened bool // the file was read, or does not serve
	// exact is the graph as it was shown last, where all of it was of one revision.
	exact   *compact.Graph
	exactAt graph.Revision
	saved   graph.Revision // the file's, 0 for none
	tried   time.Time      // when saving last began, or the file was read
	told    time.Time      // when it was last told that nothing can be saved
	running *running
}

// running is a graph that is being saved, by a goroutine of its own.
type running struct {
	revision graph.Revision
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // once done
}

// open begins from the file, once; nil where there is none, or none that serves.
func (t *Topology) open(ctx context.Context) (*work, error) {
	if t.opened || t.options.File == "" {
		return nil, nil
	}
	w, err := t.load(ctx)
	t.opened = err == nil
	if w != nil {
		t.saved, t.tried = w.collected, t.options.Clock()
	}
	return w, err
}

// toSave is what the file does not have: nil where it has all, and where what is held is not of one revision.
func (t *Topology) toSave() *saving {
	if t.options.File == "" || t.work == nil || t.exact == nil || t.exactAt != t.work.collected || t.exactAt == t.saved {
		return nil
	}
	return t.work.saving(t.exact)
}

// keep begins to save the graph where that is due.
func (t *Topology) keep() {
	if t.running != nil {
		select {
		case <-t.running.done:
			t.ran()
		default:
			return
		}
	}
	now := t.options.Clock()
	if now.Sub(t.tried) < t.options.SaveEvery {
		return
	}
	if s := t.toSave(); s != nil {
		t.tried = now
		t.save(s)
	} else if t.options.File != "" && t.work != nil && t.work.collected != t.saved && now.Sub(t.told) >= t.options.SaveEvery {
		t.told = now
		t.options.Metrics.unsaved()
		t.options.Log("topology: the graph is not saved: %s", t.unsaved())
	}
}

// unsaved says why what is held cannot be saved.
func (t *Topology) unsaved() string {
	if t.work.at.IsZero() { // as after an import
		return "the store keeps no change of its last commit; it is saved after the next one"
	}
	return "the store is written to too fast for a graph of one revision"
}

func (t *Topology) save(s *saving) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{revision: s.head.Revision, cancel: cancel, done: make(chan struct{})}
	t.running = r
	go func() {
		r.err = s.save(ctx, t.options.File)
		close(r.done)
	}()
}

// ran waits for the one that is running.
func (t *Topology) ran() {
	r := t.running
	<-r.done
	r.cancel()
	t.running = nil
	switch {
	case r.err == nil:
		t.saved = r.revision
	case !errors.Is(r.err, context.Canceled):
		t.options.Metrics.unsaved()
		t.options.Log("topology: saving: %v", r.err)
	}
}

// keepLast saves what is held in the end. One that is being saved and is older is given up for it.
func (t *Topology) keepLast() {
	t.settle()
	if t.running != nil {
		if s := t.toSave(); s != nil && s.head.Revision != t.running.revision {
			t.running.cancel()
		}
		t.ran()
	}
	if s := t.toSave(); s != nil {
		t.save(s)
		t.ran()
	}
}

// settle goes on, where it was ended in the middle of taking in changes, until it has a graph of one revision.
func (t *Topology) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), lastRound)
	defer cancel()
	for t.options.File != "" && t.work != nil && (t.exact == nil || t.exactAt != t.work.collected || t.work.pending() > 0) {
		err := cmp.Or(ctx.Err(), t.advance(ctx))
		if err != nil {
			t.options.Log("topology: taking in the last changes: %v", err)
			return
		}
	}
}
