package main

import (
	"context"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/graph/traverse"
)

// reach is how questions of reach are answered: where they are asked, the store where nil, and what is critical.
type reach struct {
	ground func(context.Context, graph.View) traverse.Ground
	grade  graph.Criticalities
}

// position is graph.Reader.Position.
type position func(context.Context, graph.View) (graph.Position, error)

// catchUp is how long a question waits for the graph in memory to show what the store does.
const catchUp = 50 * time.Millisecond

// heldOf is the graph in memory where it shows what was asked for, else the store. With at it must show all that the
// store has; without, what the view says, and what it lacks of others' writes is a matter of Options.Poll. A tenant that
// is asked about for the first time is followed from then on.
func heldOf(all *topology.Tenants, store graph.Reader, grade graph.Criticalities, at position) func(context.Context, graph.View) traverse.Ground {
	return func(ctx context.Context, v graph.View) traverse.Ground {
		stored := traverse.Stored(store, v, grade)
		if t, err := all.Of(v.Tenant); err == nil && t.Ready(ctx) == nil {
			if s := caughtUp(ctx, t, v, at); s != nil {
				return traverse.Held(s.Graph()).OrStored(stored)
			}
		}
		return stored
	}
}

// caughtUp is the graph as it must be; nil where it is not soon.
func caughtUp(ctx context.Context, t *topology.Topology, v graph.View, at position) *topology.Snapshot {
	atLeast := v.AtLeast
	if at != nil {
		p, err := at(ctx, v)
		if err != nil {
			return nil
		}
		atLeast = max(atLeast, p.Revision)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, catchUp)
		defer cancel()
	}
	s, err := t.View(ctx, atLeast)
	if err != nil {
		return nil
	}
	return s
}
