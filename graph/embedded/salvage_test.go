package embedded

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// twoTenants is a closed store with a table for each of two tenants. The first one's is the smaller one; the other's
// record and alerts are not in its range.
func twoTenants(t *testing.T) (fs *vfs.MemFS, first, other graph.TenantID) {
	t.Helper()
	fs, first, other = vfs.NewMem(), "zz", graphtest.Tenant
	s := someStore(t, Options{FS: fs})
	must(t, s.db.Flush())
	if _, err := s.Apply(t.Context(), first, graph.Batch{Documents: padding(0)}); err != nil {
		t.Fatal(err)
	}
	must(t, s.db.Flush())
	closeStore(t, s)
	return fs, first, other
}

// changed replaces what a file holds, and removes it where how is nil.
func changed(t *testing.T, fs vfs.FS, path string, how func(string) string) {
	t.Helper()
	if how == nil {
		must(t, fs.Remove(path))
		return
	}
	putFile(t, fs, path, how(textOf(t, fs, path)))
}

// What the rest can be read without is named by the refusal, and does not keep the rest from being read.
func TestTheStoreIsSalvagedWithoutItsTablesOrOptions(t *testing.T) {
	for name, c := range map[string]struct {
		prefix, suffix string
		how            func(string) string
		says           string
	}{
		"a table that is not there":   {"", ".sst", nil, "the file is not there"},
		"a table that lacks a byte":   {"", ".sst", func(s string) string { return s[:len(s)-1] }, "size mismatch"},
		"a table that is empty":       {"", ".sst", func(string) string { return "" }, "it has 0 bytes"},
		"a table that is longer":      {"", ".sst", func(s string) string { return s + "x" }, "size mismatch"},
		"options that are none":       {"OPTIONS-", "", func(string) string { return "\x00\x00" }, "it is not what it was"},
		"options of another database": {"OPTIONS-", "", func(string) string { return "[Options]\n comparer=another" }, "comparer"},
		"options of another log":      {"OPTIONS-", "", func(string) string { return "[Options]\n wal_dir=another" }, "WALDir"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, first, other := twoTenants(t)
			path := slices.MinFunc(engineFiles(t, fs, c.prefix, c.suffix), func(a, b string) int {
				return cmp.Compare(len(textOf(t, fs, a)), len(textOf(t, fs, b)))
			})
			file := strings.TrimPrefix(path, "store/")
			changed(t, fs, path, c.how)
			before := filesOf(t, fs, "store")
			_, err := Open("store", Options{FS: fs})
			expectDamage(t, err, file, c.says, "'clew restore'", "'clew check'")
			s := openAt(t, Options{FS: fs, Salvage: true})
			if found := s.Found(); len(found) != 1 || found[0].File != file || !strings.Contains(found[0].Text, c.says) {
				t.Errorf("it found %v", found)
			}
			if r := check(t, s); r.First[0] != s.Found()[0] || r.Rows == 0 || r.Tenants == 0 {
				t.Errorf("the check says %+v", r)
			}
			if p, err := s.Position(t.Context(), graph.View{Tenant: other}); err != nil || p.Alerts == 0 {
				t.Errorf("of the other tenant: %+v, %v", p, err)
			}
			if _, err := s.Position(t.Context(), graph.View{Tenant: first}); c.suffix == ".sst" {
				expectDamage(t, err, file)
			} else if err != nil {
				t.Error(err)
			}
			closeStore(t, s)
			if !sameFiles(before, filesOf(t, fs, "store")) {
				t.Error("the files are not what they were")
			}
		})
	}
}

// Of several tables that are lost the refusal names one and counts them, and each is found.
func TestAllLostTablesAreCountedAndFound(t *testing.T) {
	fs, _, _ := twoTenants(t)
	tables := engineFiles(t, fs, "", ".sst")
	must(t, fs.Remove(tables[0]))
	putFile(t, fs, tables[1], "")
	_, err := Open("store", Options{FS: fs})
	expectDamage(t, err, ".sst: ", "(the first of 2 such tables)")
	s := openAt(t, Options{FS: fs, Salvage: true})
	defer closeStore(t, s)
	for _, table := range tables {
		if !slices.ContainsFunc(s.Found(), func(p Problem) bool { return "store/"+p.File == table }) {
			t.Errorf("it found %v, not %s", s.Found(), table)
		}
	}
}

// expectDamage checks that an error is one line that says so and has the texts.
func expectDamage(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("error is %v, has not %q", err, text)
		}
	}
}

