package embedded

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

// entry is one of an archive.
type entry struct {
	tar.Header
	content []byte
}

func entriesOf(t testing.TB, archive []byte) (out []entry) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{*h, content})
	}
}

func archiveOf(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, e := range entries {
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(e.content))
		}
		e.Format = tar.FormatUnknown
		if err := out.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reheaded changes the head and makes the end fit it.
func reheaded(t testing.TB, entries []entry, change func(*backupHead)) []entry {
	t.Helper()
	var head backupHead
	var end backupEnd
	last := len(entries) - 1
	if err := errors.Join(json.Unmarshal(entries[0].content, &head), json.Unmarshal(entries[last].content, &end)); err != nil {
		t.Fatal(err)
	}
	change(&head)
	text, err1 := json.Marshal(head)
	end.Head = sumOf(text)
	tail, err2 := json.Marshal(end)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	entries[0].content, entries[last].content = text, tail
	return entries
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	archive := backup(t, s)
	closeStore(t, s)
	renamed := func(to string) func([]entry) []entry {
		return func(e []entry) []entry {
			e[1].Name = to
			return reheaded(t, e, func(h *backupHead) { h.Files[0].Name = to })
		}
	}
	for name, c := range map[string]struct {
		change func([]entry) []entry
		says   string
		is     error
	}{
		"nothing":         {func([]entry) []entry { return nil }, "cut short", graph.ErrInvalid},
		"another tar":     {func(e []entry) []entry { return e[1:] }, "where clew-backup.json was to come", graph.ErrInvalid},
		"no end":          {func(e []entry) []entry { return e[:len(e)-1] }, "cut short before checksums.json", graph.ErrInvalid},
		"a file less":     {func(e []entry) []entry { return slices.Delete(e, 2, 3) }, "was to come", graph.ErrInvalid},
		"a file twice":    {func(e []entry) []entry { return slices.Insert(e, 1, e[1]) }, "was to come", graph.ErrInvalid},
		"a file more":     {func(e []entry) []entry { return append(e, e[1]) }, "something follows", graph.ErrInvalid},
		"another content": {func(e []entry) []entry { e[1].content[0] ^= 1; return e }, "its checksum is", graph.ErrInvalid},
		"another size":    {func(e []entry) []entry { e[1].content = e[1].content[1:]; return e }, "bytes, the archive's head says", graph.ErrInvalid},
		"a symbolic link": {func(e []entry) []entry {
			e[1].Typeflag, e[1].Linkname, e[1].content, e[1].Size = tar.TypeSymlink, "/etc/passwd", nil, 0
			return e
		}, "not a plain file", graph.ErrInvalid},
		"a hard link": {func(e []entry) []entry {
			e[1].Typeflag, e[1].Linkname, e[1].content, e[1].Size = tar.TypeLink, "../x", nil, 0
			return e
		}, "not a plain file", graph.ErrInvalid},
		"a way out":           {renamed("pebble/../../x.sst"), "unknown file", graph.ErrInvalid},
		"an absolute name":    {renamed("/tmp/000007.sst"), "unknown file", graph.ErrInvalid},
		"a directory below":   {renamed("pebble/sub/000007.sst"), "unknown file", graph.ErrInvalid},
		"a file beside":       {renamed("FORMAT"), "unknown file", graph.ErrInvalid},
		"a program":           {renamed("pebble/run.sh"), "unknown file", graph.ErrInvalid},
		"a size over all":     {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Files[0].Size = 1 << 40 }) }, "too large", graph.ErrInvalid},
		"a negative size":     {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Files[0].Size = -1 }) }, "too large", graph.ErrInvalid},
		"a newer format":      {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Format = formatVersion + 1 }) }, "use a newer program", graph.ErrVersion},
		"a newer archive":     {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Version++ }) }, "use a newer program", graph.ErrVersion},
		"another kind":        {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Kind = "other" }) }, "no backup of a store", graph.ErrInvalid},
		"no files":            {func(e []entry) []entry { return reheaded(t, e, func(h *backupHead) { h.Files = nil }) }, "no manifest", graph.ErrInvalid},
		"a head that is none": {func(e []entry) []entry { e[0].content = []byte("{"); return e }, "cannot be read", graph.ErrInvalid},
		"a head that does not fit": {func(e []entry) []entry {
			e[0].content = append(e[0].content, ' ')
			return e
		}, "does not fit its head", graph.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			err := Restore(t.Context(), fs, bytes.NewReader(archiveOf(t, c.change(entriesOf(t, archive)))), "store")
			if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error is %v", err)
			}
			if names, _ := fs.List("store"); len(names) != 1 { // LOCK
				t.Errorf("the directory holds %v", names)
			}
			if names, _ := fs.List(""); len(names) != 1 {
				t.Errorf("beside it there is %v", names)
			}
		})
	}
	if err := Restore(t.Context(), vfs.NewMem(), strings.NewReader("no tar at all"+strings.Repeat("x", 1000)), "store"); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("of a text: %v", err)
	}
}

