package neo4j

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/clew-security/clew/graph"
)

func TestAReadThatCommitsAlwaysOvertakeKeepsThemOut(t *testing.T) {
	o := migrated(t)
	s, other, tenant := open(t, o), open(t, o), tenantOfTest(t)
	ctx, v := context.Background(), graph.View{Tenant: tenant}
	write := func(i int) error {
		_, err := other.Apply(ctx, tenant, graph.Batch{Entities: []graph.EntityObservation{device(i)}})
		return err
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	calls, wrote := 0, make(chan error, 1)
	err := s.read(ctx, v, func(r *reader) error {
		calls++
		if calls <= optimistic {
			return write(calls)
		}
		if r.at.row.Revision != graph.Revision(calls) {
			t.Errorf("call %d stands at revision %d", calls, r.at.row.Revision)
		}
		go func() { wrote <- write(calls) }()
		select {
		case err := <-wrote:
			t.Errorf("a commit came in between (%v)", err)
		case <-time.After(300 * time.Millisecond):
		}
		return nil
	})
	if err != nil || calls != optimistic+1 {
		t.Fatalf("%d calls, error %v", calls, err)
	}
	if err := <-wrote; err != nil {
		t.Fatalf("the commit that waited: %v", err)
	}
}

// besides has processes read again and again while another commits, until the last commit.
func besides(t *testing.T, readers, commits int, commit func(n int) graph.Batch, read func(s *Store, v graph.View) error) {
	t.Helper()
	o := migrated(t)
	writer, tenant := open(t, o), tenantOfTest(t)
	o.MaxStale = time.Hour // or each read waits for the writer, and begins behind its commit
	done := make(chan struct{})
	var reading sync.WaitGroup
	var reads atomic.Int64
	for range readers {
		s := open(t, o)
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := read(s, graph.View{Tenant: tenant}); err != nil {
					t.Errorf("read %d: %v", reads.Load(), err)
					return
				}
				reads.Add(1)
			}
		})
	}
	var err error
	for n := 0; n < commits && err == nil; n++ {
		_, err = writer.Apply(context.Background(), tenant, commit(n))
	}
	close(done)
	reading.Wait()
	t.Logf("%d reads beside %d commits", reads.Load(), commits)
	if err != nil {
		t.Fatal(err)
	}
}

// Each commit writes the same to many; who reads them all sees the same.
const many = 300

func TestReadersOfAnotherProcessSeeEveryCommitWhole(t *testing.T) {
	ids := seq(0, many, func(i int) graph.ID { return device(i).ID() })
	commit := func(n int) (b graph.Batch) {
		for i := range many {
			e := device(i)
			e.ObservedAt = e.ObservedAt.Add(time.Duration(n) * time.Minute)
			e.Properties = map[string]json.RawMessage{"n": json.RawMessage(fmt.Sprint(n))}
			b.Entities = append(b.Entities, e)
		}
		return b
	}
	besides(t, 1, 25, commit, func(s *Store, v graph.View) error {
		found, err := s.Entities(context.Background(), v, graph.EntityQuery{IDs: ids})
		for _, e := range found {
			if a, b := e.Properties["n"].Value, found[0].Properties["n"].Value; e.Revision != found[0].Revision || !bytes.Equal(a, b) {
				return fmt.Errorf("revisions %d and %d, numbers %s and %s", found[0].Revision, e.Revision, b, a)
			}
		}
		return err
	})
}

func TestReadersOfAnotherProcessSeeTheEdgesOfACommitWhole(t *testing.T) {
	ids := seq(0, many, func(i int) graph.ID { return device(i).ID() })
	commit := func(n int) (b graph.Batch) {
		b.Entities = append(b.Entities, user(0))
		for i := range many {
			b.Entities = append(b.Entities, device(i))
			b.Edges = append(b.Edges, graph.EdgeObservation{
				Kind: graph.EdgeLoggedOn, From: user(0).ID(), To: device(i).ID(), Observation: graph.NewID(graph.KindObservation, fmt.Sprint(n)),
			})
		}
		return b
	}
	besides(t, 1, 25, commit, func(s *Store, v graph.View) error {
		first := -1
		for e, err := range s.Edges(context.Background(), v, graph.EdgeQuery{Nodes: ids, Kinds: []graph.EdgeKind{graph.EdgeLoggedOn}}) {
			if err != nil {
				return err
			}
			if first < 0 {
				first = e.Count
			}
			if e.Count != first {
				return fmt.Errorf("%d and %d sightings", first, e.Count)
			}
		}
		return nil
	})
}

func TestKeysOfDocumentsKeepTheirOrderHoweverTextIsCompared(t *testing.T) {
	names := []string{"", "a", "a\uD7FE", "a\uD7FF", "a\uD7FFx", "a\uE000", "a\uFFFD", "a\U00010000", "a\U0001F600", "a\U0001F600b", "a\U0010FFFF", "b"}
	for i := range names[1:] {
		a, b := ordered(names[i]), ordered(names[i+1])
		if a >= b || compareUTF16(a, b) >= 0 {
			t.Errorf("%q and %q become %q and %q", names[i], names[i+1], a, b)
		}
		key := func(name string) string { return documentKey("t", graph.DocumentKey{Collection: "c", Key: name}) }
		if k := key(names[i+1]); k >= behind(k) || key(names[i+1]+"\U0010FFFF") >= behind(k) {
			t.Errorf("behind %q is %q", k, behind(k))
		}
	}
}

