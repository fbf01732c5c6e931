package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clew-security/clew/graph/embedded"
)

// imported makes a store of one alert file and returns that file's name.
func imported(t *testing.T, dir string, where ...string) string {
	t.Helper()
	files := strings.Fields(clew(t, dir, "scenario", "files").want(t, 0).out)
	for _, f := range files {
		if strings.Contains(f, "updates") {
			clew(t, dir, append([]string{"ingest", f}, where...)...).want(t, 0)
			return f
		}
	}
	t.Fatalf("no file among %v", files)
	return ""
}

func TestABackupOfAServiceBecomesAStore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	file := imported(t, dir, "--url", s.base)
	clew(t, dir, "backup", "one.tar", "--url", s.base).want(t, 0, "one.tar: ")
	clew(t, dir, "backup", "one.tar", "--url", s.base).want(t, exitFailed, "is there already", "--force")
	clew(t, dir, "backup", "one.tar", "--url", s.base, "--force").want(t, 0)
	if out := clew(t, dir, "backup", "-", "--url", s.base).want(t, 0).out; !strings.HasPrefix(out, "clew-backup.json") {
		t.Errorf("standard output begins with %.20q", out)
	}
	clew(t, dir, "check", "--url", s.base).want(t, 0, "1 tenant read: 0 problems")
	clew(t, dir, "backup", "two.tar", "--data", "store").want(t, exitFailed, "in use")
	s.stop(t)
	clew(t, dir, "backup", "two.tar", "--data", "store").want(t, 0)
	for _, archive := range []string{"one.tar", "two.tar"} {
		data := archive + ".store"
		clew(t, dir, "restore", archive, "--data", data).want(t, 0, "13 alerts", "clew check --data "+data)
		clew(t, dir, "check", "--data", data).want(t, 0, "0 problems")
		clew(t, dir, "ingest", file, "--data", data).want(t, 0, "Nothing new: all of it was known")
		clew(t, dir, "restore", archive, "--data", data).want(t, exitFailed, "is not empty")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "two.tar"))
	if err != nil {
		t.Fatal(err)
	}
	short := write(t, dir, "short.tar", string(whole[:len(whole)/2]))
	clew(t, dir, "restore", short, "--data", "none").want(t, exitFailed, "cut short")
	c := exec.Command("sh", "-c", `"$0" backup - --data store | "$0" restore - --data piped`, binary)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "13 alerts") {
		t.Errorf("%v\n%s", err, out)
	}
}

// tableOf names a table of the store in dir.
func tableOf(t *testing.T, dir string) string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "store", "pebble", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables (%v)", err)
	}
	return tables[0]
}