// A store whose format file is damaged or lost is told from a directory that is none, and can be salvaged.
func TestAStoreThatLostItsFormatIsToldFromAnotherDirectory(t *testing.T) {
	replaced := func(text string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) { putFile(t, fs, "store/FORMAT", text) }
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, vfs.FS)
		says   string
	}{
		"lost":              {func(t *testing.T, fs vfs.FS) { must(t, fs.Remove("store/FORMAT")) }, "the file is not there"},
		"empty":             {replaced(""), "not a format file"},
		"of other bytes":    {replaced("\x00\x00"), "not a format file"},
		"of another digit":  {replaced(formatHead + "0\n"), "not a format file"},
		"of another end":    {replaced(formatHead + "20"), "not a format file"},
		"of a word for one": {replaced(formatHead + "two\n"), "not a format file"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, _, other := twoTenants(t)
			s := openAt(t, Options{FS: fs})
			want := contentOf(t, s, other)
			closeStore(t, s)
			c.damage(t, fs)
			before := filesOf(t, fs, "store")
			if there, err := Exists(fs, "store"); err != nil || !there {
				t.Errorf("it is there: %t, %v", there, err)
			}
			_, err := Open("store", Options{FS: fs})
			expectDamage(t, err, "FORMAT", c.says, "'clew restore'", whatIsLeft)
			s = openAt(t, Options{FS: fs, Salvage: true})
			if r := check(t, s); len(s.Found()) != 1 || s.Found()[0].File != formatName || r.Problems != 1 {
				t.Errorf("it found %v, the check %v", s.Found(), r.First)
			}
			if got := contentOf(t, s, other); got != want {
				t.Errorf("it shows %s, was %s", got, want)
			}
			closeStore(t, s)
			if !sameFiles(before, filesOf(t, fs, "store")) {
				t.Error("the files are not what they were")
			}
			must(t, fs.RemoveAll("store/pebble"))
			for _, salvage := range []bool{false, true} {
				if _, err := Open("store", Options{FS: fs, Salvage: salvage}); err == nil || errors.Is(err, ErrDamaged) ||
					!errors.Is(err, graph.ErrVersion) && !errors.Is(err, graph.ErrNotFound) {
					t.Errorf("without the engine's files, salvage %t: %v", salvage, err)
				}
			}
		})
	}
}

// What is found when a store is opened to be salvaged is what was damaged, and nothing where nothing was.
func TestFoundNamesWhatIsDamagedAndNothingElse(t *testing.T) {
	half := func(s string) string { return s[:len(s)/2] }
	for name, c := range map[string]struct {
		file func(*testing.T, vfs.FS) string
		how  func(string) string
	}{
		"a log":      {func(t *testing.T, fs vfs.FS) string { return newestLog(t, fs) }, func(s string) string { return s[:1000] }},
		"a manifest": {func(t *testing.T, fs vfs.FS) string { return slices.Max(engineFiles(t, fs, "MANIFEST-", "")) }, half},
		"a table":    {func(t *testing.T, fs vfs.FS) string { return engineFiles(t, fs, "", ".sst")[0] }, half},
		"options":    {func(t *testing.T, fs vfs.FS) string { return slices.Max(engineFiles(t, fs, "OPTIONS-", "")) }, func(string) string { return "x" }},
		"CREATED":    {func(*testing.T, vfs.FS) string { return "store/CREATED" }, nil},
		"FORMAT":     {func(*testing.T, vfs.FS) string { return "store/FORMAT" }, half},
	} {
		t.Run(name, func(t *testing.T) {
			fs := inAllFiles(t)
			file := c.file(t, fs)
			found := func() []Problem {
				s := openAt(t, Options{FS: fs, Salvage: true})
				defer closeStore(t, s)
				return s.Found()
			}
			if f := found(); len(f) > 0 {
				t.Errorf("of a sound store it found %v", f)
			}
			changed(t, fs, file, c.how)
			if f := found(); !slices.ContainsFunc(f, func(p Problem) bool { return "store/"+p.File == file && p.Text != "" }) {
				t.Errorf("it found %v, not %s", f, file)
			} else if len(f) > 1 && name != "a manifest" { // without all of which other files seem lost
				t.Errorf("it found %v, and %s is damaged", f, file)
			}
		})
	}
}

// inAllFiles is a closed store with rows in a table and in a log.
func inAllFiles(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	s := someStore(t, Options{FS: fs, Clock: graphtest.NewClock().Now})
	must(t, s.db.Flush())
	must(t, s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false)) // which may else be done or not, and decides what is read when
	for i := range 5 {
		if _, err := s.Apply(t.Context(), graphtest.Tenant, logonBatch(100+i, 3)); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	return fs
}

// What the system refuses is not taken for damage, whatever is read then, and does none.
func TestWhatTheSystemRefusesIsNotTakenForDamage(t *testing.T) {
	mem, _, _ := twoTenants(t)
	refused := 0
	for _, salvage := range []bool{false, true} {
		for _, cause := range []error{syscall.EIO, syscall.EMFILE, syscall.EACCES} {
			for at, n := int64(1), new(atomic.Int64); at == 1 || n.Load() >= at-1; at++ {
				n.Store(0)
				fs := errorfs.Wrap(copyOf(t, mem), errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() == errorfs.OpIsRead && n.Add(1) == at {
						return &os.PathError{Op: "reading", Path: op.Path, Err: cause}
					}
					return nil
				}))
				s, err := Open("store", Options{FS: fs, Salvage: salvage})
				if err == nil {
					if len(s.Found()) > 0 {
						t.Errorf("read %d: %v was found", at, s.Found())
					}
					_ = s.Close()
					continue
				}
				if refused++; errors.Is(err, ErrDamaged) || !errors.Is(err, cause) {
					t.Errorf("read %d: %v", at, err)
				}
			}
		}
	}
	if t.Logf("%d refused", refused); refused < 60 {
		t.Error("too few were refused")
	}
}

