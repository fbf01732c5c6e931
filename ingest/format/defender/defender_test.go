package defender

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/clew-security/clew/ingest/format/graphsec"
)

// alert is a minimal one of a service, with these fields behind.
func alert(id, service, more string) string {
	return fmt.Sprintf(`{"alertId":%q,"serviceSource":%q,"creationTime":"2026-03-04T05:00:00Z"%s}`, id, service, more)
}

func decodeOne(t testing.TB, decode format.Decoder, raw string) graph.AlertContent {
	t.Helper()
	records, err := decode([]byte(raw))
	if err != nil || len(records) != 1 || records[0].Alert == nil {
		t.Fatalf("%s: %v %v", raw, records, err)
	}
	return *records[0].Alert
}

func TestAnAlertIsOneThroughGraphAndThroughThisAPI(t *testing.T) {
	guid := "12eb404c-f446-4940-a4a5-9b3e22d1811a"
	for _, c := range []struct{ here, graph, prefix, id string }{
		{"MicrosoftDefenderATP", "microsoftDefenderForEndpoint", "da", guid + "_1"},
		{"MicrosoftDefenderForEndpoint", "microsoftDefenderForEndpoint", "da", "637800000000000001_-77001"},
		{"OfficeATP", "microsoftDefenderForOffice365", "fa", guid},
		{"MicrosoftDefenderForOffice365", "microsoftDefenderForOffice365", "fa", guid},
		{"AzureATP", "microsoftDefenderForIdentity", "aa", guid},
		{"MicrosoftDefenderForIdentity", "microsoftDefenderForIdentity", "aa", guid},
		{"MicrosoftCloudAppSecurity", "microsoftDefenderForCloudApps", "ca", "6683f782aa620f548a9a863c"},
		{"MicrosoftDefenderForCloudApps", "microsoftDefenderForCloudApps", "ca", strings.ToUpper(guid)},
		{"AzureAdIdentityProtection", "azureAdIdentityProtection", "ad", strings.Repeat("1a", 32)},
		{"MicrosoftThreatProtection", "microsoft365Defender", "ra", "638555116115280202_1278843890"},
		{"Microsoft365Defender", "microsoft365Defender", "ra", "638555116115280202_1278843890"},
		{"MicrosoftAppGovernance", "microsoftAppGovernance", "ma", guid},
		{"MicrosoftDataLossPrevention", "dataLossPrevention", "dl", guid},
	} {
		want := ""
		for _, id := range []string{c.id, c.prefix + c.id} {
			here := decodeOne(t, Decode, alert(id, c.here, ""))
			there := decodeOne(t, graphsec.Decode, fmt.Sprintf(`{"id":%q,"serviceSource":%q,"createdDateTime":"2026-03-04T05:00:00Z"}`, id, c.graph))
			if here.ID() != there.ID() || want != "" && want != here.ID().String() {
				t.Errorf("%s %s: %s %s here, %s %s through Graph", c.here, id, here.Product, here.ProviderAlertID, there.Product, there.ProviderAlertID)
			}
			want = here.ID().String()
		}
	}
}

func TestABadAlertOfAnIncidentLeavesTheOthers(t *testing.T) {
	good := alert("1", "OfficeATP", "")
	records, err := Decode([]byte(`{"incidentId":7,"incidentName":"x","alerts":[{"alertId":"2","serviceSource":"MCAS"},` + good + `,7]}`))
	if err != nil || len(records) != 3 {
		t.Fatal(records, err)
	}
	for i, want := range []string{`alert "2": no date`, "", "not a JSON object"} {
		r := records[i]
		if (r.Flaw == nil) != (want == "") || (r.Alert == nil) != (want != "") {
			t.Errorf("%d: %+v", i, r)
		}
		if r.Flaw != nil && (!errors.Is(r.Flaw, graph.ErrInvalid) || !strings.Contains(r.Flaw.Error(), want)) {
			t.Errorf("%d: %v, want %q", i, r.Flaw, want)
		}
	}
	if p := records[1].Part; p.Name != "alert 2 of the incident" || string(p.Raw) != good {
		t.Errorf("%+v", p)
	}
}

