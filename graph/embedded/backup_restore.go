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
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// Restore makes a store in dir, which must be empty or not there, of an archive that Backup wrote; fs nil means the
// operating system's. The directory can be opened only when all of the archive is there, its checksums were right
// and everything is synced; before that Open refuses it, and Restore may be tried again. It does not replace dir,
// so that dir may be a mounted volume.
//
// Errors: graph.ErrConflict where dir holds something; graph.ErrInUse; graph.ErrVersion where the archive or what
// is in it is of a newer format; graph.ErrInvalid where the archive is damaged, cut short or none of Backup's; the
// storage's and the reader's own.
func Restore(ctx context.Context, fs vfs.FS, archive io.Reader, dir string) error {
	if fs == nil {
		fs = vfs.Default
	}
	dir, err := plainPath(fs, dir)
	if err != nil {
		return err
	}
	r := restore{ctx, fs, dir, fs.PathJoin(dir, restoringName)}
	if err := r.run(archive); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

type restore struct {
	ctx          context.Context
	fs           vfs.FS
	dir, staging string
}

func (r restore) run(archive io.Reader) error {
	if err := errors.Join(r.fs.MkdirAll(r.dir, 0o700), r.refuseContent()); err != nil {
		return err
	}
	lock, err := lockDirectory(r.fs, r.dir)
	if err != nil {
		return err
	}
	if err = r.refuseContent(); err == nil { // again: somebody may have been faster
		if err = r.into(archive); err != nil {
			err = errors.Join(err, r.clear())
		}
	}
	return errors.Join(err, lock.Close())
}

// refuseContent takes an empty directory, or one with what a restore left.
func (r restore) refuseContent() error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return err
	}
	allowed := []string{lockName, formatNewName, "lost+found"}
	if slices.Contains(names, restoringName) && !slices.Contains(names, formatName) {
		allowed = append(allowed, restoringName, pebbleName, createdName)
	}
	for _, n := range names {
		if !slices.Contains(allowed, n) {
			return fmt.Errorf("%w: directory %s is not empty (%s): restore into an empty or new one", graph.ErrConflict, r.dir, n)
		}
	}
	return nil
}

// clear takes away what a restore that failed has made: first what makes it a store, last the mark of a restore.
func (r restore) clear() error {
	for _, n := range []string{formatName, pebbleName, createdName} {
		if err := r.fs.RemoveAll(r.fs.PathJoin(r.dir, n)); err != nil {
			return err
		}
	}
	return errors.Join(syncDirectory(r.fs, r.dir), r.fs.RemoveAll(r.staging), syncDirectory(r.fs, r.dir))
}

// into brings the archive into the directory. Until the format file is there it cannot be opened.
func (r restore) into(archive io.Reader) error {
	files := r.fs.PathJoin(r.staging, pebbleName)
	for _, step := range []func() error{
		r.clear,
		func() error { return r.fs.MkdirAll(r.staging, 0o700) },
		func() error { return syncDirectory(r.fs, r.dir) },
		func() error { return r.fs.MkdirAll(files, 0o700) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	head, err := r.unpack(archive, files)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return errors.Join(syncDirectory(r.fs, files), syncDirectory(r.fs, r.staging)) },
		func() error { return r.fs.Rename(files, r.fs.PathJoin(r.dir, pebbleName)) },
		func() error { return errors.Join(syncDirectory(r.fs, r.dir), syncDirectory(r.fs, r.staging)) },
		func() error { return markCreated(r.fs, r.dir) },
		func() error { return writeFormat(r.fs, r.dir, head.Format) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	_ = r.fs.RemoveAll(r.staging) // the store is there; Open clears what is left
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{graph.ErrInvalid}, args...)...)
}

