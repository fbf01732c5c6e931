package windows

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/google/go-cmp/cmp"
)

// sysmonRow and securityRow are events with these fields behind the usual ones, as JSON.
func sysmonRow(id int, fields string) string {
	return fmt.Sprintf(`{"SourceName":"Microsoft-Windows-Sysmon","Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"ws7.contoso.com",`+
		`"TimeCreated":"2026-03-02T08:00:01.25Z","EventID":%d,%s}`, id, fields)
}

func securityRow(id int, fields string) string {
	return fmt.Sprintf(`{"SourceName":"Microsoft-Windows-Security-Auditing","Channel":"Security","Hostname":"ws7.contoso.com",`+
		`"TimeCreated":"2026-03-02T08:00:01.25Z","EventID":%d,%s}`, id, fields)
}

// told are the edges of a row, with the strongest key of each end.
func told(t testing.TB, raw string) []string {
	t.Helper()
	records, err := Decode([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var out []string
	for _, r := range records {
		if err := batchOf(r).Validate(); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		end := func(o graph.EntityObservation) string {
			return string(o.Keys[0].Type) + "=" + strings.ReplaceAll(o.Keys[0].Value, "\x1f", "|")
		}
		out = append(out, end(r.Edge.From)+" "+r.Edge.Observation.Kind.String()+" "+end(r.Edge.To))
	}
	return out
}

func batchOf(r format.Record) graph.Batch {
	return graph.Batch{Entities: []graph.EntityObservation{r.Edge.From, r.Edge.To}, Edges: []graph.EdgeObservation{r.Edge.Observation}}
}

const (
	process = "processIdCreationTime=7|2026-03-02t08:00:01|ws7.contoso.com"
	device  = "dnsName=ws7.contoso.com"
	ann     = `"TargetUserSid":"S-1-5-21-1-2-3-1106","TargetUserName":"ann","TargetDomainName":"CONTOSO"`
)

func TestAProcessIsNamedByWhatItsEventTells(t *testing.T) {
	ran := process + " ran " + device
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"by its GUID":                         {sysmonRow(1, `"ProcessId":7,"ProcessGuid":"{0a0b0c0d-4381-69a5-2304-000000000100}","UtcTime":"2026-03-02 08:00:01.242"`), []string{ran}},
		"by its time where the GUID is zeros": {sysmonRow(1, `"ProcessId":"0x7","ProcessGuid":"{00000000-0000-0000-0000-000000000000}","UtcTime":"2026-03-02 08:00:01.242"`), []string{ran}},
		"by the event's time where it has none, and System as its parent": {sysmonRow(1, `"ProcessId":7,"UtcTime":"1601-01-01 00:00:00","ProcessGuid":"x","ParentProcessId":4,"ParentProcessGuid":"{0a0b0c0d-0e10-69a5-0100-000000000100}"`),
			[]string{ran, "processIdCreationTime=4|2026-03-02t04:12:00|ws7.contoso.com spawned " + process, "processIdCreationTime=4|2026-03-02t04:12:00|ws7.contoso.com ran " + device}},
		"an idle parent is none":                   {sysmonRow(1, `"ProcessId":7,"UtcTime":null,"ParentProcessId":0,"ParentProcessGuid":"{0a0b0c0d-0e10-69a5-0100-000000000100}"`), []string{ran}},
		"a parent without a GUID is not known":     {sysmonRow(1, `"ProcessId":7,"ParentProcessId":5`), []string{ran}},
		"the Security log's in hexadecimal digits": {securityRow(4688, `"NewProcessId":"0x7","ProcessId":"0x4"`), []string{ran}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(t, c.raw)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyAccountsThatBelongToSomebodyAreIdentities(t *testing.T) {
	for fields, want := range map[string]string{
		ann: "sid=S-1-5-21-1-2-3-1106",
		`"TargetUserSid":"CONTOSO\\ann","TargetUserName":"ann","TargetDomainName":"CONTOSO"`: `accountName=contoso\ann`,
		`"TargetUserSid":"S-1-0-0","TargetUserName":"ann","TargetDomainName":"CONTOSO"`:      `accountName=contoso\ann`,
		`"TargetUserName":"ann@contoso.com","TargetDomainName":"-"`:                          "userPrincipalName=ann@contoso.com",
		`"TargetUserSid":"S-1-5-18","TargetUserName":"SYSTEM"`:                               "",
		`"TargetUserSid":"S-1-5-21-1-2-3-500","TargetUserName":"Administrator"`:              "",
		`"TargetUserSid":"S-1-5-90-0-1","TargetUserName":"DWM-1","TargetDomainName":"x"`:     "",
		`"TargetUserName":"DWM-1","TargetDomainName":"Window Manager"`:                       "",
		`"TargetUserName":"Netzwerkdienst","TargetDomainName":"x","TargetLogonId":"0x3e4"`:   "",
		`"TargetUserSid":"S-1-5-21-1-2-3-1207","TargetUserName":"SRV1$"`:                     "",
		`"TargetUserName":"ann"`: "", `"TargetUserName":null`: "", `"TargetUserName":["ann"]`: "",
	} {
		got := told(t, securityRow(4624, fields))
		if want == "" && got != nil || want != "" && (len(got) != 1 || got[0] != want+" loggedOn "+device) {
			t.Errorf("%s: %q, want %q", fields, got, want)
		}
	}
}

func TestOnlyAddressesOfOtherHostsAreConnectedTo(t *testing.T) {
	for fields, want := range map[string]string{
		`"DestinationIp":"203.0.113.9"`:                                      "ipAddress=203.0.113.9",
		`"DestinationIp":"::ffff:203.0.113.9"`:                               "ipAddress=203.0.113.9",
		`"DestinationIp":"10.0.0.4"`:                                         "privateIpAddress=10.0.0.4",
		`"Initiated":false,"SourceIp":"10.0.0.5","DestinationIp":"10.0.0.4"`: "privateIpAddress=10.0.0.5",
		`"DestinationIp":"127.0.0.1"`:                                        "",
		`"DestinationIp":"0:0:0:0:0:0:0:0"`:                                  "",
		`"DestinationIp":"fe80:0:0:0:5d91:0:0:9755"`:                         "",
		`"DestinationIp":"ff02:0:0:0:0:0:1:3"`:                               "",
		`"DestinationIp":"255.255.255.255"`:                                  "",
		`"DestinationIp":"-"`:                                                "",
		`"DestinationIp":null`:                                               "",
		`"Initiated":"false","DestinationIp":"10.0.0.4"`:                     "",
	} {
		got := told(t, sysmonRow(3, fields))
		if want == "" && got != nil || want != "" && (len(got) != 1 || got[0] != device+" connectedTo "+want) {
			t.Errorf("%s: %q, want %q", fields, got, want)
		}
	}
}

func TestALogoffEndsTheSessionAndNothingElse(t *testing.T) {
	for _, id := range []int{4634, 4647} {
		records, err := Decode([]byte(securityRow(id, ann+`,"TargetLogonId":"0x62f2d"`)))
		if err != nil || len(records) != 2 {
			t.Fatalf("%v %v", records, err)
		}
		logon, session := records[0].Edge.Observation, records[1].Edge.Observation
		if logon.Kind != graph.EdgeLoggedOn || !logon.EndedAt.IsZero() || session.Kind != graph.EdgeOfSession || !session.EndedAt.Equal(session.LastSeen) {
			t.Errorf("%+v %+v", logon, session)
		}
	}
}

func TestEventsThatSayNothingGiveNothing(t *testing.T) {
	for _, raw := range []string{
		sysmonRow(10, `"SourceImage":"a.exe","TargetImage":"lsass.exe"`), sysmonRow(11, `"TargetFilename":"C:\\a.exe"`),
		sysmonRow(23, `"TargetFilename":"C:\\a","Hashes":"MD5=D41D8CD98F00B204E9800998ECF8427E"`),
		sysmonRow(22, `"QueryName":"wpad","QueryStatus":"0","QueryResults":"10.0.0.1;"`),
		securityRow(4625, ann), securityRow(4658, `"TimeCreated":"soon"`),
		strings.Replace(sysmonRow(1, `"ProcessId":7`), "Microsoft-Windows-Sysmon", "Contoso-Sysmon", 1),
	} {
		if records, err := Decode([]byte(raw)); records != nil || err != nil {
			t.Errorf("%s: %v %v", raw, records, err)
		}
	}
}

func TestTheSameLogonIsOneSightingAndAnotherAnother(t *testing.T) {
	id := func(raw string) graph.ID {
		records, err := Decode([]byte(raw))
		if err != nil || len(records) == 0 || records[0].Edge.Observation.Kind != graph.EdgeLoggedOn {
			t.Fatalf("%s: %v %v", raw, records, err)
		}
		return records[0].Edge.Observation.Observation
	}
	logon := securityRow(4624, ann+`,"TargetLogonId":"0x62f2d"`)
	for raw, same := range map[string]bool{
		logon: true, securityRow(4634, ann+`,"TargetLogonId":"0x0000000000062F2D"`): true,
		strings.Replace(logon, "08:00:01.25", "09:00:00", 1): true, strings.Replace(logon, "62f2d", "62f2e", 1): false,
		strings.Replace(logon, "ws7", "ws8", 1): false, strings.Replace(logon, "-1106", "-1107", 1): false,
	} {
		if (id(raw) == id(logon)) != same {
			t.Errorf("%s: the same sighting is not %v", raw, same)
		}
	}
}

func TestDatesAreReadHoweverTheyAreWritten(t *testing.T) {
	want := time.Date(2026, 3, 2, 8, 0, 1, 250000000, time.UTC)
	for _, s := range []string{`"2026-03-02T08:00:01.25Z"`, `1772438401250`, `"1772438401250"`, `1772438401250000`, `"2026-03-02 08:00:01.250"`,
		`"/Date(1772438401250)/"`, `null,"@timestamp":1772438401250`, `"9999-12-31T23:59:59Z","@timestamp":1772438401250`,
		`"1601-01-01T00:00:00Z","TimeGenerated":"2026-03-02T08:00:01.25Z"`} {
		records, err := Decode([]byte(strings.Replace(securityRow(4624, ann), `"2026-03-02T08:00:01.25Z"`, s, 1)))
		if err != nil || len(records) != 1 || !records[0].Edge.Observation.LastSeen.Equal(want) {
			t.Errorf("%s: %v %v", s, records, err)
		}
	}
}

func TestWhatIsNoEventIsNamed(t *testing.T) {
	logon := securityRow(4624, ann)
	for raw, want := range map[string]string{
		`[]`:                              "not a JSON object",
		`{}`:                              "EventID is no number",
		`{"SyslogMessage":"sshd: hello"}`: "SyslogMessage is no event in XML",
		`{"SyslogMessage":"<Event></a>"}`: "SyslogMessage: XML syntax error",
		`{"SyslogMessage":"<Event><System><EventID>1</EventID>"}`:                    "neither provider nor channel is named",
		strings.Replace(logon, "4624", `{"Value":4624}`, 1):                          "EventID is no number",
		strings.Replace(logon, "ws7.contoso.com", " ", 1):                            "event 4624: no computer is named",
		strings.Replace(logon, "2026-03-02T08:00:01.25Z", "", 1):                     "event 4624: no date",
		strings.Replace(logon, `"2026-03-02T08:00:01.25Z"`, `{"SystemTime":"x"}`, 1): "event 4624: TimeCreated: a date is neither a text nor a number",
		strings.Replace(logon, `"2026-03-02T08:00:01.25Z"`, `133000000000000000`, 1): `event 4624: TimeCreated: "133000000000000000" is not a date`,
		securityRow(4624, `"EventData":7`):                                           "event 4624: EventData is neither an object nor a text",
		securityRow(4624, `"EventData":"{"`):                                         "event 4624: EventData: not a JSON object",
		securityRow(4624, `"EventData":"<a>"`):                                       "event 4624: EventData: XML that ends in the middle",
		securityRow(4624, `"EventData":"<!-- "`):                                     "event 4624: EventData: XML",
		securityRow(4624, `"EventData":"<?x?>y"`):                                    "event 4624: EventData: XML without an element",
		securityRow(4624, `"EventData":"<!DOCTYPE a [<!ENTITY b \"&c;&c;\"><!ENTITY c \"&d;&d;\">]><EventData><Data Name=\"a\">&b;</Data></EventData>"`): "event 4624: EventData: XML with a document type",
		securityRow(4688, `"NewProcessId":null`):                    "event 4688: NewProcessId is no process's id",
		sysmonRow(1, `"ProcessId":0`):                               "event 1: ProcessId is no process's id",
		sysmonRow(1, `"ProcessId":99999999999`):                     "event 1: ProcessId is no process's id",
		sysmonRow(1, `"ProcessId":7,"UtcTime":"2026-13-02 "`):       `event 1: UtcTime: "2026-13-02" is not a date`,
		sysmonRow(1, `"ProcessGuid":"{0a0b0c0d-4381-69a5-2304-0}"`): "event 1: ProcessId is no process's id",
	} {
		if records, err := Decode([]byte(raw)); !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v %v, want %q", raw, records, err, want)
		}
	}
}

// Sysmon for Linux does not end the entity behind "unknown process", and syslog cuts what is longer than it likes.
func TestXMLIsReadAsSysmonForLinuxWritesIt(t *testing.T) {
	event := `<Event><System><Provider Name="Linux-Sysmon"/><EventID>1</EventID><TimeCreated SystemTime="2026-03-02T08:00:01.25Z"/><Computer>ws7.contoso.com</Computer></System>` +
		`<EventData><Data Name="ProcessId">7</Data><Data Name="Image">&lt;unknown process&gt </Data><Data>x</Data><Data Name="ParentCommandLine">a &amp; b</Data></EventData></Event>`
	want := []string{process + " ran " + device}
	for _, text := range []string{event, event[:strings.Index(event, "amp;")-3]} {
		raw, err := graph.EncodeJSON(map[string]any{"SyslogMessage": text, "Computer": "relay"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, told(t, string(raw))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLongFieldsAndAnswersAreKeptWithinBounds(t *testing.T) {
	long := strings.Repeat("a\\", 1<<19)
	told(t, sysmonRow(1, fmt.Sprintf(`"ProcessId":7,"Image":%q,"CommandLine":%q,"User":%q,"Hashes":"MD5=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, long, long, long)))
	told(t, strings.Replace(securityRow(4624, ann), "ws7.contoso.com", strings.Repeat("a", 1<<20), 1))
	answers := told(t, sysmonRow(22, fmt.Sprintf(`"QueryName":"a.example","QueryResults":%q`, strings.Repeat("10.0.0.1;", 1<<17))))
	if len(answers) != maxAnswers-1 {
		t.Errorf("%d answers", len(answers))
	}
}

func FuzzDecode(f *testing.F) { formattest.Fuzz(f, Decode, "../../testdata/formats/windows/*.json") }
