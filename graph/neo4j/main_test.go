package neo4j

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/realserver"
)

var (
	shared   realserver.SharedNeo4j
	prepared Options // the shared server's, once migrated was called
)

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// optionsOf is how a store reaches a test's server.
func optionsOf(s *realserver.Server) Options {
	return Options{URI: s.URL, User: s.User, Password: s.Password, MaxStale: -1, QueryTimeout: 2 * time.Minute, RetryTime: 2 * time.Minute}
}

// migrated gives the options of the shared server, which has the schema.
func migrated(t testing.TB) Options {
	t.Helper()
	if o := optionsOf(shared.Server(t)); prepared.URI == "" {
		if _, _, err := Migrate(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		prepared = o
	}
	return prepared
}

// open gives a store that ends with the test.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// tenantOfTest is a tenant that no other test has.
func tenantOfTest(t testing.TB) graph.TenantID {
	return graph.TenantID(fmt.Sprintf("%s %d", t.Name(), time.Now().UnixNano()))
}

// ask runs a statement past the store.
func ask(t testing.TB, s *Store, cypher string, params map[string]any) []*driver.Record {
	t.Helper()
	found, err := s.once(context.Background(), driver.AccessModeWrite, cypher, params)
	if err != nil {
		t.Fatalf("%s: %v", cypher, err)
	}
	return found
}
