package embedded

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/rules"
)

// A tenant that is being imported is not shown in part, and nobody waits for a revision that may never come.
func TestATenantThatIsBeingImportedIsNotShown(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	rewriteRow(t, s, keysOf(graphtest.Tenant).of(tableTenant), encodeTenant(rules.Tenant{Loading: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v, before := graph.View{Tenant: graphtest.Tenant}, graph.Paging{Updated: graph.TickRange{Before: 1 << 60}}
	reads := map[string]func() error{
		"Entities":        func() error { _, err := s.Entities(ctx, v, graph.EntityQuery{}); return err },
		"Lookup":          func() error { _, err := s.Lookup(ctx, v, nil); return err },
		"Edges":           func() error { return firstError(s.Edges(ctx, v, graph.EdgeQuery{})) },
		"Alerts":          func() error { _, err := s.Alerts(ctx, v, graph.AlertQuery{}); return err },
		"bound alerts":    func() error { _, err := s.Alerts(ctx, v, graph.AlertQuery{Paging: before}); return err },
		"Incidents":       func() error { _, err := s.Incidents(ctx, v, graph.IncidentQuery{}); return err },
		"bound incidents": func() error { _, err := s.Incidents(ctx, v, graph.IncidentQuery{Paging: before}); return err },
		"Documents":       func() error { _, err := s.Documents(ctx, v, graph.DocumentQuery{Collection: "c"}); return err },
		"Position":        func() error { _, err := s.Position(ctx, v); return err },
		"Changes":         func() error { return firstError(s.Changes(ctx, v, 0)) },
		"a later revision": func() error {
			_, err := s.Position(ctx, graph.View{Tenant: v.Tenant, AtLeast: 1 << 40})
			return err
		},
	}
	for name, read := range reads {
		if err := read(); !errors.Is(err, graph.ErrImporting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Position(ctx, graph.View{Tenant: "fabrikam"}); err != nil {
		t.Errorf("another tenant: %v", err)
	}
}

// firstError is the first error of an iteration.
func firstError[T any](seq func(func(T, error) bool)) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}
