package realserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"
)

// fetchLimit bounds the download inside a test, importLimit the filling of a server (a minute for ten million edges).
const fetchLimit, importLimit = 10 * time.Minute, 10 * time.Minute

// Neo4jOptions of a server; the zero value serves.
type Neo4jOptions struct {
	// Own asks for a server of the test's own although the environment names one: to kill it, or to measure.
	Own bool
	// NoAuth lets everybody in.
	NoAuth bool
	// Heap is fixed in size from the start; "" means "512m".
	Heap string
	// PageCache is memory for the files; "" means "64m".
	PageCache string
	// Settings are more lines of neo4j.conf.
	Settings map[string]string
	// HTTP opens the Query API over HTTP beside bolt, at Server.HTTP.
	HTTP bool
	// Nodes and Relationships are CSV files, with headers, with which the server is filled before its first start
	// by Neo4j's own importer; the ids in them are to be those of the database ("actual", from 0). Only for an Own
	// server. "" for none.
	Nodes, Relationships string
}

// Neo4j gives the test a Neo4j Community server, ready for use: the one that the environment names, else one of
// its own that ends with the test. A start takes seconds: see SharedNeo4j. Where there is no server the test
// skips, or fails with REQUIRE_REAL=1. A named server may hold other data: a test uses its own tenants.
func Neo4j(t testing.TB, o Neo4jOptions) *Server {
	t.Helper()
	s, err := openNeo4j(o)
	return lend(t, s, err)
}

func openNeo4j(o Neo4jOptions) (*Server, error) {
	if named := os.Getenv(EnvNeo4j); named != "" && !o.Own {
		return namedNeo4j(named)
	}
	java, jars, err := findNeo4j()
	if err != nil {
		return nil, err
	}
	k := &kind{name: "neo4j", ready: neo4jReady, start: func(s *Server) (*child, error) {
		return spawn(neo4jCommand(java, jars, s.Dir, cmp.Or(o.Heap, "512m")), s.console())
	}}
	return begin(k, func(s *Server, port int) error {
		s.URL = "bolt://" + s.Addr
		if !o.NoAuth {
			s.User, s.Password = "neo4j", rand.Text()
		}
		if err := s.openHTTP(&o); err != nil {
			return err
		}
		if err := writeConfig(s.Dir, port, o); err != nil || o.Nodes == "" {
			return err
		}
		return importFiles(neo4jImporter(java, jars, s.Dir, o), s.console())
	})
}

// openHTTP puts the settings for the Query API into o where it asks for that.
func (s *Server) openHTTP(o *Neo4jOptions) error {
	if !o.HTTP {
		return nil
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	s.HTTP = "http://" + addr
	o.Settings = maps.Clone(o.Settings)
	if o.Settings == nil {
		o.Settings = map[string]string{}
	}
	o.Settings["server.http.enabled"], o.Settings["server.http.listen_address"] = "true", addr
	return nil
}

func namedNeo4j(named string) (*Server, error) {
	u, err := url.Parse(named)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%s is not a bolt URL: %v", EnvNeo4j, err)
	}
	password, _ := u.User.Password()
	s := &Server{
		Addr: u.Hostname() + ":" + cmp.Or(u.Port(), "7687"), kind: &kind{name: "neo4j", ready: neo4jReady},
		User: cmp.Or(u.User.Username(), os.Getenv(EnvNeo4jUser)), Password: cmp.Or(password, os.Getenv(EnvNeo4jPassword)),
	}
	u.User = nil
	s.URL = u.String()
	return adopt(s, EnvNeo4j)
}

