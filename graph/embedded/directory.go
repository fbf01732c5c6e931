package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

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

// prepared is a directory that was made or checked.
type prepared struct {
	lock io.Closer
	// notice tells, for the user, of an upgrade.
	notice string
	// name is that of the engine's files, which are begun anew or must be there.
	name  string
	begun bool
	found []Problem
}

// prepare makes or checks the directory, locks it and upgrades an older one. The lock must be closed. To be salvaged,
// a directory of this format stays as it is, and may be one that cannot be written.
func prepare(o Options, dir string) (p prepared, err error) {
	if !o.Salvage { // else there is a store
		if err := o.FS.MkdirAll(dir, 0o700); err != nil {
			return p, err
		}
		if err := refuseForeign(o.FS, dir); err != nil {
			return p, err
		}
	}
	var unlocked error
	if p.lock, err = lockDirectory(o.FS, dir); o.Salvage && isReadOnly(err) {
		p.lock, unlocked, err = noLock{}, err, lockedElsewhere(o.FS, dir)
	}
	if err != nil {
		return p, err
	}
	p.name = pebbleName
	format, err := checkFormat(o.FS, dir)
	if o.Salvage && errors.Is(err, ErrDamaged) {
		format, err = formatVersion, unfinished(o.FS, dir)
		p.found = []Problem{{File: formatName, Text: fmt.Sprintf("it does not say the store's format, which is taken for %d", formatVersion)}}
	}
	switch {
	case err != nil:
	case o.Salvage && format == formatVersion:
		err = p.salvage(o.FS, dir)
	case unlocked != nil:
		err = unlocked
	default:
		err = p.mend(o, dir, format)
	}
	if err != nil {
		return p, errors.Join(err, p.lock.Close())
	}
	return p, nil
}

// mend ends or takes back what a crash cut short.
func (p *prepared) mend(o Options, dir string, format int) error {
	created, err := wasCreated(o.FS, dir)
	if err != nil {
		return err
	}
	if p.begun = !created; p.begun {
		if err := clearUnfinished(o.FS, dir); err != nil {
			return err
		}
	}
	if err := clearLeftovers(o.FS, dir); err != nil {
		return err
	}
	p.notice, err = bringUp(o, dir, format, created)
	return err
}

// salvage looks where mend would do something.
func (p *prepared) salvage(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(fs.PathJoin(dir, upgradedName)); err == nil {
		p.name = upgradedName
	} else if ofTheSystem(err) {
		return err
	}
	created, err := wasCreated(fs, dir)
	if err != nil || created {
		return err
	}
	held, err := holds(fs, fs.PathJoin(dir, p.name))
	if err == nil && held == "" {
		return fmt.Errorf("%w: the store in %s was being made when that was cut short, and holds nothing yet", graph.ErrNotFound, dir)
	}
	p.found = append(p.found, Problem{File: createdName, Text: "the file is not there, and " + p.name + "/" + held + " is: " + whenRemoved})
	return err
}

// whenRemoved is told where the created file is missing.
const whenRemoved = "if nothing else is wrong, make an empty file of that name"

func wasCreated(fs vfs.FS, dir string) (bool, error) {
	_, err := fs.Stat(fs.PathJoin(dir, createdName))
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// clearUnfinished removes what a creation left that never ended. Where there is more than that, it was no creation.
func clearUnfinished(fs vfs.FS, dir string) error {
	held, err := holds(fs, fs.PathJoin(dir, pebbleName))
	if err != nil {
		return err
	}
	if held != "" {
		return lostFile(createdName, "the file is not there, and "+pebbleName+"/"+held+" is, which a store has that was in use: "+whenRemoved+", else")
	}
	return fs.RemoveAll(fs.PathJoin(dir, pebbleName))
}

// holds names one of the engine's files that can have something that was acknowledged, empty where none does. While
// a store is made, there are no tables, and nothing in its log but the mark of its end.
func holds(fs vfs.FS, dir string) (string, error) {
	names, err := fs.List(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return "", nil
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".blob") {
			return n, nil
		}
		if j, ok := journalOf(n); ok && !j.manifest && err == nil {
			written := false
			if written, err = hasContent(fs, fs.PathJoin(dir, n), j); written {
				return n, err
			}
		}
	}
	return "", err
}

