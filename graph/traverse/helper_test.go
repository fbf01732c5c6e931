package traverse_test

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/traverse"
)

// memory is a tenant's graph as a list of edges, indexed by node. As a Reader it has what traversal uses; other calls
// panic.
type memory struct {
	graph.Reader
	edges []graph.Edge
	// later are edges that were seen after all instants of which questions are, where edges have sightings.
	later   []graph.Edge
	at      map[graph.ID][]int
	aliases map[graph.ID]graph.ID
	grades  map[graph.ID]graph.Criticality
	extra   []graph.ID
}

func newMemory(edges ...graph.Edge) *memory {
	m := &memory{edges: edges, at: map[graph.ID][]int{}, aliases: map[graph.ID]graph.ID{}, grades: map[graph.ID]graph.Criticality{}}
	for i, e := range edges {
		m.at[e.From] = append(m.at[e.From], i)
		m.at[e.To] = append(m.at[e.To], i)
	}
	m.later = later(edges)
	return m
}

// later ties nodes of edges that have sightings in other ways, long after.
func later(edges []graph.Edge) (out []graph.Edge) {
	there := map[graph.EdgeKey]bool{}
	for _, e := range edges {
		there[e.Key()] = true
	}
	for i, e := range edges {
		next := edges[(i+1)%len(edges)]
		k := graph.EdgeKey{From: e.From, Kind: next.Kind, To: next.To}
		if e.Sightings == nil || k.Kind == graph.EdgePossiblySame || there[k] {
			continue
		}
		there[k] = true
		s := graph.Sighting{Observation: id(graph.KindObservation, "later"), FirstSeen: at(50), LastSeen: at(50)}
		out = append(out, graph.Edge{Kind: k.Kind, From: k.From, To: k.To, Sightings: []graph.Sighting{s}})
	}
	return out
}

// asked is an edge as a query gives it, by its sightings where it has any.
func asked(q graph.EdgeQuery, e graph.Edge) (graph.Edge, bool) {
	if e.Sightings == nil {
		return seenBy(e, q.AsOf)
	}
	return q.Join(e.Kind, e.From, e.To, e.Sightings)
}

func (m *memory) Entities(_ context.Context, _ graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	out := make([]graph.Entity, len(q.IDs))
	for i, id := range q.IDs {
		if to, ok := m.aliases[id]; ok {
			id = to
		}
		if m.at[id] != nil || slices.Contains(m.extra, id) {
			out[i].ID = id
			out[i].Properties = map[string]graph.Property{graph.CriticalityProperty: {Value: []byte(strconv.Quote(m.grades[id].String()))}}
		}
	}
	return out, nil
}

func (m *memory) Edges(_ context.Context, _ graph.View, q graph.EdgeQuery) iter.Seq2[graph.Edge, error] {
	return func(yield func(graph.Edge, error) bool) {
		for _, n := range q.Nodes {
			here := slices.Clone(m.later)
			for _, i := range m.at[n] {
				here = append(here, m.edges[i])
			}
			for _, e := range here {
				out := e.From == n && q.Direction&graph.Out != 0
				in := e.To == n && q.Direction&graph.In != 0
				e, ok := asked(q, e)
				if ok && (out || in) && (q.Kinds == nil || slices.Contains(q.Kinds, e.Kind)) && !yield(e, nil) {
					return
				}
			}
		}
	}
}

// seenBy is the edge as it was at an instant, if it was there; a zero one is now.
func seenBy(e graph.Edge, at time.Time) (graph.Edge, bool) {
	if at.IsZero() || e.Kind == graph.EdgePossiblySame {
		return e, true
	}
	if e.LastSeen.After(at) {
		e.LastSeen = at
	}
	if e.EndedAt.After(at) {
		e.EndedAt = time.Time{}
	}
	return e, !e.FirstSeen.After(at)
}

func (m *memory) stored() traverse.Ground {
	return traverse.Stored(m, graph.View{Tenant: "t"}, graph.Criticalities{})
}

