package resolvers

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// Nobody can fill the memory with documents.
func TestFewAndShortDocumentsAreKept(t *testing.T) {
	d := newDocuments()
	d.Add(t.Context(), "{a}", &ast.QueryDocument{})
	for text, want := range map[string]bool{"{a}": true, strings.Repeat("a", maxKeptDocument): true, strings.Repeat("a", maxKeptDocument+1): false} {
		d.Add(t.Context(), text, &ast.QueryDocument{})
		if _, kept := d.Get(t.Context(), text); kept != want {
			t.Errorf("of %d bytes: kept is %v", len(text), kept)
		}
	}
	for i := range keptDocuments {
		d.Add(t.Context(), strings.Repeat("b", i), &ast.QueryDocument{})
	}
	if _, kept := d.Get(t.Context(), "{a}"); kept {
		t.Errorf("more than %d are kept", keptDocuments)
	}
}
