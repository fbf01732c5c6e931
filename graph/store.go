package graph

import (
	"context"
	"iter"
	"time"
)

// View is who asks: every read takes it, and every cache key and cursor carries it.
type View struct {
	Tenant TenantID
	// Access digests roles and device groups; constant until access control exists.
	Access string
	// AtLeast makes the read wait until it sees that revision: a caller reads its own writes on any replica.
	AtLeast Revision
}

// Reader answers questions about one tenant. Each call sees one snapshot. All methods are safe for
// concurrent use, return early with ctx's error when it ends, and return ErrClosed after Close. Ids of
// other tenants are simply not found.
type Reader interface {
	// Entities returns nodes by id, or scans them; see EntityQuery.
	Entities(ctx context.Context, v View, q EntityQuery) ([]Entity, error)
	// Lookup returns, for each key, the canonical ids of the nodes that bear it, in order; several for a
	// weak or contested key, at most MaxLookup.
	Lookup(ctx context.Context, v View, keys []Key) ([][]ID, error)
	// Edges yields the edges at the nodes, or all; see EdgeQuery. It stops after the first error. At more than
	// SnapshotNodes nodes it may be several snapshots, one behind the other.
	Edges(ctx context.Context, v View, q EdgeQuery) iter.Seq2[Edge, error]
	// Alerts returns a page of alerts.
	Alerts(ctx context.Context, v View, q AlertQuery) (AlertPage, error)
	// Incidents returns a page of incidents.
	Incidents(ctx context.Context, v View, q IncidentQuery) (IncidentPage, error)
	// Documents returns the documents of a collection whose keys have the prefix, in order of key.
	Documents(ctx context.Context, v View, q DocumentQuery) ([]Document, error)
	// Position says where the tenant stands.
	Position(ctx context.Context, v View) (Position, error)
}

// Writer commits.
type Writer interface {
	// Apply commits the batch atomically and durably: when it returns without error the batch survives a
	// crash. It is idempotent: the same batch again changes nothing, and a batch that changes nothing makes
	// no revision. It never splits a batch. Errors: ErrInvalid (an empty tenant too), ErrBatchTooLarge,
	// ErrConflict, ErrNotFound (an edit of an unknown alert), ErrClosed, the decider's, or the storage's own; after any of them nothing was written, except that a storage error may leave the
	// outcome open, and then the same batch can be applied again.
	Apply(ctx context.Context, tenant TenantID, b Batch) (Receipt, error)
}

// Store keeps the graph of many tenants.
type Store interface {
	Reader
	Writer
	// Changes yields what commits after since touched, oldest first; ErrTooOld where they were trimmed.
	Changes(ctx context.Context, v View, since Revision) iter.Seq2[Change, error]
	// Ready reports whether the store can take reads and writes, or why not.
	Ready(ctx context.Context) error
	// Close releases the store. Later calls return ErrClosed; closing twice is harmless.
	Close() error
}

// SnapshotNodes is the number of nodes whose edges every store gives as of one moment.
const SnapshotNodes = 1000

// MaxLookup bounds the ids that Lookup returns for one key.
const MaxLookup = 100

// Position is where a tenant stands.
type Position struct {
	Revision Revision
	// Clock is the tenant's last tick.
	Clock Tick
	// Alerts, Entities, Edges and Incidents count what is stored: alerts, nodes, (from, kind, to) observed,
	// and incidents that are not redirected.
	Alerts, Entities, Edges, Incidents int
}

// Change is one commit's record of what it touched.
type Change struct {
	Revision Revision
	// At is the writer's wall clock when it committed, in microseconds; how far a reader is behind is judged by it.
	At time.Time
	// Entities are the canonical ids, as of that commit or the one before, whose facts or edges changed: also of a
	// node that was joined to another.
	Entities  []ID
	Alerts    []ID
	Incidents []IncidentID
	// Edges are all observed edges that the commit changed, those that came and went included, in order; nil where the
	// store does not know: then any at Entities may have changed.
	Edges []EdgeKey
	// Outcome is what the commit left, so that it need not be read; nil where the store does not remember, and where Edges
	// is. It is shared: nobody may change what it holds.
	Outcome *Outcome
}

// Outcome is what a commit left of what it changed.
type Outcome struct {
	// Entities are all that changed themselves and are still there, in order, without PossiblySameAs. Of the others that
	// the Change names only edges changed.
	Entities []Entity
	// Edges are those of the Change's of which the commit had every sighting, with these, in order.
	Edges []Edge
	// Seen are those that were there before and were seen again, in order: their keys, and only the new Sightings, of
	// observation keys that the edge did not have (Edge.Join). What is in neither list must be read. Where a store tells
	// this, its Changes, asked for after any read, show all commits that the read showed: nobody joins a sighting twice.
	Seen []Edge
}

// EntityQuery asks for nodes.
type EntityQuery struct {
	// IDs asks for these: the answer has one entity each, in this order, with a zero ID where unknown.
	// Earlier ids resolve. Where nil, all nodes are scanned in order of id.
	IDs []ID
	// Kinds limits a scan.
	Kinds []Kind
	// After continues a scan behind this id.
	After ID
	// Limit bounds a scan's answer; 0 means MaxPage.
	Limit int
}

// MaxPage bounds the items of one page.
const MaxPage = 1000

// Direction of edges as seen from a node.
type Direction uint8

// The directions; Both is their union.
const (
	Out  Direction = 1
	In   Direction = 2
	Both Direction = Out | In
)

