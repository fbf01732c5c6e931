package topology

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// shelf is a directory of tenants' files over a store.
type shelf struct {
	*testing.T
	store   graph.Store
	source  *hooked
	dir     string
	options Options
	all     *Tenants
	removed map[string]string // why, by base name
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{T: t, store: openStore(t, 5), dir: t.TempDir(), options: Options{Grade: facts, Grading: "facts"}}
	s.source = &hooked{Source: s.store}
	s.all = NewTenants(t.Context(), s.source, 0, func(tenant graph.TenantID) Options {
		o := s.options
		o.File = FileIn(s.dir, tenant)
		return o
	})
	t.Cleanup(func() { _ = errors.Join(s.all.Close(), s.store.Close()) })
	return s
}

// put has a file written of a tenant, as an earlier process did, and gives its base name.
func (s *shelf) put(tenant graph.TenantID, commits int) string {
	s.Helper()
	s.commit(tenant, commits)
	o := s.options
	o.File = FileIn(s.dir, tenant)
	f := newTopology(s.store, tenant, o)
	must(0, f.advance(s.Context()))(s)
	if f.keepLast(); !s.there(filepath.Base(o.File)) {
		s.Fatalf("%s has no file", tenant)
	}
	return filepath.Base(o.File)
}

func (s *shelf) commit(tenant graph.TenantID, commits int) {
	s.Helper()
	for i := range commits {
		p := must(s.store.Position(s.Context(), graph.View{Tenant: tenant}))(s)
		must(s.store.Apply(s.Context(), tenant, logon(s, i, int(p.Revision))))(s)
	}
}

func (s *shelf) there(name string) bool {
	_, err := os.Lstat(filepath.Join(s.dir, name))
	return err == nil
}

func (s *shelf) write(name, text string) string {
	s.Helper()
	must(0, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))(s)
	return name
}

func (s *shelf) move(from, to string) string {
	s.Helper()
	must(0, os.Rename(filepath.Join(s.dir, from), filepath.Join(s.dir, to)))(s)
	return to
}

func (s *shelf) tidy() error {
	s.removed = map[string]string{}
	return s.all.Tidy(s.Context(), s.dir, func(name string, why error) { s.removed[filepath.Base(name)] = why.Error() })
}

// another replaces a file by one of all that the store has.
func (s *shelf) another(name string, tenant graph.TenantID) {
	s.Helper()
	must(0, os.Remove(filepath.Join(s.dir, name)))(s)
	s.put(tenant, 0)
}

const nameOfNone = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.graph"

