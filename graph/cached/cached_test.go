package cached

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// hot is a store with incident 1 of two alerts and a cache that holds it.
func hot(t *testing.T, o Options) (*Store, *watched, graph.Store) {
	t.Helper()
	noLeaks(t)
	store := openStore(t)
	apply(t, store, graphtest.Tenant, alertAbout("1", "pc1"))
	apply(t, store, graphtest.Tenant, alertAbout("2", "pc1"))
	s, w := open(t, store, o)
	for range 2 {
		readOne(t, s, view, 1)
	}
	w.alerts.Store(0)
	return s, w, store
}

func TestOnlyWhatIsAskedForAgainIsKept(t *testing.T) {
	noLeaks(t)
	store := openStore(t)
	for i := range 20 {
		apply(t, store, graphtest.Tenant, alertAbout(fmt.Sprint(i), fmt.Sprint("pc", i)))
	}
	now := graphtest.Epoch
	s, w := open(t, store, Options{clock: func() time.Time { return now }})
	for i := range 20 {
		readOne(t, s, view, graph.IncidentID(i+1))
	}
	if n := s.memory.kept.EstimatedSize(); n != 0 || w.incidents.Load() != 0 {
		t.Errorf("one pass over all incidents left %d entries and read %d versions", n, w.incidents.Load())
	}
	for want := range 3 {
		readOne(t, s, view, 7)
		if n := s.memory.kept.EstimatedSize(); n != 1 || w.alerts.Load() != 21 {
			t.Errorf("after request %d: %d entries, %d reads of alerts", want+2, n, w.alerts.Load())
		}
	}
	now = now.Add(2 * DefaultKeep)
	readOne(t, s, view, 8)
	if n := s.memory.kept.EstimatedSize(); n != 1 {
		t.Error("a request long ago counted")
	}
}

func TestAPageOfAKeptIncidentCostsTheStoreOneRow(t *testing.T) {
	s, w, store := hot(t, Options{})
	w.incidents.Store(0)
	same(t, "alerts", readOne(t, store, view, 1), readOne(t, s, view, 1))
	if w.alerts.Load() != 0 || w.incidents.Load() != 1 {
		t.Errorf("%d reads of alerts, %d of incidents", w.alerts.Load(), w.incidents.Load())
	}
}

func TestEveryPageAndOrderComesFromOneValue(t *testing.T) {
	s, w, store := hot(t, Options{})
	for i := range 5 {
		apply(t, store, graphtest.Tenant, alertAbout(fmt.Sprint("more", i), "pc1"))
	}
	readOne(t, s, view, 1)
	w.alerts.Store(0)
	ticks := []graph.Tick{0}
	for _, a := range readOne(t, store, view, 1).Items {
		ticks = append(ticks, a.Created, a.Updated, a.Created+1)
	}
	asked := 0
	for order := graph.NewestCreated; order <= graph.OldestUpdated; order++ {
		for _, after := range ticks {
			for _, limit := range []int{0, 1, 3, 7, 8, 5000} {
				q := oneIncident(1)
				q.Paging = graph.Paging{Order: order, After: after, Limit: limit, Count: limit%2 == 1}
				same(t, fmt.Sprintf("%+v", q.Paging), must(store.Alerts(t.Context(), view, q))(t), must(s.Alerts(t.Context(), view, q))(t))
				asked++
			}
		}
	}
	if w.alerts.Load() != 0 {
		t.Errorf("%d of %d pages came from the store", w.alerts.Load(), asked)
	}
}

