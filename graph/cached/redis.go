package cached

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/klauspost/compress/s2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/clew-security/clew/graph"
)

// DefaultRedisTimeout is how long one command may take.
const DefaultRedisTimeout = 50 * time.Millisecond

// Redis is the second tier, shared by replicas. It is never the system of record: it may be slow, full,
// read-only, wiped, gone or filled with lies, and every answer is still right.
type Redis struct {
	// Connect says where Redis is and how to get in. Retries and timeouts in it are not used.
	Connect redis.UniversalOptions
	// Secret seals what is kept there: what was not written with it, for the very same key, is not read. At least
	// MinSecretBytes, the same on all replicas of a store, and no other store's. With a new secret the tier starts
	// empty.
	Secret []byte
	// Timeout bounds one command, connecting included; 0 means DefaultRedisTimeout.
	Timeout time.Duration
	// Rest is how long Redis is left alone once half of ten commands failed; then one command tries it, and so on.
	// 0 means a second.
	Rest time.Duration
}

// redisTier reads and writes Redis. Each command is tried once. Reads and writes have a breaker each, for a
// Redis that is full or read-only still answers.
type redisTier struct {
	client        redis.UniversalClient
	options       Redis
	keep          time.Duration
	mostBytes     int
	reads, writes *breaker
	count         counters
}

func newRedisTier(r Redis, o Options, count counters) (*redisTier, error) {
	if err := checkSecret(r.Secret); err != nil {
		return nil, err
	}
	if r.Timeout <= 0 {
		r.Timeout = DefaultRedisTimeout
	}
	if r.Rest <= 0 {
		r.Rest = time.Second
	}
	r.Secret = bytes.Clone(r.Secret)
	return &redisTier{
		client: redis.NewUniversalClient(onceAndSoon(r)), options: r, keep: o.Keep, mostBytes: o.MaxValueBytes,
		reads: newBreaker("reads", r.Rest, o.Log), writes: newBreaker("writes", r.Rest, o.Log), count: count,
	}, nil
}

// onceAndSoon takes everything out of a client that would try again or wait.
func onceAndSoon(r Redis) *redis.UniversalOptions {
	c := r.Connect
	c.MaxRetries, c.DialerRetries, c.MaxRedirects = -1, 1, 1
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = r.Timeout, r.Timeout, r.Timeout, r.Timeout
	c.ContextTimeoutEnabled, c.DisableIdentity = true, true
	c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &c
}

// breaker keeps commands of one sort from a Redis that fails them.
type breaker struct {
	circuitbreaker.CircuitBreaker[any]
	last atomic.Pointer[error]
}

// newBreaker opens when half of ten commands failed, and then lets one command in after each rest. It tells the log
// when commands begin to be left out, and when they work again.
func newBreaker(what string, rest time.Duration, log func(string, ...any)) *breaker {
	b := &breaker{}
	b.CircuitBreaker = circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(5, 10).WithSuccessThreshold(1).
		WithDelay(rest).WithJitterFactor(0.1).
		OnOpen(func(e circuitbreaker.StateChangedEvent) {
			if e.OldState == circuitbreaker.ClosedState {
				log("the cache's %s of Redis fail and are left out until it answers: %v", what, *b.last.Load())
			}
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { log("the cache's %s of Redis work again", what) }).
		Build()
	return b
}

func (b *breaker) failed(err error) {
	b.last.Store(&err)
	b.RecordFailure()
}

// get reads the alerts kept under the key; ok is false for any reason there may be.
func (r *redisTier) get(ctx context.Context, k key) (v *value, ok bool) {
	if r == nil || k.kind != kindAlerts {
		return nil, false
	}
	s, err := slotOf(r.options.Secret, k)
	if err != nil {
		return nil, false
	}
	sealed, ok := r.fetch(ctx, s.name)
	if !ok || len(sealed) == 0 {
		return nil, false
	}
	v, err = opened(s, sealed, r.mostBytes)
	if err != nil {
		r.count.failed(ctx, opGet, failDamaged)
	}
	return v, err == nil
}

func opened(s slot, sealed []byte, mostBytes int) (*value, error) {
	packed, err := s.open(sealed)
	if err != nil {
		return nil, err
	}
	return unpacked(packed, mostBytes)
}

// packed writes alerts compressed with S2, which costs less time than it saves in sealing and sending; nil
// where they take more than so many bytes before.
func packed(alerts []graph.Alert, mostBytes int) []byte {
	plain := appendAlerts(make([]byte, 0, alertsBytes(alerts)), alerts)
	if len(plain) > mostBytes {
		return nil
	}
	return s2.Encode(nil, plain)
}

func unpacked(packed []byte, mostBytes int) (*value, error) {
	if n, err := s2.DecodedLen(packed); err != nil || n > mostBytes {
		return nil, errDamaged
	}
	plain, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, errDamaged
	}
	alerts, err := readAlerts(plain)
	return &value{alerts: alerts, bytes: len(plain) + structBytes(alerts)}, err
}

// fetch reads what lies under a name, empty where nothing does, and no more of it than could be of use.
func (r *redisTier) fetch(ctx context.Context, name string) (sealed []byte, ok bool) {
	err := r.guarded(ctx, opGet, r.reads, func(ctx context.Context) (err error) {
		sealed, err = r.client.GetRange(ctx, name, 0, int64(s2.MaxEncodedLen(r.mostBytes)+overheadBytes)).Bytes()
		return err
	})
	return sealed, err == nil
}

// put keeps the alerts under the key, or does not.
func (r *redisTier) put(ctx context.Context, k key, v *value) {
	s, err := slotOf(r.options.Secret, k)
	if err != nil {
		return
	}
	content := packed(v.alerts, r.mostBytes)
	if content == nil {
		return
	}
	sealed := s.seal(content)
	_ = r.guarded(ctx, opSet, r.writes, func(ctx context.Context) error {
		return r.client.Set(ctx, s.name, sealed, r.keep).Err()
	})
}

var errResting = errors.New("redis is left alone for a while")

// guarded runs one command behind a breaker. It ends with the timeout, not with the caller: what a caller
// gives up says nothing about Redis.
func (r *redisTier) guarded(ctx context.Context, op string, b *breaker, command func(context.Context) error) error {
	if !b.TryAcquirePermit() {
		r.count.failed(ctx, op, failResting)
		return errResting
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.Timeout)
	defer cancel()
	err := unbroken(limited, command)
	switch {
	case err == nil:
		b.RecordSuccess()
	case redis.HasErrorPrefix(err, "WRONGTYPE"): // something else lies there; the next write replaces it
		b.RecordSuccess()
		r.count.failed(ctx, op, failDamaged)
	default:
		b.failed(err)
		r.count.failed(ctx, op, reasonOf(err))
	}
	return err
}

// unbroken runs a command. What a server says about the length of an answer the client believes: a lie that is too
// great to be made room for is an error like others.
func unbroken(ctx context.Context, command func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return command(ctx)
}

func reasonOf(err error) string {
	var refused redis.Error
	var network net.Error
	switch {
	case errors.Is(err, errDamaged):
		return failDamaged
	case errors.As(err, &refused):
		return failRefused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return failTimeout
	}
	return failUnreachable
}

func (r *redisTier) close() {
	if r != nil {
		_ = r.client.Close()
	}
}