// compareUTF16 compares as Java does.
func compareUTF16(a, b string) int {
	units := func(s string) string {
		var out strings.Builder
		for _, u := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&out, "%04x", u)
		}
		return out.String()
	}
	return strings.Compare(units(a), units(b))
}

func TestAPrefixCutInACharacterIsCutToWholeOnes(t *testing.T) {
	for given, want := range map[string]string{"": "", "ab": "ab", "a\xc3": "a", "ä\xe2\x82": "ä", "\xff": "", "\uFFFDx": "\uFFFDx"} {
		if got := whole(given); got != want {
			t.Errorf("of %q %q is left, want %q", given, got, want)
		}
	}
}

func TestDocumentsBehindACutCharacterAreThoseBehindItsBytes(t *testing.T) {
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	var b graph.Batch
	for _, name := range []string{"a", "ab", "b", "\uE000", "\uFFFD", "\U0001F600"} {
		b.Documents = append(b.Documents, graph.Document{DocumentKey: graph.DocumentKey{Collection: "c", Key: name}, Value: []byte{1}})
	}
	mustApply(t, s, tenant, b)
	for _, c := range []struct {
		q    graph.DocumentQuery
		want string
	}{
		{graph.DocumentQuery{After: "\xEF\xBF", Limit: 1}, "\uFFFD"},
		{graph.DocumentQuery{After: "\xFF", Limit: 1}, ""},
		{graph.DocumentQuery{Prefix: "\xF0\x9F", Limit: 1}, "\U0001F600"},
		{graph.DocumentQuery{Prefix: "a\xFF", Limit: 1}, ""},
		{graph.DocumentQuery{After: "a", Limit: 2}, "ab,b"},
		{graph.DocumentQuery{}, "a,ab,b,\uE000,\uFFFD,\U0001F600"},
	} {
		c.q.Collection = "c"
		found, err := s.Documents(context.Background(), graph.View{Tenant: tenant}, c.q)
		var names []string
		for _, d := range found {
			names = append(names, d.Key)
		}
		if got := strings.Join(names, ","); got != c.want || err != nil {
			t.Errorf("%+v gives %q (%v), want %q", c.q, got, err, c.want)
		}
	}
}

func TestAWindowBetweenMicrosecondsBeginsAtTheNextOne(t *testing.T) {
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	mustApply(t, s, tenant, alertNamed("1")) // active at epoch
	for _, c := range []struct {
		w    graph.Window
		want int
	}{
		{graph.Window{From: epoch}, 1}, {graph.Window{From: epoch.Add(-1)}, 1}, {graph.Window{From: epoch.Add(1)}, 0},
		{graph.Window{Before: epoch}, 0}, {graph.Window{Before: epoch.Add(1)}, 1}, {graph.Window{Before: epoch.Add(-1)}, 0},
		{graph.Window{From: time.Date(-1_000_000, 1, 1, 0, 0, 0, 0, time.UTC), Before: time.Date(1_000_000, 1, 1, 0, 0, 0, 0, time.UTC)}, 1},
		{graph.Window{From: time.Date(1_000_000, 1, 1, 0, 0, 0, 0, time.UTC)}, 0},
	} {
		page, err := s.Alerts(context.Background(), graph.View{Tenant: tenant}, graph.AlertQuery{Activity: c.w})
		if len(page.Items) != c.want || err != nil {
			t.Errorf("%v to %v shows %d alerts (%v), want %d", c.w.From, c.w.Before, len(page.Items), err, c.want)
		}
	}
}

// Neo4j rewrites the chain of a node's relationships when there are some fifty: beside that commit an unguarded read
// misses edges that no commit touches.
func TestANodeThatBecomesDenseShowsAllItsEdges(t *testing.T) {
	const group, groups, base, more = 60, 10, 45, 8
	var now atomic.Int64 // the group whose nodes become dense, plus one
	commit := func(n int) (b graph.Batch) {
		g, from, to := n, 0, base
		if n >= groups {
			g, from = (n-groups)/more, base+(n-groups)%more*2
			to = from + 2
			now.Store(int64(g + 1))
		}
		for u := g * group; u < (g+1)*group; u++ {
			one := devicesOf(u, from, to)
			b.Entities, b.Edges = append(b.Entities, one.Entities...), append(b.Edges, one.Edges...)
		}
		return b
	}
	besides(t, 4, groups*(1+more), commit, func(s *Store, v graph.View) error {
		g := int(now.Load()) - 1
		if g < 0 {
			time.Sleep(time.Millisecond)
			return nil
		}
		ids, met := seq(g*group, g*group+20, func(u int) graph.ID { return user(u).ID() }), map[graph.ID]int{}
		for e, err := range s.Edges(context.Background(), v, graph.EdgeQuery{Nodes: ids, Direction: graph.Out}) {
			if err != nil {
				return err
			}
			met[e.From]++
		}
		for _, id := range ids {
			if met[id] < base {
				return fmt.Errorf("%d of %d edges that no commit touches", met[id], base)
			}
		}
		return nil
	})
}
