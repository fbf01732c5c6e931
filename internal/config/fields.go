package config

import (
	"strings"
	"time"
	"unicode"
)

// Prefix begins the names of environment variables.
const Prefix = "CLEW_"

// FileVariable names the configuration file where no flag does.
const FileVariable = Prefix + "CONFIG"

// Field is one setting.
type Field struct {
	// Key in the file, such as store.neo4j.queryTimeout.
	Key string
	// Default as it would be written in the file.
	Default string
	// Text says what it is for, in a sentence or two.
	Text string
	// Secret settings can be read from a file too: KeyFile, and the variable's name with _FILE.
	Secret bool

	at   func(*Config) value
	only only
}

// only says which choice a setting belongs to; the zero one belongs to all.
type only struct{ key, is string }

var (
	always      = only{}
	forEmbedded = only{"store.kind", string(StoreEmbedded)}
	forNeo4j    = only{"store.kind", string(StoreNeo4j)}
	forRedis    = only{"cache.kind", string(CacheRedis)}
)

// Env is the environment variable of the setting: CLEW_STORE_NEO4J_QUERY_TIMEOUT.
func (f Field) Env() string { return envName(f.Key) }

// Accepts says in a few words what can be written.
func (f Field) Accepts() string { return f.at(new(Config)).accepts() }

// Fields are all settings, in the order in which they are documented and printed.
func Fields() []Field {
	return []Field{
		{"listen", "127.0.0.1:8080", "Address of the HTTP service: API, explorer, ingest. Without a host, every address of the machine; port 0 picks a free one.", false,
			func(c *Config) value { return addressValue(&c.Listen) }, always},
		{"publicURL", "", "Address under which users reach the service, for links in answers. Empty: as the request says.", false,
			func(c *Config) value { return publicURLValue(&c.PublicURL) }, always},
		{"dataDir", "clew-data", "Directory for all that the service keeps on this machine; made if it is not there.", false,
			func(c *Config) value { return pathValue(&c.DataDir, "directory") }, always},

		{"log.level", "info", "The least level that is logged.", false,
			func(c *Config) value { return levelValue{&c.Log.Level} }, always},
		{"log.format", "text", "Lines for people, or JSON for machines. Logs go to standard error.", false,
			func(c *Config) value { return oneOf(&c.Log.Format, LogText, LogJSON) }, always},

		{"store.kind", "embedded", "Where the graph is kept: in a directory of this one process, or in Neo4j, which several replicas can share.", false,
			func(c *Config) value { return oneOf(&c.Store.Kind, StoreEmbedded, StoreNeo4j) }, always},
		{"store.embedded.dir", "", "Directory of the embedded store. Empty: `graph` in `dataDir`.", false,
			func(c *Config) value {
				return orWord{pathValue(&c.Store.Embedded.Dir, "directory"), []string{""}}
			}, forEmbedded},
		{"store.embedded.cacheBytes", "256MiB", "Memory for decompressed blocks.", false,
			func(c *Config) value { return sizeValue{&c.Store.Embedded.CacheBytes, mib, tib} }, forEmbedded},
		{"store.embedded.keepChanges", "10000", "How many of a tenant's newest changes are kept for those who follow them.", false,
			func(c *Config) value { return numberValue{&c.Store.Embedded.KeepChanges, 100, 10_000_000} }, forEmbedded},
		{"store.neo4j.uri", "", "Address of the server or cluster; `+s` verifies the server's certificate, `+ssc` takes any. Required with `store.kind: neo4j`.", false,
			func(c *Config) value { return neo4jValue(&c.Store.Neo4j.URI) }, forNeo4j},
		{"store.neo4j.user", "neo4j", "User to sign in as.", false,
			func(c *Config) value { return userValue(&c.Store.Neo4j.User) }, forNeo4j},
		{"store.neo4j.password", "", "The user's password. Required with `store.kind: neo4j`.", true,
			func(c *Config) value { return secretValue{&c.Store.Neo4j.Password, 0} }, forNeo4j},
		{"store.neo4j.database", "neo4j", "Database to use.", false,
			func(c *Config) value { return databaseValue(&c.Store.Neo4j.Database) }, forNeo4j},
		{"store.neo4j.connections", "100", "The most connections of one replica to one server.", false,
			func(c *Config) value { return numberValue{&c.Store.Neo4j.Connections, 1, 1000} }, forNeo4j},
		{"store.neo4j.queryTimeout", "30s", "The most time one query may take.", false,
			func(c *Config) value {
				return durationValue{&c.Store.Neo4j.QueryTimeout, 100 * time.Millisecond, 10 * time.Minute}
			}, forNeo4j},
		{"store.neo4j.tls.ca", "", "File of PEM certificates of the authority that signed the server's. Empty: the system's. Only with `neo4j+s` and `bolt+s`.", false,
			func(c *Config) value { return caValue(&c.Store.Neo4j.CA) }, forNeo4j},

		{"cache.kind", "memory", "Where answers about hot incidents are kept: in this process; in this process and in Redis, shared by replicas; or nowhere.", false,
			func(c *Config) value { return oneOf(&c.Cache.Kind, CacheMemory, CacheRedis, CacheOff) }, always},
		{"cache.bytes", "64MiB", "Memory of this process for the cache.", false,
			func(c *Config) value { return sizeValue{&c.Cache.Bytes, mib, tib} }, always},
		{"cache.ttl", "10m", "How long an answer is kept.", false,
			func(c *Config) value { return durationValue{&c.Cache.TTL, time.Second, 7 * day} }, always},
		{"cache.staleFor", "1s", "How long a read may be answered without asking the store whether there is something newer; 0s asks every time. Reads of one's own writes are never stale.", false,
			func(c *Config) value {
				return orWord{durationValue{&c.Cache.StaleFor, time.Millisecond, time.Second}, []string{"0s", "0"}}
			}, always},
		{"cache.secret", "", "Seals what is kept in Redis, so that nobody else can put answers there; the same on all replicas of a store. Required with `cache.kind: redis`.", true,
			func(c *Config) value { return secretValue{&c.Cache.Secret, minCacheSecret} }, forRedis},

		{"redis.url", "", "Address of Redis, with the number of the database behind the port. Required with `cache.kind: redis`. User and password in it are never shown.", false,
			func(c *Config) value { return orWord{redisValue{&c.Redis.URL}, []string{""}} }, forRedis},
		{"redis.password", "", "Password of Redis, in place of one in `redis.url`.", true,
			func(c *Config) value { return secretValue{&c.Redis.Password, 0} }, forRedis},
		{"redis.timeout", "50ms", "The most time connecting or one command may take; a cache that is slower than the store is of no use.", false,
			func(c *Config) value { return durationValue{&c.Redis.Timeout, time.Millisecond, 10 * time.Second} }, forRedis},

		{"replica.poll", "200ms", "How often a replica asks the store for what others have written.", false,
			func(c *Config) value { return durationValue{&c.Replica.Poll, 10 * time.Millisecond, time.Minute} }, always},
		{"replica.maxStale", "1m", "How old a replica's knowledge may be before `/readyz` says so and it should get no more requests.", false,
			func(c *Config) value { return durationValue{&c.Replica.MaxStale, 100 * time.Millisecond, time.Hour} }, always},
		{"replica.bytes", "4GiB", "Memory for the graphs that are kept ready for questions, roughly: when one more tenant is asked about, those go that were asked about longest ago. What answering takes comes on top.", false,
			func(c *Config) value { return sizeValue{&c.Replica.Bytes, mib, tib} }, always},
		{"replica.dir", "", "Directory for copies of these graphs, which spare a start the reading of the whole store; `off` for none. No other process may use it. They may be deleted at any time; a start deletes those that are of no use to it any more. Empty: `replica` in the embedded store's directory, or in `dataDir`.", false,
			func(c *Config) value {
				return orWord{pathValue(&c.Replica.Dir, "directory"), []string{""}}
			}, always},

		{"retention.incidents", "forever", "How long incidents are kept, with all their alerts, after their last activity and last update.", false,
			func(c *Config) value { return retentionValue(&c.Retention.Incidents) }, always},
		{"retention.endedEdges", "forever", "How long edges are kept after they could last be used.", false,
			func(c *Config) value { return retentionValue(&c.Retention.EndedEdges) }, always},
		{"retention.interval", "1h", "How often what is too old is looked for.", false,
			func(c *Config) value { return durationValue{&c.Retention.Interval, time.Minute, 7 * day} }, always},

		{"criticality.rules", "", "File of rules that say which assets are critical, beside the predefined ones: [criticality](criticality.md).", false,
			func(c *Config) value { return rulesValue(&c.Criticality.Rules) }, always},

		{"metrics.listen", "off", "Address where Prometheus can read metrics, apart from the service's own.", false,
			func(c *Config) value { return orWord{addressValue(&c.Metrics.Listen), []string{"off", ""}} }, always},
	}
}

