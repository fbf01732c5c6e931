package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/clew-security/clew/graph"
)

// Tenant is the record of where a tenant stands.
type Tenant struct {
	graph.Position
	// Next is the number of incidents ever created.
	Next graph.IncidentID
	// Trimmed is the newest revision whose Change was trimmed.
	Trimmed graph.Revision
	// Loading is set while an import fills the tenant.
	Loading bool
}

// How far a tenant may come, by commits and by an import alike, so that what is there can be carried: numbers that
// every reader of JSON knows exactly, and a clock that still has a year of four digits.
const mostCounted = 1 << 53

var latestTick = graph.TickOf(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC))

// check refuses what a tenant cannot have come to.
func (t Tenant) check() error {
	if t.Revision > mostCounted || t.Next > mostCounted || t.Clock < 0 || t.Clock > latestTick {
		return fmt.Errorf("revision %d, clock %s or incident %d is beyond what a tenant can come to: revision and incident %d, clock %s",
			t.Revision, t.Clock, t.Next, uint64(mostCounted), latestTick)
	}
	return nil
}

// Home is what is stored of one id.
type Home struct {
	// Facts were observed under the id; without keys where none were: others may only have claimed it.
	Facts graph.Facts
	// Node is the canonical id that it belongs to; zero or the id itself where that is no other.
	Node graph.ID
	// Revision and Members are the node's, where the id is a node: the last revision that changed what is shown
	// of it, and the number of other ids that belong to it.
	Revision graph.Revision
	Members  int
	// Alone is set where it is known that nothing was ever observed under any of these other ids.
	Alone bool
}

// Observed reports whether anything was ever observed under the id.
func (h Home) Observed() bool { return len(h.Facts.Keys) > 0 }

// Ends names one relation between home ids.
type Ends struct {
	From graph.ID
	Kind graph.EdgeKind
	To   graph.ID
}

// Compare orders by from, kind and to.
func (e Ends) Compare(o Ends) int { return graph.EdgeKey(e).Compare(graph.EdgeKey(o)) }

// SightingKey names one sighting.
type SightingKey struct {
	Ends
	Observation graph.ID
}

// Sighted is what is stored of a sighting.
type Sighted struct {
	graph.Sighting
	// Edge is set where the relation has any sighting, Seen where it has this one.
	Edge, Seen bool
}

// Bearer is an id under which a weak key was observed.
type Bearer struct {
	// Home is that id, Node the canonical id it belongs to.
	Home, Node graph.ID
	// Rank of the home's own key.
	Rank int
}

// BearerQuery asks who bears a weak key.
type BearerQuery struct {
	// Key is the id of the weak key.
	Key graph.ID
	// Ranks asked for: from Least to before Most.
	Least, Most int
	// Limit bounds the answer, smallest ranks first, then smallest homes.
	Limit int
}

// Records is what was committed of one tenant. It is asked in bulk, because a round trip may cost a
// millisecond; answers are in the order of the questions. An unknown id has the zero answer.
type Records interface {
	// Homes reads ids. Facts must not be changed by the caller.
	Homes(ctx context.Context, ids []graph.ID) ([]Home, error)
	// Members lists the other ids of nodes, in order.
	Members(ctx context.Context, nodes []graph.ID) ([][]graph.ID, error)
	// Claimants lists the homes that claim ids, see graph.Claims.
	Claimants(ctx context.Context, ids []graph.ID) ([][]graph.ID, error)
	// Bearers lists who bears weak keys.
	Bearers(ctx context.Context, all []BearerQuery) ([][]Bearer, error)
	// Sightings reads single sightings.
	Sightings(ctx context.Context, all []SightingKey) ([]Sighted, error)
	// Edges reads all sightings of relations.
	Edges(ctx context.Context, all []Ends) ([][]graph.Sighting, error)
	// Neighbours lists the homes at the other ends of the edges at homes.
	Neighbours(ctx context.Context, homes []graph.ID) ([][]graph.ID, error)
	// Alerts reads alerts.
	Alerts(ctx context.Context, ids []graph.ID) ([]graph.Alert, error)
	// Incidents reads incidents.
	Incidents(ctx context.Context, ids []graph.IncidentID) ([]graph.Incident, error)
	// Documents reads documents.
	Documents(ctx context.Context, keys []graph.DocumentKey) ([]graph.Document, error)
}

