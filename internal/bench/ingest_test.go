// Package bench measures the stores side by side, on the same generated graph, in one run.
package bench

import (
	"cmp"
	"context"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/estate"
)

const (
	// envSize is tiny, S (the default) or M; envBatches ends earlier, after so many batches of 1,000 edges.
	envSize, envBatches = "CLEW_BENCH_SIZE", "CLEW_BENCH_BATCHES"

	// turn is how many batches a contestant commits before the next one has its turn: what else runs on the
	// machine falls on all alike.
	turn = 10
	// kept is how many batches are committed again at the end.
	kept = 100
)

// warmUp is another company that every contestant takes first, unmeasured: the JVM compiles, Neo4j plans.
func warmUp(size estate.Options) estate.Options {
	return estate.Options{Seed: size.Seed + 1, Devices: min(1_000, 2*size.Devices)}
}

// BenchmarkIngest commits the same estate to every contestant and prints a table: edges a second by the clock and
// by the processor, commit latency, the same batches again (by key, and as new batches that say nothing new),
// disk and memory. Each contestant's server is its own. The embedded store's memory is this process's, the
// benchmark's included.
func BenchmarkIngest(b *testing.B) {
	size, most := settings(b)
	var all []*contestant
	for _, open := range contestants() {
		all = append(all, open(b))
	}
	for batches := range turns(warmUp(size), 0) {
		for _, c := range all {
			if err := new(measured).run(b.Context(), c, warmUpTenant, batches); err != nil {
				b.Fatal(err)
			}
		}
	}
	rows, entities, err := compete(b.Context(), all, size, most)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d edges between %d entities, ratios to %q\n%s", rows[0].first.edges, entities, byHandName, table(rows))
	for _, r := range rows {
		b.ReportMetric(r.first.perSecond(), strings.ReplaceAll(r.name, " ", "-")+"-edges/s")
	}
	b.ReportMetric(0, "ns/op") // the run is one operation
}

// BenchmarkEmbedded commits the estate to the embedded store alone: to be profiled.
func BenchmarkEmbedded(b *testing.B) {
	size, most := settings(b)
	c := openEmbedded(b)
	var m measured
	for batches := range turns(size, most) {
		if err := m.run(b.Context(), c, measuredTenant, batches); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(m.perSecond(), "edges/s")
	b.ReportMetric(m.perCPUSecond(), "edges/CPU-s")
	b.ReportMetric(m.at(0.5).Seconds()*1000, "p50-ms")
	b.ReportMetric(0, "ns/op") // the run is one operation
}

func settings(b *testing.B) (size estate.Options, most int) {
	size, err := estate.ParseSize(cmp.Or(os.Getenv(envSize), "S"))
	if err == nil && os.Getenv(envBatches) != "" {
		most, err = strconv.Atoi(os.Getenv(envBatches))
	}
	if err != nil {
		b.Fatal(err)
	}
	return size, most
}

// turns cuts the estate into turns, at most so many batches in all; 0 means all of them.
func turns(o estate.Options, most int) iter.Seq[[]graph.Batch] {
	return func(yield func([]graph.Batch) bool) {
		var next []graph.Batch
		n := 0
		for b := range estate.Batches(o) {
			next = append(next, b)
			n++
			if len(next) == turn || n == most {
				if !yield(next) || n == most {
					return
				}
				next = nil
			}
		}
		if next != nil {
			yield(next)
		}
	}
}

// compete commits everything once, a turn each in changing order, then what was kept twice more.
func compete(ctx context.Context, all []*contestant, size estate.Options, most int) (rows []*row, entities int, err error) {
	for _, c := range all {
		rows = append(rows, &row{contestant: c, disk: diskUse(c.dirs)})
	}
	seen, again := map[graph.ID]struct{}{}, []graph.Batch(nil)
	n := 0
	for batches := range turns(size, most) {
		for i := range rows {
			r := rows[(i+n)%len(rows)]
			if err := r.first.run(ctx, r.contestant, measuredTenant, batches); err != nil {
				return nil, 0, err
			}
		}
		n++
		remember(seen, batches)
		again = append(again, batches[:min(len(batches), kept-len(again))]...)
	}
	for _, r := range rows {
		r.look()
		if err := r.sameAgain(ctx, again, len(seen)); err != nil {
			return nil, 0, err
		}
	}
	return rows, len(seen), nil
}

func remember(seen map[graph.ID]struct{}, batches []graph.Batch) {
	for _, b := range batches {
		for _, e := range b.Entities {
			seen[e.ID()] = struct{}{}
		}
	}
}

// sameAgain commits batches again, as they were and under other keys, and checks that all is there, once.
func (r *row) sameAgain(ctx context.Context, batches []graph.Batch, entities int) error {
	if err := r.replay.run(ctx, r.contestant, measuredTenant, batches); err != nil {
		return err
	}
	others := slices.Clone(batches)
	for i := range others {
		others[i].Key += "/again"
	}
	if err := r.again.run(ctx, r.contestant, measuredTenant, others); err != nil {
		return err
	}
	return r.check(ctx, entities, r.first.edges)
}
