package bench

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
)

const (
	// envSeeds is how many seeds are asked about, 200 unless set; envMinutes how long one side may take for one depth,
	// 5 unless set (it takes less at every size up to M). Both are for trying out, and for size L.
	envSeeds, envMinutes = "CLEW_BENCH_SEEDS", "CLEW_BENCH_MINUTES"

	// measuredDraw and warmUpDraw choose seeds; warmUps is how many of the latter there are.
	measuredDraw, warmUpDraw = 1, 2
	warmUps                  = 100
)

// reachDepths are the hops that are asked for.
var reachDepths = []int{1, 2, 3, 4}

// BenchmarkReach asks which nodes are within one to four hops of a seed, over every edge, both ways, at any time: how
// many of each kind, and the first hundred by distance and id. Sides that show a path's last step have it checked, and
// all must give the same answers, else the benchmark fails. The seeds mix leaves and hubs, see reachGraph.seeds.
func BenchmarkReach(b *testing.B) {
	bare, c := reachContest(b)
	c.check = bare.falseWitness
	held := newCompact(bare.reachGraph)
	c.sides = []side{bare, engine{title: "clew, in memory", on: traverse.Held(held)}, newOverHTTP(b, held)}
	c.sides = append(c.sides, newReachServer(b, bare.reachGraph, "4g", "4g").sides()...)
	c.print(b, bare.reachGraph)
}

// BenchmarkBlast asks what an attacker who holds a seed can reach, by the table of moves and by time.
func BenchmarkBlast(b *testing.B) {
	bare, c := reachContest(b)
	timed, held := newBareTimed(bare, compact.None), newCompact(bare.reachGraph)
	c.sides = []side{newSameArrays(timed, held), timed, engine{title: "clew, in memory", on: traverse.Held(held), timed: true}}
	c.print(b, bare.reachGraph)
}

// reachContest reads the estate of the size that the environment names, and is still without sides.
func reachContest(b *testing.B) (*bare, contest) {
	size, _ := settings(b)
	seeds, err := strconv.Atoi(cmp.Or(os.Getenv(envSeeds), "200"))
	minutes, wrong := strconv.ParseFloat(cmp.Or(os.Getenv(envMinutes), "5"), 64)
	if err = cmp.Or(err, wrong); err == nil && (seeds < 1 || minutes <= 0) {
		err = errors.New("no seeds, or no time")
	}
	if err != nil {
		b.Fatalf("%s, %s: %v", envSeeds, envMinutes, err)
	}
	g := readEstate(size)
	return newBare(g), contest{
		seeds:  g.named(g.seeds(seeds, measuredDraw)),
		warmUp: g.named(g.seeds(min(seeds, warmUps), warmUpDraw)),
		budget: time.Duration(minutes * float64(time.Minute)), enough: 2 * time.Second,
	}
}

func (c contest) print(b *testing.B, g *reachGraph) {
	rounds, err := c.run(b.Context(), reachDepths)
	// Not by b.Log, which cuts what is longer than ten lines.
	fmt.Printf("\n%s: %d nodes, %d edges, %d seeds.\n\n%s\n", b.Name(), len(g.ids), len(g.edges), len(c.seeds), report(rounds))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op") // the run is one operation
}

// named are the ids of nodes.
func (g *reachGraph) named(nodes []uint32) (ids []graph.ID) {
	for _, n := range nodes {
		ids = append(ids, g.ids[n])
	}
	return ids
}