// An alert alone is what stands in a reject file.
func TestAnAlertReadsTheSameAloneAndInItsIncident(t *testing.T) {
	raw := alert("fa11111111-aaaa-bbbb-cccc-08d8525cf099", "OfficeATP", `,"entities":[{"entityType":"Ip","ipAddress":"198.51.100.1"}]`)
	alone := decodeOne(t, Decode, raw)
	within := decodeOne(t, Decode, `{"incidentId":7,"incidentName":"x","alerts":[`+raw+`]}`)
	if !alone.SameAs(within) || len(alone.Evidence) != 1 {
		t.Errorf("%+v, within its incident %+v", alone, within)
	}
}

func TestTheSourceIsTheAlertWithoutItsEvidence(t *testing.T) {
	a := decodeOne(t, Decode, `{ "devices": [], "alertId": "1", "incidentId": 7, "serviceSource": "OfficeATP", "entities": [ {"entityType": "Url", "x": 1.50, "url": null} ], "creationTime": "2026-03-04T05:00:00Z" }`)
	if got, want := string(a.Source), `{"alertId":"1","incidentId":7,"serviceSource":"OfficeATP","creationTime":"2026-03-04T05:00:00Z"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(a.Evidence[0].Original), `{"entityType":"Url","x":1.50,"url":null}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTriageIsReadInTheWordsOfGraph(t *testing.T) {
	a := decodeOne(t, Decode, alert("1", "MCAS", `,"status":"Active","classification":"TruePositive","determination":"NotAvailable","assignedTo":"ann@contoso.com","severity":"Informational","investigationState":"PendingApproval","detectionSource":"WindowsDefenderAv"`))
	want := graph.Triage{Status: graph.StatusInProgress, Classification: "truePositive", Determination: "unknown", AssignedTo: "ann@contoso.com"}
	if a.Reported != want || a.Severity != graph.SeverityInformational || a.InvestigationState != "pendingApproval" || a.DetectionSource != "antivirus" {
		t.Errorf("%+v", a)
	}
}

func TestWhatIsNoAlertIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		`{"incidentId":7,"incidentName":"x"}`:               "the incident has no alerts",
		`{"incidentId":7,"incidentName":"x","alerts":null}`: "the incident has no alerts",
		`{"incidentName":"x","alerts":{}}`:                  "alerts is an object, want a list",
		`{"serviceSource":"OfficeATP","entities":[]}`:       "the alert has no provider alert id",
		`{"alertId":" ","serviceSource":"x","entities":[]}`: "the alert has no provider alert id",
		`{"alertId":"1","serviceSource":""}`:                `alert "1": neither service source nor product name`,
		`{"alertId":"1","serviceSource":"MCAS"}`:            `alert "1": no date`,
		`{"alertId":[],"serviceSource":"MCAS"}`:             "alertId is not a text",
		alert("1", "MCAS", `,"title":{}`):                   `alert "1": invalid: title is not a text`,
		alert("1", "MCAS", `,"lastActivity":"soon"`):        `alert "1": invalid: lastActivity: invalid: "soon" is not a date`,
		alert("1", "MCAS", `,"lastUpdatedTime":1770000000`): `lastUpdatedTime: invalid: "1770000000" is not a date`,
		alert("1", "MCAS", `,"entities":{}`):                `alert "1": invalid: entities: it is an object, want a list`,
		alert("1", "MCAS", `,"entities":[{},null]`):         "entities 2: ",
		alert("1", "MCAS", `,"devices":["x"]`):              "devices 1: ",
		`[]`:                                                "not a JSON object",
		`null`:                                              "not a JSON object",
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	formattest.Fuzz(f, Decode, "../../testdata/formats/defender/*.json",
		`{"incidentId":7,"incidentName":"x","alerts":[`+alert("da1_1", "MicrosoftDefenderATP",
			`,"devices":[{"mdatpDeviceId":"m","loggedOnUsers":[{"accountName":"a"}]}],"entities":[{"entityType":"Process","processId":1,"processCreationTime":"1601-01-01T00:00:00Z"},{"entityType":"Registry","registryValueName":"v"}]`)+`,null]}`,
		alert("1", "x", `,"entities":[{"entityType":"MailMessage","sender":"a@b.example","recipient":"c@d.example"},{"entityType":"Odd.Thing","x":{}},{"entityType":null}]`),
		alert("1", "x", `,"entities":[{"entityType":"mailBox"},{"entityType":"FILE","sha1":7},{"entityType":"MailCluster"},{"entityType":"SecurityGroup"}],"mitreTechniques":"T1"`))
}