// EdgeQuery asks for edges between canonical nodes, each joined over all its sightings.
type EdgeQuery struct {
	// Nodes asks for the edges at these, in no particular order, an edge between two of them possibly twice.
	// Derived possiblySameAs edges are yielded where they are followed. Where nil, all observed edges are
	// yielded in order, each once, without derived ones.
	Nodes []ID
	// Keys asks for these observed edges instead, each at most once, whatever Nodes, Direction and Kinds say. There is
	// none between ids that are not canonical.
	Keys []EdgeKey
	// Direction as seen from Nodes; 0 means Both.
	Direction Direction
	// Kinds limits the answer; nil means all.
	Kinds []EdgeKind
	// AsOf is valid time over what is known now: edges first seen after it are left out, and what happened
	// after it is hidden. Zero means now.
	AsOf time.Time
	// Sightings asks for Edge.Sightings: the distinct ones that are known now, whatever AsOf hides, in order of their
	// observation keys. Derived edges have none.
	Sightings bool
}

// Join makes the edge that answers the query from its sightings, of which several may have one observation key, as
// joined nodes can: these are one sighting. ok is false where nothing had been seen by AsOf.
func (q EdgeQuery) Join(kind EdgeKind, from, to ID, sightings []Sighting) (e Edge, ok bool) {
	distinct := DistinctSightings(sightings)
	e, ok = JoinDistinct(kind, from, to, distinct, q.AsOf)
	if q.Sightings {
		e.Sightings = distinct
	}
	return e, ok
}

// AlertQuery asks for alerts.
type AlertQuery struct {
	// IDs asks for these, in this order; unknown ones are left out and the filters below still hold.
	IDs []ID
	// Incidents limits to alerts of these; a redirected incident means the one it points to.
	Incidents []IncidentID
	// Entities limits to alerts with evidence about any of these nodes.
	Entities []ID
	// Activity limits to alerts whose activity overlaps the window.
	Activity Window
	// Severities, Statuses and Sources limit by value; nil means any.
	Severities []Severity
	Statuses   []Status
	Sources    []ServiceSource
	Paging
}

// IncidentQuery asks for incidents.
type IncidentQuery struct {
	// IDs asks for these, in this order; unknown ones are left out.
	IDs []IncidentID
	// Activity limits to incidents whose activity overlaps the window.
	Activity Window
	// Severities, Statuses and Sources limit by value; nil means any. An incident has every source of its
	// alerts. Redirected incidents are left out unless asked for by id or status.
	Severities []Severity
	Statuses   []Status
	Sources    []ServiceSource
	// WithContentVersion fills Incident.ContentVersion, at the cost of reading all that is shown.
	WithContentVersion bool
	Paging
}

// TickOrder is the order of a page.
type TickOrder uint8

// The orders. Created never changes for an item, so such pages are stable while written to.
const (
	NewestCreated TickOrder = iota
	OldestCreated
	NewestUpdated
	OldestUpdated
)

// ByUpdate reports whether the order is by last update.
func (o TickOrder) ByUpdate() bool { return o == NewestUpdated || o == OldestUpdated }

// Newest reports whether the newest come first.
func (o TickOrder) Newest() bool { return o == NewestCreated || o == NewestUpdated }

// Paging is the order and the part asked for.
type Paging struct {
	Order TickOrder
	// After continues behind the item that had this tick in the order; 0 starts.
	After Tick
	// Created and Updated limit by tick: at least From, below Before; 0 is open. A read with a Before first
	// moves the tenant's clock there, so that nothing later can fall below it (see BoundClock).
	Created, Updated TickRange
	// Limit bounds the page; 0 means MaxPage, and so does more.
	Limit int
	// Count asks for the total, counted up to MaxCount.
	Count bool
}

// Wanted is the upper bound that the read asks for, 0 for none.
func (p Paging) Wanted() Tick {
	if p.Updated.Before == 0 || p.Created.Before == 0 {
		return max(p.Updated.Before, p.Created.Before)
	}
	return min(p.Updated.Before, p.Created.Before)
}

// Promise is what the read may promise where no clock is moved for it, because nobody else can write meanwhile;
// 0 where it is not bounded above. See BoundClock.
func (p Paging) Promise(wall time.Time, last Tick) Tick {
	want := p.Wanted()
	if want == 0 {
		return 0
	}
	bound, _ := BoundClock(wall, last, want)
	return bound
}

// Bounded limits the ranges to what a bounded read may promise; 0 limits nothing.
func (p Paging) Bounded(bound Tick) Paging {
	for _, r := range []*TickRange{&p.Created, &p.Updated} {
		if bound != 0 && r.Before > bound {
			r.Before = bound
		}
	}
	return p
}

// TickRange is a span of ticks, open where 0.
type TickRange struct {
	From, Before Tick
}

// Contains reports whether the tick lies in the range.
func (r TickRange) Contains(t Tick) bool {
	return t >= r.From && (r.Before == 0 || t < r.Before)
}

// MaxCount bounds PageInfo.Total.
const MaxCount = 10_000

// PageInfo tells what a page is part of.
type PageInfo struct {
	// More is set where items follow.
	More bool
	// Total is the number of items that match, where asked for; capped at MaxCount, and then TotalCapped.
	Total       int
	TotalCapped bool
	// Bound: the answer is complete for ticks below it, for ever. Zero where the query had no upper bound.
	Bound Tick
}

// AlertPage is a page of alerts.
type AlertPage struct {
	Items []Alert
	PageInfo
}

// IncidentPage is a page of incidents.
type IncidentPage struct {
	Items []Incident
	PageInfo
}

// DocumentQuery asks for documents.
type DocumentQuery struct {
	Collection string
	// Prefix of the keys; After continues behind a key.
	Prefix, After string
	// Limit bounds the answer; 0 means MaxPage.
	Limit int
}

// PageLimit is the number of items a page may have for a limit that was asked for.
func PageLimit(asked int) int {
	if asked <= 0 || asked > MaxPage {
		return MaxPage
	}
	return asked
}
