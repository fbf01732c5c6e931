package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// attackAlerts are the first attack's Graph alerts by title.
func attackAlerts(t *testing.T) map[string]record {
	label, out := labels(demo(t)), map[string]record{}
	for _, r := range mainPages(t, demo(t)) {
		if label[str(r, "providerAlertId")] == "attack-001" {
			out[str(r, "title")] = r
		}
	}
	return out
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got == "" || got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestTheAttackIsOneStoryToldByEveryProduct(t *testing.T) {
	products, number := map[string]bool{}, 0
	var first, last time.Time
	label := labels(demo(t))
	for _, l := range demo(t).Truth() {
		if l.Label == "attack-001" {
			products[l.ServiceSource], number = true, number+1
		}
	}
	for _, r := range mainPages(t, demo(t)) {
		if at := graphTime(t, r, "lastActivityDateTime"); label[str(r, "providerAlertId")] == "attack-001" {
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
	}
	if number < 18 || number > 25 || len(products) != 6 {
		t.Errorf("%d alerts of %v", number, slices.Sorted(maps.Keys(products)))
	}
	if d := last.Sub(first); d < 36*time.Hour || d > 72*time.Hour {
		t.Errorf("the attack lasts %v", d)
	}
	t.Logf("%d alerts, %v", number, last.Sub(first))
}

func TestTheAttachmentIsTheFileThatRanAndTheLoaderIsOnBothDevices(t *testing.T) {
	a := attackAlerts(t)
	mail := evidenceOf(a["Email messages containing malicious file removed after delivery"], "fileEvidence")[0]
	word := evidenceOf(a["Suspicious behavior by Microsoft Word was observed"], "fileEvidence")[0]
	want(t, "sha256 of the attachment", str(mail, "fileDetails", "sha256"), str(word, "fileDetails", "sha256"))
	pc := evidenceOf(a["Suspicious rundll32 activity"], "fileEvidence")[0]
	for _, title := range []string{"Suspicious WMI process creation", "'Lanternfish' backdoor was prevented"} {
		server := evidenceOf(a[title], "fileEvidence")[0]
		want(t, "sha256 of the loader", str(server, "fileDetails", "sha256"), str(pc, "fileDetails", "sha256"))
		if str(server, "mdeDeviceId") == str(pc, "mdeDeviceId") {
			t.Errorf("%s is about the victim's device", title)
		}
	}
}

func TestTheProcessTreeHangsTogetherAcrossAlerts(t *testing.T) {
	a := attackAlerts(t)
	word := evidenceOf(a["Suspicious behavior by Microsoft Word was observed"], "processEvidence")
	shell := evidenceOf(a["Suspicious PowerShell command line"], "processEvidence")[0]
	rundll := evidenceOf(a["Suspicious rundll32 activity"], "processEvidence")[0]
	dump := evidenceOf(a["Suspicious access to LSASS service"], "processEvidence")[0]
	for _, pair := range [][2]record{{word[0], word[1]}, {word[0], shell}, {shell, rundll}, {rundll, dump}} {
		want(t, "parent's creation", str(pair[1], "parentProcessCreationDateTime"), str(pair[0], "processCreationDateTime"))
		want(t, "parent's pid", fmt.Sprint(pair[1]["parentProcessId"]), fmt.Sprint(pair[0]["processId"]))
		want(t, "device", str(pair[1], "mdeDeviceId"), str(pair[0], "mdeDeviceId"))
	}
	if len(str(shell, "processCreationDateTime")) < len("2026-03-09T07:44:06.06409Z") {
		t.Error("no fraction beyond microseconds is tried")
	}
}

func TestEachProductNamesThingsByItsOwnKeys(t *testing.T) {
	a := attackAlerts(t)
	pth := a["Suspected identity theft (pass-the-hash)"]
	user := func(title string) record { return evidenceOf(a[title], "userEvidence")[0]["userAccount"].(record) }
	for _, v := range evidenceOf(pth, "deviceEvidence") {
		if v["mdeDeviceId"] != nil || v["azureAdDeviceId"] != nil || str(v, "deviceDnsName") == "" {
			t.Errorf("Defender for Identity knows too much of %v", v)
		}
	}
	stolen, used := user("Suspected identity theft (pass-the-hash)"), user("Suspicious service launched")
	want(t, "SID of the stolen account", str(used, "userSid"), str(stolen, "userSid"))
	if stolen["azureAdUserId"] != nil || stolen["userPrincipalName"] != nil {
		t.Errorf("Defender for Identity knows the account as %v", stolen)
	}
	victim, cloud, risk := user("Suspicious PowerShell command line"), user("Suspicious inbox forwarding"), user("Anonymous IP address")
	want(t, "UPN in Cloud Apps", str(cloud, "userPrincipalName"), str(victim, "userPrincipalName"))
	want(t, "Entra id in Identity Protection", str(risk, "azureAdUserId"), str(victim, "azureAdUserId"))
	if cloud["userSid"] != nil || risk["userSid"] != nil {
		t.Error("the cloud products know a SID")
	}
	source := evidenceOf(pth, "deviceEvidence")[0]
	want(t, "DNS name of the source", str(source, "deviceDnsName"), str(evidenceOf(a["Suspicious PowerShell command line"], "deviceEvidence")[0], "deviceDnsName"))
}

func TestTheSentinelSignInIsTheVictims(t *testing.T) {
	label, found := labels(demo(t)), false
	victim := evidenceOf(attackAlerts(t)["Suspicious PowerShell command line"], "userEvidence")[0]
	for _, r := range records(t, demo(t), "identity") {
		if str(r, "AlertType") != "UnfamiliarLocation" || label[str(r, "VendorOriginalId")] != "attack-001" {
			continue
		}
		account := r["Entities"].([]any)[0].(record)
		want(t, "AadUserId", str(account, "AadUserId"), str(victim, "userAccount", "azureAdUserId"))
		if found = true; str(account, "Sid") != "" || str(account, "UserPrincipalName") != "" {
			t.Errorf("Entra ID Protection knows the account as %v", account)
		}
	}
	if !found {
		t.Error("no unfamiliar sign-in")
	}
}

func TestSomeAlertsComeInBothShapes(t *testing.T) {
	graph, twice := map[string]record{}, 0
	for _, r := range mainPages(t, demo(t)) {
		graph[str(r, "providerAlertId")] = r
	}
	for _, r := range sentinelRows(t, demo(t)) {
		if g, ok := graph[str(r, "VendorOriginalId")]; ok {
			twice++
			want(t, "title of the other shape", str(r, "DisplayName"), str(g, "title"))
			if link := str(r, "AlertLink"); link != "" {
				want(t, "link of the other shape", link, str(g, "alertWebUrl"))
			}
		}
	}
	if twice < 8 || twice > 14 {
		t.Errorf("%d alerts come in both shapes", twice)
	}
}

func TestALaterVersionIsLater(t *testing.T) {
	for _, c := range []Corpus{demo(t), made(t)(crowded())} {
		versions, later := map[string]time.Time{}, 0
		for _, r := range records(t, c, "defender-alerts") {
			at := graphTime(t, r, "lastUpdateDateTime")
			if old, again := versions[str(r, "id")]; again {
				if later++; !at.After(old) {
					t.Errorf("the later version of %s is not later", str(r, "id"))
				}
			}
			versions[str(r, "id")] = at
		}
		if later < 5 {
			t.Errorf("%d later versions", later)
		}
	}
}

func TestTheTruthHasEveryAlertOnceAndNoiseAlone(t *testing.T) {
	seen, size := map[string]bool{}, map[string]int{}
	for _, l := range demo(t).Truth() {
		if seen[l.ProviderAlertID] {
			t.Errorf("%s twice", l.ProviderAlertID)
		}
		seen[l.ProviderAlertID] = true
		size[l.Label]++
	}
	for _, r := range records(t, demo(t), "defender-alerts") {
		if !seen[str(r, "providerAlertId")] {
			t.Errorf("%s has no label", str(r, "id"))
		}
	}
	noise := 0
	for label, n := range size {
		if strings.HasPrefix(label, "noise") {
			if noise++; n != 1 {
				t.Errorf("%s has %d alerts", label, n)
			}
		}
	}
	if noise != Default().Noise || size["outbreak-001"] < 3 {
		t.Errorf("%d noise labels, %d alerts of the outbreak", noise, size["outbreak-001"])
	}
	if lines := strings.Count(string(demo(t).TruthCSV()), "\n"); lines != len(seen)+1 {
		t.Errorf("%d lines of CSV for %d alerts", lines, len(seen))
	}
}
