package scenario

import (
	"fmt"
	"time"
)

// address is a public address that no other alert has.
func (n *noise) address() string {
	n.addresses++
	return bystanderIP(n.addresses)
}

// exit is the address that somebody seems to come from: the proxy, the VPN, an anonymizer, or one of their own.
func (n *noise) exit() *ipEvidence {
	switch r := n.d.IntN(20); {
	case r < 9:
		return ipAt(proxyIP, home())
	case r < 13:
		return ipAt(vpnIP, home())
	case r < 14:
		return ipAt(anonymizer(n.d.IntN(4)), places()[0])
	}
	return ipAt(n.address(), pick(n.d, places()))
}

func (n *noise) travel(at time.Time) spec {
	u := n.people.deal()
	return spec{product: cloudApps(), title: "Impossible travel activity", detector: "MCAS_ALERT_ANUBIS_DETECTION_VELOCITY", severity: "medium", category: "InitialAccess",
		text: "The user was active from two countries within less time than the journey takes.", techniques: []string{"T1078"}, first: at, last: at.Add(35 * time.Minute),
		closed: "falsePositive/notMalicious", evidence: []evidence{role(u.byUPN()), role(ipAt(vpnIP, home())), role(n.exit()),
			role(application("Microsoft Exchange Online", 20893), "contextual")}}
}

// blockedPhish is somebody else's campaign: many recipients, nothing delivered.
func (n *noise) blockedPhish(at time.Time) spec {
	l := newLetter(n.d, at.Add(-n.d.between(time.Minute, time.Hour)), n.people.hand(3+n.d.IntN(5)))
	l.subject = fmt.Sprintf(pick(n.d, []string{"Your parcel %d is waiting", "Mailbox %d is full", "You have a voicemail (%d)", "Tax refund %d"}), 100+n.d.IntN(900))
	l.sender("news-"+n.d.hex(6)+".example.net", "noreply", "Service Team", n.address())
	l.url = "https://track-" + n.d.hex(6) + ".example.org/a"
	es := []evidence{mark(l.cluster(), "malicious", "blocked")}
	for i := range min(2, len(l.to)) {
		es = append(es, mark(l.copyFor(i, "blocked", "quarantine"), "malicious", "blocked"))
	}
	es = append(es, mark(url(l.url), "malicious", "blocked"), role(l.to[0].box()))
	return spec{product: office(), title: "Phishing campaign blocked", severity: "informational", category: "InitialAccess",
		text: "Messages of a phishing campaign were kept from their recipients.", techniques: []string{"T1566.002"}, first: l.received, last: at,
		closed: "truePositive/phishing", evidence: es}
}

func (n *noise) reported(at time.Time) spec {
	l := newLetter(n.d, at.Add(-n.d.between(10*time.Minute, 2*time.Hour)), n.people.hand(1))
	l.subject = fmt.Sprintf(pick(n.d, []string{"Newsletter no. %d", "Webinar %d: last seats", "Survey %d"}), 1+n.d.IntN(400))
	l.sender("lists.example.net", "news", "News", bystanderIP(0)) // one bulk mailer serves many
	return spec{product: office(), title: "Email reported by user as malware or phish", severity: "low", category: "InitialAccess",
		text: "A user reported a message; the analysis found nothing bad.", techniques: []string{"T1566"}, first: l.received, last: at,
		closed: "falsePositive/notMalicious", evidence: []evidence{clean(l.copyFor(0, "delivered", "inbox")), role(l.to[0].box()), role(l.to[0].full())}}
}

// bruteForce is the Internet's everyday knocking.
func (n *noise) bruteForce(at time.Time) spec {
	from := n.address()
	if n.d.IntN(2) == 0 {
		v := n.w.co.byName["JMP-01"]
		return spec{product: endpoint(), title: "Failed sign-in attempts from the Internet", severity: "low", category: "CredentialAccess",
			text: "One public address tried many passwords; none was right.", techniques: []string{"T1110.001"}, first: at, last: at.Add(30 * time.Minute),
			closed: "truePositive/other", evidence: []evidence{role(v.full(), "attacked"), suspicious(ipAt(from, pick(n.d, places())), "attacker")}}
	}
	u := n.people.deal()
	return spec{product: entra(), title: "Password spray", detector: "PasswordSpray", severity: "low", category: "CredentialAccess",
		text: "Common passwords were tried on many accounts from one address; this account was one of them.", techniques: []string{"T1110.003"}, first: at,
		evidence: []evidence{role(u.byEntra(), "attacked"), role(request(n.d.guid())), suspicious(ipAt(from, pick(n.d, places())), "attacker")}}
}

func (n *noise) newLocation(at time.Time) spec {
	u := n.people.deal()
	return spec{product: entra(), title: "Unfamiliar sign-in properties", detector: "UnfamiliarLocation", severity: "low", category: "InitialAccess",
		text: "The sign-in has properties not seen before for this user.", techniques: []string{"T1078.004"}, first: at, evidence: []evidence{
			role(u.byEntra()), role(cloudSession(u, n.d.guid(), agent, at)), role(request(n.d.guid())), role(n.exit())}}
}

func (n *noise) lossPolicy(at time.Time) spec {
	v := n.devices.deal()
	f := named(fmt.Sprintf("Customers_%d.xlsx", n.d.IntN(500)), `C:\Users\`+v.owner.account+`\Documents`, "", "sheet "+n.d.hex(16))
	return spec{product: lossPrevention(), title: "DLP policy match for document on a device", severity: "low", category: "Exfiltration",
		text: "A document with account numbers was copied to a removable drive; the user gave a business reason.", techniques: []string{"T1052.001"}, first: at,
		closed: "informationalExpectedActivity/confirmedActivity", evidence: []evidence{role(v.full()), role(v.owner.full(), "policyViolator"), clean(f.on(v))}}
}

func (n *noise) download(at time.Time) spec {
	u := n.people.deal()
	return spec{product: cloudApps(), title: "Mass download by a single user", detector: "MCAS_ALERT_ANUBIS_DETECTION_REPEATED_ACTIVITY_MASS_DOWNLOAD", severity: "medium", category: "Collection",
		text: "The user fetched far more files than usual within an hour.", techniques: []string{"T1530"}, first: at, last: at.Add(45 * time.Minute),
		evidence: []evidence{role(u.byUPN()), role(ipAt(proxyIP, home())), role(application("Microsoft SharePoint Online", 20892), "contextual")}}
}

func (n *noise) consent(at time.Time) spec {
	u, name := n.people.deal(), pick(n.d, []string{"Meeting Notes Helper", "Calendar Export", "Diagram Viewer"})
	app := &oauthApplicationEvidence{newBase("oauthApplicationEvidence"), namedGUID("app " + name), name, namedGUID("object " + name), "Unverified publisher"}
	return spec{product: cloudApps(), title: "Unusual consent to an OAuth app", detector: "MCAS_ALERT_ANUBIS_DETECTION_RARE_OAUTH_CONSENT", severity: "low", category: "Persistence",
		text: "A user gave an app that few use the right to read their mail.", techniques: []string{"T1528"}, first: at,
		evidence: []evidence{role(u.byUPN()), role(app), role(n.exit())}}
}
