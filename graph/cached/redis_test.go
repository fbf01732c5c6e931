package cached

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// pair is two caches, as two replicas have, before one store and one Redis.
type pair struct {
	store    graph.Store
	one, two *Store
	w1, w2   *watched
	m1, m2   meter
	raw      *redis.Client
	server   *realserver.Server
}

func newPair(t *testing.T, server realserver.RedisOptions, change func(*Options)) *pair {
	t.Helper()
	noLeaks(t)
	p := &pair{store: openStore(t), server: startRedis(t, server)}
	o := Options{eager: true, Redis: tier(p.server.Addr)}
	if change != nil {
		change(&o)
	}
	p.m1 = newMeter(&o)
	p.one, p.w1 = open(t, p.store, o)
	p.m2 = newMeter(&o)
	p.two, p.w2 = open(t, p.store, o)
	p.raw = redis.NewClient(&redis.Options{Addr: p.server.Addr, DisableIdentity: true, DialTimeout: time.Second})
	t.Cleanup(func() { p.raw.Close() })
	for i := range 3 {
		apply(t, p.store, graphtest.Tenant, alertAbout(fmt.Sprint(i), fmt.Sprint("pc", i)))
	}
	return p
}

// written waits until so many values lie in Redis.
func (p *pair) written(t *testing.T, n int) []string {
	t.Helper()
	var names []string
	eventually(t, fmt.Sprint(n, " values in Redis"), func() bool {
		names = p.raw.Keys(t.Context(), namePrefix+"*").Val()
		return len(names) == n
	})
	return names
}

func TestWhatOneReplicaReadAnotherFindsInRedis(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, nil)
	want := readOne(t, p.store, view, 1)
	same(t, "first replica", want, readOne(t, p.one, view, 1))
	name := p.written(t, 1)[0]
	same(t, "second replica", want, readOne(t, p.two, view, 1))
	same(t, "second replica, from memory", want, readOne(t, p.two, view, 1))
	if p.w2.alerts.Load() != 0 || p.m2.sum(t, "clew.cache.hits", "tier", "redis") != 1 || p.m2.sum(t, "clew.cache.hits", "tier", "memory") != 1 {
		t.Errorf("%d reads of the store", p.w2.alerts.Load())
	}
	value := p.raw.Get(t.Context(), name).Val()
	for _, told := range []string{"pc0", "contoso", "alert", "deviceEvidence"} {
		if strings.Contains(name+value, told) {
			t.Errorf("Redis tells %q", told)
		}
	}
	if ttl := p.raw.TTL(t.Context(), name).Val(); ttl <= 0 || ttl > DefaultKeep {
		t.Errorf("it stays for %v", ttl)
	}
}

func TestANewVersionIsAnotherValue(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, nil)
	for i := range 3 {
		want := readOne(t, p.store, view, 1)
		same(t, "first replica", want, readOne(t, p.one, view, 1))
		p.written(t, i+1)
		same(t, "second replica", want, readOne(t, p.two, view, 1))
		apply(t, p.store, graphtest.Tenant, alertAbout(fmt.Sprint("more", i), "pc0"))
	}
	if p.w2.alerts.Load() != 0 {
		t.Error("the second replica read the store")
	}
}

// Whatever lies under a name, the answer is the store's.
func TestPoisonInRedisIsNeverShown(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, func(o *Options) { o.MaxValueBytes = 64 << 10 })
	readOne(t, p.one, view, 2)
	other := p.raw.Get(t.Context(), p.written(t, 1)[0]).Val()
	p.raw.FlushAll(t.Context())
	forger := must(slotOf(secret(), key{kind: kindAlerts, tenant: graphtest.Tenant, id: 1}))(t)
	for name, poison := range map[string]func(name, value string){
		"garbage":                       func(name, value string) { p.raw.Set(t.Context(), name, "garbage", 0) },
		"nothing":                       func(name, value string) { p.raw.Set(t.Context(), name, "", 0) },
		"a truncated value":             func(name, value string) { p.raw.Set(t.Context(), name, value[:len(value)-1], 0) },
		"a value with more behind":      func(name, value string) { p.raw.Append(t.Context(), name, "x") },
		"a flipped bit":                 func(name, value string) { p.raw.SetBit(t.Context(), name, 200, 1-int(value[25]>>7)) },
		"another incident's value":      func(name, value string) { p.raw.Set(t.Context(), name, other, 0) },
		"a value of another's making":   func(name, value string) { p.raw.Set(t.Context(), name, forger.seal(packed(nil, 9)), 0) },
		"an unsealed value":             func(name, value string) { p.raw.Set(t.Context(), name, packed(nil, 9), 0) },
		"a value far too long":          func(name, value string) { p.raw.Set(t.Context(), name, bytes.Repeat([]byte("x"), 4<<20), 0) },
		"a list, not a text":            func(name, value string) { p.raw.Del(t.Context(), name); p.raw.LPush(t.Context(), name, value) },
		"an older version of the value": nil,
	} {
		p.raw.FlushAll(t.Context())
		want := readOne(t, p.store, view, 1)
		p.one.memory.kept.InvalidateAll()
		p.two.memory.kept.InvalidateAll()
		readOne(t, p.one, view, 1)
		at := p.written(t, 1)[0]
		value := p.raw.Get(t.Context(), at).Val()
		if poison == nil {
			apply(t, p.store, graphtest.Tenant, alertAbout("newer", "pc0"))
			want = readOne(t, p.store, view, 1)
			p.raw.FlushAll(t.Context())
			readOne(t, p.one, view, 1)
			at = p.written(t, 1)[0]
			p.raw.Set(t.Context(), at, value, 0)
		} else {
			poison(at, value)
		}
		read := p.w2.alerts.Load()
		same(t, name, want, readOne(t, p.two, view, 1))
		if p.w2.alerts.Load() != read+1 {
			t.Errorf("%s: the answer came from Redis", name)
		}
		eventually(t, name+" is replaced", func() bool {
			_, err := opened(must(slotOf(p.two.redis.options.Secret, p.keyOf(t, 1)))(t), []byte(p.raw.Get(t.Context(), at).Val()), p.two.redis.mostBytes)
			return err == nil
		})
	}
	if n := p.m2.sum(t, "clew.cache.redis.failures", "reason", "damaged"); n < 8 {
		t.Errorf("%d values were found damaged", n)
	}
}

