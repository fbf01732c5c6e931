package neo4j

import (
	"context"
	"errors"
	"fmt"
	"strings"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// learnAfter is the number of commits in a row, without another writer's between them, after which it pays to
// read what a tenant has, so that later ones need not ask for what is not there.
const learnAfter = 16

// learnPage is the number of homes, or of weak keys, that are read at a time.
const learnPage = 500

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

// The statements that read a page of what is stored behind a key, by unique keys in order.
var (
	// teachHomes gives each home's key, whether others claim its id, and the edges that go out from it, null for a hub:
	// see teachHubs.
	teachHomes = inRows(`
MATCH (n:Entity)
WHERE n.key > $after AND n.key < $end
WITH n
ORDER BY n.key
LIMIT $limit`, ``, fmt.Sprintf(`n.key, EXISTS { (n)<-[:CLAIMS]-() },
    CASE WHEN COUNT { (n)--() } < %d THEN [(n)-[s:%s]->(o) | [type(s), o.key]] END`, edgeHub, anySighting))

	// teachHubs gives an edge in a row.
	teachHubs = fmt.Sprintf(`
UNWIND $in.rows AS k
MATCH (n:Entity {key: k})-[s:%s]->(o)
RETURN DISTINCT n.key, type(s), o.key`, anySighting)

	teachWeak = inRows(`
MATCH (n:WeakKey)
WHERE n.key > $after AND n.key < $end
WITH n
ORDER BY n.key
LIMIT $limit`, ``, `n.key`)

	anySighting = strings.Join(sightingTypes(), "|")
)

// teach tells a memory what exists. Each page is a snapshot: beside a commit Neo4j can show less of a node than was
// there before and is there after, and an edge that the memory does not know of would be made a second time.
func (s *Store) teach(ctx context.Context, id graph.TenantID, l rules.Learner) error {
	for _, part := range []func(r *reader, page map[string]any) (e rules.Existing, last string, err error){
		(*reader).existingHomes, (*reader).existingWeak,
	} {
		page := map[string]any{"after": tk(id, ""), "end": tk(id, "g"), "limit": learnPage} // "g" follows the digits
		for page["after"] != "" {
			var e rules.Existing
			var last string
			err := s.read(ctx, graph.View{Tenant: id}, func(r *reader) (err error) { e, last, err = part(r, page); return err })
			if err != nil || !l.Learn(e, false) {
				return err
			}
			page["after"] = last
		}
	}
	l.Learn(rules.Existing{}, true)
	return nil
}

// existingHomes reads a page of homes with the edges that go out from them; last is empty where there are no more.
func (r *reader) existingHomes(page map[string]any) (e rules.Existing, last string, err error) {
	var hubs []any
	err = r.rows(teachHomes, page, func(v []any) error {
		last = text(v[0])
		home, err := idOfKey(v[0])
		e.Homes = append(e.Homes, home)
		if truth(v[1]) {
			e.Claimed = append(e.Claimed, home)
		}
		if v[2] == nil {
			hubs = append(hubs, v[0])
		}
		for _, edge := range list(v[2]) {
			err = errors.Join(err, appendEnds(&e.Edges, home, list(edge)))
		}
		return err
	})
	if err != nil || len(hubs) == 0 {
		return e, last, err
	}
	return e, last, r.run.stream(r.ctx, teachHubs, rowsIn(hubs), func(rec *driver.Record) (bool, error) {
		home, err := idOfKey(rec.Values[0])
		return true, errors.Join(err, appendEnds(&e.Edges, home, rec.Values[1:]))
	})
}

// existingWeak reads a page of weak keys.
func (r *reader) existingWeak(page map[string]any) (e rules.Existing, last string, err error) {
	return e, last, r.rows(teachWeak, page, func(v []any) error {
		last = text(v[0])
		key, err := idOfKey(v[0])
		e.Weak = append(e.Weak, key)
		return err
	})
}

func appendEnds(to *[]rules.Ends, from graph.ID, v []any) error {
	other, err := idOfKey(v[1])
	*to = append(*to, rules.Ends{From: from, Kind: kindOfType(text(v[0])), To: other})
	return err
}
