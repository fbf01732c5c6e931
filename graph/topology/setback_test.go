package topology

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

// A store that was restored under a running topology, and then went another way, was followed as if it had gone on: the
// graph kept what never was, called it exact, and saved it under a commit of the new way.
func TestAStoreThatIsSetBackWhileItIsFollowedIsReadAnew(t *testing.T) {
	fs := vfs.NewCrashableMem()
	open := func(fs vfs.FS) graph.Store {
		return must(embedded.Open("store", embedded.Options{FS: fs, CacheBytes: 1 << 20}))(t)
	}
	l := newLab(t, open(fs))
	defer l.store.Close()
	for _, b := range someBatches(t) {
		apply(t, l.store, b)
	}
	f := l.start()
	backup := fs.CrashClone(vfs.CrashCloneCfg{})
	apply(t, l.store, logon(t, 77, 7)) // which the backup does not have
	must(0, f.advance(t.Context()))(t)
	shown := f.shown.Revision

	l.store = open(backup)
	defer l.store.Close()
	l.source.Source = l.store
	confirmed := f.at
	l.clock.Move(time.Hour)
	must(0, f.advance(t.Context()))(t)
	if f.shown.Revision != shown || f.at.After(confirmed) {
		t.Errorf("a store that shows less than before confirmed it at %s", f.at)
	}
	apply(t, l.store, logon(t, 88, 8)) // goes another way
	if err := f.advance(t.Context()); !errors.Is(err, graph.ErrTooOld) {
		t.Errorf("another commit of the same revision: %v", err)
	}
	must(0, f.advance(t.Context()))(t)
	compare(l, truthOf(l, l.store), f.shown)
	l.saved(f)
	l.expect(l.start(), false, "")
}

// While others write at its end, a topology goes on for a while before it gives up to be saved.
func TestTheLastChangesAreTakenInUntilThereAreNoMore(t *testing.T) {
	l := newLab(t, graphtest.NewModel(time.Now))
	apply(t, l.store, logon(t, 1, 1))
	l.options.limits = usualLimits
	l.options.limits.rounds = 1
	f := l.start()
	l.saved(f)
	apply(t, l.store, logon(t, 1, 50))
	n := 100
	l.source.before = func(_ context.Context, call string) error {
		if call == "changes" && n < 108 {
			n++
			apply(t, l.store, logon(t, n, n))
		}
		return nil
	}
	must(0, f.advance(t.Context()))(t)
	l.saved(f)
	l.source = nil
	l.expect(l.start(), false, "")
}

func TestWhereNothingCanBeSavedThatIsTold(t *testing.T) {
	l := newLab(t, graphtest.NewModel(time.Now))
	apply(t, l.store, logon(t, 1, 1))
	f := l.start()
	n := 100
	l.source.before = func(_ context.Context, call string) error {
		if call == "changes" {
			n++
			apply(t, l.store, logon(t, n, n))
		}
		return nil
	}
	for range 5 {
		l.clock.Move(DefaultSaveEvery / 2)
		must(0, f.advance(t.Context()))(t)
		f.keep()
	}
	if len(l.said) != 3 || !strings.Contains(l.said[0], "too fast") {
		t.Errorf("it said %q", l.said)
	}
}

// An import carries no changes, so that nothing tells when its last commit was made, until there is another.
func TestAGraphOfAnImportIsSavedAfterTheNextCommit(t *testing.T) {
	from, to := openStore(t, 0).(graphtest.Moving), openStore(t, 0).(graphtest.Moving)
	defer from.Close()
	defer to.Close()
	filled(t, from)
	must(0, to.Import(t.Context(), graphtest.Tenant, each(records(t, from.Export(t.Context(), graphtest.Tenant)))))(t)
	l := newLab(t, to)
	f := l.start()
	f.keep()
	if len(l.said) != 1 || !strings.Contains(l.said[0], "after the next one") || f.toSave() != nil {
		t.Errorf("it said %q", l.said)
	}
	apply(t, to, logon(t, 77, 7))
	must(0, f.advance(t.Context()))(t)
	l.saved(f)
	l.said = nil
	l.expect(l.start(), false, "")
}

// How large a graph becomes is not known while it is built: only a few are at a time.
func TestFewGraphsAreBuiltAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []graph.TenantID
		for i := range 20 {
			names = append(names, graph.TenantID("t"+string(rune('a'+i))))
		}
		s, bytes := companies(t, names...)
		slow := &hooked{Source: s, before: func(_ context.Context, call string) error {
			if call == "position" {
				time.Sleep(time.Minute)
			}
			return nil
		}}
		all := NewTenants(context.Background(), slow, bytes*5/2, func(graph.TenantID) Options { return Options{Timeout: time.Hour} })
		defer all.Close()
		begun := 0
		for range 2 {
			for _, n := range names {
				if _, err := all.Of(n); err == nil {
					begun++
				} else if !errors.Is(err, graph.ErrClosed) {
					t.Error(err)
				}
			}
		}
		if begun != 2*mostBuilding {
			t.Errorf("%d answers, want %d", begun, 2*mostBuilding)
		}
		time.Sleep(time.Hour)
		if _, err := all.Of(""); !errors.Is(err, graph.ErrInvalid) || len(all.followed) != mostBuilding {
			t.Errorf("no tenant: %v; %d are followed", err, len(all.followed))
		}
		must(all.Of(names[10]))(t) // now there is no room for all
		synctest.Wait()
		if n := len(all.followed); n > 3 {
			t.Errorf("%d are followed, of which two have room", n)
		}
	})
}
