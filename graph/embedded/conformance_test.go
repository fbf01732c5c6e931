package embedded_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

// inMemory is a directory in memory.
type inMemory struct{ fs *vfs.MemFS }

func newInMemory(graphtest.TB) graphtest.Subject { return &inMemory{vfs.NewCrashableMem()} }

// Crash takes all that was not synced.
func (m *inMemory) Crash() { m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{}) }

func (m *inMemory) Open(t graphtest.TB, clock func() time.Time) graph.Store {
	t.Helper()
	s, err := embedded.Open("store", embedded.Options{FS: m.fs, Clock: clock, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

func TestConformance(t *testing.T) {
	graphtest.Run(t, newInMemory)
}

func TestMoves(t *testing.T) {
	open := func(t graphtest.TB, clock func() time.Time) graphtest.Moving {
		s, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Clock: clock})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		return s
	}
	graphtest.RunMoves(t, open, open)
}
