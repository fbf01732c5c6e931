package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// waiting reads some text and then waits until it is stopped.
type waiting struct {
	io.Reader
	stopped chan struct{}
}

func newWaiting(text string) Input {
	w := waiting{strings.NewReader(text), make(chan struct{})}
	return Input{Name: "waiting", Reader: w, Stop: func() { close(w.stopped) }}
}

func (w waiting) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err == io.EOF {
		<-w.stopped
	}
	return n, err
}

func TestAnImportThatEndsEarlyLeavesNobodyReading(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	failed := errors.New("failed")
	ended, end := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		ctx  context.Context
		p    func(*Pipeline)
		want error
	}{
		"the store fails": {t.Context(), func(p *Pipeline) {
			p.Batch, p.Store = 2, &recorder{refuse: func(graph.Batch) error { return failed }}
		}, failed},
		"strict": {t.Context(), func(p *Pipeline) {
			p.Strict, p.Decode = true, func([]byte) ([]format.Record, error) { return nil, format.Invalid("no") }
		}, ErrRejected},
		"the caller ends it": {ended, func(p *Pipeline) { p.Progress = func(Progress) { end() } }, context.Canceled},
	} {
		p := pipeline(&recorder{})
		c.p(&p)
		done := make(chan error, 1)
		go func() {
			_, err := p.Run(c.ctx, newWaiting(lines(5)))
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: it waits for the rest", name)
		}
	}
}

// One record that a decoder cannot stand must not take the service with it.
func TestARecordThatMakesADecoderPanicIsRejected(t *testing.T) {
	var rejects bytes.Buffer
	p := pipeline(&recorder{})
	decode := p.Decode
	p.Rejects, p.Decode = &rejects, func(raw []byte) ([]format.Record, error) {
		if strings.Contains(string(raw), `"id":"2"`) {
			panic("index out of range")
		}
		return decode(raw)
	}
	s := run1(t, p, lines(5))
	if s.Read != 5 || s.Rejected != 1 || !strings.Contains(rejects.String(), "a fault of this program: index out of range") {
		t.Errorf("%+v, %s", s, rejects.String())
	}
}

// endless gives records without end, and counts their bytes.
type endless struct {
	record string
	rest   string
	read   atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		e.rest = e.record
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	e.read.Add(int64(n))
	return n, nil
}

// What is decoded ahead of a store that stands still is bounded.
func TestNoMoreIsReadThanThereIsRoomFor(t *testing.T) {
	more := `,"x":"` + strings.Repeat("x", 1<<20) + `"}` + "\n"
	source, reached := &endless{record: strings.Replace(line(1), "}\n", more, 1)}, int64(0)
	p := pipeline(&recorder{refuse: func(graph.Batch) error {
		for deadline := time.Now().Add(time.Minute); source.read.Load() < aheadBytes/2 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		for before := int64(-1); before != reached && reached < 2*aheadBytes; time.Sleep(300 * time.Millisecond) { // until nobody reads
			before, reached = reached, source.read.Load()
		}
		return errors.New("enough")
	}})
	p.Batch = 1
	if _, err := p.Run(t.Context(), Input{Name: "f", Reader: source}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatal(err)
	}
	if reached < aheadBytes/2 || reached > aheadBytes+4<<20 {
		t.Errorf("%d bytes were read ahead", reached)
	}
}

func TestARecordLargerThanTheRoomIsTaken(t *testing.T) {
	r := newRoom(10)
	if !r.take(t.Context(), 20) {
		t.Fatal("there was room")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if r.take(ctx, 1) {
		t.Fatal("there was none")
	}
	r.give(20)
	if !r.take(t.Context(), 1) {
		t.Fatal("there is again")
	}
}
