package realserver

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// SharedNeo4j is one Neo4j for all tests of a process, started when the first test asks for it:
//
//	var shared realserver.SharedNeo4j
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestX(t *testing.T) { s := shared.Server(t); … }
//
// Tests keep apart by using tenants of their own. No test may stop it: a test that wants to asks Neo4j for an
// Own one.
type SharedNeo4j struct {
	Options Neo4jOptions

	once   sync.Once
	server *Server
	err    error
}

// Run runs the tests, ends the server if one was started, and returns the exit code. m is a *testing.M or a
// wrapper of one.
func (s *SharedNeo4j) Run(m interface{ Run() int }) int {
	code := m.Run()
	if s.server == nil {
		return code
	}
	if err := s.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the shared neo4j:", err)
		return max(code, 1)
	}
	return code
}

// Server gives the test the shared server; it skips or fails as Neo4j does where there is none.
func (s *SharedNeo4j) Server(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = openNeo4j(s.Options) })
	return give(t, s.server, s.err)
}
