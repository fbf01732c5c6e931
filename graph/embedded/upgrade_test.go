package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/clew-security/clew/graph"
)

// testdata/format1.tar.gz is a directory that the last program of format 1 wrote (imports of the demonstration's
// data, and drawn batches with joins, redirects, documents and trimmed changes), as a killed process leaves it;
// format1.golden is what that program read from it.

// fixtureTenants are those of the golden, in its order.
var fixtureTenants = []graph.TenantID{"contoso", "default"}

// loadFormat1 puts the directory into "store", synced.
func loadFormat1(t testing.TB, fs vfs.FS, dir string) {
	t.Helper()
	file, err := os.Open("testdata/format1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.MkdirAll(fs.PathJoin(dir, pebbleName), 0o700); err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(zipped); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			putFile(t.(*testing.T), fs, fs.PathJoin(dir, h.Name), string(text))
		}
	}
	for _, d := range []string{fs.PathJoin(dir, pebbleName), dir, fs.PathDir(dir)} {
		if err := syncDirectory(fs, d); err != nil {
			t.Fatal(err)
		}
	}
}

func golden1(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/format1.golden")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fixtureContent is what a store of the fixture's tenants shows.
func fixtureContent(t fataler, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	for _, tenant := range fixtureTenants {
		if err := contentLines(s, tenant, &b); err != nil {
			t.Fatalf("reading %s: %v", tenant, err)
		}
	}
	return b.String()
}

// rawRows hashes all that Pebble holds, whatever it means.
func rawRows(t fataler, fs vfs.FS, dir string) string {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, Logger: pebbleLog{newFailure(), func(string, ...any) {}}})
	if err != nil {
		t.Fatalf("opening %s: %v", dir, err)
	}
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatalf("reading %s: %v", dir, err)
	}
	h := sha256.New()
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(h, "%x %x\n", it.Key(), it.Value())
	}
	if err := errors.Join(it.Close(), db.Close()); err != nil {
		t.Fatalf("closing %s: %v", dir, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func expectSound(t fataler, s *Store) {
	t.Helper()
	r, err := s.Check(context.Background(), nil)
	if err != nil || r.Problems != 0 {
		t.Fatalf("checking: %v, %v", r.First, err)
	}
}

func TestAnOlderDirectoryIsUpgradedAsItWas(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"in memory": vfs.NewMem(), "on disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			dir := "store"
			if fs == vfs.Default {
				dir = t.TempDir()
			}
			loadFormat1(t, fs, dir)
			var log strings.Builder
			o := Options{FS: fs, Log: func(f string, a ...any) { fmt.Fprintf(&log, f+"\n", a...) }}
			s, err := Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := fixtureContent(t, s); got != golden1(t) {
				t.Errorf("upgraded it shows\n%s\nwas\n%s", got, golden1(t))
			}
			for _, tenant := range fixtureTenants {
				verifyRows(t, s, tenant)
			}
			expectSound(t, s)
			copied := fs.PathJoin(dir, "backup-format-1")
			if text := s.Upgraded(); !strings.Contains(text, "backup-format-1") || !strings.Contains(log.String(), text) {
				t.Errorf("the user is told %q, the log says %q", text, log.String())
			}
			closeStore(t, s)
			original := vfs.NewMem()
			loadFormat1(t, original, "store")
			if format, err := readFormat(fs, copied); err != nil || format != 1 || rawRows(t, fs, fs.PathJoin(copied, pebbleName)) != rawRows(t, original, "store/pebble") {
				t.Errorf("the copy has format %d (%v) or other rows", format, err)
			}
			s, err = Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, s)
			if s.Upgraded() != "" {
				t.Errorf("opened again: %q", s.Upgraded())
			}
			if _, err := s.Apply(context.Background(), "contoso", logonBatch(0, 3)); err != nil {
				t.Error(err)
			}
			expectSound(t, s)
		})
	}
}

