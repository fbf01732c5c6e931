package o365audit

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// notPeople are the user types of the system, applications and service principals ("AuditLogRecordType", UserType).
var notPeople = map[string]bool{"4": true, "5": true, "6": true, "system": true, "application": true, "serviceprincipal": true}

// signedIn gives the address that a person signed in from. An error number other than 0 is an interrupted sign-in.
func signedIn(e event) []format.Record {
	if code := e.Text("ErrorNumber"); notPeople[strings.ToLower(e.Text("UserType"))] || code != "" && code != "0" {
		return nil
	}
	who := e.thing(graph.KindIdentity, format.Keyed{Type: graph.KeyAzureADUserID, Value: e.GUID("UserKey")},
		format.Keyed{Type: graph.KeyUserPrincipalName, Value: e.Text("UserId")})
	ip := withoutPort(e.First("ClientIP", "ActorIpAddress", "ClientIPAddress"))
	from := e.thing(graph.KindIPAddress, format.Keyed{Type: graph.KeyIPAddress, Value: ip},
		format.Keyed{Type: graph.KeyPrivateIPAddress, Value: ip})
	return format.Relate(graph.EdgeSignedInFrom, who, from, e.seen())
}

// withoutPort takes off the port that some workloads write behind the address.
func withoutPort(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.Addr().String()
	}
	return address
}

// membership reads the change of a member of a "Role" or "Group": it begins with the event, or ends with it. What
// the rights were is in the new values of the properties, of a removal in the old ones.
func membership(of string) func(event) []format.Record {
	return func(e event) []format.Record {
		id, _ := e.named("ModifiedProperties", of+".ObjectID", "NewValue", "OldValue")
		name, _ := e.named("ModifiedProperties", of+".DisplayName", "NewValue", "OldValue")
		rights := e.thing(graph.KindSecurityGroup, format.Keyed{Type: graph.KeySecurityGroupID, Value: format.OnlyGUID(id)},
			format.Keyed{Type: graph.KeyDisplayName, Value: name})
		rights.Properties = format.Object{"name": name}.Properties(map[string]string{"name": "displayName"})
		if of == "Role" {
			rights.Properties["directoryRole"] = json.RawMessage("true")
		}
		seen := e.seen()
		if strings.HasPrefix(strings.ToLower(e.Text("Operation")), "remove") {
			seen.Ended = e.at
		}
		return format.Relate(graph.EdgeMemberOf, member(e), rights, seen)
	}
}

// targets are the kinds that a member can have, by the word before its id in Target.
var targets = []struct {
	prefix string
	kind   graph.Kind
	typ    graph.KeyType
}{
	{"User_", graph.KindIdentity, graph.KeyAzureADUserID},
	{"Group_", graph.KindSecurityGroup, graph.KeySecurityGroupID},
	{"ServicePrincipal_", graph.KindServicePrincipal, graph.KeyServicePrincipalID},
}

// member is who the event made a member: Target names it by kind and id, ObjectId a person by name.
func member(e event) graph.EntityObservation {
	upn := format.Keyed{Type: graph.KeyUserPrincipalName, Value: e.Text("ObjectId")}
	for _, t := range targets {
		for _, target := range e.Objects("Target") {
			id, _ := strings.CutPrefix(target.Text("ID"), t.prefix)
			keyed := format.Keyed{Type: t.typ, Value: format.OnlyGUID(id)}
			if m := e.thing(t.kind, keyed); strings.HasPrefix(target.Text("ID"), t.prefix) && len(m.Keys) > 0 {
				return e.thing(t.kind, keyed, upn)
			}
		}
	}
	return e.thing(graph.KindIdentity, upn)
}
