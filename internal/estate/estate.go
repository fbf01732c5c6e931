// Package estate makes the graph of a large company for benchmarks and load tests: heavy-tailed, and the same for the same options.
package estate

import (
	"fmt"
	"iter"

	"github.com/clew-security/clew/graph"
)

// BatchEdges is the number of edge observations in every batch but the last, which may have fewer.
const BatchEdges = 1000

// Options say which estate. The zero value is not one: start from Tiny, S, M or L.
type Options struct {
	// Seed: another seed is another company, which has in common with this one what companies have: software,
	// vulnerabilities, the Internet's names and private addresses.
	Seed uint64
	// Devices scales everything: about 20 entities and 100 edge observations each.
	Devices int
}

// Tiny is for tests: about 700 entities and 2,200 edges.
func Tiny() Options { return Options{Seed: 1, Devices: 30} }

// S has about 50,000 entities and 240,000 edges.
func S() Options { return Options{Seed: 1, Devices: 2_750} }

// M has about 500,000 entities and 2.5 million edges; its largest hub has 9,000 to 10,000 edges.
func M() Options { return Options{Seed: 1, Devices: 28_000} }

// L has about 2 million entities and 10 million edges; its largest hub has 32,000 to 33,000 edges.
func L() Options { return Options{Seed: 1, Devices: 112_000} }

// ParseSize reads "tiny", "S", "M" or "L".
func ParseSize(name string) (Options, error) {
	switch name {
	case "tiny":
		return Tiny(), nil
	case "S":
		return S(), nil
	case "M":
		return M(), nil
	case "L":
		return L(), nil
	}
	return Options{}, fmt.Errorf("size %q is none of tiny, S, M, L", name)
}

// Batches yields the estate as a product's connector would send it: device by device over a month, and with each
// device its share of the people, groups, domains and vulnerabilities. Every batch has a key of its own,
// BatchEdges edge observations, and each entity at their ends once. It holds one batch in memory; those yielded
// are the caller's. Fewer than one device yields nothing.
func Batches(o Options) iter.Seq[graph.Batch] {
	return func(yield func(graph.Batch) bool) {
		b := builder{Options: o, yield: yield}
		b.open()
		for d := 0; d < o.Devices && !b.stopped; d++ {
			newReport(o, d, b.add).all()
		}
		if len(b.batch.Edges) > 0 {
			b.flush()
		}
	}
}

// node names an entity by its number among those of its kind; entities.go makes it from that alone.
type node struct {
	kind graph.Kind
	n    int
}

// builder cuts the stream of edges into batches.
type builder struct {
	Options
	yield   func(graph.Batch) bool
	stopped bool
	edges   int // so far, in all batches
	batch   graph.Batch
	ids     map[node]graph.ID // of the batch's entities
}

func (b *builder) open() {
	b.batch = graph.Batch{
		Key:   fmt.Sprintf("estate/%d/%d/%d", b.Seed, b.Devices, b.edges),
		Actor: "estate", Cause: "generated",
		Edges: make([]graph.EdgeObservation, 0, BatchEdges), Entities: make([]graph.EntityObservation, 0, BatchEdges),
	}
	b.ids = make(map[node]graph.ID, BatchEdges)
}

func (b *builder) flush() {
	if !b.stopped && !b.yield(b.batch) {
		b.stopped = true
	}
	b.open()
}

// add appends one observation; what is missing in e (its ends' ids, its key) is filled in.
func (b *builder) add(from, to node, e graph.EdgeObservation) {
	e.From, e.To = b.entity(from, e), b.entity(to, e)
	e.Observation = graph.NewID(graph.KindObservation, fmt.Sprintf("estate/%d/%d/%d", b.Seed, b.Devices, b.edges))
	b.batch.Edges = append(b.batch.Edges, e)
	if b.edges++; len(b.batch.Edges) == BatchEdges {
		b.flush()
	}
}

// entity puts the node into the batch unless it is there, observed when the edge was last seen.
func (b *builder) entity(n node, e graph.EdgeObservation) graph.ID {
	id, ok := b.ids[n]
	if !ok {
		o := b.observe(n)
		o.ObservedAt, o.Source = e.LastSeen, e.Source
		id = o.Keys[0].ID()
		b.batch.Entities, b.ids[n] = append(b.batch.Entities, o), id
	}
	return id
}
