package model

import (
	"context"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// GraphDiff is the type of that name.
type GraphDiff struct {
	Earlier, Later *BlastRadius
	added, removed targetList
}

// GraphDiff answers from the start. Errors: those of traverse.Compare, and graph.ErrInvalid where the reach has an
// instant of its own.
func (s *Session) GraphDiff(ctx context.Context, start Start, then time.Time, now *time.Time, r *ReachInput) (*GraphDiff, error) {
	if r != nil && r.AsOf != nil {
		return nil, fmt.Errorf("%w: the asOf of reach must not be given: earlier and later say it", graph.ErrInvalid)
	}
	if now == nil && then.After(time.Now()) {
		return nil, fmt.Errorf("%w: earlier lies in the future, and later is now", graph.ErrInvalid)
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	later := instantOf(now)
	d, err := a.compare(ctx, then, later)
	if err != nil {
		return nil, err
	}
	atEnd(ctx, d.Release)
	return &GraphDiff{
		a.blastRadius(d.Earlier, a.list("GraphDiff.earlier", then)), a.blastRadius(d.Later, a.list("GraphDiff.later", later)),
		targetList{s, a.list("GraphDiff.added", then, later), d.Later, d.Added, counting(d.Added)},
		targetList{s, a.list("GraphDiff.removed", then, later), d.Earlier, d.Removed, counting(d.Removed)},
	}, nil
}

func (a *inquiry) compare(ctx context.Context, then, now time.Time) (*traverse.Diff, error) {
	if a.nowhere() {
		return &traverse.Diff{Earlier: nothing(), Later: nothing()}, nil
	}
	ctx, cancel := traverse.Reserve(ctx, 10)
	defer cancel()
	on := a.ground(ctx)
	return traverse.Compare(ctx, on, on, a.q, then, now)
}

// Added are the targets that are reached later only.
func (d *GraphDiff) Added(ctx context.Context, first *int32, after *string) (*BlastRadiusTargetConnection, error) {
	return d.added.connection(ctx, first, after)
}

// Removed are the targets that were reached earlier only.
func (d *GraphDiff) Removed(ctx context.Context, first *int32, after *string) (*BlastRadiusTargetConnection, error) {
	return d.removed.connection(ctx, first, after)
}

// GraphDiff of the incident.
func (i *Incident) GraphDiff(ctx context.Context, earlier time.Time, later *time.Time, reach *ReachInput) (*GraphDiff, error) {
	return i.in.GraphDiff(ctx, i.start(), earlier, later, reach)
}

// GraphDiff of who holds the entity.
func (b *EntityBase) GraphDiff(ctx context.Context, earlier time.Time, later *time.Time, reach *ReachInput) (*GraphDiff, error) {
	return b.in.GraphDiff(ctx, b.start(), earlier, later, reach)
}
