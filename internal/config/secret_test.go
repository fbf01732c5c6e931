package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
)

// everything is all that can be printed of a configuration or of what is wrong with it.
func everything(t testing.TB, l Loaded, err error) string {
	t.Helper()
	var b strings.Builder
	printed(t, &b, l, err)
	if err == nil {
		configPrinted(t, &b, l)
	}
	return b.String()
}

// printed is what can be printed of problems.
func printed(t testing.TB, b *strings.Builder, l Loaded, err error) {
	var ps Problems
	if errors.As(err, &ps) {
		fmt.Fprintf(b, "%v %+v %#v %q", err, ps, ps, ps)
	}
	for _, v := range []Problems{ps, l.Warnings} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		b.WriteString(v.Error() + string(j))
	}
	slog.New(Log{}.Handler(b)).Error("wrong", "err", err)
}

func configPrinted(t testing.TB, b *strings.Builder, l Loaded) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(b, verb+"\n", l.Config)
		fmt.Fprintf(b, verb+" "+verb+"\n", l.Config.Redis.URL, &l.Config.Redis)
	}
	for _, h := range []slog.Handler{Log{Format: LogText}.Handler(b), Log{Format: LogJSON}.Handler(b)} {
		slog.New(h).Error("configuration", "config", l.Config, "url", l.Config.Redis.URL, "password", l.Config.Redis.Password)
	}
	j, err := json.Marshal(l.Config)
	b.Write(j)
	for _, sources := range []bool{false, true} {
		err = errors.Join(err, l.WriteYAML(b, sources), l.WriteJSON(b, sources))
	}
	if err != nil {
		t.Error(err)
	}
}

