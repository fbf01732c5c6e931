package topology

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/internal/realserver"
)

var shared realserver.SharedNeo4j

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// databases are on one Neo4j, apart as far as their tenants go: each is empty at first.
type databases struct {
	options neo4j.Options
	prefix  string
}

func newDatabases(t *testing.T) databases {
	t.Helper()
	o := onServer(t, shared.Server(t))
	o.QueryTimeout, o.RetryTime = 2*time.Minute, 2*time.Minute
	return databases{o, fmt.Sprintf("topology/%d/", time.Now().UnixNano())}
}

// onServer is how a store reaches a server, which gets the schema.
func onServer(t testing.TB, s *realserver.Server) neo4j.Options {
	t.Helper()
	o := neo4j.Options{URI: s.URL, User: s.User, Password: s.Password}
	if _, _, err := neo4j.Migrate(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

// open gives a store of a database, as of a process of its own, until the test ends.
func (d databases) open(t *testing.T, name string) graphtest.Moving {
	t.Helper()
	s := must(neo4j.Open(context.Background(), d.options))(t)
	t.Cleanup(func() { _ = s.Close() })
	return graphtest.ApartMoving(s, graph.TenantID(d.prefix+name+"/"))
}

// life is that of a process which follows the tenant, with a file, and ends once all of it is held.
type life struct {
	shown   *Snapshot
	scanned bool
	said    []string
}

func live(t *testing.T, s graph.Store, o Options, atLeast graph.Revision) (l life) {
	t.Helper()
	var mu sync.Mutex
	o.Log = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if text := fmt.Sprintf(format, args...); !strings.Contains(text, "is not saved") { // which may be told before the end, or not
			l.said = append(l.said, text)
		}
	}
	c := count(s)
	f := must(Follow(t.Context(), c, graphtest.Tenant, o))(t)
	for l.shown == nil || !l.shown.Exact {
		l.shown = must(f.View(t.Context(), atLeast))(t)
		time.Sleep(time.Millisecond)
	}
	must(0, f.Close())(t)
	l.scanned = c.calls["position"] > 0
	return l
}

// expect says whether there was a scan, and holds the graph against the store, and against one that is built of it.
func (l life) expect(t *testing.T, s graph.Store, scanned bool, said string) {
	t.Helper()
	if l.scanned != scanned {
		t.Errorf("scanned: %t, want %t", l.scanned, scanned)
	}
	if got := strings.Join(l.said, "\n"); (got == "") != (said == "") || !strings.Contains(got, said) || strings.Contains(got, "\n") {
		t.Errorf("it said %q, want %q", l.said, said)
	}
	want := truthOf(t, s)
	compare(t, want, l.shown)
	compare(t, want, must(Build(t.Context(), s, graphtest.Tenant, Options{Grade: facts, History: true}))(t))
}

func fileOptions(t *testing.T) Options {
	return Options{Grade: facts, Grading: "facts", History: true, File: filepath.Join(t.TempDir(), "graph"), Poll: time.Millisecond}
}

// device3 is the third device as its cloud knows it, which nothing ties to the third device at first.
func device3(t *testing.T) graph.EntityObservation {
	return entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "a3")
}

// meanwhile commits new edges, joins a device that has edges to another that has some, and removes an edge. It gives
// the last revision.
func meanwhile(t *testing.T, s graph.Store) graph.Revision {
	t.Helper()
	apply(t, s, logon(t, 1, 9))
	apply(t, s, logons(t, []int{1, 50}, 0, 2))
	both := device(t, 3)
	both.Keys = append(both.Keys, device3(t).Keys...)
	apply(t, s, graph.Batch{Entities: []graph.EntityObservation{both}})
	e := graph.Expiry{EdgesBefore: graphtest.Epoch.Add(100 * time.Hour)}
	for edge, err := range s.Edges(t.Context(), view, graph.EdgeQuery{}) {
		if edge = must(edge, err)(t); edge.Over(e.EdgesBefore, e.CredentialLife) && edge.From == user(t, 2).ID() {
			e.Edges = append(e.Edges, edge.Key())
		}
	}
	if len(e.Edges) == 0 {
		t.Fatal("no edge is over")
	}
	return apply(t, s, graph.Batch{Expire: &e})
}