// minCacheSecret is the least number of bytes that graph/cached takes.
const minCacheSecret = 32

func retentionValue(at *time.Duration) value {
	return orWord{durationValue{at, day, 36_500 * day}, []string{"forever", "0", "0s", "0d"}}
}

// fileKey is the key of the file that holds a secret.
func fileKey(key string) string { return key + "File" }

// envName writes a key as a variable: words apart, in capitals.
func envName(key string) string {
	var b strings.Builder
	before := '.'
	for _, r := range key {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte('_')
		}
		before = r
		b.WriteRune(unicode.ToUpper(r))
	}
	return Prefix + strings.ReplaceAll(b.String(), ".", "_")
}

// names are what can be written in a file: settings (those of secrets in files too) and groups of them.
type names struct {
	settings map[string]Field // by key
	groups   map[string]bool
	env      map[string]string // keys by variable
}

func knownNames() names {
	n := names{map[string]Field{}, map[string]bool{}, map[string]string{}}
	for _, f := range Fields() {
		n.add(f.Key, f)
		if f.Secret {
			n.add(fileKey(f.Key), f)
		}
	}
	return n
}

func (n names) add(key string, f Field) {
	n.settings[key] = f
	n.env[envName(key)] = key
	for i, r := range key {
		if r == '.' {
			n.groups[key[:i]] = true
		}
	}
}

// Known reports whether the service knows the environment variable.
func Known(variable string) bool {
	_, known := knownNames().env[variable]
	return known || variable == FileVariable
}
