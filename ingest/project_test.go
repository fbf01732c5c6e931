package ingest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/graphsec"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "record the goldens anew")

// told writes a projection for people: entities by their keys and properties, edges by their ends.
func told(p Projection) string {
	var b strings.Builder
	names := map[graph.ID]string{}
	for i, e := range p.Entities {
		if names[e.ID()] == "" {
			names[e.ID()] = fmt.Sprintf("%s#%d", e.ID().Kind(), i)
		}
		fmt.Fprintf(&b, "%s\n", names[e.ID()])
		for _, k := range e.Keys {
			fmt.Fprintf(&b, "  %s=%s\n", k.Type, strings.ReplaceAll(k.Value, "\x1f", " | "))
		}
		for _, name := range slices.Sorted(maps.Keys(e.Properties)) {
			fmt.Fprintf(&b, "    %s: %s\n", name, e.Properties[name])
		}
		if e.ObservedAt != p.Alert.LastActivity || e.Source != p.Alert.ProductName {
			fmt.Fprintf(&b, "  at %v by %s\n", e.ObservedAt, e.Source)
		}
	}
	b.WriteString("\n")
	for _, e := range p.Edges {
		fmt.Fprintf(&b, "%s %s %s", names[e.From], e.Kind, names[e.To])
		if e.Inferred {
			b.WriteString(" (inferred)")
		}
		if e.FirstSeen != p.Alert.FirstActivity || e.LastSeen != p.Alert.LastActivity {
			fmt.Fprintf(&b, " from %s to %s", e.FirstSeen.Format(time.RFC3339), e.LastSeen.Format(time.RFC3339))
		}
		if e.Observation != p.Alert.ID() || e.Source != p.Alert.ProductName {
			fmt.Fprintf(&b, " by %s %s", e.Source, e.Observation)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, e := range p.Alert.Evidence {
		fmt.Fprintf(&b, "evidence %d: %s %s\n", i, e.Type, names[e.Entity])
	}
	return b.String()
}

func readAlert(t testing.TB, path string) graph.AlertContent {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := graphsec.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return *records[0].Alert
}

func sampleAlerts(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/project/*.json")
	if err != nil || len(paths) < 4 {
		t.Fatal(paths, err)
	}
	return paths
}

func TestProjectionsAreAsRecorded(t *testing.T) {
	for _, path := range sampleAlerts(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p := Project(readAlert(t, path))
			checkBatch(t, p)
			golden := strings.TrimSuffix(path, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(told(p)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), told(p)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProjectIsPure(t *testing.T) {
	for _, path := range sampleAlerts(t) {
		a := readAlert(t, path)
		before, _ := graph.EncodeJSON(a)
		first := told(Project(a))
		for range 20 {
			if diff := cmp.Diff(first, told(Project(a))); diff != "" {
				t.Fatalf("%s: differs from run to run: %s", path, diff)
			}
		}
		if after, _ := graph.EncodeJSON(a); string(after) != string(before) {
			t.Errorf("%s: the alert was changed", path)
		}
		if p := Project(Project(a).Alert); told(p) != first {
			t.Errorf("%s: projecting a projected alert differs", path)
		}
	}
}

// evidenceOf makes an alert of these evidence bodies.
func evidenceOf(bodies ...string) graph.AlertContent {
	at := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	a := graph.AlertContent{ProviderAlertID: "1", Product: "p", ProductName: "P", ServiceSource: graph.ServiceMicrosoft365,
		FirstActivity: at, LastActivity: at}
	for _, body := range bodies {
		typ, fields, _ := strings.Cut(body, " ")
		a.Evidence = append(a.Evidence, graph.Evidence{Type: typ, Body: json.RawMessage(fields)})
	}
	return a
}

// edgesOf tells the edges by kinds.
func edgesOf(p Projection) []string {
	var out []string
	for _, e := range p.Edges {
		s := fmt.Sprintf("%s %s %s", e.From.Kind(), e.Kind, e.To.Kind())
		if e.Inferred {
			s += " (inferred)"
		}
		out = append(out, s)
	}
	return out
}

func TestWhatIsInferredNeedsItsOnlyOne(t *testing.T) {
	device1, device2 := `deviceEvidence {"mdeDeviceId":"m1","azureAdDeviceId":"a1"}`, `deviceEvidence {"mdeDeviceId":"m2"}`
	user1, user2 := `userEvidence {"userAccount":{"azureAdUserId":"u1"}}`, `userEvidence {"userAccount":{"azureAdUserId":"u2"}}`
	system := `userEvidence {"userAccount":{"userSid":"S-1-5-18"}}`
	ip, private := `ipEvidence {"ipAddress":"203.0.113.1"}`, `ipEvidence {"ipAddress":"10.0.0.1"}`
	message := `analyzedMessageEvidence {"networkMessageId":"n1"}`
	file := `fileEvidence {"fileDetails":{"fileName":"f"}}`
	for name, c := range map[string]struct {
		evidence, want []string
	}{
		"a user and one device":                {[]string{user1, device1}, []string{"identity loggedOn device (inferred)"}},
		"a device named twice is one":          {[]string{user1, device1, device1}, []string{"identity loggedOn device (inferred)"}},
		"a user and two devices":               {[]string{user1, device1, device2}, nil},
		"a public address and one device":      {[]string{ip, device1}, []string{"device connectedTo ipAddress (inferred)"}},
		"a private address and one device":     {[]string{private, device1}, nil},
		"an address and two devices":           {[]string{ip, device1, device2}, nil},
		"an address and one user":              {[]string{ip, user1}, []string{"identity signedInFrom ipAddress (inferred)"}},
		"an address, a user, a system account": {[]string{ip, user1, system}, []string{"identity signedInFrom ipAddress (inferred)"}},
		"an address and two users":             {[]string{ip, user1, user2}, nil},
		"an address and a system account":      {[]string{ip, system}, nil},
		"an address, a user and a device":      {[]string{ip, user1, device1}, []string{"device connectedTo ipAddress (inferred)", "identity loggedOn device (inferred)"}},
		"a file and one device":                {[]string{file, device1}, []string{"file presentOn device (inferred)"}},
		"a file and two devices":               {[]string{file, device1, device2}, nil},
		"a file and one message":               {[]string{file, message}, []string{"file attached mailMessage (inferred)"}},
		"a file, a message and a device":       {[]string{file, message, device1}, []string{"file presentOn device (inferred)"}},
		"a file and two messages":              {[]string{file, message, `analyzedMessageEvidence {"networkMessageId":"n2"}`}, nil},
		"a file on another device by its id":   {[]string{`fileEvidence {"mdeDeviceId":"m9","fileDetails":{"fileName":"f"}}`, device1}, []string{"file presentOn device"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := Project(evidenceOf(c.evidence...))
			checkBatch(t, p)
			if diff := cmp.Diff(c.want, edgesOf(p)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyAccountServicesSignInFromAddresses(t *testing.T) {
	a := evidenceOf(`ipEvidence {"ipAddress":"203.0.113.1"}`, `userEvidence {"userAccount":{"azureAdUserId":"u1"}}`)
	a.ServiceSource = graph.ServiceDefenderOffice
	if got := edgesOf(Project(a)); got != nil {
		t.Error(got)
	}
}

func TestAccountsOfEveryMachineBelongToTheirDevice(t *testing.T) {
	keysOf := func(account string, d *device) string {
		o, err := format.ParseObject([]byte(account))
		if err != nil {
			t.Fatal(err)
		}
		keys, builtIn := accountKeys(o, d)
		out := fmt.Sprint(builtIn)
		for _, k := range keys {
			out += " " + string(k.Type) + "=" + strings.ReplaceAll(k.Value, "\x1f", "|")
		}
		return out
	}
	d := &device{mde: "m", aad: "a"}
	for _, c := range []struct {
		account string
		device  *device
		want    string
	}{
		{`{"userSid":"S-1-5-18","accountName":"SYSTEM","domainName":"NT AUTHORITY"}`, d, "true mdeDeviceAccount=m|s-1-5-18 aadDeviceAccount=a|s-1-5-18"},
		{`{"userSid":"S-1-5-18","accountName":"SYSTEM","domainName":"NT AUTHORITY"}`, nil, "true builtInSid=S-1-5-18"},
		{`{"userSid":"S-1-5-18"}`, &device{home: "only a name"}, "true builtInSid=S-1-5-18"},
		{`{"userSid":"S-2-2-78"}`, d, "true mdeDeviceAccount=m|s-2-2-78 aadDeviceAccount=a|s-2-2-78"},
		{`{"accountName":"LocalSystem"}`, nil, "true builtInSid=S-1-5-18"},
		{`{"accountName":"LocalSystem","domainName":"CONTOSO"}`, nil, `false accountName=contoso\localsystem`},
		{`{"azureAdUserId":"u","userSid":"S-1-5-18","accountName":"a","domainName":"d"}`, d, `false azureAdUserId=u accountName=d\a`},
		{`{"userSid":"S-1-5-21-1-2-3-1104","userPrincipalName":"A@b.example"}`, d, "false sid=S-1-5-21-1-2-3-1104 userPrincipalName=a@b.example"},
		{`{"userSid":"S-1-5-21-1-2-3-500"}`, d, "true mdeDeviceAccount=m|s-1-5-21-1-2-3-500 aadDeviceAccount=a|s-1-5-21-1-2-3-500"},
		{`{"accountName":"a"}`, d, "false"},
		{`{}`, d, "false"},
	} {
		if got := keysOf(c.account, c.device); got != c.want {
			t.Errorf("%s: %s, want %s", c.account, got, c.want)
		}
	}
}

func TestPathsAreJoinedOnce(t *testing.T) {
	for _, c := range [][3]string{
		{`C:\a`, "b.exe", `C:\a\b.exe`}, {`C:\a\`, "b.exe", `C:\a\b.exe`}, {`C:\a\B.exe`, "b.exe", `C:\a\B.exe`},
		{"/tmp", "x", "/tmp/x"}, {"/tmp/", "x", "/tmp/x"}, {"/tmp/x", "x", "/tmp/x"}, {"", "x", ""}, {"/tmp", "", "/tmp"},
	} {
		if got := fullPath(c[0], c[1]); got != c[2] {
			t.Errorf("%q and %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestAClusterGivesItsFirst200Messages(t *testing.T) {
	var ids []string
	for i := range 300 {
		ids = append(ids, fmt.Sprintf(`"%08d-0000-0000-0000-000000000001"`, i))
	}
	p := Project(evidenceOf(`mailClusterEvidence {"urn":"u","networkMessageIds":[` + strings.Join(ids, ",") + `]}`))
	if len(p.Edges) != 200 || len(p.Entities) != 201 {
		t.Errorf("%d edges, %d entities", len(p.Edges), len(p.Entities))
	}
}

// bodies draws evidence out of the fields and values that projections read, in right and wrong types.
func bodies(t *rapid.T) graph.AlertContent {
	types := slices.Sorted(maps.Keys(projections))
	types = append(types, slices.Sorted(maps.Keys(simple))...)
	types = append(types, "holodeckEvidence", "")
	wrong := []string{`7`, `null`, `true`, `[]`, `{}`, `""`, `"x"`, `"S-1-5-18"`, `"0001-01-01T00:00:00Z"`}
	right := map[string]string{"mdeDeviceId": `"m1"`, "azureAdDeviceId": `"a1"`, "hostName": `"pc"`, "azureAdUserId": `"u1"`,
		"userSid": `"S-1-5-21-1-2-3-1104"`, "userPrincipalName": `"a@b.example"`, "accountName": `"a"`, "domainName": `"b.example"`,
		"networkMessageId": `"n1"`, "recipientEmailAddress": `"a@b.example"`, "senderIp": `"203.0.113.1"`,
		"sha256": `"` + strings.Repeat("a1", 32) + `"`, "fileName": `"f"`, "filePath": `"/tmp"`, "processId": `7`, "parentProcessId": `"4"`,
		"processCreationDateTime": `"2026-03-04T05:06:07.1234567Z"`, "parentProcessCreationDateTime": `"2026-03-04T05:06:07Z"`,
		"ipAddress": `"203.0.113.1"`, "url": `"https://example.net"`, "urls": `["https://example.net",7]`, "registryKey": `"k"`,
		"sessionId": `"s"`, "primaryAddress": `"a@b.example"`, "upn": `"a@b.example"`, "appId": `7`, "name": `"n"`, "resourceId": `"r"`,
		"containerId": `"c"`, "algorithm": `"sha256"`, "value": `"` + strings.Repeat("a1", 32) + `"`, "startUtcDateTime": `"2026-03-05T00:00:00Z"`}
	names := slices.Sorted(maps.Keys(right))
	object := func(label string) string {
		var out []string
		for _, name := range names {
			switch rapid.IntRange(0, 9).Draw(t, label) {
			case 0:
				out = append(out, fmt.Sprintf("%q:%s", name, rapid.SampledFrom(wrong).Draw(t, "wrong")))
			case 1, 2, 3, 4, 5, 6:
				out = append(out, fmt.Sprintf("%q:%s", name, right[name]))
			}
		}
		return strings.Join(out, ",")
	}
	var all []string
	for range rapid.IntRange(4, 8).Draw(t, "n") {
		body := object("body")
		for _, nested := range []string{"userAccount", "imageFile", "fileDetails", "account", "host", "destinationAddress"} {
			if rapid.Bool().Draw(t, nested) {
				body += fmt.Sprintf(`,%q:{%s}`, nested, object("nested"))
			}
		}
		for _, list := range []string{"loggedOnUsers", "files", "processes", "ipAddresses"} {
			if rapid.Bool().Draw(t, list) {
				body += fmt.Sprintf(`,%q:[{%s}]`, list, object("listed"))
			}
		}
		all = append(all, rapid.SampledFrom(types).Draw(t, "type")+" {"+strings.TrimPrefix(body, ",")+"}")
	}
	return evidenceOf(all...)
}

func TestEveryProjectionIsAValidBatch(t *testing.T) {
	checks, entities, edges := 0, 0, 0
	rapid.Check(t, func(r *rapid.T) {
		a := bodies(r)
		p := Project(a)
		b := graph.Batch{Entities: p.Entities, Edges: p.Edges, Alerts: []graph.AlertContent{p.Alert}}
		if err := b.Validate(); err != nil {
			r.Fatalf("%v: %s", err, told(p))
		}
		if again := told(Project(a)); again != told(p) {
			r.Fatal("differs from run to run")
		}
		checks, entities, edges = checks+1, entities+len(p.Entities), edges+len(p.Edges)
	})
	t.Logf("%d alerts gave %d entities and %d edges", checks, entities, edges)
	if entities < 3*checks || edges < checks {
		t.Error("the alerts drawn are too poor to test anything")
	}
}

func FuzzProject(f *testing.F) {
	for _, path := range sampleAlerts(f) {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"SystemAlertId":"1","ProviderName":"IPC","StartTime":"2026-01-01T00:00:00Z","Entities":[{"Type":"account","Name":"a@b.example"}]}`))
	decode := Formats()[Auto]
	f.Fuzz(func(t *testing.T, raw []byte) {
		records, err := decode(raw)
		if err != nil {
			return
		}
		for _, r := range records {
			u := unit{part: partOf(r)}
			if err := u.batch().Validate(); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
}

// Whoever can send alerts must not speak for an analyst.
func TestNoEvidenceSaysWhatOnlyPeopleMay(t *testing.T) {
	word := `"clew.criticality":"{\"at\":\"2026-03-02T08:00:00.000000Z\",\"criticality\":\"low\"}","criticality":"high"}`
	p := Project(evidenceOf(`deviceEvidence {"mdeDeviceId":"m1",`+word, `userEvidence {"userAccount":{"azureAdUserId":"u1",`+word+`}`,
		`processEvidence {"mdeDeviceId":"m1","processId":7,"processCreationDateTime":"2026-03-04T05:00:00Z","imageFile":{"sha1":"`+strings.Repeat("a", 40)+`",`+word+`,`+word[:len(word)-1]+`}`,
		`ipEvidence {"ipAddress":"203.0.113.1",`+word, `kubernetesPodEvidence {"name":"pod",`+word))
	said := 0
	for _, e := range p.Entities {
		for name := range e.Properties {
			if graph.ReservedProperty(name) {
				t.Errorf("%v has %s", e.Keys, name)
			}
		}
		if e.Properties["criticality"] != nil {
			said++
		}
	}
	if said < 4 {
		t.Errorf("of %d entities %d have what stood beside", len(p.Entities), said)
	}
}
