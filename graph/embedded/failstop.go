package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failure remembers the first storage error of a store and stops it for good. After a failed write or sync
// nobody knows what the disk holds, and Pebble, which cannot unwind one, would panic or end the process. So
// the error is treated as a crash: nothing more reaches the directory, Pebble's goroutines stop where they
// are, and the next Open recovers.
type failure struct {
	once  sync.Once
	cause error
	done  chan struct{}
}

func newFailure() *failure { return &failure{done: make(chan struct{})} }

// set records the error, if it is the first.
func (f *failure) set(err error) {
	f.once.Do(func() {
		f.cause = err // damage says itself what helps
		if !errors.Is(err, ErrDamaged) {
			f.cause = fmt.Errorf("storage failed, make room or mend the disk and open the store again: %w", err)
		}
		close(f.done)
	})
}

// err is the recorded error, nil while all is well.
func (f *failure) err() error {
	select {
	case <-f.done:
		return f.cause
	default:
		return nil
	}
}

// enter stops the caller for ever if the store has failed.
func (f *failure) enter() {
	if f.err() != nil {
		select {}
	}
}

// leave looks at what a write gave; a caller with an error does not return.
func (f *failure) leave(err error) error {
	if err != nil {
		f.set(err)
		f.enter()
	}
	return err
}

// failStopFS passes everything on and stops the store at the first write that fails. Reads and removals may
// fail: Pebble copes. The directory's lock is held outside, so Lock does nothing.
type failStopFS struct {
	vfs.FS
	failure *failure
}

type noLock struct{}

func (noLock) Close() error { return nil }

func (fs failStopFS) Lock(string) (io.Closer, error) { return noLock{}, nil }

func (fs failStopFS) Unwrap() vfs.FS { return fs.FS }

func (fs failStopFS) file(f vfs.File, err error) (vfs.File, error) {
	if fs.failure.leave(err) != nil {
		return nil, err
	}
	return failStopFile{f, fs.failure}, nil
}

func (fs failStopFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	fs.failure.enter()
	return fs.file(fs.FS.Create(name, c))
}

func (fs failStopFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	fs.failure.enter()
	return fs.file(fs.FS.OpenReadWrite(name, c, o...))
}

func (fs failStopFS) OpenDir(name string) (vfs.File, error) {
	fs.failure.enter()
	return fs.file(fs.FS.OpenDir(name))
}

func (fs failStopFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	fs.failure.enter()
	return fs.file(fs.FS.ReuseForWrite(from, to, c))
}

func (fs failStopFS) Link(from, to string) error {
	fs.failure.enter()
	return fs.failure.leave(fs.FS.Link(from, to))
}

func (fs failStopFS) Rename(from, to string) error {
	fs.failure.enter()
	return fs.failure.leave(fs.FS.Rename(from, to))
}

func (fs failStopFS) MkdirAll(dir string, perm os.FileMode) error {
	fs.failure.enter()
	return fs.failure.leave(fs.FS.MkdirAll(dir, perm))
}

func (fs failStopFS) Remove(name string) error {
	fs.failure.enter()
	return fs.FS.Remove(name)
}

func (fs failStopFS) RemoveAll(name string) error {
	fs.failure.enter()
	return fs.FS.RemoveAll(name)
}

// openingFS knows the files that an opening made and that nothing names yet: tables, and the manifest that will list
// them, until a marker names that. Pebble removes what a failed opening left in the next one that does not fail, so
// that each one that a full disk stops would take more of it.
type openingFS struct {
	vfs.FS
	mu    sync.Mutex
	made  []string
	named bool
	// over is set when the opening has failed, open when it has not.
	over bool
	open atomic.Bool
}

// Create makes a file. Once the store is open, none waits for another.
func (fs *openingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.open.Load() {
		return fs.FS.Create(name, c)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.over {
		return nil, errOver
	}
	f, err := fs.FS.Create(name, c)
	base := fs.PathBase(name)
	j, journal := journalOf(base)
	switch {
	case strings.HasPrefix(base, "marker."):
		fs.named = fs.named || err == nil
	case fs.named:
	case journal && j.manifest, strings.HasSuffix(base, ".sst"), strings.HasSuffix(base, ".blob"):
		fs.made = append(fs.made, name)
	}
	return f, err
}

var errOver = errors.New("the store could not be opened")

// failed ends an opening that failed; the store has stopped, so that only what was begun before can still come. What
// cannot be removed goes in the next opening that does not fail.
func (fs *openingFS) failed() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.over = true; fs.named {
		return
	}
	for _, name := range fs.made {
		_ = fs.FS.Remove(name)
	}
}

type failStopFile struct {
	vfs.File
	failure *failure
}

func (f failStopFile) Write(b []byte) (int, error) {
	f.failure.enter()
	n, err := f.File.Write(b)
	return n, f.failure.leave(err)
}

func (f failStopFile) WriteAt(b []byte, at int64) (int, error) {
	f.failure.enter()
	n, err := f.File.WriteAt(b, at)
	return n, f.failure.leave(err)
}

func (f failStopFile) Sync() error {
	f.failure.enter()
	return f.failure.leave(f.File.Sync())
}

func (f failStopFile) SyncData() error {
	f.failure.enter()
	return f.failure.leave(f.File.SyncData())
}

func (f failStopFile) SyncTo(n int64) (bool, error) {
	f.failure.enter()
	full, err := f.File.SyncTo(n)
	return full, f.failure.leave(err)
}

// Preallocate may fail, as it does on file systems that cannot: Pebble goes on without.
func (f failStopFile) Preallocate(at, n int64) error {
	f.failure.enter()
	return f.File.Preallocate(at, n)
}

// pebbleLog hands Pebble's words on. Pebble calls Fatalf where it cannot go on and does not expect it to
// return; it may, because the store has failed by then and nothing it does any more reaches the directory.
type pebbleLog struct {
	failure *failure
	log     func(format string, args ...any)
}

func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) { l.log(format, args...) }

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.log(format, args...)
	l.failure.set(fmt.Errorf(format, args...))
}
