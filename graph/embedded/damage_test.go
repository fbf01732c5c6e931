package embedded

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// filesOf gives all that a directory in memory holds, by path.
func filesOf(t fataler, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, n := range names {
		path := fs.PathJoin(dir, n)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if info.IsDir() {
			for name, text := range filesOf(t, fs, path) {
				out[name] = text
			}
			continue
		}
		out[path] = textOf(t, fs, path)
	}
	return out
}

func textOf(t fataler, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(text)
}

func putFile(t fataler, fs vfs.FS, path, text string) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatalf("%v", err)
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatalf("%v", err)
	}
}

func sameFiles(a, b map[string]string) bool {
	for path, text := range a {
		if b[path] != text {
			return false
		}
	}
	return len(a) == len(b)
}

// engineFiles are the paths of those whose names begin and end so.
func engineFiles(t *testing.T, fs vfs.FS, prefix, suffix string) (out []string) {
	t.Helper()
	names, err := fs.List("store/pebble")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, prefix) && strings.HasSuffix(n, suffix) {
			out = append(out, "store/pebble/"+n)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no %s…%s among %v", prefix, suffix, names)
	}
	return out
}

// A store that lost files is never begun anew, whoever opens it: what is left stays as it is and the error says what
// to do.
func TestAStoreThatLostFilesIsNotBegunAnew(t *testing.T) {
	remove := func(prefix, suffix string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) {
			for _, path := range engineFiles(t, fs, prefix, suffix) {
				if err := fs.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	created := func(t *testing.T, fs vfs.FS) {
		if err := fs.Remove("store/CREATED"); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		lose func(*testing.T, vfs.FS)
		says string
		// readable is set where the rest can be checked.
		readable bool
	}{
		"CREATED":                    {created, "CREATED", true},
		"CREATED and the tables":     {func(t *testing.T, fs vfs.FS) { created(t, fs); remove("", ".sst")(t, fs) }, "", true},
		"all of the engine's files":  {remove("", ""), "the engine's files are not there", false},
		"the engine's directory":     {func(t *testing.T, fs vfs.FS) { must(t, fs.RemoveAll("store/pebble")) }, "the engine's files are not there", false},
		"the marker of the manifest": {remove("marker.manifest", ""), "marker.manifest", false},
		"the marker of the format":   {remove("marker.format-version", ""), "marker.format-version", false},
		"the manifest":               {remove("MANIFEST", ""), "MANIFEST", false},
		"what the manifest says": {func(t *testing.T, fs vfs.FS) {
			putFile(t, fs, engineFiles(t, fs, "MANIFEST", "")[0], "")
		}, "MANIFEST-000001", false},
		"the newest log": {remove("", ".log"), ".log: it was there when the store was closed", true},
		"what the newest log says": {func(t *testing.T, fs vfs.FS) {
			for _, log := range engineFiles(t, fs, "", ".log") {
				putFile(t, fs, log, "")
			}
		}, ".log: it can be read up to byte 0", true},
		"the tables": {remove("", ".sst"), "000005", true},
	} {
		for _, salvage := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, salvage %t", name, salvage), func(t *testing.T) {
				fs := vfs.NewMem()
				closeStore(t, someStore(t, Options{FS: fs}))
				c.lose(t, fs)
				before := filesOf(t, fs, "store")
				s, err := Open("store", Options{FS: fs, Salvage: salvage})
				if salvage && c.readable {
					if err != nil {
						t.Fatal(err)
					}
					if r := check(t, s); r.Problems == 0 || !strings.Contains(fmt.Sprint(r.First), c.says) {
						t.Errorf("the check says %v", r.First)
					}
					if !strings.Contains(fmt.Sprint(s.Found()), c.says) {
						t.Errorf("it found %v", s.Found())
					}
					closeStore(t, s)
				} else if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || errors.Is(err, graph.ErrVersion) {
					t.Fatalf("error is %v", err)
				}
				if told := strings.Contains(fmt.Sprint(err), whatIsLeft); err != nil && told != c.readable {
					t.Errorf("that the rest can be read is told: %t (%v)", told, err)
				}
				if after := filesOf(t, fs, "store"); (salvage || name != "the tables" && name != "the manifest") && !sameFiles(before, after) {
					t.Errorf("the directory held %d files, holds %d, or others", len(before), len(after))
				}
			})
		}
	}
}

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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// To check a sound store changes none of its files.
func TestSalvageLeavesTheDirectoryAsItIs(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := someStore(t, Options{FS: mem})
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	want := contentOf(t, s, graphtest.Tenant)
	closeStore(t, s)
	before := filesOf(t, crashed, "store")
	s = openAt(t, Options{FS: crashed, Salvage: true})
	expectSound(t, s)
	if len(s.Found()) > 0 {
		t.Errorf("it found %v", s.Found())
	}
	if got := contentOf(t, s, graphtest.Tenant); got != want {
		t.Errorf("it shows %s, was %s", got, want)
	}
	if _, err := s.Apply(t.Context(), graphtest.Tenant, logonBatch(1, 1)); !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("a write: %v", err)
	}
	closeStore(t, s)
	if !sameFiles(before, filesOf(t, crashed, "store")) {
		t.Error("the files are not what they were")
	}
	if _, err := Open("none", Options{FS: crashed, Salvage: true}); !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("of no store: %v", err)
	}
	if names, _ := crashed.List("none"); len(names) > 0 {
		t.Errorf("there is %v now", names)
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

// logged is a store whose log holds many commits, and what it shows.
func logged(t *rapid.T, fs vfs.FS) (s *Store, content string) {
	s = openAt(t, Options{FS: fs, Clock: graphtest.NewClock().Now})
	for i := range rapid.IntRange(2, 25).Draw(t, "commits") {
		b := logonBatch(i, rapid.SampledFrom([]int{1, 1, 20, 200}).Draw(t, "edges"))
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatalf("%v", err)
		}
	}
	return s, contentOf(t, s, graphtest.Tenant)
}

