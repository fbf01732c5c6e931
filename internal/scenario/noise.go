package scenario

import (
	"fmt"
	"slices"
	"time"
)

// noise makes alerts that belong to nothing. People and workstations are dealt like cards, so that two
// unrelated alerts on one of them are days apart; what is busy in every company is shared without end.
type noise struct {
	w       *world
	d       dice
	devices *deck[*device]
	people  *deck[*identity]
	servers *deck[*device]
	// number of the alert being told, and of the public addresses used up so far.
	number, addresses int
}

// kindOfNoise is one sort of everyday alert and how often it comes, of 100.
type kindOfNoise struct {
	share int
	tell  func(*noise, time.Time) spec
}

func kindsOfNoise() []kindOfNoise {
	return []kindOfNoise{
		{10, (*noise).adminScript}, {9, (*noise).unwantedSoftware}, {8, (*noise).travel}, {13, (*noise).blockedPhish},
		{4, (*noise).testFile}, {7, (*noise).scanner}, {9, (*noise).bruteForce}, {6, (*noise).lossPolicy}, {7, (*noise).reported},
		{6, (*noise).serviceAccount}, {5, (*noise).directory}, {6, (*noise).newLocation}, {5, (*noise).blockedSite},
		{3, (*noise).download}, {2, (*noise).consent},
	}
}

func (w *world) noiseAll() {
	d := newDice(w.Seed, "noise")
	n := &noise{w: w, d: d, devices: newDeck(d, w.co.owned()), servers: newDeck(d, w.co.servers), people: newDeck(d, w.co.users)}
	var kinds []kindOfNoise
	for _, k := range kindsOfNoise() {
		for range k.share {
			kinds = append(kinds, k)
		}
	}
	order := newDeck(d, kinds)
	for _, at := range n.times(w.Noise) {
		n.number++
		s := order.deal().tell(n, at)
		s.route = n.shape(s)
		switch open := n.d.IntN(100) < 40; {
		case open:
			s.closed = ""
		case s.closed == "":
			s.closed = "falsePositive/notMalicious"
		}
		s.update = n.number%60 == 7
		w.raise(d, fmt.Sprintf("noise-%05d", n.number), s)
	}
}

