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
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

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
	archive, _ := someArchive(t)
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
		"records of a sparse file, say": {func(e []entry) []entry {
			e[1].PAXRecords = map[string]string{"CLEW.x": "y"}
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

// Whatever stood behind the end of the tar was taken for part of a sound backup.
func TestOnlyPaddingMayFollowABackup(t *testing.T) {
	archive, _ := someArchive(t)
	for behind, ok := range map[string]bool{
		strings.Repeat("\x00", 10240): true, "x": false, strings.Repeat("\x00", 10240) + "x": false, string(archive): false,
		strings.Repeat("\x00", 2<<20): false,
	} {
		err := Restore(t.Context(), vfs.NewMem(), strings.NewReader(string(archive)+behind), "store")
		if ok != (err == nil) || !ok && (!errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), "something follows")) {
			t.Errorf("with %d bytes behind it: %v", len(behind), err)
		}
	}
}

// someArchive is a backup of someStore, and the content.
func someArchive(t *testing.T) (archive []byte, want string) {
	t.Helper()
	s := someStore(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	return backup(t, s), contentOf(t, s, graphtest.Tenant)
}

// However much of an archive is missing or which byte of it is another: it is refused, or nothing is lost.
func TestADamagedArchiveIsNoticed(t *testing.T) {
	archive, want := someArchive(t)
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
	putFile(t, fs, "store/letters.txt", "dear")
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
	archive, want := someArchive(t)
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
