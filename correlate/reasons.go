package correlate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// candidate is a link that a rule makes; keys are those the rule went by.
type candidate struct {
	rule string
	pair pair
	keys []key
}

// mergedLinks joins what one rule says of the same two alerts by several keys and instants.
type mergedLinks struct {
	Settings
	all map[linkKey]*scored
}

type linkKey struct {
	a, b graph.ID
	rule string
}

// scored is a link with its score in thousandths, so that sums do not depend on the machine.
type scored struct {
	graph.Link
	thousandths int64
}

// add keeps each entity and reason once, as alerts that share many people and devices share all their pairs.
func (m mergedLinks) add(c candidate) {
	at := linkKey{c.pair.a.of.alert.ID, c.pair.b.of.alert.ID, c.rule}
	if at.a.Compare(at.b) > 0 {
		at.a, at.b = at.b, at.a
	}
	l, inferred := m.all[at], c.inferred()
	if l == nil {
		l = &scored{Link: graph.Link{Rule: c.rule, Inferred: inferred}}
		m.all[at] = l
	}
	for _, k := range c.keys {
		include(&l.Entities, graph.ID.Compare, c.pair.a.of.keys[k].via)
		include(&l.Entities, graph.ID.Compare, c.pair.b.of.keys[k].via)
		include(&l.Reasons, strings.Compare, rows[k.kind].reasons)
	}
	include(&l.Reasons, strings.Compare, moreReasons(c))
	l.Inferred = l.Inferred && inferred
	l.thousandths = max(l.thousandths, m.score(c))
}

// inferred reports whether a weak key leads to any of the keys.
func (c candidate) inferred() bool {
	return slices.ContainsFunc(c.keys, func(k key) bool { return c.pair.a.of.keys[k].inferred || c.pair.b.of.keys[k].inferred })
}

// include adds what is not yet in a sorted list.
func include[T any](to *[]T, compare func(T, T) int, all []T) {
	for _, x := range all {
		if i, ok := slices.BinarySearchFunc(*to, x, compare); !ok {
			*to = slices.Insert(*to, i, x)
		}
	}
}

// moreReasons are those that do not follow from a key alone: one account on other machines than before is the
// path of lateral movement.
func moreReasons(c candidate) []string {
	switch {
	case c.rule == ruleSplit:
		return []string{"repeatedAlertOccurrence", "temporalProximity"}
	case c.rule == ruleAsset && c.keys[0].kind == person && contradict(c.pair.a.of.devices, c.pair.b.of.devices):
		return []string{"lateralMovementPath"}
	}
	return nil
}

// score falls from the rule's strength at no gap to half of it at the longest gap on an ordinary key. It does not
// depend on strangers, so that it never changes while the two alerts do not.
func (s Settings) score(c candidate) int64 {
	score := s.fullScore(c)
	if c.inferred() {
		return score * inferredShare / 10
	}
	return score
}

func (s Settings) fullScore(c candidate) int64 {
	switch c.rule {
	case rulePair:
		return fade(strengthPair, c.pair.gap(), s.ArtifactGap)
	case ruleSplit:
		return fade(strengthSplit, c.pair.gap(), s.SplitGap)
	}
	k := c.keys[0].kind
	return fade(rows[k].strength, c.pair.gap(), s.base(k))
}

func fade(strength int64, gap, longest time.Duration) int64 {
	whole := 2 * longest.Milliseconds()
	if whole == 0 {
		return strength
	}
	return strength * (whole - gap.Milliseconds()) / whole
}

// sorted finishes the links, the strongest first, ties by ids and rule.
func (m mergedLinks) sorted() []graph.Link {
	out := make([]graph.Link, 0, len(m.all))
	for at, l := range m.all {
		l.Score = float64(l.thousandths) / 1000
		out = append(out, graph.NewLink(at.a, at.b, l.Link))
	}
	slices.SortFunc(out, func(x, y graph.Link) int { return cmp.Or(cmp.Compare(y.Score, x.Score), x.Compare(y)) })
	return out
}