// Tx is one commit as a store offers it to the protocol. Until the first Write its Records are those before
// the commit; later only records that no Write named are asked for.
type Tx interface {
	Records
	// Tenant reads where the tenant stands.
	Tenant(ctx context.Context) (Tenant, error)
	// Replayed finds the revision of a batch key that was committed before.
	Replayed(ctx context.Context, key string) (r graph.Revision, ok bool, err error)
	// Write stages records; the store makes them durable when Commit has returned. It may come twice.
	Write(ctx context.Context, w Writes) error
	// Staged reads the tenant with what was written so far. It waits for no revision.
	Staged() graph.Reader
}

// AtomWrite stores what was observed under an id.
type AtomWrite struct {
	ID    graph.ID
	Facts graph.Facts
	// Was is what was stored before.
	Was graph.Facts
	// New is set where nothing was observed under it before; Bears are the keys new to it.
	New   bool
	Bears []graph.Key
	// Fresh is set where it is known that nothing is stored of the id, not even that another claims it.
	Fresh bool

	named []graph.ID // what KeyID gives, where that was worked out before
}

// KeyID is the id that the i-th of Bears names.
func (a AtomWrite) KeyID(i int) graph.ID {
	if a.named != nil {
		return a.named[i]
	}
	return a.Bears[i].ID()
}

// Claims lists the ids that the new keys claim.
func (a AtomWrite) Claims() (out []graph.ID) {
	for i, k := range a.Bears {
		if k.Strength() != graph.Strong {
			continue
		}
		if id := a.KeyID(i); id != a.ID {
			out = append(out, id)
		}
	}
	return out
}

// Move changes the node that an id belongs to; From and To are the id itself where it stands alone.
type Move struct{ ID, From, To graph.ID }

// NodeWrite stores the row of a node, or removes it.
type NodeWrite struct {
	ID       graph.ID
	Revision graph.Revision
	Members  int
	// Alone is as in Home.
	Alone bool
	Gone  bool
}

// HomeWrite is what an id comes to be, whole.
type HomeWrite struct {
	ID graph.ID
	Home
}

// SightingWrite stores one sighting.
type SightingWrite struct {
	SightingKey
	Sighting graph.Sighting
	// NewEdge is set, on one of its sightings, where the relation had none before; New where this one was not there.
	NewEdge, New bool
}

// AlertWrite replaces an alert; Was is nil for a new one, Next for one that goes.
type AlertWrite struct{ Was, Next *graph.Alert }

// IncidentWrite replaces an incident; Was is nil for a new one, Next for one that goes.
type IncidentWrite struct{ Was, Next *graph.Incident }

// Writes are the records of a commit. Rows that an index holds of Was must all go before those of Next come:
// a tick may pass from one item to another between two Writes.
type Writes struct {
	Tenant Tenant
	Atoms  []AtomWrite
	Moves  []Move
	Nodes  []NodeWrite
	// Homes are what the ids that Atoms, Moves and Nodes name come to be, each once.
	Homes     []HomeWrite
	Sightings []SightingWrite
	// Expired are relations of which all sightings go.
	Expired   []Ends
	Alerts    []AlertWrite
	Incidents []IncidentWrite
	// Documents to store; one without a value is deleted.
	Documents []graph.Document
	// Change is the commit's record; nil where nothing changed as shown. TrimAfter and TrimTo bound the
	// revisions whose changes go: behind the first, up to the second.
	Change            *graph.Change
	TrimAfter, TrimTo graph.Revision
	// BatchKeys to remember.
	BatchKeys []graph.BatchKeyRecord
}

// empty reports whether there is nothing but the tenant's record.
func (w Writes) empty() bool {
	return len(w.Atoms)+len(w.Moves)+len(w.Nodes)+len(w.Sightings)+len(w.Expired)+len(w.Alerts)+len(w.Incidents)+len(w.Documents) == 0 &&
		w.Change == nil && len(w.BatchKeys) == 0
}
