package resolvers

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers/internal/model"
	"github.com/clew-security/clew/story"
)

// The cost of a query is the number of fields of the greatest answer it can have, and a surcharge for fields
// that take more work than their answer shows:
//
//	cost(field)      = 1 + surcharge + size · Σ cost(children)
//	size(connection) = 1; of edges and nodes in it, its `first`
//	size(list)       = its greatest length where it has one, else listSize
//	size(other)      = 1
//
// Each fragment is reckoned once for each size it is spread at, sums saturate, and reckoning ends at the
// limit: a document of fragments that spread each other twice has 2^n paths.

// listSize is taken for the length of lists that have no `first` and are not in sizes.
const listSize = 10

// sizes are the lengths of lists by type and name, or by name for every type: the greatest where there is
// one, for evidence what few alerts have more than. An answer with more of it ends at Limits.Resolved.
var sizes = map[string]int{
	"Query.attackStory":   story.DefaultSteps,
	"AttackStory.steps":   story.DefaultSteps,
	"Alert.evidence":      20,
	"Relation.alerts":     graph.MaxEdgeAlerts,
	"WitnessStep.alerts":  graph.MaxEdgeAlerts,
	"Link.alerts":         2,
	"BlastRadius.sources": model.MaxArgument,
	"BlastRadius.hubs":    model.MaxHubs,

	"Paths.routes":       traverse.MaxPaths,
	"ChokePoints.points": traverse.MaxChokePoints,

	"ContainmentPlan.responses": traverse.MaxPlanResponses,
	"ContainmentPlan.remaining": model.MaxRemaining,

	"SetAssetCriticalityPayload.entities": model.MaxArgument,
}

// surcharges of fields, by type and name, or by name for every type.
var surcharges = map[string]int{
	"setAssetCriticality": 1_000,  // reads and writes a hundred entities, durably
	"attackStory":         1_000,  // reads all alerts of an incident
	"blastRadius":         2_000,  // walks up to its budget of relations
	"attackPaths":         4_000,  // walks as a blast radius, and tells the ways
	"containment":         5_000,  // asks for two blast radii
	"graphDiff":           5_000,  // asks for two blast radii, perhaps of the store
	"paths":               20_000, // searches for each hop of each path
	"chokePoints":         20_000, // searches up to 41 times
	"containmentPlan":     60_000, // searches up to 2,000 times: once in an operation
	"Incident.entities":   100,    // reads all alerts of an incident
	"neighbors":           20,     // reads all relations of an entity
	"totalCount":          10,     // counts up to 10,000
	"__schema":            60_000, // once in an operation
	"__type":              1_000,
}

// longLists are the arguments that may have more items than others, by name.
var longLists = map[string]int{"actions": traverse.MaxResponses}

// lookUp finds a field in a table by type and name, else by name; 0 where it is not there.
func lookUp(table map[string]int, f *ast.Field) int {
	if n, ok := table[f.ObjectDefinition.Name+"."+f.Name]; ok {
		return n
	}
	return table[f.Name]
}

// costLimit refuses a query that may cost too much, and one with a `first` that no page can have.
type costLimit struct {
	schema *ast.Schema
	limits Limits
}

// ExtensionName names it to gqlgen.
func (costLimit) ExtensionName() string { return "CostLimit" }

// Validate has nothing to check.
func (costLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses or passes on.
func (x costLimit) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	c := costs{schema: x.schema, variables: op.Variables, limit: x.limits.Cost, fragments: map[sized]int{}}
	cost := c.selection(op.Operation.SelectionSet, 1)
	if c.err != nil {
		return codedError(codeInvalidArgument, plain(c.err, graph.ErrInvalid))
	}
	if cost > x.limits.Cost {
		return overLimit(codeTooCostly, "the query's cost", cost, x.limits.Cost)
	}
	return nil
}

// sized is a fragment where the connection that it is spread in has pages of this size.
type sized struct {
	fragment string
	page     int
}

type costs struct {
	schema    *ast.Schema
	variables map[string]any
	limit     int
	fragments map[sized]int
	err       error
}

// selection is the cost of what is selected of an object that, if it is a connection, has pages of this size.
func (c *costs) selection(set ast.SelectionSet, page int) int {
	sum := 0
	spread := map[string]bool{} // again in the same selection it adds nothing to the answer
	for _, sel := range set {
		if c.err != nil || sum > c.limit {
			break
		}
		switch sel := sel.(type) {
		case *ast.Field:
			sum = add(sum, c.field(sel, page))
		case *ast.InlineFragment:
			sum = add(sum, c.selection(sel.SelectionSet, page))
		case *ast.FragmentSpread:
			if !spread[sel.Name] {
				spread[sel.Name] = true
				sum = add(sum, c.spread(sel, page))
			}
		}
	}
	return sum
}

func (c *costs) spread(s *ast.FragmentSpread, page int) int {
	key := sized{s.Name, page}
	cost, ok := c.fragments[key]
	if !ok && s.Definition != nil {
		cost = c.selection(s.Definition.SelectionSet, page)
		c.fragments[key] = cost
	}
	return cost
}

func (c *costs) field(f *ast.Field, page int) int {
	own := 1 + lookUp(surcharges, f)
	c.lists(f)
	if strings.HasPrefix(f.Name, "__") || len(f.SelectionSet) == 0 || f.Definition == nil {
		return own
	}
	first := 1
	if strings.HasSuffix(f.Definition.Type.Name(), "Connection") {
		first = c.first(f)
	}
	size := 1
	if f.Definition.Type.Elem != nil {
		if size = cmp.Or(lookUp(sizes, f), listSize); inConnection(f) {
			size = page
		}
	}
	return add(own, times(size, c.selection(f.SelectionSet, first)))
}

// lists refuses a long list anywhere in the arguments: they are read again for every row that has the field.
func (c *costs) lists(f *ast.Field) {
	if len(f.Arguments) == 0 || f.Definition == nil {
		return
	}
	for name, v := range f.ArgumentMap(c.variables) {
		most := cmp.Or(longLists[name], model.MaxArgument)
		if n := longest(v, most); n > most && c.err == nil {
			c.err = fmt.Errorf("%w: a list of %d in an argument, at most %d are possible", graph.ErrInvalid, n, most)
		}
	}
}

// longest is the length of the longest list in a value; in one of more than most items it looks no further.
func longest(v any, most int) int {
	n := 0
	switch v := v.(type) {
	case []any:
		n = len(v)
		for _, item := range v[:min(n, most)] {
			n = max(n, longest(item, most))
		}
	case map[string]any:
		for _, item := range v {
			n = max(n, longest(item, most))
		}
	}
	return n
}

// inConnection reports whether the field lists the items of a page.
func inConnection(f *ast.Field) bool {
	return strings.HasSuffix(f.ObjectDefinition.Name, "Connection")
}

// first is the number of items a connection may have, by the same rule as its resolver's.
func (c *costs) first(f *ast.Field) int {
	v := f.ArgumentMap(c.variables)["first"]
	n, err := model.UnmarshalInt32(v)
	size := model.DefaultFirst
	if err == nil && v != nil {
		size, err = model.PageSize(&n)
	}
	if err != nil && c.err == nil {
		c.err = err
	}
	return size
}

// add and times stop at what every limit is below.
func add(a, b int) int {
	if a > math.MaxInt32-b {
		return math.MaxInt32
	}
	return a + b
}

func times(a, b int) int {
	if b != 0 && a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}