func hasContent(fs vfs.FS, name string, j journal) (bool, error) {
	f, err := fs.Open(name)
	if err != nil {
		return false, err
	}
	text, err := io.ReadAll(f)
	text = bytes.TrimPrefix(text, j.trailer())
	return !zeros(text), errors.Join(err, f.Close())
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
	if isStore(names) {
		return nil // its format is looked at under the lock
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

// isStore knows a store by what is beside its format file, without that. A directory that a restore is making is none.
func isStore(names []string) bool {
	has := func(name string) bool { return slices.Contains(names, name) }
	return (has(pebbleName) || has(upgradedName)) && (has(createdName) || has(lockName)) && !has(restoringName)
}

func lockDirectory(fs vfs.FS, dir string) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, lockName))
	var path *iofs.PathError
	if err != nil && !errors.As(err, &path) { // the lock's file could be opened, so it is held
		return nil, inUse(dir, err)
	}
	return lock, err
}

func inUse(dir string, err error) error {
	return fmt.Errorf("%w: directory %s is open in this or another process: %w", graph.ErrInUse, dir, err)
}

// lockedElsewhere is an error where a directory that cannot be locked here, as it cannot be written, is in use. Files
// that change while they are read look damaged.
func lockedElsewhere(fs vfs.FS, dir string) error {
	if name := fs.PathJoin(dir, lockName); vfs.Root(fs) == vfs.Default && isLocked(name) {
		return inUse(dir, errors.New(name+" is locked"))
	}
	return nil
}

// isReadOnly knows the errors of what cannot be written.
func isReadOnly(err error) bool {
	return errors.Is(err, iofs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// checkFormat gives the directory's format, one that this program reads, and makes a new directory one of its own.
func checkFormat(fs vfs.FS, dir string) (int, error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, err
	}
	n, err := readFormat(fs, dir)
	switch missing := errors.Is(err, iofs.ErrNotExist); {
	case missing && isStore(names):
		return 0, lostFile(formatName, "the file is not there, and the engine's are")
	case missing:
		return formatVersion, writeFormat(fs, dir, formatVersion)
	case errors.Is(err, errNoFormat) && isStore(names):
		return 0, lostFile(formatName, err.Error())
	case errors.Is(err, errNoFormat):
		return 0, fmt.Errorf("%w: %s: %w, and there is no store beside it: name an empty or new directory", graph.ErrVersion, fs.PathJoin(dir, formatName), err)
	case err == nil && n > formatVersion:
		return n, fmt.Errorf("%w: directory %s has format %d, this program reads %d: use the program that wrote it, or a newer one", graph.ErrVersion, dir, n, formatVersion)
	}
	return n, err
}

var errNoFormat = errors.New("it is not a format file of this program")

func readFormat(fs vfs.FS, dir string) (int, error) {
	f, err := fs.Open(fs.PathJoin(dir, formatName))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if errors.Is(err, syscall.EISDIR) {
		return 0, errNoFormat
	}
	if err != nil {
		return 0, err
	}
	version := strings.TrimPrefix(strings.TrimSuffix(string(text), "\n"), formatHead)
	n, err := strconv.Atoi(version)
	if err != nil || n < oldestFormat || string(text) != formatText(n) {
		return 0, errNoFormat
	}
	return n, nil
}

func formatText(version int) string { return fmt.Sprintf("%s%d\n", formatHead, version) }

func writeFormat(fs vfs.FS, dir string, version int) error {
	if err := writeSynced(fs, dir, formatNewName, formatName, formatText(version)); err != nil {
		return err
	}
	return syncDirectory(fs, fs.PathDir(dir))
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
