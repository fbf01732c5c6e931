package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// smallFiles make WALs and tables change hands within a few batches.
const smallFiles = 64 << 10

// padding makes a batch big enough for smallFiles to matter; every other one is too big for a memtable.
func padding(n int) []graph.Document {
	return []graph.Document{{DocumentKey: graph.DocumentKey{Collection: "padding", Key: "p"}, Value: []byte(fmt.Sprint(n, strings.Repeat("x", (20+60*(n%2))<<10)))}}
}

func drawBatches(t *rapid.T) []graph.Batch {
	batches := graphtest.Group(t, rapid.SliceOfN(rapid.Custom(graphtest.DrawUnit), 4, 16).Draw(t, "units"), graphtest.UnionDecider{})
	for i := range batches {
		batches[i].Documents = padding(i)
	}
	return batches
}

// replay applies the batches and returns what the store held after each; it stops at the first error.
func replay(s *Store, t fataler, batches []graph.Batch, acknowledged *atomic.Int64) (states []string, err error) {
	states = []string{contentOf(t, s, graphtest.Tenant)}
	for _, b := range batches {
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			return states, err
		}
		acknowledged.Add(1)
		states = append(states, contentOf(t, s, graphtest.Tenant))
	}
	return states, nil
}

// A crash at any file operation leaves what was acknowledged, or that and the batch in flight, whole.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	crashed, inFlight := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewCrashableMem()
		cfg := vfs.CrashCloneCfg{
			UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced"),
			RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
		}
		at := int64(rapid.IntRange(1, 260).Draw(t, "operation"))
		var operations, acknowledged, then atomic.Int64
		var clone atomic.Pointer[vfs.MemFS]
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && operations.Add(1) == at {
				then.Store(acknowledged.Load())
				clone.Store(mem.CrashClone(cfg))
			}
			return nil
		}))
		s := openAt(t, Options{FS: fs, Clock: graphtest.NewClock().Now, memTableBytes: smallFiles})
		states, err := replay(s, t, drawBatches(t), &acknowledged)
		if err != nil {
			t.Fatalf("applying: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("closing: %v", err)
		}
		if clone.Load() == nil {
			return // fewer operations than that
		}
		crashed++
		s = openAt(t, Options{FS: clone.Load(), Clock: graphtest.NewClock().Now, memTableBytes: smallFiles})
		defer s.Close()
		verifyRows(t, s, graphtest.Tenant)
		switch got, n := contentOf(t, s, graphtest.Tenant), then.Load(); {
		case got == states[n]:
		case int(n)+1 < len(states) && got == states[n+1]:
			inFlight++
		default:
			t.Fatalf("after %d acknowledged batches the reopened store is neither that nor one on", n)
		}
	})
	t.Logf("%d crashes, %d kept the batch in flight", crashed, inFlight)
	if crashed == 0 {
		t.Fatal("no run crashed")
	}
}

