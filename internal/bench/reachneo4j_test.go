package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/realserver"
)

// reachServer is a Neo4j that holds a graph and nothing else: nodes with the label of their kind and one number,
// relationships with their type. The product keeps a tenant, keys, facts and times beside them, and an observation on
// every relationship; all of that would only make Neo4j's records longer and its answers later. A node's number in the
// database is that of the graph (the importer is told so), and its property id is its place in the order of ids: so a
// node is found without an index, ids are compared as numbers, and making texts of them is left to the client, where it
// costs nothing. A program that had to live on this server could use neither.
type reachServer struct {
	*reachGraph
	*realserver.Server
	driver neo4j.DriverWithContext
	client *http.Client
}

func newReachServer(t testing.TB, g *reachGraph, heap, pageCache string) *reachServer {
	nodes, relationships := g.writeCSV(t)
	s := realserver.Neo4j(t, realserver.Neo4jOptions{
		Own: true, HTTP: true, Heap: heap, PageCache: pageCache, Nodes: nodes, Relationships: relationships,
	})
	driver, err := neo4j.NewDriverWithContext(s.URL, neo4j.BasicAuth(s.User, s.Password, ""))
	if err != nil {
		t.Fatal(err)
	}
	r := &reachServer{g, s, driver, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyClients}}}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		_ = driver.Close(context.Background())
	})
	if err := r.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// warm reads all nodes, properties and relationships into the page cache, and checks that all are there.
func (r *reachServer) warm(ctx context.Context) error {
	found, err := r.bolt(ctx, `MATCH (n) WITH count(n.id) AS nodes, max(n.id) AS last
MATCH ()-[r]->() RETURN nodes, last, count(id(r)) AS edges, max(id(r))`, nil)
	if err != nil {
		return err
	}
	if nodes, edges := found[0][0], found[0][2]; nodes != int64(len(r.ids)) || edges != int64(len(r.edges)) {
		return fmt.Errorf("neo4j holds %v nodes and %v relationships, want %d and %d", nodes, edges, len(r.ids), len(r.edges))
	}
	return nil
}

// writeCSV writes the graph as Neo4j's importer reads it, and returns the files of nodes and of relationships.
func (g *reachGraph) writeCSV(t testing.TB) (nodes, relationships string) {
	dir := t.TempDir()
	nodes, relationships = filepath.Join(dir, "nodes.csv"), filepath.Join(dir, "relationships.csv")
	writeLines(t, nodes, func(w *bufio.Writer) {
		fmt.Fprintln(w, ":ID,id:long,:LABEL")
		for n, id := range g.ids {
			fmt.Fprintf(w, "%d,%d,%s\n", n, g.rank[n], label(id.Kind()))
		}
	})
	writeLines(t, relationships, func(w *bufio.Writer) {
		fmt.Fprintln(w, ":START_ID,:END_ID,:TYPE")
		for _, e := range g.edges {
			fmt.Fprintf(w, "%d,%d,%s\n", e.from, e.to, relationship(e.kind))
		}
	})
	return nodes, relationships
}

func writeLines(t testing.TB, path string, write func(*bufio.Writer)) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	write(w)
	if err := cmp.Or(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// statement runs one in a transaction of its own and returns its rows; whole numbers are int64.
type statement func(ctx context.Context, cypher string, params map[string]any) ([][]any, error)

func (r *reachServer) bolt(ctx context.Context, cypher string, params map[string]any) (rows [][]any, err error) {
	session := r.driver.NewSession(ctx, neo4j.SessionConfig{DatabaseName: "neo4j", AccessMode: neo4j.AccessModeRead})
	defer func() { err = cmp.Or(err, session.Close(ctx)) }()
	result, err := session.Run(ctx, cypher, params)
	if err != nil {
		return nil, err
	}
	for result.Next(ctx) {
		rows = append(rows, result.Record().Values)
	}
	return rows, result.Err()
}

// http asks by the Query API.
func (r *reachServer) http(ctx context.Context, cypher string, params map[string]any) ([][]any, error) {
	body, err := json.Marshal(map[string]any{"statement": cypher, "parameters": params})
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.HTTP+"/db/neo4j/query/v2", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.SetBasicAuth(r.User, r.Password)
	q.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Data   struct{ Values [][]any }
		Errors []struct{ Message string }
	}
	d := json.NewDecoder(response.Body)
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	if len(answer.Errors) > 0 {
		return nil, fmt.Errorf("%s: %s", response.Status, answer.Errors[0].Message)
	}
	for _, row := range answer.Data.Values {
		wholeNumbers(row)
	}
	return answer.Data.Values, nil
}

// wholeNumbers puts an int64 for every number.
func wholeNumbers(values []any) {
	for i, v := range values {
		switch v := v.(type) {
		case json.Number:
			if n, err := v.Int64(); err == nil {
				values[i] = n
			}
		case []any:
			wholeNumbers(v)
		}
	}
}

// byDepth asks in one of two ways, as is best for the depth.
type byDepth struct {
	title         string
	shallow, deep side
}

// shallowHops is the depth to which sending the nodes is quicker than counting them in the database.
const shallowHops = 2

func (d byDepth) name() string    { return d.title }
func (d byDepth) witnesses() bool { return true }

func (d byDepth) reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	if hops <= shallowHops {
		return d.shallow.reach(ctx, seed, hops)
	}
	return d.deep.reach(ctx, seed, hops)
}

// sides are the best way that was found, the second best, and the best one over HTTP, which a GraphQL service over HTTP
// is rather to be compared with.
func (r *reachServer) sides() []side {
	pattern, frontiers := byPattern{r, r.bolt}, byFrontiers{r, r.bolt}
	return []side{
		byDepth{"neo4j", frontiers, pattern},
		byDepth{"neo4j, the other way", pattern, frontiers},
		byDepth{"neo4j over HTTP", byFrontiers{r, r.http}, byPattern{r, r.http}},
	}
}