func damageTable(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	copy(text[20:], "nonsense")
	if err := os.WriteFile(table, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheCheckNamesADamagedFile(t *testing.T) {
	dir := t.TempDir()
	imported(t, dir, "--data", "store")
	clew(t, dir, "backup", "b.tar", "--data", "store").want(t, 0) // and the log's rows are in a table
	table := tableOf(t, dir)
	damageTable(t, table)
	name := "pebble/" + filepath.Base(table)
	clew(t, dir, "check", "--data", "store").want(t, exitFailed, "file "+name, "is damaged", "What to do:", "of 1 tenant read", "found")
	var r embedded.Report
	found := clew(t, dir, "check", "--data", "store", "-o", "json").want(t, exitFailed)
	if err := json.Unmarshal([]byte(found.out), &r); err != nil || r.Problems == 0 || r.First[0].File != name {
		t.Errorf("%v: %+v", err, r)
	}
	if err := os.Remove(table); err != nil {
		t.Fatal(err)
	}
	clew(t, dir, "check", "--data", "store").want(t, exitFailed, strings.TrimSuffix(filepath.Base(table), ".sst"), "What to do:")
	clew(t, dir, "export", "all.json", "--data", "store").want(t, exitFailed, name+": the file is not there", "restore the last backup", "'clew check' says")
	if err := os.Remove(filepath.Join(dir, "store", "FORMAT")); err != nil {
		t.Fatal(err)
	}
	clew(t, dir, "check", "--data", "store").want(t, exitFailed, "file FORMAT: it does not say the store's format", name)
	clew(t, dir, "export", "all.json", "--data", "store").want(t, exitFailed, "FORMAT: the file is not there", "restore the last backup")
	manifests, err := filepath.Glob(filepath.Join(dir, "store", "pebble", "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifest (%v)", err)
	}
	for _, m := range manifests {
		if err := os.Remove(m); err != nil {
			t.Fatal(err)
		}
	}
	nothing := clew(t, dir, "check", "--data", "store").want(t, exitFailed, "pebble/MANIFEST-", "restore the last backup")
	if all := nothing.out + nothing.err; strings.Contains(all, "--salvage") || strings.Contains(all, "'clew check'") {
		t.Errorf("where nothing can be read it says\n%s", all)
	}
}

func TestAnOlderStoreIsUpgradedAndToldSo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	fixture, err := filepath.Abs("../../graph/embedded/testdata/format1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xzf", fixture, "-C", filepath.Join(dir, "store")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := clew(t, dir, "check", "--data", "store").want(t, 0, "2 tenants read: 0 problems")
	if !strings.Contains(r.err, "upgraded the store") || !strings.Contains(r.err, "backup-format-1") {
		t.Errorf("told: %q", r.err)
	}
	if again := clew(t, dir, "check", "--data", "store").want(t, 0); again.err != "" {
		t.Errorf("again: %q", again.err)
	}
}

func TestWrongCallsOfAdministrationSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "x.tar", "no archive")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "accepts 1 arg", []string{"backup", "--data", "s"}},
		{exitUsage, "either --data DIR or", []string{"backup", "f"}},
		{exitUsage, "either --data DIR or", []string{"check", "--data", "s", "--url", "http://127.0.0.1:1"}},
		{exitUsage, "add http://", []string{"check", "--url", "127.0.0.1:1"}},
		{exitUsage, "use text or json", []string{"check", "--data", "s", "-o", "xml"}},
		{exitUsage, "--data DIR is missing", []string{"restore", file}},
		{exitFailed, "no store in s", []string{"check", "--data", "s"}},
		{exitFailed, "no store in s", []string{"backup", "f", "--data", "s"}},
		{exitFailed, "no file absent", []string{"restore", "absent", "--data", "s"}},
		{exitFailed, "cut short", []string{"restore", file, "--data", "r"}},
		{exitFailed, "connect", []string{"backup", "f", "--url", "http://127.0.0.1:1"}},
	} {
		clew(t, dir, c.args...).want(t, c.code, c.says)
	}
	for _, name := range []string{"s", "f"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("a refused call made %s", name)
		}
	}
}

