package entra

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// directory reads each type of directory object. The observation has no keys where the object's id is no GUID.
//
// Graph does not say when an object was read. What the object was last seen at is the latest past event that it
// tells of; of two readings with the same the greater value holds, as everywhere.
var directory = map[string]func(format.Object) graph.EntityObservation{
	userType: user, deviceType: device, groupType: group, roleType: role, principalType: principal,
}

// words name the types for people.
var words = map[string]string{userType: "user", deviceType: "device", groupType: "group", roleType: "directory role",
	principalType: "service principal"}

var userProperties = map[string]string{
	"displayName": "displayName", "userPrincipalName": "userPrincipalName", "mail": "mail", "accountEnabled": "accountEnabled",
	"jobTitle": "jobTitle", "department": "department", "companyName": "companyName", "officeLocation": "officeLocation",
	"userType": "userType", "onPremisesSyncEnabled": "onPremisesSyncEnabled",
	"onPremisesSamAccountName": "accountName", "onPremisesDomainName": "domainName",
	"onPremisesDistinguishedName":  "onPremisesDistinguishedName",
	"onPremisesSecurityIdentifier": "onPremSid", "securityIdentifier": "cloudSid",
	"assignedRoles": "assignedRoles",
}

// user has one SID as its key, of which an observation proves only one: that of the domain, which endpoints
// report, before the cloud's.
func user(o format.Object) graph.EntityObservation {
	dates := []string{"createdDateTime", "onPremisesLastSyncDateTime", "lastPasswordChangeDateTime"}
	e := thing(graph.KindIdentity, o, dates, userProperties, identified(o, graph.KeyAzureADUserID,
		format.Keyed{Type: graph.KeySID, Value: o.First("onPremisesSecurityIdentifier", "securityIdentifier")},
		format.Keyed{Type: graph.KeyUserPrincipalName, Value: o.Text("userPrincipalName")},
		format.Keyed{Type: graph.KeyAccountName, Value: account(o)})...)
	e.ObservedAt = graph.Micro(graph.Later(e.ObservedAt, o.Object("signInActivity").Latest("lastSignInDateTime", "lastNonInteractiveSignInDateTime")))
	return e
}

