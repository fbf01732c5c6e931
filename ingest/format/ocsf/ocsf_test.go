package ocsf

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/google/go-cmp/cmp"
)

// detection is a finding with these fields behind the usual ones, as JSON.
func detection(fields string) string {
	return `{"class_uid":2004,"metadata":{"product":{"name":"Sensor","vendor_name":"Contoso"}},"time":1772438401123,"finding_info":{"uid":"f-1"},` + fields + `}`
}

func decodeOne(t testing.TB, raw string) graph.AlertContent {
	t.Helper()
	records, err := Decode([]byte(raw))
	if err != nil || len(records) != 1 || records[0].Alert == nil {
		t.Fatalf("%s: %v %v", raw, records, err)
	}
	return *records[0].Alert
}

func TestEvidenceHasTheShapeOfGraph(t *testing.T) {
	hash := strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		fields string
		want   []string
	}{
		"a device by its full name":              {`"device":{"hostname":"WS7.contoso.com"}`, []string{`deviceEvidence{"deviceDnsName":"WS7.contoso.com","hostName":"WS7"}`}},
		"by name and domain":                     {`"device":{"name":"WS7","domain":"contoso.com"}`, []string{`deviceEvidence{"deviceDnsName":"WS7.contoso.com","hostName":"WS7"}`}},
		"by its short name, in a domain of NT":   {`"device":{"name":"WS7","domain":"CONTOSO","uid":"x"}`, []string{`deviceEvidence{"hostName":"WS7"}`}},
		"not by an address":                      {`"device":{"hostname":"10.0.0.7","ip":"10.0.0.7"}`, []string{`deviceEvidence{"lastIpAddress":"10.0.0.7"}`}},
		"said twice":                             {`"device":{"hostname":"WS7"},"evidences":[{"device":{"hostname":"WS7"}}]`, []string{`deviceEvidence{"hostName":"WS7"}`}},
		"a user's uid that is no SID":            {`"actor":{"user":{"uid":"AIDA1","name":"ann","domain":"CONTOSO"}}`, []string{`userEvidence{"userAccount":{"accountName":"ann","domainName":"CONTOSO"}}`}},
		"the device's own address is no other's": {`"device":{"ip":"203.0.113.7"},"evidences":[{"src_endpoint":{"ip":"203.0.113.7"}}],"observables":[{"type_id":2,"value":"203.0.113.7"}]`, []string{`deviceEvidence{"lastIpAddress":"203.0.113.7"}`}},
		"a file by algorithm's name": {`"evidences":[{"file":{"path":"/a/b","hashes":[{"algorithm":"SHA-256","value":"` + strings.ToUpper(hash) + `"}]}}],"observables":[{"type_id":8,"value":"` + hash + `"}]`,
			[]string{`fileEvidence{"fileDetails":{"fileName":"b","filePath":"/a","sha256":"` + hash + `"}}`}},
		"ancestors": {`"process":{"pid":3,"parent_process":{"pid":2,"parent_process":{"pid":"1"}}}`,
			[]string{`processEvidence{"parentProcessId":2,"processId":3}`, `processEvidence{"parentProcessId":1,"processId":2}`}},
		"observables that say nothing": {`"observables":[{"type_id":4,"value":"ann"},{"type_id":1,"value":"ws7"},{"type_id":8,"value":"abc"},{"type_id":2},{"type_id":99,"value":"x"},null,7]`, nil},
		"observables said before": {`"evidences":[{"user":{"name":"CONTOSO\\ann"},"url":{"url_string":"https://a.example/"}}],"observables":[{"type_id":4,"value":"contoso\\Ann"},{"type_id":6,"value":"https://a.example/"}]`,
			[]string{`userEvidence{"userAccount":{"accountName":"ann","domainName":"CONTOSO"}}`, `urlEvidence{"url":"https://a.example/"}`}},
		"fields of other types": {`"device":[],"actor":"x","process":{"pid":{},"created_time":"soon","file":7,"parent_process":null},"evidences":{},"malware":[7],"resources":null`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, formattest.Bodies(decodeOne(t, detection(c.fields)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnumerationsAreGraphs(t *testing.T) {
	for fields, want := range map[string]graph.AlertContent{
		`"severity_id":1`:                         {Severity: "informational"},
		`"severity_id":"5"`:                       {Severity: "high"},
		`"severity_id":6`:                         {Severity: "high"},
		`"severity_id":99,"severity":"Medium"`:    {Severity: "medium"},
		`"severity_id":99,"severity":"Dire"`:      {Severity: "unknown"},
		`"severity_id":null`:                      {Severity: "unknown"},
		`"status_id":1`:                           {Severity: "unknown", Reported: graph.Triage{Status: "new"}},
		`"status_id":2,"state_id":4`:              {Severity: "unknown", Reported: graph.Triage{Status: "inProgress"}},
		`"status_id":3`:                           {Severity: "unknown", Reported: graph.Triage{Status: "resolved"}},
		`"activity_id":3`:                         {Severity: "unknown", Reported: graph.Triage{Status: "resolved"}},
		`"activity_id":3,"status_id":2`:           {Severity: "unknown", Reported: graph.Triage{Status: "inProgress"}},
		`"verdict_id":6,"assignee":{"name":"An"}`: {Severity: "unknown", Reported: graph.Triage{Classification: "informationalExpectedActivity", Determination: "securityTesting", AssignedTo: "An"}},
		`"class_uid":2001,"state_id":2,"status_id":1,"finding_info":null,"finding":{"uid":"f-1"}`: {Severity: "unknown", Reported: graph.Triage{Status: "inProgress"}},
	} {
		got := decodeOne(t, detection(fields))
		if diff := cmp.Diff(want, graph.AlertContent{Severity: got.Severity, Reported: got.Reported}); diff != "" {
			t.Errorf("%s: %s", fields, diff)
		}
	}
}

func TestTimesAreReadHoweverTheyAreCounted(t *testing.T) {
	want := time.Date(2026, 3, 2, 8, 0, 1, 0, time.UTC)
	for _, s := range []string{`1772438401000`, `1772438401`, `"1772438401000"`, `1772438401000000`, `"2026-03-02T08:00:01Z"`,
		`null,"first_seen_time_dt":"2026-03-02T08:00:01Z"`, `253402300799000,"first_seen_time_dt":"2026-03-02T08:00:01Z"`} {
		a := decodeOne(t, strings.Replace(detection(`"end_time":1772438401500`), `"uid":"f-1"`, `"uid":"f-1","first_seen_time":`+s, 1))
		if !a.FirstActivity.Equal(want) || !a.LastActivity.Equal(want.Add(500*time.Millisecond)) {
			t.Errorf("%s: %v to %v", s, a.FirstActivity, a.LastActivity)
		}
	}
}

func TestAFindingOfMicrosoftsIsItsProductsAlert(t *testing.T) {
	a := decodeOne(t, strings.NewReplacer("Sensor", "Defender for Endpoint", "Contoso", "Microsoft",
		"f-1", "da12eb404c-f446-4940-a4a5-9b3e22d1811a_1").Replace(detection(`"device":{"uid":"m1"}`)))
	if a.ServiceSource != graph.ServiceDefenderEndpoint || a.ProviderAlertID != "12eb404c-f446-4940-a4a5-9b3e22d1811a_1" {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff([]string{`deviceEvidence{"mdeDeviceId":"m1"}`}, formattest.Bodies(a)); diff != "" {
		t.Error(diff)
	}
}

func TestFindingsThatTellOfNoAttackGiveNothing(t *testing.T) {
	for _, class := range []string{"2002", "2003", `"2005"`} {
		if records, err := Decode([]byte(`{"class_uid":` + class + `,"metadata":null}`)); records != nil || err != nil {
			t.Errorf("%s: %v %v", class, records, err)
		}
	}
}

func TestWhatIsNoFindingIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		`[]`:                               "not a JSON object",
		`{"class_uid":"x"}`:                "class_uid is no number",
		`{"class_uid":4001,"metadata":{}}`: "class_uid 4001 is no detection finding",
		`{"class_uid":2004,"metadata":{}}`: "the alert has no provider alert id",
		strings.Replace(detection(`"a":1`), "1772438401123", "null", 1):                  `alert "f-1": no date`,
		strings.Replace(detection(`"a":1`), "1772438401123", "true", 1):                  `alert "f-1": time: a date is neither a text nor a number`,
		strings.Replace(detection(`"a":1`), `"name":"Sensor","vendor_name"`, `"uid"`, 1): `alert "f-1": neither service source nor product name`,
		detection(`"end_time_dt":"x","start_time":"y"`):                                  `alert "f-1": start_time: "y" is not a date`,
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v %v, want %q", raw, records, err, want)
		}
	}
	_, err := Decode([]byte(fmt.Sprintf(`{"class_uid":2004,"metadata":{},"time":"x","finding_info":{"uid":%q}}`, strings.Repeat("u", 1<<20))))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("the reason has %d bytes", len(err.Error()))
	}
}

func FuzzDecode(f *testing.F) { formattest.Fuzz(f, Decode, "../../testdata/formats/ocsf/*.json") }
