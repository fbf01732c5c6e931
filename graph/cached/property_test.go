package cached

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// Writes through either of two caches before one store and one Redis, and reads through them in any order:
// every answer equals the store's own. Memory is dropped now and then, so that Redis has to answer.
func TestCachedReadsEqualDirectOnes(t *testing.T) {
	noLeaks(t)
	server := startRedis(t, realserver.RedisOptions{})
	var o Options
	m := newMeter(&o)
	steps := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, server, o)
		defer w.close()
		batches := graphtest.Group(t, rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), 1, 10).Draw(t, "units"), graphtest.UnionDecider{})
		for range rapid.IntRange(1, 10).Draw(t, "rounds") {
			if len(batches) > 0 {
				apply(t, w.any(t), graphtest.Tenant, batches[0])
				batches = batches[1:]
			}
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				w.step(t)
				steps++
			}
		}
	})
	t.Logf("%d steps: %d hits in memory, %d in Redis, %d misses, %d bypasses", steps,
		m.sum(t, "clew.cache.hits", "tier", "memory"), m.sum(t, "clew.cache.hits", "tier", "redis"), m.sum(t, "clew.cache.misses"), m.sum(t, "clew.cache.bypasses"))
	if m.sum(t, "clew.cache.hits", "tier", "redis") == 0 || m.sum(t, "clew.cache.redis.failures") > 0 {
		t.Error("Redis did not answer")
	}
}

// pairOf is two caches before one store; one of them trusts versions, so it is only asked with a minimum
// revision.
type pairOf struct {
	store    *embedded.Store
	exact    *Store
	trusting *Store
}

func newWorld(t *rapid.T, server *realserver.Server, o Options) *pairOf {
	store := must(embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Clock: graphtest.NewClock().Now, CacheBytes: 1 << 20}))(t)
	o.Redis, o.eager = tier(server.Addr), rapid.Bool().Draw(t, "eager")
	w := &pairOf{store: store, exact: must(New(&watched{Store: store, keepOpen: true}, o))(t)}
	o.Trust, o.clock = MaxTrust, func() time.Time { return graphtest.Epoch }
	w.trusting = must(New(&watched{Store: store, keepOpen: true}, o))(t)
	return w
}

func (w *pairOf) close() {
	w.exact.Close()
	w.trusting.Close()
	w.store.Close()
}

func (w *pairOf) any(t *rapid.T) graph.Store {
	return rapid.SampledFrom([]graph.Store{w.exact, w.trusting, w.store}).Draw(t, "through")
}

// step edits something or asks one question.
func (w *pairOf) step(t *rapid.T) {
	cache, v := w.exact, view
	if rapid.Bool().Draw(t, "trusting") {
		cache, v.AtLeast = w.trusting, must(w.store.Position(bg, view))(t).Revision
	}
	all := must(w.store.Alerts(bg, view, graph.AlertQuery{}))(t).Items
	some := []graph.IncidentID{graph.IncidentID(rapid.IntRange(1, 3).Draw(t, "incident"))}
	if rapid.IntRange(0, 5).Draw(t, "two") == 0 {
		some = append(some, 1)
	}
	switch rapid.IntRange(0, 6).Draw(t, "step") {
	case 0:
		cache.memory.kept.InvalidateAll()
	case 1:
		w.edit(t, all)
	case 2:
		ids := []graph.ID{device("nobody").ID()}
		for _, a := range all {
			ids = append(ids, a.Entities()...)
		}
		q := graph.EntityQuery{IDs: rapid.SliceOfN(rapid.SampledFrom(ids), 1, 3).Draw(t, "ids")}
		same(t, fmt.Sprint(q), must(w.store.Entities(bg, view, q))(t), must(cache.Entities(bg, v, q))(t))
	case 3:
		q := graph.IncidentQuery{IDs: some}
		same(t, fmt.Sprint(q), must(w.store.Incidents(bg, view, q))(t), must(cache.Incidents(bg, v, q))(t))
	default:
		q := graph.AlertQuery{Incidents: some, Paging: graph.Paging{
			Order: graph.TickOrder(rapid.IntRange(0, 3).Draw(t, "order")), Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Count: rapid.Bool().Draw(t, "count"),
		}}
		if len(all) > 0 && rapid.Bool().Draw(t, "behind") {
			q.After = rapid.SampledFrom(all).Draw(t, "after").Created
		}
		same(t, fmt.Sprint(q), must(w.store.Alerts(bg, view, q))(t), must(cache.Alerts(bg, v, q))(t))
	}
}

// edit sets what a person says of an alert or of its incident.
func (w *pairOf) edit(t *rapid.T, all []graph.Alert) {
	if len(all) == 0 {
		return
	}
	a := rapid.SampledFrom(all).Draw(t, "alert")
	word := graph.Triage{AssignedTo: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "person")}
	b := graph.Batch{Edits: []graph.AlertEdit{{Alert: a.ID, Set: word}}, Decide: graphtest.UnionDecider{}}
	if rapid.Bool().Draw(t, "incident") {
		b = graph.Batch{Incidents: []graph.IncidentChange{{ID: a.Incident, Triage: word}}}
	}
	apply(t, w.any(t), graphtest.Tenant, b)
}
