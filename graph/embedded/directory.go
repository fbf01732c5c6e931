package embedded

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// formatVersion of the directory. It is raised when an older program could not read what a newer one wrote.
const formatVersion = 2

// What a directory holds. The format file is written before anything else, by rename; the created file when
// everything is there, so that a creation that a crash cut short can be told and begun anew.
const (
	formatName    = "FORMAT"
	createdName   = "CREATED"
	formatNewName = "FORMAT.new"
	lockName      = "LOCK"
	pebbleName    = "pebble"
	formatHead    = "clew embedded graph store, format "
)

// prepare makes or checks the directory, locks it and upgrades an older one, which notice then tells. The lock
// must be closed.
func prepare(o Options, dir string) (lock io.Closer, notice string, err error) {
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	if err := refuseForeign(o.FS, dir); err != nil {
		return nil, "", err
	}
	if lock, err = lockDirectory(o.FS, dir); err != nil {
		return nil, "", err
	}
	format, err := checkFormat(o.FS, dir)
	for _, step := range []func() error{
		func() error { return clearUnfinished(o.FS, dir) },
		func() error { return clearLeftovers(o.FS, dir) },
		func() error { notice, err = bringUp(o, dir, format); return err },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, lock.Close())
	}
	return lock, notice, nil
}

// clearUnfinished removes what a creation left that never ended: nothing can have been acknowledged.
func clearUnfinished(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(fs.PathJoin(dir, createdName)); !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return fs.RemoveAll(fs.PathJoin(dir, pebbleName))
}

// markCreated says that the directory is whole.
func markCreated(fs vfs.FS, dir string) error {
	name := fs.PathJoin(dir, createdName)
	if _, err := fs.Stat(name); !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDirectory(fs, dir))
}

// refuseForeign looks without touching anything.
func refuseForeign(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	other := ""
	for _, n := range names {
		switch n {
		case formatName:
			return nil
		case lockName, formatNewName, "lost+found":
		default:
			other = n
		}
	}
	if slices.Contains(names, restoringName) {
		return fmt.Errorf("%w: a restore into directory %s was cut short: restore again, or empty it", graph.ErrConflict, dir)
	}
	if other != "" {
		return fmt.Errorf("%w: directory %s is not empty (%s) and is no store of this program: name an empty or new one", graph.ErrVersion, dir, other)
	}
	return nil
}

func lockDirectory(fs vfs.FS, dir string) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, lockName))
	var path *iofs.PathError
	if err != nil && !errors.As(err, &path) { // the lock's file could be opened, so it is held
		return nil, fmt.Errorf("%w: directory %s is open in this or another process: %w", graph.ErrInUse, dir, err)
	}
	return lock, err
}

// checkFormat gives the directory's format, one that this program reads, and makes a new directory one of its own.
func checkFormat(fs vfs.FS, dir string) (int, error) {
	n, err := readFormat(fs, dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return formatVersion, writeFormat(fs, dir, formatVersion)
	}
	if err == nil && (n < oldestFormat || n > formatVersion) {
		err = fmt.Errorf("%w: directory %s has format %d, this program reads %d: use the program that wrote it, or a newer one", graph.ErrVersion, dir, n, formatVersion)
	}
	return n, err
}

func readFormat(fs vfs.FS, dir string) (int, error) {
	f, err := fs.Open(fs.PathJoin(dir, formatName))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return 0, err
	}
	version, found := strings.CutPrefix(strings.TrimSpace(string(text)), formatHead)
	n, err := strconv.Atoi(version)
	if !found || err != nil {
		return 0, fmt.Errorf("%w: %s is not a format file of this program", graph.ErrVersion, fs.PathJoin(dir, formatName))
	}
	return n, nil
}

func writeFormat(fs vfs.FS, dir string, version int) error {
	f, err := fs.Create(fs.PathJoin(dir, formatNewName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s%d\n", formatHead, version)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(fs.PathJoin(dir, formatNewName), fs.PathJoin(dir, formatName)); err != nil {
		return err
	}
	return errors.Join(syncDirectory(fs, dir), syncDirectory(fs, fs.PathDir(dir)))
}

func syncDirectory(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// plainPath makes one directory one name, so that a second store in this process sees the first one's lock.
func plainPath(fs vfs.FS, dir string) (string, error) {
	if fs != vfs.Default {
		return dir, nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}
