package graphtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// oneAlert is a small valid batch whose alert stands alone.
func oneAlert(id string) graph.Batch {
	k, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, "device-"+id)
	e := graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: Epoch, Source: "endpoint"}
	return graph.Batch{
		Entities: []graph.EntityObservation{e},
		Alerts: []graph.AlertContent{{
			ProviderAlertID: id, Product: string(graph.ServiceDefenderEndpoint), ServiceSource: graph.ServiceDefenderEndpoint,
			Title: "alert " + id, Severity: graph.SeverityHigh, FirstActivity: Epoch, LastActivity: Epoch, SourceUpdated: Epoch,
			Evidence: []graph.Evidence{{Type: "deviceEvidence", Entity: e.ID(), Body: []byte(`{}`)}},
		}},
		Decide: UnionDecider{},
	}
}

func checkTicks(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		s := fresh(t).Open(t, clock.Now)
		defer s.Close()
		var last graph.Tick
		for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
			clock.Move(time.Duration(rapid.IntRange(-3600, 60).Draw(t, "jump")) * time.Second)
			apply(t, s, b)
			var fresh []graph.Tick
			alerts := must(s.Alerts(context.Background(), view, graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{From: last + 1}}}))(t)
			incidents := must(s.Incidents(context.Background(), view, graph.IncidentQuery{Statuses: []graph.Status{graph.StatusActive, graph.StatusRedirected}, Paging: graph.Paging{Updated: graph.TickRange{From: last + 1}}}))(t)
			for _, a := range alerts.Items {
				fresh = append(fresh, a.Updated)
			}
			for _, i := range incidents.Items {
				fresh = append(fresh, i.Updated)
			}
			slices.Sort(fresh)
			if n := len(fresh); n != len(slices.Compact(slices.Clone(fresh))) {
				t.Fatalf("a tick was given twice: %v", fresh)
			}
			if p := must(s.Position(context.Background(), view))(t); len(fresh) > 0 {
				if last = fresh[len(fresh)-1]; p.Clock != last {
					t.Fatalf("the clock stands at %s, the last tick is %s", p.Clock, last)
				}
			}
		}
	})
}

func checkBounded(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		subject := fresh(t)
		s := subject.Open(t, clock.Now)
		defer func() { s.Close() }()
		for i := range 4 {
			apply(t, s, oneAlert(fmt.Sprint("early", i)))
			ahead := time.Duration(rapid.IntRange(-20, 20).Draw(t, "ahead")) * time.Second
			want := graph.TickOf(clock.Now().Add(ahead))
			q := graph.AlertQuery{Paging: graph.Paging{Updated: graph.TickRange{Before: want}}}
			before := must(s.Alerts(context.Background(), view, q))(t)
			if before.Bound > want || (ahead <= graph.MaxClockLead && before.Bound != want) {
				t.Fatalf("asked for a bound %s ahead, promised %s", ahead, before.Bound)
			}
			clock.Move(-time.Duration(rapid.IntRange(0, 3600).Draw(t, "back")) * time.Second)
			if rapid.Bool().Draw(t, "reopen") {
				must(0, s.Close())(t)
				s = subject.Open(t, clock.Now)
			}
			apply(t, s, oneAlert(fmt.Sprint("late", i)))
			q.Updated.Before = before.Bound
			if after := must(s.Alerts(context.Background(), view, q))(t); len(after.Items) != len(before.Items) {
				t.Fatalf("%d alerts below %s, later %d", len(before.Items), before.Bound, len(after.Items))
			}
		}
	})
}

