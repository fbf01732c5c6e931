package topology

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

func entity(t graphtest.TB, kind graph.Kind, typ graph.KeyType, value string) graph.EntityObservation {
	t.Helper()
	k, ok := graph.NewKey(kind, typ, value)
	if !ok {
		t.Fatalf("%q is no key", value)
	}
	return graph.EntityObservation{Keys: []graph.Key{k}, ObservedAt: graphtest.Epoch, Source: "endpoint"}
}

func user(t graphtest.TB, n int) graph.EntityObservation {
	return entity(t, graph.KindIdentity, graph.KeyAzureADUserID, fmt.Sprint("user-", n))
}

func device(t graphtest.TB, n int) graph.EntityObservation {
	return entity(t, graph.KindDevice, graph.KeyMdeDeviceID, fmt.Sprint("device-", n))
}

// logon is one user's logon to a device.
func logon(t graphtest.TB, u, d int) graph.Batch { return logons(t, []int{u}, d, 0) }

// logons are logons of users to a device, seen some hours after the epoch.
func logons(t graphtest.TB, users []int, d, hour int) graph.Batch {
	b := graph.Batch{Entities: []graph.EntityObservation{device(t, d)}}
	for _, u := range users {
		o := user(t, u)
		b.Entities = append(b.Entities, o)
		b.Edges = append(b.Edges, graph.EdgeObservation{
			Kind: graph.EdgeLoggedOn, From: o.ID(), To: b.Entities[0].ID(), Source: "endpoint",
			FirstSeen: graphtest.Epoch.Add(time.Duration(hour) * time.Hour), Observation: graph.NewID(graph.KindObservation, fmt.Sprint(u, "/", d, "/", hour)),
		})
	}
	return b
}

// scene is a followed model whose source can be made to fail or hang. Its time is a synctest bubble's.
type scene struct {
	*testing.T
	store    graph.Store
	topology *Topology
	broken   atomic.Bool // every call fails
	hanging  atomic.Bool // every call waits for its context
	trimmed  atomic.Bool // changes are too old
	scanless atomic.Bool // positions cannot be had
	calls    atomic.Int64
	shown    graph.Revision
}

func inScene(t *testing.T, play func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, store: graphtest.NewModel(time.Now)}
		s.shown = apply(t, s.store, logon(t, 1, 1))
		source := &hooked{Source: s.store, before: s.before}
		s.topology = must(Follow(context.Background(), source, graphtest.Tenant, Options{Grade: facts}))(t)
		defer s.topology.Close()
		play(s)
	})
}

func (s *scene) before(ctx context.Context, call string) error {
	if call != "change" { // of a stream that was asked for
		s.calls.Add(1)
	}
	if s.hanging.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.broken.Load() || s.scanless.Load() && call == "position" {
		return errFault
	}
	if s.trimmed.Load() && call == "changes" {
		return graph.ErrTooOld
	}
	return nil
}

func (s *scene) view() *Snapshot {
	s.Helper()
	return must(s.topology.View(s.Context(), 0))(s.T)
}

func (s *scene) ready() error { return s.topology.Ready(s.Context()) }

// commit writes and gives the revision.
func (s *scene) commit() graph.Revision {
	s.shown++
	return apply(s.T, s.store, logon(s.T, int(s.shown), 1))
}

// expect holds what is shown against what is wanted.
func (s *scene) expect(when string, r graph.Revision, stale, ready bool) {
	s.Helper()
	v, err := s.view(), s.ready()
	if v.Revision != r || v.Stale != stale || (err == nil) != ready || err != nil && !errors.Is(err, ErrStale) {
		s.Errorf("%s: revision %d, stale %v, ready %v; want %d, %v, %v", when, v.Revision, v.Stale, err, r, stale, ready)
	}
}

func TestACommitIsSeenWithinOnePoll(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		r := s.commit()
		time.Sleep(DefaultPoll + time.Millisecond)
		s.expect("after a poll", r, false, true)
	})
}

func TestAViewThatNeedsARevisionDoesNotWaitForThePoll(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		r, began := s.commit(), time.Now()
		if v := must(s.topology.View(s.Context(), r))(t); v.Revision < r || time.Since(began) > DefaultPoll/40 {
			t.Errorf("revision %d after %s, want %d at once", v.Revision, time.Since(began), r)
		}
	})
}

func TestAHintPollsAtOnce(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		r := s.commit()
		s.topology.Hint()
		time.Sleep(DefaultPoll/40 + time.Millisecond)
		s.expect("after the hint", r, false, true)
	})
}

func TestAStormOfHintsDoesNotBecomeAStormOfPolls(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		before := s.calls.Load()
		for range 10_000 {
			s.topology.Hint()
			time.Sleep(100 * time.Microsecond)
		}
		if n := s.calls.Load() - before; n > 201 {
			t.Errorf("%d calls in a second, want at most one in %s", n, DefaultPoll/40)
		}
	})
}

