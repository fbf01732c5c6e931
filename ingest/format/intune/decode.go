// Package intune reads the devices that Microsoft Intune manages.
package intune

import (
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const (
	formatName = "intune"
	source     = "Microsoft Intune"
)

// Format is that of Microsoft Intune.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool {
	return f.Text("@odata.type") == "#microsoft.graph.managedDevice" || f.Has("id", "azureADDeviceId", "deviceName")
}

var properties = map[string]string{
	"deviceName": "displayName", "id": "managedDeviceId", "operatingSystem": "operatingSystem", "osVersion": "osVersion",
	"complianceState": "complianceState", "serialNumber": "serialNumber", "manufacturer": "manufacturer", "model": "model",
	"managedDeviceOwnerType": "deviceOwnership", "managementAgent": "managementAgent", "isEncrypted": "isEncrypted",
	"isSupervised": "isSupervised", "jailBroken": "jailBroken", "deviceEnrollmentType": "enrollmentType",
	"azureADRegistered": "azureADRegistered", "deviceCategoryDisplayName": "deviceCategory",
	"partnerReportedThreatState": "partnerReportedThreatState", "lastSyncDateTime": "lastSyncDateTime",
	"enrolledDateTime": "enrolledDateTime",
}

// Decode is the format.Decoder of Microsoft Graph's managedDevice (learn.microsoft.com, "Microsoft Graph REST API
// v1.0": managedDevice). A device is named by the id that it has in Entra; one that is not registered there is
// known by its name alone. What Intune says of it holds as of its last sync. Its user owns it.
func Decode(raw []byte) ([]format.Record, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	synced := o.Latest("enrolledDateTime", "lastSyncDateTime")
	d := format.Thing(graph.KindDevice, source, synced,
		format.Keyed{Type: graph.KeyAzureADDeviceID, Value: o.GUID("azureADDeviceId")},
		format.Keyed{Type: graph.KeyHostName, Value: o.Text("deviceName")})
	if len(d.Keys) == 0 {
		return nil, format.Invalid("the managed device has neither an azureADDeviceId that is a GUID of its own nor a name")
	}
	d.Properties = o.Properties(properties)
	for _, date := range []string{"enrolledDateTime", "lastSyncDateTime"} {
		if o.Time(date).IsZero() { // Intune writes the year 1 for never
			delete(d.Properties, date)
		}
	}
	format.SetPlatform(d.Properties, o.Text("operatingSystem"))
	owned := format.Relate(graph.EdgeOwns, user(o, d), format.Bare(d), format.Seen{First: o.Time("enrolledDateTime"), Last: synced})
	return append([]format.Record{{Entity: &d}}, owned...), nil
}

func user(o format.Object, d graph.EntityObservation) graph.EntityObservation {
	u := format.Thing(graph.KindIdentity, source, d.ObservedAt,
		format.Keyed{Type: graph.KeyAzureADUserID, Value: o.GUID("userId")},
		format.Keyed{Type: graph.KeyUserPrincipalName, Value: o.Text("userPrincipalName")})
	u.Properties = o.Properties(map[string]string{"userDisplayName": "displayName", "userPrincipalName": "userPrincipalName"})
	return u
}
