package embedded

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// Temporary directories beside the engine's files. They go when the store is opened.
const (
	// backupPrefix and a number: the files of a backup in the making.
	backupPrefix = "backup.tmp-"
	// restoringName: the files of a restore in the making.
	restoringName = "restoring"
)

// clearLeftovers removes what backups and a restore left that a crash cut short.
func clearLeftovers(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	for _, n := range names {
		if err == nil && (n == restoringName || strings.HasPrefix(n, backupPrefix)) {
			err = fs.RemoveAll(fs.PathJoin(dir, n))
		}
	}
	return err
}

// Exists reports whether dir holds a store, of whatever format, or one that lost the file that says which; fs nil
// means the operating system's.
func Exists(fs vfs.FS, dir string) (bool, error) {
	if fs == nil {
		fs = vfs.Default
	}
	_, err := fs.Stat(fs.PathJoin(dir, formatName))
	if !errors.Is(err, iofs.ErrNotExist) {
		return err == nil, err
	}
	names, err := fs.List(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	return isStore(names), err
}

// An archive is a tar of plain files: the head, the engine's files in the head's order, the end. The end has the
// checksums, so that whoever reads an archive to its end knows that it is whole.
const (
	headName = "clew-backup.json"
	endName  = "checksums.json"

	backupKind    = "clew embedded graph store, backup"
	backupVersion = 1

	// maxHead bounds head and end, in bytes; maxBackupFile each file: a tar of the oldest sort has no more.
	maxHead       = 64 << 20
	maxBackupFile = 8<<30 - 1
)

// backupHead says what follows.
type backupHead struct {
	Kind string `json:"kind"`
	// Version of the archive, Format of the directory that the files make.
	Version int          `json:"version"`
	Format  int          `json:"storeFormat"`
	Created time.Time    `json:"created"`
	Files   []backupFile `json:"files"`
}

type backupFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// backupEnd has the SHA-256 of the head and of the files in the head's order, in hexadecimal.
type backupEnd struct {
	Head  string   `json:"head"`
	Files []string `json:"files"`
}

// engineFile are the names that Pebble gives: tables, values kept apart, logs, manifests, options and the markers
// that name the present ones.
var engineFile = regexp.MustCompile(`^(\d{6,20}\.(sst|blob|log)|(MANIFEST|OPTIONS)-\d{6,20}|marker\.[a-z-]{1,40}\.\d{6,20}\.[A-Za-z0-9-]{1,60})$`)

// known reports whether a backup may have a file of this name.
func (f backupFile) known() bool {
	name, ok := strings.CutPrefix(f.Name, pebbleName+"/")
	return ok && engineFile.MatchString(name)
}

// Backup writes an archive of the whole store as of one instant, all tenants, for Restore. Everything acknowledged
// before the call is in it, and of what is committed meanwhile a first part in the order of the commits. Reads and
// writes go on. The files are held by hard links in a directory of the store's until all is written; a write of the
// backup's that fails (no room) ends the backup and not the store. Close ends it with graph.ErrClosed.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	fs := s.options.FS
	dir := fs.PathJoin(s.dir, fmt.Sprint(backupPrefix, s.backups.Add(1)))
	defer func() { err = errors.Join(err, fs.RemoveAll(dir)) }()
	files := fs.PathJoin(dir, pebbleName)
	if err := s.apart(func() error { return s.checkpoint(files) }); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	b := backupWriter{ctx: ctx, store: s, dir: files, tar: tar.NewWriter(w)}
	if err := b.write(s.options.Clock()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// checkpoint copies the engine's files, as of one instant, into a directory that is not there. Until the engine has
// flushed once, it may have no manifest open (where it found no log when it was opened), and then its checkpoint has
// an empty one, which cannot be opened.
func (s *Store) checkpoint(to string) error {
	fs, durable := s.options.FS, s.acknowledged.Load()
	for range 2 {
		if err := s.db.Checkpoint(to); err != nil {
			return err
		}
		if err := cutLog(fs, to, durable); err != nil {
			return err
		}
		names, err := fs.List(to)
		for _, n := range names {
			if info, failed := fs.Stat(fs.PathJoin(to, n)); strings.HasPrefix(n, "MANIFEST-") && failed == nil && info.Size() > 0 {
				return err
			}
		}
		if err = errors.Join(err, fs.RemoveAll(to), s.db.Flush()); err != nil {
			return err
		}
	}
	return errors.New("the storage engine gives no manifest")
}

type backupWriter struct {
	ctx   context.Context
	store *Store
	dir   string
	tar   *tar.Writer
	at    time.Time
}

// write writes head, files and end.
func (b *backupWriter) write(now time.Time) error {
	b.at = now.UTC().Truncate(time.Second)
	files, err := b.files()
	if err != nil {
		return err
	}
	head, err := json.Marshal(backupHead{backupKind, backupVersion, formatVersion, b.at, files})
	if err != nil {
		return err
	}
	if err := b.entry(headName, int64(len(head)), bytes.NewReader(head)); err != nil {
		return err
	}
	end := backupEnd{Head: sumOf(head)}
	for _, f := range files {
		sum, err := b.file(f)
		if err != nil {
			return err
		}
		end.Files = append(end.Files, sum)
	}
	text, err := json.Marshal(end)
	if err != nil {
		return err
	}
	if err := b.entry(endName, int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	return b.tar.Close()
}

// files lists the checkpoint.
func (b *backupWriter) files() ([]backupFile, error) {
	fs := b.store.options.FS
	names, err := fs.List(b.dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	out := []backupFile{}
	for _, n := range names {
		info, err := fs.Stat(fs.PathJoin(b.dir, n))
		if err != nil {
			return nil, err
		}
		f := backupFile{pebbleName + "/" + n, info.Size()}
		if !f.known() || f.Size > maxBackupFile { // Restore would not take it
			return nil, fmt.Errorf("file %s of %d bytes cannot be backed up", n, f.Size)
		}
		out = append(out, f)
	}
	return out, nil
}

// file writes one file and gives its checksum.
func (b *backupWriter) file(f backupFile) (sum string, err error) {
	fs := b.store.options.FS
	in, err := fs.Open(fs.PathJoin(b.dir, strings.TrimPrefix(f.Name, pebbleName+"/")), vfs.SequentialReadsOption)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	h := sha256.New()
	err = b.entry(f.Name, f.Size, io.TeeReader(in, h))
	return hex.EncodeToString(h.Sum(nil)), err
}

func (b *backupWriter) entry(name string, size int64, content io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.at, Format: tar.FormatUSTAR}
	if err := b.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(b.tar, patient{b.ctx, b.store, content})
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes, not %d", name, n, size)
	}
	return err
}

// patient reads until the caller has enough or the store closes.
type patient struct {
	ctx   context.Context
	store *Store
	io.Reader
}

// Read reads, unless that has become useless.
func (p patient) Read(b []byte) (int, error) {
	select {
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	case <-p.store.closing:
		return 0, graph.ErrClosed
	default:
		return p.Reader.Read(b)
	}
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// sparing lets Pebble write a backup's files without the store depending on it.
func (s *Store) sparing(fs failStopFS) vfs.FS {
	return sparingFS{fs, fs.PathJoin(s.dir, backupPrefix)}
}

// sparingFS stops the store at the first write that fails, unless the file's path begins with what is spared.
type sparingFS struct {
	failStopFS
	spared string
}

func (fs sparingFS) at(name string) vfs.FS {
	if strings.HasPrefix(name, fs.spared) {
		return fs.FS
	}
	return fs.failStopFS
}

func (fs sparingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.at(name).Create(name, c)
}

func (fs sparingFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return fs.at(name).OpenReadWrite(name, c, o...)
}

func (fs sparingFS) OpenDir(name string) (vfs.File, error) { return fs.at(name).OpenDir(name) }

func (fs sparingFS) Link(from, to string) error { return fs.at(to).Link(from, to) }

func (fs sparingFS) Rename(from, to string) error { return fs.at(to).Rename(from, to) }

func (fs sparingFS) MkdirAll(dir string, perm iofs.FileMode) error {
	return fs.at(dir).MkdirAll(dir, perm)
}

func (fs sparingFS) Remove(name string) error { return fs.at(name).Remove(name) }

func (fs sparingFS) RemoveAll(name string) error { return fs.at(name).RemoveAll(name) }