func newestLog(t fataler, fs vfs.FS) string {
	names, err := fs.List("store/pebble")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return "store/pebble/" + logFile(numbersOf(names).log)
}

// recordsOf gives where each record of a log begins and ends.
func recordsOf(text, path string) (at [][2]int) {
	j, _ := journalOf(path[strings.LastIndex(path, "/")+1:])
	j.text = []byte(text)
	for start := 0; ; {
		_, end, ok := j.record(start)
		if !ok {
			return at
		}
		at, start = append(at, [2]int{start, end}), end
	}
}

// harm changes a few bytes, or blanks, or cuts a text, behind a place.
func harm(t *rapid.T, text string, from int, cuts bool) (harmed string, at int) {
	b := []byte(text)
	at = rapid.IntRange(from, len(b)-1).Draw(t, "at")
	if cuts && rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
		return text[:at], at
	}
	n := min(len(b)-at, rapid.SampledFrom([]int{1, 1, 1, 8, 512, 4096, 40_000}).Draw(t, "bytes"))
	blank := rapid.Bool().Draw(t, "blank")
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	for i := at; i < at+n; i++ {
		if b[i] ^= byte(1 + random.IntN(255)); blank {
			b[i] = 0
		}
	}
	return string(b), at
}

// A store that was closed and whose log, or list of tables, is cut or damaged anywhere shows all, or does not open; to
// be salvaged it opens, where the rest can be read, and the check tells.
func TestDamageInALogOfAClosedStoreIsFound(t *testing.T) {
	refused := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		s, want := logged(t, fs)
		if rapid.Bool().Draw(t, "flushed") {
			if err := s.db.Flush(); err != nil {
				t.Fatalf("%v", err)
			}
			if _, err := s.Apply(context.Background(), graphtest.Tenant, logonBatch(99, 1)); err != nil {
				t.Fatalf("%v", err)
			}
			want = contentOf(t, s, graphtest.Tenant)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
		file, what := newestLog(t, fs), rapid.SampledFrom([]string{"log", "manifest"}).Draw(t, "file")
		if what == "manifest" {
			file = "store/pebble/MANIFEST-000001"
		}
		text, _ := harm(t, textOf(t, fs, file), 0, true)
		putFile(t, fs, file, text)
		problems := salvagedProblems(t, fs)
		s, err := Open("store", Options{FS: fs, Clock: graphtest.NewClock().Now})
		if err != nil {
			if refused[what]++; !errors.Is(err, ErrDamaged) || problems == 0 {
				t.Fatalf("%v; the check found %d problems", err, problems)
			}
			return
		}
		if got := contentOf(t, s, graphtest.Tenant); got != want {
			t.Fatalf("commits are gone and nobody said so")
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
	})
	if t.Logf("refused: %v", refused); refused["log"] == 0 || refused["manifest"] == 0 {
		t.Fatal("no damage was met")
	}
}

