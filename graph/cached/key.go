package cached

import (
	"time"

	"github.com/clew-security/clew/graph"
)

// kind is what sort of answer is kept.
type kind string

const (
	kindIncident kind = "incident"
	kindPosition kind = "position"
	kindAlerts   kind = "alerts"
	kindEntities kind = "entities"
)

// key names one answer to one sort of caller. Everything that the answer depends on is in it.
type key struct {
	tenant graph.TenantID
	access string
	kind   kind
	id     graph.IncidentID // of kindIncident and kindAlerts
	list   [32]byte         // digest of the ids, of kindEntities
	version
}

// version tells two contents of one thing apart. The ticks are unique on the wall clock, so that a revision
// that comes again, after the store was put back to an earlier state, is another version.
type version struct {
	revision         graph.Revision
	created, updated graph.Tick
}

func versionOf(i graph.Incident) version { return version{i.Revision, i.Created, i.Updated} }

func versionOfTenant(p graph.Position) version {
	return version{revision: p.Revision, updated: p.Clock}
}

func keyOf(v graph.View, k kind) key { return key{tenant: v.Tenant, access: v.Access, kind: k} }

// at is the key of the same thing in a version.
func (k key) at(v version) key {
	k.version = v
	return k
}

// view is that of the callers who share the key: it sees what the version stands for.
func (k key) view() graph.View {
	return graph.View{Tenant: k.tenant, Access: k.access, AtLeast: k.revision}
}

// value is what is kept; once it is, it is never written to and never given away.
type value struct {
	// read is when the reading of an incident or position began: it was current then or later.
	read     time.Time
	incident graph.Incident
	position graph.Position
	alerts   []graph.Alert // oldest created first
	entities []graph.Entity
	// large stands in for a value that is too large to keep.
	large bool
	// bytes it takes in memory, approximately.
	bytes int
}
