package embedded

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// instants are the ones at which comparing times by a number could go wrong.
var instants = []time.Time{
	{}, time.Time{}.Add(1000), time.UnixMicro(-1), time.UnixMicro(0), epoch, epoch.Add(time.Microsecond),
	time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
}

// bounds are those of windows, which need not be instants that can be stored.
var bounds = append([]time.Time{time.Date(-400_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(400_000, 1, 1, 0, 0, 0, 0, time.UTC)}, instants...)

// Wherever alerts are looked up, the answer is that of reading all of them.
func TestAlertIndexesAnswerLikeAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := openAt(t, Options{FS: vfs.NewMem()})
		defer s.Close()
		v := graph.View{Tenant: graphtest.Tenant}
		devices := []graph.EntityObservation{device("a"), device("b"), device("c")}
		for range rapid.IntRange(1, 20).Draw(t, "commits") {
			a := graph.AlertContent{
				Product: "p", ProviderAlertID: fmt.Sprint(rapid.IntRange(1, 12).Draw(t, "alert")), SourceUpdated: drawInstant(t),
				FirstActivity: drawInstant(t), LastActivity: drawInstant(t),
			}
			for _, d := range devices {
				if rapid.Bool().Draw(t, "about") {
					a.Evidence = append(a.Evidence, graph.Evidence{Entity: d.ID()})
				}
			}
			b := graph.Batch{Entities: devices, Alerts: []graph.AlertContent{a}, Decide: graphtest.UnionDecider{}}
			if _, err := s.Apply(context.Background(), v.Tenant, b); err != nil {
				t.Fatal(err)
			}
		}
		verifyRows(t, s, v.Tenant)
		all, err := graph.AllAlerts(context.Background(), s, v, graph.AlertQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			checkAlertPages(t, s, v, all, drawAlertQuery(t, devices))
		}
	})
}

func drawInstant(t *rapid.T) time.Time { return rapid.SampledFrom(instants).Draw(t, "instant") }

func drawBound(t *rapid.T) time.Time { return rapid.SampledFrom(bounds).Draw(t, "bound") }

func drawAlertQuery(t *rapid.T, devices []graph.EntityObservation) (q graph.AlertQuery) {
	q.Activity = graph.Window{From: drawBound(t), Before: drawBound(t)}
	if rapid.Bool().Draw(t, "finer") {
		q.Activity.From, q.Activity.Before = q.Activity.From.Add(1), q.Activity.Before.Add(1)
	}
	switch rapid.IntRange(0, 2).Draw(t, "by") {
	case 1:
		for _, d := range devices[:rapid.IntRange(1, 3).Draw(t, "devices")] {
			q.Entities = append(q.Entities, d.ID())
		}
	case 2:
		q.Incidents = []graph.IncidentID{1, 2, 3, 4}
	}
	q.Order = graph.TickOrder(rapid.IntRange(0, 3).Draw(t, "order"))
	q.Limit, q.Count = rapid.IntRange(1, 4).Draw(t, "limit"), rapid.Bool().Draw(t, "count")
	return q
}

// checkAlertPages reads a query page by page and compares with what a scan of all alerts selects.
func checkAlertPages(t *rapid.T, s *Store, v graph.View, all []graph.Alert, q graph.AlertQuery) {
	tick := func(a graph.Alert) graph.Tick {
		if q.Order.ByUpdate() {
			return a.Updated
		}
		return a.Created
	}
	var want, got []graph.Tick
	for _, a := range all {
		about := func(id graph.ID) bool { return slices.Contains(a.Entities(), id) }
		if q.Activity.Overlaps(a.FirstActivity, a.LastActivity) && (q.Entities == nil || slices.ContainsFunc(q.Entities, about)) &&
			(q.Incidents == nil || slices.Contains(q.Incidents, a.Incident)) {
			want = append(want, tick(a))
		}
	}
	slices.Sort(want)
	if q.Order.Newest() {
		slices.Reverse(want)
	}
	for more := true; more && len(got) <= len(all); {
		page, err := s.Alerts(context.Background(), v, q)
		if err != nil || q.Count && page.Total != len(want) {
			t.Fatalf("%+v counts %d of %d, %v", q, page.Total, len(want), err)
		}
		for _, a := range page.Items {
			got, q.After = append(got, tick(a)), tick(a)
		}
		more = page.More
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v gives %v, want %v", q, got, want)
	}
}

