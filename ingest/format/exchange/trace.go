package exchange

import (
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// messageProperties have the names of Microsoft Graph's analyzedMessageEvidence where it has them.
var messageProperties = map[string]string{
	"Subject": "subject", "SenderAddress": "senderAddress", "RecipientAddress": "recipientEmailAddress",
	"MessageId": "internetMessageId", "MessageTraceId": "networkMessageId", "FromIP": "senderIp", "ToIP": "recipientIp",
	"Status": "deliveryStatus", "Size": "size",
}

// trace gives a message as one recipient was to get it, who sent it and from where; and where it was delivered, to
// which mailbox and person. Other statuses (quarantined, failed, pending, filtered as spam, …) do not say that
// it came before anybody's eyes.
func trace(o format.Object) ([]format.Record, error) {
	at, err := instant(o, "Received")
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, format.Invalid("the row has no date in Received")
	}
	to := box(o.Text("RecipientAddress"), at)
	if len(to.Keys) == 0 {
		return nil, format.Invalid("the row has no RecipientAddress that is an address")
	}
	m := message(o, to, at)
	if len(m.Keys) == 0 || m.Keys[0].Type != graph.KeyDeliveredCopy {
		return nil, format.Invalid("the row has no MessageTraceId that is a GUID of its own")
	}
	seen := format.Seen{First: at, Last: at}
	records := []format.Record{{Entity: &m}}
	sender := person(o.Text("SenderAddress"), at)
	records = append(records, format.Relate(graph.EdgeSentBy, format.Bare(m), sender, seen)...)
	records = append(records, format.Relate(graph.EdgeSentBy, format.Bare(m), address(o.Text("FromIP"), at), seen)...)
	if strings.EqualFold(o.Text("Status"), "Delivered") {
		records = append(records, format.Relate(graph.EdgeDelivered, format.Bare(m), to, seen)...)
		records = append(records, format.Relate(graph.EdgeReceivedBy, format.Bare(m), person(o.Text("RecipientAddress"), at), seen)...)
	}
	return records, nil
}

// message has the keys that ingest.Project gives an analyzedMessageEvidence: MessageTraceId is Exchange's network
// message id, and with the recipient it names one delivered copy.
func message(o format.Object, to graph.EntityObservation, at time.Time) graph.EntityObservation {
	keys := []format.Keyed{{Type: graph.KeyInternetMessageID, Value: o.Text("MessageId")}}
	if id, ok := graph.NewKey(graph.KindMailMessage, graph.KeyNetworkMessageID, o.GUID("MessageTraceId")); ok {
		keys = append(keys, format.Keyed{Type: id.Type, Value: id.Value},
			format.Keyed{Type: graph.KeyDeliveredCopy, Value: graph.Scoped(id.Value, to.Keys[0].Value)})
	}
	m := format.Thing(graph.KindMailMessage, source, at, keys...)
	m.Properties = o.Properties(messageProperties)
	if b, err := graph.EncodeJSON(m.ObservedAt); err == nil {
		m.Properties["receivedDateTime"] = b
	}
	return m
}

func person(address string, at time.Time) graph.EntityObservation {
	return format.Thing(graph.KindIdentity, source, at, format.Keyed{Type: graph.KeyUserPrincipalName, Value: address})
}

func address(ip string, at time.Time) graph.EntityObservation {
	return format.Thing(graph.KindIPAddress, source, at, format.Keyed{Type: graph.KeyIPAddress, Value: ip},
		format.Keyed{Type: graph.KeyPrivateIPAddress, Value: ip})
}