func TestAWaitEndsWithItsContextAndTellsTheSourcesError(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		s.broken.Store(true)
		ctx, cancel := context.WithTimeout(s.Context(), 3*time.Second)
		defer cancel()
		v, err := s.topology.View(ctx, 99)
		if v != nil || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errFault) {
			t.Errorf("view is %v, error %v", v, err)
		}
	})
}

func TestAnOutageIsAnsweredFromTheOldGraphAndOverUnaided(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		s.broken.Store(true)
		missed, before := s.commit(), s.calls.Load()
		time.Sleep(time.Second)
		s.expect("a second into the outage", missed-1, false, true)
		time.Sleep(2 * time.Second)
		s.expect("three seconds into it", missed-1, true, true)
		time.Sleep(56 * time.Second)
		s.expect("just before a minute", missed-1, true, true)
		time.Sleep(2 * time.Second)
		s.expect("after a minute", missed-1, true, false)
		if n := s.calls.Load() - before; n < 10 || n > 40 {
			t.Errorf("%d calls in a minute: no back-off", n)
		}
		s.broken.Store(false)
		time.Sleep(DefaultMaxBackoff + time.Second)
		s.expect("after it", missed, false, true)
	})
}

func TestAnOutageAtTheStartIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, store: graphtest.NewModel(time.Now)}
		r := s.commit()
		s.broken.Store(true)
		s.topology = must(Follow(t.Context(), &hooked{Source: s.store, before: s.before}, graphtest.Tenant, Options{}))(t)
		defer s.topology.Close()
		time.Sleep(time.Minute)
		if err := s.ready(); !errors.Is(err, ErrStale) || !errors.Is(err, errFault) {
			t.Errorf("ready is %v", err)
		}
		s.broken.Store(false)
		s.expect("after it", r, false, true)
	})
}

func TestTrimmedChangesAreRepairedByAScanBehindAnswers(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		missed := s.commit()
		s.trimmed.Store(true)
		s.scanless.Store(true)
		time.Sleep(DefaultPoll + time.Millisecond)
		s.expect("when changes are missing", missed-1, true, true)
		time.Sleep(61 * time.Second)
		s.expect("a minute later", missed-1, true, false)
		s.trimmed.Store(false)
		s.scanless.Store(false)
		time.Sleep(DefaultMaxBackoff + time.Second)
		s.expect("after the scan", missed, false, true)
		compare(t, truthOf(t, s.store), s.view())
	})
}

func TestACallThatHangsIsGivenUp(t *testing.T) {
	inScene(t, func(s *scene) {
		s.view()
		s.hanging.Store(true)
		missed := s.commit()
		time.Sleep(DefaultTimeout + time.Second)
		s.hanging.Store(false) // the call that hangs stays so
		if err := s.topology.waited(context.Canceled, nil, 0); !errors.Is(err, errSlow) {
			t.Errorf("the source's last error is %v", err)
		}
		time.Sleep(DefaultTimeout + DefaultMaxBackoff)
		s.expect("after it", missed, false, true)
	})
}

func TestCloseEndsTheGoroutineAndWhoWaits(t *testing.T) {
	checkLeaks(t)
	for name, end := range map[string]func(s *scene, cancel func()){
		"close":   func(s *scene, _ func()) { s.topology.Close(); s.topology.Close() },
		"context": func(_ *scene, cancel func()) { cancel(); synctest.Wait() },
		"close during a call": func(s *scene, _ func()) {
			s.hanging.Store(true)
			time.Sleep(DefaultPoll)
			s.topology.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s := &scene{T: t, store: graphtest.NewModel(time.Now)}
				s.topology = must(Follow(ctx, &hooked{Source: s.store, before: s.before}, graphtest.Tenant, Options{}))(t)
				waited := make(chan error)
				go func() {
					_, err := s.topology.View(context.Background(), 99)
					waited <- err
				}()
				old := s.view()
				end(s, cancel)
				if err := <-waited; !errors.Is(err, graph.ErrClosed) {
					t.Errorf("the wait ended with %v", err)
				}
				if err := s.ready(); !errors.Is(err, graph.ErrClosed) {
					t.Errorf("ready is %v", err)
				}
				if _, ok := old.Graph().Find(graph.NewID(graph.KindDevice, "nobody")); ok {
					t.Error("a snapshot ended")
				}
			})
		})
	}
}

func TestNoTenantIsRefused(t *testing.T) {
	if _, err := Follow(t.Context(), graphtest.NewModel(time.Now), "", Options{}); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
	if _, err := Build(t.Context(), graphtest.NewModel(time.Now), "", Options{}); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("error of a build is %v", err)
	}
}
