package estate

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/clew-security/clew/graph"
)

// observe makes the entity of a node, the same each time, strongest key first.
func (b *builder) observe(n node) graph.EntityObservation {
	o := maker{seed: b.Seed, node: n}
	switch n.kind {
	case graph.KindDevice:
		o.device()
	case graph.KindIdentity:
		o.identity()
	case graph.KindSecurityGroup:
		o.key(graph.KeySecurityGroupID, o.guid(0))
		o.text("displayName", fmt.Sprintf("Department %d", n.n))
	case graph.KindMailbox:
		o.key(graph.KeyPrimaryAddress, o.address())
		o.text("displayName", fmt.Sprintf("Mailbox of user %d", n.n))
	case graph.KindFile:
		o.file()
	case graph.KindProcess:
		o.process()
	case graph.KindIPAddress:
		o.ip()
	case graph.KindDomain:
		o.key(graph.KeyDomainName, fmt.Sprintf("host-%d.net-%d.example.net", n.n, n.n%97))
	case graph.KindSoftware:
		o.software()
	case graph.KindVulnerability:
		o.key(graph.KeyCVE, fmt.Sprintf("CVE-%d-%d", 2016+n.n%10, 10_000+n.n))
		o.set("cvssScore", strconv.AppendFloat(nil, float64(40+o.mix(0)%61)/10, 'f', 1, 64))
	}
	return o.out
}

// maker makes one entity.
type maker struct {
	seed uint64
	node
	out graph.EntityObservation
}

func (m *maker) key(t graph.KeyType, value string) {
	if k, ok := graph.NewKey(m.kind, t, value); ok {
		m.out.Keys = append(m.out.Keys, k)
	}
}

func (m *maker) text(name, value string) { m.set(name, strconv.AppendQuote(nil, value)) }

func (m *maker) set(name string, value json.RawMessage) {
	if m.out.Properties == nil {
		m.out.Properties = make(map[string]json.RawMessage, 4)
	}
	m.out.Properties[name] = value
}

// mix is a well-spread number of the entity (the finaliser of SplitMix64); salts give further ones.
func (m *maker) mix(salt uint64) uint64 { return mixed(m.seed, m.kind, m.n, salt) }

func mixed(seed uint64, kind graph.Kind, n int, salt uint64) uint64 {
	z := seed*0x9e3779b97f4a7c15 + uint64(n)<<16 + uint64(kind)<<8 + salt
	for range 2 {
		z += 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
	}
	return z
}

func (m *maker) guid(salt uint64) string {
	a, b := m.mix(2*salt), m.mix(2*salt+1)
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

func (m *maker) hex(words int, salt uint64) string {
	out := make([]byte, 0, 16*words)
	for i := range words {
		out = fmt.Appendf(out, "%016x", m.mix(salt+uint64(i)))
	}
	return string(out)
}

func (m *maker) address() string { return fmt.Sprintf("user-%d@company-%d.example.com", m.n, m.seed) }

// mdeDeviceID of the n-th device: 40 hexadecimal digits, as the endpoint product gives them.
func mdeDeviceID(seed uint64, n int) string {
	m := maker{seed: seed, node: node{graph.KindDevice, n}}
	return m.hex(3, 0)[:40]
}

func (m *maker) device() {
	host := fmt.Sprintf("ws-%d.company-%d.example.com", m.n, m.seed)
	m.key(graph.KeyMdeDeviceID, mdeDeviceID(m.seed, m.n))
	if m.n%10 < 7 { // the others are not joined to the directory
		m.key(graph.KeyAzureADDeviceID, m.guid(8))
	}
	m.key(graph.KeyDNSName, host)
	m.text("displayName", host)
	m.text("osPlatform", []string{"Windows11", "Windows10", "WindowsServer2022", "Ubuntu", "macOS"}[m.mix(9)%5])
	m.text("healthStatus", "active")
	m.set("rbacGroupId", strconv.AppendUint(nil, m.mix(10)%20, 10))
}

func (m *maker) identity() {
	m.key(graph.KeyAzureADUserID, m.guid(0))
	if m.n%5 < 3 { // synchronised from the domain
		m.key(graph.KeySID, fmt.Sprintf("S-1-5-21-%d-%d-%d-%d", 1000+m.seed%1e9, 2127521184, 1604012920, 1000+m.n))
	}
	m.key(graph.KeyUserPrincipalName, m.address())
	m.text("displayName", fmt.Sprintf("User %d", m.n))
	m.text("accountType", "user")
}

func (m *maker) file() {
	m.key(graph.KeySHA256, m.hex(4, 0))
	if m.n%3 == 0 {
		m.key(graph.KeySHA1, m.hex(3, 8)[:40])
	}
	m.text("fileName", fmt.Sprintf("module-%d.dll", m.n))
	m.set("fileSize", strconv.AppendUint(nil, 4096+m.mix(12)%50_000_000, 10))
}

func (m *maker) process() {
	born := firstDay.Add(time.Duration(m.mix(0)%uint64(month/time.Second)) * time.Second)
	pid := strconv.FormatUint(4*(1+m.mix(1)%10_000), 10)
	m.key(graph.KeyMdeProcess, graph.Scoped(mdeDeviceID(m.seed, m.n/processSpace), pid, born.Format(time.RFC3339)))
	m.set("processId", json.RawMessage(pid))
	m.text("processCommandLine", fmt.Sprintf(`"C:\Program Files\Module\run.exe" -job %d`, m.n))
}

// ip is a private address for one in ten, else one of the documentation range of IPv6, which is large enough.
func (m *maker) ip() {
	if m.n%10 == 9 {
		a := netip.AddrFrom4([4]byte{10, byte(m.n >> 16), byte(m.n >> 8), byte(m.n)})
		m.key(graph.KeyPrivateIPAddress, a.String())
		return
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(m.seed >> 8), byte(m.seed)}
	a[12], a[13], a[14], a[15] = byte(m.n>>24), byte(m.n>>16), byte(m.n>>8), byte(m.n)
	m.key(graph.KeyIPAddress, netip.AddrFrom16(a).String())
	m.text("countryLetterCode", []string{"US", "DE", "IN", "BR", "JP"}[m.mix(0)%5])
}

func (m *maker) software() {
	m.key(graph.KeySoftwareID, fmt.Sprintf("vendor-%d-_-product-%d_%d.%d", m.n%113, m.n, 1+m.mix(0)%20, m.mix(1)%10))
	m.text("name", fmt.Sprintf("Product %d", m.n))
	m.text("vendor", fmt.Sprintf("Vendor %d", m.n%113))
}
