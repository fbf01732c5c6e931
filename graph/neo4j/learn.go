package neo4j

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// learnAfter is the number of commits in a row, without another writer's between them, after which it pays to
// read what a tenant has, so that later ones need not ask for what is not there.
const learnAfter = 16

// A page keeps commits out where they always come in between, so it must not take long.
const (
	// learnPage is the number of homes, or of weak keys, that are read at a time.
	learnPage = 250
	// learnEdges is the number of relationships that go out from a home from which on its edges are not read.
	learnEdges = 200
)

// learn starts reading what exists of a tenant when it is due.
func (s *Store) learn(id graph.TenantID, m *rules.Memory) {
	learner, due := m.Due(learnAfter)
	if !due || s.enter(s.open) != nil {
		return
	}
	go func() {
		defer s.leave()
		if err := s.teach(s.open, id, learner); err != nil && s.open.Err() == nil {
			s.options.Log("neo4j: reading what exists of tenant %q: %v", id, err) // until it is read, commits ask for more
			learner.Failed()
		}
	}()
}

// What is stored, page by page.
var (
	// teachHomes gives each home's key, whether others claim its id, and the edges that go out from it, null for a hub.
	teachHomes = inRows(nextOf("Entity", "true"), ``, fmt.Sprintf(`n.key, EXISTS { (n)<-[:CLAIMS]-() },
    CASE WHEN COUNT { (n)-->() } < %d THEN [(n)-[s:%s]->(o) | [type(s), o.key]] END`,
		learnEdges, strings.Join(sightingTypes(), "|")))

	teachWeak = inRows(nextOf("WeakKey", "true"), ``, `n.key`)
)

// teach tells a memory what exists. Each page is a snapshot: beside a commit Neo4j can show less of a node than was
// there before and is there after, and an edge that the memory does not know of would be made a second time.
func (s *Store) teach(ctx context.Context, id graph.TenantID, l rules.Learner) error {
	for _, part := range []struct {
		cypher string
		take   func(e *rules.Existing, id graph.ID, v []any) error
	}{{teachHomes, takeHome}, {teachWeak, takeWeak}} {
		for last, more := "", true; more; {
			var e rules.Existing
			behind := last
			err := s.read(ctx, graph.View{Tenant: id}, func(r *reader) error {
				e, last = rules.Existing{}, behind
				return r.rows(part.cypher, pageBehind(id, behind, learnPage), func(v []any) error {
					last = max(last, text(v[0]))
					id, err := idOfKey(v[0])
					return errors.Join(err, part.take(&e, id, v))
				})
			})
			if err != nil || !l.Learn(e, false) {
				return err
			}
			more = last != behind
		}
	}
	l.Learn(rules.Existing{}, true)
	return nil
}

// takeHome takes in a home with the edges that go out from it.
func takeHome(e *rules.Existing, home graph.ID, v []any) (err error) {
	e.Homes = append(e.Homes, home)
	if truth(v[1]) {
		e.Claimed = append(e.Claimed, home)
	}
	if v[2] == nil {
		e.Hubs = append(e.Hubs, home)
	}
	for _, edge := range list(v[2]) {
		to, bad := idOfKey(list(edge)[1])
		e.Edges = append(e.Edges, rules.Ends{From: home, Kind: kindOfType(text(list(edge)[0])), To: to})
		err = errors.Join(err, bad)
	}
	return err
}

func takeWeak(e *rules.Existing, key graph.ID, _ []any) error {
	e.Weak = append(e.Weak, key)
	return nil
}
