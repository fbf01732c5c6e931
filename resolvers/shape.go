package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// shapeLimit refuses a document by what is written in it, before it is validated: some of the validation's
// rules take time by the square of it.
type shapeLimit struct{ limits Limits }

// ExtensionName names it to gqlgen.
func (shapeLimit) ExtensionName() string { return "ShapeLimit" }

// Validate has nothing to check.
func (shapeLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters refuses or passes on. A document that does not parse is left to the executor.
func (x shapeLimit) MutateOperationParameters(_ context.Context, p *graphql.RawParams) *gqlerror.Error {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: p.Query}, x.limits.Tokens)
	if err != nil {
		return nil
	}
	s := shape{fragments: doc.Fragments, depths: map[string]int{}}
	depth := 0
	for _, o := range doc.Operations {
		s.directives += len(o.Directives)
		depth = max(depth, s.depth(o.SelectionSet))
	}
	for _, f := range doc.Fragments {
		s.directives += len(f.Directives)
		depth = max(depth, s.fragment(f.Name))
	}
	return x.check(s, depth)
}

func (x shapeLimit) check(s shape, depth int) *gqlerror.Error {
	for _, c := range []struct {
		code, what  string
		have, limit int
	}{
		{codeTooDeep, "depth", depth, x.limits.Depth},
		{codeTooLarge, "fields", s.fields, x.limits.Fields},
		{codeTooLarge, "aliases", s.aliases, x.limits.Aliases},
		{codeTooLarge, "fragment spreads", s.spreads, x.limits.Spreads},
		{codeTooLarge, "directives", s.directives, x.limits.Directives},
	} {
		if c.have > c.limit {
			return overLimit(c.code, "the document's "+c.what, c.have, c.limit)
		}
	}
	return nil
}

// shape counts what is written, each fragment once however often it is spread.
type shape struct {
	fragments                            ast.FragmentDefinitionList
	depths                               map[string]int
	fields, aliases, spreads, directives int
}

func (s *shape) depth(set ast.SelectionSet) int {
	deepest := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			deepest = max(deepest, s.field(sel))
		case *ast.InlineFragment:
			s.directives += len(sel.Directives)
			deepest = max(deepest, s.depth(sel.SelectionSet))
		case *ast.FragmentSpread:
			s.spreads++
			s.directives += len(sel.Directives)
			deepest = max(deepest, s.fragment(sel.Name))
		}
	}
	return deepest
}

func (s *shape) field(f *ast.Field) int {
	s.fields++
	s.directives += len(f.Directives)
	if f.Alias != f.Name {
		s.aliases++
	}
	below := s.depth(f.SelectionSet)
	if f.Name == "__schema" || f.Name == "__type" {
		return 1
	}
	return 1 + below
}

// fragment is the depth of a fragment; one that contains itself, which validation refuses, ends there.
func (s *shape) fragment(name string) int {
	if d, ok := s.depths[name]; ok {
		return d
	}
	s.depths[name] = 0
	if f := s.fragments.ForName(name); f != nil {
		s.depths[name] = s.depth(f.SelectionSet)
	}
	return s.depths[name]
}
