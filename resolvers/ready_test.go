package resolvers_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers"
)

// slow is a field of a target that is not written at once, so that none of its siblings is.
const slow = "inferred"

// allOf asks for all that a node leads to.
func allOf(from graph.ID, selection string) string {
	return `{blastRadius(from: ["` + from.String() + `"], everyEdge: true, targetKinds: [device, identity, mailbox, file]) {` + selection + `}}`
}

// Lists that lie ready are written past the executor: that must not show, whatever is asked of them.
func TestAListThatLiesReadyIsWrittenAsTheExecutorWouldWriteIt(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	for _, selection := range []string{
		`id`, `id previous hop weight criticality`, `arrival countedAs`, `__typename id`, `a: id b: id c: hop c: hop`,
		`... on BlastRadiusTarget {id} ...f hop`, `id @skip(if: $yes) hop @include(if: $yes) weight @include(if: $no)`, `id @skip(if: $yes) hop @include(if: $no)`,
	} {
		for _, list := range []string{`targets(first: 3) {nodes {%s}}`, `targets(first: 10) {edges {cursor} nodes {%s}}`, `targets(first: 10) {nodes {%s} again: nodes {id}}`} {
			query := func(selection string) string {
				text := allOf(p.mail.ID(), fmt.Sprintf(list, selection))
				if strings.Contains(selection, "$") {
					text = `query($yes: Boolean = true, $no: Boolean = false) ` + text
				}
				if strings.Contains(selection, "...f") {
					text += `fragment f on BlastRadiusTarget {previous criticality}`
				}
				return text
			}
			nodes := func(selection string) []any {
				return ask(t, h, query(selection)).at(t, "blastRadius", "targets", "nodes").([]any)
			}
			got, want := nodes(selection), nodes(selection+" "+slow)
			if len(want) < 2 {
				t.Fatalf("%d targets are too few", len(want))
			}
			for _, n := range want {
				delete(n.(map[string]any), slow)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s in %s:\n%v, want\n%v", selection, list, got, want)
			}
		}
	}
}

// What lies ready costs an operation's budget as much as what does not.
func TestAListThatLiesReadyIsCharged(t *testing.T) {
	p := newPhishing(t)
	ends := func(most int, selection string) bool {
		h := handler(p.store, func(c *resolvers.Config) { c.Limits.Resolved = most })
		return send(t, h, post(allOf(p.mail.ID(), `targets {nodes {`+selection+`}}`))).code() != ""
	}
	least := func(selection string) (most int) {
		for most = 1; ends(most, selection); most++ {
		}
		return most
	}
	if least("id __typename") != least("id") {
		t.Errorf("the name of the type is charged")
	}
	one, two := least("id"), least("id hop")
	if slowly := least("id hop "+slow) - least("id "+slow); two-one != slowly || slowly < 2 {
		t.Errorf("a field of all targets costs %d, in an answer that is not ready %d", two-one, slowly)
	}
}

// A document that was read before is answered by what was kept of it: that must not show, whoever asks with what.
func TestADocumentIsAnsweredAlikeEachTime(t *testing.T) {
	p := newPhishing(t)
	h := handler(p.store)
	const query = `query($id: ID!, $n: Int, $no: Boolean = false) {entity(id: $id) {id neighbors(first: $n) {nodes {id} pageInfo {endCursor} totalCount} kind @include(if: $no)}}`
	var all sync.WaitGroup
	for _, e := range []graph.EntityObservation{p.pc, p.ann, p.server, p.mail} {
		for n := 1; n < 4; n++ {
			id := e.ID().String()
			want := ask(t, handler(p.store), query, "id", id, "n", n).body
			for range 3 {
				all.Go(func() {
					if got := ask(t, h, query, "id", id, "n", n).body; string(got) != string(want) {
						t.Errorf("%s, %d: %s, want %s", id, n, got, want)
					}
				})
			}
		}
	}
	all.Wait()
	for range 2 { // one that is refused is refused again
		if a := send(t, h, post(`{incident(id: "1") {nothing}}`)); a.code() == "" {
			t.Errorf("answered %s", a.body)
		}
	}
}