// account is domain\name, empty where a part is missing.
func account(o format.Object) string {
	domain, name := o.Text("onPremisesDomainName"), o.Text("onPremisesSamAccountName")
	if domain == "" || name == "" {
		return ""
	}
	return domain + `\` + name
}

// identified are the object's own id under its type and the further keys; none where the id is no GUID: weaker
// keys alone would make another thing of it.
func identified(o format.Object, typ graph.KeyType, more ...format.Keyed) []format.Keyed {
	id := o.GUID("id")
	if _, ok := graph.NewKey(graph.KindIdentity, graph.KeyAzureADUserID, id); !ok {
		return nil
	}
	return append([]format.Keyed{{Type: typ, Value: id}}, more...)
}

var deviceProperties = map[string]string{
	"displayName": "displayName", "id": "objectId", "operatingSystem": "operatingSystem", "operatingSystemVersion": "osVersion",
	"isCompliant": "isCompliant", "isManaged": "isManaged", "isRooted": "isRooted", "trustType": "trustType",
	"profileType": "profileType", "accountEnabled": "accountEnabled", "manufacturer": "manufacturer", "model": "model",
	"deviceOwnership": "deviceOwnership", "enrollmentType": "enrollmentType", "managementType": "managementType",
	"approximateLastSignInDateTime": "approximateLastSignInDateTime", "registrationDateTime": "registrationDateTime",
}

// device is named by its deviceId, which endpoints and Intune report; its object id is a property.
func device(o format.Object) graph.EntityObservation {
	id := o.GUID("deviceId")
	keys := []format.Keyed{{Type: graph.KeyAzureADDeviceID, Value: id}}
	if _, ok := graph.NewKey(graph.KindDevice, graph.KeyAzureADDeviceID, id); ok {
		keys = append(keys, format.Keyed{Type: graph.KeyHostName, Value: o.Text("displayName")})
	}
	dates := []string{"createdDateTime", "registrationDateTime", "approximateLastSignInDateTime"}
	e := thing(graph.KindDevice, o, dates, deviceProperties, keys...)
	format.SetPlatform(e.Properties, o.Text("operatingSystem"))
	return e
}

var groupProperties = map[string]string{
	"displayName": "displayName", "description": "description", "mail": "mail", "groupTypes": "groupTypes",
	"securityEnabled": "securityEnabled", "mailEnabled": "mailEnabled", "isAssignableToRole": "isAssignableToRole",
	"membershipRule": "membershipRule", "visibility": "visibility", "roleTemplateId": "roleTemplateId",
	"onPremisesSamAccountName": "accountName", "onPremisesSecurityIdentifier": "onPremSid", "securityIdentifier": "cloudSid",
}

func group(o format.Object) graph.EntityObservation {
	dates := []string{"createdDateTime", "renewedDateTime", "onPremisesLastSyncDateTime"}
	return thing(graph.KindSecurityGroup, o, dates, groupProperties, identified(o, graph.KeySecurityGroupID,
		format.Keyed{Type: graph.KeySID, Value: o.First("onPremisesSecurityIdentifier", "securityIdentifier")},
		format.Keyed{Type: graph.KeyDisplayName, Value: o.Text("displayName")})...)
}

// role is a directory role, to the graph a group: its members have its rights.
func role(o format.Object) graph.EntityObservation {
	e := group(o)
	e.Properties["directoryRole"] = json.RawMessage("true")
	return e
}

var principalProperties = map[string]string{
	"displayName": "displayName", "appId": "appId", "appDisplayName": "appDisplayName", "accountEnabled": "accountEnabled",
	"servicePrincipalType": "servicePrincipalType", "appOwnerOrganizationId": "appOwnerOrganizationId",
	"signInAudience": "signInAudience", "tags": "applicationTags",
}

func principal(o format.Object) graph.EntityObservation {
	return thing(graph.KindServicePrincipal, o, []string{"createdDateTime"}, principalProperties,
		identified(o, graph.KeyServicePrincipalID, format.Keyed{Type: graph.KeyAppID, Value: o.GUID("appId")},
			format.Keyed{Type: graph.KeyDisplayName, Value: o.Text("displayName")})...)
}

// link is a list of other objects that may be expanded in one, and what standing in it says.
type link struct {
	near  []string
	field string
	kind  graph.EdgeKind
	// far are the types that say it; others may stand there and say nothing: a contact, a device in a group.
	far []string
	// one names an element for people; inward links lead from the element to the object.
	one    string
	inward bool
}

var (
	principals = []string{userType, groupType, principalType}
	rights     = []string{groupType, roleType}
	people     = []string{userType}
)

var links = []link{
	{principals, "memberOf", graph.EdgeMemberOf, rights, "membership", false},
	{rights, "members", graph.EdgeMemberOf, principals, "member", true},
	{[]string{deviceType}, "registeredOwners", graph.EdgeOwns, people, "registered owner", true},
	{[]string{deviceType}, "registeredUsers", graph.EdgeOwns, people, "registered user", true},
	{[]string{principalType}, "owners", graph.EdgeOwns, people, "owner", true},
}

// object gives a directory object and what is expanded in it.
func object(typ string, fields format.Fields) ([]format.Record, error) {
	o, err := format.ParseObject(withoutLinks(typ, fields))
	if err != nil {
		return nil, err
	}
	self := directory[typ](o)
	if len(self.Keys) == 0 {
		return nil, format.Invalid("the %s has no id that is a GUID of its own", words[typ])
	}
	records := []format.Record{{}}
	for _, l := range links {
		if !slices.Contains(l.near, typ) {
			continue
		}
		list, err := fields.Get(l.field).List()
		if err != nil {
			return nil, err
		}
		for i, one := range list {
			part := format.Part{Name: fmt.Sprintf("%s %d of the %s", l.one, i+1, words[typ]), Raw: json.RawMessage(one.Raw)}
			records = append(records, l.records(format.Bare(self), part)...)
		}
	}
	nameRights(self, records)
	records[0].Entity = &self
	return records, nil
}

// withoutLinks is the object without its expanded lists, each element of which is read by itself.
func withoutLinks(typ string, fields format.Fields) json.RawMessage {
	var lists []string
	for _, l := range links {
		if slices.Contains(l.near, typ) {
			lists = append(lists, l.field)
		}
	}
	return fields.Without(lists...)
}

// records gives what an element of the list says.
func (l link) records(near graph.EntityObservation, part format.Part) []format.Record {
	o, err := format.ParseObject(part.Raw)
	if err != nil {
		return []format.Record{{Flaw: err, Part: part}}
	}
	typ := objectType(o)
	if !slices.Contains(l.far, typ) {
		if typ == "" && o.Text("@odata.type") == "" {
			return []format.Record{{Flaw: format.Invalid("nothing tells its type; expand it with its @odata.type"), Part: part}}
		}
		return nil
	}
	far := directory[typ](o)
	if len(far.Keys) == 0 {
		return []format.Record{{Flaw: format.Invalid("the %s has no id that is a GUID of its own", words[typ]), Part: part}}
	}
	from, to := near, far
	if l.inward {
		from, to = far, near
	}
	out := format.Relate(l.kind, from, to, format.Seen{})
	for i := range out {
		out[i].Part = part
	}
	return out
}

// nameRights notes at an account the groups and roles that it is a member of, by name: rules of criticality look
// there.
func nameRights(self graph.EntityObservation, records []format.Record) {
	names := map[string][]string{}
	for _, r := range records {
		if r.Edge == nil || r.Edge.Observation.Kind != graph.EdgeMemberOf || r.Edge.From.ID() != self.ID() {
			continue
		}
		property := "groupMembership"
		if _, role := r.Edge.To.Properties["directoryRole"]; role {
			property = "assignedRoles"
		}
		var name string
		if json.Unmarshal(r.Edge.To.Properties["displayName"], &name) == nil && strings.TrimSpace(name) != "" {
			names[property] = append(names[property], name)
		}
	}
	for property, list := range names {
		slices.Sort(list)
		if b, err := graph.EncodeJSON(slices.Compact(list)); err == nil {
			self.Properties[property] = b
		}
	}
}
