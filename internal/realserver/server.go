// Package realserver starts real servers (Neo4j, Redis) for tests, on free loopback ports and without containers.
package realserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The environment names servers that run already; then none is started, except where a test asks for its own.
const (
	// EnvNeo4j is a bolt URL, user and password in it or in EnvNeo4jUser and EnvNeo4jPassword.
	EnvNeo4j         = "CLEW_TEST_NEO4J"
	EnvNeo4jUser     = "CLEW_TEST_NEO4J_USER"
	EnvNeo4jPassword = "CLEW_TEST_NEO4J_PASSWORD"
	// EnvRedis is a redis:// URL.
	EnvRedis = "CLEW_TEST_REDIS"
	// EnvRequire set to 1 makes a server that cannot be had a failure instead of a skip, and lets a test
	// download Neo4j.
	EnvRequire = "REQUIRE_REAL"
)

// Safety limits, not expectations: a start takes seconds, an attempt milliseconds.
const (
	startLimit   = 5 * time.Minute
	attemptLimit = 20 * time.Second
	stopLimit    = time.Minute
)

// errAbsent marks what is not a fault of the code under test: the server is not on this machine.
var errAbsent = errors.New("no such server here")

// Server is one running server. It ends with its test, and with the test process even where that is killed
// (on Linux; elsewhere only a normal end of the test process takes it along).
type Server struct {
	// URL to connect to: bolt://host:port, or redis:// with the password in it.
	URL string
	// HTTP is the URL of Neo4j's HTTP API, http://host:port; empty unless it was asked for.
	HTTP string
	// Addr is host and port.
	Addr string
	// User and Password; both empty where the server asks for none.
	User, Password string
	// Dir holds the server's data; empty for a server that was there before.
	Dir string

	kind  *kind
	mu    sync.Mutex
	child *child
}

// kind is what differs between servers.
type kind struct {
	name string
	// start runs the server of s; it is used for the first start and for every restart.
	start func(s *Server) (*child, error)
	// ready tries once to use it.
	ready func(ctx context.Context, s *Server) error
}

// PID of the server's process; 0 for one that does not run or was there before.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil || s.child.ended() {
		return 0
	}
	return s.child.cmd.Process.Pid
}

// Stop ends the server in order, as an operator would; its data stays until the test ends.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.mustBeOwn(t)
	if err := s.end((*child).stop); err != nil {
		t.Fatalf("stopping %s: %v", s.kind.name, err)
	}
}

// Kill ends the server at once, as a crash would (SIGKILL); its data stays until the test ends.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.mustBeOwn(t)
	if err := s.end((*child).kill); err != nil {
		t.Fatalf("killing %s: %v", s.kind.name, err)
	}
}

// Restart starts a server that was stopped or killed, with the same data, address and password, and waits until
// it answers. A running one is stopped first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.launch(); err != nil {
		t.Fatalf("restarting %s: %v", s.kind.name, err)
	}
}

func (s *Server) mustBeOwn(t testing.TB) {
	t.Helper()
	if s.Dir == "" {
		t.Fatalf("this %s was there before the test: ask for an Own one", s.kind.name)
	}
}

func (s *Server) end(how func(*child) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return nil
	}
	err := how(s.child)
	s.child = nil
	return err
}

// remove ends the server without ceremony and deletes its data.
func (s *Server) remove() error {
	if s.Dir == "" {
		return nil
	}
	return errors.Join(s.end((*child).kill), os.RemoveAll(s.Dir))
}

// launch starts the process and waits until it can be used. After an error no process is left.
func (s *Server) launch() error {
	c, err := s.kind.start(s)
	if err != nil {
		return err
	}
	if err := s.await(c); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, tail(s.console())), c.kill())
	}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	return nil
}

func (s *Server) console() string { return filepath.Join(s.Dir, "console.log") }

// await tries until the server answers, has ended, or the safety limit is over.
func (s *Server) await(c *child) error {
	limit := time.After(startLimit)
	for {
		err := s.attempt()
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("%w: %v", errEnded, c.err)
		case <-limit:
			return fmt.Errorf("not ready after %v: %w", startLimit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) attempt() error {
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr) // spares the drivers' own retries while nothing listens
	if err != nil {
		return err
	}
	_ = conn.Close()
	return s.kind.ready(ctx, s)
}

// begin makes a directory, starts the server on a free port, and tries another port where it ended by itself.
func begin(k *kind, fill func(s *Server, port int) error) (*Server, error) {
	for try := 1; ; try++ {
		s := &Server{kind: k}
		err := s.first(fill)
		if err == nil {
			return s, nil
		}
		err = errors.Join(err, s.remove())
		if try == 3 || !errors.Is(err, errEnded) {
			return nil, fmt.Errorf("starting %s: %w", k.name, err)
		}
	}
}

func (s *Server) first(fill func(s *Server, port int) error) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if s.Dir, err = os.MkdirTemp("", "clew-"+s.kind.name+"-"); err != nil {
		return err
	}
	s.Addr = fmt.Sprintf("127.0.0.1:%d", port)
	if err := fill(s, port); err != nil {
		return err
	}
	return s.launch()
}

// adopt checks that a server which the environment names can be used.
func adopt(s *Server, variable string) (*Server, error) {
	if err := s.attempt(); err != nil {
		return nil, fmt.Errorf("the %s that %s names cannot be used: %w", s.kind.name, variable, err)
	}
	return s, nil
}

// give hands the server to the test that needs it: it skips where there is none, or fails if one is required.
func give(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	switch {
	case err == nil:
		return s
	case errors.Is(err, errAbsent) && !required():
		t.Skipf("%v (%s=1 makes this a failure)", err, EnvRequire)
	}
	t.Fatal(err)
	return nil
}

// lend is give for a server that ends with the test.
func lend(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if s != nil {
		t.Cleanup(func() {
			if err := s.remove(); err != nil {
				t.Errorf("ending %s: %v", s.kind.name, err)
			}
		})
	}
	return give(t, s, err)
}

func required() bool { return os.Getenv(EnvRequire) == "1" }
