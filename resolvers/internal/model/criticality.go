package model

import (
	"context"
	"fmt"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/clew-security/clew/graph"
)

// CriticalityReason is the type of that name.
type CriticalityReason struct{ graph.GradedCriticality }

// Criticality of the entity.
func (b *EntityBase) Criticality() graph.Criticality { return b.in.Grade.Of(b.own).Criticality }

// CriticalityReason is what it rests on, nil where it is unknown.
func (b *EntityBase) CriticalityReason() *CriticalityReason {
	graded := b.in.Grade.Of(b.own)
	if graded.Criticality == graph.CriticalityUnknown {
		return nil
	}
	return &CriticalityReason{graded}
}

// SetBy is who set it.
func (r *CriticalityReason) SetBy() string { return r.By }

// SetDateTime is when it was set.
func (r *CriticalityReason) SetDateTime() Instant { return r.at(graph.CriticalityByAnalyst) }

// ObservedDateTime is the instant that the product spoke of.
func (r *CriticalityReason) ObservedDateTime() Instant { return r.at(graph.CriticalityByProduct) }

func (r *CriticalityReason) at(of graph.CriticalitySource) Instant {
	if r.Source != of {
		return Instant{}
	}
	return Instant{r.At}
}

// SetAssetCriticalityInput is the input of that name.
type SetAssetCriticalityInput struct {
	EntityIds                 []string
	Criticality               graphql.Omittable[*graph.Criticality]
	Comment, ClientMutationID *string
}

// SetAssetCriticalityPayload is the type of that name.
type SetAssetCriticalityPayload struct {
	Entities         []Entity
	Revision         int64
	ClientMutationID *string
}

// Writing is a session that may write, in somebody's name.
type Writing struct {
	*Session
	Writer graph.Writer
	Actor  string
	// Now is the wall clock.
	Now func() time.Time
	// Wrote is told of every revision that is written.
	Wrote func(graph.Revision)
}

// SetAssetCriticality sets all or none. Errors: graph.ErrInvalid, graph.ErrNotFound for an entity that is not in the
// caller's view, and those of reading and writing.
func (w Writing) SetAssetCriticality(ctx context.Context, in SetAssetCriticalityInput) (*SetAssetCriticalityPayload, error) {
	ids, word, err := in.parse()
	if err != nil {
		return nil, err
	}
	word.By, word.At = w.Actor, w.Now()
	b := graph.Batch{Actor: w.Actor, Cause: "setAssetCriticality"}
	if b.Entities, err = w.words(ctx, ids, word); err != nil {
		return nil, err
	}
	receipt, err := w.Writer.Apply(ctx, w.View.Tenant, b)
	if err != nil {
		return nil, err
	}
	w.Wrote(receipt.Revision)
	w.View.AtLeast = max(w.View.AtLeast, receipt.Revision)
	all, err := w.entityLists(ctx, [][]graph.ID{ids})
	if err != nil {
		return nil, err
	}
	return &SetAssetCriticalityPayload{idsOf(all[0], same), int64(receipt.Revision), in.ClientMutationID}, nil
}

// words are the observations that say the word of each entity, once where several ids are of one.
func (w Writing) words(ctx context.Context, ids []graph.ID, word graph.CriticalitySetting) ([]graph.EntityObservation, error) {
	found, err := w.named(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []graph.EntityObservation
	seen := map[graph.ID]bool{}
	for _, e := range found {
		if seen[e.ID] {
			continue
		}
		o, err := e.SetCriticality(word)
		if err != nil {
			return nil, err
		}
		seen[e.ID], out = true, append(out, o)
	}
	return out, nil
}

// maxMutationID bounds clientMutationId, in bytes.
const maxMutationID = 200

func (in SetAssetCriticalityInput) parse() ([]graph.ID, graph.CriticalitySetting, error) {
	word, err := in.word()
	if err != nil {
		return nil, word, err
	}
	if n := len(in.EntityIds); n < 1 || n > MaxArgument {
		return nil, word, fmt.Errorf("%w: entityIds has %d items, 1 to %d are possible", graph.ErrInvalid, n, MaxArgument)
	}
	ids, err := parseEntities(in.EntityIds)
	return ids, word, err
}

// word is what is said, without who and when.
func (in SetAssetCriticalityInput) word() (word graph.CriticalitySetting, err error) {
	c, given := in.Criticality.ValueOK()
	switch {
	case !given:
		return word, fmt.Errorf("%w: criticality is missing; null takes back what was set", graph.ErrInvalid)
	case c != nil && *c == graph.CriticalityUnknown:
		return word, fmt.Errorf("%w: unknown cannot be set; null takes back what was set", graph.ErrInvalid)
	case in.ClientMutationID != nil && len(*in.ClientMutationID) > maxMutationID:
		return word, fmt.Errorf("%w: clientMutationId has more than %d bytes", graph.ErrInvalid, maxMutationID)
	}
	if c != nil {
		word.Criticality = *c
	}
	if in.Comment != nil {
		word.Comment = *in.Comment
	}
	return word, nil
}
