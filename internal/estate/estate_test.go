package estate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/clew-security/clew/graph"
)

var update = flag.Bool("update", false, "record the goldens anew")

// digest of all that the batches say, in order; field by field, so that it does not change with the contract.
func digest(t *testing.T, o Options) string {
	t.Helper()
	h := sha256.New()
	enc := json.NewEncoder(h)
	write := func(fields ...any) {
		if err := enc.Encode(fields); err != nil {
			t.Fatal(err)
		}
	}
	for b := range Batches(o) {
		write(b.Key, b.Actor, b.Cause)
		for _, e := range b.Entities {
			write(e.Keys, e.Properties, e.ObservedAt, e.Source)
		}
		for _, e := range b.Edges {
			write(e.Kind, e.From, e.To, e.FirstSeen, e.LastSeen, e.EndedAt, e.Source, e.Inferred, e.Observation)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestTheSameOptionsGiveTheSameEstate(t *testing.T) {
	golden := filepath.Join("testdata", "tiny.sha256")
	got := digest(t, Tiny())
	if *update {
		if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got+"\n" != string(want) {
		t.Errorf("tiny is %s, recorded %s (%v)", got, want, err)
	}
	other := Tiny()
	other.Seed++
	if digest(t, other) == got {
		t.Error("another seed gives the same")
	}
}

func TestEveryBatchIsValidFullAndNamesEachEntityOnce(t *testing.T) {
	keys, rest := map[string]bool{}, false
	seen := map[graph.ID]bool{}
	for b := range Batches(Options{Seed: 7, Devices: 300}) {
		if err := b.Validate(); err != nil {
			t.Fatal(err)
		}
		if rest || keys[b.Key] {
			t.Errorf("%s: a batch that was not full went before, or the key did", b.Key)
		}
		keys[b.Key], rest = true, len(b.Edges) != BatchEdges
		inBatch, used := map[graph.ID]bool{}, map[graph.ID]bool{}
		for _, e := range b.Entities {
			if inBatch[e.ID()] {
				t.Errorf("%s: %s twice", b.Key, e.ID())
			}
			inBatch[e.ID()] = true
		}
		for _, e := range b.Edges {
			used[e.From], used[e.To] = true, true
			if seen[e.Observation] || e.FirstSeen.After(e.LastSeen) || e.Source == "" {
				t.Errorf("%s: %+v", b.Key, e)
			}
			seen[e.Observation] = true
		}
		if len(used) != len(b.Entities) {
			t.Errorf("%s: %d entities, %d of them with an edge", b.Key, len(b.Entities), len(used))
		}
	}
	if len(keys) < 20 {
		t.Errorf("only %d batches", len(keys))
	}
}

// Every key that the generator writes is one by the table: NewKey has refused none.
func TestEveryEntityHasAllItsKeysStrongestFirst(t *testing.T) {
	most := map[graph.Kind]int{
		graph.KindDevice: 3, graph.KindIdentity: 3, graph.KindFile: 2, graph.KindSecurityGroup: 1, graph.KindMailbox: 1,
		graph.KindProcess: 1, graph.KindIPAddress: 1, graph.KindDomain: 1, graph.KindSoftware: 1, graph.KindVulnerability: 1,
	}
	got := map[graph.Kind]int{}
	nodes := map[graph.ID]graph.Key{}
	for b := range Batches(Options{Seed: 3, Devices: 300}) {
		for _, e := range b.Entities {
			kind := e.ID().Kind()
			got[kind] = max(got[kind], len(e.Keys))
			if e.Keys[0].ID() != e.ID() || (len(e.Properties) == 0 && kind != graph.KindIPAddress && kind != graph.KindDomain) {
				t.Fatalf("%+v", e)
			}
			if old, ok := nodes[e.ID()]; ok && old != e.Keys[0] {
				t.Fatalf("%s and %s share an id", old, e.Keys[0])
			}
			nodes[e.ID()] = e.Keys[0]
		}
	}
	for kind, n := range most {
		if got[kind] != n {
			t.Errorf("%s has %d keys, want %d", kind, got[kind], n)
		}
	}
	if len(got) != len(most) {
		t.Errorf("kinds are %v", got)
	}
}

// degrees counts edges by node without making entities, which takes most of the time.
func degrees(o Options) (byNode map[node]int, edges int) {
	byNode = map[node]int{}
	for d := range o.Devices {
		newReport(o, d, func(from, to node, _ graph.EdgeObservation) {
			byNode[from]++
			byNode[to]++
			edges++
		}).all()
	}
	return byNode, edges
}

func TestTheSizesAreWhatTheyPromise(t *testing.T) {
	for name, want := range map[string]struct{ entities, edges, leastHub, mostHub int }{
		"tiny": {700, 2_200, 30, 200}, "S": {50_000, 240_000, 1_000, 3_000}, "M": {500_000, 2_500_000, 9_000, 10_000},
		"L": {2_000_000, 10_000_000, 32_000, 33_000},
	} {
		o, err := ParseSize(name)
		if err != nil {
			t.Fatal(err)
		}
		byNode, edges := degrees(o)
		hub := 0
		for _, n := range byNode {
			hub = max(hub, n)
		}
		t.Logf("%s: %d entities, %d edges, largest hub %d", name, len(byNode), edges, hub)
		if !near(len(byNode), want.entities) || !near(edges, want.edges) || hub < want.leastHub || hub > want.mostHub {
			t.Errorf("%s has %d entities, %d edges and a hub of %d, want %+v", name, len(byNode), edges, hub, want)
		}
	}
	if _, err := ParseSize("XL"); err == nil {
		t.Error("an unknown size is read")
	}
}

// near allows five in a hundred.
func near(got, want int) bool { return got > want*95/100 && got < want*105/100 }

// Each time the degree grows tenfold, some 10 to 100 times fewer nodes have it (a power law with an exponent of 2
// to 3), where a random graph of that mean has nobody beyond 100.
func TestDegreesHaveAHeavyTail(t *testing.T) {
	byNode, _ := degrees(M())
	atLeast := func(n int) (count int) {
		for _, d := range byNode {
			if d >= n {
				count++
			}
		}
		return count
	}
	ten, hundred, thousand := atLeast(10), atLeast(100), atLeast(1000)
	t.Logf("%d nodes; with 10, 100, 1,000 edges or more: %d, %d, %d", len(byNode), ten, hundred, thousand)
	for _, r := range [][2]int{{ten, hundred}, {hundred, thousand}} {
		if r[1] == 0 || r[0] < 8*r[1] || r[0] > 120*r[1] {
			t.Errorf("%d nodes, then %d", r[0], r[1])
		}
	}
}

func TestAReaderMayStopEarly(t *testing.T) {
	n := 0
	for range Batches(M()) {
		if n++; n == 2 {
			break
		}
	}
	for range Batches(Options{}) {
		t.Error("no devices, and yet a batch")
	}
}

// BenchmarkBatches is the time that a benchmark of a store must leave out.
func BenchmarkBatches(b *testing.B) {
	edges := 0
	for b.Loop() {
		for batch := range Batches(S()) {
			edges += len(batch.Edges)
		}
	}
	b.ReportMetric(float64(edges)/b.Elapsed().Seconds(), "edges/s")
}
