package graph

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Limits of one batch. They bound a commit's memory and the time it holds the tenant's lock.
const (
	// MaxBatchItems bounds the observations, alerts, edits, changes and documents together.
	MaxBatchItems = 50_000
	// MaxBatchBytes bounds alerts, properties and documents together.
	MaxBatchBytes = 64 << 20
)

// Batch is one atomic commit: all of it becomes durable and visible at once, or nothing does.
type Batch struct {
	// Key makes the batch idempotent beyond its content: a key that was committed before writes nothing and
	// gives the first commit's revision. Empty for none.
	Key string
	// Actor and Cause say who commits and why, for the record.
	Actor, Cause string
	// Expect must all hold, else ErrConflict.
	Expect []Expectation

	Entities  []EntityObservation
	Edges     []EdgeObservation
	Alerts    []AlertContent
	Edits     []AlertEdit
	Incidents []IncidentChange
	Documents []Document

	// Expire removes what has grown old. A batch with it has nothing else but Key, Actor and Cause.
	Expire *Expiry

	// Decide, if set, is asked inside the commit for more incident changes, with what the batch brings
	// already visible. See Decider.
	Decide Decider
}

// Expectation is one optimistic check. Exactly one of Alert, Incident and Document is set.
type Expectation struct {
	Alert    ID
	Incident IncidentID
	Document DocumentKey
	// Revision the thing must have now; 0 means that it must not exist.
	Revision Revision
}

// Expiry names what is to go and from when on it must have been over. Whether it is over is judged in the
// commit: what was seen or touched again meanwhile stays, and so does what is not there. Numbers of incidents
// are not given again.
type Expiry struct {
	// Incidents go with their alerts, if their last activity and their last update are before
	// IncidentsBefore. A redirected one goes if its last update is and what it points to is gone.
	Incidents       []IncidentID
	IncidentsBefore time.Time
	// Edges between nodes go with all their sightings, if their last use (see Edge.UsableUntil) is before
	// EdgesBefore. What never ends, stays.
	Edges          []EdgeKey
	EdgesBefore    time.Time
	CredentialLife time.Duration
}

// EdgeKey names an edge between nodes.
type EdgeKey struct {
	From ID
	Kind EdgeKind
	To   ID
}

// Compare orders by from, kind and to.
func (k EdgeKey) Compare(o EdgeKey) int {
	if c := cmp.Or(k.From.Compare(o.From), cmp.Compare(k.Kind, o.Kind)); c != 0 {
		return c
	}
	return k.To.Compare(o.To)
}

// Over reports whether the incident's last activity and last update are before the instant.
func (i Incident) Over(before time.Time) bool {
	return i.Updated.Time().Before(before) && (i.RedirectTo != 0 || i.LastActivity.Before(before))
}

// Over reports whether nothing can use the edge since the instant.
func (e Edge) Over(before time.Time, credentialLife time.Duration) bool {
	until := e.UsableUntil(credentialLife)
	return !until.IsZero() && until.Before(before)
}

// AlertEdit is what a person set on an alert; unset fields stay as they are.
type AlertEdit struct {
	Alert ID
	Set   Triage
}

// DocumentKey names a document.
type DocumentKey struct {
	Collection, Key string
}

// Document is an opaque record that commits together with the graph: checkpoints, outbox entries, rules,
// saved views, audit records. A nil Value deletes.
type Document struct {
	DocumentKey
	Value []byte
	// Revision of the commit that wrote it; ignored on write.
	Revision Revision
}

// Decider assigns alerts to incidents inside a commit. It must be a pure function of what it reads: a store
// may call it again for the same commit, and two stores must get the same answer. It must not block on
// anything but its reads.
type Decider interface {
	Decide(ctx context.Context, staged Reader, view View, delta Delta) ([]IncidentChange, error)
}

// Delta is what a batch changed, as a Decider sees it.
type Delta struct {
	// Alerts that are new or whose content changed, in order of id.
	Alerts []ID
	// Previous are those of them that were there before, as they were then, in order of id.
	Previous []Alert
	// Entities whose identity may have changed: nodes joined or parted, followed as another than before, or
	// bearing a weak key that they did not bear (new ones too), as canonical ids in order. There may be more
	// than need be. Alerts about them may have to be decided anew.
	Entities []ID
}

