package embedded

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged: files of the store are missing or not what they were. The text names them and says what to do.
var ErrDamaged = errors.New("the store is damaged")

// whatHelps is told with ErrDamaged, whatIsLeft where the store can be opened to be salvaged.
const (
	whatHelps  = "keep the directory as it is and restore the last backup into a new one ('clew restore')"
	whatIsLeft = "'clew check' says what can still be read"
)

// lostFile is the error for a file without which the others can be read.
func lostFile(file, text string) error {
	return fmt.Errorf("%w: %s: %s: %s; %s", ErrDamaged, file, text, whatHelps, whatIsLeft)
}

// lostStore is the error for a file without which nothing can be read.
func lostStore(file, text string) error {
	return fmt.Errorf("%w: %s: %s: %s", ErrDamaged, file, text, whatHelps)
}

// ofTheSystem reports whether an error, or one that is joined to it, is about the disk or about what the system grants,
// and says nothing of what a file holds.
func ofTheSystem(err error) bool {
	switch e := err.(type) {
	case syscall.Errno:
		return !isNoFile(e)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), ofTheSystem)
	case interface{ Unwrap() error }:
		return ofTheSystem(e.Unwrap())
	}
	return err == iofs.ErrPermission
}

// isNoFile knows the errors for what is not there, or is something else than a file.
func isNoFile(err error) bool {
	return errors.Is(err, iofs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isDamage reports whether an error of the engine's means damage.
func isDamage(err error) bool {
	return !ofTheSystem(err) && (pebble.IsCorruptionError(err) || isNoFile(err))
}

// lostTables are tables that are missing or not as long as the engine's list of them says.
type lostTables []Problem

// Error names the first.
func (l lostTables) Error() string {
	text := l[0].Text
	if len(l) > 1 {
		text += fmt.Sprintf(" (the first of %d such tables)", len(l))
	}
	return lostFile(l[0].File, text).Error()
}

// Unwrap says what they mean.
func (lostTables) Unwrap() error { return ErrDamaged }

var (
	tableError = regexp.MustCompile(`^L\d+: (\d{6,18}): `)
	tableSize  = regexp.MustCompile(`object size mismatch \(.*\): (\d+) \(disk\) != (\d+) \(MANIFEST\)$`)
)

// lostTablesOf reads what the engine says when it compares the tables in the directory of that name with its list: a
// text for each, without a type. It gives none where one of them says something else.
func lostTablesOf(name string, err error) (lost lostTables) {
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		return nil
	}
	for _, err := range all.Unwrap() {
		table := tableError.FindStringSubmatch(err.Error())
		if table == nil || ofTheSystem(err) {
			return nil
		}
		p := Problem{File: name + "/" + table[1] + ".sst", Text: "the file is not there, and is listed as a table"}
		if size := tableSize.FindStringSubmatch(err.Error()); size != nil {
			p.Text = fmt.Sprintf("size mismatch: it has %s bytes, and is listed with %s", size[1], size[2])
		} else if !isNoFile(err) {
			return nil
		}
		lost = append(lost, p)
	}
	return lost
}

// optionsDamage says what is wrong with the text of a file of the engine's options, empty for nothing.
func optionsDamage(dir, text string) string {
	o := &pebble.Options{}
	o.EnsureDefaults()
	if err := o.CheckCompatibility(dir, text); err != nil {
		return "it is not what it was: " + strings.Join(strings.Fields(err.Error()), " ")
	}
	return ""
}
