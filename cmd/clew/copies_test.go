package main

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/internal/config"
)

// scanCounter counts the reads of all edges.
type scanCounter struct {
	graph.Store
	scans atomic.Int64
}

func (c *scanCounter) Edges(ctx context.Context, v graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	if q.Nodes == nil && q.Keys == nil {
		c.scans.Add(1)
	}
	return c.Store.Edges(ctx, v, q)
}

// A service reads the whole store once in its life, unless what it kept is of no use.
func TestTheNextStartDoesNotReadTheWholeStore(t *testing.T) {
	store := &scanCounter{Store: newStore()}
	right(t, store, "d1")
	c := config.Config{Replica: config.Replica{Dir: filepath.Join(t.TempDir(), "made", "here"), Poll: time.Millisecond, MaxStale: time.Minute}}
	grade := graph.Criticalities{}
	run := func() (scans int64) {
		t.Helper()
		before := store.scans.Load()
		all := follow(t.Context(), store, c, grade, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
		one, err := all.Of(devTenant)
		if err != nil {
			t.Fatal(err)
		}
		s, err := one.View(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := store.Position(t.Context(), graph.View{Tenant: devTenant}); err != nil || s.Revision != p.Revision || !s.Graph().History() {
			t.Errorf("it shows %d of %d (%v)", s.Revision, p.Revision, err)
		}
		if err := all.Close(); err != nil {
			t.Fatal(err)
		}
		return store.scans.Load() - before
	}
	for i, want := range []int64{1, 0, 0} {
		if n := run(); n != want {
			t.Errorf("start %d read all edges %d times, want %d", i, n, want)
		}
		right(t, store, []string{"d2", "d3", "d4"}[i])
	}
	var err error
	if grade, err = graph.NewCriticalities([]graph.CriticalityRule{{Name: "a", Criticality: graph.CriticalityHigh, Names: []string{"d?"}}}); err != nil {
		t.Fatal(err)
	}
	if n := run(); n != 1 {
		t.Errorf("with other rules all edges were read %d times", n)
	}
	c.Replica.Dir = config.ReplicaDirOff
	if n := run() + run(); n != 2 {
		t.Errorf("without copies all edges were read %d times", n)
	}
	c.Replica.Dir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(c.Replica.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := run(); n != 1 {
		t.Errorf("where no directory can be all edges were read %d times", n)
	}
}

// holds is a service's measure of a graph in memory that has edges.
var holds = regexp.MustCompile(`(?m)^clew_replica_edges(\{.*\})? [1-9]`)

// What a service keeps for its next start lies in the store's directory, is the owner's alone, and does no harm there.
func TestCopiesLieInTheStoresDirectory(t *testing.T) {
	dir, metrics := t.TempDir(), freeAddress(t)
	t.Setenv("CLEW_METRICS_LISTEN", metrics)
	clew(t, dir, "demo", "--once", "--data", "d").want(t, 0)
	for range 2 {
		s := start(t, dir, "serve", "--dev", "--data", "d", "--listen", "127.0.0.1:0")
		if status, body := s.ask(t, `{incidents(first:1){nodes{blastRadius{score}}}}`, "0"); status != 200 || strings.Contains(body, "errors") {
			t.Errorf("%d: %s", status, body)
		}
		for deadline := time.Now().Add(time.Minute); !holds.MatchString(measurements(t, metrics)) && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond) // the store answers until the graph is built, and what is not built is not saved
		}
		s.stop(t)
		files, err := os.ReadDir(filepath.Join(dir, "d", "replica"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v (%v)", files, err)
		}
		if i, err := files[0].Info(); err != nil || i.Mode().Perm() != 0o600 || i.Size() == 0 {
			t.Errorf("%v (%v)", i, err)
		}
	}
	clew(t, dir, "check", "--data", "d").want(t, 0)
	clew(t, dir, "backup", "b", "--data", "d").want(t, 0)
}

// A start removes what earlier ones left that is of no use to any, says so, and touches nothing else.
func TestAStartRemovesCopiesThatAreOfNoUse(t *testing.T) {
	dir := t.TempDir()
	clew(t, dir, "demo", "--once", "--data", "d").want(t, 0)
	replica := filepath.Join(dir, "d", "replica")
	left, notes := topology.FileIn(replica, "gone")+".partial", filepath.Join(replica, "notes.partial")
	if err := os.MkdirAll(replica, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{left, notes} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, dir, "serve", "--dev", "--data", "d", "--listen", "127.0.0.1:0")
	there := func(name string) bool { _, err := os.Stat(name); return err == nil }
	for deadline := time.Now().Add(time.Minute); there(left) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	s.stop(t)
	if there(left) || !there(notes) || !strings.Contains(s.log.String(), filepath.Base(left)) {
		t.Errorf("it is there: %t, what is somebody's: %t; the log says\n%s", there(left), there(notes), s.log)
	}
}