// keyOf is the key of an incident's alerts as they stand.
func (p *pair) keyOf(t *testing.T, id graph.IncidentID) key {
	i := must(p.one.readIncident(t.Context(), view, id))(t)
	k := keyOf(view, kindAlerts)
	k.id = i.ID
	return k.at(versionOf(i))
}

// The same ids and versions in two tenants and under two sorts of access, in one Redis.
func TestTenantsAndViewsShareNothingInRedis(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, nil)
	for i := range 3 {
		b := alertAbout(fmt.Sprint(i), fmt.Sprint("pc", i))
		b.Alerts[0].Title = "of the other tenant"
		apply(t, p.store, "fabrikam", b)
	}
	views := []graph.View{view, {Tenant: "fabrikam"}, {Tenant: view.Tenant, Access: "tier1"}, {Tenant: view.Tenant, Access: "tier2"}}
	for i, v := range views {
		same(t, "first replica", readOne(t, p.store, v, 1), readOne(t, p.one, v, 1))
		p.written(t, i+1)
	}
	for _, v := range views {
		same(t, "second replica", readOne(t, p.store, v, 1), readOne(t, p.two, v, 1))
	}
	if p.w1.alerts.Load() != 4 || p.w2.alerts.Load() != 0 {
		t.Errorf("%d and %d reads", p.w1.alerts.Load(), p.w2.alerts.Load())
	}
}

func TestAFullRedisStillServesWhatItHas(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{MaxMemory: "3mb"}, nil)
	readOne(t, p.one, view, 1)
	p.written(t, 1)
	p.fillUp(t)
	for range 20 {
		p.one.memory.kept.InvalidateAll()
		same(t, "a value that does not fit", readOne(t, p.store, view, 2), readOne(t, p.one, view, 2))
	}
	eventually(t, "writes are refused", func() bool {
		return p.m1.sum(t, "clew.cache.redis.failures", "operation", "set", "reason", "refused") > 0
	})
	p.stillServes(t)
	p.raw.Del(t.Context(), "ballast")
	p.recovers(t)
}

// fillUp leaves no room for a value.
func (p *pair) fillUp(t *testing.T) {
	t.Helper()
	for size := 1 << 20; size >= 16; {
		if err := p.raw.Append(t.Context(), "ballast", strings.Repeat("x", size)).Err(); err != nil {
			size /= 2
		}
	}
}

// stillServes reads what lies in Redis, also through the cache whose writes were refused.
func (p *pair) stillServes(t *testing.T) {
	t.Helper()
	for cache, w := range map[*Store]*watched{p.one: p.w1, p.two: p.w2} {
		cache.memory.kept.InvalidateAll()
		before := w.alerts.Load()
		same(t, "a value that is there", readOne(t, p.store, view, 1), readOne(t, cache, view, 1))
		if w.alerts.Load() != before {
			t.Error("what is there was not read from it")
		}
	}
}

// recovers waits until a value is written again, with no help.
func (p *pair) recovers(t *testing.T) {
	t.Helper()
	eventually(t, "Redis is used again", func() bool {
		p.one.memory.kept.InvalidateAll()
		same(t, "meanwhile", readOne(t, p.store, view, 3), readOne(t, p.one, view, 3))
		return p.raw.Exists(t.Context(), must(slotOf(p.one.redis.options.Secret, p.keyOf(t, 3)))(t).name).Val() == 1
	})
	p.two.memory.kept.InvalidateAll()
	eventually(t, "Redis is read again", func() bool {
		p.two.memory.kept.InvalidateAll()
		before := p.w2.alerts.Load()
		same(t, "afterwards", readOne(t, p.store, view, 3), readOne(t, p.two, view, 3))
		return p.w2.alerts.Load() == before
	})
}

