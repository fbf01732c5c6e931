package ingest

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"

	"github.com/clew-security/clew/ingest/format"
)

// Limits of what is decoded before it is its turn to be committed.
const (
	// aheadRecords and aheadBytes bound the records that are decoded or wait for that, and their text. One record
	// alone may be larger.
	aheadRecords = 128
	aheadBytes   = 32 << 20
)

// job is a record on its way from the file to a batch.
type job struct {
	raw   format.Raw
	bytes int64 // read of all inputs when this was
	// flaw is why it is no record; err ends the file.
	flaw, err error
	// units and flaws are what it brings, part by part, once done.
	units []unit
	flaws []error
	done  chan struct{}
}

// ahead reads a file and gives what its records bring, in their order, while others decode what comes behind them.
// Nothing of it is left running when the caller stops.
func (r *run) ahead(ctx context.Context, in Input) iter.Seq[*job] {
	return func(yield func(*job) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var all sync.WaitGroup
		defer all.Wait()
		ended := false
		defer func() {
			if cancel(); !ended && in.Stop != nil {
				in.Stop()
			}
		}()
		a := &ahead{decode: r.Decode, inOrder: make(chan *job, aheadRecords), todo: make(chan *job, aheadRecords), room: newRoom(aheadBytes)}
		for range runtime.GOMAXPROCS(0) {
			all.Go(a.work)
		}
		all.Go(func() { a.read(ctx, in, r.bytes) })
		for {
			var j *job
			select {
			case j = <-a.inOrder:
			case <-ctx.Done():
				return
			}
			if ended = j == nil; ended {
				return
			}
			<-j.done
			if r.bytes = j.bytes; !yield(j) {
				return
			}
			a.room.give(len(j.raw.Data))
		}
	}
}

// ahead is one file that is being read.
type ahead struct {
	decode        format.Decoder
	inOrder, todo chan *job
	room          *room
}

// read hands the records of a file to the workers, as far as there is room.
func (a *ahead) read(ctx context.Context, in Input, bytes int64) {
	defer close(a.todo)
	defer close(a.inOrder)
	for raw, err := range format.Records(in.Name, &counted{in.Reader, &bytes}) {
		j := &job{raw: raw, bytes: bytes, done: make(chan struct{})}
		var bad *format.RecordError
		switch {
		case errors.As(err, &bad):
			j.raw, j.flaw = bad.Raw, errors.New(bad.Reason)
		case err != nil:
			j.err = err
		}
		if !a.room.take(ctx, len(j.raw.Data)) {
			return
		}
		select {
		case a.inOrder <- j:
		case <-ctx.Done():
			return
		}
		a.todo <- j // has as much room as inOrder
	}
}

func (a *ahead) work() {
	for j := range a.todo {
		j.project(a.decode)
		close(j.done)
	}
}

// project decodes a record and checks each part alone: a batch of sound parts is sound. A record that makes the decoder
// panic is rejected like any other that cannot be read.
func (j *job) project(decode format.Decoder) {
	if j.flaw != nil || j.err != nil {
		return
	}
	defer func() {
		if fault := recover(); fault != nil {
			j.units, j.flaws, j.flaw = nil, nil, format.Invalid("reading it failed, which is a fault of this program: %v", fault)
		}
	}()
	records, flaw := decode(j.raw.Data)
	if j.flaw = flaw; flaw != nil {
		return
	}
	for _, record := range records {
		u, flaw := unitOf(j.raw, record)
		j.units, j.flaws = append(j.units, u), append(j.flaws, flaw)
	}
}

// unitOf projects a part of a record.
func unitOf(raw format.Raw, record format.Record) (u unit, flaw error) {
	if record.Part.Raw != nil {
		raw.Data = record.Part.Raw
	}
	u = unit{partOf(record), raw, record.Part.Name}
	if flaw = record.Flaw; flaw == nil {
		flaw = u.batch().Validate()
	}
	return u, flaw
}

// room is a number of bytes of which some are taken.
type room struct {
	mu    sync.Mutex
	free  int
	all   int
	given chan struct{}
}

func newRoom(bytes int) *room { return &room{free: bytes, all: bytes, given: make(chan struct{}, 1)} }

// take waits until there is as much room, or none is taken. ok is false where ctx ended before.
func (r *room) take(ctx context.Context, bytes int) (ok bool) {
	for {
		r.mu.Lock()
		if r.free >= bytes || r.free == r.all {
			r.free -= bytes
			r.mu.Unlock()
			return true
		}
		r.mu.Unlock()
		select {
		case <-r.given:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *room) give(bytes int) {
	r.mu.Lock()
	r.free += bytes
	r.mu.Unlock()
	select {
	case r.given <- struct{}{}:
	default:
	}
}
