package estate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
)

// dice draws for one device; only operations with exact results are used, so that every machine draws the same.
type dice struct{ *rand.Rand }

func newDice(seed uint64, device int) dice {
	return dice{rand.New(rand.NewPCG(seed, uint64(device)))}
}

// ranked draws one of n with heavy preference for the first: number k with probability about
// 1/(2·sqrt(n·k)), so that degrees have a power law's tail with exponent 3.
func (d dice) ranked(n int) int {
	u := d.Float64()
	return int(float64(n) * u * u)
}

// skewed is ranked with a heavier head: exponent 2.5.
func (d dice) skewed(n int) int {
	u := d.Float64()
	return int(float64(n) * u * u * u)
}

// several draws at most n different numbers with one of the functions above.
func several(n int, draw func() int) []int {
	out := make([]int, 0, n)
	for range n {
		if k := draw(); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// pareto is a count of at least least, twice that on average, at most ten times.
func (d dice) pareto(least int) int {
	x := float64(least) / math.Sqrt(1-d.Float64())
	return min(int(x), 10*least)
}

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// The month that all estates show.
var (
	firstDay = time.Date(2026, time.February, 1, 0, 0, 0, 0, time.UTC)
	month    = 28 * 24 * time.Hour
)

// seen draws when an edge was seen, within a day from at on; a state may have begun long before and have ended.
func (d dice) seen(kind graph.EdgeKind, at time.Time) (e graph.EdgeObservation) {
	e.Kind, e.Source = kind, sourceOf(kind)
	e.FirstSeen = at.Add(time.Duration(d.IntN(86_400_000)) * time.Millisecond)
	e.LastSeen = e.FirstSeen.Add(time.Duration(d.IntN(3600)) * time.Second)
	if kind.Tense() == graph.State {
		e.FirstSeen = e.FirstSeen.Add(-time.Duration(d.IntN(300*24)) * time.Hour)
		if d.chance(1) {
			e.EndedAt = e.LastSeen.Add(time.Minute)
		}
	}
	e.Inferred = d.chance(2)
	return e
}

func sourceOf(kind graph.EdgeKind) string {
	switch kind {
	case graph.EdgeMemberOf, graph.EdgeOwns, graph.EdgeSignedInFrom:
		return "azureAdIdentityProtection"
	case graph.EdgeAdminOf:
		return "microsoftDefenderForIdentity"
	}
	return "microsoftDefenderForEndpoint"
}
