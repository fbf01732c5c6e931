package graphsec

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "record the goldens anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func decodeOne(t testing.TB, raw []byte) graph.AlertContent {
	t.Helper()
	records, err := Decode(raw)
	if err != nil || len(records) != 1 || records[0].Alert == nil {
		t.Fatalf("%v %v", records, err)
	}
	return *records[0].Alert
}

func TestAnAlertComesBackByteForByteWithEveryTypeOfEvidence(t *testing.T) {
	raw := sampleAlert(t)
	got, err := EncodeAlert(decodeOne(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, raw); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestADecodedAlertIsAsRecorded(t *testing.T) {
	b, err := graph.EncodeJSON(decodeOne(t, sampleAlert(t)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, append(b, '\n'), "", " "); err != nil {
		t.Fatal(err)
	}
	golden(t, "decoded.json", out.Bytes())
}

func TestEvidenceThatIsNotLastMovesThereAndNothingElseChanges(t *testing.T) {
	a := decodeOne(t, []byte(`{ "evidence":[{"@odata.type":"#x.urlEvidence","url":"https://example.com"}], "id":"1", "serviceSource":"microsoftSentinel", "createdDateTime":"2026-01-02T03:04:05Z"}`))
	if got := string(a.Source); got != `{"id":"1","serviceSource":"microsoftSentinel","createdDateTime":"2026-01-02T03:04:05Z"}` {
		t.Error(got)
	}
	b, err := EncodeAlert(a)
	want := `{"id":"1","serviceSource":"microsoftSentinel","createdDateTime":"2026-01-02T03:04:05Z","evidence":[{"@odata.type":"#x.urlEvidence","url":"https://example.com"}]}`
	if err != nil || string(b) != want {
		t.Errorf("%s %v", b, err)
	}
}

func TestAnIncidentGivesItsAlertsAndNothingOfItsOwn(t *testing.T) {
	alert := func(id string) string {
		return `{"id":"` + id + `","serviceSource":"microsoft365Defender","createdDateTime":"2026-01-02T03:04:05Z","incidentId":"7"}`
	}
	for _, raw := range []string{
		`{"@odata.type":"#microsoft.graph.security.incident","id":"7","alerts":[` + alert("ra11") + `,` + alert("ra12_x") + `]}`,
		`{"id":"7","displayName":"x","redirectIncidentId":null,"alerts":[` + alert("ra11") + `,` + alert("ra12_x") + `]}`,
	} {
		records, err := Decode([]byte(raw))
		if err != nil || len(records) != 2 {
			t.Fatal(records, err)
		}
		if a := records[1].Alert; a.ProviderAlertID != "12_x" || !strings.Contains(string(a.Source), `"incidentId":"7"`) {
			t.Errorf("%+v", a)
		}
	}
	if records, err := Decode([]byte(`{"displayName":"x","redirectIncidentId":null,"alerts":[]}`)); err != nil || len(records) != 0 {
		t.Error(records, err)
	}
}

func TestWhatIsNoAlertIsNamed(t *testing.T) {
	head := `{"id":"1","serviceSource":"microsoftSentinel","createdDateTime":"2026-01-02T03:04:05Z"`
	for raw, want := range map[string]string{
		`{"serviceSource":"microsoftSentinel","createdDateTime":"2026-01-02T03:04:05Z"}`: "the alert has no provider alert id",
		`{"id":"1","serviceSource":"microsoftSentinel"}`:                                 `alert "1": no date`,
		`{"id":"1","createdDateTime":"2026-01-02T03:04:05Z"}`:                            `alert "1": neither service source nor product name`,
		`{"id":"1","createdDateTime":"yesterday"}`:                                       `"yesterday" is not a date`,
		`{"id":"1","createdDateTime":7}`:                                                 "alert: invalid: a date is a number, want a text",
		`{"id":1}`:                                                                       "alert: invalid: id is a number, want a text",
		head + `,"title":{}}`:                                                            "title is an object, want a text",
		head + `,"mitreTechniques":"T1"}`:                                                "mitreTechniques",
		head + `,"evidence":{}}`:                                                         `alert "1": invalid: evidence is an object, want a list`,
		head + `,"evidence":[null]}`:                                                     "evidence 1 is not an object",
		head + `,"evidence":[{},3]}`:                                                     "evidence 2 is not an object",
		head + `,"evidence":[{"@odata.type":3}]}`:                                        "evidence 1: ",
		`{"@odata.type":"#microsoft.graph.security.incident"}`:                           "fetch it with $expand=alerts",
		`[]`:     "not a JSON object",
		`{"id":`: "",
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestMissingDatesAreTakenFromTheOthers(t *testing.T) {
	day := func(n int) string { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC).Format(time.RFC3339) }
	for fields, want := range map[string][4]int{
		`"firstActivityDateTime":"` + day(1) + `"`: {1, 1, 1, 1},
		`"lastActivityDateTime":"` + day(2) + `"`:  {2, 2, 2, 2},
		`"createdDateTime":"` + day(3) + `"`:       {3, 3, 3, 3},
		`"lastUpdateDateTime":"` + day(4) + `"`:    {4, 4, 4, 4},
		`"firstActivityDateTime":"` + day(1) + `","lastActivityDateTime":"` + day(2) + `","createdDateTime":"` + day(3) + `","lastUpdateDateTime":"` + day(4) + `"`: {1, 2, 3, 4},
		`"firstActivityDateTime":"` + day(2) + `","lastActivityDateTime":"` + day(1) + `"`:                                                                          {1, 2, 1, 1},
		`"firstActivityDateTime":"0001-01-01T00:00:00Z","createdDateTime":"` + day(3) + `"`:                                                                         {3, 3, 3, 3},
	} {
		a := decodeOne(t, []byte(`{"id":"1","productName":"X",`+fields+`}`))
		got := [4]int{a.FirstActivity.Day(), a.LastActivity.Day(), a.SourceCreated.Day(), a.SourceUpdated.Day()}
		if got != want {
			t.Errorf("%s: %v, want %v", fields, got, want)
		}
	}
}

func TestAnAlertFromAnotherFormatIsBuiltFromItsContent(t *testing.T) {
	a := graph.AlertContent{ProviderAlertID: "1", ServiceSource: graph.ServiceSentinel, Title: "t <b>", Format: "sentinel",
		Source: json.RawMessage(`{"x":1}`), FirstActivity: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Evidence: []graph.Evidence{{Type: "urlEvidence", Body: json.RawMessage(`{"url": "u"}`), Original: json.RawMessage(`{"Url":"u"}`)}}}
	b, err := EncodeAlert(a)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "built.json", append(b, '\n'))
	again := decodeOne(t, b)
	if again.ID() == (graph.ID{}) || again.Title != a.Title || len(again.Evidence) != 1 {
		t.Errorf("%+v", again)
	}
}

func TestContentWithBrokenJSONIsAnErrorNotAnAlert(t *testing.T) {
	for _, a := range []graph.AlertContent{
		{Format: formatName, Source: json.RawMessage(`[]`)}, {Format: formatName, Source: json.RawMessage(`{`)},
		{Evidence: []graph.Evidence{{}}}, {Evidence: []graph.Evidence{{Body: json.RawMessage("{")}}},
	} {
		if b, err := EncodeAlert(a); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s %v", b, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sampleAlert(f))
	f.Add([]byte(`{"alerts":[{"id":"1","productName":"p","createdDateTime":"2026-01-02T03:04:05Z"}],"priorityScore":1}`))
	f.Add([]byte(`{"evidence":[{"@odata.type":"#a.b","x":null}],"id":"x","productName":"p","createdDateTime":"2026-01-02"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		records, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, graph.ErrInvalid) {
				t.Errorf("not an ErrInvalid: %v", err)
			}
			return
		}
		for _, r := range records {
			if r.Flaw != nil {
				continue
			}
			again, err := EncodeAlert(*r.Alert)
			if err != nil {
				t.Fatal(err)
			}
			found, err := Decode(again)
			if err != nil {
				t.Fatal(err)
			}
			back := found[0].Alert
			if !back.SameAs(*r.Alert) {
				t.Errorf("changed on the way through: %s", again)
			}
		}
	})
}

func TestEvidenceWithoutItemsComesBackAsItWas(t *testing.T) {
	for _, raw := range []string{
		`{"id":"1","evidence":null,"productName":"P","createdDateTime":"2026-01-02T03:04:05Z"}`,
		`{"id":"1","evidence":[],"productName":"P","createdDateTime":"2026-01-02T03:04:05Z"}`,
		`{"id":"1","productName":"P","createdDateTime":"2026-01-02T03:04:05Z","x":1.50e+1,"y":"\u00e4"}`,
	} {
		got, err := EncodeAlert(decodeOne(t, []byte(raw)))
		if err != nil || string(got) != raw {
			t.Errorf("%s %v, want %s", got, err, raw)
		}
	}
}

func TestABadAlertOfAnIncidentLeavesTheOthers(t *testing.T) {
	good := `{"id":"1","productName":"P","createdDateTime":"2026-01-02T03:04:05Z"}`
	records, err := Decode([]byte(`{"priorityScore":1,"alerts":[{"id":"2"},` + good + `,7]}`))
	if err != nil || len(records) != 3 {
		t.Fatal(records, err)
	}
	for i, want := range []string{"neither service source nor product name", "", "not a JSON object"} {
		r := records[i]
		if (r.Flaw == nil) != (want == "") || (r.Alert == nil) != (want != "") {
			t.Errorf("%d: %+v", i, r)
		}
		if r.Flaw != nil && (!errors.Is(r.Flaw, graph.ErrInvalid) || !strings.Contains(r.Flaw.Error(), want)) {
			t.Errorf("%d: %v, want %q", i, r.Flaw, want)
		}
	}
	if p := records[2].Part; p.Name != "alert 3 of the incident" || string(p.Raw) != "7" {
		t.Errorf("%+v", p)
	}
}
