package embedded

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// rowsSum is a checksum of all that the engine shows, with an error of the store's where it cannot be read.
func rowsSum(s *Store) (string, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return "", s.damaged(err)
	}
	sum := sha256.New()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		value, err = it.ValueAndErr()
		fmt.Fprintf(sum, "%x %x\n", it.Key(), value)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), s.damaged(errors.Join(err, it.Close()))
}

// harms are ways to damage a file, by name.
func harms(text string, random *rand.Rand) map[string]func(string) string {
	out := map[string]func(string) string{"removed": nil}
	at := []int{0, len(text) / 2, len(text) - 1}
	for range 10 {
		at = append(at, random.IntN(max(len(text), 1)))
	}
	if len(text) == 0 {
		at = nil
	}
	for _, i := range at {
		bits := byte(1 << random.IntN(8))
		out[fmt.Sprintf("cut at byte %d", i)] = func(s string) string { return s[:i] }
		for _, x := range []byte{bits, 0xff} {
			out[fmt.Sprintf("byte %d flipped by %#x", i, x)] = func(s string) string { return s[:i] + string([]byte{s[i] ^ x}) + s[i+1:] }
		}
	}
	return out
}

// Whatever one file of a store has lost, the store shows all that it had, or is refused as damaged; what is opened to
// be salvaged changes nothing, and says that it does not show all. Of a store that was killed, the newest log is as a
// crash may leave it.
func TestNoDamageToAnyFileGoesUnseen(t *testing.T) {
	for name, sound := range map[string]*vfs.MemFS{"closed": inAllFiles(t), "killed": manyLogs(t)} {
		t.Run(name, func(t *testing.T) {
			paths, want := slices.Sorted(maps.Keys(filesOf(t, sound, "store"))), shownBy(t, sound)
			if newest := newestLog(t, sound); name == "killed" {
				paths = slices.DeleteFunc(paths, func(p string) bool { return p == newest })
			}
			random, outcomes := rand.New(rand.NewPCG(17, 4)), map[string]int{}
			for _, path := range paths {
				for how, harm := range harms(textOf(t, sound, path), random) {
					for _, salvage := range []bool{true, false} {
						fs := copyOf(t, sound)
						changed(t, fs, path, harm)
						outcomes[expectShownOrRefused(t, fs, salvage, want, path+" "+how)]++
					}
				}
			}
			if t.Logf("%v", outcomes); outcomes["shown"] < 50 || outcomes["refused"] < 50 || outcomes["salvaged"] < 40 || name == "closed" && outcomes["stopped"] < 10 {
				t.Error("too little was tried")
			}
		})
	}
}

func shownBy(t *testing.T, fs *vfs.MemFS) string {
	t.Helper()
	s := openAt(t, Options{FS: copyOf(t, fs), Salvage: true})
	defer closeStore(t, s)
	sum, err := rowsSum(s)
	must(t, err)
	return sum
}

// The note and the markers may be anything: the store shows all that it had, or is refused as damaged.
func TestMarkersThatAreNoFilesHideNothing(t *testing.T) {
	sound := inAllFiles(t)
	want := shownBy(t, sound)
	for _, file := range []string{createdName, formatName, pebbleName + "/" + noteName, pebbleName + "/" + noteNewName} {
		for how, harm := range map[string]func(path string) error{
			"a directory": func(path string) error {
				return errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "x"), 0o700))
			},
			"a link to nothing": func(path string) error {
				return errors.Join(os.RemoveAll(path), os.Symlink(filepath.Join(t.TempDir(), "x"), path))
			},
			"a link to what was there": func(path string) error {
				if _, err := os.Stat(path); err != nil {
					return nil
				}
				to := filepath.Join(t.TempDir(), "x")
				return errors.Join(os.Rename(path, to), os.Symlink(to, path))
			},
			"garbage": func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o600) },
		} {
			for _, salvage := range []bool{true, false} {
				dir := filepath.Join(t.TempDir(), "store")
				if _, err := vfs.Clone(sound, vfs.Default, "store", dir); err != nil {
					t.Fatal(err)
				}
				must(t, harm(filepath.Join(dir, filepath.FromSlash(file))))
				s, err := Open(dir, Options{Salvage: salvage})
				if err != nil {
					if !errors.Is(err, ErrDamaged) || salvage {
						t.Errorf("%s is %s, salvage %t: %v", file, how, salvage, err)
					}
					continue
				}
				if got, err := rowsSum(s); err != nil || got != want {
					t.Errorf("%s is %s, salvage %t: not all is shown (%v)", file, how, salvage, err)
				}
				closeStore(t, s)
			}
		}
	}
}

func expectShownOrRefused(t *testing.T, fs *vfs.MemFS, salvage bool, want, what string) (outcome string) {
	t.Helper()
	before := filesOf(t, fs, "store")
	s, err := Open("store", Options{FS: fs, Salvage: salvage, memTableBytes: smallFiles})
	if err != nil {
		if newer := errors.Is(err, graph.ErrVersion) && strings.Contains(err.Error(), "has format"); !errors.Is(err, ErrDamaged) && !newer {
			t.Errorf("%s, salvage %t: %v", what, salvage, err)
		}
		outcome = "refused"
	} else {
		got, err := rowsSum(s)
		switch {
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Errorf("%s, salvage %t: %v", what, salvage, err)
		case err != nil:
			outcome = "stopped"
		case got == want:
			outcome = "shown"
		case !salvage:
			t.Errorf("%s: something is gone and nobody said so", what)
		}
		if salvage && (err != nil || got != want) {
			if outcome = "salvaged"; check(t, s).Problems == 0 {
				t.Errorf("%s: the check finds nothing", what)
			}
		}
		if err := s.Close(); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, salvage %t: closing: %v", what, salvage, err)
		}
	}
	after := filesOf(t, fs, "store")
	delete(before, "store/LOCK")
	delete(after, "store/LOCK") // it is made
	if salvage && !sameFiles(before, after) {
		t.Errorf("%s: the files are not what they were", what)
	}
	return outcome
}