// upgradeFS counts what writes, and does something before one of it.
func upgradeFS(fs vfs.FS, at int64, do func() error) (wrapped vfs.FS, count *atomic.Int64) {
	count = new(atomic.Int64)
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && count.Add(1) >= at {
			return do()
		}
		return nil
	})), count
}

// upgradeWrites is about how many writes an upgrade makes.
func upgradeWrites(t *testing.T) int64 {
	mem := vfs.NewMem()
	loadFormat1(t, mem, "store")
	fs, count := upgradeFS(mem, 1, func() error { return nil })
	closeStore(t, openAt(t, Options{FS: fs, memTableBytes: smallFiles}))
	return count.Load()
}

// Wherever a crash cuts an upgrade short, the directory is what it was, for the older program too, or upgraded;
// opened, it has all.
func TestACrashWhileUpgradingLosesNothing(t *testing.T) {
	want, writes := golden1(t), upgradeWrites(t)
	original := vfs.NewMem()
	loadFormat1(t, original, "store")
	raw := rawRows(t, original, "store/pebble")
	random := rand.New(rand.NewPCG(1, uint64(writes)))
	before, after := 0, 0
	for n := range 24 {
		at := random.Int64N(writes) + 1
		if n%3 == 0 {
			at = max(1, writes-random.Int64N(20)) // where the new files take the old ones' place
		}
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[random.IntN(3)], RNG: rand.New(rand.NewPCG(random.Uint64(), 1))}
		mem := vfs.NewCrashableMem()
		loadFormat1(t, mem, "store")
		var left atomic.Pointer[vfs.MemFS]
		var once atomic.Bool
		fs, _ := upgradeFS(mem, at, func() error {
			if once.CompareAndSwap(false, true) {
				left.Store(mem.CrashClone(cfg))
			}
			return nil
		})
		closeStore(t, openAt(t, Options{FS: fs, memTableBytes: smallFiles}))
		crashed := left.Load()
		if crashed == nil {
			continue // fewer writes this time
		}
		format, err := readFormat(crashed, "store")
		if err != nil {
			t.Fatalf("write %d: %v", at, err)
		}
		if before++; format == formatVersion {
			before, after = before-1, after+1
		} else if rawRows(t, crashed.CrashClone(vfs.CrashCloneCfg{}), "store/pebble") != raw {
			t.Fatalf("write %d: the format is %d, the rows are not what they were", at, format)
		}
		s := openAt(t, Options{FS: crashed, memTableBytes: smallFiles})
		if got := fixtureContent(t, s); got != want {
			t.Fatalf("crashed at write %d, format %d, it shows\n%s", at, format, got)
		}
		expectSound(t, s)
		closeStore(t, s)
		names, err := crashed.List("store")
		if err != nil || len(names) != 5 { // FORMAT, CREATED, LOCK, pebble, backup-format-1
			t.Fatalf("crashed at write %d, it holds %v (%v)", at, names, err)
		}
	}
	t.Logf("of %d writes: %d crashes left the old format, %d the new one", writes, before, after)
	if before == 0 || after == 0 {
		t.Fatal("one side was not met")
	}
}

// A directory that had the copy's name was removed without a word.
func TestAnUpgradeTouchesNoEarlierCopy(t *testing.T) {
	fs := vfs.NewMem()
	loadFormat1(t, fs, "store")
	for _, name := range []string{"store/backup-format-1", "store/backup-format-1-2"} {
		if err := fs.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
		putFile(t, fs, name+"/mine", "mine")
	}
	s := openAt(t, Options{FS: fs, memTableBytes: smallFiles})
	if !strings.Contains(s.Upgraded(), "backup-format-1-3 has it as it was") {
		t.Error(s.Upgraded())
	}
	closeStore(t, s)
	for _, name := range []string{"store/backup-format-1", "store/backup-format-1-2"} {
		if names, err := fs.List(name); err != nil || !slices.Equal(names, []string{"mine"}) {
			t.Errorf("%s holds %v (%v)", name, names, err)
		}
	}
	if format, err := readFormat(fs, "store/backup-format-1-3"); err != nil || format != 1 {
		t.Errorf("the copy has format %d (%v)", format, err)
	}
}

