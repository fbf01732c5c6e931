package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
