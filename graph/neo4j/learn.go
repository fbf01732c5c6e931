package neo4j

import (
	"context"
	"fmt"
	"iter"
	"strings"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// learnAfter is the number of commits in a row, without another writer's between them, after which it pays to
// read what a tenant has, so that later ones need not ask for what is not there.
const learnAfter = 16

// learn starts reading what exists of a tenant when it is due.
func (s *Store) learn(id graph.TenantID, m *rules.Memory) {
	learner, due := m.Due(learnAfter)
	if !due || s.enter(s.open) != nil {
		return
	}
	go func() {
		defer s.leave()
		_ = s.teach(s.open, id, learner) // what cannot be read stays unknown, which is only slower
	}()
}

// What exists, by what rules.Existing calls it.
var (
	teachHomes   = `MATCH (e:Entity) WHERE e.key >= $from AND e.key < $to RETURN e.key`
	teachClaimed = `MATCH (e:Entity) WHERE e.key >= $from AND e.key < $to AND EXISTS { (e)<-[:CLAIMS]-() } RETURN e.key`
	teachWeak    = `MATCH (w:WeakKey) WHERE w.key >= $from AND w.key < $to RETURN w.key`
	teachEdges   = `MATCH (f:Entity)-[s:` + strings.Join(sightingTypes(), "|") + `]->(t) WHERE f.key >= $from AND f.key < $to RETURN f.key, type(s), t.key`
)

// teach tells a memory what exists.
func (s *Store) teach(ctx context.Context, id graph.TenantID, l rules.Learner) error {
	for _, part := range []struct {
		cypher string
		take   func(e *rules.Existing, v []any) error
	}{
		{teachHomes, func(e *rules.Existing, v []any) error { return appendKey(&e.Homes, v[0]) }},
		{teachClaimed, func(e *rules.Existing, v []any) error { return appendKey(&e.Claimed, v[0]) }},
		{teachWeak, func(e *rules.Existing, v []any) error { return appendKey(&e.Weak, v[0]) }},
		{teachEdges, func(e *rules.Existing, v []any) error {
			from, err1 := idOfKey(v[0])
			to, err2 := idOfKey(v[2])
			e.Edges = append(e.Edges, rules.Ends{From: from, Kind: kindOfType(text(v[1])), To: to})
			if err1 != nil {
				return err1
			}
			return err2
		}},
	} {
		if useful, err := s.teachPart(ctx, id, l, part.cypher, part.take); err != nil || !useful {
			return err
		}
	}
	l.Learn(rules.Existing{}, true)
	return nil
}

// teachPart asks slice by slice, so that no statement runs into its time limit.
func (s *Store) teachPart(ctx context.Context, id graph.TenantID, l rules.Learner, cypher string, take func(*rules.Existing, []any) error) (useful bool, err error) {
	for bounds := range keySlices(id) {
		var e rules.Existing
		err := s.reads().stream(ctx, cypher, bounds, func(r *driver.Record) (bool, error) { return true, take(&e, r.Values) })
		if err != nil || !l.Learn(e, false) {
			return false, err
		}
	}
	return true, nil
}

// keySlices are bounds that together hold all of a tenant's keys that idKey made: by kind and the next four bits.
func keySlices(id graph.TenantID) iter.Seq[map[string]any] {
	return func(yield func(map[string]any) bool) {
		for kind := range 256 {
			if !graph.Kind(kind).Entity() {
				continue
			}
			for bits := range 16 {
				from := tk(id, fmt.Sprintf("%02x%x", kind, bits))
				if !yield(map[string]any{"from": from, "to": from + "g"}) { // "g" is what follows the digits
					return
				}
			}
		}
	}
}

func appendKey(to *[]graph.ID, key any) error {
	id, err := idOfKey(key)
	*to = append(*to, id)
	return err
}
