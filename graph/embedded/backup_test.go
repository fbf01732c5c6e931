package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

func backup(t fataler, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(context.Background(), &b); err != nil {
		t.Fatalf("backup: %v", err)
	}
	return b.Bytes()
}

// restored opens what the archive makes.
func restored(t fataler, archive []byte) *Store {
	t.Helper()
	fs := vfs.NewMem()
	if err := Restore(context.Background(), fs, bytes.NewReader(archive), "store"); err != nil {
		t.Fatalf("%v", err)
	}
	return openAt(t, Options{FS: fs})
}

// someStore has a few batches, in tables and in the log.
func someStore(t testing.TB, o Options) *Store {
	t.Helper()
	s := openAt(t, o)
	for i := range 6 {
		b := logonBatch(i, 30)
		b.Alerts = []graph.AlertContent{{
			Product: "p", ProviderAlertID: fmt.Sprint(i), FirstActivity: epoch, LastActivity: epoch,
			Evidence: []graph.Evidence{{Type: "deviceEvidence", Entity: b.Entities[0].ID()}},
		}}
		b.Decide, b.Key = graphtest.UnionDecider{}, fmt.Sprint("key-", i)
		b.Documents = []graph.Document{{DocumentKey: graph.DocumentKey{Collection: "views", Key: fmt.Sprint(i)}, Value: []byte("v")}}
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func TestABackupComesBackWhole(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"in memory": vfs.NewMem(), "on disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			dir := "store"
			if fs == vfs.Default {
				dir = filepath.Join(t.TempDir(), "store")
			}
			s := someStore(t, Options{FS: vfs.NewMem()})
			defer closeStore(t, s)
			if err := Restore(t.Context(), fs, bytes.NewReader(backup(t, s)), dir); err != nil {
				t.Fatal(err)
			}
			if names, err := s.options.FS.List("store"); err != nil || len(names) != 4 {
				t.Errorf("after the backup the store's directory holds %v (%v)", names, err)
			}
			if names, err := fs.List(dir); err != nil || len(names) != 4 {
				t.Errorf("the restored one holds %v (%v)", names, err)
			}
			again, err := Open(dir, Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, again)
			if got, want := contentOf(t, again, graphtest.Tenant), contentOf(t, s, graphtest.Tenant); got != want {
				t.Errorf("restored it shows %s, was %s", got, want)
			}
			verifyRows(t, again, graphtest.Tenant)
			expectSound(t, again)
			if _, err := again.Apply(t.Context(), graphtest.Tenant, logonBatch(99, 3)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Backups taken while commits go on hold whole commits: all that was acknowledged before, and on in their order.
func TestABackupWhileWritingIsAPrefixOfTheCommits(t *testing.T) {
	taken, between := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		batches := drawBatches(t)
		o := Options{FS: vfs.NewMem(), Clock: graphtest.NewClock().Now, memTableBytes: smallFiles}
		reference := openAt(t, Options{FS: vfs.NewMem(), Clock: o.Clock})
		states, err := replay(reference, t, batches, new(atomic.Int64))
		if err != nil || reference.Close() != nil {
			t.Fatalf("reference: %v", err)
		}
		s := openAt(t, o)
		var acknowledged atomic.Int64
		var writing sync.WaitGroup
		var failed error
		writing.Go(func() {
			for _, b := range batches {
				if _, failed = s.Apply(context.Background(), graphtest.Tenant, b); failed != nil {
					return
				}
				acknowledged.Add(1)
			}
		})
		type one struct {
			archive     []byte
			from, until int64
		}
		var all []one
		for last := int64(0); last < int64(len(batches)) && len(all) < 6; {
			b := one{from: acknowledged.Load()}
			b.archive = backup(t, s)
			b.until = acknowledged.Load()
			all, last = append(all, b), b.until
		}
		writing.Wait()
		if err := errors.Join(failed, s.Close()); err != nil {
			t.Fatalf("writing: %v", err)
		}
		for _, b := range all {
			again := restored(t, b.archive)
			verifyRows(t, again, graphtest.Tenant)
			expectSound(t, again)
			n := slices.Index(states, contentOf(t, again, graphtest.Tenant))
			if int64(n) < b.from || int64(n) > b.until+1 {
				t.Fatalf("a backup begun after %d commits and ended after %d shows the state after %d", b.from, b.until, n)
			}
			if taken++; n > 0 && n < len(batches) {
				between++
			}
			if err := again.Close(); err != nil {
				t.Fatalf("closing: %v", err)
			}
		}
	})
	t.Logf("%d backups, %d of them between the first and the last commit", taken, between)
	if between == 0 {
		t.Fatal("no backup was taken while writing")
	}
}

// The engine's checkpoint of a store that was opened without a log had an empty manifest and could not be opened.
func TestABackupRightAfterOpeningWithoutALog(t *testing.T) {
	fs := vfs.NewMem()
	closeStore(t, someStore(t, Options{FS: fs}))
	closeStore(t, openAt(t, Options{FS: fs})) // flushes the log
	names, err := fs.List("store/pebble")
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, n := range names {
		if info, err := fs.Stat("store/pebble/" + n); err == nil && strings.HasSuffix(n, ".log") && info.Size() < 64 {
			if err := fs.Remove("store/pebble/" + n); err != nil {
				t.Fatal(err)
			}
			removed++
		}
	}
	if removed == 0 {
		t.Fatalf("no empty log among %v", names)
	}
	s := openAt(t, Options{FS: fs})
	defer closeStore(t, s)
	again := restored(t, backup(t, s))
	defer closeStore(t, again)
	if got, want := contentOf(t, again, graphtest.Tenant), contentOf(t, s, graphtest.Tenant); got != want {
		t.Errorf("restored it shows %s, was %s", got, want)
	}
}

// A backup that finds no room fails, and the store goes on.
func TestABackupWithoutRoomLeavesTheStoreAlone(t *testing.T) {
	mem := vfs.NewMem()
	var armed atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, backupPrefix) && op.Kind != errorfs.OpRemoveAll {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := someStore(t, Options{FS: fs})
	defer closeStore(t, s)
	armed.Store(true)
	if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error is %v", err)
	}
	if _, err := s.Apply(t.Context(), graphtest.Tenant, logonBatch(50, 3)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	armed.Store(false)
	closeStore(t, restored(t, backup(t, s)))
	if names, err := mem.List("store"); err != nil || len(names) != 4 {
		t.Errorf("the directory holds %v (%v)", names, err)
	}
}

// writerFunc writes by a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestABackupEndsWithItsReaderItsContextAndItsStore(t *testing.T) {
	gone := errors.New("nobody reads")
	for name, c := range map[string]struct {
		during func(s *Store, cancel func()) error
		want   error
	}{
		"the reader goes away": {func(*Store, func()) error { return gone }, gone},
		"the context ends":     {func(_ *Store, cancel func()) error { cancel(); return nil }, context.Canceled},
		"the store closes":     {func(s *Store, _ func()) error { go s.Close(); <-s.closing; return nil }, graph.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			s := someStore(t, Options{FS: vfs.NewMem()})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := s.Backup(ctx, writerFunc(func(b []byte) (int, error) { return len(b), c.during(s, cancel) }))
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v", err)
			}
			closeStore(t, s)
			if names, _ := s.options.FS.List("store"); len(names) != 4 {
				t.Errorf("the directory holds %v", names)
			}
			if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, graph.ErrClosed) {
				t.Errorf("of a closed store: %v", err)
			}
		})
	}
}

