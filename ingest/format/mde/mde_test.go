package mde

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/clew-security/clew/ingest/format/graphsec"
)

// alert is a minimal one with these fields behind.
func alert(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"alertCreationTime":"2026-03-04T05:00:00Z"%s}`, id, more)
}

func decode(t testing.TB, decode format.Decoder, raw string) []format.Record {
	t.Helper()
	records, err := decode([]byte(raw))
	if err != nil || len(records) == 0 {
		t.Fatalf("%s: %v %v", raw, records, err)
	}
	return records
}

// The API names no service. One of Microsoft 365 Defender's would be a second alert if it counted as Endpoint's.
func TestAnAlertIsOneThroughGraphAndThroughThisAPI(t *testing.T) {
	guid := "12eb404c-f446-4940-a4a5-9b3e22d1811a"
	for id, service := range map[string]string{
		"da637800000000000001_-77001": "microsoftDefenderForEndpoint", "637800000000000001_-77001": "microsoftDefenderForEndpoint",
		"da" + guid + "_1": "microsoftDefenderForEndpoint", guid + "_1": "microsoftDefenderForEndpoint", "1234": "microsoftDefenderForEndpoint",
		"ar638550021745974133_541694090": "microsoftDefenderForEndpoint", "fa" + guid: "microsoftDefenderForOffice365",
		"ra638555116115280202_1278843890": "microsoft365Defender", "ca6683f782aa620f548a9a863c": "microsoftDefenderForCloudApps",
	} {
		here := *decode(t, Decode, alert(id, ""))[0].Alert
		there := *decode(t, graphsec.Decode, fmt.Sprintf(`{"id":%q,"serviceSource":%q,"createdDateTime":"2026-03-04T05:00:00Z"}`, id, service))[0].Alert
		if here.ID() != there.ID() {
			t.Errorf("%s: %s %s here, %s %s through Graph", id, here.Product, here.ProviderAlertID, there.Product, there.ProviderAlertID)
		}
	}
}

func TestTheAlertsOwnMachineAndUserAreEvidence(t *testing.T) {
	for more, want := range map[string]string{
		``:                                  "",
		`,"machineId":null,"evidence":null`: "",
		`,"machineId":"m1","computerDnsName":"ws1.contoso.com","version":"7","riskScore":"High"`: `deviceEvidence{"deviceDnsName":"ws1.contoso.com","mdeDeviceId":"m1"}`,
		`,"machineId":"m1","loggedOnUsers":[{"accountName":"ann","domainName":null}]`:            `deviceEvidence{"loggedOnUsers":[{"accountName":"ann"}],"mdeDeviceId":"m1"}`,
		`,"relatedUser":{"userName":"ann","domainName":"CONTOSO"}`:                               `userEvidence{"userAccount":{"accountName":"ann","domainName":"CONTOSO"}}`,
		`,"relatedUser":{"userName":null,"domainName":"CONTOSO"}`:                                "",
		`,"relatedUser":"ann"`: "",
		`,"relatedUser":{"userName":"ANN"},"evidence":[{"entityType":"User","accountName":"ann"}]`:            `userEvidence{"userAccount":{"accountName":"ann"}}`,
		`,"relatedUser":{"userName":"ben"},"evidence":[{"entityType":"User","accountName":"ann"}]`:            `userEvidence{"userAccount":{"accountName":"ann"}} userEvidence{"userAccount":{"accountName":"ben"}}`,
		`,"evidence":[{"entityType":"Registry","registryHive":"HKCU","registryKey":"a","registryValue":"b"}]`: `registryKeyEvidence{"registryHive":"HKCU","registryKey":"a"}`,
	} {
		if got := strings.Join(formattest.Bodies(*decode(t, Decode, alert("1", more))[0].Alert), " "); got != want {
			t.Errorf("%s: %s, want %s", more, got, want)
		}
	}
}

func TestTheWorthOfAMachineIsItsCriticality(t *testing.T) {
	for value, want := range map[string]graph.Criticality{`"High"`: graph.CriticalityHigh, `"Low"`: graph.CriticalityLow,
		`"Normal"`: graph.CriticalityUnknown, `null`: graph.CriticalityUnknown} {
		o := decode(t, Decode, `{"id":"m1","computerDnsName":"ws1","deviceValue":`+value+`}`)[0].Entity
		e := graph.Entity{ID: o.ID(), Facts: o.Facts()}
		if got := (graph.Criticalities{}).Of(e).Criticality; got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
	o := decode(t, Decode, `{"id":"m1","computerDnsName":"ws1","machineTags":["Tier 0"],"clew.criticality":"low"}`)[0].Entity
	if got := (graph.Criticalities{}).Of(graph.Entity{ID: o.ID(), Facts: o.Facts()}); got.Rule != "Tier 0" || o.Properties["clew.criticality"] != nil {
		t.Errorf("%+v of %s", got, o.Properties)
	}
}

// What changes from one export to the next must not count as one more sighting.
func TestARowOfTheNextDayIsTheSameSighting(t *testing.T) {
	row := func(more string) []format.Record {
		return decode(t, Decode, `{"deviceId":"m1","softwareVendor":"contoso","softwareName":"editor","cveId":"CVE-2026-0001"`+more+`}`)
	}
	first := row(`,"softwareVersion":"1","firstSeenTimestamp":"2026-01-01 00:00:00","lastSeenTimestamp":"2026-03-01 00:00:00"`)
	next := row(`,"softwareVersion":"1","firstSeenTimestamp":"2026-01-01 00:00:00","lastSeenTimestamp":"2026-03-02 00:00:00"`)
	fixed := row(`,"softwareVersion":"1","status":"Fixed","eventTimestamp":"2026-03-03 00:00:00"`)
	other := row(`,"softwareVersion":"2"`)
	if len(first) != 3 || len(fixed) != 1 {
		t.Fatalf("%d and %d edges", len(first), len(fixed))
	}
	for i := range first {
		a, b, c := first[i].Edge.Observation, next[i].Edge.Observation, other[i].Edge.Observation
		if a.Observation != b.Observation || a.Observation == c.Observation {
			t.Errorf("%s: %s, the next day %s, of another version %s", a.Kind, a.Observation, b.Observation, c.Observation)
		}
	}
	var all []graph.Sighting
	for _, r := range append(append(first[1:2:2], next[1]), fixed[0]) {
		all = append(all, r.Edge.Observation.Sighting())
	}
	o := fixed[0].Edge.Observation
	e, _ := graph.JoinDistinct(o.Kind, o.From, o.To, graph.DistinctSightings(all), time.Time{})
	if want := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC); e.Kind != graph.EdgeAffects || e.Count != 1 || !e.EndedAt.Equal(want) {
		t.Errorf("%+v", e)
	}
}

// Both exports of a row, and software by itself, are of one product.
func TestAProductHasOneIDHoweverItIsNamed(t *testing.T) {
	alone := decode(t, Decode, `{"id":"Contoso-_-Editor","name":"editor","vendor":"contoso","weaknesses":1}`)[0].Entity.ID()
	for _, raw := range []string{
		`{"deviceId":"m1","softwareVendor":"contoso","softwareName":"editor"}`,
		`{"DeviceId":"m1","SoftwareVendor":"Contoso","SoftwareName":"Editor"}`,
		`{"machineId":"m1","cveId":null,"productVendor":"contoso","productName":"editor"}`,
	} {
		e := decode(t, Decode, raw)[0].Edge
		if e.To.ID() != alone || e.Observation.Kind != graph.EdgeHasSoftware || e.Observation.Inferred {
			t.Errorf("%s: %+v, want %s", raw, e, alone)
		}
	}
}

func TestWhatIsNoneOfTheseIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		`{"alertCreationTime":"2026-03-04T05:00:00Z"}`:                                                 "the alert has no provider alert id",
		`{"id":"1","alertCreationTime":null}`:                                                          `alert "1": no date`,
		`{"id":"1","alertCreationTime":"1601-01-01T00:00:00Z"}`:                                        `alert "1": no date`,
		`{"id":{},"alertCreationTime":null}`:                                                           "id is not a text",
		alert("1", `,"firstEventTime":"soon"`):                                                         `alert "1": invalid: firstEventTime: invalid: "soon" is not a date`,
		alert("1", `,"evidence":7`):                                                                    `alert "1": invalid: evidence: it is a number, want a list`,
		alert("1", `,"evidence":[null]`):                                                               "evidence 1: ",
		alert("1", `,"machineId":["x"]`):                                                               "machineId is not a text",
		`{"id":"00000000-0000-0000-0000-000000000000","computerDnsName":"none"}`:                       "it has no id",
		`{"id":"m1","computerDnsName":"x","lastSeen":"soon"}`:                                          `lastSeen: invalid: "soon" is not a date`,
		`{"id":"","cvssV3":1}`:                                                                         "it has no id",
		`{"machineId":"","cveId":"CVE-2026-0001"}`:                                                     "the row names no machine",
		`{"machineId":"m1","cveId":""}`:                                                                "the row names neither software nor a vulnerability",
		`{"machineId":"m1","cveId":"CVE-2026-0001","status":"fixed"}`:                                  "a fix without its time",
		`{"deviceId":"m1","softwareName":"n","status":"Fixed","eventTimestamp":"2026-03-04 05:00:00"}`: "not of which vulnerability",
		`{"id":"a","machineId":"m1","computerDnsName":"x"}`:                                            "neither an alert nor a machine",
		`[]`: "not a JSON object",
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	formattest.Fuzz(f, Decode, "../../testdata/formats/mde/*.json",
		alert("da1_1", `,"machineId":"m","loggedOnUsers":[{}],"relatedUser":{"userName":"u"},"evidence":[{"entityType":"Process","processId":"0x7","accountName":"u"},{"entityType":"Odd"}]`),
		`{"id":"m1","computerDnsName":"x","lastSeen":"2026-03-04T05:00:00Z","machineTags":["a"],"deviceValue":"High","ipAddresses":[{}],"tags":1}`,
		`{"deviceId":"m1","softwareVendor":"v","softwareName":"n","softwareVersion":"1","cveId":"c","status":"Fixed","eventTimestamp":"2026-03-04 05:00:00"}`,
		`{"id":"v-_-n","name":"n","vendor":"v","weaknesses":1e99}`, `{"id":"CVE-1","cvssV3":7.5,"updatedOn":"2026-03-04T05:00:00Z"}`)
}
