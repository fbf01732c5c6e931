package cached

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// proxied puts a proxy between the caches of a pair and Redis.
func proxied(t *testing.T, change func(*Options)) (*pair, *toxiproxy.Proxy) {
	t.Helper()
	var proxy *toxiproxy.Proxy
	p := newPair(t, realserver.RedisOptions{}, func(o *Options) {
		var addr string
		proxy, addr = newProxy(t, o.Redis.Connect.Addrs[0])
		o.Redis.Connect.Addrs[0] = addr
		o.Redis.Timeout = 150 * time.Millisecond
		if change != nil {
			change(o)
		}
	})
	return p, proxy
}

func newProxy(t *testing.T, upstream string) (*toxiproxy.Proxy, string) {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard)), "redis", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, p.Listen
}

// Whatever the way to Redis does, answers are right, few commands are tried, and all is well afterwards.
func TestABadWayToRedisOnlyCostsTime(t *testing.T) {
	for name, toxic := range map[string]string{
		"latency":         `{"type":"latency","attributes":{"latency":2000}}`,
		"no answer":       `{"type":"timeout","attributes":{"timeout":0}}`,
		"closed at once":  `{"type":"timeout","attributes":{"timeout":1}}`,
		"reset":           `{"type":"reset_peer","attributes":{"timeout":0}}`,
		"a trickle":       `{"type":"bandwidth","attributes":{"rate":0}}`,
		"cut short":       `{"type":"limit_data","attributes":{"bytes":200}}`,
		"slices too slow": `{"type":"slicer","attributes":{"average_size":3,"size_variation":1,"delay":5000}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, proxy := proxied(t, nil)
			p.recovers(t) // so far, all is well
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Fatal(err)
			}
			for range 30 {
				p.two.memory.kept.InvalidateAll()
				same(t, name, readOne(t, p.store, view, 3), readOne(t, p.two, view, 3))
			}
			if p.w2.alerts.Load() == 0 || p.m2.sum(t, "clew.cache.redis.failures") == 0 {
				t.Error("the toxic did nothing")
			}
			proxy.Toxics.ResetToxics(t.Context())
			p.recovers(t)
		})
	}
}

func TestASlowRedisIsLeftAloneAfterAFewCommands(t *testing.T) {
	p, proxy := proxied(t, func(o *Options) { o.Redis.Rest = time.Hour })
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"type":"latency","attributes":{"latency":2000}}`)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.one.memory.kept.InvalidateAll()
		same(t, "slow", readOne(t, p.store, view, 1), readOne(t, p.one, view, 1))
	}
	if n := p.m1.sum(t, "clew.cache.redis.failures", "operation", "get", "reason", "timeout"); n == 0 || n > 10 {
		t.Errorf("%d commands were waited for", n)
	}
}

// A Redis that refused its password was in no log.
func TestTheLogTellsOnceThatRedisFailsAndOnceThatItWorks(t *testing.T) {
	var mu sync.Mutex
	var told []string
	of := func(what string) (lines []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, line := range told {
			if strings.Contains(line, what) {
				lines = append(lines, line)
			}
		}
		return lines
	}
	p, proxy := proxied(t, func(o *Options) {
		o.Redis.Rest = 10 * time.Millisecond
		o.Log = func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf(format, args...))
		}
	})
	read := func() {
		p.one.memory.kept.InvalidateAll()
		same(t, "meanwhile", readOne(t, p.store, view, 1), readOne(t, p.one, view, 1))
	}
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"type":"reset_peer","attributes":{"timeout":0}}`)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		read()
		time.Sleep(5 * time.Millisecond) // Redis is tried now and then
	}
	if lines := of("reads of Redis"); len(lines) != 1 || !strings.Contains(lines[0], "reset") && !strings.Contains(lines[0], "EOF") {
		t.Errorf("while it fails: %q", lines)
	}
	proxy.Toxics.ResetToxics(t.Context())
	eventually(t, "the log tells of the end", func() bool { read(); return len(of("reads of Redis")) > 1 })
	if lines := of("reads of Redis"); len(lines) != 2 || !strings.Contains(lines[1], "work again") {
		t.Errorf("in the end: %q", lines)
	}
}

// Redis dies and comes back, empty, again and again while incidents change and two replicas read them: every
// answer is the store's of a revision between the start and the end of the read.
func TestAnswersStayRightWhileRedisDies(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, func(o *Options) { o.Redis.Timeout = time.Second })
	var history history
	history.note(t, p.store)
	var stop atomic.Bool
	var reads atomic.Int64
	var readers sync.WaitGroup
	for i := range 4 {
		cache := []*Store{p.one, p.two}[i%2]
		readers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := graph.IncidentID(n%3 + 1)
				from := history.newest()
				page, err := cache.Alerts(t.Context(), view, oneIncident(id))
				if err != nil || !history.has(from, id, fmt.Sprintf("%+v", page)) {
					t.Errorf("incident %d: no revision since %d has this answer (%v)", id, from, err)
					return
				}
				reads.Add(1)
				if n%7 == 0 {
					cache.memory.kept.InvalidateAll()
				}
			}
		})
	}
	for round := range 4 {
		for i := range 10 {
			history.write(t, p.store, alertAbout(fmt.Sprint(round, "-", i), fmt.Sprint("pc", i%3)))
			time.Sleep(3 * time.Millisecond)
		}
		p.server.Kill(t)
		for i := range 10 {
			history.write(t, p.store, alertAbout(fmt.Sprint(round, "+", i), fmt.Sprint("pc", i%3)))
			time.Sleep(3 * time.Millisecond)
		}
		p.server.Restart(t)
		eventually(t, "Redis is used again", func() bool { return len(p.raw.Keys(t.Context(), namePrefix+"*").Val()) > 0 })
	}
	stop.Store(true)
	readers.Wait()
	found := p.m1.sum(t, "clew.cache.hits", "tier", "redis") + p.m2.sum(t, "clew.cache.hits", "tier", "redis")
	failed := p.m1.sum(t, "clew.cache.redis.failures") + p.m2.sum(t, "clew.cache.redis.failures")
	t.Logf("%d reads, %d from Redis, %d failures of Redis", reads.Load(), found, failed)
	if found == 0 || failed == 0 {
		t.Error("Redis was not there, or did not die")
	}
}

// history is what the store answered at each revision.
type history struct {
	mu      sync.Mutex
	answers []map[graph.IncidentID]string
}

// write commits and notes in one step, so that a reader of newest knows what it may see.
func (h *history) write(t *testing.T, s graph.Store, b graph.Batch) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	apply(t, s, graphtest.Tenant, b)
	h.add(t, s)
}

func (h *history) note(t *testing.T, s graph.Store) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(t, s)
}

func (h *history) add(t *testing.T, s graph.Store) {
	now := map[graph.IncidentID]string{}
	for id := graph.IncidentID(1); id <= 3; id++ {
		now[id] = fmt.Sprintf("%+v", readOne(t, s, view, id))
	}
	h.answers = append(h.answers, now)
}

// newest is the last revision that was acknowledged.
func (h *history) newest() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.answers) - 1
}

// has reports whether that was the answer at some time since.
func (h *history) has(since int, id graph.IncidentID, answer string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.answers[since:] {
		if a[id] == answer {
			return true
		}
	}
	return false
}