func TestWhatCannotBeKeptGoesToTheStoreAsItWasAsked(t *testing.T) {
	o := Options{eager: true}
	m := newMeter(&o)
	s, w, store := hot(t, o)
	a := readOne(t, store, view, 1).Items[0]
	for name, q := range map[string]graph.AlertQuery{
		"all": {}, "two incidents": {Incidents: []graph.IncidentID{1, 2}}, "by id": {Incidents: []graph.IncidentID{1}, IDs: []graph.ID{a.ID}},
		"by entity":   {Incidents: []graph.IncidentID{1}, Entities: []graph.ID{device("pc1").ID()}},
		"by severity": {Incidents: []graph.IncidentID{1}, Severities: []graph.Severity{graph.SeverityLow}},
		"by status":   {Incidents: []graph.IncidentID{1}, Statuses: []graph.Status{graph.StatusResolved}},
		"by source":   {Incidents: []graph.IncidentID{1}, Sources: []graph.ServiceSource{graph.ServiceDLP}},
		"by activity": {Incidents: []graph.IncidentID{1}, Activity: graph.Window{Before: graphtest.Epoch}},
		"by created":  {Incidents: []graph.IncidentID{1}, Paging: graph.Paging{Created: graph.TickRange{From: a.Created + 1}}},
		"by updated":  {Incidents: []graph.IncidentID{1}, Paging: graph.Paging{Updated: graph.TickRange{From: a.Updated + 1}}},
		"unknown":     {Incidents: []graph.IncidentID{99}},
		"no incident": {Incidents: []graph.IncidentID{}},
	} {
		before, bypassed := w.alerts.Load(), m.sum(t, "clew.cache.bypasses", "kind", "alerts")
		same(t, name, must(store.Alerts(t.Context(), view, q))(t), must(s.Alerts(t.Context(), view, q))(t))
		if w.alerts.Load() != before+1 || m.sum(t, "clew.cache.bypasses", "kind", "alerts") != bypassed+1 {
			t.Errorf("%s: %d reads", name, w.alerts.Load()-before)
		}
	}
}

func TestARedirectedIncidentShowsWhereItsAlertsAre(t *testing.T) {
	s, w, store := hot(t, Options{eager: true})
	apply(t, store, graphtest.Tenant, alertAbout("3", "pc2"))
	readOne(t, s, view, 2)
	merge := alertAbout("4", "pc1")
	merge.Entities = append(merge.Entities, device("pc2"))
	merge.Alerts[0].Evidence[0].Mentions = append(merge.Alerts[0].Evidence[0].Mentions, device("pc2").ID())
	apply(t, store, graphtest.Tenant, merge)
	if r := must(store.Incidents(t.Context(), view, graph.IncidentQuery{IDs: []graph.IncidentID{2}}))(t).Items[0].RedirectTo; r != 1 {
		t.Fatalf("incident 2 leads to %d", r)
	}
	for range 2 {
		if got := readOne(t, s, view, 2); len(got.Items) != 4 {
			t.Errorf("%d alerts", len(got.Items))
		}
		same(t, "alerts", readOne(t, store, view, 2), readOne(t, s, view, 2))
	}
	if before := w.alerts.Load(); len(readOne(t, s, view, 1).Items) != 4 || w.alerts.Load() != before {
		t.Error("the two ids do not share one value")
	}
}

func TestEntitiesAreKeptUntilTheNextCommit(t *testing.T) {
	s, w, store := hot(t, Options{eager: true})
	q := graph.EntityQuery{IDs: []graph.ID{device("pc1").ID(), device("nobody").ID(), device("pc1").ID()}}
	for want := range int64(2) {
		for range 3 {
			same(t, "entities", must(store.Entities(t.Context(), view, q))(t), must(s.Entities(t.Context(), view, q))(t))
		}
		if w.entities.Load() != want+1 {
			t.Errorf("%d reads of entities", w.entities.Load())
		}
		apply(t, store, graphtest.Tenant, alertAbout("new", "pc9"))
	}
	other := graph.EntityQuery{IDs: []graph.ID{device("nobody").ID(), device("pc1").ID(), device("pc1").ID()}}
	same(t, "another order", must(store.Entities(t.Context(), view, other))(t), must(s.Entities(t.Context(), view, other))(t))
}

// No revision tells that a node may be the same as a new one: this is why entities go by the tenant's.
func TestPossiblySameAsIsNeverOld(t *testing.T) {
	s, _, store := hot(t, Options{eager: true})
	host, _ := graph.NewKey(graph.KindDevice, graph.KeyHostName, "pc7")
	weak := graph.EntityObservation{Keys: []graph.Key{host}, ObservedAt: graphtest.Epoch}
	apply(t, store, graphtest.Tenant, graph.Batch{Entities: []graph.EntityObservation{weak}})
	q := graph.EntityQuery{IDs: []graph.ID{weak.ID()}}
	for i := range 3 {
		id, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, fmt.Sprint("bearer", i))
		apply(t, store, graphtest.Tenant, graph.Batch{Entities: []graph.EntityObservation{{Keys: []graph.Key{id, host}, ObservedAt: graphtest.Epoch}}})
		got := must(s.Entities(t.Context(), view, q))(t)
		if len(got[0].PossiblySameAs) != i+1 {
			t.Errorf("%d nodes it may be the same as, want %d", len(got[0].PossiblySameAs), i+1)
		}
	}
}

