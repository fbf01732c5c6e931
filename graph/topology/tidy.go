package topology

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/clew-security/clew/graph"
)

// fileNames are the names that FileIn gives.
var fileNames = regexp.MustCompile(`^[0-9a-f]{64}\.graph$`)

var errUnfinished = errors.New("writing it was cut short")

// Tidy removes from a directory those files of FileIn's names that no topology could begin from now: of tenants or
// commits that the source has not, or keeps no more, of other versions or gradings, and what was being written when a
// process ended. Files of tenants that are followed are left to their topologies; whatever has not both the name and
// the head of a file of a topology is left alone. removed is told of each, and why. No other process may use the
// directory. Errors: ctx's, the source's, and those of removing; what was not looked at by then stays.
func (t *Tenants) Tidy(ctx context.Context, dir string, removed func(name string, why error)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		whole, cut := strings.CutSuffix(e.Name(), partial(""))
		if !fileNames.MatchString(whole) || !e.Type().IsRegular() { // to open a pipe would wait
			continue
		}
		look := t.lookAtWhole
		if cut {
			look = lookAtPartial
		}
		if err := t.tidy(ctx, dir, e.Name(), look, removed); err != nil {
			return fmt.Errorf("topology: tidying %s: %w", e.Name(), err)
		}
	}
	return nil
}

// look gives the reason why a file is to go, nil where it is to stay.
type look func(ctx context.Context, dir string, f *os.File) (why, failure error)

// tidy removes a file where there is a reason. It is held open until then, so that no other passes for it.
func (t *Tenants) tidy(ctx context.Context, dir, base string, look look, removed func(name string, why error)) error {
	name := filepath.Join(dir, base)
	f, err := os.Open(name)
	if err != nil {
		return ctx.Err() // what cannot be read is nobody's
	}
	defer f.Close()
	why, err := look(ctx, dir, f)
	if why == nil || err != nil {
		return err
	}
	gone, err := t.remove(name, f)
	if gone {
		removed(name, why)
	}
	return err
}

// lookAtWhole asks the source whether it has the commit.
func (t *Tenants) lookAtWhole(ctx context.Context, dir string, f *os.File) (why, failure error) {
	s := &saved{file: f, blocks: &blockReader{ctx: ctx, from: f}}
	if err := s.readHead(); err != nil || FileIn(dir, s.head.Tenant) != f.Name() {
		return nil, ctx.Err()
	}
	r := reader{t.source, s.head.Tenant, t.options(s.head.Tenant).withDefaults()}
	_, failure, why = r.serves(ctx, s.head)
	if errors.Is(failure, graph.ErrImporting) {
		return nil, nil
	}
	return why, failure
}

// lookAtPartial wants no more of a head than there is: nothing, it may be.
func lookAtPartial(ctx context.Context, _ string, f *os.File) (why, failure error) {
	first := make([]byte, len(magic))
	n, err := io.ReadFull(f, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(magic, string(first[:n])) {
		return nil, ctx.Err()
	}
	return errUnfinished, ctx.Err()
}

// remove removes a file, unless its name is another's by now or a topology's that is followed.
func (t *Tenants) remove(name string, f *os.File) (gone bool, err error) {
	was, err := f.Stat()
	if err != nil {
		return false, err
	}
	t.mu.Lock() // no topology begins meanwhile
	defer t.mu.Unlock()
	if is, err := os.Lstat(name); t.closed || t.uses(name) || err != nil || !os.SameFile(was, is) {
		return false, nil
	}
	err = os.Remove(name)
	return err == nil, err
}

// uses reports whether a topology that is followed, or not quite ended, may write the file.
func (t *Tenants) uses(name string) bool {
	for tenant := range t.followed {
		if f := t.options(tenant).File; name == f || name == partial(f) {
			return true
		}
	}
	return false
}
