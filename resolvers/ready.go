package resolvers

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/clew-security/clew/resolvers/internal/model"
)

// ready writes the items of a list at once where nothing is asked of them but fields that lie ready. gqlgen starts a
// goroutine for each item and a chain of calls for each field of it, which for a list of a hundred ids costs more than
// finding them.
type ready[T any] struct {
	typeName string
	fields   map[string]func(T) graphql.Marshaler
}

// targets are ready but for the routes and the entity, which are made, or read together, for all of the list. No field
// that is never null is empty.
var targets = ready[*model.BlastRadiusTarget]{"BlastRadiusTarget", map[string]func(*model.BlastRadiusTarget) graphql.Marshaler{
	"__typename":  func(*model.BlastRadiusTarget) graphql.Marshaler { return graphql.MarshalString("BlastRadiusTarget") },
	"id":          func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalEntityID(t.ID) },
	"previous":    func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalEntityID(t.Previous()) },
	"hop":         func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalCount(t.Hop()) },
	"arrival":     func(t *model.BlastRadiusTarget) graphql.Marshaler { return t.Arrival() },
	"weight":      func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalCount(t.Weight) },
	"criticality": func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalCriticality(t.Criticality) },
	"countedAs":   func(t *model.BlastRadiusTarget) graphql.Marshaler { return model.MarshalEntityID(t.CountedAs()) },
}}

// written is a field's value as text, where it is a list that is ready; else the value.
func written(ctx context.Context, v any) (any, error) {
	if list, ok := v.([]*model.BlastRadiusTarget); ok {
		return targets.list(ctx, list)
	}
	return v, nil
}

// list is charged as if each field had been.
func (r ready[T]) list(ctx context.Context, items []T) (any, error) {
	asked := graphql.CollectFields(graphql.GetOperationContext(ctx), graphql.GetFieldContext(ctx).Field.Selections, []string{r.typeName})
	if len(asked) == 0 || slices.ContainsFunc(asked, func(f graphql.CollectedField) bool { return r.fields[f.Name] == nil }) {
		return items, nil
	}
	charged := len(asked)
	for _, f := range asked {
		if f.Name == "__typename" { // which costs nothing
			charged--
		}
	}
	if err := model.ChargeFields(ctx, len(items)*charged); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			out.WriteByte(',')
		}
		for j, f := range asked {
			out.WriteString([2]string{`{"`, `,"`}[min(j, 1)])
			out.WriteString(f.Alias)
			out.WriteString(`":`)
			r.fields[f.Name](item).MarshalGQL(&out)
		}
		out.WriteByte('}')
	}
	out.WriteByte(']')
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(out.Bytes()) }), nil
}
