package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// BenchmarkUsual asks what analysts ask unless they say more: by direction and kind of edge, in time, since ever, not
// through hubs; the first hundred targets with their ways. It tells how large answers are, beside everything that is
// connected by as many hops.
func BenchmarkUsual(b *testing.B) {
	bare, c := reachContest(b)
	held := traverse.Held(newCompact(bare.reachGraph))
	var out strings.Builder
	for _, hops := range reachDepths {
		var reached, targets, connected []int
		took := timed{}
		for _, seed := range slices.Concat(c.warmUp, c.seeds) {
			began := time.Now()
			a, err := traverse.BlastRadius(b.Context(), held, traverse.Question{Sources: []graph.ID{seed}, MaxHops: hops})
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range a.List(nil, firstNodes) {
				a.Nearest(t)
			}
			took.took = append(took.took, time.Since(began))
			reached, targets = append(reached, total(a)), append(targets, a.Score)
			a.Release()
			all, err := traverse.BlastRadius(b.Context(), held, engine{}.question(seed, hops))
			if err != nil {
				b.Fatal(err)
			}
			connected = append(connected, total(all))
			all.Release()
		}
		n := len(c.warmUp)
		took.took = took.took[n:]
		fmt.Fprintf(&out, "| %d | %s | %s | %s | %s |\n", hops, took.percentiles(), spread(reached[n:]), spread(targets[n:]), spread(connected[n:]))
	}
	fmt.Printf("\n%s: %d nodes, %d edges, %d seeds.\n\n| k | p50 | p95 | p99 | nodes reached: p50, p95, most | targets | connected at all |\n|---|---|---|---|---|---|---|\n%s\n",
		b.Name(), len(bare.ids), len(bare.edges), len(c.seeds), out.String())
	b.ReportMetric(0, "ns/op") // the run is one operation
}

// total is how many nodes were reached.
func total(a *traverse.Answer) (n int) {
	for _, h := range a.Hops[1:] {
		n += h.Total
	}
	return n
}

// spread gives the middle, the one but the greatest twentieth, and the greatest.
func spread(all []int) string {
	all = slices.Sorted(slices.Values(all))
	return fmt.Sprintf("%d, %d, %d", quantile(all, 0.5), quantile(all, 0.95), quantile(all, 1))
}
