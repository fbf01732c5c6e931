package flat

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
)

var created = time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)

func TestEachTypeOfEntityBecomesEvidenceOfGraph(t *testing.T) {
	const base = `"createdDateTime":"2026-03-04T05:00:00.0000000Z","remediationStatus":"none","roles":[],"verdict":"unknown"`
	for entity, want := range map[string]string{
		`{"entityType":"User","accountName":"ann","domainName":"CONTOSO","userSid":"S-1","aadUserId":"a","userPrincipalName":"p"}`: `userEvidence {"userAccount":{"accountName":"ann","azureAdUserId":"a","domainName":"CONTOSO","userPrincipalName":"p","userSid":"S-1"}}`,
		`{"entityType":"Ip","ipAddress":"198.51.100.1"}`:  `ipEvidence {"ipAddress":"198.51.100.1"}`,
		`{"entityType":"Url","url":"http://example.org"}`: `urlEvidence {"url":"http://example.org"}`,
		`{"entityType":"File","sha1":"1","sha256":"2","md5":"3","fileName":"n","filePath":"p","deviceId":"d","detectionStatus":"Blocked"}`:            `fileEvidence {"detectionStatus":"blocked","fileDetails":{"fileName":"n","filePath":"p","md5":"3","sha1":"1","sha256":"2"},"mdeDeviceId":"d"}`,
		`{"entityType":"Process","processId":"7","processCreationTime":"2026-03-04 05:00:01","parentProcessId":0,"parentProcessFileName":"e"}`:        `processEvidence {"parentProcessId":0,"parentProcessImageFile":{"fileName":"e"},"processCreationDateTime":"2026-03-04T05:00:01.0000000Z","processId":7}`,
		`{"entityType":"Process","processId":"many","processCreationTime":"1601-01-01T00:00:00Z","parentProcessCreationTime":"soon","userSid":"S-1"}`: `processEvidence {"userAccount":{"userSid":"S-1"}}`,
		`{"entityType":"MailBox","mailboxAddress":"a@b.example","userPrincipalName":"p","mailboxDisplayName":"d"}`:                                    `mailboxEvidence {"displayName":"d","primaryAddress":"a@b.example","upn":"p","userAccount":{"displayName":"d","userPrincipalName":"p"}}`,
		`{"entityType":"MailMessage","sender":"s","recipient":"r","subject":"t","deliveryAction":"DeliveredAsSpam"}`:                                  `analyzedMessageEvidence {"deliveryAction":"deliveredAsSpam","p2Sender":{"emailAddress":"s"},"recipientEmailAddress":"r","subject":"t"}`,
		`{"entityType":"MailCluster","clusterBy":"Subject"}`:                                                                                          `mailClusterEvidence {"clusterBy":"Subject"}`,
		`{"entityType":"SecurityGroup","securityGroupId":"g","securityGroupName":"n"}`:                                                                `securityGroupEvidence {"displayName":"n","securityGroupId":"g"}`,
		`{"entityType":"Registry","registryHive":"h","registryKey":"k","registryValue":"v","registryValueType":"t","deviceId":"d"}`:                   `registryKeyEvidence {"registryHive":"h","registryKey":"k"}`,
		`{"entityType":"Registry","registryHive":"h","registryKey":"k","registryValueName":"n","registryValue":"v","deviceId":"d"}`:                   `registryValueEvidence {"mdeDeviceId":"d","registryHive":"h","registryKey":"k","registryValue":"v","registryValueName":"n"}`,
		`{"entityType":"mailbox","mailboxAddress":7,"userPrincipalName":null}`:                                                                        `mailboxEvidence {"primaryAddress":"7"}`,
		`{"entityType":"Odd","x":null,"y":[],"z":{"a":1},"evidenceCreationTime":null}`:                                                                `Odd {"z":{"a":1}}`,
		`{"entityType":null,"x":null}`: `alertEvidence {}`,
		`{}`:                           `alertEvidence {}`,
	} {
		all, err := Entities("entities", json.RawMessage("["+entity+"]"), created)
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v %v", entity, all, err)
		}
		e := all[0]
		kind, own, _ := strings.Cut(want, " ")
		var got, wanted map[string]any
		_ = json.Unmarshal(e.Body, &got)
		if err := json.Unmarshal([]byte(own), &wanted); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(`{"@odata.type":"#microsoft.graph.security.`+kind+`",`+base+`}`), &wanted)
		if diff := cmp.Diff(wanted, got); diff != "" || e.Type != kind || string(e.Original) != entity {
			t.Errorf("%s: %s\n%s", entity, e.Type, diff)
		}
	}
}

func TestWhatEvidenceSaysOfItselfIsKept(t *testing.T) {
	all, err := Entities("evidence", json.RawMessage(`[{"entityType":"Ip","evidenceCreationTime":"2026-03-04T06:00:00Z","verdict":"NoThreatsFound","remediationStatus":"Active","roles":["Attacked"],"tags":["a"]}]`), created)
	want := `{"@odata.type":"#microsoft.graph.security.ipEvidence","createdDateTime":"2026-03-04T06:00:00.0000000Z","remediationStatus":"active","roles":["attacked"],"tags":["a"],"verdict":"noThreatsFound"}`
	if err != nil || string(all[0].Body) != want {
		t.Errorf("%s %v, want %s", all[0].Body, err, want)
	}
}

func TestAListMayBeMissingAndWhatIsNoneIsNamed(t *testing.T) {
	for _, field := range []string{"", "null", "[]"} {
		if all, err := Devices("devices", json.RawMessage(field), created); err != nil || len(all) > 0 {
			t.Errorf("%q: %v %v", field, all, err)
		}
	}
	for field, want := range map[string]string{`{}`: "devices: it is an object, want a list", `"[]"`: "devices: it is a text, want a list",
		`[{},[]]`: "devices 2: ", `[null]`: "devices 1: "} {
		if _, err := Devices("devices", json.RawMessage(field), created); !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", field, err, want)
		}
	}
}