// times are when the alerts come: two thirds in working hours, none in the last hour of the window.
func (n *noise) times(count int) []time.Time {
	at := make([]time.Time, 0, count)
	for len(at) < count {
		t := n.w.Start.Add(n.d.between(2*time.Hour, time.Duration(n.w.Days)*24*time.Hour-2*time.Hour))
		busy := t.Hour() >= 7 && t.Hour() < 18 && !weekend(t)
		if busy || n.d.IntN(3) == 0 {
			at = append(at, t)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// shape sends most of the identity products' alerts as Sentinel rows, and every sixtieth of the others twice.
func (n *noise) shape(s spec) route {
	switch s.product.prefix {
	case "ad", "aa":
		if n.number%4 != 0 {
			return asSentinel
		}
	case "da", "fa", "ca":
		if n.number%60 == 0 {
			return asBoth
		}
	}
	return asGraph
}

func (n *noise) adminScript(at time.Time) spec {
	v, who := n.servers.deal(), n.w.co.services[0]
	if n.d.IntN(2) == 0 {
		who = pick(n.d, n.w.co.admins)
	}
	parent := system(v, "services.exe", `C:\Windows\system32\services.exe`)
	script := fmt.Sprintf(`C:\Scripts\Maintenance-%02d.ps1`, n.d.IntN(40))
	p := parent.child(n.d, at.Sub(parent.born), systemFile("powershell.exe"), "powershell.exe -ExecutionPolicy Bypass -File "+script).as(who)
	return spec{product: endpoint(), title: "Suspicious PowerShell command line", severity: "medium", category: "Execution",
		text: "PowerShell ran a script past the execution policy.", techniques: []string{"T1059.001"}, first: p.born,
		closed:   "informationalExpectedActivity/lineOfBusinessApplication",
		evidence: []evidence{role(v.full()), role(who.bySID()), suspicious(p.evidence())}}
}

func (n *noise) unwantedSoftware(at time.Time) spec {
	v := n.devices.deal()
	name := pick(n.d, []string{"Couponmate", "Toolbarix", "Speedyfix", "Clickmill", "Freepdfer"})
	f := named(name+"-setup.exe", `C:\Users\`+v.owner.account+`\Downloads`, "", "bundle "+n.d.hex(16))
	f.threat, f.threatCategory = "PUA:Win32/"+name+".A", "UnwantedSoftware"
	return spec{product: endpoint(), title: "'" + name + "' unwanted software was prevented", severity: "informational", category: "UnwantedSoftware",
		text: "A bundle with advertising was stopped before it ran.", detection: "antivirus", threat: f, first: at,
		closed: "truePositive/unwantedSoftware", evidence: []evidence{role(v.full()), role(v.owner.full()), stopped(f.on(v))}}
}

func (n *noise) testFile(at time.Time) spec {
	v := pick(n.d, []*device{n.devices.deal(), n.servers.deal()})
	f := testFile()
	return spec{product: endpoint(), title: "'EICAR_Test_File' malware was prevented", severity: "informational", category: "Malware",
		text: "The antivirus test file was found, as in every test of the protection.", detection: "antivirus", threat: f, first: at,
		closed: "informationalExpectedActivity/securityTesting", evidence: []evidence{role(v.full()), stopped(f.on(v))}}
}

func (n *noise) blockedSite(at time.Time) spec {
	v := n.devices.deal()
	site := fmt.Sprintf("https://win-%s.example.org/prize", n.d.hex(6))
	p := session(v, at).child(n.d, at.Sub(session(v, at).born), systemFile("msedge.exe"), "msedge.exe --type=utility")
	return spec{product: endpoint(), title: "Access to a suspicious site was blocked", severity: "low", category: "SuspiciousActivity", detection: "smartScreen",
		text: "The browser was kept from a site of low reputation.", techniques: []string{"T1566.002"}, first: p.born,
		evidence: []evidence{role(v.full()), mark(url(site), "malicious", "blocked"), role(p.evidence())}}
}

// scanner is the vulnerability scanner at its work: one host and one account against everything.
func (n *noise) scanner(at time.Time) spec {
	target, from := n.servers.deal(), n.w.co.byName["SCAN-01"]
	if n.d.IntN(3) == 0 {
		return spec{product: endpoint(), title: "Network scan from another device", severity: "low", category: "Discovery",
			text: "Many ports of this device were tried from one address.", techniques: []string{"T1046"}, first: at, last: at.Add(4 * time.Minute),
			closed: "informationalExpectedActivity/securityTesting", evidence: []evidence{role(target.full()), role(ip(from.ip), "source")}}
	}
	dc := pick(n.d, n.w.co.domainControl)
	return spec{product: identityProduct(), title: "Network-mapping reconnaissance (DNS)", detector: "DnsReconnaissanceSecurityAlert", severity: "medium", category: "Discovery",
		text: "SCAN-01 asked " + dc.name + " for many names in a short time.", techniques: []string{"T1046"}, first: at, last: at.Add(9 * time.Minute),
		closed: "informationalExpectedActivity/securityTesting", evidence: []evidence{
			role(from.byName(), "source"), role(dc.byName(), "destination"), role(n.w.co.byAccount["svc-scan"].bySID())}}
}

// serviceAccount is signed in everywhere, and now and then a product wonders.
func (n *noise) serviceAccount(at time.Time) spec {
	who, v := pick(n.d, n.w.co.services[:2]), pick(n.d, []*device{n.devices.deal(), n.servers.deal()})
	return spec{product: identityProduct(), title: "Suspicious remote service installation", detector: "MaliciousServiceCreationSecurityAlert", severity: "low", category: "Execution",
		text: who.display + " installed a service on " + v.name + ".", techniques: []string{"T1569.002"}, first: at,
		closed: "informationalExpectedActivity/lineOfBusinessApplication", evidence: []evidence{
			role(v.byName(), "destination"), role(n.w.co.byName["BKP-01"].byName(), "source"), role(who.bySID(), "source")}}
}

// directory is something that everybody's domain controllers see every day.
func (n *noise) directory(at time.Time) spec {
	dc, v := pick(n.d, n.w.co.domainControl), n.devices.deal()
	return spec{product: identityProduct(), title: "Suspected brute-force attack (Kerberos, NTLM)", detector: "BruteForceSecurityAlert", severity: "low", category: "CredentialAccess",
		text: "Several wrong passwords for one account came from " + v.name + ".", techniques: []string{"T1110.001"}, first: at, last: at.Add(12 * time.Minute),
		evidence: []evidence{role(v.byName(), "source"), role(dc.byName(), "destination"), role(v.owner.bySID(), "attacked")}}
}
