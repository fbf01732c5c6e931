package realserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisOptions of a server; the zero value serves.
type RedisOptions struct {
	// Own asks for a server of the test's own although the environment names one.
	Own bool
	// Auth makes the server ask for a password.
	Auth bool
	// MaxMemory bounds the data, as redis.conf writes it ("16mb"); "" means no bound.
	MaxMemory string
	// Policy is what to do at that bound; "" means "noeviction".
	Policy string
}

// Redis gives the test a Redis server, ready for use: the one that the environment names, else the system's
// redis-server, which keeps nothing on disk (a restarted one is empty) and ends with the test. Where there is
// none the test skips, or fails with REQUIRE_REAL=1. A named server may hold other data: a test uses its own
// keys.
func Redis(t testing.TB, o RedisOptions) *Server {
	t.Helper()
	s, err := openRedis(o)
	return lend(t, s, err)
}

func openRedis(o RedisOptions) (*Server, error) {
	if named := os.Getenv(EnvRedis); named != "" && !o.Own {
		return namedRedis(named)
	}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: redis-server is not installed", errAbsent)
	}
	var port int
	k := &kind{name: "redis", ready: redisReady, start: func(s *Server) (*child, error) {
		return spawn(redisCommand(program, s, port, o), s.console())
	}}
	return begin(k, func(s *Server, free int) error {
		port = free
		u := url.URL{Scheme: "redis", Host: s.Addr}
		if o.Auth {
			s.Password = rand.Text()
			u.User = url.UserPassword("", s.Password)
		}
		s.URL = u.String()
		return nil
	})
}

func redisCommand(program string, s *Server, port int, o RedisOptions) *exec.Cmd {
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", s.Dir, "--save", "", "--appendonly", "no"}
	for name, value := range map[string]string{
		"--requirepass": s.Password, "--maxmemory": o.MaxMemory, "--maxmemory-policy": o.Policy,
	} {
		if value != "" {
			args = append(args, name, value)
		}
	}
	return exec.Command(program, args...)
}

func namedRedis(named string) (*Server, error) {
	o, err := redis.ParseURL(named)
	if err != nil {
		return nil, fmt.Errorf("%s is not a redis URL: %w", EnvRedis, err)
	}
	s := &Server{URL: named, Addr: o.Addr, User: o.Username, Password: o.Password, kind: &kind{name: "redis", ready: redisReady}}
	return adopt(s, EnvRedis)
}

func redisReady(ctx context.Context, s *Server) error {
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		return err
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	defer c.Close()
	return c.Ping(ctx).Err()
}
