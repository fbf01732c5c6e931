package model

import (
	"context"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/story"
)

// AttackStory is the type of that name.
type AttackStory struct {
	story.Story
	Steps []*AttackStoryStep
}

// AttackStoryStep is the type of that name.
type AttackStoryStep struct {
	story.Step
	in *siblings[*AttackStoryStep]
	at int
}

// AttackStoryEntry is the type of that name.
type AttackStoryEntry struct {
	Step *AttackStoryStep
	Why  Word
}

// StoryParty is the type of that name.
type StoryParty struct {
	story.Party
	in *siblings[*AttackStoryStep]
}

// AttackStory tells an incident; graph.ErrNotFound where there is none.
func (s *Session) AttackStory(ctx context.Context, id graph.IncidentID) (*AttackStory, error) {
	told, err := story.Build(ctx, s.Reader, s.View, id, story.Options{})
	if err != nil {
		return nil, err
	}
	in := newSiblings(s, make([]*AttackStoryStep, len(told.Steps)))
	for i, step := range told.Steps {
		in.rows[i] = &AttackStoryStep{step, in, i}
	}
	return &AttackStory{told, in.rows}, nil
}

// AttackStorySteps are the steps alone.
func (s *Session) AttackStorySteps(ctx context.Context, id graph.IncidentID) ([]*AttackStoryStep, error) {
	told, err := s.AttackStory(ctx, id)
	if err != nil {
		return nil, err
	}
	return told.Steps, nil
}

// AttackStory of the incident.
func (i *Incident) AttackStory(ctx context.Context) (*AttackStory, error) {
	return i.in.Session.AttackStory(ctx, i.ID)
}

// Entry is how the attacker came in, nil where no alert shows it.
func (s *AttackStory) Entry() *AttackStoryEntry {
	if s.Story.Entry == nil {
		return nil
	}
	for _, step := range s.Steps {
		if step.Number == s.Story.Entry.Step {
			return &AttackStoryEntry{step, Word(s.Story.Entry.Why)}
		}
	}
	return nil
}

// Time is when it began.
func (s *AttackStoryStep) Time() Instant { return Instant{s.Step.Time} }

// Until is when it was last seen.
func (s *AttackStoryStep) Until() Instant { return Instant{s.Step.Until} }

// Techniques are ATT&CK ids.
func (s *AttackStoryStep) Techniques() []Word { return words(s.Step.Techniques) }

// Sentence tells the step.
func (s *AttackStoryStep) Sentence() Word { return Word(s.Step.Sentence) }

// Severity is unknown where no source says.
func (s *AttackStoryStep) Severity() graph.Severity { return known(s.Step.Severity) }

// Actor did it.
func (s *AttackStoryStep) Actor() *StoryParty { return s.party(s.Step.Actor) }

// Target is what it was done to.
func (s *AttackStoryStep) Target() *StoryParty { return s.party(s.Step.Target) }

func (s *AttackStoryStep) party(p *story.Party) *StoryParty {
	if p == nil {
		return nil
	}
	return &StoryParty{*p, s.in}
}

// Alerts that tell it.
func (s *AttackStoryStep) Alerts(ctx context.Context) ([]*Alert, error) {
	all, err := together(s.in, "alerts", func() ([][]*Alert, error) {
		return s.in.alertLists(ctx, mapped(s.in.rows, func(s *AttackStoryStep) []graph.ID { return s.Step.Alerts }))
	})
	if err != nil {
		return nil, err
	}
	return all[s.at], nil
}

// Name is for people.
func (p *StoryParty) Name() Word { return Word(p.Party.Name) }

// Entity is who or what it is.
func (p *StoryParty) Entity(ctx context.Context) (Entity, error) {
	found, err := together(p.in, "parties", func() (map[graph.ID]Entity, error) {
		return p.in.entitiesByID(ctx, idsOf(partiesOf(p.in.rows), same))
	})
	return found[p.ID], err
}

func partiesOf(steps []*AttackStoryStep) []graph.ID {
	var ids []graph.ID
	for _, s := range steps {
		for _, p := range []*story.Party{s.Step.Actor, s.Step.Target} {
			if p != nil {
				ids = append(ids, p.ID)
			}
		}
	}
	return ids
}
