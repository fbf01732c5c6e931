package graph_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

func TestKeysAreNormalised(t *testing.T) {
	for _, c := range []struct {
		kind     graph.Kind
		typ      graph.KeyType
		in, want string // want "" means: no key
	}{
		{graph.KindDevice, graph.KeyMdeDeviceID, " ABC ", "abc"},
		{graph.KindDevice, graph.KeyAzureADDeviceID, "{A0000000-B000-C000-D000-E00000000000}", "a0000000-b000-c000-d000-e00000000000"},
		{graph.KindDevice, graph.KeyAzureADDeviceID, "A0000000B000C000D000E00000000000", "a0000000-b000-c000-d000-e00000000000"},
		{graph.KindDevice, graph.KeyAzureADDeviceID, "00000000-0000-0000-0000-000000000000", ""},
		{graph.KindDevice, graph.KeyDNSName, "PC1.Contoso.COM.", "pc1.contoso.com"},
		{graph.KindDevice, graph.KeyHostName, "none", ""},
		{graph.KindDomain, graph.KeyDomainName, "BÜCHER.example", "xn--bcher-kva.example"},
		{graph.KindIdentity, graph.KeySID, "s-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001"},
		{graph.KindIdentity, graph.KeySID, "S-1-5-18", ""},
		{graph.KindIdentity, graph.KeySID, "S-1-5-32-544", ""},
		{graph.KindIdentity, graph.KeySID, "S-1-5-21-1-2-3-500", ""},
		{graph.KindIdentity, graph.KeySID, "S-2-2-78", ""},
		{graph.KindIdentity, graph.KeyBuiltInSID, "S-1-5-18", "S-1-5-18"},
		{graph.KindIdentity, graph.KeyBuiltInSID, "S-1-5-21-1-2-3-1001", ""},
		{graph.KindIdentity, graph.KeyUserPrincipalName, "Ann@Contoso.COM", "ann@contoso.com"},
		{graph.KindIdentity, graph.KeyUserPrincipalName, "ann", ""},
		{graph.KindIdentity, graph.KeyUserPrincipalName, "@contoso.com", ""},
		{graph.KindMailbox, graph.KeyPrimaryAddress, "SMTP:ann@BÜCHER.example", "ann@xn--bcher-kva.example"},
		{graph.KindFile, graph.KeySHA1, strings.Repeat("AB", 20), strings.Repeat("ab", 20)},
		{graph.KindFile, graph.KeySHA1, strings.Repeat("AB", 16), ""},
		{graph.KindFile, graph.KeySHA1, strings.Repeat("zz", 20), ""},
		{graph.KindFile, graph.KeyMD5, strings.Repeat("0", 32), ""},
		{graph.KindIPAddress, graph.KeyIPAddress, "::ffff:203.0.113.7", "203.0.113.7"},
		{graph.KindIPAddress, graph.KeyIPAddress, "2001:DB8:0:0::1", "2001:db8::1"},
		{graph.KindIPAddress, graph.KeyIPAddress, "10.1.2.3", ""},
		{graph.KindIPAddress, graph.KeyIPAddress, "100.64.1.1", ""},
		{graph.KindIPAddress, graph.KeyIPAddress, "fe80::1%eth0", ""},
		{graph.KindIPAddress, graph.KeyPrivateIPAddress, "fe80::1%eth0", "fe80::1"},
		{graph.KindIPAddress, graph.KeyPrivateIPAddress, "203.0.113.7", ""},
		{graph.KindIPAddress, graph.KeyIPAddress, "not an address", ""},
		{graph.KindURL, graph.KeyURL, "HTTPS://Evil.Example:443/A?b#c", "https://evil.example/A?b"},
		{graph.KindURL, graph.KeyURL, "http://evil.example", "http://evil.example/"},
		{graph.KindURL, graph.KeyURL, "http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"},
		{graph.KindURL, graph.KeyURL, "evil.example/x", "evil.example/x"},
		{graph.KindURL, graph.KeyURL, "\x00", ""},
		{graph.KindDevice, graph.KeySHA256, "x", ""},
		{graph.KindAlert, graph.KeyName, "x", ""},
	} {
		k, ok := graph.NewKey(c.kind, c.typ, c.in)
		if k.Value != c.want || ok != (c.want != "") {
			t.Errorf("%s %s %q: %q (%v), want %q", c.kind, c.typ, c.in, k.Value, ok, c.want)
		}
	}
}

