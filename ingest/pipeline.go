package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// Defaults and limits of the batches a Pipeline commits. They stay below graph's, so that a batch is
// seldom refused.
const (
	// DefaultBatch is the number of alerts or lines of one batch.
	DefaultBatch = 500
	maxItems     = graph.MaxBatchItems / 2
	maxBytes     = graph.MaxBatchBytes / 2
)

// Input is one file.
type Input struct {
	// Name stands in rejects and errors.
	Name   string
	Reader io.Reader
	// Stop, for a Reader that may keep waiting, makes a Read that waits return. It is called where an import ends
	// before its input does.
	Stop func()
}

// Summary counts what an import did.
type Summary struct {
	// Read counts top-level records, rejected ones among them: an incident with its alerts is one.
	Read int `json:"read"`
	// Alerts, Entities and Edges were not known before.
	Alerts   int `json:"alerts"`
	Entities int `json:"entities"`
	Edges    int `json:"edges"`
	// Updated counts alerts whose content was replaced by a newer version, and entity and edge lines that
	// said something new of what was known.
	Updated int `json:"updated"`
	// Duplicates counts alerts that are as the store had them (or older), and entity and edge lines that
	// said nothing new.
	Duplicates int `json:"duplicates"`
	// Rejected counts records that were not taken, and single alerts of incidents; see Pipeline.Rejects.
	Rejected int `json:"rejected"`
}

// Progress tells how far an import is.
type Progress struct {
	// Bytes read of all inputs, as they lie on disk (compressed ones as such).
	Bytes int64
	// Records read, rejected ones among them.
	Records int
}

// ErrStore is in every error of committing, beside the store's own.
var ErrStore = errors.New("the store did not take a batch")

// ErrRejects is in the error of an import that could not write a reject, beside the writer's own.
var ErrRejects = errors.New("writing a reject")

// ErrRejected ends a strict import at the first record that cannot be taken; the text names it.
var ErrRejected = errors.New("record rejected")

// Pipeline imports records. Its fields must not change while it runs; a Pipeline may be used again.
type Pipeline struct {
	Store  graph.Writer
	Tenant graph.TenantID
	// Decode reads one record; see Formats.
	Decode format.Decoder
	// Decide assigns alerts to incidents in every commit; may be nil.
	Decide graph.Decider
	// Actor and Cause go into every batch.
	Actor, Cause string
	// Batch bounds the alerts or lines of one commit; 0 means DefaultBatch.
	Batch int
	// Strict stops at the first reject with ErrRejected: all that precedes it is committed, nothing of it
	// or behind it.
	Strict bool
	// Rejects gets a line of JSON for each rejected record; may be nil. See Reject.
	Rejects io.Writer
	// Progress is called after every record; may be nil. It must be quick.
	Progress func(Progress)
}

// Run imports the files one after another. Rejected records are counted, told and skipped. The error is one
// of reading, of the store or of ctx, ErrRejects or ErrRejected; the summary counts what was committed until
// then. On an error of reading or ErrRejects all that precedes it is committed. When ctx ends or the store fails, the batch in
// flight is there as a whole or not at all; importing the same files again is harmless.
//
// Records of one kind (alerts, entity lines, edge lines) share batches, so that the summary can tell what
// lines made.
func (p Pipeline) Run(ctx context.Context, in ...Input) (Summary, error) {
	r := &run{Pipeline: p}
	for _, input := range in {
		err := r.file(ctx, input)
		if errors.Is(err, ErrRejects) {
			err = errors.Join(err, r.flushAll(ctx))
		}
		if err != nil {
			return r.summary, err
		}
	}
	return r.summary, r.flushAll(ctx)
}

// run is the state of one import.
type run struct {
	Pipeline
	summary Summary
	bytes   int64
	groups  [3]group
}

// The groups: what shares batches.
const (
	alerts = iota
	entityLines
	edgeLines
)

// group is a batch being filled.
type group struct {
	units        []unit
	items, bytes int
}

// unit is what must not be split: an alert or a line.
type unit struct {
	part
	raw format.Raw
	// name is the part's of its record.
	name string
}

// flawed is why the unit is not taken, behind its name.
func (u unit) flawed(flaw error) error {
	if u.name == "" {
		return flaw
	}
	return fmt.Errorf("%s: %w", u.name, flaw)
}

// size bounds what the unit holds in memory: its batch's share or the text it was read from.
func (u unit) size() int { return max(u.batch().Size(), len(u.raw.Data)) }

