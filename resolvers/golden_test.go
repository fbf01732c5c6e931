package resolvers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "record the golden answers anew")

// Each testdata/*.graphql is asked of the phishing estate; its answer is the .json beside it.
func TestMainQueriesAreAnsweredAsRecorded(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	files, err := filepath.Glob("testdata/*.graphql")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d queries, %v", len(files), err)
	}
	variables := []any{"incident", "1", "redirected", "2", "alert", p.pcAlert.String(), "entity", p.ann.ID().String(), "named", p.named.ID().String(),
		"server", p.server.ID().String(), "mail", p.mail.ID().String()}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".graphql"), func(t *testing.T) {
			query, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := ask(t, h, string(query), named(string(query), variables)...)
			compare(t, strings.TrimSuffix(file, ".graphql")+".json", a.body)
		})
	}
}

// named keeps the variables that the query declares.
func named(query string, variables []any) (out []any) {
	for i := 0; i < len(variables); i += 2 {
		if strings.Contains(query, "$"+variables[i].(string)+":") {
			out = append(out, variables[i:i+2]...)
		}
	}
	return out
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), pretty.String()); d != "" {
		t.Errorf("%s differs; record it with -update if that is meant (-want +got):\n%s", file, d)
	}
}
