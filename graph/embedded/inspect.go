package embedded

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// inspector looks at the engine's logs, manifest and options when the engine reads them to open them: those, and no
// others, are needed. What it finds stops the opening, unless the store is opened to be salvaged: then it is
// remembered, and the engine is shown what comes before it.
type inspector struct {
	vfs.FS
	dir, name string
	salvage   bool
	note      note
	newest    int64
	opening   atomic.Bool
	logs      replayed
	// reading is the file of these that was opened last.
	reading string
	// found is remembered; refused is why the engine was refused a file.
	found   []Problem
	refused error
}

// because is the plain reason of an error of the engine's at opening, where one was found.
func (i *inspector) because(err error) error {
	lost := lostTablesOf(i.name, err)
	switch {
	case err == nil:
		return nil
	case i.refused != nil:
		return i.refused
	case len(lost) > 0:
		return lost
	case ofTheSystem(err):
		return err
	case len(i.found) > 0:
		return lostStore(i.found[0].File, i.found[0].Text)
	case isDamage(err):
		return lostStore(i.path(i.reading), oneLine(err))
	}
	return err
}

// look is done before the engine opens files that must be there, and reads past what stops the store: nothing has
// begun that would have to be stopped.
func (i *inspector) look(fs vfs.FS) error {
	dir := i.PathJoin(i.dir, i.name)
	names, err := fs.List(dir)
	if err != nil && !isNoFile(err) {
		return err
	}
	if len(names) == 0 {
		return lostStore(i.name, "the engine's files are not there")
	}
	there, err := pebble.Peek(dir, fs)
	switch {
	case err != nil && ofTheSystem(err):
		return err
	case err != nil:
		return lostStore(i.name, oneLine(err))
	case !there.Exists:
		return lostStore(i.name+"/marker.manifest", "the file is not there, which says where the tables are listed")
	case there.FormatMajorVersion == pebble.FormatDefault:
		return lostStore(i.name+"/marker.format-version", "the file is not there, which says how the others are read")
	}
	numbers := numbersOf(names)
	i.newest, i.note, i.logs.used = numbers.log, readNote(fs, dir), numbers.used
	if n := i.note; n.logEnd > 0 && !numbers.logs[n.log] && numbers.highest <= n.highest {
		return i.wrong(i.path(logFile(n.log)), "it was there when the store was closed, and is not any more")
	}
	return nil
}

func (i *inspector) path(file string) string { return i.name + "/" + file }

// wrong is an error, or remembered.
func (i *inspector) wrong(file, text string) error {
	if !i.salvage {
		i.refused = lostFile(file, text)
		return i.refused
	}
	i.found = append(i.found, Problem{File: file, Text: text})
	return nil
}

