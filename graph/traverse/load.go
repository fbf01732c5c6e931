package traverse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// chunkSize bounds the nodes of one query.
const chunkSize = 512

// reading is a source that builds the graph from what it reads of a store.
type reading struct {
	Ground
	asOf time.Time
	ways *ways
	b    *compact.Builder
	g    *compact.Graph
	// there are the edges that were read, which may be read once more at the other end.
	there map[graph.EdgeKey]struct{}
	// closed are the nodes around which possiblySameAs was read.
	closed map[compact.Node]struct{}
	// graded are the nodes of which the criticality was read.
	graded map[compact.Node]struct{}
	// rounded are the nodes around which edges were read for actions.
	rounded map[compact.Node]struct{}
	// counts are the nodes at which edges were read, and how many.
	counts map[compact.Node]int
}

func newReading(on Ground, asOf time.Time, w *ways) *reading {
	b := compact.NewBuilder()
	return &reading{
		Ground: on, asOf: asOf, ways: w, b: b, g: b.Graph(),
		there: map[graph.EdgeKey]struct{}{}, closed: map[compact.Node]struct{}{},
		graded: map[compact.Node]struct{}{}, rounded: map[compact.Node]struct{}{}, counts: map[compact.Node]int{},
	}
}

func (r *reading) graph() *compact.Graph { return r.g }

// show makes what was read visible to the search.
func (r *reading) show() { r.g = r.b.Graph() }

func (r *reading) resolve(ctx context.Context, ids []graph.ID) ([]compact.Node, error) {
	var nodes []compact.Node
	err := r.entities(ctx, ids, func(asked graph.ID, e graph.Entity) error {
		if e.ID.IsZero() {
			return unknown(asked)
		}
		n := r.b.Node(e.ID)
		r.b.Know(n, true)
		nodes = append(nodes, n)
		return nil
	})
	r.show()
	return nodes, err
}

func (r *reading) grades(ctx context.Context, nodes []compact.Node) error {
	nodes = r.pending(nodes, r.graded)
	ids := make([]graph.ID, len(nodes))
	for i, n := range nodes {
		ids[i] = r.g.ID(n)
	}
	i := 0
	err := r.entities(ctx, ids, func(_ graph.ID, e graph.Entity) error {
		r.b.Grade(nodes[i], uint8(r.grade.Of(e).Criticality))
		r.graded[nodes[i]] = struct{}{}
		i++
		return nil
	})
	r.show()
	return err
}

// entities reads entities in chunks of a page.
func (r *reading) entities(ctx context.Context, ids []graph.ID, each func(asked graph.ID, e graph.Entity) error) error {
	for chunk := range slices.Chunk(ids, graph.MaxPage) {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := r.reader.Entities(ctx, r.view, graph.EntityQuery{IDs: chunk})
		if err == nil && len(found) != len(chunk) {
			err = fmt.Errorf("traverse: store gave %d entities for %d ids", len(found), len(chunk))
		}
		if err != nil {
			return err
		}
		for i, e := range found {
			if err := each(chunk[i], e); err != nil {
				return err
			}
		}
	}
	return nil
}

// same reads possiblySameAs around nodes until nothing new is the same. What is the same as one thing is few; a store
// in which it is not is read up to a bound.
func (r *reading) same(ctx context.Context, nodes []compact.Node) error {
	defer r.show()
	for pending := r.pending(nodes, r.closed); len(pending) > 0; {
		found, b := map[graph.EdgeKey]graph.Edge{}, newBound(DefaultEdges)
		if err := r.read(ctx, query{pending, graph.Both, []graph.EdgeKind{graph.EdgePossiblySame}}, found, b); err != nil {
			return err
		}
		next := make([]compact.Node, 0, 2*len(found))
		for _, e := range found {
			next = append(next, r.b.Node(e.From), r.b.Node(e.To))
		}
		r.keep(found)
		done(r.closed, pending)
		r.show()
		pending = r.pending(next, r.closed)
	}
	return nil
}

func (r *reading) around(ctx context.Context, nodes []compact.Node, most int) error {
	defer r.show()
	for pending := r.pending(nodes, r.rounded); len(pending) > 0; {
		run := r.runOfKind(pending)
		found, b := map[graph.EdgeKey]graph.Edge{}, newBound(most)
		for _, d := range []graph.Direction{graph.Out, graph.In} {
			if kinds := viasAt(r.g.Mark(run[0]).Kind(), d); len(kinds) > 0 {
				if err := r.read(ctx, query{run, d, kinds}, found, b); err != nil {
					return err
				}
			}
		}
		r.keep(found)
		done(r.rounded, run)
		pending, most = pending[len(run):], most-len(b.at)
	}
	return nil
}

