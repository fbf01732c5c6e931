package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/internal/realserver"
)

// The tenants that are measured, and that only warm up.
const (
	measuredTenant graph.TenantID = "contoso"
	warmUpTenant   graph.TenantID = "fabrikam"
)

// contestants lists who is measured, the base of the ratios among them.
func contestants() []func(*testing.B) *contestant {
	return []func(*testing.B) *contestant{openByHand, openNeo4j, openEmbedded}
}

// contestant commits batches.
type contestant struct {
	name   string
	commit func(ctx context.Context, tenant graph.TenantID, b graph.Batch) error
	// check says whether it holds so many entities, and relations from so many observations.
	check func(ctx context.Context, entities, edges int) error
	// pids of the processes that do the work, the one whose memory is shown first; dirs where it lies on disk.
	pids []int
	dirs []string
}

func openEmbedded(b *testing.B) *contestant {
	dir := b.TempDir()
	s, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return ofStore("embedded", s, []int{os.Getpid()}, []string{dir})
}

func openNeo4j(b *testing.B) *contestant {
	server, pids, dirs := neo4jFor(b)
	o := neo4j.Options{URI: server.URL, User: server.User, Password: server.Password}
	if _, _, err := neo4j.Migrate(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	s, err := neo4j.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return ofStore("neo4j store", s, pids, dirs)
}

// ofStore measures any graph.Store.
func ofStore(name string, s graph.Store, pids []int, dirs []string) *contestant {
	return &contestant{
		name: name, pids: pids, dirs: dirs,
		commit: func(ctx context.Context, tenant graph.TenantID, b graph.Batch) error {
			_, err := s.Apply(ctx, tenant, b)
			return err
		},
		check: func(ctx context.Context, entities, edges int) error {
			p, err := s.Position(ctx, graph.View{Tenant: measuredTenant})
			// A store counts relations, not observations; few are seen twice.
			if err == nil && (p.Entities != entities || p.Edges > edges || p.Edges < edges*95/100) {
				err = fmt.Errorf("%s holds %d entities and %d edges, want %d and about %d", name, p.Entities, p.Edges, entities, edges)
			}
			return err
		},
	}
}

// neo4jFor starts a Neo4j for one contestant, sized for production rather than for tests.
func neo4jFor(b *testing.B) (s *realserver.Server, pids []int, dirs []string) {
	s = realserver.Neo4j(b, realserver.Neo4jOptions{Own: true, Heap: "4g", PageCache: "2g"})
	return s, []int{s.PID(), os.Getpid()}, []string{filepath.Join(s.Dir, "data")}
}

func openByHand(b *testing.B) *contestant {
	s, pids, dirs := neo4jFor(b)
	h, err := newByHand(b.Context(), s)
	if err != nil {
		b.Fatal(fmt.Errorf("by hand: %w", err))
	}
	b.Cleanup(func() { _ = h.close(context.Background()) })
	return &contestant{name: byHandName, commit: h.commit, check: h.check, pids: pids, dirs: dirs}
}