// scribble overwrites everything that can be reached through slices and maps.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			scribble(v.MapIndex(k))
			v.SetMapIndex(k, reflect.Value{})
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	}
}

func TestWhoWritesToAnAnswerChangesNoOther(t *testing.T) {
	s, w, store := hot(t, Options{eager: true, Trust: MaxTrust, clock: func() time.Time { return graphtest.Epoch }})
	entities, incidents := graph.EntityQuery{IDs: []graph.ID{device("pc1").ID()}}, graph.IncidentQuery{IDs: []graph.IncidentID{1}}
	both := graph.IncidentQuery{IDs: []graph.IncidentID{1, 1}}
	reads := func(r graph.Reader) []any {
		return []any{
			readOne(t, r, view, 1), must(r.Entities(t.Context(), view, entities))(t),
			must(r.Incidents(t.Context(), view, incidents))(t), must(r.Incidents(t.Context(), view, both))(t),
		}
	}
	want := fmt.Sprintf("%+v", reads(store))
	for range 3 {
		for _, answer := range reads(s) {
			scribble(reflect.ValueOf(answer))
		}
	}
	same(t, "after three readers wrote to their answers", want, fmt.Sprintf("%+v", reads(s)))
	if w.alerts.Load() > 1 || w.entities.Load() > 1 {
		t.Error("the answers did not come from the cache")
	}
}

func TestTenantsAndViewsShareNothing(t *testing.T) {
	s, w, store := hot(t, Options{eager: true})
	const other graph.TenantID = "fabrikam"
	apply(t, store, other, alertAbout("1", "pc1"))
	apply(t, store, other, alertAbout("secret", "pc1"))
	q := graph.EntityQuery{IDs: []graph.ID{device("pc1").ID()}}
	views := []graph.View{view, {Tenant: other}, {Tenant: view.Tenant, Access: "tier1"}, {Tenant: view.Tenant, Access: "tier2"}, {Tenant: "nobody"}}
	for _, v := range views {
		alerts, entities := w.alerts.Load(), w.entities.Load()
		for range 3 {
			same(t, "alerts", readOne(t, store, v, 1), readOne(t, s, v, 1))
			same(t, "entities", must(store.Entities(t.Context(), v, q))(t), must(s.Entities(t.Context(), v, q))(t))
		}
		if read := w.alerts.Load() - alerts; v != view && read == 0 {
			t.Errorf("%+v was served what another view read", v)
		}
		if w.entities.Load() == entities {
			t.Errorf("%+v was served entities that another view read", v)
		}
	}
}

func TestTheCacheHoldsNoMoreThanItMay(t *testing.T) {
	noLeaks(t)
	store := openStore(t)
	var ids []graph.IncidentID
	for i := range 60 {
		b := alertAbout(fmt.Sprint(i), fmt.Sprint("pc", i))
		b.Alerts[0].Source = json.RawMessage(fmt.Sprintf(`{"text":%q}`, fmt.Sprintf("%04000d", i)))
		apply(t, store, graphtest.Tenant, b)
		ids = append(ids, graph.IncidentID(i+1))
	}
	const most = 64 << 10
	s, w := open(t, store, Options{MemoryBytes: most, eager: true})
	for range 3 {
		for _, id := range ids {
			same(t, "alerts", readOne(t, store, view, id), readOne(t, s, view, id))
		}
	}
	s.memory.kept.CleanUp()
	entries, bytes := 0, 0
	for _, v := range s.memory.kept.All() {
		entries, bytes = entries+1, bytes+alertsBytes(v.alerts)
	}
	if bytes > most || entries == 0 || w.alerts.Load() <= int64(len(ids)) {
		t.Errorf("%d entries of %d bytes are kept, at most %d may be", entries, bytes, most)
	}
}

func TestWhatATierHoldsIsWeighedAboutRight(t *testing.T) {
	store := openStore(t)
	for i := range 40 {
		apply(t, store, graphtest.Tenant, alertAbout(fmt.Sprint(i), "pc1"))
	}
	alerts := readOne(t, store, view, 1).Items
	plain, _ := json.Marshal(alerts)
	if n := alertsBytes(alerts); n < len(plain)/2 || n > 4*len(plain) {
		t.Errorf("%d bytes for alerts of %d bytes of JSON", n, len(plain))
	}
}

