package correlate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// nodes resolves ids for the length of one decision: every node is read once, in bulk.
type nodes struct {
	ctx    context.Context
	reader graph.Reader
	view   graph.View
	byID   map[graph.ID]graph.Entity
	// owners are the identities of mailboxes; zero where not exactly one is known.
	owners map[graph.ID]graph.ID
	// named are all ids under which alerts may name the thing of a key.
	named map[key][]graph.ID
}

func newNodes(ctx context.Context, r graph.Reader, v graph.View) *nodes {
	return &nodes{ctx, r, v, map[graph.ID]graph.Entity{}, map[graph.ID]graph.ID{}, map[key][]graph.ID{}}
}

// load reads nodes that are not there yet, and what they are followed to.
func (n *nodes) load(ids []graph.ID) error {
	for len(ids) > 0 {
		missing := make([]graph.ID, 0, len(ids))
		for _, id := range ids {
			if _, ok := n.byID[id]; !ok && !id.IsZero() {
				n.byID[id] = graph.Entity{}
				missing = append(missing, id)
			}
		}
		found, err := n.reader.Entities(n.ctx, n.view, graph.EntityQuery{IDs: missing})
		if err != nil {
			return err
		}
		ids = nil
		for i, e := range found {
			n.byID[missing[i]] = e
			ids = append(ids, e.SameAs)
		}
	}
	return nil
}

// loadFor reads what the features of the alerts need.
func (n *nodes) loadFor(alerts []graph.Alert, s Settings) error {
	var ids []graph.ID
	for _, a := range alerts {
		ids = append(ids, s.tiesOf(a.AlertContent).ids...)
	}
	if err := n.load(ids); err != nil {
		return err
	}
	return n.loadOwners(ids)
}

// follow is the node, or the one that it is followed to as the same thing.
func (n *nodes) follow(id graph.ID) (e graph.Entity, inferred bool) {
	e = n.byID[id]
	if to, ok := n.byID[e.SameAs]; ok && !to.ID.IsZero() {
		return to, true
	}
	return e, false
}

// loadOwners finds the identities of the mailboxes among ids.
func (n *nodes) loadOwners(ids []graph.ID) error {
	var boxes []graph.ID
	var principals []graph.Key
	for _, id := range ids {
		box, _ := n.follow(id)
		if _, known := n.owners[box.ID]; known || box.Kind() != graph.KindMailbox {
			continue
		}
		n.owners[box.ID] = graph.ID{}
		if k, ok := graph.NewKey(graph.KindIdentity, graph.KeyUserPrincipalName, mailAddress(box)); ok {
			boxes, principals = append(boxes, box.ID), append(principals, k)
		}
	}
	if len(boxes) == 0 {
		return nil
	}
	bearers, err := n.reader.Lookup(n.ctx, n.view, principals)
	if err != nil {
		return err
	}
	if err := n.load(slices.Concat(bearers...)); err != nil {
		return err
	}
	for i, b := range bearers {
		n.owners[boxes[i]] = n.sole(b)
	}
	return nil
}

func mailAddress(box graph.Entity) string {
	if a := box.Key(graph.KeyPrimaryAddress); a != "" {
		return a
	}
	return box.Key(graph.KeyUPN)
}

// sole is the one node that all ids lead to; zero where there is none or several.
func (n *nodes) sole(ids []graph.ID) graph.ID {
	ends := map[graph.ID]bool{}
	for _, id := range ids {
		e, _ := n.follow(id)
		ends[e.ID] = true
	}
	if len(ends) != 1 {
		return graph.ID{}
	}
	return slices.Collect(maps.Keys(ends))[0]
}

// builtInNames are accounts that exist on every machine or in every domain, for sources that give no SID
// (learn.microsoft.com, "Local accounts", "Active Directory accounts").
var builtInNames = map[string]bool{
	"system": true, "localsystem": true, "local system": true, "local service": true, "localservice": true,
	"network service": true, "networkservice": true, "anonymous logon": true, "administrator": true, "guest": true,
	"krbtgt": true, "root": true, "nobody": true, "defaultaccount": true, "wdagutilityaccount": true, "everyone": true,
}