// pending are the nodes that are not done, in order of id, each once.
func (r *reading) pending(nodes []compact.Node, done map[compact.Node]struct{}) (out []compact.Node) {
	for _, n := range nodes {
		if _, is := done[n]; !is {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, r.g.Compare)
	return slices.Compact(out)
}

func done(set map[compact.Node]struct{}, nodes []compact.Node) {
	for _, n := range nodes {
		set[n] = struct{}{}
	}
}

// arcs reads chunk by chunk. Where there is not room for a chunk it takes as many of its nodes, in order, as fit:
// a node is read wholly or not at all, for half a node's edges would make a hub look like none.
func (r *reading) arcs(ctx context.Context, nodes []compact.Node, most int) (left []compact.Node, err error) {
	defer r.show()
	for size := chunkSize; len(nodes) > 0; {
		if n, read := r.counts[nodes[0]]; read {
			if most -= n; most < 0 {
				return nodes, nil
			}
			nodes = nodes[1:]
			continue
		}
		chunk := nodes[:min(size, len(nodes))]
		if i := slices.IndexFunc(chunk, r.wasRead); i > 0 {
			chunk = chunk[:i]
		}
		n, err := r.chunk(ctx, chunk, most)
		switch {
		case errors.Is(err, limitMet(LimitEdges)) && len(chunk) == 1:
			return nodes, nil
		case errors.Is(err, limitMet(LimitEdges)):
			size = len(chunk) / 2
		case err != nil:
			return nodes, err
		default:
			nodes, most = nodes[len(chunk):], most-n
		}
	}
	return nil, nil
}

// chunk reads the edges at nodes, and gives their number, each counted at each of the nodes. Of more than most it
// keeps none.
func (r *reading) chunk(ctx context.Context, nodes []compact.Node, most int) (int, error) {
	found := map[graph.EdgeKey]graph.Edge{}
	bound := newBound(most)
	for _, q := range r.queries(nodes) {
		if err := r.read(ctx, q, found, bound); err != nil {
			return 0, err
		}
	}
	r.keep(found)
	for _, n := range nodes {
		r.counts[n] = 0
	}
	for s := range bound.at {
		r.counts[r.b.Node(s.near())]++
	}
	return len(bound.at), nil
}

func (r *reading) wasRead(n compact.Node) bool {
	_, read := r.counts[n]
	return read
}

// keep takes in what was read. Stores tell of an edge the same at either end.
func (r *reading) keep(found map[graph.EdgeKey]graph.Edge) {
	for k, e := range found {
		if _, twice := r.there[k]; !twice {
			r.there[k] = struct{}{}
			r.b.Insert(e, r.b.Node(e.From), r.b.Node(e.To))
		}
	}
}

// query is one call of Reader.Edges.
type query struct {
	nodes     []compact.Node
	direction graph.Direction
	kinds     []graph.EdgeKind
}

// queries asks, in each direction, together for those nodes that have the same kinds of edges to read.
func (r *reading) queries(nodes []compact.Node) []query {
	var out []query
	for _, d := range []graph.Direction{graph.Out, graph.In} {
		first := len(out)
		for rest := nodes; len(rest) > 0; {
			run := r.runOfKind(rest)
			kinds := r.ways.readKinds(r.g.Mark(run[0]).Kind(), d == graph.In)
			i := slices.IndexFunc(out[first:], func(q query) bool { return slices.Equal(q.kinds, kinds) })
			if i < 0 {
				i, out = len(out)-first, append(out, query{nil, d, kinds})
			}
			out[first+i].nodes = append(out[first+i].nodes, run...)
			rest = rest[len(run):]
		}
	}
	return slices.DeleteFunc(out, func(q query) bool { return len(q.kinds) == 0 })
}

// runOfKind cuts from nodes in order those of the first one's kind.
func (r *reading) runOfKind(nodes []compact.Node) []compact.Node {
	kind := r.g.Mark(nodes[0]).Kind()
	if n := slices.IndexFunc(nodes, func(n compact.Node) bool { return r.g.Mark(n).Kind() != kind }); n > 0 {
		return nodes[:n]
	}
	return nodes
}

// bound counts edges as seen from one end; a store may yield one twice.
type bound struct {
	at   map[sight]struct{}
	most int
}

type sight struct {
	graph.EdgeKey
	backward bool
}

// near is the end it is seen from.
func (s sight) near() graph.ID {
	if s.backward {
		return s.To
	}
	return s.From
}

func newBound(most int) *bound { return &bound{map[sight]struct{}{}, most} }

func (b *bound) take(k graph.EdgeKey, backward bool) error {
	if b.at[sight{k, backward}] = struct{}{}; len(b.at) > b.most {
		return limitMet(LimitEdges)
	}
	return nil
}

func (r *reading) read(ctx context.Context, q query, found map[graph.EdgeKey]graph.Edge, b *bound) error {
	for chunk := range slices.Chunk(q.nodes, chunkSize) {
		if err := ctx.Err(); err != nil {
			return err
		}
		asked := make(map[graph.ID]struct{}, len(chunk))
		ask := graph.EdgeQuery{Direction: q.direction, Kinds: q.kinds, AsOf: r.asOf}
		for _, n := range chunk {
			ask.Nodes = append(ask.Nodes, r.g.ID(n))
			asked[r.g.ID(n)] = struct{}{}
		}
		for e, err := range r.reader.Edges(ctx, r.view, ask) {
			if err != nil {
				return err
			}
			k := e.Key()
			found[k] = e
			_, out := asked[e.From]
			_, in := asked[e.To]
			if out && q.direction&graph.Out != 0 {
				err = b.take(k, false)
			}
			if in && q.direction&graph.In != 0 && err == nil {
				err = b.take(k, true)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