// A full or failing disk leaves what the older program can open, and nothing else that takes room.
func TestAFullDiskWhileUpgradingLeavesTheOldFormat(t *testing.T) {
	want, writes := golden1(t), upgradeWrites(t)
	original := vfs.NewMem()
	loadFormat1(t, original, "store")
	raw := rawRows(t, original, "store/pebble")
	random := rand.New(rand.NewPCG(2, uint64(writes)))
	old, upgraded := 0, 0
	for range 40 {
		at, cause := random.Int64N(writes)+1, []error{syscall.ENOSPC, syscall.EIO}[random.IntN(2)]
		mem := vfs.NewCrashableMem()
		loadFormat1(t, mem, "store")
		fs, _ := upgradeFS(mem, at, func() error { return cause })
		s, err := Open("store", Options{FS: fs, memTableBytes: smallFiles})
		if err == nil {
			_ = s.Close()
			continue // fewer writes this time
		}
		if !errors.Is(err, cause) {
			t.Fatalf("write %d: %v", at, err)
		}
		// Goroutines that stand still hold files of mem: look at a copy.
		left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(3, 3))})
		format, err := readFormat(left, "store")
		if err != nil {
			t.Fatalf("write %d: %v", at, err)
		}
		if upgraded++; format != formatVersion {
			old, upgraded = old+1, upgraded-1
			again := left.CrashClone(vfs.CrashCloneCfg{})
			if rawRows(t, again, "store/pebble") != raw {
				t.Fatalf("write %d: the format is %d, the rows are not what they were", at, format)
			}
		}
		s = openAt(t, Options{FS: left, memTableBytes: smallFiles})
		if got := fixtureContent(t, s); got != want {
			t.Fatalf("full at write %d, format %d, it shows\n%s", at, format, got)
		}
		expectSound(t, s)
		closeStore(t, s)
	}
	t.Logf("of %d writes: %d failures left the old format, %d the new one", writes, old, upgraded)
	if old == 0 {
		t.Fatal("no failure left the old format")
	}
}

func TestAReadOnlyDirectoryOfAnOlderFormatSaysWhatToDo(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
		mem := vfs.NewMem()
		loadFormat1(t, mem, "store")
		fs, _ := upgradeFS(mem, 1, func() error { return cause })
		_, err := Open("store", Options{FS: fs})
		if !errors.Is(err, cause) || !strings.Contains(fmt.Sprint(err), "has format 1 and must be upgraded to") || !strings.Contains(fmt.Sprint(err), "make it writable") {
			t.Errorf("error is %v", err)
		}
	}
}

