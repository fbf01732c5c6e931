package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/metric"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/cached"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/internal/config"
)

// target says where a command finds the store: the configuration, or a directory on the command line.
type target struct {
	data, config string
}

func (t *target) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.data, "data", "", "directory of the embedded store; made if it is not there")
	configFlag(c, &t.config)
}

// load reads the configuration; further flags win over it. Without any of both a command would silently work on
// a store in the working directory, so one of them must be named.
func (t target) load(s streams, flags ...config.Override) (config.Config, error) {
	if t.data == "" && t.config == "" && os.Getenv(config.FileVariable) == "" && os.Getenv("CLEW_STORE_KIND") == "" {
		return config.Config{}, usageError{errors.New("where is the store? Name it with --data DIR or --config FILE")}
	}
	if t.data != "" {
		flags = append(flags,
			config.Override{Key: "store.kind", Value: string(config.StoreEmbedded), Flag: "--data"},
			config.Override{Key: "store.embedded.dir", Value: t.data, Flag: "--data"})
	}
	loaded, err := loadConfig(s, t.config, flags...)
	return loaded.Config, err
}

// record is a store of record: what it keeps can be carried elsewhere.
type record interface {
	graph.Store
	graph.Mover
}

// open loads the configuration and opens its store of record.
func (t target) open(ctx context.Context, s streams) (record, error) {
	c, err := t.load(s)
	if err != nil {
		return nil, err
	}
	return openRecord(ctx, c, slog.New(c.Log.Handler(s.err)), nil)
}

// openExisting is open for what is of no use with a new store. salvage is for an embedded one.
func (t target) openExisting(ctx context.Context, s streams, salvage bool) (record, error) {
	c, err := t.load(s)
	if err != nil {
		return nil, err
	}
	return openRecordThere(ctx, s, c, salvage)
}

// openRecordThere is openRecord where a wrong directory must not make a store.
func openRecordThere(ctx context.Context, s streams, c config.Config, salvage bool) (record, error) {
	log := slog.New(c.Log.Handler(s.err))
	if c.Store.Kind == config.StoreEmbedded {
		o := embeddedOptions(c, log)
		o.Salvage = salvage
		return openExisting(s.err, c.EmbeddedDir(), o)
	}
	if salvage {
		return nil, usageError{errors.New("--salvage is for an embedded store")}
	}
	return openRecord(ctx, c, log, nil)
}

// openRecord opens the store of record, with an error that says what to do.
func openRecord(ctx context.Context, c config.Config, log *slog.Logger, meter metric.Meter) (record, error) {
	if c.Store.Kind == config.StoreNeo4j {
		o, err := neo4jOptions(c.Store.Neo4j)
		if err != nil {
			return nil, err
		}
		o.Meter, o.Log = meter, logf(log)
		store, err := neo4j.Open(ctx, o)
		if err != nil {
			return nil, cannotOpen(err)
		}
		return store, nil
	}
	return openEmbedded(c, log)
}

func openEmbedded(c config.Config, log *slog.Logger) (*embedded.Store, error) {
	return openDirectory(nil, c.EmbeddedDir(), embeddedOptions(c, log))
}

func embeddedOptions(c config.Config, log *slog.Logger) embedded.Options {
	return embedded.Options{
		CacheBytes: c.Store.Embedded.CacheBytes, KeepChanges: c.Store.Embedded.KeepChanges, Log: logf(log),
	}
}

// openExisting is openDirectory for a store that is there: a wrong name must not make one.
func openExisting(say io.Writer, dir string, o embedded.Options) (*embedded.Store, error) {
	there, err := embedded.Exists(nil, dir)
	if err != nil {
		return nil, cannotOpen(err)
	}
	if !there {
		return nil, fmt.Errorf("there is no store in %s", dir)
	}
	return openDirectory(say, dir, o)
}

// openDirectory opens an embedded store, with an error that says what to do. Where no log is told of an upgrade, say
// is.
func openDirectory(say io.Writer, dir string, o embedded.Options) (*embedded.Store, error) {
	store, err := embedded.Open(dir, o)
	if err != nil {
		return nil, cannotOpen(err)
	}
	if text := store.Upgraded(); text != "" && o.Log == nil {
		fmt.Fprintf(say, "clew: %s\n", plain(text))
	}
	return store, nil
}

func cannotOpen(err error) error { return fmt.Errorf("cannot open the store: %w", err) }

// logf takes what a store tells as printf does.
func logf(log *slog.Logger) func(string, ...any) {
	return func(format string, args ...any) { log.Warn(fmt.Sprintf(format, args...)) }
}

func neo4jOptions(c config.Neo4j) (neo4j.Options, error) {
	o := neo4j.Options{
		URI: c.URI, User: c.User, Password: c.Password.Reveal(), Database: c.Database,
		MaxConnections: c.Connections, QueryTimeout: c.QueryTimeout,
	}
	if c.CA == "" {
		return o, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return o, fmt.Errorf("store.neo4j.tls.ca: %w", err)
	}
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return o, fmt.Errorf("store.neo4j.tls.ca: %s holds no PEM certificate", c.CA)
	}
	return o, nil
}

// withCache puts the cache before a store, as configured. Closing it closes the store.
func withCache(store graph.Store, c config.Config, log *slog.Logger, meter metric.Meter) (graph.Store, error) {
	if c.Cache.Kind == config.CacheOff {
		return store, nil
	}
	o := cached.Options{MemoryBytes: c.Cache.Bytes, Keep: c.Cache.TTL, Trust: c.Cache.StaleFor, Meter: meter, Log: logf(log)}
	if c.Cache.Kind == config.CacheRedis {
		r, err := redisOptions(c)
		if err != nil {
			return nil, err
		}
		o.Redis = &r
		redis.SetLogger(driverLog{log})
	}
	return cached.New(store, o)
}

func redisOptions(c config.Config) (cached.Redis, error) {
	o, err := redis.ParseURL(c.Redis.URL.Reveal())
	if err != nil {
		return cached.Redis{}, errors.New("redis.url cannot be used") // the text could hold the password
	}
	if p := c.Redis.Password.Reveal(); p != "" {
		o.Password = p
	}
	return cached.Redis{
		Connect: redis.UniversalOptions{
			Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		},
		Secret: []byte(c.Cache.Secret.Reveal()), Timeout: c.Redis.Timeout,
	}, nil
}
