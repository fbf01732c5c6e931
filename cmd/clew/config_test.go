package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph/cached"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/graph/topology"
	"github.com/clew-security/clew/internal/config"
)

const wrongConfig = "listen: 8080\ncache: {ttl: 30}\nredis: {pasword: s3cr3t}\n"

func TestConfigCheckSaysOK(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "clew.yaml", "listen: :8080\n")
	r := clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, 0)
	if r.out != "ok\n" || r.err != "" {
		t.Errorf("%q, %q", r.out, r.err)
	}
	clew(t, dir, "config", "check").want(t, 0, "ok")
	r = clew(t, dir, "config", "check", "-o", "json").want(t, 0)
	if !json.Valid([]byte(r.out)) || !strings.Contains(r.out, `"ok": true`) {
		t.Errorf("%s", r.out)
	}
}

func TestConfigCheckTellsEverythingThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "clew.yaml", wrongConfig)
	t.Setenv("CLEW_LOG_LEVEL", "loud")
	r := clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, exitUsage)
	for _, want := range []string{
		"CLEW_LOG_LEVEL: log.level: \"loud\" is not known", "\nclew.yaml:1: listen: \"8080\" has no host", "\nclew.yaml:2: cache.ttl: \"30\" has no unit",
		"\nclew.yaml:3: redis.pasword: no such setting; did you mean redis.password?", "\nclew: the configuration cannot be used: 4 problems\n",
	} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not in\n%s", want, r.err)
		}
	}
	if r.out != "" || strings.Contains(r.err, "s3cr3t") {
		t.Errorf("on standard output %q, on standard error %q", r.out, r.err)
	}
}

func TestConfigCheckTellsProgramsInJSON(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "clew.yaml", wrongConfig)
	r := clew(t, dir, "config", "check", "--config", "clew.yaml", "-o", "json").want(t, exitUsage)
	var got checked
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || got.OK || len(got.Problems) != 3 || got.Warnings == nil {
		t.Errorf("%+v (%v)", got, err)
	}
	want := config.Problem{Source: "clew.yaml:2", Key: "cache.ttl", Value: `"30"`, What: "has no unit", Do: "write 30s for seconds, or one of ms, s, m, h, d, w"}
	if !slices.Contains(got.Problems, want) {
		t.Errorf("%+v is not in %+v", want, got.Problems)
	}
}

func TestConfigPrintReadsBackAndHidesSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "secret", "s3cr3t\n")
	write(t, dir, "clew.yaml", "store: {kind: neo4j, neo4j: {uri: 'bolt://db', passwordFile: ./secret}}\nretention: {incidents: 90d}\n")
	first := clew(t, dir, "config", "print", "--config", "clew.yaml").want(t, 0, "passwordFile: ./secret", "incidents: 90d")
	write(t, dir, "printed.yaml", first.out)
	if again := clew(t, dir, "config", "print", "--config", "printed.yaml").want(t, 0); again.out != first.out {
		t.Errorf("read back:\n%s\nwas:\n%s", again.out, first.out)
	}
	t.Setenv("CLEW_CONFIG", "clew.yaml")
	t.Setenv("CLEW_STORE_NEO4J_PASSWORD", "s3cr3t")
	for _, args := range [][]string{{"--sources"}, {"-o", "json"}, {"-o", "json", "--sources"}} {
		r := clew(t, dir, append([]string{"config", "print"}, args...)...).want(t, 0, "REDACTED")
		if strings.Contains(r.out+r.err, "s3cr3t") {
			t.Errorf("%v shows a secret", args)
		}
		if args[len(args)-1] == "--sources" {
			r.want(t, 0, "CLEW_STORE_NEO4J_PASSWORD", "clew.yaml:1", "default")
		}
		if args[0] == "-o" && !json.Valid([]byte(r.out)) {
			t.Errorf("%v is no JSON:\n%s", args, r.out)
		}
	}
}

