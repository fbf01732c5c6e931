package ingest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// testData is the path of a file of the shared test data. A test that needs it is skipped where it is not
// there, and fails in CI.
func testData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("CLEW_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("test data: %v", err)
		}
		t.Skipf("set CLEW_TEST_DATA to run this test: %v", err)
	}
	return path
}

// secrl reads the alerts of five real incidents, each as it was written and as it is projected.
func secrl(t testing.TB) (raws [][]byte, projections []Projection) {
	t.Helper()
	text, err := os.ReadFile(testData(t, "secrl/alerts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for raw, err := range format.Records("alerts.jsonl", bytes.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		records, err := Formats()[Auto](raw.Data)
		if err != nil || len(records) != 1 {
			t.Fatalf("line %d: %v", raw.Line, err)
		}
		raws = append(raws, raw.Data)
		projections = append(projections, Project(*records[0].Alert))
	}
	return raws, projections
}

// rawEntity is an entity of a row, found by a walk that knows nothing of the decoder.
type rawEntity map[string]any

func (e rawEntity) text(key string) string { s, _ := e[key].(string); return s }

// walkRaw finds every typed entity at any depth, but not the parts of hosts.
func walkRaw(v any, found *[]rawEntity) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			walkRaw(child, found)
		}
	case map[string]any:
		if _, ok := v["Type"]; ok {
			*found = append(*found, v)
		}
		for name, child := range v {
			if !strings.HasPrefix(name, "Last") {
				walkRaw(child, found)
			}
		}
	}
}

