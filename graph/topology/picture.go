package topology

import (
	"slices"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// picture is a tenant's graph in the making.
type picture struct {
	*compact.Builder
	// members are the other ids of the nodes that have any.
	members map[graph.ID][]graph.ID
	// loose are ids that were another node's and are no more, of which nothing was read since.
	loose map[compact.Node]struct{}
	// detours are the ids that nodes are followed to, where these are another node's.
	detours map[compact.Node]compact.Node
	// derived counts the edges that were not observed.
	derived int
}

func newPicture(o Options) *picture {
	p := pictureOf(compact.NewBuilder())
	if o.limits.ids > 0 {
		p.Limit(o.limits.ids, compact.MaxEdges)
	}
	if o.History {
		p.KeepHistory()
	}
	return p
}

// pictureOf goes on from a graph of which no id is loose and no node is followed by a detour.
func pictureOf(b *compact.Builder) *picture {
	return &picture{
		Builder: b, members: membersIn(b), loose: map[compact.Node]struct{}{}, detours: map[compact.Node]compact.Node{},
		derived: derivedIn(b),
	}
}

// at are the edges at the node of an id, as seen from there.
func (p *picture) at(id graph.ID) []compact.Arc {
	if n, ok := p.Find(id); ok {
		return p.Arcs(n)
	}
	return nil
}

// parted reports whether the id is a node's that is another's, or was until lately. Edges at it that were read before it
// is may have been taken for that other one's.
func (p *picture) parted(id graph.ID) bool {
	n, ok := p.Find(id)
	if !ok {
		return false
	}
	_, loose := p.loose[n]
	return loose || p.Aliased(n) != n
}

// blank reports whether nothing is known of any id of a node, and there is no edge.
func (p *picture) blank(e graph.Entity) bool {
	return p.unmet(e.ID) && !slices.ContainsFunc(e.Members, func(m graph.ID) bool { return !p.unmet(m) })
}

func (p *picture) unmet(id graph.ID) bool {
	n, ok := p.Find(id)
	return !ok || !p.parted(id) && !p.Known(n) && len(p.Arcs(n)) == 0
}

// key tells an edge from all others.
type key struct {
	from, to compact.Node
	kind     graph.EdgeKind
}

func keyOf(near compact.Node, a compact.Arc) key {
	if a.Backward() {
		return key{a.Far(), near, a.Kind()}
	}
	return key{near, a.Far(), a.Kind()}
}

// find looks an edge up at the end that has fewer.
func (p *picture) find(k key) (near compact.Node, a compact.Arc, ok bool) {
	near = k.from
	if len(p.Arcs(k.to)) < len(p.Arcs(k.from)) {
		near = k.to
	}
	arcs := p.Arcs(near)
	i := slices.IndexFunc(arcs, func(a compact.Arc) bool { return keyOf(near, a) == k })
	if i < 0 {
		return near, a, false
	}
	return near, arcs[i], true
}

// edge is the edge of a key, with its sightings; ok is false where it is not there under these ids, or not all of these
// are remembered.
func (p *picture) edge(k graph.EdgeKey) (e graph.Edge, ok bool) {
	from, ok1 := p.Find(k.From)
	to, ok2 := p.Find(k.To)
	if !ok1 || !ok2 || p.parted(k.From) || p.parted(k.To) {
		return e, false
	}
	near, a, ok := p.find(key{from, to, k.Kind})
	if ok {
		e = p.Edge(near, a)
		e.Sightings, ok = p.Sightings(near, a)
	}
	return e, ok
}

// followed is the edge from the node to the one that it may be.
func (p *picture) followed(n compact.Node) (a compact.Arc, ok bool) {
	if !p.Mark(n).Same() {
		return a, false
	}
	arcs := p.Arcs(n)
	i := slices.IndexFunc(arcs, func(a compact.Arc) bool { return a.Kind() == graph.EdgePossiblySame && !a.Backward() })
	if i < 0 {
		return a, false
	}
	return arcs[i], true
}

// update is one change of a picture in the making; until apply the picture is as it was, but that ids have numbers.
type update struct {
	p      *picture
	drafts map[compact.Node]draft
	// aliases are the nodes that ids belong to; the id's own number where it is no other's any more.
	aliases map[compact.Node]compact.Node
	// held are the edges that the picture has at the nodes that are replaced, and those that were put.
	held map[key]held
	puts []put
	cuts cuts
	same [][2]compact.Node // the edges to follow that are put in
}

// draft is a node as it will be; the zero draft is of none.
type draft struct {
	known   bool
	grade   uint8
	members []graph.ID
	sameAs  graph.ID // the node that it is followed to
}

// held is an edge of the picture, as seen from one of its ends; put says that it, or one in its place, was read.
type held struct {
	near compact.Node
	arc  compact.Arc
	put  bool
}

// put is an edge that was read: a new one, or what is new of one that is there.
type put struct {
	graph.Edge
	from, to compact.Node
	there    bool
	number   uint32
}

// cuts are edges to take out, and the nodes at which they are.
type cuts struct {
	edges map[uint32]struct{}
	ends  map[compact.Node]struct{}
}

func (c cuts) add(near compact.Node, a compact.Arc) {
	c.edges[a.Edge()], c.ends[near], c.ends[a.Far()] = struct{}{}, struct{}{}, struct{}{}
}

func (p *picture) update() *update {
	return &update{
		p: p, drafts: map[compact.Node]draft{}, aliases: map[compact.Node]compact.Node{}, held: map[key]held{},
		cuts: cuts{map[uint32]struct{}{}, map[compact.Node]struct{}{}},
	}
}

// node is the node that an id will belong to. No id belongs to one that belongs to another itself: whatever makes a
// node another's takes its ids from it.
func (u *update) node(id graph.ID) compact.Node { return u.owner(u.p.Node(id)) }

// owner is node by the number of the id.
func (u *update) owner(n compact.Node) compact.Node {
	if to, changed := u.aliases[n]; changed {
		return to
	}
	return u.p.Aliased(n)
}

// know takes in what the store says of a node.
func (u *update) know(e graph.Entity, grade uint8) {
	n := u.p.Node(e.ID)
	u.unlink(n)
	if u.node(e.ID) != n {
		u.aliases[n] = n
	}
	u.drafts[n] = draft{true, grade, slices.Clone(e.Members), e.SameAs}
	for _, m := range e.Members {
		u.aliases[u.p.Node(m)] = n
		u.drop(m)
	}
}

// drop takes out a node that is no more, with its edges. Its followers are asked for themselves.
func (u *update) drop(id graph.ID) {
	if n, ok := u.p.Find(id); ok {
		u.unlink(n)
		u.drafts[n] = draft{}
		u.replace(id)
	}
}

// unlink takes the node's other ids from it, but for those that another node has by now.
func (u *update) unlink(n compact.Node) {
	d, drafted := u.drafts[n]
	if !drafted {
		d.members = u.p.members[u.p.ID(n)]
	}
	for _, m := range d.members {
		if u.node(m) == n {
			m := u.p.Node(m)
			u.aliases[m] = m
		}
	}
}

// replace says that all observed edges at the node will be put again; those that are not are cut.
func (u *update) replace(id graph.ID) {
	u.hold(id, func(compact.Arc) bool { return true })
}

// replaceBy says so of those edges at the node that the plan reads there.
func (u *update) replaceBy(p *plan, id graph.ID) {
	u.hold(id, func(a compact.Arc) bool { return p.inward(a.Kind()) == a.Backward() })
}

func (u *update) hold(id graph.ID, which func(compact.Arc) bool) {
	n, ok := u.p.Find(id)
	if !ok {
		return
	}
	for _, a := range u.p.Arcs(n) {
		if a.Kind() != graph.EdgePossiblySame && which(a) {
			u.held[keyOf(n, a)] = held{near: n, arc: a}
		}
	}
}

// put takes in an observed edge as read; nodes must be known before. The first of several of one key counts.
func (u *update) put(e graph.Edge) {
	k := key{u.node(e.From), u.node(e.To), e.Kind}
	h, there := u.held[k]
	if h.put {
		return
	}
	if !there {
		h.near, h.arc, there = u.p.find(k)
	}
	h.put = true
	u.held[k] = h
	if !there || !sameEdge(u.p.Edge(h.near, h.arc), e) || !u.p.SameHistory(h.arc.Edge(), e) {
		u.puts = append(u.puts, put{e, k.from, k.to, there, h.arc.Edge()})
	}
}

func sameEdge(a, b graph.Edge) bool {
	return a.FirstSeen.Equal(b.FirstSeen) && a.LastSeen.Equal(b.LastSeen) && a.EndedAt.Equal(b.EndedAt) &&
		a.Count == b.Count && a.Inferred == b.Inferred && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Alerts, b.Alerts)
}