// Open opens a file, and looks at what the engine will read of it.
func (i *inspector) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	base := i.PathBase(name)
	j, isJournal := journalOf(base)
	if !i.opening.Load() || !isJournal && !strings.HasPrefix(base, "OPTIONS-") {
		return i.FS.Open(name, o...)
	}
	i.reading = base
	f, err := i.FS.Open(name, o...)
	if err != nil {
		return nil, err
	}
	if j.text, err = wholeOf(f); err == nil && isJournal {
		f, err = i.shown(base, j, j.ends(), f)
	} else if err == nil {
		f, err = i.shownOptions(base, string(j.text), f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// shownOptions is what the engine is shown of its options: nothing where they are damaged. It does not need them.
func (i *inspector) shownOptions(base, text string, f vfs.File) (vfs.File, error) {
	if damage := optionsDamage(i.dir, text); damage != "" {
		return &cutFile{f, 0}, i.wrong(i.path(base), damage)
	}
	return f, nil
}

// shown is what the engine is shown of a file. What follows on lost commits in later logs is not: each was made of
// what those before it had left.
func (i *inspector) shown(base string, j journal, e ends, f vfs.File) (vfs.File, error) {
	if j.manifest {
		i.logs.unflushed = int64(e.unflushed)
	}
	file, text, upTo := base, i.damage(base, j, e), e.at
	if !j.manifest {
		if lost, why := i.logs.gap(int64(j.log), e); why != "" {
			file, text, upTo = lost, why, 0
		}
		i.logs.read(int64(j.log), e, text != "")
	}
	if text == "" {
		return f, nil
	}
	if j.manifest && e.records == 0 {
		i.refused = lostStore(i.path(file), text)
		return f, i.refused
	}
	return &cutFile{f, upTo}, i.wrong(i.path(file), text)
}

// replayed is what is known of the logs that the engine has opened, which are all that it needs, in their order.
type replayed struct {
	// used are the numbers of the engine's files.
	used map[int64]bool
	// unflushed is the manifest's first log that is needed. It need not be there: when a store is opened, a number is
	// taken for its log before another one is.
	unflushed int64
	// last is the newest of those opened, next the number behind its last record or an earlier one's, 0 where none
	// has any. complete is set where the first was the manifest's.
	last     int64
	next     uint64
	complete bool
	// empty is set where one of them has no record, lost where commits are lost.
	empty, lost bool
}

// gap says which log is missing before the one of that number, and how that is known; or that the log follows on
// lost commits. All logs that are needed were written since one opening (each flushes what is before it), so that
// their numbers follow each other, and a promise of any commit before the log means that a log or a table has it.
func (r *replayed) gap(number int64, e ends) (file, text string) {
	base := logFile(number)
	complete := r.complete || number == r.unflushed
	switch {
	case e.records == 0:
		return "", ""
	case r.lost:
		return base, "it follows on commits that are lost, and is passed over"
	case r.next > 0 && e.promised <= r.next, r.next == 0 && (complete || e.promised == 0):
		return "", ""
	}
	missing := []int64{}
	for n := max(r.last+1, r.unflushed); n < number; n++ {
		if !r.used[n] {
			missing = append(missing, n)
		}
	}
	if len(missing) == 1 && !r.empty {
		return logFile(missing[0]), "it is not there, and " + base + " says that it was durable"
	}
	return base, "it says that commits before it were durable, and a log that had them is not there or empty"
}

func (r *replayed) read(number int64, e ends, damaged bool) {
	r.complete = r.complete || number == r.unflushed
	r.last, r.lost = number, r.lost || damaged
	if r.empty = r.empty || e.records == 0; e.records > 0 {
		r.next = e.next
	}
}

// Create makes a file. A marker names another one, which must be durable before it, as it must be durable before the
// former marker goes: the engine syncs the directory once for all three, and a crash in between can leave a marker of
// what is not there, or none.
func (i *inspector) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := i.syncForMarker(name); err != nil {
		return nil, err
	}
	return i.FS.Create(name, c)
}

// Remove removes a file.
func (i *inspector) Remove(name string) error {
	if err := i.syncForMarker(name); err != nil {
		return err
	}
	return i.FS.Remove(name)
}

func (i *inspector) syncForMarker(name string) error {
	if !strings.HasPrefix(i.PathBase(name), "marker.") {
		return nil
	}
	return syncDirectory(i.FS, i.PathDir(name))
}

// damage says what is wrong with a file, empty for nothing.
func (i *inspector) damage(base string, j journal, e ends) string {
	number, noted := int64(j.log), int64(0)
	switch {
	case j.manifest && base == manifestFile(i.note.manifest):
		noted = i.note.manifestEnd
	case !j.manifest && number == i.note.log:
		noted = i.note.logEnd
	}
	switch {
	case e.damage != "":
		return e.damage
	case e.at < noted:
		return fmt.Sprintf("it can be read up to byte %d; when the store was closed, up to byte %d", e.at, noted)
	case j.manifest && e.records == 0:
		return "it has nothing that can be read"
	case !j.manifest && number < i.newest && !e.closed:
		return fmt.Sprintf("it can be read up to byte %d, and has no end, as those have that another one follows", e.at)
	}
	return ""
}

// cutFile ends where what can be read does.
type cutFile struct {
	vfs.File
	left int64
}

// Read reads.
func (f *cutFile) Read(b []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n, err := f.File.Read(b[:min(int64(len(b)), f.left)])
	f.left -= int64(n)
	return n, err
}

var numbered = regexp.MustCompile(`^(MANIFEST-|OPTIONS-)?(\d{6,18})(\.[a-z]+)?$`)

// numberOf reads the name of one of the engine's files that has a number; kind is what is before and behind it.
func numberOf(name string) (number int64, kind string, ok bool) {
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return 0, "", false
	}
	number, err := strconv.ParseInt(m[2], 10, 64)
	return number, m[1] + m[3], err == nil
}

// The kinds of files that are journals.
const (
	manifestKind = "MANIFEST-"
	logKind      = ".log"
)

// journalOf knows a log and a manifest by the name.
func journalOf(base string) (j journal, ok bool) {
	number, kind, ok := numberOf(base)
	return journal{log: uint32(number), manifest: kind == manifestKind}, ok && (kind == manifestKind || kind == logKind)
}