// Processes one after the other follow what another one writes to Neo4j.
func TestAGraphOfADatabaseIsThereAgainWithoutAScan(t *testing.T) {
	all := newDatabases(t)
	writer := filled(t, all.open(t, "one"))
	apply(t, writer, logon(t, 3, 3))
	cloud := logon(t, 4, 3)
	cloud.Entities[0] = device3(t)
	cloud.Edges[0].To = cloud.Entities[0].ID()
	r := apply(t, writer, cloud)
	o := fileOptions(t)
	first := live(t, all.open(t, "one"), o, r)
	first.expect(t, writer, true, "")
	live(t, all.open(t, "one"), o, 0).expect(t, writer, false, "")
	r = meanwhile(t, writer)
	again := live(t, all.open(t, "one"), o, r)
	again.expect(t, writer, false, "")
	if before, after := aliasesIn(first.shown.graph), aliasesIn(again.shown.graph); after <= before {
		t.Errorf("%d aliases, after %d: nothing was joined meanwhile", after, before)
	}
	live(t, all.open(t, "one"), o, 0).expect(t, writer, false, "") // the file is now of what was committed meanwhile
}

// A database that was emptied, or filled again from an export, has not the commit that a file is as of, whatever it
// goes on to.
func TestAFileOfADatabaseThatWentAnotherWayIsNotUsed(t *testing.T) {
	const notTheOne = "is not the one"
	all := newDatabases(t)
	writer := all.open(t, "one")
	filled(t, writer)
	backup := records(t, writer.Export(t.Context(), graphtest.Tenant))
	o := fileOptions(t)
	older := o
	older.File += ".older"
	live(t, all.open(t, "one"), older, 0).expect(t, writer, true, "")
	last := apply(t, writer, logon(t, 77, 7)) // which the backup does not have
	live(t, all.open(t, "one"), o, last).expect(t, writer, true, "")
	restored := func(t *testing.T, s graphtest.Moving) {
		must(0, s.Import(t.Context(), graphtest.Tenant, each(backup)))(t)
	}
	for name, row := range map[string]struct {
		file string
		fill func(t *testing.T, s graphtest.Moving)
		at   graph.Revision
		why  string
	}{
		"emptied": {o.File, func(*testing.T, graphtest.Moving) {}, 0, notTheOne},
		"emptied and as far as before": {o.File, func(t *testing.T, s graphtest.Moving) {
			filled(t, s)
			apply(t, s, logon(t, 77, 7))
		}, last, notTheOne},
		"set back":                        {o.File, restored, last - 1, notTheOne},
		"set back to the file's revision": {older.File, restored, last - 1, "is kept no more"},
		"set back and gone another way": {o.File, func(t *testing.T, s graphtest.Moving) {
			restored(t, s)
			apply(t, s, logon(t, 88, 8))
		}, last, notTheOne},
	} {
		t.Run(name, func(t *testing.T) {
			writer, o := all.open(t, name), o
			row.fill(t, writer)
			o.File = filepath.Join(t.TempDir(), "graph")
			must(0, os.WriteFile(o.File, must(os.ReadFile(row.file))(t), 0o600))(t)
			l := live(t, all.open(t, name), o, 0)
			l.expect(t, writer, true, row.why)
			if l.shown.Revision != row.at {
				t.Errorf("it is at revision %d, want %d", l.shown.Revision, row.at)
			}
		})
	}
	live(t, all.open(t, "one"), o, last).expect(t, writer, false, "") // the control
}

func records(t *testing.T, all iter.Seq2[graph.Record, error]) (out []graph.Record) {
	t.Helper()
	for r, err := range all {
		out = append(out, must(r, err)(t))
	}
	return out
}

func each(all []graph.Record) iter.Seq2[graph.Record, error] {
	return func(yield func(graph.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}
