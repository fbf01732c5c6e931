package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whatever is wrong with the file or the names: an error that says what, and nothing is left of it.
func TestImportRefusesWhatIsNoArchive(t *testing.T) {
	dir := t.TempDir()
	imported(t, dir, "--data", "store")
	clew(t, dir, "export", "a.json", "--data", "store").want(t, 0, "content ")
	text, err := os.ReadFile(filepath.Join(dir, "a.json"))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(text)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(text)
	_ = z.Close()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "there is nothing in it"},
		"alerts":              {`{"value":[]}` + "\n", "this is no clew tenant archive"},
		"cut":                 {whole[:len(whole)/2], "cut short"},
		"packed and cut":      {packed.String()[:packed.Len()/2], "cut short"},
		"changed":             {strings.Replace(whole, `"revision":1`, `"revision":2`, 1), "was changed"},
		"newer":               {strings.Replace(whole, `"version":1`, `"version":9`, 1), "use a newer program"},
		"two of them":         {whole + whole, "behind the archive's end"},
		"one and a half line": {strings.Split(whole, "\n")[0] + "\n{\"ten", "cut short"},
	} {
		file := write(t, dir, "bad", c.text)
		clew(t, dir, "import", file, "--data", "other").want(t, exitFailed, c.want)
		clew(t, dir, "export", "-", "--data", "other").want(t, exitFailed)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	clew(t, dir, "import", "a.json", "--data", "other").want(t, 0, "content ")
	clew(t, dir, "import", "a.json", "--data", "other").want(t, exitFailed, "has a graph already")
	clew(t, dir, "import", "--abandon", "--data", "other").want(t, exitFailed, "no import of it was cut short")
	clew(t, dir, "export", "b.json", "--data", "other").want(t, 0, "content ")
	if again, err := os.ReadFile(filepath.Join(dir, "b.json")); err != nil || !bytes.Equal(again, text) {
		t.Errorf("what was imported is exported otherwise (%v)", err)
	}
}

// A mistyped name makes no store; no command waits for what it was not given.
func TestMovingNeedsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"export", "out"}, {"prune", "--incidents", "90d"}, {"import", "--abandon"}} {
		clew(t, dir, append(args, "--data", "mistyped")...).want(t, exitFailed, "there is no store in mistyped")
	}
	if _, err := os.Stat(filepath.Join(dir, "mistyped")); err == nil {
		t.Error("a store was made")
	}
	clew(t, dir, "import", "--data", "x").want(t, exitUsage, "either a file or --abandon")
	clew(t, dir, "import", "file", "--abandon", "--data", "x").want(t, exitUsage, "either a file or --abandon")
	clew(t, dir, "import", "nowhere", "--data", "x").want(t, exitFailed, "there is no file nowhere")
}

// Of a store with a damaged file the tenants that need nothing of it can be saved; no other is saved in part.
func TestASoundTenantOfADamagedStoreIsSaved(t *testing.T) {
	dir := t.TempDir()
	imported(t, dir, "--data", "store")
	clew(t, dir, "export", "a.json", "--data", "store").want(t, 0)
	clew(t, dir, "backup", "b.tar", "--data", "store").want(t, 0) // and what the log has is in a table
	table := tableOf(t, dir)
	clew(t, dir, "import", "a.json", "--data", "store", "--tenant", "other").want(t, 0)
	damageTable(t, table)
	clew(t, dir, "export", "half.json", "--data", "store", "--salvage").want(t, exitFailed, "exporting: the store is damaged: pebble/"+filepath.Base(table)+": ", "restore the last backup")
	if _, err := os.Stat(filepath.Join(dir, "half.json")); err == nil {
		t.Error("half a tenant was saved")
	}
	clew(t, dir, "export", "saved.json", "--data", "store", "--tenant", "other", "--salvage").want(t, 0, "content ")
	records := func(file string) string {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		_, records, _ := strings.Cut(string(text), "\n")
		return records
	}
	if records("saved.json") != records("a.json") {
		t.Error("what was saved is not what there was")
	}
}

// An interrupt ends an import whose source has nothing to say for now, and what is left of it can be given up.
func TestAnInterruptEndsAnImportThatWaits(t *testing.T) {
	dir := t.TempDir()
	imported(t, dir, "--data", "store")
	whole := clew(t, dir, "export", "-", "--data", "store").want(t, 0).out
	c := exec.Command(binary, "import", "-", "--data", "other")
	c.Dir = dir
	var told bytes.Buffer
	c.Stderr = &told
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err == nil {
		_, err = io.WriteString(in, whole[:len(whole)/2])
	}
	for err == nil { // the import has begun
		if _, err := os.Stat(filepath.Join(dir, "other", "CREATED")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil {
		err = c.Process.Signal(os.Interrupt)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d: %s", code, &told)
	}
	clew(t, dir, "import", "--abandon", "--data", "other").want(t, 0, "nothing of tenant")
	clew(t, dir, "check", "--data", "other").want(t, 0, "0 problems")
}