func TestMoreActiveAlertsThanAreCollectedArePaged(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	v := graph.View{Tenant: graphtest.Tenant}
	for _, part := range []struct {
		n    int
		last time.Time
	}{{1500, epoch.Add(time.Hour)}, {maxActive, epoch}} { // the oldest are the last in the index
		var b graph.Batch
		for i := range part.n {
			b.Alerts = append(b.Alerts, graph.AlertContent{Product: "p", ProviderAlertID: fmt.Sprint(part, i), FirstActivity: epoch, LastActivity: part.last})
		}
		if _, err := s.Apply(context.Background(), v.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	for from, want := range map[time.Duration]int{0: maxActive + 1500, 1: 1500} {
		q := graph.AlertQuery{Activity: graph.Window{From: epoch.Add(from)}}
		if all, err := graph.AllAlerts(context.Background(), s, v, q); err != nil || len(all) != want {
			t.Errorf("from %s on %d alerts are active, want %d; %v", from, len(all), want, err)
		}
	}
}

func TestABoundedReadMakesNoTenant(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	v := verifier{t: t, view: view{context.Background(), s.db, nil}}
	bounded := graph.Paging{Updated: graph.TickRange{Before: graph.TickOf(time.Now())}}
	a, err1 := s.Alerts(context.Background(), graph.View{Tenant: "nobody"}, graph.AlertQuery{Paging: bounded})
	i, err2 := s.Incidents(context.Background(), graph.View{Tenant: "nobody"}, graph.IncidentQuery{Paging: bounded})
	if err1 != nil || err2 != nil || a.Bound != 1 || i.Bound != 1 {
		t.Errorf("bounds are %d and %d; %v, %v", a.Bound, i.Bound, err1, err2)
	}
	v.rows(tableTenant, func(key, _ []byte) { t.Errorf("the directory has a tenant %q", key) })
	if len(s.tenants) != 0 {
		t.Errorf("%d tenants are held", len(s.tenants))
	}
}

// What is shown of an entity moves its revision, also where only another entity's arrival changed it.
func TestAnEntityFollowedDifferentlyIsAChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := openAt(t, Options{FS: vfs.NewMem()})
		defer s.Close()
		v, ctx := graph.View{Tenant: graphtest.Tenant}, context.Background()
		known := map[graph.ID]graph.Entity{}
		for range rapid.IntRange(1, 8).Draw(t, "commits") {
			b := graph.Batch{Entities: rapid.SliceOfN(rapid.Custom(graphtest.DrawEntity), 1, 3).Draw(t, "entities")}
			receipt, err := s.Apply(ctx, v.Tenant, b)
			if err != nil {
				t.Fatal(err)
			}
			now, err := s.Entities(ctx, v, graph.EntityQuery{})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range now {
				if old, ok := known[e.ID]; ok && old.SameAs != e.SameAs && (e.Revision != receipt.Revision || !named(t, s, v, e)) {
					t.Fatalf("%s is followed to %s after %s, but not in revision %d", e.ID, e.SameAs, old.SameAs, receipt.Revision)
				}
				known[e.ID] = e
			}
		}
	})
}

// named reports whether the change of its revision names the entity.
func named(t *rapid.T, s *Store, v graph.View, e graph.Entity) bool {
	for c, err := range s.Changes(context.Background(), v, e.Revision-1) {
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(c.Entities, e.ID)
	}
	return false
}
