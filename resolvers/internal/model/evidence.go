package model

import (
	"context"
	"encoding/json"

	"github.com/clew-security/clew/graph"
)

// Evidence is the interface of that name.
type Evidence interface {
	IsEvidence()
	base() *EvidenceBase
}

// EvidenceBase are the fields that all evidence shares. The exported ones are read from the body.
type EvidenceBase struct {
	CreatedDateTime          Instant
	Roles                    []string
	DetailedRoles, Tags      []Word
	Verdict                  string
	RemediationStatus        string
	RemediationStatusDetails string

	in  *siblings[Evidence] // nil inside other evidence
	own graph.Evidence
}

// IsEvidence marks an Evidence.
func (*EvidenceBase) IsEvidence() {}

func (b *EvidenceBase) base() *EvidenceBase { return b }

// EvidenceType is the type as the source names it.
func (b *EvidenceBase) EvidenceType() Word { return Word(b.own.Type) }

// Raw is the whole body.
func (b *EvidenceBase) Raw() json.RawMessage { return b.own.Body }

// Entity is what it is about.
func (b *EvidenceBase) Entity(ctx context.Context) (Entity, error) {
	if b.in == nil {
		return nil, nil
	}
	found, err := together(b.in, "entity", func() (map[graph.ID]Entity, error) {
		return b.in.entitiesByID(ctx, idsOf(b.in.rows, func(e Evidence) graph.ID { return e.base().own.Entity }))
	})
	return found[b.own.Entity], err
}

// MaxEvidence bounds the evidence that is answered of one alert.
const MaxEvidence = 500

// readEvidences reads the bodies of all the alerts' evidence, as siblings. Errors: those of charged.
func readEvidences(ctx context.Context, s *Session, alerts []*Alert) ([][]Evidence, error) {
	in := newSiblings[Evidence](s, nil)
	out := make([][]Evidence, len(alerts))
	for i, a := range alerts {
		first := a.Alert.Evidence[:min(len(a.Alert.Evidence), MaxEvidence)]
		if err := charged(ctx, len(first)); err != nil {
			return nil, err
		}
		for _, e := range first {
			v := readEvidence(e)
			v.base().in = in
			out[i], in.rows = append(out[i], v), append(in.rows, v)
		}
	}
	return out, nil
}

// readEvidence reads a body into its type. A field of another JSON type than the schema's stays empty: the
// body itself is in raw.
func readEvidence(e graph.Evidence) Evidence {
	var v Evidence = &OtherEvidence{}
	if empty, ok := evidenceTypes[e.Type]; ok {
		v = empty()
	}
	_ = json.Unmarshal(e.Body, v)
	v.base().own = e
	return v
}