// copyOf is another file system with a store's files.
func copyOf(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(from, to, "store", "store", vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	return to
}

// Where no file can be opened any more, an opening stood still for ever.
func TestOpeningEndsWhereADirectoryCannotBeOpened(t *testing.T) {
	mem := vfs.NewMem()
	closeStore(t, someStore(t, Options{FS: mem}))
	for at := int64(1); ; at++ {
		var opened atomic.Int64
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpOpenDir && opened.Add(1) == at {
				return syscall.EMFILE
			}
			return nil
		}))
		s, err := Open("store", Options{FS: fs, Salvage: true})
		if err == nil {
			closeStore(t, s)
			break
		}
		if at > 100 {
			t.Fatal(err)
		}
	}
}

// readOnly is a file system that cannot be written.
func readOnly(fs vfs.FS, cause error) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose {
			return &os.PathError{Op: "writing", Path: op.Path, Err: cause}
		}
		return nil
	}))
}

// Of an upgrade that a crash cut short the format file alone says how far it came, but for the name of the copy.
func TestAStoreWithoutAFormatInTheMiddleOfAnUpgradeIsNotReadAsTheNewOne(t *testing.T) {
	fs := vfs.NewMem()
	loadFormat1(t, fs, "store")
	must(t, fs.MkdirAll("store/"+copyPrefix+"1"+unnamed, 0o700))
	must(t, fs.MkdirAll("store/"+upgradedName, 0o700)) // and nothing in it yet
	must(t, fs.Remove("store/"+formatName))
	_, err := Open("store", Options{FS: fs, Salvage: true})
	expectDamage(t, err, formatName, `make it one line, "clew embedded graph store, format 1", and the upgrade begins anew`, "'clew restore'")
	putFile(t, fs, "store/"+formatName, formatText(1))
	s := openAt(t, Options{FS: fs})
	if got := fixtureContent(t, s); got != golden1(t) {
		t.Errorf("it shows\n%s", got)
	}
	expectSound(t, s)
	closeStore(t, s)

	if ok, err := vfs.Clone(fs, fs, "store/"+pebbleName, "store/"+upgradedName); err != nil || !ok {
		t.Fatal(ok, err)
	}
	must(t, fs.RemoveAll("store/"+pebbleName)) // the copy has its name, so the new files are the store
	must(t, fs.Remove("store/"+formatName))
	s = openAt(t, Options{FS: fs, Salvage: true})
	if got := fixtureContent(t, s); got != golden1(t) {
		t.Errorf("from the new files it shows\n%s", got)
	}
	closeStore(t, s)
}

// A copy that cannot be written is checked and saved, one with damage, too. Nothing else can be done with it.
func TestAStoreThatCannotBeWrittenIsSalvaged(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
		mem := vfs.NewMem()
		s := someStore(t, Options{FS: mem})
		want := contentOf(t, s, graphtest.Tenant)
		closeStore(t, s)
		fs := readOnly(mem, cause)
		if _, err := Open("store", Options{FS: fs}); !errors.Is(err, cause) || !strings.Contains(err.Error(), "cannot be written, only read with 'clew check' and 'clew export --salvage'") {
			t.Errorf("to be written: %v", err)
		}
		s = openAt(t, Options{FS: fs, Salvage: true})
		expectSound(t, s)
		if got := contentOf(t, s, graphtest.Tenant); got != want {
			t.Errorf("it shows %s, was %s", got, want)
		}
		closeStore(t, s)
		changed(t, mem, newestLog(t, mem), func(s string) string { return s[:len(s)/2] })
		s = openAt(t, Options{FS: fs, Salvage: true})
		if found := fmt.Sprint(s.Found()); !strings.Contains(found, ".log") {
			t.Errorf("it found %s", found)
		}
		closeStore(t, s)
		putFile(t, mem, "store/FORMAT", formatHead+"1\n")
		if _, err := Open("store", Options{FS: fs, Salvage: true}); !errors.Is(err, cause) || !strings.Contains(err.Error(), "must be upgraded") {
			t.Errorf("of an older format: %v", err)
		}
	}
}

// Who may not write to a directory does not take what another process is writing there for damage.
func TestAStoreThatAnotherProcessHasOpenIsNotSalvaged(t *testing.T) {
	const env = "CLEW_TEST_HOLD_DIR"
	if dir := os.Getenv(env); dir != "" {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin)
		closeStore(t, s)
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), env+"="+dir)
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	salvaged := Options{FS: readOnly(vfs.Default, syscall.EACCES), Salvage: true}
	if _, err := Open(dir, salvaged); !errors.Is(err, graph.ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	must(t, in.Close())
	must(t, child.Wait())
	s, err := Open(dir, salvaged)
	must(t, err)
	expectSound(t, s)
	closeStore(t, s)
}
