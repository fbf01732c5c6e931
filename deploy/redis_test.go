package deploy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRedisRunsAsComposeSays runs compose.yaml's own command with a real server.
func TestRedisRunsAsComposeSays(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal(err)
		}
		t.Skipf("skipped: %v", err)
	}
	address := startRedis(t, "s3cr3t")
	for _, c := range []struct{ name, say, want string }{
		{"without a password", "PING", "-NOAUTH"},
		{"with a wrong one", "AUTH wrong", "-WRONGPASS"},
		{"with the secret's", "AUTH s3cr3t\r\nPING", "+OK\r\n+PONG"},
		{"memory", "AUTH s3cr3t\r\nCONFIG GET maxmemory", "536870912"},
		{"eviction", "AUTH s3cr3t\r\nCONFIG GET maxmemory-policy", "allkeys-lfu"},
		{"snapshots", "AUTH s3cr3t\r\nCONFIG GET save", "$4\r\nsave\r\n$0"},
		{"log", "AUTH s3cr3t\r\nCONFIG GET appendonly", "$2\r\nno"},
	} {
		if got := ask(t, address, c.say); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// startRedis runs the command on a free port and returns the address.
func startRedis(t *testing.T, password string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	writeFile(t, filepath.Join(dir, "redis_password"), password)
	command := readCompose(t).Services["redis"].Command
	script := strings.NewReplacer("$$", "$", "/run/secrets/", dir+"/", "port 6379", "port "+port+"\nbind 127.0.0.1").Replace(command[len(command)-1])
	if line, _, _ := strings.Cut(script, "<<"); strings.Contains(line, "redis_password") {
		t.Errorf("the password is on the command line, where every user of the machine sees it: %s", line)
	}
	c := exec.Command(command[0], append(command[1:len(command)-1:len(command)-1], script)...)
	var log bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() }) // exec made it the server itself
	address := net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
	}
	_, _ = c.Process.Kill(), c.Wait()
	t.Fatalf("Redis does not answer:\n%s", log.String())
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// ask sends inline commands and returns all that is answered.
func ask(t *testing.T, address, commands string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\nQUIT\r\n", commands); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := bufio.NewReader(conn).WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
