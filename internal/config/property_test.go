package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// readsBack prints and reads again, in YAML with and without sources, and in JSON, which is YAML too. Secrets that
// did not come from a file are taken out first.
func readsBack(t interface {
	testing.TB
}, l Loaded) {
	t.Helper()
	if c := l.Config; c.Store.Neo4j.Password.file == "" && c.Store.Neo4j.Password.value != "" ||
		c.Cache.Secret.file == "" && c.Cache.Secret.value != "" || c.Redis.Password.file == "" && c.Redis.Password.value != "" || c.Redis.URL.String() != c.Redis.URL.raw {
		return
	}
	for _, print := range []func(*strings.Builder) error{
		func(b *strings.Builder) error { return l.WriteYAML(b, false) },
		func(b *strings.Builder) error { return l.WriteYAML(b, true) },
		func(b *strings.Builder) error { return l.WriteJSON(b, false) },
	} {
		var b strings.Builder
		if err := print(&b); err != nil {
			t.Fatal(err)
		}
		write(t, "printed.yaml", b.String())
		again, err := Load(Options{File: "printed.yaml", Environ: []string{}})
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if again.Config != l.Config {
			t.Fatalf("read back\n%+v\nwas\n%+v\n%s", again.Config, l.Config, b.String())
		}
	}
}

func TestAnyValidConfigurationPrintedReadsBackTheSame(t *testing.T) {
	t.Chdir(t.TempDir())
	beside(t)
	write(t, "secret", sealed)
	valid, kinds := 0, map[StoreKind]int{}
	rapid.Check(t, func(rt *rapid.T) {
		environ := drawEnviron(rt)
		l, err := Load(Options{Environ: environ})
		if err != nil {
			rt.Fatalf("%v\n%s", err, strings.Join(environ, "\n"))
		}
		readsBack(t, l)
		mustHide(t, everything(t, l, nil))
		valid++
		kinds[l.Config.Store.Kind]++
	})
	t.Logf("%d configurations, %v", valid, kinds)
	if valid == 0 || len(kinds) < 2 {
		t.Error("the generator misses kinds")
	}
}

// drawEnviron draws some valid value for some settings, and what goes with them.
func drawEnviron(t *rapid.T) []string {
	set := map[string]string{
		"store.kind": rapid.SampledFrom([]string{"embedded", "neo4j"}).Draw(t, "store"),
		"cache.kind": rapid.SampledFrom([]string{"memory", "redis", "off"}).Draw(t, "cache"),
	}
	for _, f := range Fields() {
		if _, fixed := set[f.Key]; fixed || !rapid.Bool().Draw(t, "set "+f.Key) && !required[f.Key] {
			continue
		}
		set[f.Key] = drawText(t, f)
	}
	reconcile(set)
	var out []string
	for _, f := range Fields() {
		text, is := set[f.Key]
		if name := f.Env(); is && f.Secret {
			out = append(out, name+"_FILE=./secret")
		} else if is {
			out = append(out, name+"="+text)
		}
	}
	return out
}

var required = map[string]bool{"store.neo4j.uri": true, "store.neo4j.password": true, "redis.url": true, "cache.secret": true}

// reconcile takes away what contradicts something else.
func reconcile(set map[string]string) {
	delete(set, "replica.maxStale")
	if set["replica.poll"] != "" {
		set["replica.maxStale"] = "1h"
	}
	if !strings.Contains(set["store.neo4j.uri"], "+s:") {
		delete(set, "store.neo4j.tls.ca")
	}
}

// drawText draws what a setting accepts.
func drawText(t *rapid.T, f Field) string {
	if texts, special := samples[f.Key]; special {
		return texts.Draw(t, f.Key)
	}
	v := f.at(new(Config))
	if o, optional := v.(orWord); optional {
		if rapid.Bool().Draw(t, "word") {
			return o.words[0]
		}
		v = o.value
	}
	switch v := v.(type) {
	case durationValue:
		return formatDuration(time.Duration(rapid.Int64Range(int64(v.least), int64(v.most)).Draw(t, f.Key)))
	case sizeValue:
		return formatSize(rapid.Int64Range(v.least, v.most).Draw(t, f.Key))
	case numberValue:
		return fmt.Sprint(rapid.IntRange(v.least, v.most).Draw(t, f.Key))
	}
	return f.Default
}