// mustHide fails where the canary sings: as it is, in hexadecimal, or percent-encoded.
func mustHide(t testing.TB, text string) {
	t.Helper()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%v", []byte(canary))} {
		if i := strings.Index(text, form); i >= 0 {
			t.Fatalf("a secret shows: …%s", text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

// secretsEverywhere sets every secret there is, right.
var secretsEverywhere = []string{
	"CLEW_STORE_KIND=neo4j", "CLEW_STORE_NEO4J_URI=bolt://db", "CLEW_STORE_NEO4J_PASSWORD=" + canary,
	"CLEW_CACHE_KIND=redis", "CLEW_CACHE_SECRET=" + sealed, "CLEW_REDIS_URL=redis://u" + canary + ":" + canary + "@cache:6379/1",
}

func TestNoSecretShowsOnAnyPath(t *testing.T) {
	l := mustLoad(t, Options{Environ: secretsEverywhere})
	if l.Config.Store.Neo4j.Password.Reveal() != canary || !strings.Contains(l.Config.Redis.URL.Reveal(), canary) {
		t.Fatal("the secrets are not there")
	}
	mustHide(t, everything(t, l, nil))
	told := 0
	for _, c := range wrongFiles {
		o := in(t, c.yaml)
		beside(t)
		for _, environ := range [][]string{{}, secretsEverywhere, {"CLEW_REDIS_PASSWORD=" + canary, "CLEW_WRONG=" + canary}} {
			o.Environ = environ
			l, err := Load(o)
			mustHide(t, everything(t, l, err))
			if err != nil {
				told++
			}
		}
	}
	if told < 2*len(wrongFiles) {
		t.Errorf("only %d wrong configurations", told)
	}
}

func TestARedactedAddressStillSaysWhere(t *testing.T) {
	for text, want := range map[string]string{
		"redis://cache:6379/1": "redis://cache:6379/1", "rediss://u:p@cache/1": "rediss://REDACTED@cache/1", "redis://:p@cache": "redis://REDACTED@cache",
	} {
		var u URL
		if f := (redisValue{&u}).set(text); !f.none() || u.String() != want || u.Reveal() != text {
			t.Errorf("%s is shown as %s (%v)", text, u, f)
		}
	}
}

func TestASecretIsRefusedInPlaceOfWhatWasRedacted(t *testing.T) {
	var b strings.Builder
	if err := mustLoad(t, Options{Environ: secretsEverywhere}).WriteYAML(&b, false); err != nil {
		t.Fatal(err)
	}
	got := problemsOf(t, in(t, b.String()))
	if len(got) != 3 || !strings.Contains(got[0], "store.neo4j.password: stands for a secret") ||
		!strings.Contains(got[1], "cache.secret: stands for a secret") || !strings.Contains(got[2], "redis.url: redis://REDACTED stands for a secret") {
		t.Errorf("%q", got)
	}
}

// secretPlaces are files in which people put secrets, rightly and wrongly quoted.
func secretPlaces(secret string) []string {
	return []string{
		"cache: {kind: redis, secretFile: ./sealed}\nredis:\n  url: redis://h\n  password: " + secret,
		"cache: {kind: redis, secretFile: ./sealed}\nredis: {url: 'redis://h', password: " + secret + "}",
		"cache: {kind: redis, secretFile: ./sealed}\nredis:\n  url: redis://:" + secret + "@h:1/2",
		"cache: {kind: redis, secretFile: ./sealed}\nredis:\n  url: \"redis://:" + secret + "@h:1/2\"",
		"cache: {kind: redis, secretFile: ./sealed}\nredis:\n  url: 'redis://u:" + url.QueryEscape(secret) + "@h'",
		"cache: {kind: redis, secretFile: ./sealed}\nredis:\n  url: 'redis://h'\n  passwordFile: ./secret",
		"store: {kind: neo4j, neo4j: {uri: 'bolt://h', passwordFile: ./secret}}\nlisten: none",
		"cache:\n  secretFile: ./secret\n  secret: " + secret,
		"redis:\n  wrong: " + secret,
		"publicURL: https://" + secret + "@h\nlog:\n  level: none",
	}
}

// secretVariables are environments likewise.
func secretVariables(secret string) [][]string {
	return [][]string{
		{"CLEW_CACHE_KIND="},
		{"CLEW_STORE_NEO4J_URI=bolt://" + secret + "@h", "CLEW_REDIS_PASSWORD=" + secret},
		{"CLEW_STORE_NEO4J_PASSWORD=" + secret, "CLEW_STORE_NEO4J_PASWORD=" + secret},
	}
}

// FuzzNoSecretShows puts a secret with anything around it into each of these places.
func FuzzNoSecretShows(f *testing.F) {
	places := uint8(len(secretPlaces("")) * len(secretVariables("")))
	for i, s := range []string{"", "@", "#", "/", "?", ":", "%", "[", "{", "*", "&a ", "!", "'", `"`, "|", ">", "- ", "? ", "a: ", ", ", "%zz", "://", "\\", "\x00", "é", "<", "}", "REDACTED"} {
		for place := range places {
			if place%3 == uint8(i%3) { // each file, with one environment or another
				f.Add(s, "", place)
				f.Add("", s, place)
			}
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, before, after string, place uint8) {
		if strings.ContainsAny(before+after, "\r\n\u0085\u2028\u2029") || len(before+after) > 1000 {
			t.Skip("a password of several lines is told by its second one")
		}
		secret := before + canary + after
		yaml, environ := secretPlaces(secret), secretVariables(secret)
		t.Chdir(dir)
		write(t, "secret", secret)
		write(t, "sealed", sealed)
		write(t, "clew.yaml", yaml[int(place)%len(yaml)])
		l, err := Load(Options{File: "clew.yaml", Environ: environ[int(place)/len(yaml)%len(environ)]})
		mustHide(t, everything(t, l, err))
	})
}

// FuzzLoad reads any file and any environment: it never panics, and what it takes prints and reads back the same.
func FuzzLoad(f *testing.F) {
	for _, c := range wrongFiles {
		f.Add(c.yaml, "CLEW_LISTEN=:1\nCLEW_CACHE_TTL=3")
	}
	f.Add("a: &a [*a]", "CLEW_=\nCLEW")
	f.Add("{{{{{", "CLEW__=x")
	f.Add("? ? ? [", "CLEW_LISTEN.X=x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, yaml, environ string) {
		t.Chdir(dir)
		beside(t)
		write(t, "clew.yaml", yaml)
		l, err := Load(Options{File: "clew.yaml", Environ: strings.Split(environ, "\n")})
		everything(t, l, err)
		if err == nil {
			readsBack(t, l)
		}
	})
}
