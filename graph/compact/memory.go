package compact

import (
	"reflect"

	"github.com/clew-security/clew/graph"
)

// Memory is what a graph takes, in bytes, by part. What it shares with other graphs counts in each.
type Memory struct {
	// IDs are the ids, those of nodes that are no more included, and the table that finds them.
	IDs int `json:"ids"`
	// Nodes are the places of their arcs, and marks.
	Nodes int `json:"nodes"`
	// Arcs lie at both ends of an edge. Room behind lists and what lists left are included.
	Arcs int `json:"arcs"`
	// Records are the instants of edges, and the numbers of the rest.
	Records int `json:"records"`
	// Rest is what edges share or few have, their sources, alerts and ends for instance; estimated.
	Rest int `json:"rest"`
	// History is what tells how edges were as of earlier instants; estimated.
	History int `json:"history"`
	// Builder is what the graph's Builder keeps to go on from it; estimated.
	Builder int `json:"builder"`
}

// Total is the sum.
func (m Memory) Total() int {
	return m.IDs + m.Nodes + m.Arcs + m.Records + m.Rest + m.History + m.Builder
}

// Memory tells what the graph took when it was made.
func (g *Graph) Memory() Memory { return g.memory }

// What the runtime takes.
const (
	numberBytes  = 4
	pointerBytes = 8
	headerBytes  = 24 // of a list
	arcBytes     = 8
	entryBytes   = 40 // of a map from text to text or a number, half of the time
)

func (b *Builder) memory() Memory {
	m := Memory{
		IDs:     b.ids.names.bytes() + b.ids.bytes(),
		Nodes:   b.places.bytes() + b.marks.bytes(),
		Arcs:    b.arena.total*arcBytes + len(b.arena.chunks)*headerBytes,
		Records: b.records.bytes(),
		Rest:    b.rest.shared.bytes() + b.rest.shared.outside + b.rest.extras.bytes(),
		History: b.histories.bytes() + b.histories.outside,
	}
	for _, n := range []int{
		cap(b.ids.names.made), cap(b.places.made), cap(b.marks.made), cap(b.records.made), cap(b.histories.made),
		cap(b.rest.shared.made), cap(b.rest.shared.uses), cap(b.rest.shared.unused), cap(b.rest.extras.made), cap(b.rest.extras.unused),
		cap(b.free), cap(b.arena.spare),
	} {
		m.Builder += n * numberBytes
	}
	m.Builder += b.rest.shared.keys + cap(b.arena.chunks)*headerBytes
	return m
}

func (t *table[T]) bytes() int {
	return len(t.pages)*int(reflect.TypeFor[page[T]]().Size()) + cap(t.pages)*pointerBytes
}

// outside is what lies outside of the table.
func (x *shared) outside() int {
	const text = 16 // of its header
	return len(x.sources)*text + len(x.alerts)*len(graph.ID{})
}

// keyed is what finding one by its key takes.
func keyed(key []byte) int { return (len(key)+15)/16*16 + entryBytes }