// However much of an archive is missing or which byte of it is another: it is refused, or nothing is lost.
func TestADamagedArchiveIsNoticed(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	archive, want := backup(t, s), contentOf(t, s, graphtest.Tenant)
	closeStore(t, s)
	random := rand.New(rand.NewPCG(4, 4))
	refused := 0
	for i := range 150 {
		damaged, at := slices.Clone(archive), random.IntN(len(archive))
		if i%3 == 0 {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= byte(1 + random.IntN(255))
		}
		fs := vfs.NewMem()
		err := Restore(t.Context(), fs, bytes.NewReader(damaged), "store")
		if err != nil {
			if refused++; !errors.Is(err, graph.ErrInvalid) && !errors.Is(err, graph.ErrVersion) {
				t.Errorf("at %d: %v", at, err)
			}
			continue
		}
		again := openAt(t, Options{FS: fs})
		if got := contentOf(t, again, graphtest.Tenant); got != want {
			t.Errorf("damaged at %d it shows %s", at, got)
		}
		closeStore(t, again)
	}
	if refused < 100 {
		t.Fatalf("%d of 150 were refused", refused)
	}
	t.Logf("%d of 150 were refused", refused)
}

func TestRestoreWantsAnEmptyDirectory(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	archive := backup(t, s)
	defer closeStore(t, s)
	if err := Restore(t.Context(), s.options.FS, bytes.NewReader(archive), "store"); !errors.Is(err, graph.ErrConflict) {
		t.Errorf("over a store that is open: %v", err)
	}
	expectSound(t, s)
	fs := vfs.NewMem()
	if err := fs.MkdirAll("store", 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, fs, "store/letters.txt", "dear")
	if err := Restore(t.Context(), fs, bytes.NewReader(archive), "store"); !errors.Is(err, graph.ErrConflict) || !strings.Contains(err.Error(), "letters.txt") {
		t.Errorf("beside another's file: %v", err)
	}
	if names, _ := fs.List("store"); len(names) != 1 {
		t.Errorf("the other's directory holds %v", names)
	}
	dir := t.TempDir()
	lock, err := vfs.Default.Lock(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := Restore(t.Context(), nil, bytes.NewReader(archive), dir); !errors.Is(err, graph.ErrInUse) {
		t.Errorf("into a directory in use: %v", err)
	}
}

// Wherever a crash or a full disk cuts a restore short, the directory is none that opens as a part of a store, and
// the restore can be tried again.
func TestARestoreCutShortCanBeTriedAgain(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	archive, want := backup(t, s), contentOf(t, s, graphtest.Tenant)
	closeStore(t, s)
	random := rand.New(rand.NewPCG(5, 5))
	refused, whole, full := 0, 0, 0
	for at := int64(1); ; at++ {
		mem := vfs.NewCrashableMem()
		var left atomic.Pointer[vfs.MemFS]
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: int(at%3) * 50, RNG: rand.New(rand.NewPCG(random.Uint64(), 1))}
		fs, count := upgradeFS(mem, at, func() error {
			if left.Load() == nil {
				left.Store(mem.CrashClone(cfg))
			}
			return nil
		})
		if err := Restore(t.Context(), fs, bytes.NewReader(archive), "store"); err != nil {
			t.Fatal(err)
		}
		if count.Load() < at {
			break
		}
		for _, fs := range []*vfs.MemFS{left.Load(), fullAt(t, at, archive, &full)} {
			if names, err := fs.List("store"); err == nil && slices.Contains(names, restoringName) && !slices.Contains(names, formatName) {
				refused++
				if _, err := Open("store", Options{FS: fs}); !errors.Is(err, graph.ErrConflict) && !errors.Is(err, graph.ErrVersion) {
					t.Fatalf("cut short at %d it opens: %v", at, err)
				}
			}
			if ok, err := Exists(fs, "store"); err != nil {
				t.Fatal(err)
			} else if !ok {
				if err := Restore(t.Context(), fs, bytes.NewReader(archive), "store"); err != nil {
					t.Fatalf("tried again after %d: %v", at, err)
				}
			} else {
				whole++
			}
			again := openAt(t, Options{FS: fs})
			if got := contentOf(t, again, graphtest.Tenant); got != want {
				t.Fatalf("cut short at %d, it shows %s", at, got)
			}
			closeStore(t, again)
		}
	}
	t.Logf("%d were refused by Open, %d were whole, %d failed on a full disk", refused, whole, full)
	if refused == 0 || whole == 0 || full == 0 {
		t.Fatal("one side was not met")
	}
}

// fullAt is what a restore leaves on a disk that is full from a write on.
func fullAt(t *testing.T, at int64, archive []byte, full *int) *vfs.MemFS {
	mem := vfs.NewMem()
	fs, _ := upgradeFS(mem, at, func() error { return syscall.ENOSPC })
	if err := Restore(t.Context(), fs, bytes.NewReader(archive), "store"); err != nil {
		if *full++; !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("full at %d: %v", at, err)
		}
	}
	return mem
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

// FuzzRestore reads any bytes: an error or a store that opens, never a panic.
func FuzzRestore(f *testing.F) {
	s := someStore(f, Options{FS: vfs.NewMem()})
	archive := backup(f, s)
	_ = s.Close()
	entries := entriesOf(f, archive)
	f.Add(archive)
	f.Add(archive[:len(archive)/2])
	f.Add(archiveOf(f, entries[:1]))
	f.Add(archiveOf(f, []entry{entries[0], {Header: tar.Header{Name: "../x", Typeflag: tar.TypeReg}, content: []byte("x")}}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		fs := vfs.NewMem()
		if Restore(context.Background(), fs, bytes.NewReader(archive), "store") == nil {
			if s, err := Open("store", Options{FS: fs}); err == nil {
				_ = s.Close()
			}
		}
		if names, _ := fs.List(""); len(names) > 1 {
			t.Errorf("beside the directory there is %v", names)
		}
	})
}
