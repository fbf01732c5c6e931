package story

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
)

var update = flag.Bool("update", false, "record the goldens anew")

// phishing is an attack by hand, from a mail to exfiltration, as four products see it.
func phishing() *kit {
	k := &kit{}
	pc, srv := k.device("m-pc7", "PC7"), k.device("m-srv2", "SRV2")
	ann, bob := k.user("ann"), k.user("adm-bob")
	box, ip, c2 := k.mailbox("ann"), k.ip("203.0.113.7"), k.ip("198.51.100.9")
	doc := k.file("invoice march.docm")
	word, shell, dump := k.proc("m-pc7", "100"), k.proc("m-pc7", "200"), k.proc("m-pc7", "300")
	mail := k.see(graph.KindMailMessage, graph.KeyNetworkMessageID, "11111111-2222-3333-4444-555555555555", "")
	app := k.see(graph.KindCloudApplication, graph.KeyAppInstance, "20595.0", "Dropbox")

	device := func(id graph.ID, mde string, roles ...string) graph.Evidence {
		return ev("deviceEvidence", id, obj{"mdeDeviceId": mde, "roles": roles, "verdict": "suspicious"})
	}
	user := func(id graph.ID, name string, roles ...string) graph.Evidence {
		return ev("userEvidence", id, obj{"userAccount": obj{"accountName": name}, "roles": roles, "verdict": "suspicious"})
	}
	process := func(id graph.ID, name, parent string, extra obj, mentions ...graph.ID) graph.Evidence {
		body := obj{"mdeDeviceId": "m-pc7", "verdict": "malicious", "imageFile": obj{"fileName": name},
			"userAccount": obj{"accountName": "ann", "domainName": "CONTOSO"}}
		if parent != "" {
			body["parentProcessImageFile"] = obj{"fileName": parent}
		}
		for name, v := range extra {
			body[name] = v
		}
		return ev("processEvidence", id, body, mentions...)
	}
	address := func(id graph.ID, text string, roles ...string) graph.Evidence {
		return ev("ipEvidence", id, obj{"ipAddress": text, "roles": roles, "verdict": "suspicious"})
	}

	k.alert("o1", 0, graph.ServiceDefenderOffice, "Email messages containing malicious file removed after delivery", "InitialAccess", []string{"T1566.001"},
		ev("analyzedMessageEvidence", mail, obj{"subject": "Your invoice", "recipientEmailAddress": "ann@contoso.com", "attachmentsCount": 1,
			"deliveryAction": "Delivered", "p2Sender": obj{"emailAddress": "billing@example.net"}, "verdict": "malicious", "remediationStatus": "remediated"}, box),
		ev("fileEvidence", doc, obj{"fileDetails": obj{"fileName": "invoice march.docm"}, "verdict": "malicious", "remediationStatus": "remediated"}),
		ev("mailboxEvidence", box, obj{"primaryAddress": "ann@contoso.com"}))
	k.alert("e1", 9, graph.ServiceDefenderEndpoint, "Suspicious PowerShell command line", "Execution", []string{"T1059.001"},
		device(pc, "m-pc7"), process(shell, "powershell.exe", "WINWORD.EXE", obj{"remediationStatus": "active"}, word, ann))
	k.alert("e2", 11, graph.ServiceDefenderEndpoint, "Connection to a command and control server", "CommandAndControl", []string{"T1071.001"},
		device(pc, "m-pc7"), process(shell, "powershell.exe", "WINWORD.EXE", nil, word, ann), address(c2, "198.51.100.9", "commandAndControl"))
	a := k.alert("e3", 20, graph.ServiceDefenderEndpoint, "Sensitive credential memory read", "CredentialAccess", []string{"T1003.001", "T1550"},
		device(pc, "m-pc7"), process(dump, "procdump64.exe", "powershell.exe", nil, shell, ann))
	a.Severity = graph.SeverityHigh
	k.alert("e4", 26, graph.ServiceDefenderEndpoint, "Sensitive credential memory read", "CredentialAccess", []string{"T1003.001"},
		device(pc, "m-pc7"), process(dump, "procdump64.exe", "powershell.exe", nil, shell, ann))
	k.alert("i1", 41, graph.ServiceDefenderIdentity, "Suspected overpass-the-hash attack (Kerberos)", "LateralMovement", []string{"T1550.002"},
		device(pc, "m-pc7", "source"), device(srv, "m-srv2", "destination"), user(bob, "adm-bob", "compromised"))
	k.alert("c1", 60, graph.ServiceDefenderCloudApp, "Suspicious inbox forwarding", "Collection", []string{"T1114.003"},
		ev("mailboxConfigurationEvidence", graph.ID{}, obj{"configurationType": "mailForwardingRule", "mailboxPrimaryAddress": "ann@contoso.com"}, box),
		user(ann, "ann", "compromised"), address(ip, "203.0.113.7", "source"))
	a = k.alert("c2", 75, graph.ServiceDefenderCloudApp, "Mass upload to a personal storage", "Exfiltration", []string{"T1567.002"},
		device(srv, "m-srv2"), user(bob, "adm-bob"), ev("cloudApplicationEvidence", app, obj{"displayName": "Dropbox"}))
	a.Severity = graph.SeverityHigh
	k.alert("e5", 76, graph.ServiceDefenderEndpoint, "'Wacatac' malware was prevented", "Malware", nil,
		device(srv, "m-srv2"), ev("fileEvidence", k.file("update.exe"), obj{"mdeDeviceId": "m-srv2", "detectionStatus": "prevented",
			"fileDetails": obj{"fileName": "update.exe"}, "verdict": "malicious"}),
		ev("malwareEvidence", graph.ID{}, obj{"name": "Wacatac"}))
	return k
}

func TestAPhishingAttackIsToldFromMailToExfiltration(t *testing.T) {
	s := phishing().story(t)
	var text bytes.Buffer
	if err := Text(s, &text, TextOptions{Width: 110}); err != nil {
		t.Fatal(err)
	}
	golden(t, "phishing.txt", text.Bytes())
	steps, err := json.MarshalIndent(struct {
		Steps []Step
		Entry *Entry
	}{s.Steps, s.Entry}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "phishing.json", append(steps, '\n'))
}

func TestColorOnlyMarksSeverities(t *testing.T) {
	s := phishing().story(t)
	var text bytes.Buffer
	if err := Text(s, &text, TextOptions{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "phishing.ansi", text.Bytes())
}

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
		t.Errorf("%s differs (-want +got); -update records it anew:\n%s", name, diff)
	}
}