func TestAReadOnlyRedisStillServesWhatItHas(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, nil)
	readOne(t, p.one, view, 1)
	p.written(t, 1)
	if err := p.raw.ConfigSet(t.Context(), "replica-serve-stale-data", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.raw.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		p.one.memory.kept.InvalidateAll()
		same(t, "a value that cannot be written", readOne(t, p.store, view, 2), readOne(t, p.one, view, 2))
	}
	eventually(t, "writes are refused", func() bool {
		return p.m1.sum(t, "clew.cache.redis.failures", "operation", "set", "reason", "refused") > 0
	})
	p.stillServes(t)
	if err := p.raw.ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	p.recovers(t)
}

// A Redis that is gone is asked a few times and then left alone.
func TestARedisThatIsGoneIsLeftAlone(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, func(o *Options) { o.Redis.Rest = time.Hour })
	p.server.Kill(t)
	for range 200 {
		p.one.memory.kept.InvalidateAll()
		same(t, "without Redis", readOne(t, p.store, view, 1), readOne(t, p.one, view, 1))
	}
	tried := p.m1.sum(t, "clew.cache.redis.failures", "reason", "unreachable") + p.m1.sum(t, "clew.cache.redis.failures", "reason", "timeout")
	if tried > 40 || tried == 0 { // of 400: ten reads, ten writes, and those that were on their way by then
		t.Errorf("%d commands were tried", tried)
	}
	eventually(t, "the rest was not", func() bool { return p.m1.sum(t, "clew.cache.redis.failures") == 400 })
}

func TestAWrongPasswordIsAsGoodAsNoRedis(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, nil)
	if err := p.raw.ConfigSet(t.Context(), "requirepass", "another").Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.one.memory.kept.InvalidateAll()
		same(t, "without a password", readOne(t, p.store, view, 1), readOne(t, p.one, view, 1))
	}
	if p.m1.sum(t, "clew.cache.redis.failures", "reason", "refused") == 0 {
		t.Error("nothing was refused")
	}
}

// A server that says a length nobody has room for: the client would panic, in the caller's goroutine or in one of ours.
func TestARedisThatLiesAboutLengthsIsLeftAlone(t *testing.T) {
	for _, lying := range []string{"GETRANGE", "SET"} {
		t.Run(lying, func(t *testing.T) {
			p := newPair(t, realserver.RedisOptions{}, func(o *Options) { o.Redis.Connect.Addrs[0] = liar(t, lying) })
			want := readOne(t, p.store, view, 1)
			for range 20 {
				same(t, "the answer", want, readOne(t, p.one, view, 1))
			}
			eventually(t, "a failure that was counted", func() bool { return p.m1.sum(t, "clew.cache.redis.failures") > 0 })
		})
	}
}

// liar is a server that answers one command with a length beyond all bounds, and others as one that has nothing.
func liar(t *testing.T, command string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go lie(conn, command)
		}
	}()
	return l.Addr().String()
}

func lie(conn net.Conn, command string) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		n, err := lineNumber(in)
		if err != nil {
			return
		}
		name := ""
		for i := range n {
			size, err := lineNumber(in)
			if err != nil {
				return
			}
			text := make([]byte, size+2)
			if _, err := io.ReadFull(in, text); err != nil {
				return
			}
			if i == 0 {
				name = strings.ToUpper(string(text[:size]))
			}
		}
		answer := "$0\r\n\r\n"
		switch name {
		case command:
			answer = "$9223372036854775800\r\n"
		case "HELLO":
			answer = "-ERR unknown command\r\n"
		case "SET":
			answer = "+OK\r\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// lineNumber reads a line of a sign and a number.
func lineNumber(in *bufio.Reader) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil || len(line) < 2 {
		return 0, errors.New("no line")
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func TestNoMoreIsFetchedThanAValueCanHave(t *testing.T) {
	p := newPair(t, realserver.RedisOptions{}, func(o *Options) { o.MaxValueBytes = 1 << 10 })
	p.raw.Set(t.Context(), "huge", bytes.Repeat([]byte("x"), 8<<20), 0)
	if got, ok := p.one.redis.fetch(t.Context(), "huge"); !ok || len(got) > 2<<10 {
		t.Errorf("%d bytes came (%v)", len(got), ok)
	}
}

func TestAClosedCacheLetsGoOfRedis(t *testing.T) {
	noLeaks(t)
	s, _ := open(t, openStore(t), Options{Redis: tier("127.0.0.1:1")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.redis.client.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("the client says %v", err)
	}
}

func TestTheSecretIsTheCachesOwn(t *testing.T) {
	own := secret()
	c := tier("127.0.0.1:1")
	c.Secret = own
	s, _ := open(t, openStore(t), Options{Redis: c})
	clear(own)
	if bytes.Equal(s.redis.options.Secret, own) {
		t.Error("it changes with the caller's")
	}
}
