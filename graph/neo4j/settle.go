package neo4j

import (
	"context"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Neo4j reads what is committed, row by row, each at the moment it comes to it: a commit that is being applied can be
// seen in part. What was met cannot tell: an item that was re-dated while an index was read is simply not met. So
// each tenant has a gate, a node beside its own. Whoever commits takes the gate's lock as the last thing before, and
// holds it, as any lock, until the commit is applied; the lock of the Tenant node, which keeps writers from one another
// and which a long commit or an export may hold for hours, says nothing to readers. Hence
//
//   - who gets the gate's lock sees where the tenant stands, and that position is applied whole: it is settled;
//   - where the gate is passed before and after an answer and the tenant's seq is the same, nothing was applied in
//     between, in part or whole: the answer is a snapshot at that position.
//
// Passing the gate is one statement that writes nothing, and it waits only for a commit that is being applied.

// settled is a position that is known to be applied whole.
type settled struct {
	row rules.Tenant
	seq int64
	// asked is when the server was asked, zero for never; learned when the answer was kept.
	asked, learned time.Time
}

// Setting a property to the value that it has takes the lock and changes nothing; removing one that is not there
// would take none.
const (
	// lockTenant takes the tenant's write lock, and so waits for the writer in flight.
	lockTenant = `
MATCH (t:Tenant {key: $key})
SET t.lock = 0
RETURN ` + tenantColumns

	// passGate finds nothing of a tenant without a commit.
	passGate = `
MATCH (g:Gate {key: $key})
SET g.lock = 0
WITH g
MATCH (t:Tenant {key: $key})
RETURN ` + tenantColumns

	// closeGate begins the last statement before a commit.
	closeGate = `
MERGE (g:Gate {key: $in.key})
SET g.lock = 0
WITH g`
)

// tenantColumns are what tenantOf reads.
const tenantColumns = `t.revision, t.clock, t.alerts, t.entities, t.edges, t.incidents, t.next, t.trimmed, t.loading, t.seq`

func tenantOf(r *driver.Record) (row rules.Tenant, seq int64) {
	n := func(i int) int64 { return number(r.Values[i]) }
	row.Revision, row.Clock = graph.Revision(n(0)), graph.Tick(n(1))
	row.Alerts, row.Entities, row.Edges, row.Incidents = int(n(2)), int(n(3)), int(n(4)), int(n(5))
	row.Next, row.Trimmed, row.Loading = graph.IncidentID(n(6)), graph.Revision(n(7)), truth(r.Values[8])
	return row, n(9)
}

// settling is a question for the settled position, whose answer all get that came before it was asked.
type settling struct {
	done chan struct{}
	now  settled
	err  error
}

// settle gives the settled position of now. However many call it at once, one question is under way and one waits.
// Errors: graph.ErrImporting.
func (s *Store) settle(ctx context.Context, id graph.TenantID) (settled, error) {
	t := s.tenant(id)
	t.mu.Lock()
	q := t.next
	if q == nil {
		q = &settling{done: make(chan struct{})}
		t.next = q
		s.inFlight.Go(func() { s.ask(context.WithoutCancel(ctx), id, t, q) })
	}
	t.mu.Unlock()
	select {
	case <-q.done:
		return q.now, q.err
	case <-ctx.Done():
		return settled{}, ctx.Err()
	}
}

// ask answers the question, for whoever waits for it, until the store closes.
func (s *Store) ask(ctx context.Context, id graph.TenantID, t *tenant, q *settling) {
	defer close(q.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	t.asking.Lock()
	defer t.asking.Unlock()
	t.mu.Lock()
	t.next = nil // who comes now needs a later answer
	t.mu.Unlock()
	var now settled
	q.err = s.retry(ctx, func(ctx context.Context) error {
		now = settled{asked: time.Now()}
		found, err := s.once(ctx, driver.AccessModeWrite, passGate, map[string]any{"key": tk(id, "")})
		if err == nil && len(found) == 1 {
			now.row, now.seq = tenantOf(found[0])
		}
		return err
	})
	if q.err == nil {
		q.now = t.learn(now)
		q.err = q.now.whole(id)
	}
}

// whole refuses the position of a tenant that is being imported.
func (s settled) whole(id graph.TenantID) error {
	if s.row.Loading {
		return graph.Importing(id)
	}
	return nil
}

// learn keeps the newer of two settled positions. Answers may overtake one another; only after the database was
// restored from a copy does a later question get an older answer.
func (t *tenant) learn(now settled) settled {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.seq >= t.known.seq || now.asked.After(t.known.learned) {
		now.learned = time.Now()
		t.known = now
	}
	return t.known
}

// settled gives the position that a read may show: not older than that, and not before v.AtLeast, for which it waits
// until ctx ends.
func (s *Store) settled(ctx context.Context, v graph.View, stale time.Duration) (settled, error) {
	t := s.tenant(v.Tenant)
	t.mu.Lock()
	known := t.known
	t.mu.Unlock()
	fresh := !known.asked.IsZero() && time.Since(known.asked) < stale
	if fresh && !known.row.Loading && known.row.Revision >= v.AtLeast {
		return known, nil
	}
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		now, err := s.settle(ctx, v.Tenant)
		if err != nil || now.row.Revision >= v.AtLeast {
			return now, err
		}
		if err := s.sleep(ctx, pause); err != nil {
			return now, err
		}
	}
}

// sleep ends early with ctx's error, or because the store is closed.
func (s *Store) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return graph.ErrClosed
	}
}