// want is one key that a raw entity must have led to.
func (e rawEntity) want() (kind graph.Kind, typ graph.KeyType, value string) {
	switch e["Type"] {
	case "host":
		if e.text("MdatpDeviceId") != "" {
			return graph.KindDevice, graph.KeyMdeDeviceID, e.text("MdatpDeviceId")
		}
		return graph.KindDevice, graph.KeyDNSName, strings.ToLower(e.text("FQDN"))
	case "account":
		return e.wantAccount()
	case "mailbox":
		return graph.KindMailbox, graph.KeyPrimaryAddress, strings.ToLower(e.text("MailboxPrimaryAddress"))
	case "mailMessage":
		if e.text("Recipient") == "" {
			return graph.KindMailMessage, graph.KeyNetworkMessageID, e.text("NetworkMessageId")
		}
		return graph.KindMailMessage, graph.KeyDeliveredCopy, e.text("NetworkMessageId") + "\x1f" + strings.ToLower(e.text("Recipient"))
	case "mailCluster":
		return graph.KindMailCluster, graph.KeyURN, e.text("Urn")
	case "file":
		for _, h := range asList(e["FileHashes"]) {
			if hash := rawEntity(h.(map[string]any)); hash.text("Algorithm") == "SHA256" {
				return graph.KindFile, graph.KeySHA256, hash.text("Value")
			}
		}
		return graph.KindFile, graph.KeyFileName, strings.ToLower(e.text("Name"))
	case "process":
		at, err := format.ParseTime(e.text("CreationTimeUtc"))
		if err != nil {
			return 0, "", ""
		}
		return graph.KindProcess, graph.KeyProcessTime, e.text("ProcessId") + "\x1f" + strings.ToLower(at.Format("2006-01-02T15:04:05.0000000Z"))
	case "ip":
		if e.text("Address") == "" { // one has none
			return 0, "", ""
		}
		if k, ok := graph.NewKey(graph.KindIPAddress, graph.KeyPrivateIPAddress, e.text("Address")); ok {
			return k.Kind, k.Type, k.Value
		}
		k, _ := graph.NewKey(graph.KindIPAddress, graph.KeyIPAddress, e.text("Address"))
		return graph.KindIPAddress, k.Type, k.Value
	case "url":
		k, _ := graph.NewKey(graph.KindURL, graph.KeyURL, e.text("Url"))
		return k.Kind, k.Type, k.Value
	case "registry-value":
		key := rawEntity(e["Key"].(map[string]any))
		return graph.KindRegistryValue, graph.KeyRegistryPath, strings.ToLower(key.text("Hive") + `\` + key.text("Key") + `\` + e.text("Name"))
	case "cloud-application":
		return graph.KindCloudApplication, graph.KeyAppInstance, number(e["AppId"]) + "\x1f" + orZero(number(e["InstanceId"]))
	case "oauth-application":
		return graph.KindOAuthApplication, graph.KeyAppID, e.text("OAuthAppId")
	case "cloud-logon-session":
		return graph.KindCloudSession, graph.KeySessionID, e.text("SessionId")
	}
	return 0, "", ""
}

func (e rawEntity) wantAccount() (graph.Kind, graph.KeyType, string) {
	if id := e.text("AadUserId"); id != "" {
		return graph.KindIdentity, graph.KeyAzureADUserID, id
	}
	if k, ok := graph.NewKey(graph.KindIdentity, graph.KeySID, e.text("Sid")); ok {
		return k.Kind, k.Type, k.Value
	}
	return graph.KindIdentity, graph.KeyMdeAccount, "" // a service account, of whatever device
}

func asList(v any) []any { l, _ := v.([]any); return l }

func number(v any) string { n, _ := v.(json.Number); return n.String() }

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

func TestEveryEntityOfTheRealAlertsIsInTheGraphWithItsKey(t *testing.T) {
	raws, projections := secrl(t)
	if len(raws) != 62 {
		t.Fatalf("%d alerts", len(raws))
	}
	seen := map[string]int{}
	for i, raw := range raws {
		var row struct{ Entities any }
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		var found []rawEntity
		walkRaw(row.Entities, &found)
		for _, e := range found {
			kind, typ, value := e.want()
			if kind == 0 || typ == "" {
				continue
			}
			seen[e.text("Type")]++
			if !bears(projections[i], kind, typ, value) {
				t.Errorf("alert %d: %v %s %q is not in the projection of %v", i+1, kind, typ, value, e)
			}
		}
	}
	want := map[string]int{"host": 36, "account": 64, "mailbox": 8, "mailMessage": 8, "mailCluster": 15, "file": 96,
		"process": 107, "ip": 36, "url": 13, "registry-value": 3, "cloud-application": 9, "oauth-application": 2,
		"cloud-logon-session": 3}
	for typ, n := range want {
		if seen[typ] != n {
			t.Errorf("%d of %s were looked for, want %d", seen[typ], typ, n)
		}
	}
}

// bears reports whether an entity has the key, or for an empty value one of the type.
func bears(p Projection, kind graph.Kind, typ graph.KeyType, value string) bool {
	for _, e := range p.Entities {
		for _, k := range e.Keys {
			if k.Kind == kind && k.Type == typ && (k.Value == value || value == "") {
				return true
			}
		}
	}
	return false
}

func TestTheRealAlertsHaveTheirEvidenceTiedToEntities(t *testing.T) {
	_, projections := secrl(t)
	without := 0
	for _, p := range projections {
		if len(p.Alert.Evidence) == 0 || len(p.Alert.Category) == 0 || p.Alert.ServiceSource == graph.ServiceUnknown {
			t.Errorf("%s: no evidence, category or service", p.Alert.Title)
		}
		for _, e := range p.Alert.Evidence {
			if e.Entity.IsZero() {
				without++
			}
		}
	}
	if without != 1 { // one address is missing in the source
		t.Errorf("%d pieces of evidence without an entity", without)
	}
}

func TestTheRealAlertsMakeValidBatches(t *testing.T) {
	_, projections := secrl(t)
	for _, p := range projections {
		checkBatch(t, p)
	}
}

// checkBatch fails where a projection is no valid batch.
func checkBatch(t testing.TB, p Projection) {
	t.Helper()
	b := graph.Batch{Entities: p.Entities, Edges: p.Edges, Alerts: []graph.AlertContent{p.Alert}}
	if err := b.Validate(); err != nil {
		t.Errorf("%s: %v", p.Alert.ProviderAlertID, err)
	}
}
