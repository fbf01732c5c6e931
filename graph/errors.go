package graph

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound: nothing of that id is visible in the caller's view. Another tenant's id gives the same.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the input breaks a rule of the domain; the text says which.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: an Expectation of the batch did not hold; nothing was written. Read again and retry.
	ErrConflict = errors.New("conflict")
	// ErrBatchTooLarge: the batch is over MaxBatchItems or MaxBatchBytes; nothing was written. Split it
	// between alerts.
	ErrBatchTooLarge = errors.New("batch too large")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
	// ErrInUse: another process holds the store's directory.
	ErrInUse = errors.New("store in use")
	// ErrVersion: the stored format is not one this program can read; the text says what to do.
	ErrVersion = errors.New("store format version")
	// ErrImporting: an import of the tenant is under way or was cut short, so there is nothing whole to read and
	// nothing may be written. Importing it again ends that.
	ErrImporting = errors.New("the tenant is being imported")
	// ErrTooOld: the changes asked for have been trimmed; rebuild from a scan.
	ErrTooOld = errors.New("changes trimmed")
)

// Importing is ErrImporting with what to do about it.
func Importing(tenant TenantID) error {
	return fmt.Errorf("%w: tenant %q: wait until the import has ended, or make it again where it was cut short", ErrImporting, tenant)
}
