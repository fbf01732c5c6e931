package model

import (
	"context"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// defaultChokePoints are the choke points of a question that names no number.
const defaultChokePoints = 10

// ChokePoints is the type of that name.
type ChokePoints struct {
	Completeness Completeness
	points       []traverse.ChokePoint
	in           *Session
}

// ChokePoint is the type of that name.
type ChokePoint struct {
	traverse.ChokePoint
	Entity Entity
}

// ChokePoints answers from the start. Errors: those of traverse.BlastRadius.
func (s *Session) ChokePoints(ctx context.Context, start Start, first *int32, r *ReachInput) (*ChokePoints, error) {
	n, err := within("first", first, defaultChokePoints, traverse.MaxChokePoints)
	if err != nil {
		return nil, err
	}
	a, err := s.inquire(ctx, start, r)
	if err != nil {
		return nil, err
	}
	searching, cancel := traverse.Reserve(ctx, 10)
	defer cancel()
	answer, err := a.blast(searching)
	if err != nil {
		return nil, err
	}
	defer answer.Release()
	points, err := answer.ChokePoints(searching, n)
	for i := range points { // from a source that was not read other ways may lead there
		points[i].Complete = points[i].Complete && a.whole
	}
	return &ChokePoints{a.completeness(answer.Completeness), points, s}, err
}

// Points, the one without which most is lost first.
func (c *ChokePoints) Points(ctx context.Context) ([]ChokePoint, error) {
	found, err := c.in.entitiesByID(ctx, mapped(c.points, func(p traverse.ChokePoint) graph.ID { return p.ID }))
	return mapped(c.points, func(p traverse.ChokePoint) ChokePoint { return ChokePoint{p, found[p.ID]} }), err
}

// ChokePoints of the incident.
func (i *Incident) ChokePoints(ctx context.Context, first *int32, reach *ReachInput) (*ChokePoints, error) {
	return i.in.ChokePoints(ctx, i.start(), first, reach)
}

// ChokePoints of who holds the entity.
func (b *EntityBase) ChokePoints(ctx context.Context, first *int32, reach *ReachInput) (*ChokePoints, error) {
	return b.in.ChokePoints(ctx, b.start(), first, reach)
}
