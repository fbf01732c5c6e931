package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxKeyValue bounds a key's stored text in bytes. A longer value keeps its head and the hash of the whole,
// so it still identifies.
const maxKeyValue = 1024

func shorten(v string) string {
	if len(v) <= maxKeyValue {
		return v
	}
	sum := sha256.Sum256([]byte(v))
	return strings.ToValidUTF8(v[:maxKeyValue-80], "") + "~sha256:" + hex.EncodeToString(sum[:])
}

// normText drops what cannot be part of a key: white space around, control characters other than the
// border of composite values, invalid UTF-8.
func normText(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\x1f' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

func normLower(s string) string { return strings.ToLower(normText(s)) }
func normUpper(s string) string { return strings.ToUpper(normText(s)) }

// normToken is for ids that products write in either case; the nil GUID and "none" words identify nothing.
func normToken(s string) string {
	s = normLower(s)
	switch s {
	case "0", "-", "none", "null", "unknown", "n/a", "00000000-0000-0000-0000-000000000000":
		return ""
	}
	return s
}

var guidText = regexp.MustCompile(`^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$`)

// normGUID writes a GUID lower-case, with hyphens and without braces. Directory ids that are no GUID
// (other identity providers have them) are kept as tokens.
func normGUID(s string) string {
	s = strings.Trim(normToken(s), "{}()")
	if !guidText.MatchString(s) {
		return normToken(s)
	}
	h := strings.ReplaceAll(s, "-", "")
	return normToken(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

// maxHost bounds a DNS name in bytes of UTF-8: 253 characters of up to four bytes.
const maxHost = 4 * 253

// normHost is a DNS name: lower-case ASCII (IDNA 2008, UTS 46), no final dot, port or path.
func normHost(s string) string {
	s = strings.TrimSuffix(normToken(s), ".")
	if len(s) > maxHost {
		return s // no DNS name, and the conversion to ASCII takes quadratic time
	}
	if a, err := idna.Lookup.ToASCII(s); err == nil {
		return a
	}
	return s // NetBIOS names and others that DNS would refuse still name a host
}

// normAddress is an SMTP address or UPN: lower-case, the domain in ASCII.
func normAddress(s string) string {
	s = strings.TrimPrefix(normToken(s), "smtp:")
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || i == len(s)-1 {
		return ""
	}
	return s[:i+1] + normHost(s[i+1:])
}

func normHex(n int) func(string) string {
	return func(s string) string {
		s = normLower(s)
		if _, err := hex.DecodeString(s); err != nil || len(s) != n {
			return ""
		}
		if strings.Trim(s, "0") == "" {
			return ""
		}
		return s
	}
}

var sidText = regexp.MustCompile(`^S-1-(\d{1,14})((?:-\d{1,10}){1,15})$`)

func normSID(s string) string {
	s = normUpper(s)
	if !sidText.MatchString(s) {
		return ""
	}
	return s
}

// normPersonalSID accepts only SIDs that belong to one account: machine or domain accounts (S-1-5-21-…)
// with a RID of 1000 or more, and Entra ID's (S-1-12-1-…). Well-known SIDs and the built-in accounts and
// groups of a domain (RID < 1000) name another principal on every machine or in every domain.
func normPersonalSID(s string) string {
	s = normSID(s)
	if strings.HasPrefix(s, "S-1-12-1-") {
		return s
	}
	rid := s[strings.LastIndexByte(s, '-')+1:]
	if !strings.HasPrefix(s, "S-1-5-21-") || strings.Count(s, "-") != 7 || len(rid) < 4 {
		return ""
	}
	return s
}

func normBuiltInSID(s string) string {
	if normPersonalSID(s) != "" {
		return ""
	}
	return normUpper(s)
}

// IsBuiltInSID reports whether the SID names a principal that exists on every machine or in every domain.
// A text that is no SID at all, as anonymised data carries, counts too: it cannot prove identity.
func IsBuiltInSID(s string) bool { return normBuiltInSID(s) != "" }

func parseIP(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.Trim(normText(s), "[]"))
	if err != nil {
		return netip.Addr{}, false
	}
	return a.WithZone("").Unmap(), true
}

// sharedRanges are addresses that stand for many hosts: carrier-grade NAT (RFC 6598), "this network",
// IETF protocol assignments, benchmarking, and reserved ranges. Documentation ranges (RFC 5737, RFC 3849)
// are not listed: examples and the demo use them as the Internet's.
var sharedRanges = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

func isPublicIP(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	for _, p := range sharedRanges {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func normPublicIP(s string) string {
	if a, ok := parseIP(s); ok && isPublicIP(a) {
		return a.String()
	}
	return ""
}

func normPrivateIP(s string) string {
	if a, ok := parseIP(s); ok && !isPublicIP(a) {
		return a.String()
	}
	return ""
}

// normURL lowers scheme and host, writes the host in ASCII, drops the default port and the fragment.
// What does not parse as an absolute URL is kept as text: analysts search for exactly what was seen.
func normURL(s string) string {
	s = normText(s)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host, port := normHost(u.Hostname()), u.Port()
	if (u.Scheme == "http" && port == "80") || (u.Scheme == "https" && port == "443") {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Host = host; port != "" {
		u.Host += ":" + port
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}
