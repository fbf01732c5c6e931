package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report sets the sides side by side, in Markdown: first the ratios of the total times to the first side's, then the
// times themselves.
func report(rounds []round) string {
	var out strings.Builder
	ratios(&out, rounds)
	fmt.Fprint(&out, "\nOne client:\n\n| k | side | seeds | p50 | p95 | p99 | total |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rounds {
		for _, t := range r.alone {
			fmt.Fprintf(&out, "| %d | %s | %d | %s | %v |\n", r.hops, t.side, len(t.asked()), t.percentiles(), short(t.wall))
		}
	}
	fmt.Fprintf(&out, "\n%d clients:\n\n| k | side | queries | queries/s | p50 | p95 | p99 |\n|---|---|---|---|---|---|---|\n", manyClients)
	for _, r := range rounds {
		for _, t := range r.many {
			fmt.Fprintf(&out, "| %d | %s | %d | %.1f | %s |\n", r.hops, t.side, len(t.asked()),
				float64(len(t.asked()))/t.wall.Seconds(), t.percentiles())
		}
	}
	return out.String()
}

func ratios(out *strings.Builder, rounds []round) {
	if len(rounds) == 0 {
		return
	}
	base := rounds[0].alone[0].side
	fmt.Fprintf(out, "Total time as a multiple of that of %q, over the seeds (in brackets) that both answered:\n\n| side |", base)
	for _, r := range rounds {
		fmt.Fprintf(out, " k = %d |", r.hops)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(rounds)))
	for i, t := range rounds[0].alone {
		fmt.Fprintf(out, "| %s |", t.side)
		for _, r := range rounds {
			ratio, seeds := r.alone[i].against(r.alone[0])
			if seeds == 0 {
				fmt.Fprint(out, " – |")
				continue
			}
			fmt.Fprintf(out, " %.2f (%d) |", ratio, seeds)
		}
		fmt.Fprintln(out)
	}
}

// against is the ratio of the total times over the seeds of which both answered, and how many these are.
func (t timed) against(base timed) (ratio float64, seeds int) {
	var mine, others time.Duration
	for i, took := range t.took {
		if took > 0 && base.took[i] > 0 {
			mine, others, seeds = mine+took, others+base.took[i], seeds+1
		}
	}
	return float64(mine) / float64(others), seeds
}

// asked are the times of the questions that were answered, shortest first. A side that sits out has its slowest ones left out.
func (t timed) asked() []time.Duration {
	out := slices.DeleteFunc(slices.Clone(t.took), func(d time.Duration) bool { return d == 0 })
	slices.Sort(out)
	return out
}

// percentiles are the cells p50, p95 and p99.
func (t timed) percentiles() string {
	asked := t.asked()
	if len(asked) == 0 {
		return "| |"
	}
	var cells []string
	for _, share := range []float64{0.5, 0.95, 0.99} {
		cells = append(cells, short(quantile(asked, share)).String())
	}
	return strings.Join(cells, " | ")
}

// short is a time with three digits or four.
func short(d time.Duration) time.Duration {
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
