package sentinel

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "record the goldens anew")

func decodeOne(t testing.TB, raw []byte) graph.AlertContent {
	t.Helper()
	records, err := Decode(raw)
	if err != nil || len(records) != 1 || records[0].Alert == nil {
		t.Fatalf("%v %v", records, err)
	}
	return *records[0].Alert
}

func sampleRow(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/row.json")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func indented(t testing.TB, v any) []byte {
	t.Helper()
	b, err := graph.EncodeJSON(v)
	var out bytes.Buffer
	if err == nil {
		err = json.Indent(&out, append(b, '\n'), "", " ")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestARowWithEveryTypeOfEntityIsAsRecorded(t *testing.T) {
	got := indented(t, decodeOne(t, sampleRow(t)))
	if *update {
		if err := os.WriteFile("testdata/decoded.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/decoded.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestTextThatHoldsJSONReadsAsTheJSON(t *testing.T) {
	var row map[string]any
	if err := json.Unmarshal(sampleRow(t), &row); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Entities", "ExtendedProperties", "Techniques", "SubTechniques", "RemediationSteps"} {
		b, _ := graph.EncodeJSON(row[name])
		row[name] = string(b)
	}
	raw, _ := graph.EncodeJSON(row)
	a, b := decodeOne(t, sampleRow(t)), decodeOne(t, raw)
	a.Source, b.Source = nil, nil
	for _, c := range []*graph.AlertContent{&a, &b} {
		for i := range c.Evidence {
			c.Evidence[i].Original = nil // the order of fields differs, as the test wrote them
		}
	}
	if diff := cmp.Diff(string(indented(t, a)), string(indented(t, b))); diff != "" {
		t.Error(diff)
	}
}

// row is a minimal alert with these entities.
func row(entities string) []byte {
	return []byte(`{"VendorOriginalId":"1","ProviderName":"MDATP","StartTime":"2026-03-04T05:00:00Z","Entities":` + entities + `}`)
}

func TestReferencesAreFollowedAnywhere(t *testing.T) {
	for name, c := range map[string]struct{ entities, want string }{
		"forward": {`[{"$ref":"2"},{"$id":"1","Type":"cloud-logon-session","SessionId":"s","Account":{"$ref":"2"}},{"$id":"2","Type":"account","AadUserId":"u"}]`,
			`userEvidence{"userAccount":{"azureAdUserId":"u"}} cloudLogonSessionEvidence{"account":{"@odata.type":"#microsoft.graph.security.userEvidence","createdDateTime":"2026-03-04T05:00:00.0000000Z","remediationStatus":"none","roles":[],"userAccount":{"azureAdUserId":"u"},"verdict":"unknown"},"sessionId":"s"}`},
		"an entity within itself is cut": {`[{"$id":"1","Type":"process","ProcessId":"7","ParentProcess":{"$ref":"1"}}]`,
			`processEvidence{"parentProcessId":7,"processId":7}`},
		"two within each other are cut": {`[{"$id":"1","Type":"process","ProcessId":"7","ParentProcess":{"$id":"2","Type":"process","ProcessId":"8","ParentProcess":{"$ref":"1"}}}]`,
			`processEvidence{"parentProcessId":8,"processId":7} processEvidence{"parentProcessId":7,"processId":8}`},
		"a reference to nothing is ignored":     {`[{"$ref":"9"},{"$id":"1","Type":"process","ProcessId":"7","ImageFile":{"$ref":"9"},"Account":{"$ref":null}}]`, `processEvidence{"processId":7}`},
		"a hash alone is evidence":              {`[{"$id":"1","Type":"filehash","Algorithm":"MD5","Value":"x"}]`, `fileHashEvidence{"algorithm":"md5","value":"x"}`},
		"a hash of a file that follows is not":  {`[{"$id":"1","Type":"filehash","Algorithm":"MD5","Value":"x"},{"Type":"file","Name":"f","FileHashes":[{"$ref":"1"}]}]`, `fileEvidence{"fileDetails":{"fileName":"f","md5":"x"}}`},
		"a file that only a process has is not": {`[{"Type":"process","ProcessId":"7","ImageFile":{"Type":"file","Name":"f"}}]`, `processEvidence{"imageFile":{"fileName":"f"},"processId":7}`},
		"no entities":                           {`[]`, ``},
		"null":                                  {`null`, ``},
		"an empty text":                         {`" "`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, strings.Join(formattest.Bodies(decodeOne(t, row(c.entities))), " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDatesAreReadAsTheProductsWriteThem(t *testing.T) {
	want := time.Date(2024, 7, 2, 9, 47, 31, 784654000, time.UTC)
	for _, s := range []string{"2024-07-02 09:47:31.784654+00:00", "2024-07-02T09:47:31.7846540Z", "2024-07-02T11:47:31.784654+02:00",
		"2024-07-02T09:47:31.784654", "7/2/2024 9:47:31.784654 AM"} {
		a := decodeOne(t, []byte(`{"VendorOriginalId":"1","ProviderName":"x","EndTime":"`+s+`"}`))
		if !a.LastActivity.Equal(want) || !a.FirstActivity.Equal(want) {
			t.Errorf("%s: %v", s, a.LastActivity)
		}
	}
	a := decodeOne(t, []byte(`{"VendorOriginalId":"1","ProviderName":"x","StartTime":"2024-07-02T00:00:00Z","ExtendedProperties":{"LastUpdated":"07/04/2024 22:33:57"}}`))
	if want := time.Date(2024, 7, 4, 22, 33, 57, 0, time.UTC); !a.SourceUpdated.Equal(want) {
		t.Error(a.SourceUpdated)
	}
}

func TestAnAlertHasOneIDHoweverItIsNamed(t *testing.T) {
	for _, c := range []struct{ provider, short, long string }{
		{"MDATP", "12eb404c-f446-4940-a4a5-9b3e22d1811a_1", "da12eb404c-f446-4940-a4a5-9b3e22d1811a_1"},
		{"OATP", "018fb550-dfc0-ed25-2600-08dc9b2f924c", "fa018fb550-dfc0-ed25-2600-08dc9b2f924c"},
		{"Azure Advanced Threat Protection", "2b7f65da-ed05-4f21-ac7e-2218873f3c18", "aa2b7f65da-ed05-4f21-ac7e-2218873f3c18"},
		{"MCAS", "6683f782aa620f548a9a863c", "ca6683f782aa620f548a9a863c"},
		{"IPC", strings.Repeat("1a", 32), "ad" + strings.Repeat("1a", 32)},
		{"MicrosoftThreatProtection", "638555116115280202_1278843890", "ra638555116115280202_1278843890"},
	} {
		id := func(s string) graph.ID {
			return decodeOne(t, []byte(fmt.Sprintf(`{"VendorOriginalId":%q,"ProviderName":%q,"StartTime":"2024-07-02T00:00:00Z"}`, s, c.provider))).ID()
		}
		if id(c.short) != id(c.long) {
			t.Errorf("%s: %s and %s are two", c.provider, c.short, c.long)
		}
		if id(c.short) == id("xx"+c.short) || id("zz") == id("da") {
			t.Errorf("%s: a prefix of another service was cut", c.provider)
		}
	}
}

func TestWhatIsNoRowIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		`{"ProviderName":"MDATP","StartTime":"2024-07-02T00:00:00Z"}`: "the alert has no provider alert id",
		`{"VendorOriginalId":"1","ProviderName":"MDATP"}`:             `alert "1": no date`,
		`{"VendorOriginalId":"1","StartTime":"2024-07-02T00:00:00Z"}`: "neither service source nor product",
		`{"VendorOriginalId":"1","StartTime":"soon"}`:                 `alert "1": invalid: StartTime: invalid: "soon" is not a date`,
		`{"VendorOriginalId":{}}`:                                     "VendorOriginalId is not a text",
		`{"VendorOriginalId":"1","Techniques":"[1]"}`:                 `alert "1": invalid: Techniques: it is a number, want a text`,
		string(row(`{}`)):       `alert "1": Entities: `,
		string(row(`"[}"`)):     `alert "1": Entities: `,
		string(row(`[{},"x"]`)): "entity 2: ",
		string(row(`[null]`)):   "entity 1: ",
		`[]`:                    "not a JSON object",
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	formattest.Fuzz(f, Decode, "../../testdata/formats/sentinel/*.json",
		string(row(`"[{\"$id\":\"1\",\"Type\":\"process\",\"ParentProcess\":{\"$ref\":\"1\"}}]"`)),
		string(row(`[{"$id":"1","Type":"malware","Files":[{"$ref":"1"}],"Processes":[{"$ref":"2"}]},{"$id":"2","Type":"process","Host":{"$ref":"1"}}]`)))
}

func TestBadExtendedPropertiesDoNotCostTheAlert(t *testing.T) {
	for _, ext := range []string{`"{"`, `[]`, `7`, `"[1]"`} {
		a := decodeOne(t, []byte(`{"VendorOriginalId":"1","ProviderName":"MDATP","StartTime":"2026-03-04T05:00:00Z","ExtendedProperties":`+ext+`}`))
		if !strings.Contains(string(a.Source), `"ExtendedProperties":`+ext) {
			t.Errorf("%s is not in the source: %s", ext, a.Source)
		}
	}
}
