package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
)

// Documents that were read and found valid are kept for the next time: dashboards ask the same over and over. Long ones
// are not: what is parsed may take a hundred times a document's bytes, and must stay below some thirty megabytes in all
// whatever is sent.
const (
	keptDocuments   = 128
	maxKeptDocument = 2 << 10 // bytes
)

// documents is the executor's cache of what it parsed. The key is the document's text.
type documents struct{ *lru.LRU[*ast.QueryDocument] }

func newDocuments() documents { return documents{lru.New[*ast.QueryDocument](keptDocuments)} }

// Add implements graphql.Cache.
func (d documents) Add(ctx context.Context, text string, doc *ast.QueryDocument) {
	if len(text) <= maxKeptDocument {
		d.LRU.Add(ctx, text, doc)
	}
}