func TestALargeIncidentIsAlwaysReadFromTheStore(t *testing.T) {
	noLeaks(t)
	store := openStore(t)
	var big graph.Batch
	for i := range graph.MaxPage + 1 {
		b := alertAbout(fmt.Sprint("big", i), "pc1")
		big.Alerts = append(big.Alerts, b.Alerts...)
		big.Entities, big.Decide = b.Entities, b.Decide
	}
	apply(t, store, graphtest.Tenant, alertAbout("0", "pc2"))
	for name, o := range map[string]Options{"by alerts": {eager: true, MaxValueBytes: 1 << 30}, "by bytes": {eager: true, MaxValueBytes: 100}} {
		id := graph.IncidentID(1)
		if name == "by alerts" {
			big.Decide = together{}
			apply(t, store, graphtest.Tenant, big)
			id = 2
		}
		m := newMeter(&o)
		s, w := open(t, store, o)
		q := oneIncident(id)
		q.Limit = 2
		for range 4 {
			same(t, name, must(store.Alerts(t.Context(), view, q))(t), must(s.Alerts(t.Context(), view, q))(t))
		}
		if n := m.sum(t, "clew.cache.bypasses", "reason", "large"); n < 3 || w.alerts.Load() > 5 {
			t.Errorf("%s: %d bypasses, %d reads", name, n, w.alerts.Load())
		}
	}
}

// together puts all new alerts into one incident.
type together struct{}

func (together) Decide(_ context.Context, _ graph.Reader, _ graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	return []graph.IncidentChange{{Facts: &graph.IncidentFacts{DisplayName: "all", Severity: graph.SeverityHigh}, Alerts: d.Alerts}}, nil
}

func TestAClosedCacheSaysSoOfEverything(t *testing.T) {
	noLeaks(t)
	store := openStore(t)
	apply(t, store, graphtest.Tenant, alertAbout("1", "pc1"))
	s := must(New(store, Options{eager: true, Trust: MaxTrust}))(t)
	ids, list := graph.EntityQuery{IDs: []graph.ID{device("pc1").ID()}}, graph.IncidentQuery{IDs: []graph.IncidentID{1}}
	reads := func() []error {
		_, err1 := s.Alerts(t.Context(), view, oneIncident(1))
		_, err2 := s.Entities(t.Context(), view, ids)
		_, err3 := s.Incidents(t.Context(), view, list)
		return []error{err1, err2, err3}
	}
	reads()
	for i, err := range reads() {
		if err != nil {
			t.Errorf("read %d: %v", i, err)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if s.memory.kept.StopAllGoroutines() {
		t.Error("the memory's cleaner still ran")
	}
	_, err4 := s.Documents(t.Context(), view, graph.DocumentQuery{})
	_, err5 := s.Lookup(t.Context(), view, nil)
	for i, err := range append(reads(), err4, err5, s.Ready(t.Context())) {
		if !errors.Is(err, graph.ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestAnEndedContextGetsNoAnswerFromMemory(t *testing.T) {
	s, _, _ := hot(t, Options{Trust: MaxTrust, clock: func() time.Time { return graphtest.Epoch }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Alerts(ctx, view, oneIncident(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"trust over a second": {Trust: MaxTrust + 1}, "negative trust": {Trust: -1},
		"no secret": {Redis: &Redis{}}, "short secret": {Redis: &Redis{Secret: make([]byte, MinSecretBytes-1)}},
	} {
		if _, err := New(nil, o); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryReadIsCountedOnce(t *testing.T) {
	o := Options{Trust: MaxTrust}
	m := newMeter(&o)
	s, _, _ := hot(t, o)
	reads := int64(2)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				readOne(t, s, view, 1)
			}
		})
		reads += 20
	}
	all.Wait()
	counted := m.sum(t, "clew.cache.hits", "kind", "alerts") + m.sum(t, "clew.cache.misses", "kind", "alerts") + m.sum(t, "clew.cache.bypasses", "kind", "alerts")
	if counted != reads || m.sum(t, "clew.cache.misses", "kind", "alerts") != 1 || m.sum(t, "clew.cache.bypasses", "kind", "alerts", "reason", "first") != 1 {
		t.Errorf("%d reads were counted as %d", reads, counted)
	}
}
