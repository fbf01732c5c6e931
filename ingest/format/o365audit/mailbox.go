package o365audit

import (
	"encoding/json"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// inboxRule notes the rule that was made or changed at its mailbox: the one that a parameter names, which may be
// another than the actor's, else the actor's own.
func inboxRule(e event) []format.Record {
	owner := e.First("MailboxOwnerUPN", "UserId")
	if named, ok := e.parameter("Mailbox"); ok && named != "" {
		owner = named
	}
	rule := map[string]string{} // by the names of the cmdlet's parameters
	for _, p := range e.Objects("Parameters") {
		if name, value := p.Text("Name"), p.Text("Value"); value != "" && !strings.EqualFold(name, "Mailbox") {
			rule[name] = value
		}
	}
	return e.setting(owner, map[string]any{"inboxRule": rule})
}

// forwarding notes where a mailbox was set to forward to, under the names that the exchange format has for it. Other
// settings give nothing, and neither does taking the forwarding away: a property cannot be unsaid.
func forwarding(e event) []format.Record {
	mailbox, _ := e.parameter("Identity")
	if !isAddress(mailbox) {
		mailbox = e.Text("ObjectId")
	}
	settings := map[string]any{}
	for name, property := range map[string]string{"ForwardingSmtpAddress": "forwardingSmtpAddress",
		"ForwardingAddress": "forwardingAddress"} {
		if to, _ := e.parameter(name); to != "" {
			settings[property] = to
		}
	}
	if len(settings) == 0 {
		return nil
	}
	if keep, _ := e.parameter("DeliverToMailboxAndForward"); keep != "" {
		settings["deliverToMailboxAndForward"] = strings.EqualFold(keep, "true")
	}
	return e.setting(mailbox, settings)
}

// setting notes properties of a mailbox, which the log names by an address that need not be its primary one. One
// that is named in another way (by alias, name or path) cannot be told, and gives nothing.
func (e event) setting(mailbox string, properties map[string]any) []format.Record {
	if !isAddress(mailbox) {
		return nil
	}
	box := e.thing(graph.KindMailbox, format.Keyed{Type: graph.KeyUPN, Value: mailbox})
	if len(box.Keys) == 0 {
		return nil
	}
	box.Properties = map[string]json.RawMessage{}
	for name, v := range properties {
		if b, err := graph.EncodeJSON(v); err == nil {
			box.Properties[name] = b
		}
	}
	return []format.Record{{Entity: &box}}
}

// isAddress tells an address from the other ways to name a mailbox, of which a path may contain one.
func isAddress(s string) bool { return strings.Contains(s, "@") && !strings.ContainsAny(s, `/\ `) }