func TestWhatABackupLeftIsClearedWhenOpened(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := someStore(t, Options{FS: mem})
	var left *vfs.MemFS
	if err := s.Backup(t.Context(), writerFunc(func(b []byte) (int, error) {
		if left == nil {
			left = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		return len(b), nil
	})); err != nil {
		t.Fatal(err)
	}
	want := contentOf(t, s, graphtest.Tenant)
	closeStore(t, s)
	if names, _ := left.List("store"); len(names) != 5 {
		t.Fatalf("the crash left %v", names)
	}
	again := openAt(t, Options{FS: left})
	defer closeStore(t, again)
	if names, _ := left.List("store"); len(names) != 4 || contentOf(t, again, graphtest.Tenant) != want {
		t.Errorf("opened it holds %v", names)
	}
}

// The names that the engine uses are those that a backup takes.
func TestABackupKnowsTheEnginesFiles(t *testing.T) {
	for _, n := range []string{"000007.sst", "000123.log", "1234567.blob", "MANIFEST-000001", "OPTIONS-000015", "marker.format-version.000006.019", "marker.manifest.000002.MANIFEST-000008"} {
		if !(backupFile{Name: "pebble/" + n}).known() {
			t.Errorf("%s is unknown", n)
		}
	}
	for _, n := range []string{"pebble/", "pebble/LOCK", "pebble/7.sst", "000007.sst", "pebble/000007.sst\n", "pebble//000007.sst", "pebble/000007.sst/.."} {
		if (backupFile{Name: n}).known() {
			t.Errorf("%q is known", n)
		}
	}
}