func checkPuller(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	const writers, each = 4, 25
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			var err error
			for i := range each {
				if _, e := s.Apply(context.Background(), Tenant, oneAlert(fmt.Sprint(w, "-", i))); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	seen, last, left := map[graph.ID]int{}, graph.Tick(0), writers
	for pulls := 0; ; pulls++ {
		finished := left == 0
		q := graph.AlertQuery{Paging: graph.Paging{Order: graph.OldestUpdated, Limit: 7, Updated: graph.TickRange{From: last + 1}}}
		page := must(s.Alerts(context.Background(), view, q))(t)
		for _, a := range page.Items {
			seen[a.ID]++
			last = max(last, a.Updated)
		}
		if finished && !page.More {
			break
		}
		select {
		case err := <-done:
			must(0, err)(t)
			left--
		default:
		}
	}
	if len(seen) != writers*each {
		t.Errorf("the puller saw %d alerts, %d were committed", len(seen), writers*each)
	}
}

func checkEdits(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	b := oneAlert("1")
	apply(t, s, b)
	id := b.Alerts[0].ID()
	apply(t, s, graph.Batch{Edits: []graph.AlertEdit{{Alert: id, Set: graph.Triage{Status: graph.StatusResolved, AssignedTo: "ann"}}}})
	b.Alerts[0].SourceUpdated = Epoch.Add(time.Hour)
	b.Alerts[0].Reported = graph.Triage{Status: graph.StatusInProgress, Classification: "truePositive"}
	apply(t, s, b)
	a := must(s.Alerts(context.Background(), view, graph.AlertQuery{IDs: []graph.ID{id}}))(t).Items[0]
	want := graph.Triage{Status: graph.StatusResolved, AssignedTo: "ann", Classification: "truePositive"}
	if a.Triage() != want || a.Reported.Status != graph.StatusInProgress {
		t.Errorf("holds %+v, source says %+v", a.Triage(), a.Reported)
	}
	if _, err := s.Apply(context.Background(), Tenant, graph.Batch{Edits: []graph.AlertEdit{{Alert: graph.NewID(graph.KindAlert, "none")}}}); !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("an edit of an unknown alert ended with %v", err)
	}
}

// refuse expects the batch to fail so, and to leave no trace.
func refuse(t TB, s graph.Store, why string, b graph.Batch, want error) {
	t.Helper()
	before, at := digest(t, s), must(s.Position(context.Background(), view))(t)
	if _, err := s.Apply(context.Background(), Tenant, b); !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", why, err, want)
	}
	if digest(t, s) != before || must(s.Position(context.Background(), view))(t) != at {
		t.Errorf("%s: the refused batch left a trace", why)
	}
}

func checkTriage(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	apply(t, s, oneAlert("1"))
	before := must(s.Incidents(context.Background(), view, graph.IncidentQuery{}))(t).Items[0]
	apply(t, s, graph.Batch{Incidents: []graph.IncidentChange{{ID: 1, Triage: graph.Triage{Status: graph.StatusResolved}}}})
	after := must(s.Incidents(context.Background(), view, graph.IncidentQuery{}))(t).Items[0]
	if after.Status() != graph.StatusResolved || after.Updated <= before.Updated {
		t.Errorf("status %s, tick %s after %s", after.Status(), after.Updated, before.Updated)
	}
	same(t, "facts", before.IncidentFacts, after.IncidentFacts)
}

func checkInstants(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	b := oneAlert("1")
	apply(t, s, b)
	b.Alerts[0].FirstActivity = b.Alerts[0].FirstActivity.In(time.FixedZone("", 7200)).Add(999)
	b.Alerts[0].Source = []byte(" { } ")
	first := apply(t, s, b)
	b.Alerts[0].Source = []byte("{}")
	if again := apply(t, s, b); first.UpdatedAlerts > 1 || again.DuplicateAlerts != 1 {
		t.Errorf("one instant written in two ways: %+v, then %+v", first, again)
	}
}

func checkExpect(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	first := oneAlert("1")
	rev := apply(t, s, first).Revision
	id, key := first.Alerts[0].ID(), graph.DocumentKey{Collection: "c", Key: "k"}
	for _, x := range []graph.Expectation{
		{Alert: id, Revision: rev + 1}, {Alert: id}, {Incident: 1, Revision: rev + 1}, {Incident: 1},
		{Incident: 9, Revision: 1}, {Document: key, Revision: 1},
	} {
		b := oneAlert("2")
		b.Expect = []graph.Expectation{{Alert: id, Revision: rev}, x}
		refuse(t, s, fmt.Sprintf("%+v", x), b, graph.ErrConflict)
	}
	b := oneAlert("2")
	b.Expect = []graph.Expectation{{Alert: id, Revision: rev}, {Incident: 1, Revision: rev}, {Document: key}, {Incident: 2}}
	apply(t, s, b)
}