func (u unit) batch() graph.Batch {
	return graph.Batch{Entities: u.entities, Edges: u.edges, Alerts: u.alerts}
}

func (r *run) file(ctx context.Context, in Input) error {
	for j := range r.ahead(ctx, in) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if j.err != nil {
			return errors.Join(j.err, r.flushAll(ctx))
		}
		if err := r.take(ctx, j); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// take counts and adds one record, or rejects it for the flaw that reading or decoding found.
func (r *run) take(ctx context.Context, j *job) (err error) {
	r.summary.Read++
	if j.flaw != nil {
		err = r.reject(ctx, j.raw, j.flaw)
	}
	for i := 0; i < len(j.units) && err == nil; i++ {
		u := j.units[i]
		if flaw := j.flaws[i]; flaw != nil {
			err = r.reject(ctx, u.raw, u.flawed(flaw))
		} else {
			err = r.add(ctx, u)
		}
	}
	if r.Progress != nil {
		r.Progress(Progress{Bytes: r.bytes, Records: r.summary.Read})
	}
	return err
}

func (r *run) add(ctx context.Context, u unit) error {
	g := &r.groups[groupOf(u)]
	items, size := len(u.entities)+len(u.edges)+len(u.alerts), u.size()
	if len(g.units) > 0 && (g.items+items > maxItems || g.bytes+size > maxBytes) {
		if err := r.flush(ctx, g); err != nil {
			return err
		}
	}
	g.units, g.items, g.bytes = append(g.units, u), g.items+items, g.bytes+size
	if len(g.units) >= r.size() {
		return r.flush(ctx, g)
	}
	return nil
}

func (r *run) size() int {
	if r.Batch > 0 {
		return r.Batch
	}
	return DefaultBatch
}

func groupOf(u unit) int {
	switch {
	case len(u.alerts) > 0:
		return alerts
	case len(u.edges) > 0:
		return edgeLines
	}
	return entityLines
}

func (r *run) flushAll(ctx context.Context) error {
	for i := range r.groups {
		if err := r.flush(ctx, &r.groups[i]); err != nil {
			return err
		}
	}
	return nil
}

// flush commits a group. Entity lines that wait go first: alerts and edges name the same things, and a line
// that introduces one is to count as new, not as an update.
func (r *run) flush(ctx context.Context, g *group) error {
	if first := &r.groups[entityLines]; g != first && len(g.units) > 0 {
		if err := r.flush(ctx, first); err != nil {
			return err
		}
	}
	units := g.units
	*g = group{}
	if len(units) == 0 {
		return nil
	}
	return r.commit(ctx, units)
}

// commit applies the units in one batch, or where the store finds that too large in halves.
func (r *run) commit(ctx context.Context, units []unit) error {
	b := graph.Batch{Actor: r.Actor, Cause: r.Cause, Decide: r.Decide}
	for _, u := range units {
		b.Entities = append(b.Entities, u.entities...)
		b.Edges = append(b.Edges, u.edges...)
		b.Alerts = append(b.Alerts, u.alerts...)
	}
	receipt, err := r.Store.Apply(ctx, r.Tenant, b)
	switch {
	case err == nil:
		r.count(groupOf(units[0]), len(units), receipt)
		return nil
	case !errors.Is(err, graph.ErrBatchTooLarge):
		return fmt.Errorf("%w: %d records up to %s: %w", ErrStore, len(units), units[len(units)-1].raw.Place(), err)
	case len(units) == 1:
		return r.refuse(units[0].raw, units[0].flawed(err))
	}
	err = r.commit(ctx, units[:len(units)/2])
	if err != nil && !errors.Is(err, ErrRejects) {
		return err
	}
	return errors.Join(err, r.commit(ctx, units[len(units)/2:]))
}

func (r *run) count(kind, units int, receipt graph.Receipt) {
	s := &r.summary
	s.Alerts += receipt.NewAlerts
	s.Entities += receipt.NewEntities
	s.Edges += receipt.NewEdges
	s.Updated += receipt.UpdatedAlerts
	s.Duplicates += receipt.DuplicateAlerts
	switch kind {
	case entityLines:
		s.Duplicates += receipt.KnownEntities
		s.Updated += units - receipt.NewEntities - receipt.KnownEntities
	case edgeLines:
		s.Duplicates += receipt.KnownEdges
		s.Updated += units - receipt.NewEdges - receipt.KnownEdges
	}
}

// counted counts the bytes read.
type counted struct {
	io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}