func TestStrongKeysStandBeforeWeakOnes(t *testing.T) {
	for _, kind := range allKinds() {
		rows, weak := graph.KeyTable(kind), false
		if len(rows) == 0 {
			t.Errorf("%s has no keys", kind)
		}
		for _, r := range rows {
			if r.Strength == graph.Strong && weak {
				t.Errorf("%s: strong %s stands behind a weak key", kind, r.Type)
			}
			weak = weak || r.Strength == graph.Weak
		}
	}
}

func TestALongValueStillIdentifies(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	a, _ := graph.NewKey(graph.KindURL, graph.KeyURL, long+"a")
	b, _ := graph.NewKey(graph.KindURL, graph.KeyURL, long+"b")
	if a == b || len(a.Value) > 1100 || !utf8.ValidString(a.Value) {
		t.Errorf("values of %d bytes, equal: %v", len(a.Value), a == b)
	}
}

// The conversion of a host name to ASCII is quadratic: a label of a megabyte took minutes.
func TestAHugeValueIsNormalisedAtOnce(t *testing.T) {
	huge := strings.Repeat("ü", 1<<16)
	for _, v := range []string{huge, "http://" + huge, "x@" + huge} {
		for _, kind := range allKinds() {
			for _, row := range graph.KeyTable(kind) {
				if k, _ := graph.NewKey(kind, row.Type, v); len(k.Value) > 1100 {
					t.Errorf("%s keeps %d bytes", row.Type, len(k.Value))
				}
			}
		}
	}
}

func TestIDsReadBackAndKeepTheirKind(t *testing.T) {
	for _, kind := range append(allKinds(), graph.KindAlert, graph.KindObservation) {
		id := graph.NewID(kind, "x")
		back, err := graph.ParseID(id.String())
		if err != nil || back != id || back.Kind() != kind {
			t.Errorf("%s reads back as %s (%v)", id, back, err)
		}
	}
	for _, bad := range []string{"", "_", "device", "device_", "unknown_" + strings.Repeat("a", 24), "device_" + strings.Repeat("a", 23), "device_" + strings.Repeat("1", 24), "nonsense_" + strings.Repeat("a", 24), strings.Repeat("x", 1<<20)} {
		if _, err := graph.ParseID(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q: error %v", bad, err)
		}
	}
	if graph.NewID(graph.KindDevice, "ab", "c") == graph.NewID(graph.KindDevice, "a", "bc") {
		t.Error("the borders of the parts are not part of the id")
	}
}

func TestIncidentIDsAreSmallDecimals(t *testing.T) {
	if id, err := graph.ParseIncidentID("42"); err != nil || id.String() != "42" {
		t.Errorf("%s, %v", id, err)
	}
	for _, bad := range []string{"", "0", "-1", "+1", "01", "1.0", "0x1", "9999999999999999999999", "１"} {
		if id, err := graph.ParseIncidentID(bad); err == nil {
			t.Errorf("%q is incident %d", bad, id)
		}
	}
}

func FuzzNewKey(f *testing.F) {
	f.Add("PC1.contoso.com")
	f.Add("http://[::1%25eth0]:0/\x1f")
	f.Add("S-1-5-21-1-2-3-1001")
	f.Fuzz(func(t *testing.T, v string) {
		for _, kind := range allKinds() {
			for _, row := range graph.KeyTable(kind) {
				k, ok := graph.NewKey(kind, row.Type, v)
				if !ok || strings.Contains(strings.ToLower(k.Value), "~sha256:") {
					continue // a shortened value is no longer what it was made of
				}
				again, ok := graph.NewKey(kind, row.Type, k.Value)
				if !ok || again != k {
					t.Errorf("%s: %q normalises to %q, and that to %q", row.Type, v, k.Value, again.Value)
				}
			}
		}
	})
}
