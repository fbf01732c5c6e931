package realserver

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

// ask runs a query and returns the one number it gives.
func ask(t *testing.T, s *Server, password, cypher string) (int64, error) {
	t.Helper()
	auth := neo4j.NoAuth()
	if s.User != "" {
		auth = neo4j.BasicAuth(s.User, password, "")
	}
	d, err := neo4j.NewDriverWithContext(s.URL, auth)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	r, err := neo4j.ExecuteQuery(t.Context(), d, cypher, nil, neo4j.EagerResultTransformer)
	if err != nil {
		return 0, err
	}
	n, _, err := neo4j.GetRecordValue[int64](r.Records[0], "n")
	return n, err
}

func mustAsk(t *testing.T, s *Server, cypher string, want int64) {
	t.Helper()
	if n, err := ask(t, s, s.Password, cypher); n != want || err != nil {
		t.Fatalf("%s gives %d (%v), want %d", cypher, n, err, want)
	}
}

func TestNeo4jKeepsWhatWasCommittedThroughAStopAndACrash(t *testing.T) {
	s := Neo4j(t, Neo4jOptions{Own: true})
	mustAsk(t, s, "CREATE (:Kept) RETURN 1 AS n", 1)
	s.Stop(t)
	if s.PID() != 0 || answers(s.Addr) {
		t.Fatal("it still runs")
	}
	s.Restart(t)
	mustAsk(t, s, "MATCH (k:Kept) RETURN count(k) AS n", 1)
	mustAsk(t, s, "CREATE (:Kept) RETURN 1 AS n", 1)
	s.Kill(t)
	s.Restart(t)
	mustAsk(t, s, "MATCH (k:Kept) RETURN count(k) AS n", 2)
}

func TestNeo4jRefusesAWrongPassword(t *testing.T) {
	s := shared.Server(t)
	mustAsk(t, s, "RETURN 7 AS n", 7)
	var refused *neo4j.Neo4jError
	if _, err := ask(t, s, "wrong", "RETURN 7 AS n"); !errors.As(err, &refused) || !strings.Contains(refused.Code, "Unauthorized") {
		t.Errorf("error is %v", err)
	}
}

func TestTwoNeo4jRunAtOnceOneOfThemOpen(t *testing.T) {
	a, b := shared.Server(t), Neo4j(t, Neo4jOptions{Own: true, NoAuth: true, Heap: "300m"})
	if a.Addr == b.Addr || b.User != "" {
		t.Fatalf("%s and %s (user %q)", a.Addr, b.Addr, b.User)
	}
	mustAsk(t, b, "CREATE (:Here) RETURN 1 AS n", 1)
	mustAsk(t, a, "OPTIONAL MATCH (h:Here) RETURN count(h) AS n", 0)
}

func TestTheEnvironmentNamesANeo4j(t *testing.T) {
	own := shared.Server(t)
	t.Setenv(EnvNeo4j, "bolt://"+own.User+":"+own.Password+"@"+own.Addr)
	s := Neo4j(t, Neo4jOptions{})
	if s.URL != "bolt://"+own.Addr || s.Password != own.Password || s.Dir != "" {
		t.Errorf("got %s, directory %q", s.URL, s.Dir)
	}
	t.Setenv(EnvNeo4j, "bolt://"+own.Addr)
	t.Setenv(EnvNeo4jUser, own.User)
	t.Setenv(EnvNeo4jPassword, own.Password)
	mustAsk(t, Neo4j(t, Neo4jOptions{}), "RETURN 7 AS n", 7)
}

// files writes what Neo4j's importer reads.
func files(t *testing.T, nodes, relationships string) (o Neo4jOptions) {
	dir := t.TempDir()
	o = Neo4jOptions{Own: true, HTTP: true, Nodes: filepath.Join(dir, "nodes.csv"), Relationships: filepath.Join(dir, "rest.csv")}
	for path, text := range map[string]string{o.Nodes: nodes, o.Relationships: relationships} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestNeo4jIsFilledBeforeItsFirstStartAndAnswersOverHTTP(t *testing.T) {
	s := Neo4j(t, files(t, ":ID,id:long,:LABEL\n0,20,User\n1,10,Device\n", ":START_ID,:END_ID,:TYPE\n0,1,OWNS\n"))
	mustAsk(t, s, "MATCH (u:User)-[:OWNS]->(d:Device) WHERE id(u) = 0 AND id(d) = 1 RETURN u.id + d.id AS n", 30)
	r, err := http.Get(s.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), Neo4jVersion) {
		t.Errorf("over HTTP it says %q (%v)", body, err)
	}
	s.Restart(t)
	mustAsk(t, s, "MATCH ()-[r]->() RETURN count(r) AS n", 1)
}

func TestNeo4jDoesNotStartOnFilesThatCannotBeRead(t *testing.T) {
	if _, _, err := findNeo4j(); err != nil {
		give(t, nil, err)
	}
	s, err := openNeo4j(files(t, ":ID,id:long,:LABEL\n0,no number,User\n", ":START_ID,:END_ID,:TYPE\n"))
	if s != nil || err == nil || !strings.Contains(err.Error(), "input data") {
		t.Errorf("error is %v", err)
	}
}
