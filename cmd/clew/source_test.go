package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A command that waited for a pipe was ended by kill -9 only.
func TestAnInterruptEndsWhatWaitsForAPipe(t *testing.T) {
	for _, args := range [][]string{{"import", "pipe"}, {"restore", "pipe"}, {"ingest", "pipe"}} {
		dir := t.TempDir()
		pipe := filepath.Join(dir, "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skipf("no pipes here: %v", err)
		}
		c := exec.Command(binary, append(args, "--data", "store")...)
		c.Dir = dir
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until it is opened for reading
		if err == nil {
			err = c.Process.Signal(os.Interrupt)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("%s: exit code %d", args, code)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}
