package resolvers_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// The page on blast radius has a row for every action, with the domain's own words, and queries that are answered.
func TestThePageOnBlastRadiusIsTrue(t *testing.T) {
	text, err := os.ReadFile("../docs/blast-radius.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, row := range graph.ContainmentTable() {
		var kinds []string
		for _, k := range row.Kinds {
			kinds = append(kinds, k.String())
		}
		if line := fmt.Sprintf("| `%s` | %s | %s | %s |", row.Action, strings.Join(kinds, ", "), row.Why, row.KeepsWhy); !strings.Contains(page, line) {
			t.Errorf("the page does not say %s", line)
		}
	}
	p := newPhishing(t)
	h := handler(p.store)
	variables := []any{"incident", "1", "account", p.ann.ID().String(), "asset", p.server.ID().String()}
	queries := regexp.MustCompile("(?s)```graphql\n(.*?)```").FindAllStringSubmatch(page, -1)
	for _, q := range queries {
		ask(t, h, q[1], named(q[1], variables)...)
	}
	for _, field := range []string{"blastRadius", "containment", "containmentPlan", "paths", "attackPaths", "chokePoints", "graphDiff"} {
		if !strings.Contains(fmt.Sprint(queries), "  "+field+"(") {
			t.Errorf("no query asks for %s", field)
		}
	}
}