func checkReplayedKey(t *testing.T, fresh func(TB) Subject) {
	subject := fresh(t)
	s := subject.Open(t, NewClock().Now)
	b := oneAlert("1")
	b.Key = "batch-1"
	first := apply(t, s, b).Revision
	apply(t, s, oneAlert("2"))
	must(0, s.Close())(t)
	s = subject.Open(t, NewClock().Now)
	defer s.Close()
	other := oneAlert("3")
	other.Key = b.Key
	if r := apply(t, s, other); !r.Replayed || r.Revision != first {
		t.Errorf("replay gave %+v, want revision %d", r, first)
	}
	if n := must(s.Position(context.Background(), view))(t).Alerts; n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
}

func checkRefused(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	apply(t, s, oneAlert("1"))
	edit := func(change func(*graph.Batch)) graph.Batch { b := oneAlert("2"); change(&b); return b }
	device := oneAlert("2").Entities[0].ID()
	user, _ := graph.NewKey(graph.KindIdentity, graph.KeySID, "S-1-5-21-1-2-3-1001")
	for why, b := range map[string]graph.Batch{
		"entity without key": edit(func(b *graph.Batch) { b.Entities = append(b.Entities, graph.EntityObservation{}) }),
		"mixed kinds":        edit(func(b *graph.Batch) { b.Entities[0].Keys = append(b.Entities[0].Keys, user) }),
		"dangling evidence":  edit(func(b *graph.Batch) { b.Entities = nil }),
		"dangling edge": edit(func(b *graph.Batch) {
			b.Edges = []graph.EdgeObservation{{Kind: graph.EdgeAdminOf, From: device, To: user.ID(), Observation: device}}
		}),
		"derived edge": edit(func(b *graph.Batch) {
			b.Edges = []graph.EdgeObservation{{Kind: graph.EdgeInIncident, From: device, To: device, Observation: device}}
		}),
		"edge without observation": edit(func(b *graph.Batch) {
			b.Edges = []graph.EdgeObservation{{Kind: graph.EdgeAdminOf, From: device, To: device}}
		}),
		"a property that is no JSON": edit(func(b *graph.Batch) { b.Entities[0].Properties = map[string]json.RawMessage{"p": []byte("{")} }),
		"a property's name that is no UTF-8": edit(func(b *graph.Batch) {
			b.Entities[0].Properties = map[string]json.RawMessage{"\xff": []byte("1")}
		}),
		"a body that is no JSON":      edit(func(b *graph.Batch) { b.Alerts[0].Evidence[0].Body = []byte("{") }),
		"an original that is no JSON": edit(func(b *graph.Batch) { b.Alerts[0].Evidence[0].Original = []byte("nope") }),
		"a source that is no JSON":    edit(func(b *graph.Batch) { b.Alerts[0].Source = []byte("{}{}") }),
		"a body nested too deep": edit(func(b *graph.Batch) {
			b.Alerts[0].Evidence[0].Body = []byte(strings.Repeat("[", 9999) + strings.Repeat("]", 9999))
		}),
		"a title that is no UTF-8":          edit(func(b *graph.Batch) { b.Alerts[0].Title = "\xff" }),
		"a source that is no UTF-8":         edit(func(b *graph.Batch) { b.Entities[0].Source = "\xff" }),
		"an instant that cannot be written": edit(func(b *graph.Batch) { b.Alerts[0].LastActivity = time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"a sighting that cannot be written": edit(func(b *graph.Batch) {
			b.Edges = []graph.EdgeObservation{{Kind: graph.EdgeAdminOf, From: device, To: device, Observation: device, LastSeen: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}
		}),
		"a link to nothing": edit(func(b *graph.Batch) {
			b.Incidents = []graph.IncidentChange{{ID: 1, Facts: &graph.IncidentFacts{Links: []graph.Link{{A: graph.ID{200, 1}}}}}}
		}),
		"alert without id":   edit(func(b *graph.Batch) { b.Alerts[0].ProviderAlertID = "" }),
		"document unnamed":   edit(func(b *graph.Batch) { b.Documents = []graph.Document{{}} }),
		"expectation of two": edit(func(b *graph.Batch) { b.Expect = []graph.Expectation{{Alert: device, Incident: 1}} }),
	} {
		refuse(t, s, why, b, graph.ErrInvalid)
	}
	refuse(t, s, "too many", edit(func(b *graph.Batch) { b.Edits = make([]graph.AlertEdit, graph.MaxBatchItems) }), graph.ErrBatchTooLarge)
	for why, big := range map[string]func(*graph.Batch, string){
		"description": func(b *graph.Batch, s string) { b.Alerts[0].Description = s },
		"title":       func(b *graph.Batch, s string) { b.Alerts[0].Title = s },
		"document key": func(b *graph.Batch, s string) {
			b.Documents = []graph.Document{{DocumentKey: graph.DocumentKey{Collection: "c", Key: s}}}
		},
	} {
		refuse(t, s, why, edit(func(b *graph.Batch) { big(b, strings.Repeat("x", graph.MaxBatchBytes)) }), graph.ErrBatchTooLarge)
	}
}

// fixed is a decider that always answers the same.
type fixed []graph.IncidentChange

// Decide implements graph.Decider.
func (f fixed) Decide(context.Context, graph.Reader, graph.View, graph.Delta) ([]graph.IncidentChange, error) {
	return f, nil
}

// failing is a decider that cannot decide.
type failing struct{ err error }

// Decide implements graph.Decider.
func (f failing) Decide(context.Context, graph.Reader, graph.View, graph.Delta) ([]graph.IncidentChange, error) {
	return nil, f.err
}

func checkDecisions(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	apply(t, s, oneAlert("1"))
	apply(t, s, oneAlert("2"))
	old, now := oneAlert("1").Alerts[0].ID(), oneAlert("3").Alerts[0].ID()
	for why, d := range map[string]fixed{
		"an alert in no incident":        {},
		"an unknown incident":            {{ID: 9, Alerts: []graph.ID{now}}},
		"an unknown alert":               {{Alerts: []graph.ID{now, graph.NewID(graph.KindAlert, "none")}}},
		"an incident left empty":         {{Alerts: []graph.ID{now, old}}},
		"a redirect to itself":           {{Alerts: []graph.ID{now, old}}, {ID: 1, RedirectTo: 1}},
		"a redirect to nothing":          {{Alerts: []graph.ID{now, old}}, {ID: 1, RedirectTo: 9}},
		"a redirect that holds alerts":   {{ID: 2, Alerts: []graph.ID{now}}, {ID: 1, RedirectTo: 2}},
		"a redirected incident changed":  {{ID: 2, Alerts: []graph.ID{now, old}}, {ID: 1, RedirectTo: 2}, {ID: 1}},
		"a redirect to a redirected one": {{ID: 2, Alerts: []graph.ID{now, old}}, {ID: 1, RedirectTo: 2}, {ID: 2, RedirectTo: 1}},
	} {
		b := oneAlert("3")
		b.Decide = d
		refuse(t, s, why, b, graph.ErrInvalid)
	}
	b := oneAlert("3")
	b.Decide = failing{context.DeadlineExceeded}
	refuse(t, s, "a decider that fails", b, context.DeadlineExceeded)
}

// listening is a decider that keeps what it was told.
type listening struct {
	graph.Decider
	deltas *[]graph.Delta
}

// Decide implements graph.Decider.
func (l listening) Decide(ctx context.Context, r graph.Reader, v graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	*l.deltas = append(*l.deltas, d)
	return l.Decider.Decide(ctx, r, v, d)
}

func checkDelta(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		clock := NewClock()
		model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
		defer s.Close()
		for _, b := range Group(t, drawUnits(t), nil) {
			var want, got []graph.Delta
			b.Decide = listening{UnionDecider{}, &want}
			apply(t, model, b)
			b.Decide = listening{UnionDecider{}, &got}
			apply(t, s, b)
			if len(want) > len(got) {
				t.Fatalf("not asked about %+v", want)
			}
			for i := range want { // a store may name more entities
				same(t, "alerts told", want[i].Alerts, got[i].Alerts)
				same(t, "previous alerts told", want[i].Previous, got[i].Previous)
				for _, id := range want[i].Entities {
					if !slices.Contains(got[i].Entities, id) {
						t.Fatalf("not told of %s", id)
					}
				}
			}
		}
	})
}

func checkPaging(t *testing.T, fresh func(TB) Subject) {
	clock := NewClock()
	s := fresh(t).Open(t, clock.Now)
	defer s.Close()
	for i := range 20 {
		apply(t, s, oneAlert(fmt.Sprint("old", i)))
	}
	for _, order := range []graph.TickOrder{graph.NewestCreated, graph.OldestCreated} {
		seen := map[graph.ID]int{}
		q := graph.AlertQuery{Paging: graph.Paging{Order: order, Limit: 3}}
		for more, n := true, 0; more && n < 50; n++ {
			page := must(s.Alerts(context.Background(), view, q))(t)
			for _, a := range page.Items {
				seen[a.ID]++
				q.After = a.Created
			}
			more = page.More
			clock.Move(time.Second)
			if n < 5 {
				apply(t, s, oneAlert(fmt.Sprint("new", order, n)))
				again := oneAlert(fmt.Sprint("old", n))
				again.Alerts[0].SourceUpdated = clock.Now()
				apply(t, s, again)
			}
		}
		for i := range 20 {
			if n := seen[oneAlert(fmt.Sprint("old", i)).Alerts[0].ID()]; n != 1 {
				t.Errorf("order %d: alert old%d was seen %d times", order, i, n)
			}
		}
	}
}

func checkTenants(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	apply(t, s, oneAlert("1"))
	mine := digest(t, s)
	for _, other := range []graph.TenantID{"a", Tenant + "x", Tenant[:3], Tenant + "/", Tenant + " ", "\u00ff\U0010ffff", longTenant} {
		v := graph.View{Tenant: other}
		if p := must(s.Position(context.Background(), v))(t); p != (graph.Position{}) {
			t.Errorf("tenant %q starts at %+v", other, p)
		}
		b := oneAlert("1")
		e := must(s.Entities(context.Background(), v, graph.EntityQuery{IDs: []graph.ID{b.Entities[0].ID()}}))(t)
		if !e[0].ID.IsZero() {
			t.Errorf("tenant %q sees a node of another", other)
		}
		b.Alerts[0].Title = "theirs"
		if r := must(s.Apply(context.Background(), other, b))(t); r.NewAlerts != 1 || r.Revision != 1 {
			t.Errorf("tenant %q: %+v", other, r)
		}
		if page := must(s.Incidents(context.Background(), v, graph.IncidentQuery{}))(t); len(page.Items) != 1 || page.Items[0].ID != 1 {
			t.Errorf("tenant %q counts its own incidents: %+v", other, page)
		}
	}
	if digest(t, s) != mine {
		t.Errorf("another tenant's write changed this one")
	}
	for _, none := range noTenants {
		if _, err := s.Apply(context.Background(), none, oneAlert("1")); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("a write to the tenant %.80q ended with %v", none, err)
		}
	}
}