// byPattern asks Neo4j for the counts by one pattern of variable length, which it plans as a breadth-first search
// (VarLengthExpand(Pruning,BFS)), and for the first nodes level by level, until there are enough.
type byPattern struct {
	*reachServer
	run statement
}

func (p byPattern) name() string    { return "neo4j by pattern" }
func (p byPattern) witnesses() bool { return true }

// countsWithin is the statement for so many hops; without a number in the text Neo4j has no such pattern.
func countsWithin(hops int) string {
	return fmt.Sprintf("MATCH (s)-[*1..%d]-(n) WHERE id(s) = $seed AND n <> s WITH DISTINCT n RETURN labels(n) AS kind, count(*)", hops)
}

// nextLevel gives the first nodes beside the frontier, each with one that it is beside. Of fewer than firstNodes nodes
// seen all are known, so that $seen is short.
const nextLevel = `UNWIND $q.frontier AS f MATCH (m)--(n) WHERE id(m) = f
WITH n, min(f) AS prev WHERE NOT id(n) IN $q.seen
WITH n, n.id AS place, prev ORDER BY place LIMIT $most RETURN id(n), prev`

func (p byPattern) reach(ctx context.Context, seed graph.ID, hops int) (a reachAnswer, err error) {
	counted := make(chan error, 1)
	go func() { // beside the other statements, on another core of the server
		var err error
		a.counts, err = p.count(ctx, p.number[seed], hops)
		counted <- err
	}()
	first, err := p.firstWithin(ctx, p.number[seed], hops)
	err = cmp.Or(<-counted, err)
	a.first = first
	return a, err
}

func (p byPattern) count(ctx context.Context, seed uint32, hops int) (map[graph.Kind]int, error) {
	rows, err := p.run(ctx, countsWithin(hops), map[string]any{"seed": seed})
	counts := map[graph.Kind]int{}
	for _, row := range rows {
		counts[kindsByLabel[row[0].([]any)[0].(string)]] = int(row[1].(int64))
	}
	return counts, err
}

func (p byPattern) firstWithin(ctx context.Context, seed uint32, hops int) (first []reachedNode, err error) {
	seen := []int64{int64(seed)}
	for h, frontier := 1, seen; h <= hops && len(first) < firstNodes && len(frontier) > 0; h++ {
		rows, err := p.run(ctx, nextLevel, map[string]any{
			"q": map[string]any{"frontier": frontier, "seen": seen}, "most": firstNodes - len(first),
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			first = append(first, reachedNode{id: p.ids[row[0].(int64)], hops: h, prev: p.ids[row[1].(int64)]})
			seen = append(seen, row[0].(int64))
		}
		frontier = seen[len(seen)-len(rows):]
	}
	return first, nil
}

var kindsByLabel = func() map[string]graph.Kind {
	out := map[string]graph.Kind{}
	for k := graph.Kind(1); k.Entity(); k++ {
		out[label(k)] = k
	}
	return out
}()

// byFrontiers keeps what is seen at the client and asks for the neighbours of a whole frontier at once, a statement for
// each level. The kinds are known to the client, by the ids.
type byFrontiers struct {
	*reachServer
	run statement
}

func (f byFrontiers) name() string    { return "neo4j by frontiers" }
func (f byFrontiers) witnesses() bool { return true }

const (
	neighboursOf = `UNWIND $q.frontier AS f MATCH (m)--(n) WHERE id(m) = f RETURN collect(DISTINCT id(n))`

	// neighboursBeside gives each with one that it is beside.
	neighboursBeside = `UNWIND $q.frontier AS f MATCH (m)--(n) WHERE id(m) = f
WITH id(n) AS n, min(f) AS prev RETURN collect(n), collect(prev)`
)

func (f byFrontiers) reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	a := reachAnswer{counts: map[graph.Kind]int{}}
	seen := map[int64]bool{int64(f.number[seed]): true}
	frontier := []int64{int64(f.number[seed])}
	for h := 1; h <= hops && len(frontier) > 0; h++ {
		cypher := neighboursOf
		if len(a.first) < firstNodes {
			cypher = neighboursBeside
		}
		rows, err := f.run(ctx, cypher, map[string]any{"q": map[string]any{"frontier": frontier}})
		if err != nil {
			return a, err
		}
		var fresh []int // places in the lists
		for i, n := range rows[0][0].([]any) {
			if !seen[n.(int64)] {
				seen[n.(int64)], fresh = true, append(fresh, i)
			}
		}
		frontier = f.take(&a, rows[0], fresh, h)
	}
	return a, nil
}

// take puts the fresh nodes of one level into the answer and returns them.
func (f byFrontiers) take(a *reachAnswer, lists []any, fresh []int, hops int) []int64 {
	nodes, level := lists[0].([]any), make([]int64, len(fresh))
	for i, at := range fresh {
		level[i] = nodes[at].(int64)
		a.counts[f.ids[level[i]].Kind()]++
	}
	if len(a.first) < firstNodes {
		prev := lists[1].([]any)
		slices.SortFunc(fresh, func(x, y int) int { return cmp.Compare(f.rank[nodes[x].(int64)], f.rank[nodes[y].(int64)]) })
		for _, at := range fresh[:min(len(fresh), firstNodes-len(a.first))] {
			a.first = append(a.first, reachedNode{id: f.ids[nodes[at].(int64)], hops: hops, prev: f.ids[prev[at].(int64)]})
		}
	}
	return level
}
