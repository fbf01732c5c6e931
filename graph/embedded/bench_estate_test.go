//go:build unix

package embedded

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/clew-security/clew/internal/estate"
)

// BenchmarkApplyEstate commits a whole company, batch by batch, each synced to a real directory. It says what a
// second of the clock and of the processor is good for; the latter is what a busy machine leaves alone.
func BenchmarkApplyEstate(b *testing.B) {
	batches := slices.Collect(estate.Batches(estate.S()))
	edges, latencies := 0, []time.Duration(nil)
	var wall, cpu time.Duration
	for b.Loop() {
		s, err := Open(b.TempDir(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		began, used := time.Now(), cpuTime()
		for _, batch := range batches {
			at := time.Now()
			if _, err := s.Apply(context.Background(), "contoso", batch); err != nil {
				b.Fatal(err)
			}
			latencies = append(latencies, time.Since(at))
			edges += len(batch.Edges)
		}
		wall, cpu = wall+time.Since(began), cpu+cpuTime()-used
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(edges)/wall.Seconds(), "edges/s")
	b.ReportMetric(float64(edges)/cpu.Seconds(), "edges/CPU-s")
	b.ReportMetric(latencies[len(latencies)/2].Seconds()*1000, "p50-ms")
}

// cpuTime of this process so far, user and system.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
