package topology

import (
	"cmp"
	"slices"

	"github.com/clew-security/clew/graph"
)

// picture is a tenant's graph as a value: whoever copied it before the next edit began sees no change.
type picture[D any] struct {
	nodes trie[*node[D]]
	// aliases lead from the other ids of a node to it.
	aliases trie[graph.ID]
	// edges counts the observed ones.
	edges int
}

// node is one node and the edges at it. It is never changed, only replaced.
type node[D any] struct {
	id graph.ID
	// known is false where nothing but edges or followers have told of the node: between two reads, one of
	// which saw a later commit.
	known   bool
	about   D
	members []graph.ID
	// sameAs is the node that this one is followed to, followers are those that are followed to this one.
	sameAs    graph.ID
	followers []graph.ID
	// out is in order of To, in in order of From, then of kind.
	out, in []*graph.Edge
}

func (n *node[D]) degree() int { return len(n.out) + len(n.in) }

// canonical is the id's node.
func (p *picture[D]) canonical(id graph.ID) graph.ID {
	if to, ok := p.aliases.get(id); ok {
		return to
	}
	return id
}

func keyOf(e *graph.Edge) graph.EdgeKey { return graph.EdgeKey{From: e.From, Kind: e.Kind, To: e.To} }

func byTo(a, b *graph.Edge) int {
	return cmp.Or(a.To.Compare(b.To), cmp.Compare(a.Kind, b.Kind))
}

func byFrom(a, b *graph.Edge) int {
	return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Kind, b.Kind))
}

// update is one change of a picture in the making; until apply the picture is as it was.
type update[D any] struct {
	p  *picture[D]
	by *edit
	// drafts are the nodes that change, each copied once; only their followers may be changed in place.
	drafts  map[graph.ID]*node[D]
	aliases map[graph.ID]graph.ID // zero to remove
	// held are the edges that the picture has at the nodes that are replaced; nil once read again.
	held  map[graph.EdgeKey]*graph.Edge
	edits map[graph.ID]*edits
}

// edits are the changes of one node's lists.
type edits struct{ out, in []edgeEdit }

// edgeEdit puts an edge in, in place of one of the same key, or cuts it out.
type edgeEdit struct {
	edge *graph.Edge
	cut  bool
}

func (p *picture[D]) update(by *edit) *update[D] {
	return &update[D]{
		p: p, by: by, drafts: map[graph.ID]*node[D]{}, aliases: map[graph.ID]graph.ID{},
		held: map[graph.EdgeKey]*graph.Edge{}, edits: map[graph.ID]*edits{},
	}
}

// draft is the node as it will be.
func (u *update[D]) draft(id graph.ID) *node[D] {
	n, ok := u.drafts[id]
	if !ok {
		n = &node[D]{id: id}
		if old, there := u.p.nodes.get(id); there {
			*n = *old
			n.followers = slices.Clone(old.followers)
		}
		u.drafts[id] = n
	}
	return n
}

// know takes in what the store says of a node.
func (u *update[D]) know(e graph.Entity, about D) {
	n := u.draft(e.ID)
	n.known, n.about = true, about
	u.unlink(n)
	n.members = slices.Clone(e.Members)
	for _, m := range n.members {
		u.aliases[m] = e.ID
		if _, there := u.p.nodes.get(m); there {
			u.drop(m)
		}
	}
	u.follow(n, e.SameAs)
}

// drop takes out a node that is no more, with its edges. Its followers are asked for themselves.
func (u *update[D]) drop(id graph.ID) {
	n := u.draft(id)
	var nothing D
	n.known, n.about = false, nothing
	u.unlink(n)
	u.follow(n, graph.ID{})
	u.replace(id)
}

// unlink takes the node's other ids from it, but for those that another node has by now.
func (u *update[D]) unlink(n *node[D]) {
	for _, m := range n.members {
		to, changed := u.aliases[m]
		if !changed {
			to, _ = u.p.aliases.get(m)
		}
		if to == n.id {
			u.aliases[m] = graph.ID{}
		}
	}
	n.members = nil
}