// salvagedProblems counts what the check finds; that a store cannot be opened for it counts as one.
func salvagedProblems(t *rapid.T, fs vfs.FS) int64 {
	s, err := Open("store", Options{FS: fs, Salvage: true})
	if errors.Is(err, ErrDamaged) {
		return 1
	}
	if err != nil {
		t.Fatalf("salvaging: %v", err)
	}
	r := check(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	return r.Problems
}

// After a crash, damage in any commit but the last is found, too. The last one is as a crash may leave it.
func TestDamageInALogAfterACrashIsFound(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewCrashableMem()
		s, want := logged(t, mem)
		fs := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
		log := newestLog(t, fs)
		was := textOf(t, fs, log)
		records := recordsOf(was, log)
		last := records[len(records)-1]
		text, at := harm(t, was, 0, false)
		putFile(t, fs, log, text)
		inLast := text[last[0]:last[1]] != was[last[0]:last[1]]
		s, err := Open("store", Options{FS: fs, Clock: graphtest.NewClock().Now})
		if err != nil {
			if refused++; !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v", err)
			}
			return
		}
		got := contentOf(t, s, graphtest.Tenant)
		if got != want && !inLast {
			t.Fatalf("damage at byte %d, before the last commit at %d: commits are gone and nobody said so", at, last[0])
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
	})
	if t.Logf("%d refused", refused); refused == 0 {
		t.Fatal("no damage was met")
	}
}

// What a crash leaves of the last commits still opens: any sectors of what was not acknowledged may be missing, also
// where it is more than one commit, of several tenants, in one write.
func TestATornWriteStillOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewCrashableMem()
		s, want := logged(t, mem)
		log := newestLog(t, mem)
		before := textOf(t, mem, log)
		s.write = pebble.NoSync // so that nothing of these is acknowledged
		for i := range rapid.IntRange(1, 4).Draw(t, "in flight") {
			tenant := graph.TenantID(fmt.Sprint("tenant-", i))
			if _, err := s.Apply(context.Background(), tenant, logonBatch(i, rapid.SampledFrom([]int{1, 20, 100}).Draw(t, "edges"))); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
		if newestLog(t, mem) != log {
			return // a log that another follows was closed and synced
		}
		b := []byte(textOf(t, mem, log))
		for at := len(before); at < len(b); at = (at/512 + 1) * 512 {
			if rapid.IntRange(0, 5).Draw(t, "missing") == 0 {
				clear(b[at:min((at/512+1)*512, len(b))])
			}
		}
		fs := mem.CrashClone(vfs.CrashCloneCfg{})
		putFile(t, fs, log, string(b[:rapid.IntRange(len(before), len(b)).Draw(t, "length")]))
		if err := fs.Remove("store/pebble/" + noteName); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%v", err)
		}
		again := openAt(t, Options{FS: fs, Clock: graphtest.NewClock().Now})
		if got := contentOf(t, again, graphtest.Tenant); got != want {
			t.Fatalf("an acknowledged commit is gone")
		}
		if err := again.Close(); err != nil {
			t.Fatalf("%v", err)
		}
	})
}

// A backup copies the log while it is written: what was written meanwhile, behind a gap, is not taken for damage.
func TestALogThatWasCopiedWhileItWasWrittenIsCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openAt(t, Options{FS: mem})
	for i := range 5 {
		if _, err := s.Apply(t.Context(), graphtest.Tenant, logonBatch(i, 3)); err != nil {
			t.Fatal(err)
		}
	}
	fs := mem.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	log := newestLog(t, fs)
	text := []byte(textOf(t, fs, log))
	gap := recordsOf(string(text), log)[3]
	clear(text[gap[0]:gap[1]])
	putFile(t, fs, log, string(text))
	if _, err := Open("store", Options{FS: fs}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("with the gap: %v", err)
	}
	if err := cutLog(fs, "store/pebble", s.acknowledged.Load()); !errors.Is(err, ErrDamaged) {
		t.Errorf("where all was acknowledged before: %v", err)
	}
	must(t, cutLog(fs, "store/pebble", 0))
	s = openAt(t, Options{FS: fs})
	defer closeStore(t, s)
	if p, err := s.Position(t.Context(), graph.View{Tenant: graphtest.Tenant}); err != nil || p.Revision != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}

// What the engine has to say at length goes to the log; the error is one line.
func TestAnErrorOfTheEngineIsOneLine(t *testing.T) {
	fs, log := vfs.NewMem(), ""
	closeStore(t, someStore(t, Options{FS: fs}))
	for _, path := range engineFiles(t, fs, "", ".sst") {
		putFile(t, fs, path, "")
	}
	_, err := Open("store", Options{FS: fs, Log: func(f string, a ...any) { log += fmt.Sprintf(f, a...) }})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "size mismatch") {
		t.Errorf("error is %v", err)
	}
	s := &Store{options: Options{Log: func(f string, a ...any) { log += fmt.Sprintf(f, a...) }}}
	err = s.panicked(errors.New("what happened\nand where"))
	if text := err.Error(); text != "storage engine: what happened" || !strings.Contains(log, "and where") || !strings.Contains(log, "goroutine") {
		t.Errorf("error is %q, the log has %q", text, log)
	}
}