func logFile(number int64) string      { return fmt.Sprintf("%06d.log", number) }
func manifestFile(number int64) string { return fmt.Sprintf("MANIFEST-%06d", number) }

// wholeOf reads a whole file without moving where the engine reads it.
func wholeOf(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text := make([]byte, info.Size())
	n, err := f.ReadAt(text, 0)
	if err == io.EOF {
		err = nil
	}
	return text[:n], err
}

func readJournal(fs vfs.FS, dir, base string) (journal, error) {
	j, _ := journalOf(base)
	f, err := fs.Open(fs.PathJoin(dir, base))
	if err != nil {
		return j, err
	}
	j.text, err = wholeOf(f)
	return j, errors.Join(err, f.Close())
}

// numbers are those of the engine's files: each is greater than those before.
type numbers struct {
	used, logs             map[int64]bool
	log, manifest, highest int64
}

func numbersOf(names []string) numbers {
	n := numbers{used: map[int64]bool{}, logs: map[int64]bool{}}
	for _, name := range names {
		number, kind, ok := numberOf(name)
		if !ok {
			continue
		}
		n.used[number], n.highest = true, max(n.highest, number)
		switch kind {
		case logKind:
			n.logs[number], n.log = true, max(n.log, number)
		case manifestKind:
			n.manifest = max(n.manifest, number)
		}
	}
	return n
}

// note says, beside the engine's files, how far they could be read when the store was closed. Until then nothing but
// the log has the last commits, and nothing in it shows that the last one of all was there. The engine never writes
// to a log or manifest of an earlier opening, so that a note stays true; it says nothing of later ones.
type note struct {
	log, logEnd, manifest, manifestEnd int64
	// highest is the greatest number of a file.
	highest int64
}

const (
	noteName    = "closed"
	noteNewName = "closed.new"
)

func (n note) String() string {
	text := fmt.Sprintf("%d %d %d %d %d", n.log, n.logEnd, n.manifest, n.manifestEnd, n.highest)
	return fmt.Sprintf("%s %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
}

// readNote gives no note where it cannot be read: it helps to find damage and is not needed.
func readNote(fs vfs.FS, dir string) (n note) {
	f, err := fs.Open(fs.PathJoin(dir, noteName))
	if err != nil {
		return note{}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return note{}
	}
	_, err = fmt.Sscanf(string(text), "%d %d %d %d %d", &n.log, &n.logEnd, &n.manifest, &n.manifestEnd, &n.highest)
	if err != nil || n.String() != string(text) {
		return note{}
	}
	return n
}

// noteEnds writes the note. The engine has closed its files. A note that cannot be written is only missed where there
// is damage later on; a log that lacks what was acknowledged is an error.
func (s *Store) noteEnds() error {
	fs, dir := s.options.FS, s.options.FS.PathJoin(s.dir, s.name)
	names, err := fs.List(dir)
	if err != nil {
		return nil
	}
	numbers := numbersOf(names)
	log, err1 := readJournal(fs, dir, logFile(numbers.log))
	manifest, err2 := readJournal(fs, dir, manifestFile(numbers.manifest))
	if err := errors.Join(err1, err2); err != nil {
		s.options.Log("reading files after closing: %v", err)
		return nil
	}
	end := log.ends()
	if err := end.have(s.acknowledged.Load(), s.name+"/"+logFile(numbers.log)); err != nil {
		return err
	}
	n := note{numbers.log, end.at, numbers.manifest, manifest.ends().at, numbers.highest}
	if err := writeSynced(fs, dir, noteNewName, noteName, n.String()); err != nil {
		s.options.Log("noting where the log ends: %v", err)
	}
	return nil
}

// cutLog takes away what follows the records of the log that was copied while it was written: one that was written
// while the copy was made, with a gap before it, would look like damage. durable is what was acknowledged before.
func cutLog(fs vfs.FS, dir string, durable uint64) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	number := numbersOf(names).log
	if number == 0 {
		return nil
	}
	base := logFile(number)
	j, err := readJournal(fs, dir, base)
	if err != nil {
		return err
	}
	e := j.ends()
	if err := e.have(durable, base); err != nil {
		return err
	}
	return writeSynced(fs, dir, base+".cut", base, string(j.text[:e.at]))
}

// writeSynced writes a small file under another name and gives it its own when it is durable.
func writeSynced(fs vfs.FS, dir, partial, name, text string) error {
	f, err := fs.Create(fs.PathJoin(dir, partial), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(fs.PathJoin(dir, partial), fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDirectory(fs, dir)
}