// The negative control: without syncing, the same crash must lose batches, else the test above tests nothing.
func TestCrashWithoutSyncLosesBatches(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openAt(t, Options{FS: mem})
	defer closeStore(t, s)
	s.write = pebble.NoSync
	if _, err := s.Apply(context.Background(), "contoso", logonBatch(0, 10)); err != nil {
		t.Fatal(err)
	}
	lost := openAt(t, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	defer closeStore(t, lost)
	if p, err := lost.Position(context.Background(), graph.View{Tenant: "contoso"}); err != nil || p.Edges != 0 {
		t.Errorf("an unsynced batch outlived the crash: %+v, %v", p, err)
	}
}

// A full or failing disk at any write stops the store; opened again it has all that was acknowledged.
func TestFailedWriteStopsTheStoreAndLosesNothing(t *testing.T) {
	failed := 0
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		cause := rapid.SampledFrom([]error{syscall.ENOSPC, syscall.EIO}).Draw(t, "error")
		var armed atomic.Bool
		var operations, acknowledged atomic.Int64
		at := int64(rapid.IntRange(1, 120).Draw(t, "operation"))
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && operations.Add(1) >= at {
				return cause
			}
			return nil
		}))
		s := openAt(t, Options{FS: fs, Clock: graphtest.NewClock().Now, memTableBytes: smallFiles})
		armed.Store(true)
		batches := drawBatches(t)
		reference := openAt(t, Options{FS: vfs.NewMem(), Clock: graphtest.NewClock().Now})
		states, err := replay(reference, t, batches, new(atomic.Int64))
		if err != nil || reference.Close() != nil {
			t.Fatalf("reference: %v", err)
		}
		for _, b := range batches {
			if _, err = s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
				break
			}
			acknowledged.Add(1)
		}
		if err != nil {
			failed++
			expectStopped(t, s, err, cause)
		}
		closeErr := s.Close()
		if armed.Store(false); closeErr != nil && !errors.Is(closeErr, cause) {
			t.Fatalf("closing: %v", closeErr)
		}
		s = openAt(t, Options{FS: fs, Clock: graphtest.NewClock().Now, memTableBytes: smallFiles})
		defer s.Close()
		verifyRows(t, s, graphtest.Tenant)
		got, n := contentOf(t, s, graphtest.Tenant), acknowledged.Load()
		if got != states[n] && (int(n)+1 >= len(states) || got != states[n+1]) {
			t.Fatalf("after %d acknowledged batches the reopened store is neither that nor one on", n)
		}
	})
	t.Logf("%d runs met the error", failed)
	if failed == 0 {
		t.Fatal("no run met the error")
	}
}

// expectStopped checks that every call now says why.
func expectStopped(t fataler, s *Store, first, cause error) {
	t.Helper()
	ctx, v := context.Background(), graph.View{Tenant: graphtest.Tenant, AtLeast: 1 << 40}
	_, again := s.Apply(ctx, graphtest.Tenant, graph.Batch{})
	_, read := s.Entities(ctx, graph.View{Tenant: graphtest.Tenant}, graph.EntityQuery{})
	_, waiting := s.Position(ctx, v)
	for i, err := range []error{first, again, read, waiting, s.Ready(ctx)} {
		if !errors.Is(err, cause) {
			t.Fatalf("call %d after a failed write: %v", i, err)
		}
	}
}

// A process killed in the middle of its writes leaves a store that opens with all it acknowledged.
func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	const env, tenant = "CLEW_TEST_KILL_DIR", graph.TenantID("contoso")
	if dir := os.Getenv(env); dir != "" {
		s, err := Open(dir, Options{})
		for i := 0; err == nil; i++ {
			if _, err = s.Apply(context.Background(), tenant, logonBatch(i, 50)); err == nil {
				fmt.Println("acknowledged", i)
			}
		}
		t.Fatal(err)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), env+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "acknowledged") {
			acknowledged++
		}
		if acknowledged == 25 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || acknowledged < 25 {
		t.Fatalf("the child ended with %v after %d batches", err, acknowledged)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	verifyRows(t, s, tenant)
	if p, err := s.Position(context.Background(), graph.View{Tenant: tenant}); err != nil || p.Edges < acknowledged*50 {
		t.Errorf("%d batches of 50 edges were acknowledged, the store has %d edges (%v)", acknowledged, p.Edges, err)
	}
}

// killedWithPadding is what is left of a store that was killed with 20 batches of padding in its log.
func killedWithPadding(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s := openAt(t, Options{FS: mem})
	defer closeStore(t, s)
	for n := range 20 {
		if _, err := s.Apply(t.Context(), graphtest.Tenant, graph.Batch{Documents: padding(n)}); err != nil {
			t.Fatal(err)
		}
	}
	return mem.CrashClone(vfs.CrashCloneCfg{})
}

