package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/clew-security/clew/internal/realserver"
)

// replicated writes the configuration of a replica, with an address for its measurements.
func replicated(t *testing.T, neo4j *realserver.Server, cache *realserver.Server, metrics string) string {
	t.Helper()
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
store:
  kind: neo4j
  neo4j: {uri: %q, user: %q, password: %q}
cache:
  kind: redis
  secret: 0123456789abcdef0123456789abcdef
redis: {url: %q}
metrics: {listen: %q}
`, neo4j.URL, neo4j.User, neo4j.Password, cache.URL, metrics)
	file := filepath.Join(t.TempDir(), "clew.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Two services on one Neo4j and one Redis: what one takes in, the other shows to whoever asks with the revision;
// without Redis they go on; what was migrated to the database can be carried out of it again.
func TestTwoReplicasOnOneDatabase(t *testing.T) {
	database, cache := realserver.Neo4j(t, realserver.Neo4jOptions{}), realserver.Redis(t, realserver.RedisOptions{Own: true})
	dir := t.TempDir()
	atOne, atTwo := freeAddress(t), freeAddress(t)
	one, two := replicated(t, database, cache, atOne), replicated(t, database, cache, atTwo)
	clew(t, dir, "serve", "--dev", "--config", one).want(t, exitFailed, "clew migrate")
	clew(t, dir, "migrate", "--config", one).want(t, 0, "to 2")
	clew(t, dir, "migrate", "--config", one).want(t, 0, "is at version 2")
	files := strings.Fields(clew(t, dir, "scenario", "files").want(t, 0).out)
	a, b := start(t, dir, "serve", "--dev", "--config", one), start(t, dir, "serve", "--dev", "--config", two)

	var text []byte
	var revision string
	for _, f := range files {
		var err error
		if text, err = os.ReadFile(filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
		revision = a.ingest(t, string(text))
	}
	for range 3 { // from the store, then kept, then from the cache
		status, answer := b.ask(t, `{incidents(first:1){totalCount nodes{id alerts(first:5){totalCount nodes{title}}}}}`, revision)
		if status != http.StatusOK || strings.Contains(answer, `"errors"`) || strings.Contains(answer, `"totalCount":0`) {
			t.Fatalf("the other replica answers %d: %s", status, answer)
		}
	}
	if status, _ := b.do(t, "GET", "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("a replica that follows is not ready: %d", status)
	}
	for name, address := range map[string]string{"clew_neo4j_commit_duration": atOne, "clew_replica_lag": atTwo, "clew_cache_": atTwo} {
		if !strings.Contains(measurements(t, address), name) {
			t.Errorf("%s is not measured", name)
		}
	}

	cache.Stop(t)
	if status, answer := b.ask(t, `{incidents(first:1){totalCount}}`, a.ingest(t, string(text))); status != http.StatusOK || strings.Contains(answer, `"errors"`) {
		t.Errorf("without Redis: %d: %s", status, answer)
	}
	if status, answer := b.ask(t, `{incidents(first:1){totalCount}}`, "12,3"); status != http.StatusBadRequest {
		t.Errorf("a revision that is none: %d: %s", status, answer)
	}
	a.stop(t)
	b.stop(t)
	clew(t, dir, "export", "out.gz", "--config", one).want(t, 0, "content ")
	clew(t, dir, "import", "out.gz", "--data", "moved").want(t, 0, "content ")
}

func measurements(t *testing.T, address string) string {
	t.Helper()
	_, text := service{base: "http://" + address}.do(t, "GET", "/metrics", "", nil)
	return text
}

// ingest gives the revision that has what was sent.
func (s service) ingest(t *testing.T, text string) string {
	t.Helper()
	resp, err := http.Post(s.base+"/ingest/auto", "application/x-ndjson", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	revision := resp.Header.Get(headerRevision)
	if n, err := strconv.Atoi(revision); err != nil || n == 0 || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("ingest answered %d, revision %q: %s", resp.StatusCode, revision, answer)
	}
	return revision
}

func (s service) ask(t *testing.T, query, revision string) (int, string) {
	t.Helper()
	return s.do(t, "POST", "/graphql", fmt.Sprintf(`{"query":%q}`, query), map[string]string{
		"Content-Type": "application/json", headerMinRevision: revision,
	})
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