// Receipt says what a commit did.
type Receipt struct {
	// Revision of the commit; the tenant's current one where the batch changed nothing.
	Revision Revision
	// Replayed is set where Batch.Key had been committed before.
	Replayed bool
	// NewAlerts, UpdatedAlerts and DuplicateAlerts count Batch.Alerts; an outdated version counts as a
	// duplicate.
	NewAlerts, UpdatedAlerts, DuplicateAlerts int
	// NewEntities and NewEdges count ids and (from, kind, to) that were never observed before.
	NewEntities, NewEdges int
	// ExpiredIncidents, ExpiredAlerts and ExpiredEdges count what Batch.Expire removed; edges as shown, between
	// nodes, however many ids of theirs they were observed at.
	ExpiredIncidents, ExpiredAlerts, ExpiredEdges int
	// KnownEntities and KnownEdges count the observations in Batch.Entities and Batch.Edges that, taken in
	// their order, said nothing that was not known.
	KnownEntities, KnownEdges int
}

// Validate checks what can be checked without the store. The error wraps ErrInvalid or ErrBatchTooLarge.
func (b Batch) Validate() error {
	_, err := b.Check()
	return err
}

// Check is Validate that also gives the ids of the entity observations, in their order.
func (b Batch) Check() ([]ID, error) {
	if err := b.checkSize(); err != nil {
		return nil, err
	}
	all, ids := make([]ID, len(b.Entities)), make(map[ID]bool, len(b.Entities))
	for i, e := range b.Entities {
		all[i] = e.ID()
		if err := e.check(all[i]); err != nil {
			return nil, fmt.Errorf("%w: entity %d: %v", ErrInvalid, i, err)
		}
		ids[all[i]] = true
	}
	for i, e := range b.Edges {
		if err := e.check(ids); err != nil {
			return nil, fmt.Errorf("%w: edge %d (%s): %v", ErrInvalid, i, e.Kind, err)
		}
	}
	for i, a := range b.Alerts {
		if err := a.check(ids); err != nil {
			return nil, fmt.Errorf("%w: alert %d: %v", ErrInvalid, i, err)
		}
	}
	for i, c := range b.Incidents {
		if err := c.Check(); err != nil {
			return nil, fmt.Errorf("%w: incident change %d: %v", ErrInvalid, i, err)
		}
	}
	return all, b.checkRest()
}

func (b Batch) checkRest() error {
	documents := map[DocumentKey]bool{}
	for i, d := range b.Documents {
		if d.Collection == "" || d.Key == "" {
			return fmt.Errorf("%w: document %d has no collection or key", ErrInvalid, i)
		}
		if documents[d.DocumentKey] {
			return fmt.Errorf("%w: document %d has the key of an earlier one", ErrInvalid, i)
		}
		documents[d.DocumentKey] = true
	}
	for i, x := range b.Expect {
		set := 0
		for _, on := range []bool{!x.Alert.IsZero(), x.Incident != 0, x.Document != DocumentKey{}} {
			if on {
				set++
			}
		}
		if set != 1 {
			return fmt.Errorf("%w: expectation %d names not exactly one thing", ErrInvalid, i)
		}
	}
	return nil
}

func (b Batch) checkSize() error {
	items := len(b.Entities) + len(b.Edges) + len(b.Alerts) + len(b.Edits) + len(b.Incidents) + len(b.Documents)
	if b.Expire != nil {
		if items+len(b.Expect) > 0 || b.Decide != nil {
			return fmt.Errorf("%w: a batch that expires does nothing else", ErrInvalid)
		}
		items = len(b.Expire.Incidents) + len(b.Expire.Edges)
	}
	if items > MaxBatchItems {
		return fmt.Errorf("%w: %d items, at most %d", ErrBatchTooLarge, items, MaxBatchItems)
	}
	if n := b.Size(); n > MaxBatchBytes {
		return fmt.Errorf("%w: about %d bytes, at most %d", ErrBatchTooLarge, n, MaxBatchBytes)
	}
	return nil
}

// Size estimates the bytes of what the batch carries: all its texts and JSON values.
func (b Batch) Size() int {
	n := len(b.Key) + len(b.Actor) + len(b.Cause)
	for _, e := range b.Entities {
		n += len(e.Source)
		for _, k := range e.Keys {
			n += len(k.Value)
		}
		for name, v := range e.Properties {
			n += len(name) + len(v)
		}
	}
	for _, e := range b.Edges {
		n += len(e.Source)
	}
	for _, a := range b.Alerts {
		n += a.size()
	}
	for _, c := range b.Incidents {
		if c.Facts != nil {
			n += len(c.Facts.DisplayName) + 100*len(c.Facts.Links)
		}
	}
	for _, d := range b.Documents {
		n += len(d.Collection) + len(d.Key) + len(d.Value)
	}
	return n
}
