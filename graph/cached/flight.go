package cached

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
)

// filled is what a shared read gives.
type filled struct {
	value *value
	// tier it was found in, "" where it was read from the store.
	tier string
	// moved is set where the version changed while it was read.
	moved bool
	// after is done when the value has been handed out, nil for nothing.
	after func(context.Context)
}

// flights let callers who want the same at the same time share one read. The read belongs to none of them: it
// ends early when all have gone or on close, and who waits no longer than its own context lets it.
type flights struct {
	mu      sync.Mutex
	running map[key]*flight
	closed  bool
	base    context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

type flight struct {
	began   time.Time
	waiting int // under flights.mu
	cancel  context.CancelFunc
	landed  chan struct{} // closed when result and err are set
	result  filled
	err     error
}

func newFlights() *flights {
	base, cancel := context.WithCancel(context.Background())
	return &flights{running: map[key]*flight{}, base: base, cancel: cancel}
}

// do joins a read of the key that began at since or later, else begins one.
func (g *flights) do(ctx context.Context, k key, since, now time.Time, read func(context.Context) (filled, error)) (filled, bool, error) {
	f, joined, err := g.board(ctx, k, since, now, read)
	if err != nil {
		return filled{}, false, err
	}
	select {
	case <-f.landed:
		return f.result, joined, f.err
	case <-ctx.Done():
		g.leave(k, f)
		return filled{}, joined, ctx.Err()
	}
}

func (g *flights) board(ctx context.Context, k key, since, now time.Time, read func(context.Context) (filled, error)) (*flight, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, false, graph.ErrClosed
	}
	if f, ok := g.running[k]; ok && !f.began.Before(since) {
		f.waiting++
		return f, true, nil
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(g.base, cancel)
	f := &flight{began: now, waiting: 1, cancel: cancel, landed: make(chan struct{})}
	g.running[k] = f
	g.done.Go(func() {
		defer stop()
		defer cancel()
		g.fly(own, k, f, read)
	})
	return f, false, nil
}

// fly reads and lands, then does what is left to do.
func (g *flights) fly(ctx context.Context, k key, f *flight, read func(context.Context) (filled, error)) {
	func() {
		defer func() {
			if p := recover(); p != nil {
				f.err = fmt.Errorf("reading for the cache: %v", p)
			}
		}()
		f.result, f.err = read(ctx)
	}()
	if f.err != nil && g.base.Err() != nil {
		f.err = graph.ErrClosed
	}
	after := f.result.after
	g.forget(k, f)
	close(f.landed)
	if after != nil && f.err == nil {
		after(g.base)
	}
}

// leave ends the read when nobody waits for it any more; nobody can join it from then on.
func (g *flights) leave(k key, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if g.running[k] == f {
			delete(g.running, k)
		}
	}
}

func (g *flights) forget(k key, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[k] == f {
		delete(g.running, k)
	}
}

// close ends all reads and waits for them.
func (g *flights) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.done.Wait()
}
