package graphsec

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// model is Microsoft Graph's metadata as testdata/types.txt has it.
type model struct {
	base   map[string]string
	fields map[string][][2]string
	enums  map[string][]string
}

func readModel(t testing.TB) model {
	t.Helper()
	text, err := os.ReadFile("testdata/types.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := model{map[string]string{}, map[string][][2]string{}, map[string][]string{}}
	for line := range strings.Lines(string(text)) {
		head, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(head)
		switch {
		case len(words) > 1 && words[0] == "ComplexType":
			m.fields[words[1]] = nil
			for _, w := range words[2:] {
				if base, ok := strings.CutPrefix(w, "base="); ok {
					m.base[words[1]] = strings.TrimSuffix(base, ":")
				}
			}
			for _, f := range strings.Split(rest, ",") {
				if name, typ, ok := strings.Cut(strings.TrimSpace(f), ":"); ok {
					m.fields[words[1]] = append(m.fields[words[1]], [2]string{name, strings.TrimSuffix(typ, "!")})
				}
			}
		case len(words) > 1 && words[0] == "enum":
			m.enums[words[1]] = strings.Fields(rest)
		}
	}
	return m
}

// evidenceTypes are the types derived from alertEvidence, in order.
func (m model) evidenceTypes() []string {
	var out []string
	for name, base := range m.base {
		if base == "alertEvidence" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// object writes a value of the type with every field filled, as Graph does: the type first where it is
// evidence. depth bounds types that hold themselves.
func (m model) object(t testing.TB, typ string, depth int) string {
	t.Helper()
	fields, ok := m.fields[typ]
	if !ok {
		t.Fatalf("the table has no type %s", typ)
	}
	var parts []string
	if m.base[typ] == "alertEvidence" {
		parts = append(parts, `"@odata.type": "`+graph.ODataPrefix+typ+`"`)
		fields = append(slices.Clone(m.fields["alertEvidence"]), fields...)
	}
	for _, f := range fields {
		if v := m.value(t, f[0], f[1], depth); v != "" {
			parts = append(parts, fmt.Sprintf("%q: %s", f[0], v))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// value is a plausible value for a field, "" where the depth is used up.
func (m model) value(t testing.TB, name, typ string, depth int) string {
	if inner, ok := strings.CutPrefix(typ, "Collection("); ok {
		v := m.value(t, name, strings.TrimSuffix(inner, ")"), depth)
		return "[" + v + "]"
	}
	if members := m.enums[typ]; len(members) > 1 {
		return `"` + members[1] + `"`
	}
	if v, ok := scalarsOf[typ]; ok {
		return v
	}
	switch typ {
	case "String":
		return text(name)
	case "alertEvidence":
		typ = "azureResourceEvidence"
	}
	if depth == 0 {
		return ""
	}
	return m.object(t, typ, depth-1)
}

var scalarsOf = map[string]string{"Int64": "4711", "Int32": "443", "Double": "52.3730796", "Boolean": "true",
	"Guid": `"5c4e1b0a-7f33-4d0e-9a37-21c1d4b6d6aa"`, "DateTimeOffset": `"2026-03-04T05:06:07.1234567Z"`,
	"dictionary": `{"environment": "production", "replicas": "3"}`}

// samples are texts by a part of the field's name; the first that fits is taken.
var samples = [][2]string{
	{"url", "https://portal.example.com/sign-in?a=1&b=<2>"}, {"emailaddress", "alex@contoso.example"},
	{"primaryaddress", "alex@contoso.example"}, {"recipient", "alex@contoso.example"}, {"sender", "news@example.net"},
	{"principalname", "alex@contoso.example"}, {"upn", "alex@contoso.example"}, {"email", "alex@contoso.example"},
	{"internetmessageid", "<a1b2@mail.example.net>"}, {"senderip", "203.0.113.9"}, {"ipaddress", "203.0.113.9"},
	{"mdedeviceid", "e9bd0a1b2c3d4e5f60718293a4b5c6d7e8f90123"}, {"usersid", "S-1-5-21-1111111111-2222222222-3333333333-1104"},
	{"sid", "S-1-5-21-1111111111-2222222222-3333333333-2201"}, {"sha256", strings.Repeat("a1", 32)},
	{"sha1", strings.Repeat("b2", 20)}, {"md5", strings.Repeat("c3", 16)}, {"filepath", `C:\\Users\\alex\\Downloads`},
	{"filename", "invoice.exe"}, {"commandline", `"powershell.exe" -enc SQBFAFgA`}, {"hive", "HKEY_LOCAL_MACHINE"},
	{"registrykey", `SOFTWARE\Example\Run`}, {"dnsname", "pc-7.contoso.example"}, {"domain", "contoso.example"},
	{"hostname", "pc-7"}, {"resourceid", "/subscriptions/5c4e1b0a-7f33-4d0e-9a37-21c1d4b6d6aa/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-7"},
	{"id", "7d1f0c52-3b7e-4d0a-8a55-90aa11bb22cc"}, {"name", "sample name"},
}

func text(name string) string {
	s := "value of " + name
	for _, sample := range samples {
		if strings.Contains(strings.ToLower(name), sample[0]) {
			s = sample[1]
			break
		}
	}
	b, _ := graph.EncodeJSON(s)
	return string(b)
}

// sampleAlert is an alert with one evidence of every type, and one of a type that nobody knows.
func sampleAlert(t testing.TB) []byte {
	m := readModel(t)
	var evidence []string
	for _, typ := range m.evidenceTypes() {
		evidence = append(evidence, m.object(t, typ, 3))
	}
	evidence = append(evidence, `{"@odata.type": "#microsoft.graph.security.holodeckEvidence", "safety": "off", "n": 1.50,
		"deep": {"z": [1, {"a": null}]}, "a": "\u00e9 \/ é"}`)
	return []byte(`{"@odata.type": "#microsoft.graph.security.alert", "id": "da5c4e1b0a-7f33-4d0e-9a37-21c1d4b6d6aa_1",
	"providerAlertId": "5c4e1b0a-7f33-4d0e-9a37-21c1d4b6d6aa_1", "incidentId": "28282", "status": "new", "severity": "High",
	"classification": "truePositive", "determination": "CompromisedUser", "serviceSource": "microsoftDefenderForEndpoint",
	"detectionSource": "antivirus", "productName": "Microsoft Defender for Endpoint", "detectorId": "e0da400f",
	"title": "Suspicious <execution> & more", "description": "Some\u2028text", "recommendedActions": "Collect",
	"category": "Execution", "assignedTo": null, "alertWebUrl": "https://portal.example.com/alerts/da5c?tid=1&x=2",
	"actorDisplayName": null, "threatDisplayName": "Threat", "threatFamilyName": "Family", "investigationState": "queued",
	"mitreTechniques": ["T1059.001", "T1064", "T1059.001"], "createdDateTime": "2026-03-04T06:00:00.1234567Z",
	"lastUpdateDateTime": "2026-03-04T07:00:00Z", "resolvedDateTime": null, "firstActivityDateTime": "2026-03-04T05:00:00.7Z",
	"lastActivityDateTime": "2026-03-04T05:30:00Z", "systemTags": ["a"], "additionalData": {"k": 1e3}, "futureField": {"b": [1, 2.0]},
	"comments": [{"@odata.type": "microsoft.graph.security.alertComment", "comment": "c", "createdByDisplayName": "d",
	"createdDateTime": "2026-03-04T06:00:00Z"}], "evidence": [` + strings.Join(evidence, ",\n") + `]}`)
}

func TestTheTableHas48TypesOfEvidence(t *testing.T) {
	m := readModel(t)
	if n := len(m.evidenceTypes()); n != 48 {
		t.Errorf("%d types", n)
	}
	for _, typ := range m.evidenceTypes() {
		if raw := m.object(t, typ, 3); !json.Valid([]byte(raw)) {
			t.Errorf("%s: %s", typ, raw)
		}
	}
}