// apply makes the change. After an error the picture is good for nothing.
func (u *update) apply() error {
	for _, h := range u.held {
		if !h.put {
			u.cuts.add(h.near, h.arc)
		}
	}
	observed := len(u.cuts.edges)
	u.follow()
	u.p.derived += len(u.same) - (len(u.cuts.edges) - observed)
	u.p.Remove(u.cuts.edges, u.cuts.ends)
	for n, of := range u.aliases {
		if u.p.Alias(n, of); of == n {
			u.p.loose[n] = struct{}{}
		} else {
			delete(u.p.loose, n)
		}
	}
	u.settle()
	u.insert()
	return u.p.Err()
}

// follow has each node followed to whom the store says, and those that were not read to the node that they are followed
// to by now.
func (u *update) follow() {
	for n, to := range u.following() {
		as := n
		if to != n {
			as = u.owner(to)
		}
		if as != to {
			u.p.detours[n] = to
		} else {
			delete(u.p.detours, n)
		}
		a, ok := u.p.followed(n)
		if ok && a.Far() == as {
			continue
		}
		if ok {
			u.cuts.add(n, a)
		}
		if as != n {
			u.same = append(u.same, [2]compact.Node{n, as})
		}
	}
}

// following are the nodes that are to be followed anew, to which id; the node's own for nowhere.
func (u *update) following() map[compact.Node]compact.Node {
	all := map[compact.Node]compact.Node{}
	for n, d := range u.drafts {
		if all[n] = n; !d.sameAs.IsZero() {
			all[n] = u.p.Node(d.sameAs)
		}
	}
	add := func(n, to compact.Node) {
		if _, there := all[n]; !there {
			all[n] = to
		}
	}
	for n, to := range u.p.detours {
		if _, changed := u.aliases[to]; changed {
			add(n, to)
		}
	}
	for n, of := range u.aliases {
		if n == of || !u.p.Mark(n).Same() {
			continue
		}
		for _, a := range u.p.Arcs(n) {
			if a.Backward() && a.Kind() == graph.EdgePossiblySame {
				add(a.Far(), n)
			}
		}
	}
	return all
}

// settle says what the nodes are.
func (u *update) settle() {
	for n, d := range u.drafts {
		id := u.p.ID(n)
		if len(d.members) > 0 {
			u.p.members[id] = d.members
		} else {
			delete(u.p.members, id)
		}
		if d.known {
			delete(u.p.loose, n)
		}
		if u.p.Aliased(n) == n {
			u.p.Know(n, d.known)
			u.p.Grade(n, d.grade)
		}
	}
}

func (u *update) insert() {
	for _, x := range u.puts {
		if x.there {
			u.p.Set(x.number, x.Edge)
		} else {
			u.p.Insert(x.Edge, x.from, x.to)
		}
	}
	for _, ends := range u.same {
		u.p.Insert(graph.Edge{Kind: graph.EdgePossiblySame, Count: 1, Inferred: true}, ends[0], ends[1])
	}
}