func TestADamagedOlderDirectoryIsNotUpgraded(t *testing.T) {
	for name, damage := range map[string][2]string{
		"facts that are no JSON":   {"a\x07defaultdevice-----------", "\x01{"},
		"a node without facts":     {"n\x07defaultdevice-----------", "\x01\x01\x00"},
		"an alias to half an id":   {"r\x07defaultdevice-----------", "half"},
		"a change of another kind": {"g\x07default\x00\x00\x00\x00\x00\x00\x00\x01", "\x02"},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			loadFormat1(t, mem, "store")
			db, err := pebble.Open("store/pebble", &pebble.Options{FS: mem, Logger: pebbleLog{newFailure(), t.Logf}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set([]byte(damage[0]), []byte(damage[1]), pebble.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := Open("store", Options{FS: mem}); !errors.Is(err, errDamaged) || !strings.Contains(fmt.Sprint(err), fmt.Sprintf("row %c%x", damage[0][0], damage[0][1:])) {
				t.Errorf("error is %v", err)
			}
			if format, err := readFormat(mem, "store"); err != nil || format != 1 {
				t.Errorf("the format is now %d (%v)", format, err)
			}
			if names, _ := mem.List("store"); len(names) != 4 { // FORMAT, CREATED, LOCK, pebble
				t.Errorf("it holds %v", names)
			}
		})
	}
}

func TestAnOlderDirectoryThatWasNeverWholeIsBegunAnew(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("store", 0o700); err != nil {
		t.Fatal(err)
	}
	putFile(t, mem, "store/FORMAT", formatHead+"1\n")
	closeStore(t, openAt(t, Options{FS: mem}))
	if format, err := readFormat(mem, "store"); err != nil || format != formatVersion {
		t.Errorf("the format is %d (%v)", format, err)
	}
}

// contentLines tells all that a reader sees of a tenant, revisions, ticks and incident numbers included: alerts and
// incidents line by line, the rest as digests.
func contentLines(s graph.Store, tenant graph.TenantID, w io.Writer) error {
	ctx, v := context.Background(), graph.View{Tenant: tenant}
	digest, err := graph.Digest(ctx, s, v)
	if err != nil {
		return err
	}
	p, err := s.Position(ctx, v)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "tenant %s digest %s\nrevision %d clock %s alerts %d entities %d edges %d incidents %d\n",
		tenant, digest, p.Revision, p.Clock, p.Alerts, p.Entities, p.Edges, p.Incidents)
	entities := sha256.New()
	for q := (graph.EntityQuery{}); ; {
		page, err := s.Entities(ctx, v, q)
		if err != nil {
			return err
		}
		for _, e := range page {
			fmt.Fprintf(entities, "%s %d %v %v %s\n", e.ID, e.Revision, e.Members, e.PossiblySameAs, e.SameAs)
			q.After = e.ID
		}
		if len(page) < graph.MaxPage {
			break
		}
	}
	fmt.Fprintf(w, "entities with revisions and members %x\n", entities.Sum(nil))
	changes, first, n := sha256.New(), graph.Revision(0), 0
	for since := graph.Revision(0); ; since++ {
		var failed error
		for c, err := range s.Changes(ctx, v, since) {
			if failed = err; err != nil {
				break
			}
			if n++; first == 0 {
				first = c.Revision
			}
			fmt.Fprintf(changes, "%d %v %v %v\n", c.Revision, c.Entities, c.Alerts, c.Incidents)
		}
		if failed == nil {
			break
		}
		if since > p.Revision {
			return failed
		}
	}
	fmt.Fprintf(w, "%d changes from revision %d on %x\n", n, first, changes.Sum(nil))
	documents, err := s.Documents(ctx, v, graph.DocumentQuery{Collection: "saved views"})
	if err != nil {
		return err
	}
	for _, d := range documents {
		fmt.Fprintf(w, "document %s revision %d %q\n", d.Key, d.Revision, d.Value)
	}
	return linesOfAlerts(s, v, w)
}

func linesOfAlerts(s graph.Store, v graph.View, w io.Writer) error {
	alerts, err := graph.AllAlerts(context.Background(), s, v, graph.AlertQuery{})
	if err != nil {
		return err
	}
	for _, a := range alerts {
		fmt.Fprintf(w, "%s incident %s created %s updated %s revision %d\n", a.ID, a.Incident, a.Created, a.Updated, a.Revision)
	}
	for id := graph.IncidentID(1); ; id++ {
		page, err := s.Incidents(context.Background(), v, graph.IncidentQuery{IDs: []graph.IncidentID{id}, WithContentVersion: true})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		i := page.Items[0]
		fmt.Fprintf(w, "incident %s redirect %q alerts %d created %s updated %s revision %d content %d\n",
			i.ID, i.RedirectTo, i.AlertCount, i.Created, i.Updated, i.Revision, i.ContentVersion)
	}
}
