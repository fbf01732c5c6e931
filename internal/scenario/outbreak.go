package scenario

import (
	"fmt"
	"time"
)

// outbreakAll plays commodity malware: it comes by a USB stick to a kiosk (later to a workstation) and by a
// share to another device; no person steers it.
func (w *world) outbreakAll(c *casting) {
	starts := attackStarts(newDice(w.Seed, "outbreak starts"), w.Options, max(2, w.Outbreaks))
	for i := range w.Outbreaks {
		d := newDice(w.Seed, fmt.Sprintf("outbreak %d", i))
		first := c.victims.deal()
		if i < len(c.kiosks) {
			first = c.kiosks[i]
		}
		w.outbreak(d, fmt.Sprintf("outbreak-%03d", i+1), starts[i], first, c.victims.deal(), c.address())
	}
}

func (w *world) outbreak(d dice, label string, at time.Time, first, second *device, address string) {
	worm := named("Photos.exe", `E:\`, "", "worm "+d.hex(32))
	worm.threat, worm.threatCategory = "Worm:Win32/Pebblecrawl.C", "Worm"
	copied := worm.at(`C:\Users\Public`)
	opened := session(first, at).child(d, at.Sub(session(first, at).born), worm, `"E:\Photos.exe"`)
	spread := opened.child(d, 2*time.Minute, copied, `C:\Users\Public\Photos.exe /q`)
	host := "https://stat-" + d.hex(5) + ".example.org/b"
	w.raise(d, label, spec{product: endpoint(), title: "Suspicious process launched from removable media", severity: "medium", category: "InitialAccess",
		text:       "A program that nobody else in the organisation runs was started from a USB device.",
		techniques: []string{"T1091", "T1204.002"}, first: opened.born, last: spread.born,
		evidence: []evidence{suspicious(first.full()), suspicious(opened.evidence()), suspicious(spread.evidence()), suspicious(worm.on(first))}})
	w.raise(d, label, spec{product: endpoint(), title: "'Pebblecrawl' malware was detected", severity: "medium", category: "Malware", detection: "antivirus",
		text: "Antivirus found malware that copies itself to removable media and shares; it was running.", techniques: []string{"T1091"},
		threat: worm, first: spread.born.Add(6 * time.Hour), route: asBoth, evidence: []evidence{role(first.full()), mark(copied.on(first), "malicious", "remediated"), malware(copied, first)}})
	w.raise(d, label, spec{product: endpoint(), title: "Connection to a web site blocked by network protection", severity: "low", category: "CommandAndControl",
		text: "A process tried to reach a site of low reputation.", techniques: []string{"T1071.001"}, first: spread.born.Add(time.Minute), last: spread.born.Add(5 * time.Hour),
		evidence: []evidence{role(first.full()), mark(url(host), "malicious", "blocked"), mark(ip(address), "suspicious", "blocked"), suspicious(spread.evidence())}})
	w.raise(d, label, spec{product: endpoint(), title: "'Pebblecrawl' malware was prevented", severity: "low", category: "Malware", detection: "antivirus",
		text: "Antivirus stopped a file that arrived by a share before it could run.", techniques: []string{"T1080"}, threat: worm,
		first: spread.born.Add(3 * time.Hour), update: true, evidence: []evidence{role(second.full()), stopped(copied.on(second)), role(ip(first.ip), "source")}})
}
