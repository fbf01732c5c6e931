// Package exchange reads what Exchange Online's cmdlets give through ConvertTo-Json: mailboxes and rows of the
// message trace.
package exchange

import (
	"regexp"
	"strconv"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const (
	formatName = "exchange"
	source     = "Exchange Online"
)

// Format is that of Exchange Online's cmdlets.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return f.Has("PrimarySmtpAddress", "RecipientTypeDetails") || f.Has("MessageTraceId", "RecipientAddress")
}

// Decode is the format.Decoder of mailboxes (learn.microsoft.com, "Get-EXOMailbox", "Get-Mailbox") and of rows of
// the message trace ("Get-MessageTraceV2", "Get-MessageTrace"), as ConvertTo-Json of PowerShell 7 and of
// Windows PowerShell write them.
func Decode(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	switch {
	case err != nil:
		return nil, err
	case o.Has("MessageTraceId"):
		return trace(o)
	case o.Has("PrimarySmtpAddress"):
		return mailbox(o)
	}
	return nil, format.Invalid("neither a mailbox nor a row of the message trace")
}

// windowsDate is a date as ConvertTo-Json of Windows PowerShell writes it: milliseconds since 1970.
var windowsDate = regexp.MustCompile(`^/Date\((-?[0-9]{1,15})\)/$`)

// instant reads a date of either PowerShell; Windows PowerShell may put it into an object with its value.
func instant(o format.Object, name string) (time.Time, error) {
	text := o.Text(name)
	if inner := o.Object(name); inner != nil {
		text = inner.First("value", "DateTime")
	}
	m := windowsDate.FindStringSubmatch(text)
	if m == nil {
		return format.ParseTime(text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if at := time.UnixMilli(n).UTC(); err == nil && at.Year() > 1 && at.Year() < 9999 {
		return at, nil
	}
	return time.Time{}, nil
}

// mailboxProperties have the names that o365audit gives what a cmdlet changes.
var mailboxProperties = map[string]string{
	"DisplayName": "displayName", "PrimarySmtpAddress": "primaryAddress", "UserPrincipalName": "upn", "Alias": "alias",
	"RecipientTypeDetails": "recipientTypeDetails", "EmailAddresses": "emailAddresses",
	"GrantSendOnBehalfTo": "grantSendOnBehalfTo", "ForwardingAddress": "forwardingAddress",
	"ForwardingSmtpAddress": "forwardingSmtpAddress", "DeliverToMailboxAndForward": "deliverToMailboxAndForward",
	"HiddenFromAddressListsEnabled": "hiddenFromAddressListsEnabled", "AuditEnabled": "auditEnabled",
	"LitigationHoldEnabled": "litigationHoldEnabled", "IsDirSynced": "isDirSynced", "Guid": "mailboxGuid",
}

// mailbox gives the mailbox and that its account owns it. Only the primary address is a key: others pass from one
// mailbox to another.
func mailbox(o format.Object) ([]format.Record, error) {
	changed, err := instant(o, "WhenChangedUTC")
	if err == nil && changed.IsZero() {
		changed, err = instant(o, "WhenChanged")
	}
	if err != nil {
		return nil, err
	}
	for _, list := range []string{"EmailAddresses", "GrantSendOnBehalfTo"} { // as Windows PowerShell may write a list
		if inner := o.Object(list); inner != nil {
			o[list] = inner["value"]
		}
	}
	box := box(o.Text("PrimarySmtpAddress"), changed, format.Keyed{Type: graph.KeyUPN, Value: o.Text("UserPrincipalName")})
	if len(box.Keys) == 0 || box.Keys[0].Strength() != graph.Strong {
		return nil, format.Invalid("the mailbox has no PrimarySmtpAddress that is an address")
	}
	box.Properties = o.Properties(mailboxProperties)
	return append([]format.Record{{Entity: &box}}, format.Relate(graph.EdgeOwns, owner(o, changed), format.Bare(box), format.Seen{})...), nil
}

func box(address string, at time.Time, more ...format.Keyed) graph.EntityObservation {
	return format.Thing(graph.KindMailbox, source, at, append(more, format.Keyed{Type: graph.KeyPrimaryAddress, Value: address})...)
}

// owner is the account of the mailbox; that of a group's is no account.
func owner(o format.Object, at time.Time) graph.EntityObservation {
	if o.Text("RecipientTypeDetails") == "GroupMailbox" {
		return graph.EntityObservation{}
	}
	who := format.Thing(graph.KindIdentity, source, at,
		format.Keyed{Type: graph.KeyAzureADUserID, Value: o.GUID("ExternalDirectoryObjectId")},
		format.Keyed{Type: graph.KeyUserPrincipalName, Value: o.Text("UserPrincipalName")})
	who.Properties = o.Properties(map[string]string{"DisplayName": "displayName", "UserPrincipalName": "userPrincipalName"})
	return who
}
