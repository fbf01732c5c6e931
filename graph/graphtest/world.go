package graphtest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// world is everything that follows from a set of observations, computed from scratch by the definitions in
// the plainest way: it is what every store's incremental work is compared with.
type world struct {
	atoms map[graph.ID]atom         // by home id
	root  map[graph.ID]graph.ID     // every id ever observed or claimed -> canonical id
	nodes map[graph.ID]graph.Entity // by canonical id
	edges map[edgeKey][]graph.Sighting
}

// atom is what was observed under one home.
type atom struct {
	home   graph.Key
	facts  graph.Facts
	claims map[graph.ID]graph.Key
}

type edgeKey struct {
	from graph.ID
	kind graph.EdgeKind
	to   graph.ID
}

func newWorld(entities []graph.EntityObservation, edges []graph.EdgeObservation) *world {
	w := &world{atoms: map[graph.ID]atom{}, edges: map[edgeKey][]graph.Sighting{}}
	for _, o := range entities {
		w.observe(o)
	}
	w.resolve()
	w.gather()
	w.nameSame()
	for _, o := range edges {
		k := edgeKey{w.root[o.From], o.Kind, w.root[o.To]}
		if k.from != k.to {
			w.edges[k] = append(w.edges[k], o.Sighting())
		}
	}
	return w
}

func (w *world) observe(o graph.EntityObservation) {
	home, claimed, _ := graph.HomeAndClaims(o.Keys)
	a, ok := w.atoms[home.ID()]
	if !ok {
		a = atom{home: home, claims: map[graph.ID]graph.Key{}}
	}
	a.facts = a.facts.Merge(o.Facts())
	for _, k := range claimed {
		a.claims[k.ID()] = k
	}
	w.atoms[home.ID()] = a
}

// resolve applies the rule of claims rank by rank: all claimants of a key are of stronger ranks, so their
// roots are known by then.
func (w *world) resolve() {
	w.root = map[graph.ID]graph.ID{}
	keys, claimants := map[graph.ID]graph.Key{}, map[graph.ID][]graph.ID{}
	for id, a := range w.atoms {
		keys[id] = a.home
		for c, k := range a.claims {
			keys[c], claimants[c] = k, append(claimants[c], id)
		}
	}
	ids := slices.SortedFunc(maps.Keys(keys), func(a, b graph.ID) int {
		return cmp.Or(cmp.Compare(keys[a].Rank(), keys[b].Rank()), a.Compare(b))
	})
	for _, id := range ids {
		roots := map[graph.ID]bool{}
		for _, c := range claimants[id] {
			roots[w.root[c]] = true
		}
		w.root[id] = id
		if len(roots) == 1 {
			for r := range roots {
				w.root[id] = r
			}
		}
	}
}

func (w *world) gather() {
	w.nodes = map[graph.ID]graph.Entity{}
	for id, r := range w.root {
		a, observed := w.atoms[id]
		if id == r && !observed {
			continue // contested and never observed by itself: not a thing
		}
		n := w.nodes[r]
		n.ID, n.Facts = r, n.Facts.Merge(a.facts)
		if id != r {
			n.Members = append(n.Members, id)
		}
		w.nodes[r] = n
	}
	for id, n := range w.nodes {
		slices.SortFunc(n.Members, graph.ID.Compare)
		w.nodes[id] = n
	}
}

// nameSame fills PossiblySameAs and SameAs, strongest homes first so that what a bearer follows is known.
func (w *world) nameSame() {
	bearers := map[graph.Key][]graph.Bearer{}
	for id, a := range w.atoms {
		for _, k := range a.facts.Keys {
			if k.Strength() == graph.Weak {
				bearers[k] = append(bearers[k], graph.Bearer{Node: w.root[id], Rank: a.home.Rank()})
			}
		}
	}
	weak := slices.SortedFunc(maps.Keys(w.nodes), func(a, b graph.ID) int {
		return cmp.Or(cmp.Compare(w.atoms[a].home.Rank(), w.atoms[b].home.Rank()), a.Compare(b))
	})
	for _, id := range weak {
		n := w.nodes[id]
		if w.atoms[id].home.Strength() == graph.Strong {
			continue
		}
		var all []graph.Bearer
		for _, k := range n.Keys {
			all = append(all, bearers[k]...)
		}
		same, sole, _ := graph.SameAs(w.atoms[id].home.Rank(), all, func(b graph.Bearer) (graph.ID, error) {
			return cmp.Or(w.nodes[b.Node].SameAs, b.Node), nil
		})
		n.PossiblySameAs, n.SameAs = same[:min(len(same), graph.MaxPossiblySame)], sole
		w.nodes[id] = n
	}
}

// edge joins one edge as a query asks for it.
func (w *world) edge(k edgeKey, q graph.EdgeQuery) (graph.Edge, bool) {
	return q.Join(k.kind, k.from, k.to, w.edges[k])
}

// derived lists the possiblySameAs edges that are followed.
func (w *world) derived() []graph.Edge {
	var out []graph.Edge
	for _, n := range w.nodes {
		if !n.SameAs.IsZero() {
			out = append(out, graph.Edge{
				Kind: graph.EdgePossiblySame, From: n.ID, To: n.SameAs, Count: 1, Inferred: true,
			})
		}
	}
	return out
}

// bearing lists the nodes that bear a key, in order.
func (w *world) bearing(k graph.Key) []graph.ID {
	found := map[graph.ID]bool{}
	for id, a := range w.atoms {
		if _, claims := a.claims[k.ID()]; claims || slices.Contains(a.facts.Keys, k) {
			found[w.root[id]] = true
		}
	}
	if r := w.root[k.ID()]; !r.IsZero() && r != k.ID() {
		return []graph.ID{r} // a key that belongs to one node means that node
	}
	return slices.SortedFunc(maps.Keys(found), graph.ID.Compare)
}