// unpack writes the archive's files, and fails where anything in it is not as it must be.
func (r restore) unpack(archive io.Reader, to string) (backupHead, error) {
	in := tar.NewReader(archive)
	var head backupHead
	headSum, err := readPart(in, headName, &head)
	if err != nil {
		return head, err
	}
	if err := head.check(); err != nil {
		return head, err
	}
	var sums []string
	for _, f := range head.Files {
		sum, err := r.unpackFile(in, f, to)
		if err != nil {
			return head, err
		}
		sums = append(sums, sum)
	}
	var end backupEnd
	if _, err := readPart(in, endName, &end); err != nil {
		return head, err
	}
	if end.Head != headSum || len(end.Files) != len(sums) {
		return head, invalid("the archive's end does not fit its head")
	}
	for i, f := range head.Files {
		if sums[i] != end.Files[i] {
			return head, invalid("%s is damaged: its checksum is %s, was %s", f.Name, sums[i], end.Files[i])
		}
	}
	if _, err := in.Next(); err != io.EOF {
		return head, invalid("something follows the archive's end (%v)", err)
	}
	return head, onlyPadding(archive)
}

// onlyPadding reads what is behind the archive's end: programs fill up to a block of their own.
func onlyPadding(archive io.Reader) error {
	const most = 1 << 20
	rest, err := io.ReadAll(io.LimitReader(archive, most+1))
	if err != nil {
		return err
	}
	if len(rest) > most || len(bytes.Trim(rest, "\x00")) > 0 {
		return invalid("something follows the archive's end")
	}
	return nil
}

// check refuses what this program cannot have written, or cannot open.
func (h backupHead) check() error {
	if h.Kind != backupKind {
		return invalid("this is no backup of a store")
	}
	if h.Version != backupVersion || h.Format < oldestFormat || h.Format > formatVersion {
		return fmt.Errorf("%w: the backup has version %d and format %d, this program reads version %d and formats %d to %d: use a newer program",
			graph.ErrVersion, h.Version, h.Format, backupVersion, oldestFormat, formatVersion)
	}
	seen, manifest := map[string]bool{}, false
	for _, f := range h.Files {
		manifest = manifest || strings.HasPrefix(f.Name, pebbleName+"/marker.manifest.")
		if !f.known() || seen[f.Name] {
			return invalid("the archive has an unknown file %q", f.Name)
		}
		if f.Size < 0 || f.Size > maxBackupFile {
			return invalid("file %s of %d bytes is too large", f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	if !manifest { // opened, it would be an empty store
		return invalid("the archive has no manifest")
	}
	return nil
}

// nextEntry wants a plain file of this name.
func nextEntry(in *tar.Reader, name string) (*tar.Header, error) {
	h, err := in.Next()
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, invalid("the archive is cut short before %s", name)
	case errors.Is(err, tar.ErrHeader):
		return nil, invalid("the archive is damaged before %s, or no archive", name)
	case err != nil:
		return nil, err
	case h.Name != name:
		return nil, invalid("the archive has %q where %s was to come", h.Name, name)
	case h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0: // records could make a huge file of nothing
		return nil, invalid("%s is not a plain file in the archive", name)
	}
	return h, nil
}

// readPart reads head or end and gives the checksum.
func readPart(in *tar.Reader, name string, into any) (sum string, err error) {
	h, err := nextEntry(in, name)
	if err != nil {
		return "", err
	}
	if h.Size > maxHead {
		return "", invalid("%s of %d bytes is too large", name, h.Size)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return "", cutShort(err, name)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return "", invalid("%s cannot be read: %v", name, err)
	}
	return sumOf(text), nil
}

func cutShort(err error, name string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the archive is cut short in %s", name)
	}
	return err
}

// unpackFile writes one file, synced, and gives its checksum.
func (r restore) unpackFile(in *tar.Reader, f backupFile, to string) (sum string, err error) {
	h, err := nextEntry(in, f.Name)
	if err != nil {
		return "", err
	}
	if h.Size != f.Size {
		return "", invalid("%s has %d bytes, the archive's head says %d", f.Name, h.Size, f.Size)
	}
	out, err := r.fs.Create(r.fs.PathJoin(to, f.Name[len(pebbleName)+1:]), vfs.WriteCategoryUnspecified)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(hash, out), reader{r.ctx, in}); err != nil {
		return "", cutShort(err, f.Name)
	}
	return hex.EncodeToString(hash.Sum(nil)), out.Sync()
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

// Read reads, unless the context has ended.
func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
