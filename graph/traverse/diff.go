package traverse

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// Diff is how the answer to a question changed between two instants. Its methods may be called by several goroutines.
type Diff struct {
	Earlier, Later *Answer

	// mu is held by whoever locks both answers, for Added and Removed lock them in another order.
	mu sync.Mutex
}

// Compare asks a question as of two instants; a zero later one is now. A source that was not known at the earlier
// instant, as far as its edges tell, led nowhere then. Each is asked of its own ground. Errors: those of BlastRadius,
// graph.ErrInvalid where earlier is zero or not before later.
func Compare(ctx context.Context, earlier, later Ground, q Question, then, now time.Time) (*Diff, error) {
	if then.IsZero() || !now.IsZero() && !then.Before(now) {
		return nil, fmt.Errorf("%w: the earlier instant must lie before the later one", graph.ErrInvalid)
	}
	d := new(Diff)
	var err error
	q.AsOf = then
	if d.Earlier, err = BlastRadius(ctx, earlier, q); err != nil {
		return nil, err
	}
	q.AsOf = now
	if d.Later, err = BlastRadius(ctx, later, q); err != nil {
		d.Earlier.Release()
		return nil, err
	}
	return d, nil
}

// Added gives up to n targets that are reached later and were not earlier, as Answer.List does; none where Earlier is not
// complete, for it may not have come to them.
func (d *Diff) Added(after *Target, n int) []Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Later.notIn(d.Earlier, after, n)
}

// Removed gives up to n targets that were reached earlier and are not later, as Answer.List does; none where Later is
// not complete.
func (d *Diff) Removed(after *Target, n int) []Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Earlier.notIn(d.Later, after, n)
}

// Release gives the memory of both answers to the next question.
func (d *Diff) Release() {
	d.Earlier.Release()
	d.Later.Release()
}

// notIn lists targets that another answer does not reach.
func (a *Answer) notIn(b *Answer, after *Target, n int) []Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.found == nil || !b.Completeness.Complete {
		return nil
	}
	return a.list(after, n, func(n compact.Node) bool {
		other, ok := b.found.g.Find(a.found.g.ID(n))
		return !ok || !b.found.has(other)
	})
}
