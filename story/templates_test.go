package story

import (
	"regexp"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// Shorthands for evidence without nodes.

func dev(name string, roles ...string) graph.Evidence {
	return ev("deviceEvidence", graph.ID{}, obj{"deviceDnsName": name, "mdeDeviceId": "m-" + name, "roles": roles})
}

func usr(name string, roles ...string) graph.Evidence {
	return ev("userEvidence", graph.ID{}, obj{"userAccount": obj{"accountName": name}, "roles": roles})
}

func prc(name, parent, account string) graph.Evidence {
	return ev("processEvidence", graph.ID{}, obj{"mdeDeviceId": "m-PC7", "imageFile": obj{"fileName": name},
		"parentProcessImageFile": obj{"fileName": parent}, "userAccount": obj{"accountName": account}})
}

func addr(ip string, roles ...string) graph.Evidence {
	return ev("ipEvidence", graph.ID{}, obj{"ipAddress": ip, "roles": roles})
}

func fil(name, device string) graph.Evidence {
	return ev("fileEvidence", graph.ID{}, obj{"fileDetails": obj{"fileName": name}, "mdeDeviceId": device})
}

func msg(to, action string) graph.Evidence { return msgFrom("eve@example.net", to, action) }

func msgFrom(from, to, action string) graph.Evidence {
	return ev("analyzedMessageEvidence", graph.ID{}, obj{"recipientEmailAddress": to, "deliveryAction": action,
		"subject": "Hello", "p1Sender": obj{"emailAddress": from}})
}

func named(typ, name string) graph.Evidence {
	return ev(typ, graph.ID{}, obj{"displayName": name, "name": name})
}

func link(u string, roles ...string) graph.Evidence {
	return ev("urlEvidence", graph.ID{}, obj{"url": u, "roles": roles})
}

func rule(typ string) graph.Evidence {
	return ev("mailboxConfigurationEvidence", graph.ID{}, obj{"configurationType": typ, "upn": "ann@contoso.com"})
}

func box() graph.Evidence {
	return ev("mailboxEvidence", graph.ID{}, obj{"primaryAddress": "ann@contoso.com"})
}

type with = []graph.Evidence

var tellings = []struct {
	name, category, techniques string
	evidence                   with
	want                       string
}{
	{"delivered mail names sender and recipient", "InitialAccess", "T1566.002", with{msg("ann@contoso.com", "Delivered"), link("https://login.example.net/")},
		"Mail “Hello” from eve@example.net with link https://login.example.net/ was delivered to ann@contoso.com"},
	{"many recipients are counted", "InitialAccess", "T1566", with{msg("c@contoso.com", "Delivered"), msg("a@contoso.com", "Delivered"), msg("b@contoso.com", "Delivered"), msg("d@contoso.com", "Blocked")},
		"Mail “Hello” from eve@example.net was delivered to a@contoso.com and 2 others"},
	{"junked mail was not delivered", "InitialAccess", "T1566", with{msg("ann@contoso.com", "DeliveredAsSpam")}, "Mail “Hello” from eve@example.net went to the junk folder of ann@contoso.com"},
	{"mail of unknown fate was only sent", "InitialAccess", "T1566", with{msg("ann@contoso.com", "")}, "Mail “Hello” from eve@example.net was sent to ann@contoso.com"},
	{"blocked mail was blocked", "InitialAccess", "T1566", with{msg("ann@contoso.com", "Blocked")}, "Mail “Hello” from eve@example.net to ann@contoso.com was blocked"},
	{"mail that was perhaps delivered first is only quarantined", "InitialAccess", "T1566", with{ev("analyzedMessageEvidence", graph.ID{}, obj{"recipientEmailAddress": "ann@contoso.com", "deliveryAction": "Blocked", "deliveryLocation": "Quarantine"})},
		"Mail to ann@contoso.com was quarantined"},
	{"of two senders the one whose mail arrived is told", "InitialAccess", "T1566", with{msgFrom("bad@example.net", "ann@contoso.com", "Blocked"), msg("ann@contoso.com", "Delivered")},
		"Mail “Hello” from eve@example.net was delivered to ann@contoso.com"},
	{"a clicked link", "Execution", "T1204.001", with{usr("ann"), link("https://x.example.net/"), dev("PC7")}, "ann opened the link https://x.example.net/ on PC7"},
	{"a forwarding rule", "Collection", "T1114.003", with{rule("mailForwardingRule"), usr("ann", "compromised"), addr("203.0.113.7")}, "A forwarding rule was set on ann@contoso.com's mailbox with account ann from 203.0.113.7"},
	{"an inbox rule", "DefenseEvasion", "T1564.008", with{rule("userInboxRule")}, "An inbox rule was set on ann@contoso.com's mailbox"},
	{"a delegation", "Persistence", "T1098.002", with{rule("mailDelegation")}, "Access to ann@contoso.com's mailbox was delegated"},
	{"a forwarding rule seen by the mailbox alone", "Collection", "T1114.003", with{box()}, "A forwarding rule was set on ann@contoso.com's mailbox"},
	{"a hiding rule seen by the mailbox alone", "DefenseEvasion", "T1564.008", with{box()}, "An inbox rule that hides mail was set on ann@contoso.com's mailbox"},
	{"a hiding rule seen by the user alone", "DefenseEvasion", "T1564.008", with{usr("ann")}, "An inbox rule that hides mail was set with account ann"},
	{"LSASS by a process", "CredentialAccess", "T1003.001", with{dev("PC7"), prc("procdump.exe", "", "ann")}, "Credentials were taken from LSASS on PC7 by procdump.exe as ann"},
	{"LSASS on a device", "CredentialAccess", "T1003.001", with{dev("PC7")}, "Credentials were taken from LSASS on PC7"},
	{"SAM", "CredentialAccess", "T1003.002", with{dev("PC7"), prc("reg.exe", "", "")}, "Credentials were taken from the Security Account Manager on PC7 by reg.exe"},
	{"NTDS", "CredentialAccess", "T1003.003", with{dev("DC1")}, "Credentials were taken from the directory database on DC1"},
	{"DCSync has two sides", "CredentialAccess", "T1003.006", with{dev("DC1", "destination"), dev("PC7", "source"), usr("adm-bob")}, "Directory credentials were replicated from DC1 to PC7 with account adm-bob"},
	{"DCSync with one side", "CredentialAccess", "T1003.006", with{dev("PC7")}, "Credentials were taken on PC7"},
	{"Kerberoasting", "CredentialAccess", "T1558.003", with{usr("ann"), dev("PC7", "source")}, "ann asked for Kerberos service tickets to crack from PC7"},
	{"a password spray", "CredentialAccess", "T1110.003", with{usr("ann", "attacked"), addr("203.0.113.7", "attacker")}, "Passwords were sprayed at ann from 203.0.113.7"},
	{"guessed passwords", "CredentialAccess", "T1110", with{usr("ann"), usr("bob")}, "Passwords were guessed for ann and bob"},
	{"stored passwords", "CredentialAccess", "T1555.003", with{dev("PC7")}, "Stored passwords were taken on PC7"},
	{"unprotected credentials", "CredentialAccess", "T1552.001", with{dev("PC7")}, "Unprotected credentials were read on PC7"},
	{"tokens through an application", "CredentialAccess", "T1528", with{usr("ann"), named("oauthApplicationEvidence", "Mail Helper")}, "Access tokens of ann were taken through the application “Mail Helper”"},
	{"exfiltration by a process", "Exfiltration", "T1041", with{dev("PC7"), prc("rclone.exe", "", ""), addr("203.0.113.7", "destination")}, "Data went from PC7 to 203.0.113.7 by rclone.exe"},
	{"exfiltration to an application", "Exfiltration", "T1567", with{dev("PC7"), named("cloudApplicationEvidence", "Dropbox"), usr("ann")}, "Data went from PC7 to Dropbox as ann"},
	{"exfiltration to an address", "Exfiltration", "T1048", with{dev("PC7"), addr("203.0.113.7", "destination")}, "Data went from PC7 to 203.0.113.7"},
	{"exfiltration in the cloud", "Exfiltration", "T1567", with{usr("ann"), named("cloudApplicationEvidence", "Dropbox"), addr("203.0.113.7")}, "Data went to Dropbox as ann from 203.0.113.7"},
	{"archived data", "Collection", "T1560.001", with{dev("PC7"), prc("rar.exe", "", ""), fil("out.rar", "m-PC7")}, "Data on PC7 was archived into out.rar by rar.exe"},
	{"collected mail", "Collection", "T1114.002", with{box(), addr("203.0.113.7")}, "Mail of ann@contoso.com was collected from 203.0.113.7"},
	{"collected files", "Collection", "T1213.002", with{usr("ann"), named("cloudApplicationEvidence", "SharePoint")}, "ann collected data from SharePoint"},
	{"collected storage", "Collection", "T1530", with{named("blobContainerEvidence", "backups")}, "Data was collected from backups"},
	{"encryption", "Impact", "T1486", with{dev("PC7")}, "Files were encrypted on PC7"},
	{"recovery", "Impact", "T1490", with{dev("PC7"), prc("vssadmin.exe", "", "")}, "Recovery was disabled on PC7 by vssadmin.exe"},
	{"services", "Impact", "T1489", with{dev("PC7")}, "Services were stopped on PC7"},
	{"destruction", "Impact", "T1485", with{dev("PC7")}, "Data was destroyed on PC7"},
	{"a scheduled task by a process", "Persistence", "T1053.005", with{dev("PC7"), prc("schtasks.exe", "", "")}, "A scheduled task was set on PC7 by schtasks.exe"},
	{"a scheduled task on a device", "Persistence", "T1053.005", with{dev("PC7")}, "A scheduled task or job was set on PC7"},
	{"a service", "Execution", "T1569.002", with{dev("PC7")}, "A service was set up or run on PC7"},
	{"a run key", "Persistence", "T1547.001", with{dev("PC7"), ev("registryValueEvidence", graph.ID{}, obj{"registryHive": "HKCU", "registryKey": `Software\Run`, "registryValueName": "x"})}, `HKCU\Software\Run\x was set to start at logon on PC7`},
	{"a created account", "Persistence", "T1136.002", with{usr("new", "created"), usr("adm-bob", "compromised")}, "Account new was created by adm-bob"},
	{"a changed group", "Persistence", "T1098.007", with{usr("new", "added"), named("securityGroupEvidence", "Domain Admins")}, "new was added to Domain Admins"},
	{"application credentials", "Persistence", "T1098.001", with{usr("ann"), named("oauthApplicationEvidence", "CRM")}, "Credentials were added to the application CRM by ann"},
	{"a web shell", "Persistence", "T1505.003", with{dev("WEB1"), fil("x.aspx", "")}, "A web shell was placed on WEB1: x.aspx"},
	{"security tools", "DefenseEvasion", "T1562.001", with{dev("PC7")}, "Security tools were tampered with on PC7"},
	{"traces", "DefenseEvasion", "T1070.001", with{dev("PC7"), prc("wevtutil.exe", "", "")}, "Traces were removed on PC7 by wevtutil.exe"},
	{"injection", "DefenseEvasion", "T1055", with{dev("PC7"), prc("notepad.exe", "", "")}, "Process injection on PC7 involved notepad.exe"},
	{"lateral movement with roles", "Lateral movement", "T1021.002", with{dev("PC7", "source"), dev("SRV2", "destination"), usr("adm-bob", "compromised")}, "PC7 reached SRV2 with account adm-bob"},
	{"a compromised target is not a source", "LateralMovement", "T1021", with{dev("PC7", "compromised"), dev("SRV2", "compromised", "attacked")}, "PC7 reached SRV2"},
	{"lateral movement without roles takes no side", "LateralMovement", "T1021.002", with{dev("PC7"), dev("SRV2")}, "The title on PC7 and SRV2"},
	{"a fetched tool", "CommandAndControl", "T1105", with{fil("nc.exe", ""), dev("PC7"), addr("203.0.113.7", "source")}, "nc.exe was brought to PC7"},
	{"command and control by a process", "CommandAndControl", "T1071", with{dev("PC7"), prc("a.exe", "", ""), link("https://c2.example.net/x", "commandAndControl")}, "a.exe on PC7 connected to https://c2.example.net/x"},
	{"command and control by a device", "CommandAndControl", "", with{dev("PC7"), addr("203.0.113.7", "commandAndControl")}, "PC7 connected to 203.0.113.7"},
	{"a judged sign-in", "InitialAccess", "", with{usr("ann"), addr("203.0.113.7"), ev("cloudLogonRequestEvidence", graph.ID{}, obj{"requestId": "1"})}, "ann signed in from 203.0.113.7"},
	{"a valid account", "InitialAccess", "T1078.004", with{usr("ann"), addr("203.0.113.7"), named("cloudApplicationEvidence", "SAP")}, "ann signed in from 203.0.113.7 to SAP"},
	{"a logon", "InitialAccess", "T1078", with{usr("ann"), dev("PC7"), ev("hostLogonSessionEvidence", graph.ID{}, obj{"sessionId": "1"})}, "ann logged on to PC7"},
	{"an exposed service", "InitialAccess", "T1190", with{dev("WEB1"), addr("203.0.113.7", "attacker")}, "WEB1 was attacked through an exposed service from 203.0.113.7"},
	{"discovery between two", "Discovery", "T1087.002", with{dev("PC7", "source"), dev("DC1", "destination")}, "PC7 gathered information from DC1"},
	{"discovery by a process", "Discovery", "T1082", with{dev("PC7"), prc("whoami.exe", "cmd.exe", "ann")}, "whoami.exe gathered information on PC7 as ann"},
	{"a started process", "Execution", "T1059.001", with{dev("PC7"), prc("powershell.exe", "WINWORD.EXE", "ann")}, "WINWORD.EXE started powershell.exe on PC7 as ann"},
	{"a process that ran", "Execution", "T1059", with{dev("PC7"), prc("powershell.exe", "", "")}, "powershell.exe ran on PC7"},
	{"an opened file", "Execution", "T1204.002", with{dev("PC7"), fil("a.docm", "m-PC7")}, "a.docm was opened on PC7"},
	{"malware", "Malware", "", with{dev("PC7"), fil("a.exe", "m-pc7"), named("malwareEvidence", "Emotet")}, "Malware Emotet was found in a.exe on PC7"},
	{"the title on a device", "Malware", "", with{dev("PC7"), usr("ann")}, "The title on PC7 (ann)"},
	{"the title of a user", "", "", with{usr("ann")}, "The title (ann)"},
	{"the title of a mailbox", "", "", with{box()}, "The title (ann@contoso.com)"},
	{"the title on a resource", "", "", with{named("blobContainerEvidence", "backups")}, "The title on backups"},
	{"the title alone", "", "T9999.001", nil, "The title"},

	{"of two processes none is blamed", "CredentialAccess", "T1003.001", with{dev("PC7"), prc("a.exe", "", ""), prc("b.exe", "", "")}, "Credentials were taken from LSASS on PC7"},
	{"LSASS does not take its own credentials", "CredentialAccess", "T1003.001", with{dev("PC7"), prc("lsass.exe", "wininit.exe", "")}, "Credentials were taken from LSASS on PC7"},
	{"a registry value is named rather than its key", "Persistence", "T1547.001", with{ev("registryKeyEvidence", graph.ID{}, obj{"registryKey": "Run"}), ev("registryValueEvidence", graph.ID{}, obj{"registryKey": "Run", "registryValueName": "x"})}, `Run\x was set to start at logon`},
	{"a process whose device is not the only one is on none", "Execution", "T1059", with{dev("PC1"), dev("PC2"), prc("b.exe", "a.exe", "")}, "a.exe started b.exe"},
	{"context is not named beside the suspect", "InitialAccess", "T1078", with{usr("ann", "compromised"), usr("zoe", "contextual"), addr("203.0.113.7")}, "ann signed in from 203.0.113.7"},
	{"a technique of another tactic does not decide", "LateralMovement", "T1543.003 T1021", with{dev("PC7", "source"), dev("SRV2", "attacked")}, "PC7 reached SRV2"},
}

func sceneOf(title, category, techniques string, evidence with) *scene {
	return newScene(graph.Alert{AlertContent: graph.AlertContent{Title: title, Category: category,
		MitreTechniques: strings.Fields(techniques), Evidence: evidence}}, nil)
}

func TestSentencesSayWhatTheEvidenceSays(t *testing.T) {
	for _, c := range tellings {
		t.Run(c.name, func(t *testing.T) {
			if got := sceneOf("The title", c.category, c.techniques, c.evidence).tell().sentence; got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestEveryTemplateTellsSomething(t *testing.T) {
	used := map[string]bool{"Alert from {product}": true, "Alert without a title": true} // see the next test
	for _, c := range tellings {
		m, _, _ := sceneOf("The title", c.category, c.techniques, c.evidence).match()
		used[m.text+m.by] = true
	}
	for _, m := range templates {
		if !used[m.text+m.by] {
			t.Errorf("no case is told by %q of %q", m.text, m.by)
		}
	}
}

func TestAnAlertThatSaysNothingIsStillTold(t *testing.T) {
	if got := sceneOf("\u202e\x00", "", "", nil).tell().sentence; got != "Alert without a title" {
		t.Errorf("got %q", got)
	}
	s := sceneOf("", "", "", nil)
	s.alert.ProductName = "Sensor"
	if got := s.tell().sentence; got != "Alert from Sensor" {
		t.Errorf("got %q", got)
	}
}

func TestTemplatesOnlyUseSlotsAndTechniquesThatExist(t *testing.T) {
	slot := regexp.MustCompile(`\{(\w+)\}`)
	for _, m := range templates {
		for _, found := range slot.FindAllStringSubmatch(m.text, -1) {
			if slots[found[1]] == nil {
				t.Errorf("%q: no slot %q", m.text, found[1])
			}
		}
		for _, name := range strings.Fields(m.actor + " " + m.target) {
			if slots[name] == nil {
				t.Errorf("%q: no slot %q", m.text, name)
			}
		}
		for _, id := range strings.Fields(m.by) {
			if _, ok := attack[id]; !ok {
				t.Errorf("%q: no technique %q", m.text, id)
			}
		}
		if strings.Count(m.text, "[") != strings.Count(m.text, "]") {
			t.Errorf("%q: brackets", m.text)
		}
	}
}
