package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/clew-security/clew/graph"
)

// measured is what one phase cost one contestant.
type measured struct {
	edges     int
	latencies []time.Duration // of each batch
	cpu       time.Duration   // of the client and the server together
}

// run commits the batches and adds up what that took; making them is not counted.
func (m *measured) run(ctx context.Context, c *contestant, tenant graph.TenantID, batches []graph.Batch) error {
	before := cpuTime(c.pids)
	for _, b := range batches {
		began := time.Now()
		if err := c.commit(ctx, tenant, b); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		m.latencies = append(m.latencies, time.Since(began))
		m.edges += len(b.Edges)
	}
	m.cpu += cpuTime(c.pids) - before
	return nil
}

func (m measured) wall() (sum time.Duration) {
	for _, l := range m.latencies {
		sum += l
	}
	return sum
}

func (m measured) perSecond() float64 { return float64(m.edges) / m.wall().Seconds() }

// perCPUSecond is edges per second of processor time, which a busy machine distorts less.
func (m measured) perCPUSecond() float64 { return float64(m.edges) / m.cpu.Seconds() }

// at is the latency that a share of the batches stays below.
func (m measured) at(share float64) time.Duration {
	if len(m.latencies) == 0 {
		return 0
	}
	return quantile(slices.Sorted(slices.Values(m.latencies)), share).Round(100 * time.Microsecond)
}

// quantile is the value up to which a share of the sorted values, of which there must be some, lie.
func quantile[T any](sorted []T, share float64) T { return sorted[int(share*float64(len(sorted)-1))] }

// cpuTime of the processes so far, user and system, as Linux counts it (proc(5): fields 14 and 15 of stat, in
// hundredths of a second); zero elsewhere.
func cpuTime(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, _ := strconv.Atoi(f)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

// rss is the memory of a process in bytes, as Linux counts it; zero elsewhere.
func rss(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// diskUse is the size of all files below the directories in bytes. Files that go while it looks count nothing.
func diskUse(dirs []string) (sum int64) {
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
			return nil
		})
	}
	return sum
}

// row is one contestant's line of the table.
type row struct {
	*contestant
	first, replay, again measured
	disk, memory         int64 // in bytes; the disk without the warm-up
}

// look notes what the contestant takes up after the first pass; disk holds what it took before.
func (r *row) look() { r.disk, r.memory = diskUse(r.dirs)-r.disk, rss(r.pids[0]) }

// table sets the contestants side by side; ratios are against the hand-written loop.
func table(rows []*row) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tedges/s\tratio\tedges/CPU-s\tratio\tp50\tp99\treplayed/s\tsaid again/s\tdisk MB\tRSS MB\t")
	base := rows[slices.IndexFunc(rows, func(r *row) bool { return r.name == byHandName })].first
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.0f\t%.2f\t%v\t%v\t%.0f\t%.0f\t%d\t%d\t\n", r.name,
			r.first.perSecond(), r.first.perSecond()/base.perSecond(),
			r.first.perCPUSecond(), r.first.perCPUSecond()/base.perCPUSecond(),
			r.first.at(0.5), r.first.at(0.99), r.replay.perSecond(), r.again.perSecond(), r.disk>>20, r.memory>>20)
	}
	_ = w.Flush()
	return out.String()
}
