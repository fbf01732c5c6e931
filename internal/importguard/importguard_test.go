// Package importguard fails the build on an arrow that the design's table of rooms does not have.
package importguard

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/clew-security/clew/"

// rooms says what each room may import of this module. A room is a folder with everything below it; its
// own parts may import one another.
var rooms = map[string][]string{
	"graph":           {},
	"graph/compact":   {"graph"},
	"graph/traverse":  {"graph", "graph/compact"},
	"graph/graphtest": {"graph", "graph/archive"},
	"graph/rules":     {"graph"},
	"graph/topology":  {"graph", "graph/compact"},
	"graph/archive":   {"graph"},
	"graph/retention": {"graph"},
	"graph/embedded":  {"graph", "graph/rules"},
	"graph/neo4j":     {"graph", "graph/rules"},
	"graph/cached":    {"graph"},
	"internal/estate": {"graph"},
	"internal/bench":  {"*"},
	"ingest":          {"graph"},
	"correlate":       {"graph", "graph/traverse"},
	"story":           {"graph", "graph/traverse"},
	"resolvers":       {"graph", "graph/traverse", "story", "correlate"},
	"explorer":        {},
	"client":          {},
	"internal":        {},
	"cmd/clew":        {"*"},
}

// outside says which modules the lowest room may import: the standard library and the IDNA tables.
var outside = map[string][]string{"graph": {"golang.org/x/net/idna"}, "graph/traverse": {}, "client": {}, "explorer": {}}

func TestImportsFollowTheTableOfRooms(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") && path != root {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			checked++
			rel, _ := filepath.Rel(root, path)
			checkFile(t, path, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil || checked < 20 {
		t.Fatalf("%d files checked (%v)", checked, err)
	}
}

func checkFile(t *testing.T, path, rel string) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	room := roomOf(rel)
	if room == "" {
		t.Errorf("%s lies in no room of the table", rel)
		return
	}
	for _, i := range f.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		if why := forbidden(room, name); why != "" {
			t.Errorf("%s imports %s: %s", rel, name, why)
		}
	}
}

// roomOf is the longest room that holds the file.
func roomOf(rel string) string {
	best := ""
	for room := range rooms {
		if strings.HasPrefix(rel, room+"/") && len(room) > len(best) {
			best = room
		}
	}
	return best
}

func forbidden(room, name string) string {
	if local, ok := strings.CutPrefix(name, module); ok {
		other := roomOf(local + "/")
		if other == room || slices.Contains(rooms[room], other) || slices.Contains(rooms[room], "*") {
			return ""
		}
		return "room " + room + " may not use room " + other
	}
	allowed, limited := outside[room]
	if std := !strings.Contains(strings.Split(name, "/")[0], "."); std || !limited || slices.Contains(allowed, name) {
		return ""
	}
	return "room " + room + " stands on the standard library"
}

func TestTheGuardRefuses(t *testing.T) {
	for _, c := range []struct{ room, name string }{
		{"graph", module + "graph/embedded"}, {"graph", "github.com/cockroachdb/pebble/v2"},
		{"ingest", module + "correlate"}, {"story", module + "ingest/format"}, {"client", module + "graph"},
		{"graph/traverse", "golang.org/x/net/idna"}, {"internal", module + "graph"},
	} {
		if forbidden(c.room, c.name) == "" {
			t.Errorf("%s may import %s", c.room, c.name)
		}
	}
	for _, c := range []struct{ room, name string }{
		{"graph", "golang.org/x/net/idna"}, {"ingest", module + "ingest/format"}, {"cmd/clew", module + "story"}, {"graph", "fmt"},
	} {
		if why := forbidden(c.room, c.name); why != "" {
			t.Errorf("%s may not import %s: %s", c.room, c.name, why)
		}
	}
	if _, err := os.Stat("../../go.mod"); err != nil {
		t.Error("the guard does not stand in the module")
	}
}
