//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embedded

import (
	"io"
	"os"
	"syscall"
)

// isLocked reports whether another process holds the lock of a file that cannot be written, as far as it can be read.
func isLocked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	return syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock) == nil && lock.Type != syscall.F_UNLCK
}