// builtIn reports whether the identity names no person: Windows' own accounts stand on each machine, and
// what a thousand machines do as SYSTEM is not one actor.
func builtIn(e graph.Entity) bool {
	if e.Key(graph.KeyAzureADUserID) != "" || e.Key(graph.KeySID) != "" {
		return false
	}
	for _, k := range e.Keys {
		switch k.Type {
		case graph.KeyMdeAccount, graph.KeyAadAccount, graph.KeyBuiltInSID:
			return true
		case graph.KeyAccountName:
			if builtInNames[k.Value[strings.LastIndexByte(k.Value, '\\')+1:]] {
				return true
			}
		}
	}
	return false
}

// messageNode and linkNode stand for what several nodes are.
func messageNode(e graph.Entity) graph.ID {
	k, ok := graph.NewKey(graph.KindMailMessage, graph.KeyNetworkMessageID, e.Key(graph.KeyNetworkMessageID))
	if !ok {
		return graph.ID{}
	}
	return k.ID()
}

func linkNode(e graph.Entity) graph.ID { return linkID(withScheme(e.Key(graph.KeyURL), "https")) }

func linkID(url string) graph.ID {
	k, ok := graph.NewKey(graph.KindURL, graph.KeyURL, url)
	if !ok {
		return graph.ID{}
	}
	return k.ID()
}

// withScheme replaces http and https, which lead to the same page; other texts stay.
func withScheme(url, scheme string) string {
	for _, s := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(url, s); ok {
			return scheme + "://" + rest
		}
	}
	return url
}

// nameAll finds the ids under which alerts may name the things of these keys: the node, the weak-only nodes
// that are followed to it, a person's mailboxes, a message's copies, a URL with the other scheme. It may give
// too many; an alert's features say whether it bears the key.
func (n *nodes) nameAll(all []key, via map[key][]graph.ID) error {
	var keys []key
	for _, k := range all {
		if _, ok := n.named[k]; !ok {
			n.named[k] = append([]graph.ID{k.node}, via[k]...)
			keys = append(keys, k)
		}
	}
	if err := n.nameFollowers(keys); err != nil {
		return err
	}
	return n.nameCopies(keys)
}

func (n *nodes) nameFollowers(keys []key) error {
	at := map[graph.ID][]key{}
	nodes := []graph.ID{}
	for _, k := range keys {
		if k.kind == device || k.kind == person || k.kind == sender {
			at[k.node] = append(at[k.node], k)
			nodes = append(nodes, k.node)
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	q := graph.EdgeQuery{Nodes: nodes, Direction: graph.In, Kinds: []graph.EdgeKind{graph.EdgePossiblySame}}
	for e, err := range n.reader.Edges(n.ctx, n.view, q) {
		if err != nil {
			return err
		}
		for _, k := range at[e.To] {
			n.named[k] = append(n.named[k], e.From)
		}
		nodes = append(nodes, e.From)
	}
	if err := n.load(nodes); err != nil {
		return err
	}
	for _, k := range keys {
		if k.kind == person {
			n.named[k] = append(n.named[k], n.mailboxes(n.named[k])...)
		}
	}
	return nil
}

// mailboxes are the ids that the mailboxes of these identities have.
func (n *nodes) mailboxes(identities []graph.ID) []graph.ID {
	var out []graph.ID
	for _, id := range identities {
		for _, k := range n.byID[id].Keys {
			if k.Type != graph.KeyUserPrincipalName {
				continue
			}
			for _, t := range []graph.KeyType{graph.KeyPrimaryAddress, graph.KeyUPN} {
				if box, ok := graph.NewKey(graph.KindMailbox, t, k.Value); ok {
					out = append(out, box.ID())
				}
			}
		}
	}
	return out
}

// nameCopies looks up the copies of messages. A URL's ids are computed: via has one form of it.
func (n *nodes) nameCopies(keys []key) error {
	var at []key
	var ids []graph.Key
	for _, k := range keys {
		for _, via := range n.named[k] {
			switch e := n.byID[via]; {
			case k.kind == link && e.Kind() == graph.KindURL:
				n.named[k] = append(n.named[k], linkID(withScheme(e.Key(graph.KeyURL), "http")))
			case k.kind == message && e.Kind() == graph.KindMailMessage:
				id, _ := graph.NewKey(graph.KindMailMessage, graph.KeyNetworkMessageID, e.Key(graph.KeyNetworkMessageID))
				at, ids = append(at, k), append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	copies, err := n.reader.Lookup(n.ctx, n.view, ids)
	for i, c := range copies {
		n.named[at[i]] = append(n.named[at[i]], c...)
	}
	return err
}