// Two that wrote one file at once wrote into each other, and one that was refused removed what the other had.
func TestTwoThatWriteOneFileDoNotMix(t *testing.T) {
	for force, want := range map[bool]int{false: 1, true: 2} {
		name := filepath.Join(t.TempDir(), "file")
		var begun, done sync.WaitGroup
		begun.Add(2)
		texts, failures := []string{strings.Repeat("a", 1000), strings.Repeat("b", 2000)}, make([]error, 2)
		for i, text := range texts {
			done.Go(func() {
				_, failures[i] = writeWhole(name, force, func(w io.Writer) error {
					begun.Done()
					begun.Wait()
					_, err := io.WriteString(w, text)
					return err
				})
			})
		}
		done.Wait()
		wrote := 0
		for _, err := range failures {
			if err == nil {
				wrote++
			} else if !strings.Contains(err.Error(), "there already") {
				t.Error(err)
			}
		}
		got, err := os.ReadFile(name)
		i := slices.Index(texts, string(got))
		if wrote != want || err != nil || i < 0 || failures[i] != nil {
			t.Errorf("force %t: %d wrote; %d bytes (%v): %v", force, wrote, len(got), err, failures)
		}
		if left, _ := filepath.Glob(name + "?*"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// A file of the user's that had the name of one in the making was lost, and so was where a link led.
func TestOnlyTheFileThatWasNamedIsReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "mine", "mine")
	write(t, dir, "file.partial", "mine")
	if err := os.Symlink("mine", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	something := func(w io.Writer) error { _, err := io.WriteString(w, "ours"); return err }
	if _, err := writeWhole(filepath.Join(dir, "file"), false, something); err != nil {
		t.Error(err)
	}
	if _, err := writeWhole(filepath.Join(dir, "link"), true, something); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a link is replaced: %v", err)
	}
	if _, err := writeWhole(filepath.Join(dir, "none"), false, func(io.Writer) error { return errors.New("no") }); err == nil {
		t.Error("what was not written has its name")
	}
	for name, want := range map[string]string{"mine": "mine", "file.partial": "mine", "file": "ours"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if all, _ := os.ReadDir(dir); len(all) != 4 {
		t.Errorf("left: %v", all)
	}
}

// adminHandler serves a store of its own.
func adminHandler(t *testing.T) (http.Handler, *embedded.Store) {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return newHandler(store, reach{}, store.Ready, quiet(), adminRoutes(store, quiet())), store
}

// Administration is for programs on this machine: no page gets at it, be it the explorer's.
func TestNoPageAdministers(t *testing.T) {
	h, store := adminHandler(t)
	for name, c := range map[string]struct {
		method, body string
		header       map[string]string
		want         int
	}{
		"a program":                 {"POST", "", asJSON, 200},
		"reading":                   {"GET", "", asJSON, 405},
		"a form":                    {"POST", "", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
		"a text":                    {"POST", "", map[string]string{"Content-Type": "text/plain"}, 415},
		"no type":                   {"POST", "", nil, 415},
		"an archive":                {"POST", "", map[string]string{"Content-Type": "application/gzip"}, 415},
		"a body":                    {"POST", "{}", asJSON, 413},
		"its own page":              {"POST", "", map[string]string{"Origin": "http://localhost:8080"}, 403},
		"its own page without type": {"POST", "", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		"an address bar":            {"POST", "", map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 403},
		"a link":                    {"POST", "", map[string]string{"Referer": "http://localhost:8080/"}, 403},
		"another origin":            {"POST", "", map[string]string{"Origin": "https://evil.example"}, 403},
		"another port":              {"POST", "", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"a rebound name":            {"POST", "", map[string]string{"Host": "evil.example"}, 421},
	} {
		for _, path := range []string{"/admin/backup", "/admin/check"} {
			header := map[string]string{}
			if c.want == 403 || c.want == 421 {
				header["Content-Type"] = "application/json"
			}
			for k, v := range c.header {
				header[k] = v
			}
			if w := exchange(h, c.method, path, c.body, header); w.Code != c.want {
				t.Errorf("%s, %s: %d %.100s, want %d", name, path, w.Code, w.Body, c.want)
			}
		}
	}
	_ = store.Close()
	for _, path := range []string{"/admin/backup", "/admin/check"} {
		if w := exchange(h, "POST", path, "", asJSON); w.Code != 503 || !strings.Contains(w.Body.String(), "stopping") {
			t.Errorf("%s of a closed store: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestOneAdministersAtATime(t *testing.T) {
	_, store := adminHandler(t)
	a := &admin{store: store, log: quiet(), idle: ingestIdle}
	begun, end := make(chan struct{}), make(chan struct{})
	slow := a.guarded(func(http.ResponseWriter, *http.Request) { close(begun); <-end })
	done := make(chan struct{})
	go func() { exchange(slow, "POST", "/admin/check", "", asJSON); close(done) }()
	<-begun
	if w := exchange(a.guarded(a.check), "POST", "/admin/check", "", asJSON); w.Code != 409 {
		t.Errorf("the second one: %d", w.Code)
	}
	close(end)
	<-done
	if w := exchange(a.guarded(a.check), "POST", "/admin/check", "", asJSON); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// A backup that breaks off on its way is no file.
func TestABackupThatBreaksOffLeavesNoFile(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"in the middle": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 100_000))
			panic(http.ErrAbortHandler)
		},
		"at once": func(w http.ResponseWriter, _ *http.Request) { problem(w, 503, "no room\x1b[2J") },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			dir := t.TempDir()
			old := filepath.Join(dir, "b.tar")
			if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			var told bytes.Buffer
			if code := run([]string{"backup", old, "--force", "--url", server.URL}, streams{strings.NewReader(""), io.Discard, &told}); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			if text, err := os.ReadFile(old); err != nil || string(text) != "old" {
				t.Errorf("the file that was there: %q (%v)", text, err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left: %v", left)
			}
			if name == "at once" && (!strings.Contains(told.String(), "no room") || strings.Contains(told.String(), "\x1b")) {
				t.Errorf("told: %q", told.String())
			}
		})
	}
}
