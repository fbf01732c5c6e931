// Package neo4j is the graph.Store for production: several processes, one Neo4j database.
package neo4j

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// The defaults of Options.
const (
	DefaultKeepChanges    = 10_000
	DefaultMaxConnections = 100
	DefaultQueryTimeout   = 30 * time.Second
	DefaultMaxStale       = time.Second
)

// Options of a store. URI is needed, all else has a default.
type Options struct {
	// URI of the server: bolt://host:7687, neo4j://host:7687 for a cluster; bolt+s and neo4j+s for TLS.
	URI string
	// User and Password; both empty for a server that asks for none.
	User, Password string
	// Database is the name of the database; "" means the user's default one.
	Database string
	// MaxConnections bounds the connections to one server; 0 means DefaultMaxConnections.
	MaxConnections int
	// QueryTimeout bounds each statement of a read, and each attempt of a commit; 0 means DefaultQueryTimeout.
	QueryTimeout time.Duration
	// RetryTime bounds how long a commit or a read is tried again after deadlocks, lost connections and the
	// like; 0 means DefaultQueryTimeout.
	RetryTime time.Duration
	// MaxStale is how old the position that a read shows may be; 0 means DefaultMaxStale, less than 0 none: each
	// read then sees all that was committed before it.
	MaxStale time.Duration
	// KeepChanges is how many of a tenant's newest changes are kept; 0 means DefaultKeepChanges.
	KeepChanges int
	// TLS is used with a URI that asks for it; nil means the system's certificates.
	TLS *tls.Config
	// Clock gives the wall clock for ticks; nil means time.Now. It may jump.
	Clock func() time.Time
	// Meter takes the measurements; nil means none.
	Meter metric.Meter
	// Log is told of attempts that failed and are made again, as printf is; nil means silence.
	Log func(format string, args ...any)
}

func orDefault[N ~int | ~int64](n, d N) N {
	if n == 0 {
		return d
	}
	return n
}

func (o Options) withDefaults() Options {
	o.MaxConnections = orDefault(o.MaxConnections, DefaultMaxConnections)
	o.QueryTimeout = orDefault(o.QueryTimeout, DefaultQueryTimeout)
	o.RetryTime = orDefault(o.RetryTime, DefaultQueryTimeout)
	o.MaxStale = max(0, orDefault(o.MaxStale, DefaultMaxStale))
	o.KeepChanges = orDefault(o.KeepChanges, DefaultKeepChanges)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Meter == nil {
		o.Meter = noop.Meter{}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return o
}

// Store is a graph.Store in a Neo4j database. Any number of processes may use one database at a time: writers
// of one tenant wait for one another at the server.
type Store struct {
	options   Options
	driver    driver.DriverWithContext
	bookmarks driver.BookmarkManager
	meters    meters

	mu       sync.Mutex
	tenants  map[graph.TenantID]*tenant
	inFlight sync.WaitGroup // entered under mu while not closed
	closed   bool
	closing  chan struct{}
	// open ends when the store closes, for what runs beside the calls.
	open context.Context
	shut context.CancelFunc

	closeOnce sync.Once
	closeErr  error
}

// Open connects to a database that Migrate has prepared. Errors: graph.ErrVersion where its schema is missing,
// older or newer than this program's; else what keeps the server from being used, and what to do about it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, errors.Join(err, s.driver.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// connect makes a store that has not spoken to the server yet.
func connect(o Options) (*Store, error) {
	o = o.withDefaults()
	auth := driver.NoAuth()
	if o.User != "" || o.Password != "" {
		auth = driver.BasicAuth(o.User, o.Password, "")
	}
	d, err := driver.NewDriverWithContext(o.URI, auth, func(c *config.Config) {
		c.MaxConnectionPoolSize = o.MaxConnections
		c.ConnectionAcquisitionTimeout = o.QueryTimeout
		c.SocketConnectTimeout = min(5*time.Second, o.QueryTimeout)
		c.TlsConfig = o.TLS
		c.TelemetryDisabled = true
		c.UserAgent = "clew"
	})
	if err != nil {
		return nil, badURI(o, err)
	}
	m, err := newMeters(o.Meter)
	open, shut := context.WithCancel(context.Background())
	return &Store{
		open: open, shut: shut, options: o, driver: d, bookmarks: driver.NewBookmarkManager(driver.BookmarkManagerConfig{}), meters: m,
		tenants: map[graph.TenantID]*tenant{}, closing: make(chan struct{}),
	}, err
}

// enter begins a call; leave must follow where it gives no error.
func (s *Store) enter(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return graph.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.inFlight.Add(1)
	return nil
}

func (s *Store) leave() { s.inFlight.Done() }

// tenant is what is kept in memory of one tenant.
type tenant struct {
	turn chan struct{} // holds one token; who has it writes
	// memory answers for the database as the commit with the token memoryOf left it; whoever has the turn uses it. A
	// number would not do: when the database was restored from a copy, other commits get the numbers of those lost.
	memory   *rules.Memory
	memoryOf string

	asking sync.Mutex // held while the settled position is asked for

	mu    sync.Mutex
	known settled
	next  *settling // not asked yet
}

func (s *Store) tenant(id graph.TenantID) *tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[id]
	if t == nil {
		t = &tenant{turn: make(chan struct{}, 1), memory: rules.NewMemory()}
		t.turn <- struct{}{}
		s.tenants[id] = t
	}
	return t
}

// takeTurn waits to be the process's only writer of the tenant; giveTurn must follow.
func (t *tenant) takeTurn(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remembered is the memory, emptied where somebody else wrote since.
func (t *tenant) remembered(wrote string) *rules.Memory {
	if t.memoryOf != wrote {
		t.memory.Forget()
		t.memoryOf = wrote
	}
	return t.memory
}

func (t *tenant) giveTurn() { t.turn <- struct{}{} }

// Ready implements graph.Store: the server answers and has this program's schema.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.checkSchema(ctx)
}

// Close waits for the calls in flight, iterations included, and closes the connections. It must not be called
// from inside an iteration.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		s.shut()
		s.inFlight.Wait()
		s.closeErr = s.driver.Close(context.Background())
	})
	return s.closeErr
}