// A disk that is full, or fails, while a store is opened: Pebble tried to flush what it had recovered again
// and again and never returned.
func TestOpeningOnAFailingDiskSaysSoAndHarmsNothing(t *testing.T) {
	crashed := killedWithPadding(t)
	refused := 0
	for at := int64(1); ; at++ {
		disk := crashed.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, uint64(at)))})
		var writes atomic.Int64
		full := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) >= at {
				return syscall.ENOSPC
			}
			return nil
		}))
		one, err := Open("store", Options{FS: full})
		if err == nil {
			_ = one.Close() // the disk may fail only now
			break
		}
		if refused++; !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write %d: %v", at, err)
		}
		after := openAt(t, Options{FS: disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(2, uint64(at)))})})
		docs, err := after.Documents(context.Background(), graph.View{Tenant: graphtest.Tenant}, graph.DocumentQuery{Collection: "padding"})
		if err != nil || len(docs) != 1 {
			t.Fatalf("write %d: afterwards %d documents (%v)", at, len(docs), err)
		}
		closeStore(t, after)
	}
	if refused == 0 {
		t.Fatal("opening needs no write, so nothing was tested")
	}
	t.Logf("opening was refused at each of its %d writes", refused)
}

// What a full disk stops at any write leaves no more in the directory the tenth time than the first: whatever room is
// made is then there for the opening that needs it.
func TestOpeningOnAFullDiskAgainAndAgainTakesNoMoreOfIt(t *testing.T) {
	crashed := killedWithPadding(t)
	var tables atomic.Int64
	for at, opened := int64(1), false; !opened; at++ {
		disk := crashed.CrashClone(vfs.CrashCloneCfg{})
		var writes atomic.Int64
		full := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
				tables.Add(1)
			}
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove && writes.Add(1) >= at {
				return syscall.ENOSPC
			}
			return nil
		}))
		first := 0
		for attempt := range 10 {
			writes.Store(0)
			one, err := Open("store", Options{FS: full})
			if opened = err == nil; opened {
				_ = one.Close()
				break
			}
			size := 0
			for _, text := range filesOf(t, disk, "store") {
				size += len(text)
			}
			if first == 0 {
				first = size
			}
			if !errors.Is(err, syscall.ENOSPC) || size > first+1000 { // a manifest is small
				t.Fatalf("write %d, attempt %d: the directory has %d bytes, had %d (%v)", at, attempt, size, first, err)
			}
		}
	}
	if tables.Load() < 20 {
		t.Fatalf("%d tables were begun", tables.Load())
	}
}

// A crash while a directory was first made left a manifest that was named and not there: it never opened again.
func TestACreationCutShortIsBegunAnew(t *testing.T) {
	tried := 0
	for at := int64(1); at < 30; at++ {
		for seed := range uint64(20) {
			mem := vfs.NewCrashableMem()
			var writes atomic.Int64
			var left atomic.Pointer[vfs.MemFS]
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 1))}
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == at {
					left.Store(mem.CrashClone(cfg))
				}
				return nil
			}))
			closeStore(t, openAt(t, Options{FS: fs}))
			if left.Load() != nil {
				closeStore(t, openAt(t, Options{FS: left.Load()}))
				tried++
			}
		}
	}
	if tried < 100 {
		t.Fatalf("%d crashes tried", tried)
	}
}

// A store that is opened again gets another manifest at the first flush, and a marker that names it. A crash between
// the two left a marker of a manifest that was not there, or no marker.
func TestACrashWhileTheManifestChangesLosesNothing(t *testing.T) {
	synced := vfs.NewCrashableMem()
	s := someStore(t, Options{FS: synced})
	want := contentOf(t, s, graphtest.Tenant)
	closeStore(t, s)
	tried := 0
	for at := int64(1); at < 60; at++ {
		for seed := range uint64(5) {
			mem := synced.CrashClone(vfs.CrashCloneCfg{})
			var writes atomic.Int64
			var left atomic.Pointer[vfs.MemFS]
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, uint64(at)))}
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == at {
					left.Store(mem.CrashClone(cfg))
				}
				return nil
			}))
			closeStore(t, openAt(t, Options{FS: fs}))
			if left.Load() == nil {
				continue
			}
			tried++
			s = openAt(t, Options{FS: left.Load()})
			if got := contentOf(t, s, graphtest.Tenant); got != want {
				t.Fatalf("after a crash at write %d it shows %s, was %s", at, got, want)
			}
			closeStore(t, s)
		}
	}
	if tried < 100 {
		t.Fatalf("%d crashes tried", tried)
	}
}