func (u *update[D]) follow(n *node[D], to graph.ID) {
	if n.sameAs == to {
		return
	}
	if !n.sameAs.IsZero() {
		old := u.draft(n.sameAs)
		old.followers = slices.DeleteFunc(old.followers, func(f graph.ID) bool { return f == n.id })
	}
	if !to.IsZero() {
		now := u.draft(to)
		now.followers = append(now.followers, n.id)
	}
	n.sameAs = to
}

// replace says that all edges at the node will be put again; those that are not are cut.
func (u *update[D]) replace(id graph.ID) {
	n, there := u.p.nodes.get(id)
	if !there {
		return
	}
	for _, list := range [][]*graph.Edge{n.out, n.in} {
		for _, e := range list {
			u.held[keyOf(e)] = e
		}
	}
}

// replaceBy says so of those edges at the node that the plan reads there.
func (u *update[D]) replaceBy(p *plan, id graph.ID) {
	n, there := u.p.nodes.get(id)
	if !there {
		return
	}
	for _, e := range n.out {
		if !p.inward(e.Kind) {
			u.held[keyOf(e)] = e
		}
	}
	if p.in == nil {
		return
	}
	for _, e := range n.in {
		if p.inward(e.Kind) {
			u.held[keyOf(e)] = e
		}
	}
}

// put takes in an observed edge as read. The first of several of one key counts.
func (u *update[D]) put(e graph.Edge) {
	k := keyOf(&e)
	old, held := u.held[k]
	if held && old == nil {
		return
	}
	u.held[k] = nil
	if old == nil || !sameEdge(old, &e) {
		u.edit(edgeEdit{edge: &e})
	}
}

func (u *update[D]) edit(x edgeEdit) {
	from, to := u.at(x.edge.From), u.at(x.edge.To)
	from.out, to.in = append(from.out, x), append(to.in, x)
}

func (u *update[D]) at(id graph.ID) *edits {
	x, ok := u.edits[id]
	if !ok {
		x = &edits{}
		u.edits[id] = x
	}
	return x
}

func sameEdge(a, b *graph.Edge) bool {
	return a.FirstSeen.Equal(b.FirstSeen) && a.LastSeen.Equal(b.LastSeen) && a.EndedAt.Equal(b.EndedAt) &&
		a.Count == b.Count && a.Inferred == b.Inferred && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Alerts, b.Alerts)
}

// apply makes the change.
func (u *update[D]) apply() {
	for _, e := range u.held {
		if e != nil {
			u.edit(edgeEdit{e, true})
		}
	}
	for id, x := range u.edits {
		n := u.draft(id)
		before := len(n.out)
		n.out, n.in = splice(n.out, x.out, byTo), splice(n.in, x.in, byFrom)
		u.p.edges += len(n.out) - before
	}
	for id, n := range u.drafts {
		if n.known || n.degree()+len(n.followers) > 0 {
			u.p.nodes.set(u.by, id, n)
		} else {
			u.p.nodes.remove(u.by, id)
		}
	}
	for id, to := range u.aliases {
		if to.IsZero() {
			u.p.aliases.remove(u.by, id)
		} else {
			u.p.aliases.set(u.by, id, to)
		}
	}
}

// splice returns a new list with the edits made; the list is in the order.
func splice(list []*graph.Edge, edits []edgeEdit, order func(a, b *graph.Edge) int) []*graph.Edge {
	if len(edits) == 0 {
		return list
	}
	slices.SortFunc(edits, func(a, b edgeEdit) int { return order(a.edge, b.edge) })
	out := make([]*graph.Edge, 0, len(list)+len(edits))
	for _, x := range edits {
		i, found := slices.BinarySearchFunc(list, x.edge, order)
		out, list = append(out, list[:i]...), list[i:]
		if found {
			list = list[1:]
		}
		if !x.cut {
			out = append(out, x.edge)
		}
	}
	return append(out, list...)
}
