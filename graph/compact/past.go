package compact

import "github.com/clew-security/clew/graph"

// History reports whether the graph can tell how edges were as of earlier instants: whether its Builder kept it.
func (g *Graph) History() bool { return g.remembers }

// AsOf is the graph, which must have History, as of an instant, None for now: valid time over what is known now. It has
// the edges that had been seen by then, as EdgeAt gives them. All else, and what is the same, is as it is now, and so is
// Size. Arcs looks at each edge, and copies those of a node of which not all are there; none are Sorted.
func (g *Graph) AsOf(at Instant) *Graph {
	then := *g
	then.past, then.at = at != None, at
	return &then
}

// then leaves out arcs of edges that are not there as of the graph's instant.
func (g *Graph) then(arcs []Arc) []Arc {
	for i, a := range arcs {
		if g.there(a) {
			continue
		}
		rest := append(make([]Arc, 0, len(arcs)-1), arcs[:i]...)
		for _, a := range arcs[i+1:] {
			if g.there(a) {
				rest = append(rest, a)
			}
		}
		return rest
	}
	return arcs
}

func (g *Graph) there(a Arc) bool {
	if first, _, _ := g.records.at(a.Edge()).seen(&g.rest); first <= g.at || a.Kind() == graph.EdgePossiblySame {
		return true
	}
	packed := historyOf(&g.histories, a.Edge()) // a sighting of which nobody says when it was is the first
	return packed != "" && packed[0]&seenNever != 0
}

// seenAt is Seen as of an instant at which the edge is there.
func (g *Graph) seenAt(edge uint32, at Instant) (first, last, ended Instant) {
	first, last, ended = g.records.at(edge).seen(&g.rest)
	if last <= at && ended <= at { // then nothing is hidden
		return first, last, ended
	}
	packed := historyOf(&g.histories, edge)
	if packed == "" {
		return seenOnce(first, last, ended, at)
	}
	u := g.unpack(edge, packed)
	first, last, ended = None, None, None
	for s, ok := u.next(); ok && s.first <= at; s, ok = u.next() {
		if first == None { // they come in order
			first = s.first
		}
		last = max(last, min(s.last, at))
		if s.ended <= at {
			ended = max(ended, s.ended)
		}
	}
	if ended < last {
		ended = None
	}
	return first, last, ended
}

// seenOnce hides what happened after the instant to an edge that is as if it had been seen once.
func seenOnce(first, last, ended, at Instant) (Instant, Instant, Instant) {
	if ended > at {
		ended = None
	}
	return first, min(last, at), ended
}

func (g *Graph) unpack(edge uint32, packed string) unpacking {
	return unpackingOf(&g.rest, g.records.at(edge), packed)
}

// EdgeAt is Edge as of an instant; None is now. ok is false where it had not been seen by then. Without History it is
// right of edges that were seen once, and not after they ended.
func (g *Graph) EdgeAt(near Node, a Arc, at Instant) (e graph.Edge, ok bool) {
	e = whole(&g.names, &g.records, &g.rest, near, a)
	if at == None || a.Kind() == graph.EdgePossiblySame {
		return e, true
	}
	packed := historyOf(&g.histories, a.Edge())
	if packed == "" {
		first, last, ended := g.records.at(a.Edge()).seen(&g.rest)
		_, last, ended = seenOnce(first, last, ended, at)
		e.LastSeen, e.EndedAt = last.Time(), ended.Time()
		return e, first <= at
	}
	return graph.JoinDistinct(e.Kind, e.From, e.To, sightingsOf(g.unpack(a.Edge(), packed)), at.Time())
}

func sightingsOf(u unpacking) (all []graph.Sighting) {
	for s, ok := u.next(); ok; s, ok = u.next() {
		all = append(all, u.sighting(s))
	}
	return all
}