// manyLogs is what is left of a killed store none of whose logs was flushed.
func manyLogs(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem, release := vfs.NewCrashableMem(), make(chan struct{})
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			<-release
		}
		return nil
	}))
	s := openAt(t, Options{FS: fs, memTableBytes: smallFiles})
	for n := 0; len(engineFiles(t, mem, "", ".log")) < 4; n++ {
		b := graph.Batch{Documents: []graph.Document{{
			DocumentKey: graph.DocumentKey{Collection: "padding", Key: fmt.Sprint(n)}, Value: []byte(fmt.Sprintf(`"%010000d"`, n)),
		}}}
		if _, err := s.Apply(t.Context(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{})
	close(release)
	closeStore(t, s)
	return killed
}

// documents are how many a store shows of those that manyLogs wrote.
func documents(t *testing.T, s *Store) int {
	t.Helper()
	docs, err := s.Documents(t.Context(), graph.View{Tenant: graphtest.Tenant}, graph.DocumentQuery{Collection: "padding"})
	if err != nil {
		t.Fatal(err)
	}
	return len(docs)
}

// After a crash there may be several logs. One that is lost, or empty, and that another one follows is damage; to be
// salvaged, the store shows what comes before it.
func TestALogThatIsLostBeforeAnotherIsFound(t *testing.T) {
	killed := manyLogs(t)
	whole := openAt(t, Options{FS: killed.CrashClone(vfs.CrashCloneCfg{})})
	logs, all := engineFiles(t, killed, "", ".log"), documents(t, whole)
	slices.Sort(logs)
	closeStore(t, whole)
	for i, log := range logs[:len(logs)-1] {
		trailer := journal{log: uint32(numbersOf([]string{log[len("store/pebble/"):]}).log)}.trailer()
		for name, lose := range map[string]func(fs vfs.FS) error{
			"lost":           func(fs vfs.FS) error { return fs.Remove(log) },
			"empty":          func(fs vfs.FS) error { putFile(t, fs, log, ""); return nil },
			"blank":          func(fs vfs.FS) error { putFile(t, fs, log, strings.Repeat("\x00", 70_000)); return nil },
			"only its end":   func(fs vfs.FS) error { putFile(t, fs, log, string(trailer)); return nil },
			"its first half": func(fs vfs.FS) error { b := textOf(t, fs, log); putFile(t, fs, log, b[:len(b)/2]); return nil },
		} {
			t.Run(fmt.Sprintf("%s, %s", log, name), func(t *testing.T) {
				fs := killed.CrashClone(vfs.CrashCloneCfg{})
				must(t, lose(fs))
				before := filesOf(t, fs, "store")
				_, err := Open("store", Options{FS: fs})
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), ".log: it ") {
					t.Fatalf("error is %v", err)
				}
				s := openAt(t, Options{FS: fs, Salvage: true})
				defer closeStore(t, s)
				if n := documents(t, s); n >= all || (n > 0) != (i > 0 || name == "its first half") {
					t.Errorf("%d of %d documents are shown", n, all)
				}
				r := check(t, s)
				if first := fmt.Sprint(r.First); !strings.Contains(first, log[len("store/"):]) && !strings.Contains(first, logs[i+1][len("store/"):]) {
					t.Errorf("the check says %v", first)
				}
				if found := fmt.Sprint(s.Found()); name == "lost" && !strings.Contains(found, "not there") ||
					strings.Contains(name, " half") && !strings.Contains(found, log[len("store/"):]) {
					t.Errorf("it found %v", found)
				}
				if !sameFiles(before, filesOf(t, fs, "store")) {
					t.Error("the files are not what they were")
				}
			})
		}
	}
}

// The logs that a crash leaves always open: the first that is needed is not there where the store was opened again
// since, and one without commits has only its end.
func TestLogsThatACrashLeavesAreNotTakenForLost(t *testing.T) {
	mem, needed := manyLogs(t), 0
	for round := range 4 {
		s := openAt(t, Options{FS: mem, memTableBytes: smallFiles})
		for n := range 16 {
			if _, err := s.Apply(t.Context(), graphtest.Tenant, graph.Batch{Documents: padding(n)}); err != nil {
				t.Fatal(err)
			}
			if n%5 == round {
				must(t, s.db.Flush())
				must(t, s.db.Flush())
			}
			left := mem.CrashClone(vfs.CrashCloneCfg{})
			again := openAt(t, Options{FS: left, memTableBytes: smallFiles, Salvage: true})
			needed = max(needed, int(again.db.Metrics().MemTable.Count))
			closeStore(t, again)
			closeStore(t, openAt(t, Options{FS: left, memTableBytes: smallFiles}))
		}
		killed := mem.CrashClone(vfs.CrashCloneCfg{})
		closeStore(t, s)
		mem = killed
	}
	t.Logf("up to %d tables in memory", needed)
}
