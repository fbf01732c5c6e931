package correlate

import (
	"cmp"
	"slices"
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

func (m mergedLinks) add(c candidate) {
	l := &scored{Link: graph.Link{Rule: c.rule}, thousandths: m.score(c)}
	for _, k := range c.keys {
		a, b := c.pair.a.of.keys[k], c.pair.b.of.keys[k]
		l.Entities = append(append(l.Entities, a.via...), b.via...)
		l.Reasons = append(l.Reasons, rows[k.kind].reasons...)
		l.Inferred = l.Inferred || a.inferred || b.inferred
	}
	l.Reasons = append(l.Reasons, moreReasons(c)...)
	if l.Inferred {
		l.thousandths = l.thousandths * inferredShare / 10
	}
	at := linkKey{c.pair.a.of.alert.ID, c.pair.b.of.alert.ID, c.rule}
	if at.a.Compare(at.b) > 0 {
		at.a, at.b = at.b, at.a
	}
	if old := m.all[at]; old != nil {
		l.Entities, l.Reasons = append(l.Entities, old.Entities...), append(l.Reasons, old.Reasons...)
		l.Inferred = l.Inferred && old.Inferred
		l.thousandths = max(l.thousandths, old.thousandths)
	}
	m.all[at] = l
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
		slices.Sort(l.Reasons)
		l.Reasons = slices.Compact(l.Reasons)
		l.Score = float64(l.thousandths) / 1000
		out = append(out, graph.NewLink(at.a, at.b, l.Link))
	}
	slices.SortFunc(out, func(x, y graph.Link) int { return cmp.Or(cmp.Compare(y.Score, x.Score), x.Compare(y)) })
	return out
}