var (
	anyText  = rapid.OneOf(rapid.StringMatching(`[ -~¡-ʯ]{1,20}`), rapid.SampledFrom([]string{"null", "0123", "yes", "1e3", "~", "# x", "- x", "a: b", "2026-01-02", "'", `"`, " ", "x ", "<<", "%", "\u2028", "😀"}))
	hosts    = rapid.SampledFrom([]string{"127.0.0.1:0", "[::1]:9000", "localhost:9001", "0.0.0.0:9002", "db.example.com:65535"})
	anyWords = func(words ...string) *rapid.Generator[string] { return rapid.SampledFrom(words) }
)

// samples are texts for settings whose bounds do not say what they accept.
var samples = map[string]*rapid.Generator[string]{
	"listen": hosts, "publicURL": anyWords("http://clew.example.com", "https://clew.example.com:444/clew/", "https://[2001:db8::1]"),
	"metrics.listen": anyWords("off", ":9464", "[2001:db8::1]:9464"), "dataDir": anyText, "store.embedded.dir": anyText, "store.neo4j.user": anyText,
	"store.neo4j.uri": rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(neo4jSchemes).Draw(t, "scheme") + "://" + rapid.SampledFrom([]string{"db", "192.0.2.1:7687", "[2001:db8::1]:7687"}).Draw(t, "host")
	}),
	"store.neo4j.database": rapid.StringMatching(`[A-Za-z][A-Za-z0-9.-]{2,62}`), "store.neo4j.tls.ca": anyWords("./ca.pem"), "criticality.rules": anyWords("./ca.pem", ""),
	"redis.url": anyWords("redis://cache", "rediss://cache:6380/15", "redis://[2001:db8::1]:1/0"), "log.level": anyWords("debug", "info", "warn", "error"),
	"log.format": anyWords("text", "json"),
}

func TestDurationsAndSizesReadBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<63-1).Draw(t, "duration"))
		if got, f := parseDuration(formatDuration(d)); got != d || !f.none() {
			t.Errorf("%d is written %s, read %d %v", d, formatDuration(d), got, f)
		}
		var n int64
		size := rapid.Int64Range(0, 1<<62).Draw(t, "size") << rapid.SampledFrom([]int{0, 10, 20, 40}).Draw(t, "shift") & (1<<62 - 1)
		if f := (sizeValue{&n, 0, 1 << 62}).set(formatSize(size)); n != size || !f.none() {
			t.Errorf("%d is written %s, read %d %v", size, formatSize(size), n, f)
		}
	})
}

func TestHowDurationsAndSizesAreWritten(t *testing.T) {
	for text, want := range map[string]string{
		"90d": "90d", "2w": "14d", "1w1d1h": "8d1h", "24h": "1d", "90m": "1h30m", "60s": "1m", "1500ms": "1.5s", "0s": "0s", "1h0m30s": "1h0m30s",
		"10m": "10m", "20s": "20s", "1.5h": "1h30m", "3us": "3µs",
	} {
		if d, f := parseDuration(text); !f.none() || formatDuration(d) != want {
			t.Errorf("%s is written %s (%v)", text, formatDuration(d), f)
		}
	}
	for _, text := range []string{"", "d", "1d2w", "1h1d", "s", "1 s", "1S", "--1s", "1,5s", "∞"} {
		if d, f := parseDuration(text); f.none() {
			t.Errorf("%q is read as %s", text, d)
		}
	}
	for text, want := range map[string]string{"1024KiB": "1MiB", "1000 kb": "1000000", "3gib": "3GiB", "0": "0", "1B": "1"} {
		var n int64
		if f := (sizeValue{&n, 0, tib}).set(text); !f.none() || formatSize(n) != want {
			t.Errorf("%s is written %s (%v)", text, formatSize(n), f)
		}
	}
}
