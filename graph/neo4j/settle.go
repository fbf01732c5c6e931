package neo4j

import (
	"context"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// Neo4j reads what is committed, row by row, and a commit that is just being applied can be seen in part. The
// writers of a tenant, in whatever process, hold the lock of its Tenant node until their commit is applied; so
// who gets that lock knows that the position it reads is applied whole: it is settled.

// settled is a position that is known to be applied whole.
type settled struct {
	row rules.Tenant
	seq int64
	// asked is when the server was asked, zero for never; learned when the answer was kept.
	asked, learned time.Time
}

// lockTenant takes the tenant's write lock, and so waits for the commit in flight. Setting a property to the value
// that it has takes the lock and changes nothing; removing one that is not there would take none.
const lockTenant = `
MATCH (t:Tenant {key: $key})
SET t.lock = 0
RETURN ` + tenantColumns

// tenantColumns are what tenantOf reads.
const tenantColumns = `t.revision, t.clock, t.alerts, t.entities, t.edges, t.incidents, t.next, t.trimmed, t.loading, t.seq`

func tenantOf(r *driver.Record) (row rules.Tenant, seq int64) {
	n := func(i int) int64 { return number(r.Values[i]) }
	row.Revision, row.Clock = graph.Revision(n(0)), graph.Tick(n(1))
	row.Alerts, row.Entities, row.Edges, row.Incidents = int(n(2)), int(n(3)), int(n(4)), int(n(5))
	row.Next, row.Trimmed, row.Loading = graph.IncidentID(n(6)), graph.Revision(n(7)), truth(r.Values[8])
	return row, n(9)
}

// settle asks the server for the settled position of now.
func (s *Store) settle(ctx context.Context, id graph.TenantID) (settled, error) {
	var now settled
	err := s.retry(ctx, func(ctx context.Context) error {
		now = settled{asked: time.Now()}
		found, err := s.once(ctx, driver.AccessModeWrite, lockTenant, map[string]any{"key": tk(id, "")})
		if err == nil && len(found) == 1 {
			now.row, now.seq = tenantOf(found[0])
		}
		return err
	})
	if err != nil {
		return settled{}, err
	}
	return s.tenant(id).learn(now), nil
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

// settled gives the position that a read may show: not older than Options.MaxStale, and not before v.AtLeast,
// for which it waits until ctx ends.
func (s *Store) settled(ctx context.Context, v graph.View) (settled, error) {
	t := s.tenant(v.Tenant)
	t.mu.Lock()
	known := t.known
	t.mu.Unlock()
	fresh := !known.asked.IsZero() && s.options.MaxStale > 0 && time.Since(known.asked) < s.options.MaxStale
	if fresh && known.row.Revision >= v.AtLeast {
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

// bind moves the tenant's clock, durably, for a read that is bounded above by want, and returns the bound that
// the read may promise; 0 where want is. A tenant without a commit is given no clock, so that asking about one
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
	t := s.tenant(id)
	if err := t.takeTurn(ctx); err != nil {
		return 0, err
	}
	defer t.giveTurn()
	return s.moveClock(ctx, id, t, want)
}

const setClock = `MATCH (t:Tenant {key: $key}) SET t.clock = $clock, t.seq = $seq`

// moveClock is the small commit of bind.
func (s *Store) moveClock(ctx context.Context, id graph.TenantID, t *tenant, want graph.Tick) (bound graph.Tick, err error) {
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
		t.remembered(now.seq)
		now.row.Clock, now.seq = clock, now.seq+1
		_, err = run.query(ctx, setClock, map[string]any{"key": tk(id, ""), "clock": int64(clock), "seq": now.seq})
		return true, err
	})
	if err != nil {
		return 0, err
	}
	if t.memorySeq == now.seq-1 {
		t.memorySeq = now.seq // the clock alone is not what is remembered
	}
	t.learn(now)
	return bound, nil
}
