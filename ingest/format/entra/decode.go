// Package entra reads what Microsoft Entra ID knows: users, devices, groups, directory roles and service
// principals as Microsoft Graph v1.0 gives them, with what is expanded in them, and sign-ins, from Graph or
// from Log Analytics.
package entra

import (
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const (
	formatName = "entra"
	source     = "Microsoft Entra ID"
)

// Format is that of Microsoft Entra ID.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

// The types of record, named as Graph names its resources; signInRow is Log Analytics' SigninLogs.
const (
	userType      = "user"
	deviceType    = "device"
	groupType     = "group"
	roleType      = "directoryRole"
	principalType = "servicePrincipal"
	signInType    = "signIn"
	signInRow     = "SigninLogs"
)

// shapes are the fields that tell a type where no @odata.type does: Graph leaves it out where a list has only
// one type. All of has and one of any must be there, none of not.
var shapes = []struct {
	typ           string
	has, any, not []string
}{
	{signInRow, []string{"UserPrincipalName", "AppId", "ResultType"}, nil, nil},
	{signInType, []string{"id", "createdDateTime", "userId", "appId", "status"}, nil, nil},
	{userType, []string{"id", "userPrincipalName"}, nil, []string{"userId", "azureADDeviceId"}},
	{deviceType, []string{"id", "deviceId"}, []string{"trustType", "profileType", "operatingSystem", "approximateLastSignInDateTime"}, nil},
	{roleType, []string{"id", "roleTemplateId"}, nil, nil},
	{principalType, []string{"id", "appId", "servicePrincipalType"}, nil, nil},
	{groupType, []string{"id"}, []string{"groupTypes", "securityEnabled"}, nil},
}

// typeOf finds the type of a record, empty where it is none of these.
func typeOf(has func(...string) bool, odata string) string {
	if t, ok := strings.CutPrefix(odata, "#microsoft.graph."); ok {
		if t == signInType || directory[t] != nil {
			return t
		}
		return ""
	}
	one := func(n string) bool { return has(n) }
	for _, s := range shapes {
		if has(s.has...) && (s.any == nil || slices.ContainsFunc(s.any, one)) && !slices.ContainsFunc(s.not, one) {
			return s.typ
		}
	}
	return ""
}

func is(f format.Fields) bool { return typeOf(f.Has, f.Text("@odata.type")) != "" }

func objectType(o format.Object) string { return typeOf(o.Has, o.Text("@odata.type")) }

// Decode is the format.Decoder of Microsoft Graph's directory objects and sign-ins (learn.microsoft.com,
// "Microsoft Graph REST API v1.0": user, device, group, directoryRole, servicePrincipal, signIn; Azure Monitor,
// "SigninLogs" table).
//
// An object gives itself and its relations to what is expanded in it, each of which is a part of its own: one
// that cannot be read is a flaw that leaves the others. A sign-in gives nothing where it failed.
func Decode(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	switch t := typeOf(fields.Has, fields.Text("@odata.type")); t {
	case signInType, signInRow:
		o, err := format.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		if t == signInRow {
			o = fromRow(o)
		}
		return signIn(o)
	case "":
		return nil, format.Invalid("neither a user, device, group, directory role, service principal nor sign-in")
	default:
		return object(t, fields)
	}
}

// thing is an observation by this source.
func thing(kind graph.Kind, o format.Object, dates []string, properties map[string]string, keys ...format.Keyed) graph.EntityObservation {
	e := format.Thing(kind, source, o.Latest(dates...), keys...)
	e.Properties = o.Properties(properties)
	return e
}
