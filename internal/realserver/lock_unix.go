//go:build unix

package realserver

import (
	"os"
	"syscall"
)

// lockFile waits for the exclusive lock on the file; the system gives it up with the process that holds it.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
