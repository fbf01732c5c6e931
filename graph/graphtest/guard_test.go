package graphtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/clew-security/clew/"

// parsed gives the syntax of the package's files, or of one folder's tests.
func parsed(t *testing.T, pattern string) (out []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

// skips are the selectors in a syntax tree by which a test is left out.
func skips(n ast.Node) (out []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow", "Short"}, s.Sel.Name) {
			out = append(out, s.Sel.Name)
		}
		return true
	})
	return out
}

// The suite cannot know which store it runs on, so it can make no exception for one.
func TestTheSuiteKnowsNoStore(t *testing.T) {
	for _, f := range parsed(t, "*.go") {
		if strings.HasSuffix(f.Name.Name, "_test") {
			continue
		}
		for _, i := range f.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if inner, ours := strings.CutPrefix(path, module); ours && slices.Contains([]string{"graph/embedded", "graph/neo4j", "graph/cached"}, inner) {
				t.Errorf("the suite imports %s", inner)
			}
		}
		if found := skips(f); len(found) > 0 {
			t.Errorf("the suite calls %v", found)
		}
	}
}

// runsSuite reports whether a function calls Run, or another one that runs checks, of this package.
func runsSuite(n ast.Node) (yes bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Run") {
			p, ok := s.X.(*ast.Ident)
			yes = yes || ok && p.Name == "graphtest"
		}
		return true
	})
	return yes
}

// A test that runs the suite leaves nothing out, whatever the store; where a server is missing, the place that
// starts it says so for all its tests.
func TestWhoRunsTheSuiteSkipsNothing(t *testing.T) {
	var folders []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == "../graphtest" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(source), "graphtest.Run") {
			return err
		}
		for _, f := range parsed(t, path) {
			for _, d := range f.Decls {
				if runsSuite(d) {
					folders = append(folders, filepath.Base(filepath.Dir(path)))
					if found := skips(d); len(found) > 0 {
						t.Errorf("%s calls %v beside the suite", path, found)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(folders)
	if folders = slices.Compact(folders); !slices.Equal(folders, []string{"cached", "embedded", "neo4j"}) {
		t.Errorf("the suite runs on %v", folders)
	}
}
