package realserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var shared SharedNeo4j

func TestMain(m *testing.M) {
	if how := os.Getenv(helper); how != "" {
		endWithoutCleaning(how)
	}
	os.Exit(shared.Run(m))
}

// answers reports whether something listens at the server's address.
func answers(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// mustFallSilent waits until nothing listens there any more.
func mustFallSilent(t *testing.T, addr string) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); answers(addr); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s still answers", addr)
		}
	}
}

func client(t *testing.T, s *Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisStartsStopsAndRestartsEmpty(t *testing.T) {
	s, ctx := Redis(t, RedisOptions{Own: true, MaxMemory: "8mb", Policy: "allkeys-lru"}), t.Context()
	c := client(t, s)
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := c.ConfigGet(ctx, "maxmemory").Val()["maxmemory"]; got != fmt.Sprint(8<<20) {
		t.Errorf("maxmemory is %s", got)
	}
	for name, end := range map[string]func(testing.TB){"stop": s.Stop, "kill": s.Kill} {
		end(t)
		if s.PID() != 0 || answers(s.Addr) {
			t.Errorf("%s: pid %d, still there", name, s.PID())
		}
		s.Restart(t)
		if n, err := c.Exists(ctx, "k").Result(); n != 0 || err != nil {
			t.Errorf("after %s and restart the key is there: %d (%v)", name, n, err)
		}
	}
}

func TestRedisRefusesAWrongPassword(t *testing.T) {
	s := Redis(t, RedisOptions{Own: true, Auth: true})
	if err := client(t, s).Ping(t.Context()).Err(); err != nil {
		t.Errorf("with the password: %v", err)
	}
	for _, password := range []string{"", "wrong"} {
		c := redis.NewClient(&redis.Options{Addr: s.Addr, Password: password})
		if err := c.Ping(t.Context()).Err(); err == nil {
			t.Errorf("password %q got in", password)
		}
		c.Close()
	}
}

func TestTwoServersRunAtOnceAndEndWithTheirTest(t *testing.T) {
	var a, b *Server
	t.Run("two", func(t *testing.T) {
		a, b = Redis(t, RedisOptions{Own: true}), Redis(t, RedisOptions{Own: true})
		if a.Addr == b.Addr || a.PID() == b.PID() || a.PID() == 0 {
			t.Fatalf("%s (%d) and %s (%d)", a.Addr, a.PID(), b.Addr, b.PID())
		}
		a.Kill(t)
		if answers(a.Addr) || !answers(b.Addr) {
			t.Error("the wrong one ended")
		}
	})
	if answers(b.Addr) {
		t.Error("the server outlived its test")
	}
	for _, s := range []*Server{a, b} {
		if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left (%v)", s.Dir, err)
		}
	}
}

// The kernel ties the death signal to a thread: the end of the one that asked for the server must not end it.
// Two ask, because the process's main thread never ends and one of them may be on it.
func TestTheServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	for range 2 {
		var s *Server
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			s, err = openRedis(RedisOptions{Own: true})
		}()
		<-done
		c := client(t, lend(t, s, err))
		for range 20 {
			time.Sleep(10 * time.Millisecond)
			if err := c.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// helper names, in the environment, how a process of its own ends that has started a server.
const helper = "CLEW_REALSERVER_HELPER"

// endWithoutCleaning is that process: it tells the server's address and ends without ending the server.
func endWithoutCleaning(how string) {
	s, err := openRedis(RedisOptions{Own: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("at %s\n", s.Addr)
	if how == "killed" {
		select {}
	}
	os.Exit(0)
}

func TestNoServerIsLeftHoweverTheTestProcessEnds(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("promised on Linux only")
	}
	Redis(t, RedisOptions{Own: true}) // skips where there is none
	for _, how := range []string{"exits", "killed"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), helper+"="+how, "TMPDIR="+t.TempDir())
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			addr := addressIn(bufio.NewScanner(out))
			if how == "killed" {
				if !answers(addr) {
					t.Errorf("no server at %q", addr)
				}
				_ = cmd.Process.Kill()
			}
			if err := cmd.Wait(); addr == "" || (how == "exits" && err != nil) {
				t.Fatalf("the process started no server (%v)", err)
			}
			mustFallSilent(t, addr)
		})
	}
}

func addressIn(lines *bufio.Scanner) string {
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "at "); ok {
			return addr
		}
	}
	return ""
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	_, err := openRedis(RedisOptions{Own: true, MaxMemory: "plenty"})
	if errors.Is(err, errAbsent) {
		t.Skip(err)
	}
	if err == nil || !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "maxmemory") {
		t.Errorf("error is %v", err)
	}
}

func TestTheEnvironmentNamesAServer(t *testing.T) {
	own := Redis(t, RedisOptions{Own: true, Auth: true})
	t.Setenv(EnvRedis, own.URL)
	s := Redis(t, RedisOptions{})
	if s.Addr != own.Addr || s.Password != own.Password || s.PID() != 0 {
		t.Errorf("got %s, pid %d", s.Addr, s.PID())
	}
	if err := s.remove(); err != nil || !answers(own.Addr) {
		t.Errorf("a server that was there before was ended (%v)", err)
	}
	own.Kill(t)
	if _, err := openRedis(RedisOptions{}); err == nil || errors.Is(err, errAbsent) {
		t.Errorf("a named server that is not there: %v", err)
	}
}

// recorder stands in for a test, to see what give does to it.
type recorder struct {
	testing.TB
	did string
}

func (r *recorder) Helper() {}
func (r *recorder) Skipf(f string, a ...any) {
	r.did = "skip: " + fmt.Sprintf(f, a...)
	runtime.Goexit()
}
func (r *recorder) Fatal(a ...any) { r.did = "fail: " + fmt.Sprint(a...); runtime.Goexit() }

func TestATestWithoutServerSkipsAloudOrFailsWhereRequired(t *testing.T) {
	absent := fmt.Errorf("%w: not installed", errAbsent)
	for _, c := range []struct {
		required, want string
		err            error
	}{
		{"", "skip: no such server here: not installed (REQUIRE_REAL=1 makes this a failure)", absent},
		{"1", "fail: no such server here: not installed", absent},
		{"", "fail: broken", errors.New("broken")},
	} {
		t.Setenv(EnvRequire, c.required)
		r, done := &recorder{}, make(chan struct{})
		go func() {
			defer close(done)
			give(r, nil, c.err)
		}()
		<-done
		if r.did != c.want {
			t.Errorf("required %q: %s", c.required, r.did)
		}
	}
}
