// Package config reads the service's configuration from defaults, a YAML file, the environment and flags.
package config

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"time"
)

// Config is a whole, checked configuration. Configurations can be compared with ==. Docs: docs/configuration.md,
// which is generated from the same table that reads it.
type Config struct {
	// Listen is the address of the HTTP service, HOST:PORT; port 0 picks a free one.
	Listen string
	// PublicURL is the service's address as its users write it, without a slash at the end; empty where unknown.
	PublicURL string
	// DataDir is what the service keeps on this machine.
	DataDir   string
	Log       Log
	Store     Store
	Cache     Cache
	Redis     Redis
	Replica   Replica
	Retention Retention
	// Criticality says what makes an asset critical.
	Criticality Criticality
	Metrics     Metrics
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the form of log lines.
type LogFormat string

// The forms of log lines.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Store says where the graph is kept.
type Store struct {
	Kind     StoreKind
	Embedded Embedded
	Neo4j    Neo4j
}

// StoreKind is the kind of store.
type StoreKind string

// The kinds of store.
const (
	StoreEmbedded StoreKind = "embedded"
	StoreNeo4j    StoreKind = "neo4j"
)

// Embedded configures the embedded store.
type Embedded struct {
	// Dir is the store's directory; see Config.EmbeddedDir for where it is empty.
	Dir         string
	CacheBytes  int64
	KeepChanges int
}

// Neo4j configures the Neo4j store. Where it is the store in use, URI and Password are not empty.
type Neo4j struct {
	URI, User    string
	Password     Secret
	Database     string
	Connections  int
	QueryTimeout time.Duration
	// CA is a file of PEM certificates that the server's must come from; empty means the system's.
	CA string
}

// Cache configures the cache of hot incidents.
type Cache struct {
	Kind CacheKind
	// Bytes bounds what is kept in memory.
	Bytes int64
	// TTL is how long an answer is kept.
	TTL time.Duration
	// StaleFor is how long a read may be answered without asking the store whether something is newer; 0 asks always.
	StaleFor time.Duration
	// Secret seals what is kept in Redis. Where Redis is in use it is not empty.
	Secret Secret
}

// CacheKind is the kind of cache.
type CacheKind string

// The kinds of cache.
const (
	CacheMemory CacheKind = "memory"
	CacheRedis  CacheKind = "redis"
	CacheOff    CacheKind = "off"
)

// Redis configures the connection to Redis. Where it is in use, URL is not empty.
type Redis struct {
	URL URL
	// Password stands for the one that URL could hold; never both.
	Password Secret
	// Timeout bounds connecting and one command.
	Timeout time.Duration
}

// Replica configures how a replica follows what others write.
type Replica struct {
	// Poll is how often the store is asked for changes.
	Poll time.Duration
	// MaxStale is how old what a replica knows may be before it says it is not ready.
	MaxStale time.Duration
	// Bytes bounds the memory that the graphs of several tenants take together, approximately; 0 does not.
	Bytes int64
	// Dir is for copies of the graphs; see Config.ReplicaDir for where it is empty or ReplicaDirOff.
	Dir string
}

// ReplicaDirOff is the directory of a replica that keeps no copies.
const ReplicaDirOff = "off"

// Retention says how long things are kept; 0 means for ever.
type Retention struct {
	// Incidents go with all their alerts.
	Incidents, EndedEdges time.Duration
	// Interval is how often what is too old is looked for; never 0.
	Interval time.Duration
}

// Criticality says what makes an asset critical.
type Criticality struct {
	// Rules is a YAML file of rules that can be read; empty means that there are none but the predefined ones. What
	// stands in it is for the caller to check.
	Rules string
}

// Metrics says where metrics are served.
type Metrics struct {
	// Listen is the address, HOST:PORT; empty means nowhere.
	Listen string
}

// EmbeddedDir is the embedded store's directory: the one that is set, or graph in the data directory.
func (c Config) EmbeddedDir() string {
	return cmp.Or(c.Store.Embedded.Dir, filepath.Join(c.DataDir, "graph"))
}

// ReplicaDir is where copies of the graphs in memory are kept: the directory that is set, or replica beside what the
// store keeps on this machine; empty for none.
func (c Config) ReplicaDir() string {
	switch {
	case c.Replica.Dir == ReplicaDirOff:
		return ""
	case c.Replica.Dir == "" && c.Store.Kind == StoreEmbedded:
		return filepath.Join(c.EmbeddedDir(), "replica")
	}
	return cmp.Or(c.Replica.Dir, filepath.Join(c.DataDir, "replica"))
}

// LocalURL is the service's address as seen from this machine, and whether it is known: port 0 is not.
func (c Config) LocalURL() (string, bool) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "0" {
		return "", false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = loopbackOf(ip)
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
	return u.String(), true
}

func loopbackOf(any net.IP) string {
	if any != nil && any.To4() == nil {
		return "::1"
	}
	return "127.0.0.1"
}

// Handler is a handler of log records that writes to w as configured.
func (l Log) Handler(w io.Writer) slog.Handler {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == LogJSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}
