package topology

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/clew-security/clew/graph"
)

// Tenants follows those tenants that are asked about. All methods are safe for concurrent use.
type Tenants struct {
	ctx     context.Context
	source  Source
	options func(graph.TenantID) Options
	bytes   int64

	mu       sync.Mutex
	followed map[graph.TenantID]*followed
	turn     uint64
	closed   bool
	leaving  sync.WaitGroup
}

// followed is a tenant's topology, nil while an earlier one ends.
type followed struct {
	*Topology
	asked uint64 // the turn of the last Of
}

// NewTenants follows no tenant yet, and none after ctx ends. Each is followed by its options. Where the graphs take
// more than so many bytes together, those go that were asked for longest ago, whenever one more is begun; 0 bounds
// nothing. It is a bound on what is begun: graphs that grow, and the last one begun, may exceed it.
func NewTenants(ctx context.Context, source Source, bytes int64, options func(graph.TenantID) Options) *Tenants {
	return &Tenants{ctx: ctx, source: source, bytes: bytes, options: options, followed: map[graph.TenantID]*followed{}}
}

// Of is the tenant's topology, which is begun to be followed if it was not. It never waits. A topology that it gave
// before may end at any time, when others need the room; ask for it anew for each question. Errors: graph.ErrInvalid
// for no tenant; graph.ErrClosed after Close, for the short time in which a topology that had to go ends, and while
// several others are being built.
func (t *Tenants) Of(tenant graph.TenantID) (*Topology, error) {
	if err := tenant.Check(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, graph.ErrClosed
	}
	t.turn++
	f, there := t.followed[tenant]
	switch {
	case there && f.Topology == nil:
		return nil, graph.ErrClosed
	case there:
		f.asked = t.turn
		return f.Topology, nil
	}
	if t.building() >= mostBuilding {
		return nil, graph.ErrClosed
	}
	t.makeRoom()
	begun, err := Follow(t.ctx, t.source, tenant, t.options(tenant))
	if err == nil {
		t.followed[tenant] = &followed{begun, t.turn}
	}
	return begun, err
}

// mostBuilding bounds the graphs that are built at the same time: how large they become is not known before.
const mostBuilding = 4

// building counts those that show nothing yet.
func (t *Tenants) building() (n int) {
	for _, f := range t.followed {
		if f.Topology == nil || f.measure().bytes == 0 {
			n++
		}
	}
	return n
}

// makeRoom lets go of topologies until the others are within the bound.
func (t *Tenants) makeRoom() {
	if t.bytes <= 0 {
		return
	}
	sum := int64(0)
	var all []graph.TenantID
	for tenant, f := range t.followed {
		if f.Topology != nil {
			sum, all = sum+int64(f.measure().bytes), append(all, tenant)
		}
	}
	slices.SortFunc(all, func(a, b graph.TenantID) int { return cmp.Compare(t.followed[a].asked, t.followed[b].asked) })
	for _, tenant := range all {
		if sum <= t.bytes {
			return
		}
		f := t.followed[tenant]
		sum -= int64(f.measure().bytes)
		t.let(tenant, f)
	}
}

// let ends one beside, which may have to be written to a file first.
func (t *Tenants) let(tenant graph.TenantID, f *followed) {
	ending := f.Topology
	f.Topology = nil
	t.leaving.Go(func() {
		_ = ending.Close() // never fails
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.followed, tenant)
	})
}

// Hint is Topology.Hint for a tenant that is followed.
func (t *Tenants) Hint(tenant graph.TenantID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, there := t.followed[tenant]; there && f.Topology != nil {
		f.Topology.Hint()
	}
}

// Close ends all, and waits for that. Closing twice is harmless.
func (t *Tenants) Close() error {
	t.mu.Lock()
	t.closed = true
	for tenant, f := range t.followed {
		if f.Topology != nil {
			t.let(tenant, f)
		}
	}
	t.mu.Unlock()
	t.leaving.Wait()
	return nil
}