// neo4jCommand is what the bin/neo4j script of the distribution comes down to.
func neo4jCommand(java, jars, dir, heap string) *exec.Cmd {
	args := []string{"-Xms" + heap, "-Xmx" + heap, "-XX:+UseG1GC", "-Dfile.encoding=UTF-8"}
	for _, p := range []string{"java.nio", "java.io", "sun.nio.ch", "java.lang", "java.util.concurrent"} {
		args = append(args, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	args = append(args, "-cp", filepath.Join(jars, "*"), "org.neo4j.server.CommunityEntryPoint",
		"--home-dir="+dir, "--config-dir="+filepath.Join(dir, "conf"))
	return exec.Command(java, args...)
}

// neo4jImporter is what `neo4j-admin database import full` comes down to.
func neo4jImporter(java, jars, dir string, o Neo4jOptions) *exec.Cmd {
	cmd := exec.Command(java, "-Xmx"+cmp.Or(o.Heap, "512m"), "-cp", filepath.Join(jars, "*"), "org.neo4j.cli.AdminTool",
		"database", "import", "full", "neo4j", "--id-type=actual", "--report-file="+filepath.Join(dir, "import.report"),
		"--nodes="+o.Nodes, "--relationships="+o.Relationships)
	cmd.Env = append(os.Environ(), "NEO4J_HOME="+dir, "NEO4J_CONF="+filepath.Join(dir, "conf"))
	return cmd
}

// importFiles runs the importer to its end.
func importFiles(importer *exec.Cmd, console string) error {
	c, err := spawn(importer, console)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(importLimit):
		return errors.Join(fmt.Errorf("the import did not end within %v", importLimit), c.kill())
	}
	if c.err != nil {
		return fmt.Errorf("importing: %w\n%s", c.err, tail(console))
	}
	return nil
}

func writeConfig(dir string, port int, o Neo4jOptions) error {
	settings := map[string]string{
		"server.bolt.listen_address":              fmt.Sprintf("127.0.0.1:%d", port),
		"server.http.enabled":                     "false",
		"server.https.enabled":                    "false",
		"server.memory.pagecache.size":            cmp.Or(o.PageCache, "64m"),
		"dbms.security.auth_enabled":              fmt.Sprint(!o.NoAuth),
		"dbms.usage_report.enabled":               "false",
		"db.tx_log.preallocate":                   "false",
		"server.config.strict_validation.enabled": "true",
	}
	maps.Copy(settings, o.Settings)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		lines = append(lines, name+"="+settings[name]+"\n")
	}
	conf := filepath.Join(dir, "conf")
	if err := os.MkdirAll(conf, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(conf, "neo4j.conf"), []byte(strings.Join(lines, "")), 0o600)
}

// neo4jReady runs a query with the server's password. A new server has the password "neo4j" and wants another
// before it does anything.
func neo4jReady(ctx context.Context, s *Server) error {
	err := runOnce(ctx, s, s.Password, "neo4j", "RETURN 1", nil)
	var refused *neo4j.Neo4jError
	if s.Dir == "" || s.User == "" || !errors.As(err, &refused) || refused.Code != "Neo.ClientError.Security.Unauthorized" {
		return err
	}
	change := "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
	if err := runOnce(ctx, s, "neo4j", "system", change, map[string]any{"old": "neo4j", "new": s.Password}); err != nil {
		return err
	}
	return runOnce(ctx, s, s.Password, "neo4j", "RETURN 1", nil)
}

// runOnce runs a statement without the driver's retries.
func runOnce(ctx context.Context, s *Server, password, database, cypher string, params map[string]any) error {
	auth := neo4j.NoAuth()
	if s.User != "" {
		auth = neo4j.BasicAuth(s.User, password, "")
	}
	driver, err := neo4j.NewDriverWithContext(s.URL, auth, func(c *config.Config) { c.TelemetryDisabled = true })
	if err != nil {
		return err
	}
	defer driver.Close(ctx)
	session := driver.NewSession(ctx, neo4j.SessionConfig{DatabaseName: database})
	defer session.Close(ctx)
	result, err := session.Run(ctx, cypher, params)
	if err != nil {
		return err
	}
	_, err = result.Consume(ctx)
	return err
}
