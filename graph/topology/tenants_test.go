package topology

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// companies is a store with a tenant of each name, which is bytes large as a graph in memory.
func companies(t *testing.T, tenants ...graph.TenantID) (s graph.Store, bytes int64) {
	t.Helper()
	s = graphtest.NewModel(time.Now)
	for _, tenant := range tenants {
		if _, err := s.Apply(t.Context(), tenant, logon(t, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	return s, int64(must(Build(t.Context(), s, tenants[0], Options{}))(t).Graph().Memory().Total())
}

func TestEachTenantHasAGraphOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := companies(t, "contoso", "fabrikam")
		if _, err := s.Apply(t.Context(), "fabrikam", logon(t, 2, 1)); err != nil {
			t.Fatal(err)
		}
		all := NewTenants(context.Background(), s, 0, func(graph.TenantID) Options { return Options{} })
		defer all.Close()
		for tenant, want := range map[graph.TenantID]int{"contoso": 1, "fabrikam": 2, "nobody": 0} {
			v := must(must(all.Of(tenant))(t).View(t.Context(), 0))(t)
			if _, edges := v.Size(); edges != want {
				t.Errorf("%s has %d edges, want %d", tenant, edges, want)
			}
		}
		if first, again := must(all.Of("contoso"))(t), must(all.Of("contoso"))(t); first != again {
			t.Error("a tenant is followed twice")
		}
		if _, err := all.Of(""); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("no tenant: %v", err)
		}
	})
}

func TestWhoWasAskedForLongestAgoGivesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, bytes := companies(t, "a", "b", "c", "d")
		all := NewTenants(context.Background(), s, bytes*5/2, func(graph.TenantID) Options { return Options{} })
		defer all.Close()
		given := map[graph.TenantID]*Topology{}
		for _, tenant := range []graph.TenantID{"a", "b", "c", "a", "d"} {
			given[tenant] = must(all.Of(tenant))(t)
			must(given[tenant].View(t.Context(), 0))(t)
		}
		synctest.Wait()
		var ended []graph.TenantID
		for tenant, f := range given {
			if _, err := f.View(t.Context(), 0); errors.Is(err, graph.ErrClosed) {
				ended = append(ended, tenant)
			}
		}
		if !slices.Equal(ended, []graph.TenantID{"b"}) {
			t.Errorf("ended are %v, want b alone: a was asked for again", ended)
		}
		if v := must(must(all.Of("b"))(t).View(t.Context(), 0))(t); v.Revision == 0 {
			t.Error("b is not followed anew")
		}
	})
}

func TestATenantThatHasToGoIsNotFollowedTwiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := companies(t, "a", "b")
		hanging := make(chan struct{})
		source := &hooked{Source: s, before: func(ctx context.Context, call string) error {
			if call == "changes" {
				<-hanging // also when its context has ended
			}
			return nil
		}}
		all := NewTenants(context.Background(), source, 1, func(graph.TenantID) Options { return Options{} })
		a := must(all.Of("a"))(t)
		synctest.Wait()
		all.mu.Lock()
		a.shown = must(Build(t.Context(), s, "a", Options{}))(t) // it takes room
		all.mu.Unlock()
		must(all.Of("b"))(t)
		if _, err := all.Of("a"); !errors.Is(err, graph.ErrClosed) {
			t.Errorf("while it ends: %v", err)
		}
		close(hanging)
		synctest.Wait()
		if again := must(all.Of("a"))(t); again == a {
			t.Error("the topology that ended is given again")
		}
		if err := errors.Join(all.Close(), all.Close()); err != nil {
			t.Error(err)
		}
		if _, err := all.Of("a"); !errors.Is(err, graph.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		all.Hint("a") // harmless
	})
}

func TestAHintIsForOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := companies(t, "a", "b")
		all := NewTenants(context.Background(), s, 0, func(graph.TenantID) Options { return Options{Poll: time.Hour, StaleAfter: 3 * time.Hour} })
		defer all.Close()
		for _, tenant := range []graph.TenantID{"a", "b"} {
			must(must(all.Of(tenant))(t).View(t.Context(), 0))(t) // which hints, as it waits
		}
		time.Sleep(2 * time.Minute)
		for _, tenant := range []graph.TenantID{"a", "b"} {
			if _, err := s.Apply(t.Context(), tenant, logon(t, 7, 7)); err != nil {
				t.Fatal(err)
			}
		}
		all.Hint("a")
		all.Hint("nobody")
		time.Sleep(2 * time.Minute) // less may be too soon after the last poll
		for tenant, want := range map[graph.TenantID]graph.Revision{"a": 2, "b": 1} {
			if v := must(must(all.Of(tenant))(t).View(t.Context(), 0))(t); v.Revision != want {
				t.Errorf("%s is at revision %d, want %d", tenant, v.Revision, want)
			}
		}
	})
}