func TestFilesFromWhichNoTopologyCouldBeginAreRemovedAndNoOthers(t *testing.T) {
	for name, row := range map[string]struct {
		// put gives the base name of a file.
		put func(s *shelf) string
		why string // "" where it stays
	}{
		"that serves":      {func(s *shelf) string { return s.put("contoso", 3) }, ""},
		"of later changes": {func(s *shelf) string { defer s.commit("contoso", 4); return s.put("contoso", 3) }, ""},
		"of trimmed ones":  {func(s *shelf) string { defer s.commit("contoso", 5); return s.put("contoso", 3) }, "kept no more"},
		"of another store": {func(s *shelf) string { defer s.elsewhere(); return s.put("contoso", 3) }, "kept no more"},
		"graded otherwise": {func(s *shelf) string { defer s.regrade(); return s.put("contoso", 3) }, "other rules"},
		"of a tenant that is followed": {func(s *shelf) string {
			defer s.regrade()
			s.follow("contoso")
			return s.put("contoso", 3)
		}, ""},
		"half written":               {func(s *shelf) string { return s.write(partial(nameOfNone), magic+"\x05\x00") }, "cut short"},
		"hardly begun":               {func(s *shelf) string { return s.write(partial(nameOfNone), magic[:4]) }, "cut short"},
		"begun":                      {func(s *shelf) string { return s.write(partial(nameOfNone), "") }, "cut short"},
		"being written":              {func(s *shelf) string { s.follow("contoso"); return s.write(partial(s.put("contoso", 3)), magic) }, ""},
		"somebody's half":            {func(s *shelf) string { return s.write(partial(nameOfNone), "text") }, ""},
		"somebody's":                 {func(s *shelf) string { return s.write(nameOfNone, "text") }, ""},
		"empty":                      {func(s *shelf) string { return s.write(nameOfNone, "") }, ""},
		"without a head":             {func(s *shelf) string { return s.write(nameOfNone, magic) }, ""},
		"with another tenant's name": {func(s *shelf) string { defer s.regrade(); return s.move(s.put("contoso", 3), nameOfNone) }, ""},
		"with a name of its own":     {func(s *shelf) string { defer s.regrade(); return s.move(s.put("contoso", 3), "kept.graph") }, ""},
		"with more of a name":        {func(s *shelf) string { defer s.regrade(); n := s.put("contoso", 3); return s.move(n, n+".kept") }, ""},
		"half of another name":       {func(s *shelf) string { return s.write(partial("notes"), magic) }, ""},
		"that is a directory": {func(s *shelf) string {
			must(0, os.Mkdir(filepath.Join(s.dir, partial(nameOfNone)), 0o700))(s)
			return partial(nameOfNone)
		}, ""},
		"that is elsewhere": {func(s *shelf) string {
			must(0, os.Symlink(os.DevNull, filepath.Join(s.dir, partial(nameOfNone))))(s)
			return partial(nameOfNone)
		}, ""},
	} {
		t.Run("a file "+name, func(t *testing.T) {
			s := newShelf(t)
			file := row.put(s)
			if err := s.tidy(); err != nil {
				t.Fatal(err)
			}
			if s.there(file) != (row.why == "") {
				t.Errorf("it is there: %t", s.there(file))
			}
			if why := s.removed[file]; (why == "") != (row.why == "") || !strings.Contains(why, row.why) || len(s.removed) > 1 {
				t.Errorf("removed are %q, want %q", s.removed, row.why)
			}
		})
	}
}

// elsewhere has another store answer, in which nobody has anything.
func (s *shelf) elsewhere() { s.source.Source = graphtest.NewModel(time.Now) }

func (s *shelf) regrade() { s.options.Grading = "other" }

// follow has the tenant's topology end, which may write its file.
func (s *shelf) follow(tenant graph.TenantID) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.followed[tenant] = &followed{}
}

// What replaces a file while the store is asked about it is of a topology that came and went.
func TestAFileThatIsReplacedMeanwhileStays(t *testing.T) {
	s := newShelf(t)
	file := s.put("contoso", 3)
	s.commit("contoso", 6)
	s.source.before = func(context.Context, string) error {
		s.source.before = nil
		s.another(file, "contoso")
		return nil
	}
	if err := s.tidy(); err != nil || !s.there(file) || len(s.removed) > 0 {
		t.Errorf("removed are %q (%v)", s.removed, err)
	}
}

// A store that does not answer says nothing about files.
func TestWhereTheStoreFailsFilesStay(t *testing.T) {
	s := newShelf(t)
	files := []string{s.put("contoso", 3), s.put("fabrikam", 3)}
	s.commit("contoso", 6)
	s.commit("fabrikam", 6)
	importing := ""
	s.source.before = func(context.Context, string) error {
		if importing == "" {
			importing = "one"
			return graph.Importing("one")
		}
		return nil
	}
	if err := s.tidy(); err != nil || len(s.removed) != 1 { // the one that is imported holds nothing up
		t.Errorf("beside an import removed are %q (%v)", s.removed, err)
	}
	s.source.before = func(context.Context, string) error { return errFault }
	if err := s.tidy(); !errors.Is(err, errFault) || len(s.removed) > 0 {
		t.Errorf("removed are %q (%v)", s.removed, err)
	}
	s.source.before = nil
	if err := s.tidy(); err != nil || slices.ContainsFunc(files, s.there) {
		t.Errorf("removed are %q (%v)", s.removed, err)
	}
	file := s.write(partial(nameOfNone), "")
	must(0, s.all.Close())(t)
	if err := s.tidy(); err != nil || !s.there(file) {
		t.Errorf("after the end removed are %q (%v)", s.removed, err)
	}
	s.dir = filepath.Join(s.dir, "none")
	if err := s.tidy(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