func (m *memory) held() traverse.Ground {
	b, there := compact.NewBuilder(), map[graph.EdgeKey]bool{}
	b.KeepHistory()
	for _, e := range slices.Concat(m.later, m.edges) {
		if k := e.Key(); !there[k] {
			there[k] = true
			e, _ = asked(graph.EdgeQuery{Sightings: true}, e)
			b.Insert(e, b.Node(e.From), b.Node(e.To))
		}
	}
	for _, id := range m.extra {
		b.Know(b.Node(id), true)
	}
	for id, to := range m.aliases {
		b.Alias(b.Node(id), b.Node(to))
	}
	for id, c := range m.grades {
		b.Grade(b.Node(id), uint8(c))
	}
	return traverse.Held(b.Graph())
}

// answer is a traverse.Answer with all that it can be asked for.
type answer struct {
	Sources              []graph.ID
	Score, WeightedScore int
	Targets              []found
	Hops                 []traverse.HopCount
	Hubs                 []traverse.Hub
	Completeness         traverse.Completeness
}

type found struct {
	ID                graph.ID
	Criticality       graph.Criticality
	Weight            int
	SameAs            graph.ID
	Nearest, Earliest traverse.Route
}

func blast(ctx context.Context, on traverse.Ground, q traverse.Question) (answer, error) {
	a, err := traverse.BlastRadius(ctx, on, q)
	if err != nil {
		return answer{}, err
	}
	return told(a), nil
}

// told asks the answer for all it has, and releases it.
func told(a *traverse.Answer) answer {
	defer a.Release()
	out := answer{a.Sources, a.Score, a.WeightedScore, nil, a.Hops, a.Hubs, a.Completeness}
	var last *traverse.Target
	for {
		page := a.List(last, 7)
		for _, t := range page {
			out.Targets = append(out.Targets, found{t.ID, t.Criticality, t.Weight, t.SameAs, a.Nearest(t), a.Earliest(t)})
		}
		if len(page) < 7 {
			break
		}
		last = &page[len(page)-1]
	}
	if len(out.Targets) != a.Targets {
		panic(fmt.Sprintf("%d targets are listed of %d", len(out.Targets), a.Targets))
	}
	return out
}

// both asks on both grounds, which must say the same.
func (m *memory) both(ctx context.Context, q traverse.Question) (answer, error) {
	a, err := blast(ctx, m.held(), q)
	b, errStored := blast(ctx, m.stored(), q)
	if fmt.Sprint(err) != fmt.Sprint(errStored) {
		return answer{}, fmt.Errorf("held: %v, stored: %v", err, errStored)
	}
	if !reflect.DeepEqual(a, b) {
		return answer{}, fmt.Errorf("held and stored differ: %s", cmp.Diff(a, b))
	}
	return a, err
}

func id(k graph.Kind, name string) graph.ID { return graph.NewID(k, name) }

func device(n string) graph.ID   { return id(graph.KindDevice, n) }
func identity(n string) graph.ID { return id(graph.KindIdentity, n) }
func file(n string) graph.ID     { return id(graph.KindFile, n) }
func group(n string) graph.ID    { return id(graph.KindSecurityGroup, n) }

// at is an instant some minutes into the tests' day; 0 is the zero instant.
func at(minutes int) time.Time {
	if minutes == 0 {
		return time.Time{}
	}
	return time.Date(2024, 3, 5, 9, minutes, 0, 0, time.UTC)
}

func edge(k graph.EdgeKind, from, to graph.ID, first, last int) graph.Edge {
	return graph.Edge{Kind: k, From: from, To: to, FirstSeen: at(first), LastSeen: at(last), Count: 1}
}

func ask(t testing.TB, m *memory, q traverse.Question) answer {
	t.Helper()
	a, err := m.both(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func targets(a answer) []graph.ID {
	var out []graph.ID
	for _, t := range a.Targets {
		out = append(out, t.ID)
	}
	return out
}

func target(t testing.TB, a answer, id graph.ID) found {
	t.Helper()
	i := slices.IndexFunc(a.Targets, func(t found) bool { return t.ID == id })
	if i < 0 {
		t.Fatalf("%s is not among the targets", id)
	}
	return a.Targets[i]
}

func named(prefix string, n int) string { return fmt.Sprintf("%s-%03d", prefix, n) }

// allKinds are all kinds of entity, so that everything reached is listed.
func allKinds() []graph.Kind {
	var out []graph.Kind
	for _, r := range traverse.TargetTable() {
		out = append(out, r.Kind)
	}
	return out
}