func TestConfigWarnsOnStandardError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "clew.yaml", "store: {kind: embedded, neo4j: {uri: 'bolt://db'}}\n")
	r := clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, 0)
	if r.out != "ok\n" || !strings.HasPrefix(r.err, "warning: clew.yaml:1: store.neo4j.uri: ") {
		t.Errorf("%q, %q", r.out, r.err)
	}
}

func TestConfigRefusesWhatItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"chekc"}, {"check", "x"}, {"check", "-o", "yaml"}, {"print", "-o", "yaml"}, {"print", "--nothing"}, {"print", "--config", "none.yaml"}} {
		clew(t, dir, append([]string{"config"}, args...)...).want(t, exitUsage)
	}
	clew(t, dir, "config").want(t, 0, "check", "print")
}

// TestFlagsThatWereGivenWin is how a command joins its flags with the configuration.
func TestFlagsThatWereGivenWin(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "clew.yaml", "listen: :1\nstore: {embedded: {dir: from-file}}\n")
	var file string
	c := &cobra.Command{}
	configFlag(c, &file)
	c.Flags().String("listen", ":2", "")
	c.Flags().String("data", "", "")
	if err := c.ParseFlags([]string{"--config", filepath.Join(dir, "clew.yaml"), "--data", "from-flag"}); err != nil {
		t.Fatal(err)
	}
	s := streams{strings.NewReader(""), io.Discard, io.Discard}
	got, err := loadConfig(s, file, changedFlags(c, map[string]string{"listen": "listen", "data": "store.embedded.dir"})...)
	if err != nil || got.Config.Listen != ":1" || got.Config.EmbeddedDir() != "from-flag" || got.Source("store.embedded.dir") != "--data" {
		t.Errorf("%+v (%v)", got.Config, err)
	}
	var told bytes.Buffer
	s.err = &told
	if _, err := loadConfig(s, file, config.Override{Key: "listen", Value: "1", Flag: "--listen"}); err == nil || !strings.HasPrefix(told.String(), "--listen: listen: ") {
		t.Errorf("%v, %s", err, told.String())
	}
}

// TestTheConfigurationsDefaultsAreThoseOfThePackages keeps the documented defaults true for who calls the packages.
func TestTheConfigurationsDefaultsAreThoseOfThePackages(t *testing.T) {
	loaded, err := config.Load(config.Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	for key, same := range map[string]bool{
		"store.embedded.cacheBytes":  c.Store.Embedded.CacheBytes == embedded.DefaultCacheBytes,
		"store.embedded.keepChanges": c.Store.Embedded.KeepChanges == embedded.DefaultKeepChanges,
		"store.neo4j.connections":    c.Store.Neo4j.Connections == neo4j.DefaultMaxConnections,
		"store.neo4j.queryTimeout":   c.Store.Neo4j.QueryTimeout == neo4j.DefaultQueryTimeout,
		"cache.bytes":                c.Cache.Bytes == cached.DefaultMemoryBytes,
		"cache.ttl":                  c.Cache.TTL == cached.DefaultKeep,
		"cache.staleFor":             c.Cache.StaleFor <= cached.MaxTrust,
		"redis.timeout":              c.Redis.Timeout == cached.DefaultRedisTimeout,
		"replica.poll":               c.Replica.Poll == topology.DefaultPoll,
		"replica.maxStale":           c.Replica.MaxStale == topology.DefaultMaxStale,
	} {
		if !same {
			t.Errorf("%s has another default than its package", key)
		}
	}
	for text, wrong := range map[string]bool{strings.Repeat("x", cached.MinSecretBytes): false, strings.Repeat("x", cached.MinSecretBytes-1): true} {
		environ := []string{"CLEW_CACHE_KIND=redis", "CLEW_REDIS_URL=redis://cache", "CLEW_CACHE_SECRET=" + text}
		if _, err := config.Load(config.Options{Environ: environ}); (err != nil) != wrong {
			t.Errorf("a secret of %d bytes: %v", len(text), err)
		}
	}
	if _, err := config.Load(config.Options{Environ: []string{"CLEW_CACHE_STALE_FOR=" + (cached.MaxTrust + 1).String()}}); err == nil {
		t.Error("the cache may be staler than its package lets it")
	}
}
