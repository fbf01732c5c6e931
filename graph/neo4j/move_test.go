package neo4j

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

// TestMoves carries tenants between both stores, both ways: nothing is lost, and the files are the same.
func TestMoves(t *testing.T) {
	o, n := migrated(t), atomic.Int64{}
	run := time.Now().UnixNano()
	server := func(t graphtest.TB, clock func() time.Time) graphtest.Moving {
		prefix := graph.TenantID(fmt.Sprintf("move/%d/%d/", run, n.Add(1)))
		return graphtest.ApartMoving(openAt(t, o, clock), prefix)
	}
	directory := func(t graphtest.TB, clock func() time.Time) graphtest.Moving {
		s, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Clock: clock})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		return s
	}
	for name, way := range map[string][2]graphtest.Opener{
		"from directory to server": {directory, server},
		"from server to directory": {server, directory},
		"from server to server":    {server, server},
	} {
		t.Run(name, func(t *testing.T) { graphtest.RunMoves(t, way[0], way[1]) })
	}
}