// patience is how long a read waits for a writer to move the tenant's clock.
const patience = 2 * time.Second

// bind moves the tenant's clock, durably, for a read that is bounded above by want, and returns the bound that
// the read may promise; 0 where want is. Where writers, or an export, do not let it within patience, the read
// promises what the clock as it is allows. A tenant without a commit is given no clock, so that asking about one
// makes none: the bound is then 1, the first tick there can be, whatever the wall clock will say.
func (s *Store) bind(ctx context.Context, id graph.TenantID, want graph.Tick) (bound graph.Tick, err error) {
	if want == 0 {
		return 0, nil
	}
	at, err := s.settle(ctx, id)
	row := at.row
	if err != nil || row.Revision == 0 {
		return min(want, row.Clock+1), err
	}
	if bound, clock := graph.BoundClock(s.options.Clock(), row.Clock, want); clock == row.Clock {
		return bound, nil
	}
	hurried, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	bound, err = s.moveClock(hurried, id, s.tenant(id), want)
	if err != nil && hurried.Err() != nil && ctx.Err() == nil {
		return min(want, row.Clock+1), nil
	}
	return bound, err
}

const setClock = closeGate + `
MATCH (t:Tenant {key: $in.key})
SET t.clock = $in.clock, t.seq = $in.seq`

// moveClock is the small commit of bind. It leaves t.wrote as it is: nothing that a writer remembers changes.
func (s *Store) moveClock(ctx context.Context, id graph.TenantID, t *tenant, want graph.Tick) (bound graph.Tick, err error) {
	if err := t.takeTurn(ctx); err != nil {
		return 0, err
	}
	defer t.giveTurn()
	var now settled
	err = s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
		found, err := run.query(ctx, lockTenant, map[string]any{"key": tk(id, "")})
		if err != nil || len(found) == 0 {
			return false, err
		}
		now = settled{asked: time.Now()}
		now.row, now.seq = tenantOf(found[0])
		var clock graph.Tick
		if bound, clock = graph.BoundClock(s.options.Clock(), now.row.Clock, want); clock == now.row.Clock {
			return false, nil
		}
		now.row.Clock, now.seq = clock, now.seq+1
		in := map[string]any{"key": tk(id, ""), "clock": int64(clock), "seq": now.seq}
		_, err = run.query(ctx, setClock, map[string]any{"in": in})
		return true, err
	})
	if err != nil {
		return 0, err
	}
	t.learn(now)
	return bound, nil
}
