package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/internal/config"
)

// Commands that need a store which is there opened it without the settings, and trimmed changes that others follow.
func TestAStoreThatIsThereIsOpenedAsConfigured(t *testing.T) {
	ctx, view, c := context.Background(), graph.View{Tenant: devTenant}, config.Config{}
	c.Store.Kind, c.Store.Embedded.Dir, c.Store.Embedded.KeepChanges = config.StoreEmbedded, t.TempDir(), 3
	s, err := embedded.Open(c.EmbeddedDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(s graph.Store, i int) {
		t.Helper()
		d := graph.Document{DocumentKey: graph.DocumentKey{Collection: "c", Key: fmt.Sprint(i)}, Value: []byte("{}")}
		if _, err := s.Apply(ctx, devTenant, graph.Batch{Documents: []graph.Document{d}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		apply(s, i)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	there, err := openRecordThere(ctx, streams{err: io.Discard}, c, false)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	apply(there, 5)
	for _, err = range there.Changes(ctx, view, 1) {
		break
	}
	if !errors.Is(err, graph.ErrTooOld) {
		t.Errorf("what is older than the newest 3 of 6 changes is still there: %v", err)
	}
}
