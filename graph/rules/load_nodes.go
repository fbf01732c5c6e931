package rules

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/clew-security/clew/graph"
)

// claim says that what was observed under an id claims another, see graph.Claims.
type claim struct{ id, by graph.ID }

// claim remembers what the keys of an id claim.
func (l *loader) claim(home graph.ID, keys []graph.Key) {
	if len(keys) < 2 {
		return // the only one names the id itself
	}
	for _, id := range claims(home, keys) {
		l.claims = append(l.claims, claim{id, home})
	}
}

// checkNodes compares the nodes that ids belong to, as their records say, with those that follow from the claims.
func (l *loader) checkNodes() error {
	slices.SortFunc(l.claims, func(a, b claim) int { return cmp.Or(a.id.Compare(b.id), a.by.Compare(b.by)) })
	found := map[graph.ID]graph.ID{}
	for _, c := range l.claims {
		if err := l.checkClaimed(c, found); err != nil {
			return err
		}
	}
	for id, node := range l.nodes {
		if _, claimed := found[id]; !claimed {
			return fmt.Errorf("entity %s belongs to %s, but nothing claims it", id, node)
		}
	}
	for id, n := range l.members {
		if n != 0 {
			return fmt.Errorf("entity %s has not as many ids as it says", id)
		}
	}
	return nil
}

func (l *loader) checkClaimed(c claim, found map[graph.ID]graph.ID) error {
	want := l.nodeOf(c.id, found)
	_, there := l.observed[c.id]
	switch have, other := l.nodes[c.id]; {
	case !there && want != c.id:
		return fmt.Errorf("entity %s, which %s claims, is not there", c.id, c.by)
	case other && have != want, !other && want != c.id:
		return fmt.Errorf("entity %s, which %s claims, belongs to %s and not to %s", c.id, c.by, want, cmp.Or(have.String(), "itself"))
	}
	return nil
}

// nodeOf resolves an id by the claims, which are in order. A claimant's first key is stronger than what it claims, so
// that this ends. found has what was resolved before.
func (l *loader) nodeOf(id graph.ID, found map[graph.ID]graph.ID) graph.ID {
	if node, ok := found[id]; ok {
		return node
	}
	var nodes []graph.ID // of the claimants, which need not be followed further
	at, claimed := slices.BinarySearchFunc(l.claims, id, func(c claim, id graph.ID) int { return c.id.Compare(id) })
	if !claimed {
		return id
	}
	for ; at < len(l.claims) && l.claims[at].id == id; at++ {
		nodes = append(nodes, l.nodeOf(l.claims[at].by, found))
	}
	found[id], _ = graph.Resolve(id, func(of graph.ID) ([]graph.ID, error) {
		if of == id {
			return nodes, nil
		}
		return nil, nil
	})
	return found[id]
}
