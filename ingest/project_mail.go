package ingest

import (
	"encoding/json"
	"net/netip"
	"net/url"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

func (p *projector) mailbox(o format.Object) graph.ID {
	id := p.mailboxOf(o.Text("primaryAddress"), o.Text("upn"), o)
	owner, _ := accountKeys(o.Object("userAccount"), p.onlyDevice())
	if key, ok := graph.NewKey(graph.KindIdentity, graph.KeyUserPrincipalName, o.Text("upn")); ok {
		owner = append(owner, key)
	}
	p.edge(graph.EdgeOwns, p.entity(owner, scalars(o.Object("userAccount"))), id, false)
	return id
}

func (p *projector) mailboxOf(address, upn string, o format.Object) graph.ID {
	k := keys{kind: graph.KindMailbox}
	k.add(graph.KeyPrimaryAddress, address)
	k.add(graph.KeyUPN, upn)
	return p.entity(k.list, scalars(o))
}

// mailboxConfiguration notes the mailbox; the setting itself has no kind of its own.
func (p *projector) mailboxConfiguration(o format.Object) graph.ID {
	p.mailboxOf(o.Text("mailboxPrimaryAddress"), o.Text("upn"), nil)
	return p.other("mailboxConfigurationEvidence", o)
}

func messageKeys(o format.Object) []graph.Key {
	k := copyKeys(o.Text("networkMessageId"), o.Text("recipientEmailAddress"))
	k.add(graph.KeyInternetMessageID, o.Text("internetMessageId"))
	return k.list
}

// copyKeys are the keys of a message as one recipient got it. The parts of the strong key are normalised
// as they are where they stand alone.
func copyKeys(messageID, recipient string) keys {
	k := keys{kind: graph.KindMailMessage}
	k.add(graph.KeyNetworkMessageID, messageID)
	if box, ok := graph.NewKey(graph.KindMailbox, graph.KeyPrimaryAddress, recipient); ok && len(k.list) > 0 {
		k.scoped(graph.KeyDeliveredCopy, k.list[0].Value, box.Value)
	}
	return k
}

func (p *projector) message(o format.Object) graph.ID {
	id := p.entity(messageKeys(o), scalars(o))
	p.edge(graph.EdgeDelivered, id, p.mailboxOf(o.Text("recipientEmailAddress"), "", nil), false)
	p.edge(graph.EdgeSentBy, id, p.address(o.Text("senderIp"), nil), false)
	from := o.Object("p2Sender").Text("emailAddress")
	if from == "" {
		from = o.Object("p1Sender").Text("emailAddress")
	}
	sender := keys{kind: graph.KindIdentity}
	sender.add(graph.KeyUserPrincipalName, from)
	p.edge(graph.EdgeSentBy, id, p.entity(sender.list, nil), false)
	for _, u := range o.Texts("urls") {
		p.edge(graph.EdgeContains, id, p.link(u), false)
	}
	return id
}

// submission is a message that somebody reported.
func (p *projector) submission(o format.Object) graph.ID {
	return p.entity(copyKeys(o.Text("networkMessageId"), o.Text("recipient")).list, scalars(o))
}

// maxClusterMessages bounds the messages of a cluster that become entities; the rest stay in the evidence.
const maxClusterMessages = 200

func (p *projector) cluster(o format.Object) graph.ID {
	k := keys{kind: graph.KindMailCluster}
	k.add(graph.KeyURN, o.Text("urn"))
	k.add(graph.KeyClusterQuery, o.Text("query"))
	id := p.entity(k.list, scalars(o))
	messages := o.Texts("networkMessageIds")
	for _, m := range messages[:min(len(messages), maxClusterMessages)] {
		message := keys{kind: graph.KindMailMessage}
		message.add(graph.KeyNetworkMessageID, m)
		p.edge(graph.EdgeContains, id, p.entity(message.list, nil), false)
	}
	return id
}

func (p *projector) url(o format.Object) graph.ID { return p.link(o.Text("url")) }

// link notes a URL and the domain of its host.
func (p *projector) link(text string) graph.ID {
	k := keys{kind: graph.KindURL}
	k.add(graph.KeyURL, text)
	id := p.entity(k.list, nil)
	if len(k.list) == 0 {
		return id
	}
	u, err := url.Parse(k.list[0].Value)
	if err != nil || u.Hostname() == "" {
		return id
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		p.edge(graph.EdgeContains, id, p.domain(u.Hostname(), nil), false)
	}
	return id
}

func (p *projector) domain(name string, o format.Object) graph.ID {
	k := keys{kind: graph.KindDomain}
	k.add(graph.KeyDomainName, name)
	return p.entity(k.list, scalars(o))
}

// address notes an IP address.
func (p *projector) address(text string, o format.Object) graph.ID {
	return p.entity(addressKeys(text), addressProperties(o))
}

func addressKeys(text string) []graph.Key {
	k := keys{kind: graph.KindIPAddress}
	k.add(graph.KeyIPAddress, text)
	k.add(graph.KeyPrivateIPAddress, text)
	return k.list
}

// addressProperties are the evidence's own and the place's.
func addressProperties(o format.Object) map[string]json.RawMessage {
	out := scalars(o)
	for name, v := range scalars(o.Object("location")) {
		out[name] = v
	}
	return out
}

// isPublic: only a public address has the strong key.
func isPublic(text string) bool {
	_, ok := graph.NewKey(graph.KindIPAddress, graph.KeyIPAddress, text)
	return ok
}

// accountServices are those whose alerts are about accounts, so that an address is where one signed in from.
var accountServices = map[graph.ServiceSource]bool{graph.ServiceDefenderIdentity: true,
	graph.ServiceEntraProtection: true, graph.ServiceDefenderCloudApp: true, graph.ServiceMicrosoft365: true}

func (p *projector) ip(o format.Object) graph.ID {
	id := p.address(o.Text("ipAddress"), o)
	if len(p.users) == 1 && len(p.devices) == 0 && accountServices[p.alert.ServiceSource] {
		p.edge(graph.EdgeSignedInFrom, p.users[0], id, true)
	}
	p.connected(o.Text("ipAddress"), id)
	return id
}

// connected infers that the alert's only device spoke to a public address.
func (p *projector) connected(address string, id graph.ID) {
	if d := p.onlyDevice(); d != nil && isPublic(address) {
		p.edge(graph.EdgeConnectedTo, d.id, id, true)
	}
}

func (p *projector) dns(o format.Object) graph.ID {
	id := p.domain(o.Text("domainName"), o)
	for _, ip := range o.Objects("ipAddresses") {
		p.edge(graph.EdgeResolvesTo, id, p.address(ip.Text("ipAddress"), ip), false)
	}
	return id
}

func (p *projector) connection(o format.Object) graph.ID {
	from, to := o.Object("sourceAddress"), o.Object("destinationAddress")
	source := p.address(from.Text("ipAddress"), from)
	destination := p.address(to.Text("ipAddress"), to)
	p.connected(to.Text("ipAddress"), destination)
	if destination.IsZero() {
		return source
	}
	return destination
}
