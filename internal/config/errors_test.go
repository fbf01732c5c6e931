package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	canary = "c4n4ryXq"
	useNeo = "store: {kind: neo4j, neo4j: {uri: 'bolt://db:7687', password: p%s}}\n"
	sealed = "0123456789abcdef0123456789" + canary
	useRed = "cache: {kind: redis, secret: " + sealed + "}\nredis: {%s}\n"
)

// wrongFiles are files with one problem each, in the words that a user reads.
var wrongFiles = []struct{ name, yaml, want string }{
	{"an unknown key with a neighbour", "listne: :1", "clew.yaml:1: listne: no such setting; did you mean listen?: 'clew config print' shows all"},
	{"an unknown key below a group", "store:\n  neo4j:\n    pasword: " + canary, "clew.yaml:3: store.neo4j.pasword: no such setting; did you mean store.neo4j.password?: 'clew config print' shows all"},
	{"a group left out", "neo4j: {uri: x}", "clew.yaml:1: neo4j: no such setting; did you mean store.neo4j?: 'clew config print' shows all"},
	{"a last name alone", "queryTimeout: 3s", "clew.yaml:1: queryTimeout: no such setting; did you mean store.neo4j.queryTimeout?: 'clew config print' shows all"},
	{"wrong capitals", "publicUrl: x", "clew.yaml:1: publicUrl: no such setting; did you mean publicURL?: 'clew config print' shows all"},
	{"nothing like it", "frobnication: x", "clew.yaml:1: frobnication: no such setting: 'clew config print' shows all"},
	{"a path as a key", "log.level: info", "clew.yaml:1: log.level: has a dot in a name: write the groups one below the other, indented"},
	{"a key twice", "listen: :1\nlisten: :2", "clew.yaml:2: listen: is here again, and was in line 1: keep one"},
	{"a value for a group", "redis: " + canary, "clew.yaml:1: redis: is a group of settings: write them indented below it"},
	{"a list for a value", "listen: [a]", "clew.yaml:1: listen: must be one value: write it behind the colon; put it into 'single quotes' if it begins with { or ["},
	{"a password in braces", "redis: {password: {" + canary + "}}", "clew.yaml:1: redis.password: must be one value: write it behind the colon; put it into 'single quotes' if it begins with { or ["},
	{"a password with a comma in braces", "redis: {password: '', ab" + canary + "}", "clew.yaml:1: redis: has a name without a value, which may be part of a password: put values with a comma into 'single quotes'"},
	{"an alias", "redis: {password: *" + canary + " }", "clew.yaml: is no YAML (a value begins with *): look at the indentation, and put values with special characters into 'single quotes'"},
	{"an alias that exists", "log: &a {level: info}\ndataDir: *a", "clew.yaml:2: dataDir: begins with *, an alias: write the value out, or put it into 'single quotes'"},
	{"a tag", "redis:\n  password: !" + canary, "clew.yaml:2: redis.password: begins with & or !: put it into 'single quotes'"},
	{"nothing behind the colon", "listen: # " + canary, "clew.yaml:1: listen: has no value: take the line away, or write \"\" for an empty value; put it into 'single quotes' if it begins with #"},
	{"a key that is a list", "? [a]\n: b", "clew.yaml:1: has a key that is no name: write KEY: VALUE"},
	{"no mapping", "- listen", "clew.yaml:1: is no list of settings: write KEY: VALUE lines, as 'clew config print' does"},
	{"two documents", "listen: :1\n---\nlisten: :2", "clew.yaml:2: begins a second document: take away the line --- before it"},
	{"broken YAML", "log:\n  level: b: " + canary, "clew.yaml:2: is no YAML (mapping values are not allowed in this context): look at the indentation, and put values with special characters into 'single quotes'"},
	{"a duration without a unit", "cache: {ttl: 30}", `clew.yaml:1: cache.ttl: "30" has no unit: write 30s for seconds, or one of ms, s, m, h, d, w`},
	{"no duration", "cache: {ttl: soon}", `clew.yaml:1: cache.ttl: "soon" is no duration: write a number and a unit (ms, s, m, h, d, w), such as 30s, 1h30m or 90d`},
	{"a negative duration", "cache: {ttl: -3s}", `clew.yaml:1: cache.ttl: "-3s" is no duration: write a number and a unit (ms, s, m, h, d, w), such as 30s, 1h30m or 90d`},
	{"a duration out of range", "cache: {ttl: 8d}", `clew.yaml:1: cache.ttl: "8d" is out of range: 1s to 7d`},
	{"a duration past all", "retention: {incidents: 999999w}", `clew.yaml:1: retention.incidents: "999999w" is too long: write less than 290 years, or "forever"`},
	{"no size", "cache: {bytes: lots}", `clew.yaml:1: cache.bytes: "lots" is no size: write a whole number and a unit (KiB, MiB, GiB), such as 64MiB`},
	{"a size with an unknown unit", "cache: {bytes: 64M}", `clew.yaml:1: cache.bytes: "64M" has an unknown unit: use one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB`},
	{"a size too small", "cache: {bytes: 64}", `clew.yaml:1: cache.bytes: "64" is out of range: 1MiB to 1TiB`},
	{"a size past all", "cache: {bytes: 99999999999999999999TiB}", `clew.yaml:1: cache.bytes: "99999999999999999999TiB" is out of range: 1MiB to 1TiB`},
	{"no number", "store: {embedded: {keepChanges: 1e4}}", `clew.yaml:1: store.embedded.keepChanges: "1e4" is no whole number: 100 to 10000000`},
	{"a number out of range", "store: {embedded: {keepChanges: 99999999999999999999}}", `clew.yaml:1: store.embedded.keepChanges: "99999999999999999999" is out of range: 100 to 10000000`},
	{"a word that is not known", "store: {kind: neo}", `clew.yaml:1: store.kind: "neo" is not known: use embedded, neo4j`},
	{"an unknown log level", "log: {level: verbose}", `clew.yaml:1: log.level: "verbose" is not known: use debug, info, warn, error`},
	{"a port alone", "listen: 8080", `clew.yaml:1: listen: "8080" has no host: write 127.0.0.1:8080, or :8080 for every address of this machine`},
	{"a host alone", "listen: localhost", `clew.yaml:1: listen: "localhost" is no address to listen on: write HOST:PORT, such as 127.0.0.1:8080`},
	{"a user and password to listen on", "listen: u:" + canary + "@h:1", `clew.yaml:1: listen: is no address to listen on: write HOST:PORT, such as 127.0.0.1:8080`},
	{"an address for a directory", "dataDir: redis://u:" + canary + "@h", `clew.yaml:1: dataDir: redis://REDACTED is an address: name a directory of this machine`},
	{"a URL to listen on", "listen: http://127.0.0.1:8080", `clew.yaml:1: listen: "http://127.0.0.1:8080" is no address to listen on: leave the scheme away, as in 127.0.0.1:8080`},
	{"a port out of range", "listen: ':65536'", `clew.yaml:1: listen: ":65536" has no port number: the part behind the last : must be 0 to 65535`},
	{"no host to listen on", "listen: 'a b:1'", `clew.yaml:1: listen: "a b:1" names no host: write a name or an IP address before the port, as in 127.0.0.1:1`},
	{"a wrong address of metrics", "metrics: {listen: on}", `clew.yaml:1: metrics.listen: "on" is no address to listen on: write HOST:PORT, such as 127.0.0.1:8080, or "off"`},
	{"an empty directory", `dataDir: ""`, `clew.yaml:1: dataDir: "" is empty: name a directory`},
	{"what cannot be written in a line", `dataDir: "a\u0007b"`, `clew.yaml:1: dataDir: "a\ab" is too long or holds characters that cannot be written in a line: look for tabs, line breaks and what an editor does not show`},
	{"a public address without a scheme", "publicURL: clew.example.com", `clew.yaml:1: publicURL: has no scheme: write one of http, https and :// before the host, as in https://clew.example.com`},
	{"a public address of another scheme", "publicURL: ftp://clew.example.com", `clew.yaml:1: publicURL: "ftp://clew.example.com" has an unknown scheme: use one of http, https, as in https://clew.example.com`},
	{"a public address with a password", "publicURL: https://a:" + canary + "@clew.example.com", `clew.yaml:1: publicURL: https://REDACTED holds a user or password: leave away what stands before the @`},
	{"a public address with a query", "publicURL: https://clew.example.com/?a", `clew.yaml:1: publicURL: https://REDACTED has a query or fragment: leave away what stands behind the ? or #`},
	{"a placeholder for a secret", fmt.Sprintf(useRed, "url: redis://REDACTED@cache:6379"), `clew.yaml:2: redis.url: redis://REDACTED stands for a secret that was not shown: put the secret itself here, or name a file that holds it`},
	{"a Redis address of another scheme", fmt.Sprintf(useRed, "url: http://u:"+canary+"@cache:6379"), `clew.yaml:2: redis.url: http://REDACTED has an unknown scheme: use one of redis, rediss, as in redis://127.0.0.1:6379/0`},
	{"a password with a hash", fmt.Sprintf(useRed, "url: 'redis://:p#"+canary+"@cache:6379'"), `clew.yaml:2: redis.url: redis://REDACTED is no address: write one such as redis://127.0.0.1:6379/0; characters like # / ? % @ in a password must be percent-encoded`},
	{"a password with a slash", fmt.Sprintf(useRed, "url: 'redis://1/"+canary+"@cache:6379'"), `clew.yaml:2: redis.url: redis://REDACTED names no database: behind the port may stand its number, as in redis://127.0.0.1:6379/0`},
	{"a password with a question mark", fmt.Sprintf(useRed, "url: 'redis://a?"+canary+"@cache:6379'"), `clew.yaml:2: redis.url: redis://REDACTED has a query or fragment: leave away what stands behind the ? or #, and write %23 and %3F for these in a password, or use redis.password`},
	{"no Redis address", "cache: {kind: redis, secret: " + sealed + "}", `clew.yaml:1: redis.url: is missing, as cache.kind is redis: set it, such as redis://127.0.0.1:6379/0`},
	{"no host", fmt.Sprintf(useRed, "url: 'redis:///0'"), `clew.yaml:2: redis.url: redis://REDACTED names no host: write one such as redis://127.0.0.1:6379/0`},
	{"port zero", fmt.Sprintf(useRed, "url: 'redis://cache:0'"), `clew.yaml:2: redis.url: "redis://cache:0" has no port number: behind the host may stand : and 1 to 65535`},
	{"two passwords of Redis", fmt.Sprintf(useRed, "url: 'redis://:"+canary+"@cache', password: "+canary), `clew.yaml:2: redis.password: is set, and redis.url holds one too: keep one of the two`},
	{"a password and its file", fmt.Sprintf(useRed, "url: 'redis://cache', password: "+canary+", passwordFile: /x"), `clew.yaml:2: redis.password: is set, and so is redis.passwordFile (clew.yaml:2): keep one of the two`},
	{"a missing secret file", fmt.Sprintf(useRed, "url: 'redis://cache', passwordFile: ./none"), `clew.yaml:2: redis.passwordFile: "./none" cannot be read (no such file or directory): name a file that holds the secret and nothing else`},
	{"a directory as secret file", fmt.Sprintf(useRed, "url: 'redis://cache', passwordFile: ./"), `clew.yaml:2: redis.passwordFile: "./" cannot be read (is a directory): name a file that holds the secret and nothing else`},
	{"a secret where its file's name belongs", fmt.Sprintf(useRed, "url: 'redis://cache', passwordFile: "+canary), `clew.yaml:2: redis.passwordFile: does not look like a file's path, and may be the secret itself: write a path that begins with / or ./`},
	{"an empty secret file", fmt.Sprintf(useRed, "url: 'redis://cache', passwordFile: ./empty"), `clew.yaml:2: redis.passwordFile: "./empty" is empty: write the secret into this file`},
	{"a secret file of two lines", fmt.Sprintf(useRed, "url: 'redis://cache', passwordFile: ./twolines"), `clew.yaml:2: redis.passwordFile: "./twolines" holds a line break: a secret is one line`},
	{"a placeholder as password", fmt.Sprintf(useRed, "url: 'redis://cache', password: REDACTED"), `clew.yaml:2: redis.password: stands for a secret that was not shown: put the secret itself here, or name a file that holds it`},
	{"no Neo4j address", "store: {kind: neo4j, neo4j: {password: " + canary + "}}", `clew.yaml:1: store.neo4j.uri: is missing, as store.kind is neo4j: set it, such as neo4j://127.0.0.1:7687`},
	{"no Neo4j password", "store: {kind: neo4j, neo4j: {uri: 'bolt+s://db'}}", `clew.yaml:1: store.neo4j.password: is missing, as store.kind is neo4j: set it, or store.neo4j.passwordFile`},
	{"a Neo4j address over HTTP", "store: {kind: neo4j, neo4j: {uri: 'http://db:7474', password: x}}", `clew.yaml:1: store.neo4j.uri: "http://db:7474" has an unknown scheme: use one of neo4j, neo4j+s, neo4j+ssc, bolt, bolt+s, bolt+ssc, as in neo4j://127.0.0.1:7687`},
	{"a Neo4j address with a password", "store: {kind: neo4j, neo4j: {uri: 'bolt://neo4j:" + canary + "@db', password: x}}", `clew.yaml:1: store.neo4j.uri: bolt://REDACTED holds a user or password: put them into store.neo4j.user and store.neo4j.password`},
	{"a Neo4j address with a database", "store: {kind: neo4j, neo4j: {uri: 'bolt://db/clew', password: x}}", `clew.yaml:1: store.neo4j.uri: bolt://REDACTED has something behind the port: write SCHEME://HOST:PORT only; the database goes into store.neo4j.database`},
	{"a database's name", fmt.Sprintf(useNeo, ", database: a"), `clew.yaml:1: store.neo4j.database: "a" is no database name: write 3 to 63 letters, digits, dots and dashes, a letter first`},
	{"no user", fmt.Sprintf(useNeo, ", user: ''"), `clew.yaml:1: store.neo4j.user: "" is no user name: write 1 to 256 characters`},
	{"certificates that are none", fmt.Sprintf(useNeo, ", tls: {ca: ./empty}"), `clew.yaml:1: store.neo4j.tls.ca: "./empty" holds no certificate: name a file of PEM certificates, as begins with -----BEGIN CERTIFICATE-----`},
	{"certificates that are missing", fmt.Sprintf(useNeo, ", tls: {ca: ./none}"), `clew.yaml:1: store.neo4j.tls.ca: "./none" cannot be read (no such file or directory): name a file of PEM certificates`},
	{"certificates that nobody looks at", fmt.Sprintf(useNeo, ", tls: {ca: ./ca.pem}"), `clew.yaml:1: store.neo4j.tls.ca: "./ca.pem" has no effect with bolt://, which verifies no certificate: write bolt+s:// in store.neo4j.uri, or take store.neo4j.tls.ca away`},
	{"a forgotten kind of store", "store: {neo4j: {user: u}}", `clew.yaml:1: store.neo4j.user: "u" has no effect, as store.kind is embedded: set store.kind: neo4j, or take it away`},
	{"a forgotten kind of cache", "redis: {password: " + canary + "}", `clew.yaml:1: redis.password: has no effect, as cache.kind is memory: set cache.kind: redis, or take it away`},
	{"no secret of the cache", "cache: {kind: redis}\nredis: {url: 'redis://cache'}", `clew.yaml:1: cache.secret: is missing, as cache.kind is redis: set it, or cache.secretFile`},
	{"a secret that is too short", "cache: {kind: redis, secret: " + canary + "}\nredis: {url: 'redis://cache'}", `clew.yaml:1: cache.secret: is shorter than 32 bytes: write one that nobody can guess, such as 'openssl rand -hex 32' makes`},
	{"a secret that is too short in its file", "cache: {kind: redis, secretFile: ./short}\nredis: {url: 'redis://cache'}", `clew.yaml:1: cache.secretFile: "./short" is shorter than 32 bytes: write one that nobody can guess, such as 'openssl rand -hex 32' makes`},
	{"staleness that is not allowed", "cache: {staleFor: 2s}", `clew.yaml:1: cache.staleFor: "2s" is out of range: 1ms to 1s, or "0s"`},
	{"a replica that is never ready", "replica: {poll: 10s, maxStale: 15s}", `clew.yaml:1: replica.maxStale: "15s" is shorter than two of replica.poll (10s), so that the replica would hardly ever be ready: change one of the two`},
	{"metrics at the service's port", "metrics: {listen: ':8080'}", `clew.yaml:1: metrics.listen: ":8080" is the service's own address: choose another port, such as 9464`},
}

