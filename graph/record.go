package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"iter"
	"time"
)

// Mover is a store whose tenants can be carried to another store, whole: ids, revisions and ticks stay.
type Mover interface {
	// Export yields all that is kept of a tenant as of one moment, in the order that Import needs: where the
	// tenant stands, then homes, sightings, incidents, alerts, documents and batch keys. Changes are not among
	// it: who follows them builds anew. ErrNotFound where the tenant was never written to.
	Export(ctx context.Context, tenant TenantID) iter.Seq2[Record, error]
	// Import fills a tenant with what Export gave. ErrConflict where the tenant has anything; ErrInvalid where
	// the records break the order, name what is not there, or are not what the store then holds, which is read
	// again and compared. It is not one commit: until it has ended well all else about the tenant gives
	// ErrImporting. A failure leaves the tenant with nothing, unless ctx ended or the storage failed: then the
	// same call may be made again and begins anew, or Abandon called. Of two imports of a tenant at a time at most
	// one succeeds, the one that began last.
	Import(ctx context.Context, tenant TenantID, records iter.Seq2[Record, error]) error
	// Abandon removes what an import left that was cut short. ErrConflict where the tenant has a whole graph;
	// nothing where it has none.
	Abandon(ctx context.Context, tenant TenantID) error
}

// RecordSum adds up records. Two stores that hold a tenant alike to the last number give the same sum.
type RecordSum struct {
	// Records is how many there were.
	Records int
	hash    hash.Hash
}

// NewRecordSum is the sum of nothing.
func NewRecordSum() *RecordSum { return &RecordSum{hash: sha256.New()} }

// Add adds a record, and gives it as a line of JSON.
func (s *RecordSum) Add(r Record) (line []byte, err error) {
	if line, err = EncodeJSON(r); err != nil {
		return nil, err
	}
	line = append(line, '\n')
	s.hash.Write(line)
	s.Records++
	return line, nil
}

// SHA256 is that of all lines so far, in hexadecimal digits.
func (s *RecordSum) SHA256() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// Check refuses facts that no observation can have left, and that could not be read back.
func (h HomeRecord) Check() error {
	if h.Facts == nil {
		return nil
	}
	home, _, ok := HomeAndClaims(h.Facts.Keys)
	if !ok || home.ID() != h.ID {
		return errors.New("the facts do not belong to the id")
	}
	for i, k := range h.Facts.Keys[1:] {
		if CompareKeys(h.Facts.Keys[i], k) >= 0 || k.Strength() == Strong && k.Type == home.Type {
			return fmt.Errorf("%s stands behind %s: keys are strongest first, each once, and of the strongest type there is one", k, h.Facts.Keys[i])
		}
	}
	times := []time.Time{h.Facts.FirstSeen, h.Facts.LastSeen}
	for name, p := range h.Facts.Properties {
		times = append(times, p.ObservedAt)
		if len(p.Value) == 0 {
			return fmt.Errorf("property %q has no value", clip(name))
		}
		if err := errors.Join(checkTexts(name), checkJSON(p.Value)); err != nil {
			return err
		}
	}
	o := EntityObservation{Keys: h.Facts.Keys}
	return errors.Join(o.check(h.ID), checkTexts(h.Facts.Sources...), checkTimes(times...))
}

// Check refuses what no observation can have left.
func (s SightingRecord) Check() error {
	o := EdgeObservation{
		Kind: s.Kind, From: s.From, To: s.To, Observation: s.Observation, Source: s.Source,
		FirstSeen: s.FirstSeen, LastSeen: s.LastSeen, EndedAt: s.EndedAt,
	}
	return o.check(map[ID]bool{s.From: true, s.To: true})
}

// Check refuses content that could not be read back.
func (a AlertRecord) Check() error {
	observed := map[ID]bool{}
	for _, id := range a.Entities() {
		observed[id] = true
	}
	if a.ID != a.AlertContent.ID() {
		return errors.New("the content does not belong to the id")
	}
	return a.check(observed)
}

// Record is one stored thing of a tenant. Exactly one field is set.
type Record struct {
	Tenant   *TenantRecord   `json:"tenant,omitempty"`
	Home     *HomeRecord     `json:"home,omitempty"`
	Sighting *SightingRecord `json:"sighting,omitempty"`
	Incident *IncidentRecord `json:"incident,omitempty"`
	Alert    *AlertRecord    `json:"alert,omitempty"`
	Document *DocumentRecord `json:"document,omitempty"`
	BatchKey *BatchKeyRecord `json:"batchKey,omitempty"`
}

// TenantRecord says where a tenant stands.
type TenantRecord struct {
	Revision Revision `json:"revision"`
	Clock    Tick     `json:"clock"`
	// Incidents is the number of incidents ever created; the next one gets the number behind it.
	Incidents IncidentID `json:"incidents"`
}

// HomeRecord is what was observed under one id.
type HomeRecord struct {
	ID ID `json:"id"`
	// Node is the canonical id it belongs to, where that is another.
	Node ID `json:"node,omitzero"`
	// Facts are nil for an id that others claim and nothing was observed under.
	Facts *Facts `json:"facts,omitempty"`
	// Revision and Members (the number of other ids) of the node; zero where the id is none.
	Revision Revision `json:"revision,omitempty"`
	Members  int      `json:"members,omitempty"`
}

// SightingRecord is one sighting of an edge between homes.
type SightingRecord struct {
	Kind EdgeKind `json:"kind"`
	From ID       `json:"from"`
	To   ID       `json:"to"`
	Sighting
}

// IncidentRecord is an incident with its revision.
type IncidentRecord struct {
	Incident
	Revision Revision `json:"revision"`
}

// AlertRecord is an alert with its revision.
type AlertRecord struct {
	Alert
	Revision Revision `json:"revision"`
}

// DocumentRecord is a document; Value is base64 in JSON.
type DocumentRecord struct {
	Collection string   `json:"collection"`
	Key        string   `json:"key"`
	Revision   Revision `json:"revision"`
	Value      []byte   `json:"value"`
}

// BatchKeyRecord is a batch key that was committed, and as which revision.
type BatchKeyRecord struct {
	Key      string   `json:"key"`
	Revision Revision `json:"revision"`
}