// noTenants are no tenants' names. One of 100 KB is in so many keys that a small archive took minutes.
var noTenants = []graph.TenantID{"", Tenant + "\x00", Tenant + "\x1b[2J", Tenant + "\u0085", "\xff\xff", longTenant + longTenant}

// longTenant is as long as a tenant's name may be, with room for what a subject puts before it.
var longTenant = graph.TenantID(strings.Repeat("t", graph.MaxTenant-100))

func checkDocuments(t *testing.T, fresh func(TB) Subject) {
	s := fresh(t).Open(t, NewClock().Now)
	defer s.Close()
	doc := func(key, value string) graph.Document {
		return graph.Document{DocumentKey: graph.DocumentKey{Collection: "views", Key: key}, Value: []byte(value)}
	}
	b := oneAlert("1")
	b.Documents = []graph.Document{doc("a/1", "one"), doc("a/2", "two"), doc("b", "three")}
	rev := apply(t, s, b).Revision
	if r := apply(t, s, graph.Batch{Documents: []graph.Document{doc("a/1", "one")}}); r.Revision != rev {
		t.Errorf("writing the same document made revision %d", r.Revision)
	}
	docs := must(s.Documents(context.Background(), view, graph.DocumentQuery{Collection: "views", Prefix: "a/"}))(t)
	if len(docs) != 2 || string(docs[1].Value) != "two" || docs[1].Revision != rev {
		t.Errorf("documents are %+v", docs)
	}
	apply(t, s, graph.Batch{Documents: []graph.Document{{DocumentKey: doc("a/1", "").DocumentKey}}})
	docs = must(s.Documents(context.Background(), view, graph.DocumentQuery{Collection: "views", After: "a/1", Limit: 1}))(t)
	if len(docs) != 1 || docs[0].Key != "a/2" {
		t.Errorf("after deletion: %+v", docs)
	}
	refuse(t, s, "a refused batch's document", graph.Batch{Documents: []graph.Document{doc("x", "y")}, Edits: []graph.AlertEdit{{Alert: graph.NewID(graph.KindAlert, "none")}}}, graph.ErrNotFound)
}
