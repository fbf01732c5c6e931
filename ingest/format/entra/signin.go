package entra

import (
	"cmp"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// columns are those of SigninLogs and AADNonInteractiveUserSignInLogs by the names of Graph's signIn.
var columns = map[string]string{"Id": "id", "UserId": "userId", "UserPrincipalName": "userPrincipalName",
	"UserDisplayName": "userDisplayName", "IPAddress": "ipAddress", "AppId": "appId", "AppDisplayName": "appDisplayName",
	"ResourceIdentity": "resourceId", "ResourceDisplayName": "resourceDisplayName", "DeviceDetail": "deviceDetail",
	"ServicePrincipalId": "servicePrincipalId"}

// fromRow gives a row of Log Analytics the shape of Graph's signIn. Its dynamic columns may be texts that hold JSON.
func fromRow(row format.Object) format.Object {
	o := format.Object{
		"createdDateTime": row.First("CreatedDateTime", "TimeGenerated"),
		"status":          map[string]any{"errorCode": row["ResultType"]},
	}
	for column, name := range columns {
		o[name] = row[column]
	}
	if text, ok := o["deviceDetail"].(string); ok {
		detail, _ := format.ParseObject([]byte(text)) // without it the sign-in names no device
		o["deviceDetail"] = map[string]any(detail)
	}
	return o
}

// signIn gives where the account signed in from, to what and on which device. One that failed, or that was
// interrupted, says nothing of access.
func signIn(o format.Object) ([]format.Record, error) {
	code := o.Object("status").Text("errorCode")
	if code == "" {
		return nil, format.Invalid("the sign-in does not say whether it succeeded: it has no error code")
	}
	if code != "0" {
		return nil, nil
	}
	at, err := format.ParseTime(o.Text("createdDateTime"))
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, format.Invalid("the sign-in has no date")
	}
	who := format.Thing(graph.KindIdentity, source, at, format.Keyed{Type: graph.KeyAzureADUserID, Value: o.GUID("userId")},
		format.Keyed{Type: graph.KeyUserPrincipalName, Value: o.Text("userPrincipalName")})
	who.Properties = o.Properties(map[string]string{"userDisplayName": "displayName", "userPrincipalName": "userPrincipalName"})
	if len(who.Keys) == 0 {
		if o.Text("servicePrincipalId") != "" {
			return nil, nil // an application's own sign-in; no relation is there for it
		}
		return nil, format.Invalid("the sign-in names no user")
	}
	seen := format.Seen{First: at, Last: at, Statement: []string{cmp.Or(o.Text("id"), format.Stamp(graph.Micro(at)))}}
	var records []format.Record
	records = append(records, format.Relate(graph.EdgeSignedInFrom, who, address(o, who), seen)...)
	for _, app := range applications(o, who) {
		records = append(records, format.Relate(graph.EdgeSignedInTo, who, app, seen)...)
	}
	return append(records, format.Relate(graph.EdgeLoggedOn, who, used(o, who), seen)...), nil
}

func address(o format.Object, who graph.EntityObservation) graph.EntityObservation {
	return format.Thing(graph.KindIPAddress, source, who.ObservedAt,
		format.Keyed{Type: graph.KeyIPAddress, Value: o.Text("ipAddress")},
		format.Keyed{Type: graph.KeyPrivateIPAddress, Value: o.Text("ipAddress")})
}

// applications are the application that was used and, where it is another, the resource that it gave access to.
func applications(o format.Object, who graph.EntityObservation) []graph.EntityObservation {
	app := application(o, who, "appId", "appDisplayName")
	resource := application(o, who, "resourceId", "resourceDisplayName")
	if app.ID() == resource.ID() {
		return []graph.EntityObservation{app}
	}
	return []graph.EntityObservation{app, resource}
}

// application has the keys that ingest.Project gives a cloudApplicationEvidence.
func application(o format.Object, who graph.EntityObservation, id, name string) graph.EntityObservation {
	appID := o.GUID(id)
	keys := []format.Keyed{{Type: graph.KeyAppID, Value: appID}, {Type: graph.KeyDisplayName, Value: o.Text(name)}}
	if _, ok := graph.NewKey(graph.KindCloudApplication, graph.KeyAppID, appID); ok {
		keys = append(keys, format.Keyed{Type: graph.KeyAppInstance, Value: graph.Scoped(appID, "0")})
	}
	app := format.Thing(graph.KindCloudApplication, source, who.ObservedAt, keys...)
	app.Properties = o.Properties(map[string]string{id: "appId", name: "displayName"})
	return app
}

// used is the device that was signed in on, without keys where it is not registered. Operating system and kind of
// trust are left out: the browser's word, and other words than the directory's.
func used(o format.Object, who graph.EntityObservation) graph.EntityObservation {
	d := o.Object("deviceDetail")
	e := device(format.Object{"deviceId": d["deviceId"], "displayName": d["displayName"],
		"isCompliant": d["isCompliant"], "isManaged": d["isManaged"]})
	e.ObservedAt = who.ObservedAt
	return e
}