// beside puts the files that wrongFiles name into the working directory.
func beside(t testing.TB) {
	write(t, "empty", "")
	write(t, "short", canary)
	write(t, "twolines", canary+"\n"+canary)
	write(t, "ca.pem", certificate)
}

func TestEveryWrongFileIsToldInFull(t *testing.T) {
	for _, c := range wrongFiles {
		t.Run(c.name, func(t *testing.T) {
			o := in(t, c.yaml)
			beside(t)
			if got := problemsOf(t, o); len(got) != 1 || got[0] != c.want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), c.want)
			}
		})
	}
}

func TestEveryWrongVariableIsToldInFull(t *testing.T) {
	for _, c := range []struct{ name, environ, want string }{
		{"an unknown variable", "CLEW_REDIS_PASWORD=" + canary, "CLEW_REDIS_PASWORD: no such setting; did you mean CLEW_REDIS_PASSWORD?: 'clew config print' shows all; take this variable away"},
		{"words not apart", "CLEW_STORE_NEO4J_QUERYTIMEOUT=1s", "CLEW_STORE_NEO4J_QUERYTIMEOUT: no such setting; did you mean CLEW_STORE_NEO4J_QUERY_TIMEOUT?: 'clew config print' shows all; take this variable away"},
		{"a group left out", "CLEW_NEO4J_CONNECTIONS=1", "CLEW_NEO4J_CONNECTIONS: no such setting; did you mean CLEW_STORE_NEO4J_CONNECTIONS?: 'clew config print' shows all; take this variable away"},
		{"a former name", "CLEW_DATA=x", "CLEW_DATA: no such setting; did you mean CLEW_DATA_DIR?: 'clew config print' shows all; take this variable away"},
		{"a port that is not Kubernetes's", "CLEW_PORT=8080", "CLEW_PORT: no such setting: 'clew config print' shows all; take this variable away"},
		{"a wrong value", "CLEW_CACHE_STALE_FOR=5", `CLEW_CACHE_STALE_FOR: cache.staleFor: "5" has no unit: write 5s for seconds, or one of ms, s, m, h, d, w, or "0s"`},
		{"a missing file", "CLEW_CONFIG=none.yaml", "none.yaml: cannot be read (no such file or directory): name a YAML file with --config or CLEW_CONFIG"},
		{"a secret as its file's name", "CLEW_REDIS_PASSWORD_FILE=" + canary, "CLEW_REDIS_PASSWORD_FILE: redis.passwordFile: does not look like a file's path, and may be the secret itself: write a path that begins with / or ./"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if got := problemsOf(t, Options{Environ: []string{c.environ}}); len(got) != 1 || got[0] != c.want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), c.want)
			}
		})
	}
}

func TestAFlagThatNamesNoSettingIsAProblem(t *testing.T) {
	got := problemsOf(t, Options{Environ: []string{}, Overrides: []Override{{"nothing", "x", "--nothing"}, {"listen", "1", "--listen"}}})
	want := []string{`--listen: listen: "1" has no host: write 127.0.0.1:1, or :1 for every address of this machine`, "--nothing: nothing: is no setting"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestAFileThatIsTooLongIsNotRead(t *testing.T) {
	got := problemsOf(t, in(t, strings.Repeat("# filler\n", maxConfigFile/8)))
	if len(got) != 1 || !strings.Contains(got[0], "longer than 256KiB") {
		t.Errorf("%q", got)
	}
}

func TestAnEmptyFileIsNoProblem(t *testing.T) {
	for _, text := range []string{"", "\n", "# only words\n", "---\n", "redis:\n", "{}"} {
		mustLoad(t, in(t, text))
	}
}
