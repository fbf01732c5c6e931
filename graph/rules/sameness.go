package rules

import (
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// MaxBearers bounds the atoms that are looked at for one weak key, strongest homes first: a name that more
// bear suggests nothing worth the work.
const MaxBearers = 1000

// fewBearers usually show already that a weak key leads to several nodes.
const fewBearers = 8

// Nodes is what Sameness reads.
type Nodes interface {
	// Entity reads a node without what it may be the same as; ok is false where id is no node.
	Entity(id graph.ID) (e graph.Entity, ok bool, err error)
	// Bearers lists who bears a weak key.
	Bearers(q BearerQuery) ([]Bearer, error)
}

// Sameness works out what weak-only nodes may be the same as, each node once. It lives for one call.
type Sameness struct {
	nodes Nodes
	known map[graph.ID]graph.ID
}

// NewSameness reads from nodes.
func NewSameness(nodes Nodes) Sameness { return Sameness{nodes, map[graph.ID]graph.ID{}} }

// Of gives what graph.Entity shows as PossiblySameAs and SameAs; nothing for a node that has a strong key.
func (s Sameness) Of(e graph.Entity) (possibly []graph.ID, sole graph.ID, err error) {
	possibly, sole, err = s.among(e, MaxBearers)
	return possibly[:min(len(possibly), graph.MaxPossiblySame)], sole, err
}

// among looks at no more than limit bearers of each key.
func (s Sameness) among(e graph.Entity, limit int) (possibly []graph.ID, sole graph.ID, err error) {
	if e.ID.IsZero() || !e.WeakOnly() {
		return nil, graph.ID{}, nil
	}
	rank := e.Keys[0].Rank()
	weak, _ := graph.WeakRanks(e.Kind())
	bearers, err := s.bearers(e.Keys, 0, rank, limit)
	if err != nil {
		return nil, graph.ID{}, err
	}
	possibly, sole, err = graph.SameAs(rank, bearers, func(b graph.Bearer) (graph.ID, error) {
		if b.Rank < weak {
			return b.Node, nil
		}
		return s.follow(b.Node)
	})
	if sole.IsZero() && len(possibly) > 0 || limit == MaxBearers || len(bearers) < limit {
		s.known[e.ID] = sole // more bearers would not change it
	}
	return possibly, sole, err
}

// Sole is the one node that a weak-only node is followed to; zero for none.
func (s Sameness) Sole(id graph.ID) (sole graph.ID, err error) {
	if sole, ok := s.known[id]; ok {
		return sole, nil
	}
	e, ok, err := s.nodes.Entity(id)
	if err != nil || !ok || !e.WeakOnly() {
		return graph.ID{}, err
	}
	if _, _, err := s.among(e, fewBearers); err != nil {
		return graph.ID{}, err
	}
	if sole, ok := s.known[id]; ok {
		return sole, nil
	}
	_, sole, err = s.among(e, MaxBearers)
	return sole, err
}

func (s Sameness) follow(id graph.ID) (graph.ID, error) {
	sole, err := s.Sole(id)
	if sole.IsZero() {
		sole = id
	}
	return sole, err
}

// bearers lists the nodes of all ids with a rank from least to before most that bear any of the weak keys.
func (s Sameness) bearers(all []graph.Key, least, most, limit int) (out []graph.Bearer, err error) {
	for _, q := range bearerQueries(all, least, most, limit) {
		some, err := s.nodes.Bearers(q)
		if err != nil {
			return nil, err
		}
		for _, b := range some {
			out = append(out, graph.Bearer{Node: b.Node, Rank: b.Rank})
		}
	}
	return out, nil
}

func bearerQueries(all []graph.Key, least, most, limit int) (out []BearerQuery) {
	for _, k := range all {
		if k.Strength() == graph.Weak && least < most {
			out = append(out, BearerQuery{k.ID(), least, most, limit})
		}
	}
	return out
}

// weaker lists the weak-only nodes with homes weaker than the given rank that bear one of the weak keys.
func (s Sameness) weaker(kind graph.Kind, all []graph.Key, homeRank int) ([]graph.ID, error) {
	var out []graph.ID
	for _, q := range weakerQueries(kind, all, homeRank) {
		bearers, err := s.nodes.Bearers(q)
		if err != nil {
			return nil, err
		}
		for _, b := range bearers {
			out = append(out, b.Node)
		}
	}
	slices.SortFunc(out, graph.ID.Compare)
	return slices.Compact(out), nil
}

func weakerQueries(kind graph.Kind, all []graph.Key, homeRank int) []BearerQuery {
	from, before := graph.WeakRanks(kind)
	return bearerQueries(all, max(from, homeRank+1), before, MaxBearers)
}

// followers lists the weak-only nodes that are followed to e, in order. The way may lead over another weak-only
// node, so each one found is asked for its own.
func (s Sameness) followers(e graph.Entity) ([]graph.ID, error) {
	if own, err := s.Sole(e.ID); err != nil || !own.IsZero() {
		return nil, err
	}
	found := map[graph.ID]bool{}
	for queue := []graph.Entity{e}; len(queue) > 0; queue = queue[1:] {
		candidates, err := s.weaker(e.Kind(), queue[0].Keys, queue[0].Keys[0].Rank())
		if err != nil {
			return nil, err
		}
		for _, id := range candidates {
			if sole, err := s.Sole(id); err != nil {
				return nil, err
			} else if sole != e.ID || found[id] {
				continue
			}
			found[id] = true
			w, _, err := s.nodes.Entity(id)
			if err != nil {
				return nil, err
			}
			queue = append(queue, w)
		}
	}
	return sortedIDs(found), nil
}

// Edges lists the possiblySameAs edges at a node that are followed.
func (s Sameness) Edges(id graph.ID, d graph.Direction) (out []graph.Edge, err error) {
	if d&graph.Out != 0 {
		to, err := s.Sole(id)
		if err != nil {
			return nil, err
		}
		if !to.IsZero() {
			out = append(out, sameEdgeOf(id, to))
		}
	}
	if d&graph.In == 0 {
		return out, nil
	}
	e, ok, err := s.nodes.Entity(id)
	if err != nil || !ok {
		return out, err
	}
	from, err := s.followers(e)
	for _, f := range from {
		out = append(out, sameEdgeOf(f, id))
	}
	return out, err
}

func sameEdgeOf(from, to graph.ID) graph.Edge {
	return graph.Edge{Kind: graph.EdgePossiblySame, From: from, To: to, Count: 1, Inferred: true}
}

func sortedIDs[V any](set map[graph.ID]V) []graph.ID {
	return slices.SortedFunc(maps.Keys(set), graph.ID.Compare)
}
