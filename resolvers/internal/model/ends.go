package model

import (
	"context"
	"sync"
)

// ends is what is to be done when an operation has been answered.
type ends struct {
	mu   sync.Mutex
	all  []func()
	over bool
}

type endsKey struct{}

// WithEnds carries to all that works on the operation where to leave what end does.
func WithEnds(ctx context.Context) (_ context.Context, end func()) {
	e := new(ends)
	return context.WithValue(ctx, endsKey{}, e), e.end
}

// atEnd has f called when the operation has been answered; at once where it has been, for it was cut short.
func atEnd(ctx context.Context, f func()) {
	e, ok := ctx.Value(endsKey{}).(*ends)
	if !ok {
		return
	}
	e.mu.Lock()
	over := e.over
	if !over {
		e.all = append(e.all, f)
	}
	e.mu.Unlock()
	if over {
		f()
	}
}

func (e *ends) end() {
	e.mu.Lock()
	all := e.all
	e.all, e.over = nil, true
	e.mu.Unlock()
	for _, f := range all {
		f()
	}
}
