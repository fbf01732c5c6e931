package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// keysOfKind are the names of natural keys that the graph has, for the kinds used here.
var keysOfKind = map[string][]string{
	"device":   {"mdeDeviceId", "azureAdDeviceId", "dnsName", "hostName"},
	"identity": {"azureAdUserId", "sid", "userPrincipalName", "accountName"},
	"mailbox":  {"primaryAddress", "upn"}, "securityGroup": {"securityGroupId", "activeDirectoryObjectGuid", "sid", "displayName"},
	"software": {"softwareId", "name"}, "vulnerability": {"cveId"},
}

// strongest is the key by which edges name each kind.
var strongest = map[string]string{"device": "mdeDeviceId", "identity": "azureAdUserId", "mailbox": "primaryAddress",
	"securityGroup": "securityGroupId", "software": "softwareId", "vulnerability": "cveId"}

func TestEveryEdgeOfTheInventoryJoinsEntitiesOfIt(t *testing.T) {
	there, edges := map[string]bool{}, map[string]int{}
	for _, r := range records(t, demo(t), "inventory") {
		kind := str(r, "kind")
		if str(r, "type") == "entity" {
			for name := range r["keys"].(record) {
				if !slices.Contains(keysOfKind[kind], name) {
					t.Errorf("%s has no key %s", kind, name)
				}
			}
			there[kind+str(r, "keys", strongest[kind])] = true
			continue
		}
		edges[kind]++
		for _, end := range []string{"from", "to"} {
			k := str(r, end, "kind")
			if id := r[end].(record)["keys"].(record)[strongest[k]]; !there[k+fmt.Sprint(id)] {
				t.Errorf("%s: %s %v is not in the inventory", kind, k, id)
			}
		}
	}
	for _, kind := range []string{"loggedOn", "adminOf", "memberOf", "owns", "hasSoftware", "affects"} {
		if edges[kind] == 0 {
			t.Errorf("no edge %s", kind)
		}
	}
	if len(edges) != 6 {
		t.Errorf("edge kinds %v", edges)
	}
}

func TestTheCompanyIsAsLargeAsAskedAndSaysWhatIsCritical(t *testing.T) {
	count, critical := map[string]int{}, map[string]string{}
	for _, r := range records(t, demo(t), "inventory") {
		if str(r, "type") != "entity" {
			continue
		}
		count[str(r, "kind")]++
		level := str(r, "properties", "criticality")
		if kind := str(r, "kind"); (kind == "device" || kind == "identity" || kind == "mailbox") && !slices.Contains([]string{"veryHigh", "high", "medium", "low"}, level) {
			t.Errorf("%v has the criticality %q", r["keys"], level)
		}
		critical[str(r, "kind")+" "+str(r, "properties", "role")] = level
	}
	if count["device"] != Default().Devices || count["identity"] != Default().Identities || count["mailbox"] < 100 {
		t.Errorf("%v", count)
	}
	for what, level := range map[string]string{"device domainController": "veryHigh", "device fileServer": "high",
		"device workstation": "low", "identity executive": "high", "identity administrator": "high"} {
		want(t, what, critical[what], level)
	}
}

func TestTheAdministratorHadSignedInWhereTheHashWasStolen(t *testing.T) {
	pth := attackAlerts(t)["Suspected identity theft (pass-the-hash)"]
	sid := str(evidenceOf(pth, "userEvidence")[0], "userAccount", "userSid")
	name := str(evidenceOf(pth, "deviceEvidence")[0], "deviceDnsName")
	var admin, pc string
	for _, r := range records(t, demo(t), "inventory") {
		if str(r, "keys", "sid") == sid {
			admin = str(r, "keys", "azureAdUserId")
		}
		if str(r, "keys", "dnsName") == name {
			pc = str(r, "keys", "mdeDeviceId")
		}
		if str(r, "kind") == "loggedOn" && admin != "" && str(r["from"].(record), "keys", "azureAdUserId") == admin && str(r["to"].(record), "keys", "mdeDeviceId") == pc {
			if at := graphTime(t, r, "lastSeen"); !at.Before(graphTime(t, pth, "firstActivityDateTime")) {
				t.Errorf("signed in at %v, after the theft", at)
			}
			return
		}
	}
	t.Error(strings.Join([]string{"no sign-in of", sid, "on", name}, " "))
}
