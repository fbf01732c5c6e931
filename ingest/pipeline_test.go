package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/ingest/format"
	"github.com/google/go-cmp/cmp"
)

const tenant = graph.TenantID("contoso")

// recorder keeps the batches and passes them on to a model store, if there is one; refuse may stand in the
// way.
type recorder struct {
	*graphtest.Model
	batches []graph.Batch
	refuse  func(graph.Batch) error
}

func newRecorder() *recorder {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return &recorder{Model: graphtest.NewModel(func() time.Time { return at })}
}

func (r *recorder) Apply(ctx context.Context, tenant graph.TenantID, b graph.Batch) (graph.Receipt, error) {
	if r.refuse != nil {
		if err := r.refuse(b); err != nil {
			return graph.Receipt{}, err
		}
	}
	var receipt graph.Receipt
	var err error
	if r.Model != nil {
		receipt, err = r.Model.Apply(ctx, tenant, b)
	}
	if err == nil {
		r.batches = append(r.batches, b)
	}
	return receipt, err
}

func (r *recorder) alerts() []string {
	var out []string
	for _, b := range r.batches {
		for _, a := range b.Alerts {
			out = append(out, a.ProviderAlertID)
		}
	}
	return out
}

func (r *recorder) digest(t *testing.T) string {
	t.Helper()
	d, err := graph.Digest(context.Background(), r.Model, graph.View{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pipeline(s graph.Writer) Pipeline {
	return Pipeline{Store: s, Tenant: tenant, Decode: Formats()[Auto]}
}

func input(text string) Input { return Input{Name: "in.jsonl", Reader: strings.NewReader(text)} }

// line is an alert with one user and one device of its own, and one address that all share.
func line(n int) string {
	return fmt.Sprintf(`{"id":"%d","productName":"P","serviceSource":"microsoft365Defender","createdDateTime":"2026-01-02T03:04:05Z","evidence":[`+
		`{"@odata.type":"#microsoft.graph.security.deviceEvidence","mdeDeviceId":"m%d"},`+
		`{"@odata.type":"#microsoft.graph.security.userEvidence","userAccount":{"azureAdUserId":"u%d"}},`+
		`{"@odata.type":"#microsoft.graph.security.ipEvidence","ipAddress":"203.0.113.1"}]}`+"\n", n, n, n)
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

func run1(t *testing.T, p Pipeline, text string) Summary {
	t.Helper()
	s, err := p.Run(context.Background(), input(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSummaryHasItsSevenFields(t *testing.T) {
	b, err := json.Marshal(Summary{1, 2, 3, 4, 5, 6, 7})
	want := `{"read":1,"alerts":2,"entities":3,"edges":4,"updated":5,"duplicates":6,"rejected":7}`
	if err != nil || string(b) != want {
		t.Errorf("%s %v", b, err)
	}
}

func TestAnImportCountsWhatItMadeAndTheSecondTimeNothing(t *testing.T) {
	s := newRecorder()
	if diff := cmp.Diff(Summary{Read: 10, Alerts: 10, Entities: 21, Edges: 20}, run1(t, pipeline(s), lines(10))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Summary{Read: 10, Duplicates: 10}, run1(t, pipeline(s), lines(10))); diff != "" {
		t.Error(diff)
	}
	newer := strings.Replace(line(3), `"createdDateTime"`, `"title":"new","lastUpdateDateTime":"2026-01-03T00:00:00Z","createdDateTime"`, 1)
	if diff := cmp.Diff(Summary{Read: 2, Updated: 1, Duplicates: 1}, run1(t, pipeline(s), newer+line(4))); diff != "" {
		t.Error(diff)
	}
}

func TestAnIncidentIsOneRecordWithItsAlerts(t *testing.T) {
	s := newRecorder()
	incident := `{"priorityScore":1,"alerts":[` + strings.TrimSpace(line(1)) + "," + strings.TrimSpace(line(2)) + "]}\n"
	got := run1(t, pipeline(s), incident+line(2))
	if diff := cmp.Diff(Summary{Read: 2, Alerts: 2, Entities: 5, Edges: 4, Duplicates: 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLinesOfEntitiesAndEdgesAreCounted(t *testing.T) {
	device := `{"type":"entity","kind":"device","keys":{"mdeDeviceId":"m%s"},"properties":{"owner":%q}}` + "\n"
	edge := `{"type":"edge","kind":"adminOf","from":{"kind":"identity","keys":{"azureAdUserId":"u1"}},"to":{"kind":"device","keys":{"mdeDeviceId":"m1"}},"firstSeen":"2026-01-0%dT00:00:00Z"}` + "\n"
	d := func(n, owner string) string { return fmt.Sprintf(device, n, owner) }
	e := func(day int) string { return fmt.Sprintf(edge, day) }
	s := newRecorder()
	text := d("1", "a") + e(1) + line(1) + d("2", "a") + d("1", "b") + e(1) + e(2)
	got := run1(t, pipeline(s), text)
	// The entity lines are committed first and make m1 and m2, the last one gives m1 another owner; the alert
	// then makes its user u1, the address and two edges, the edge lines one more, seen on a second day.
	if diff := cmp.Diff(Summary{Read: 7, Alerts: 1, Entities: 4, Edges: 3, Updated: 2, Duplicates: 1}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Summary{Read: 7, Duplicates: 7}, run1(t, pipeline(s), text)); diff != "" {
		t.Error(diff)
	}
	if len(s.batches) != 6 {
		t.Errorf("%d batches", len(s.batches))
	}
}

func TestARecordThatSaysNothingIsReadAndNoMore(t *testing.T) {
	s := newRecorder()
	nothing := `{"EventID":10,"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"ws7"}` + "\n"
	if diff := cmp.Diff(Summary{Read: 3, Alerts: 1, Entities: 3, Edges: 2}, run1(t, pipeline(s), nothing+line(1)+nothing)); diff != "" {
		t.Error(diff)
	}
}

func TestRejectsAreToldAndTheRestIsTaken(t *testing.T) {
	s, rejects := newRecorder(), bytes.Buffer{}
	p := pipeline(s)
	p.Rejects = &rejects
	got := run1(t, p, line(1)+"not json \xff\n"+`{"some":"thing", "else":1}`+"\n"+line(2)+`{"id":"x","productName":"P","evidence":[]}`)
	if diff := cmp.Diff(Summary{Read: 5, Alerts: 2, Entities: 5, Edges: 4, Rejected: 3}, got); diff != "" {
		t.Error(diff)
	}
	want := `{"file":"in.jsonl","line":2,"reason":"not a JSON object; bytes that are no UTF-8 are replaced in what is kept","record":"not json ` + "\ufffd" + `"}
{"file":"in.jsonl","line":3,"reason":"no known format has a record with the fields \"else\", \"some\"","record":{"some":"thing","else":1}}
{"file":"in.jsonl","line":5,"reason":"alert \"x\": no date","record":{"id":"x","productName":"P","evidence":[]}}
`
	if diff := cmp.Diff(want, rejects.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAStrictImportTakesAllBeforeTheFirstRejectAndNothingBehind(t *testing.T) {
	for _, bad := range []string{"{\n", `{"id":"x","productName":"P","evidence":[]}` + "\n",
		`{"priorityScore":1,"alerts":[{"id":"91"},` + strings.TrimSpace(line(90)) + `]}` + "\n"} {
		s, rejects := newRecorder(), bytes.Buffer{}
		p := pipeline(s)
		p.Strict, p.Rejects, p.Batch = true, &rejects, 4
		got, err := p.Run(context.Background(), input(lines(6)+bad+line(99)), input(line(98)))
		if !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "in.jsonl:7: ") {
			t.Error(err)
		}
		if diff := cmp.Diff(Summary{Read: 7, Alerts: 6, Entities: 13, Edges: 12, Rejected: 1}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5"}, s.alerts()); diff != "" {
			t.Error(diff)
		}
		if strings.Count(rejects.String(), "\n") != 1 {
			t.Error(rejects.String())
		}
	}
}

func TestABatchThatIsTooLargeIsSplitBetweenAlerts(t *testing.T) {
	s := newRecorder()
	s.refuse = func(b graph.Batch) error {
		if len(b.Alerts) > 3 {
			return fmt.Errorf("%w: for a test", graph.ErrBatchTooLarge)
		}
		return nil
	}
	got := run1(t, pipeline(s), lines(10))
	if diff := cmp.Diff(Summary{Read: 10, Alerts: 10, Entities: 21, Edges: 20}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(10, len(s.alerts())); diff != "" || len(s.batches) < 4 {
		t.Error(diff, len(s.batches))
	}
}

func TestAnAlertThatIsTooLargeAloneIsRejected(t *testing.T) {
	s, rejects := newRecorder(), bytes.Buffer{}
	s.refuse = func(b graph.Batch) error {
		for _, a := range b.Alerts {
			if a.ProviderAlertID == "5" {
				return fmt.Errorf("%w: for a test", graph.ErrBatchTooLarge)
			}
		}
		return nil
	}
	p := pipeline(s)
	p.Rejects = &rejects
	got := run1(t, p, lines(10))
	if diff := cmp.Diff(Summary{Read: 10, Alerts: 9, Entities: 19, Edges: 18, Rejected: 1}, got); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(rejects.String(), `{"file":"in.jsonl","line":6,"reason":"batch too large: for a test","record":{"id":"5"`) {
		t.Error(rejects.String())
	}
}

func TestBatchesStayBelowTheLimitsOfTheGraph(t *testing.T) {
	s := &recorder{}
	s.refuse = func(b graph.Batch) error { return b.Validate() }
	var big strings.Builder
	for i := range 40 {
		big.WriteString(strings.Replace(line(i), `"productName"`, `"description":"`+strings.Repeat("x", 1<<20)+`","productName"`, 1))
	}
	run1(t, pipeline(s), big.String())
	if len(s.alerts()) != 40 || len(s.batches) != 3 { // each counts twice: the text and the source
		t.Errorf("%d alerts in %d batches", len(s.alerts()), len(s.batches))
	}
}

func TestTheStateDoesNotDependOnTheBatches(t *testing.T) {
	want := newRecorder()
	run1(t, pipeline(want), lines(20))
	for _, n := range []int{1, 7, 19, 20} {
		s := newRecorder()
		p := pipeline(s)
		p.Batch = n
		got := run1(t, p, lines(20))
		if len(s.batches) != (20+n-1)/n || got.Alerts != 20 {
			t.Errorf("%d batches of %d", len(s.batches), n)
		}
		if s.digest(t) != want.digest(t) {
			t.Errorf("batches of %d give another graph", n)
		}
	}
}

func TestAStoreThatFailsEndsTheImport(t *testing.T) {
	s := newRecorder()
	s.refuse = func(b graph.Batch) error {
		if b.Alerts[0].ProviderAlertID == "4" {
			return graph.ErrClosed
		}
		return nil
	}
	p := pipeline(s)
	p.Batch = 2
	got, err := p.Run(context.Background(), input(lines(10)))
	if !errors.Is(err, graph.ErrClosed) || !strings.Contains(err.Error(), "in.jsonl:6") || got.Alerts != 4 || len(s.alerts()) != 4 {
		t.Error(err, got)
	}
}

func TestACancelledImportLeavesWholeBatches(t *testing.T) {
	s := newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	p := pipeline(s)
	p.Batch = 4
	p.Progress = func(at Progress) {
		if at.Records == 6 {
			cancel()
		}
	}
	got, err := p.Run(ctx, input(lines(100)))
	if !errors.Is(err, context.Canceled) || got.Alerts != 4 || got.Read != 6 {
		t.Error(err, got)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3"}, s.alerts()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatPrecedesAnErrorOfReadingIsCommitted(t *testing.T) {
	s := newRecorder()
	broken := io.MultiReader(strings.NewReader(lines(3)), iotest.ErrReader(errors.New("disk on fire")))
	got, err := pipeline(s).Run(context.Background(), Input{Name: "a", Reader: broken}, input(line(9)))
	if err == nil || !strings.Contains(err.Error(), "disk on fire") || got.Alerts != 3 {
		t.Error(err, got)
	}
}

func TestProgressCountsBytesAndRecordsOfAllFiles(t *testing.T) {
	var last Progress
	calls := 0
	p := pipeline(newRecorder())
	p.Progress = func(at Progress) { last, calls = at, calls+1 }
	if _, err := p.Run(context.Background(), input(lines(3)), input("bad\n"+line(4))); err != nil {
		t.Fatal(err)
	}
	if want := (Progress{int64(len(lines(3)) + 4 + len(line(4))), 5}); last != want || calls != 5 {
		t.Errorf("%+v after %d calls, want %+v", last, calls, want)
	}
}

func TestTheBatchCarriesWhatThePipelineSays(t *testing.T) {
	s := newRecorder()
	p := pipeline(s)
	p.Actor, p.Cause = "cli", "import"
	run1(t, p, line(1))
	if b := s.batches[0]; b.Actor != "cli" || b.Cause != "import" || b.Decide != nil || b.Key != "" {
		t.Errorf("%+v", b)
	}
}

func TestTheFormatIsFoundByTheShapeOfEachRecord(t *testing.T) {
	for raw, want := range map[string]string{
		`{"@odata.type":"#microsoft.graph.security.alert"}`:    "graph",
		`{"@odata.type":"#microsoft.graph.security.incident"}`: "graph",
		`{"evidence":[]}`:                                                   "graph",
		`{"serviceSource":"x"}`:                                             "graph",
		`{"providerAlertId":"x"}`:                                           "graph",
		`{"alerts":[],"incidentWebUrl":"x"}`:                                "graph",
		`{"SystemAlertId":"x"}`:                                             "sentinel",
		`{"VendorOriginalId":"x"}`:                                          "sentinel",
		`{"Entities":"[]","ProviderName":"x"}`:                              "sentinel",
		`{"incidentId":1,"incidentName":"x"}`:                               "defender",
		`{"incidentName":"x","alerts":[]}`:                                  "defender",
		`{"alertId":"x","serviceSource":"x"}`:                               "defender",
		`{"serviceSource":"x","entities":[]}`:                               "defender",
		`{"alertCreationTime":"x"}`:                                         "mde",
		`{"machineId":"x","evidence":[]}`:                                   "mde",
		`{"id":"x","computerDnsName":null}`:                                 "mde",
		`{"id":"x","name":"x","vendor":"x","weaknesses":1}`:                 "mde",
		`{"id":"x","cvssV3":null}`:                                          "mde",
		`{"machineId":"x","cveId":"x"}`:                                     "mde",
		`{"deviceId":"x","softwareName":"x"}`:                               "mde",
		`{"DeviceId":"x","SoftwareName":"x"}`:                               "mde",
		`{"id":"x","machineId":"x","computerDnsName":"x","type":"Isolate"}`: `the fields "computerDnsName", "id"`,
		`{"type":"entity","keys":{}}`:                                       "clew",
		`{"type":"edge","from":{},"to":{}}`:                                 "clew",
		`{"id":"x","azureADDeviceId":"x","deviceName":"x","userId":"x","userPrincipalName":"x"}`:        "intune",
		`{"@odata.type":"#microsoft.graph.managedDevice"}`:                                              "intune",
		`{"@odata.type":"#microsoft.graph.user"}`:                                                       "entra",
		`{"id":"x","userPrincipalName":"x"}`:                                                            "entra",
		`{"id":"x","deviceId":"x","operatingSystem":"x"}`:                                               "entra",
		`{"id":"x","groupTypes":[]}`:                                                                    "entra",
		`{"id":"x","roleTemplateId":"x"}`:                                                               "entra",
		`{"id":"x","appId":"x","servicePrincipalType":"x"}`:                                             "entra",
		`{"id":"x","createdDateTime":"x","userId":"x","appId":"x","status":{},"userPrincipalName":"x"}`: "entra",
		`{"UserPrincipalName":"x","AppId":"x","ResultType":"0"}`:                                        "entra",
		`{"@odata.type":"#microsoft.graph.contact","id":"x","userPrincipalName":"x"}`:                   `the fields "@odata.type"`,
		`{"id":"x","deviceId":"x"}`:                                                                     `the fields "deviceId"`,
		`{"PrimarySmtpAddress":"x","RecipientTypeDetails":"x","UserPrincipalName":"x"}`:                 "exchange",
		`{"MessageTraceId":"x","RecipientAddress":"x"}`:                                                 "exchange",
		`{"CreationTime":"x","Operation":"x","RecordType":1,"Id":"x"}`:                                  "o365audit",
		`{"AuditData":"{}","Operations":"x"}`:                                                           "o365audit",
		`{"auditData":{},"operation":"x","id":"x","userPrincipalName":"x"}`:                             "o365audit",
		`{"EventID":1,"Channel":"Security","Hostname":"x"}`:                                             "windows",
		`{"EventID":1,"EventData":"","Computer":"x"}`:                                                   "windows",
		`{"SyslogMessage":"<Event><System>"}`:                                                           "windows",
		`{"SyslogMessage":"<13>sshd","EventID":1}`:                                                      `the fields "EventID", "SyslogMessage"`,
		`{"class_uid":2001,"metadata":{},"evidence":{}}`:                                                "ocsf", // evidence is Graph's, too
		`{}`:                       "an object without fields",
		`{"value":{}}`:             "the page's value is no list",
		`{"@odata.x":1,"value":7}`: "the page's value is no list",
		`{"error":{"code":"InvalidAuthenticationToken","message":"expired"}}`: `an API's error in place of data: code "InvalidAuthenticationToken", message "expired"`,
		`{"z\u001b[2J":1}`: `"z\x1b[2J"`,
		`{"z":1,"a":2}`:    `the fields "a", "z"`,
		`{"alerts":[]}`:    `the fields "alerts"`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1}`: `"k", "l", …`,
	} {
		fields, err := format.FieldsOf([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		f, err := format.Detect(fields, formats)
		got := f.Name
		if got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q %v, want %q", raw, got, err, want)
		}
	}
}

func TestTheRealAlertsAreImportedWholeAndOnce(t *testing.T) {
	text, err := os.ReadFile(testData(t, "secrl/alerts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	s := newRecorder()
	first := run1(t, pipeline(s), string(text))
	t.Logf("%+v", first)
	if first.Read != 62 || first.Alerts != 62 || first.Rejected != 0 || first.Duplicates != 0 || first.Updated != 0 {
		t.Errorf("%+v", first)
	}
	before := s.digest(t)
	if diff := cmp.Diff(Summary{Read: 62, Duplicates: 62}, run1(t, pipeline(s), string(text))); diff != "" {
		t.Error(diff)
	}
	if s.digest(t) != before {
		t.Error("the second import changed the graph")
	}
}
