package scenario

import (
	"strings"
	"testing"
	"time"
)

func TestScaleGivesTwoHundredOverlappingIncidents(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 8,000 alerts")
	}
	c := made(t)(Generate(Scale(200)))
	label, span := labels(c), map[string][2]time.Time{}
	if len(label) != len(c.Truth()) {
		t.Errorf("%d alerts, %d provider ids", len(c.Truth()), len(label))
	}
	owner := map[string]string{} // strong key of a person or workstation → the attack that it plays in
	proxied, shells := map[string]bool{}, map[string]bool{}
	for _, r := range mainPages(t, c) {
		l := label[str(r, "providerAlertId")]
		noteHubs(r, proxied, shells)
		if strings.HasPrefix(l, "noise") {
			continue
		}
		widen(span, l, graphTime(t, r, "firstActivityDateTime"), graphTime(t, r, "lastActivityDateTime"))
		for _, key := range castOf(r) {
			if o, taken := owner[key]; taken && o != l {
				t.Errorf("%s plays in %s and %s", key, o, l)
			}
			owner[key] = l
		}
	}
	if len(span) != 200 {
		t.Errorf("%d incidents", len(span))
	}
	if n := mostAtOnce(span); n < 20 {
		t.Errorf("at most %d at the same time", n)
	}
	if len(proxied) < 100 || len(shells) < 100 {
		t.Errorf("the proxy serves %d users, PowerShell is on %d devices: no hubs", len(proxied), len(shells))
	}
	t.Logf("%d alerts, at most %d incidents at once, proxy: %d users, PowerShell: %d devices", len(label), mostAtOnce(span), len(proxied), len(shells))
}

// castOf are the things that no two incidents may share: compromised devices and accounts, and attackers'
// machines.
func castOf(r record) []string {
	var out []string
	add := func(key string) {
		if key != "" {
			out = append(out, key)
		}
	}
	for _, e := range evidenceOf(r, "") {
		roles, _ := e["roles"].([]any)
		for _, role := range roles {
			switch {
			case role == "compromised":
				add(str(e, "mdeDeviceId") + str(e, "userAccount", "userSid"))
			case role == "commandAndControl":
				add(str(e, "ipAddress") + str(e, "url"))
			}
		}
	}
	return out
}

func noteHubs(r record, proxied, shells map[string]bool) {
	for _, e := range evidenceOf(r, "ipEvidence") {
		if users := evidenceOf(r, "userEvidence"); str(e, "ipAddress") == proxyIP && len(users) > 0 {
			proxied[str(users[0], "userAccount", "userPrincipalName")] = true
		}
	}
	for _, e := range evidenceOf(r, "processEvidence") {
		if str(e, "imageFile", "sha256") == systemFile("powershell.exe").sha256 {
			shells[str(e, "mdeDeviceId")] = true
		}
	}
}

func widen(span map[string][2]time.Time, label string, first, last time.Time) {
	s, ok := span[label]
	if !ok {
		s = [2]time.Time{first, last}
	}
	if first.Before(s[0]) {
		s[0] = first
	}
	if last.After(s[1]) {
		s[1] = last
	}
	span[label] = s
}

func mostAtOnce(span map[string][2]time.Time) int {
	most := 0
	for _, a := range span {
		n := 0
		for _, b := range span {
			if !a[0].Before(b[0]) && !a[0].After(b[1]) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
