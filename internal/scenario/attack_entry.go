package scenario

import "time"

// mailSteps are the phishing mail, seen by Defender for Office 365.
func mailSteps() []step {
	return []step{
		{"removed after delivery", false, func(a *attack) spec {
			at := a.after(55 * time.Minute)
			return spec{product: office(), title: "Email messages containing malicious file removed after delivery", severity: "informational",
				text:     "Messages with a malicious attachment reached mailboxes before the attachment was known to be bad, and have since been removed.",
				category: "InitialAccess", techniques: []string{"T1566.001"}, threat: a.document, first: a.start, last: at, update: true, evidence: []evidence{
					malicious(a.mail.cluster()),
					mark(a.mail.copyFor(1, "delivered", "quarantine"), "malicious", "remediated"),
					mark(a.mail.copyFor(2, "delivered", "quarantine"), "malicious", "remediated"),
					malicious(a.document.on(nil)), role(a.mail.to[1].box()), role(a.mail.to[2].box()), malicious(url(a.kitURL))}}
		}},
		{"not removed", false, func(a *attack) spec {
			return spec{product: office(), title: "Messages containing malicious entity not removed after delivery", severity: "medium",
				text:     "A message with a malicious attachment could not be removed: the recipient had moved it.",
				category: "InitialAccess", techniques: []string{"T1566.001"}, first: a.start, last: a.after(70 * time.Minute), evidence: []evidence{
					malicious(a.mail.cluster()), malicious(a.mail.copyFor(0, "delivered", "inbox")),
					malicious(a.document.on(nil)), role(a.victim.box(), "attacked"), role(a.victim.full(), "attacked")}}
		}},
		{"click", true, func(a *attack) spec {
			at := a.after(20 * time.Minute)
			return spec{product: office(), title: "A potentially malicious URL click was detected", severity: "high",
				text:     "A user opened a link that was later found to lead to a credential phishing page.",
				category: "InitialAccess", techniques: []string{"T1566.002"}, first: at, last: at, evidence: []evidence{
					malicious(url(a.kitURL), "attacker"), malicious(a.mail.copyFor(0, "delivered", "inbox")),
					role(a.victim.full(), "compromised"), role(a.victim.box())}}
		}},
	}
}

const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"

// cloudSteps are the misuse of the phished password, seen by Entra ID Protection and Defender for Cloud Apps.
func cloudSteps() []step {
	return []step{
		{"unfamiliar sign-in", false, func(a *attack) spec {
			return a.signIn("Unfamiliar sign-in properties", "UnfamiliarLocation", "The sign-in has properties not seen before for this user: address, location and browser.", "medium", asSentinel)
		}},
		{"anonymous address", true, func(a *attack) spec {
			return a.signIn("Anonymous IP address", "AnonymousLogin", "The user signed in from an address that hides who uses it.", "medium", asGraph)
		}},
		{"impossible travel", true, func(a *attack) spec {
			at := a.after(3*time.Hour + 25*time.Minute)
			return spec{product: cloudApps(), title: "Impossible travel activity", detector: "MCAS_ALERT_ANUBIS_DETECTION_VELOCITY", severity: "medium",
				text:     "The user was active from two countries within less time than the journey takes.",
				category: "InitialAccess", techniques: []string{"T1078"}, first: a.start, last: at, evidence: []evidence{
					role(a.victim.byUPN(), "compromised"), suspicious(ipAt(a.signInIP, a.from), "attacker"), clean(ipAt(proxyIP, home()), "contextual"),
					role(application("Microsoft Exchange Online", 20893), "contextual")}}
		}},
		{"forwarding rule", false, func(a *attack) spec {
			at := a.after(3*time.Hour + 20*time.Minute)
			return spec{product: cloudApps(), title: "Suspicious inbox forwarding", detector: "MCAS_ALERT_ANUBIS_DETECTION_INBOX_FORWARDING", severity: "high",
				text:     "A rule was created that forwards mail about invoices and passwords to an address outside the organisation.",
				category: "Collection", techniques: []string{"T1114.003", "T1564.008"}, first: at, last: at, update: true, evidence: []evidence{
					suspicious(a.victim.byUPN(), "compromised"), suspicious(a.rule(), "created"), suspicious(ipAt(a.signInIP, a.from), "attacker"),
					role(a.victim.box()), role(application("Microsoft Exchange Online", 20893), "contextual")}}
		}},
	}
}

func (a *attack) signIn(title, detector, about, severity string, r route) spec {
	at := a.after(3 * time.Hour)
	return spec{product: entra(), title: title, text: about, detector: detector, severity: severity, category: "InitialAccess",
		techniques: []string{"T1078.004"}, first: at, last: at, route: r, evidence: []evidence{
			suspicious(a.victim.byEntra(), "compromised"), suspicious(cloudSession(a.victim, a.sessionID, agent, at)),
			role(request(a.requestID)), suspicious(ipAt(a.signInIP, a.from), "attacker")}}
}

func (a *attack) rule() *mailboxConfigurationEvidence {
	return &mailboxConfigurationEvidence{newBase("mailboxConfigurationEvidence"), a.label + `\` + a.requestID[:8], "mailForwardingRule",
		a.victim.display, a.victim.entraID, a.victim.upn(), a.victim.upn()}
}

// executionSteps are the attachment at work on the victim's device, seen by Defender for Endpoint.
func executionSteps() []step {
	return []step{
		{"office child process", false, func(a *attack) spec {
			return spec{product: endpoint(), title: "Suspicious behavior by Microsoft Word was observed", severity: "medium",
				text:     "Word started a script interpreter after it had opened a document that came by mail.",
				category: "Execution", techniques: []string{"T1204.002", "T1059.001"}, first: a.word.born, last: a.shell.born, route: asBoth,
				evidence: a.onPC(suspicious(a.word.evidence()), suspicious(a.shell.evidence()), malicious(a.document.on(a.pc)))}
		}},
		{"powershell", false, func(a *attack) spec {
			return spec{product: endpoint(), title: "Suspicious PowerShell command line", severity: "medium",
				text:     "PowerShell ran an encoded command in a hidden window and fetched a file.",
				category: "Execution", techniques: []string{"T1059.001", "T1027", "T1105"}, first: a.shell.born, last: a.rundll.born, route: asBoth,
				evidence: a.onPC(suspicious(a.shell.evidence()), malicious(url("https://"+a.c2Host+"/u/"+a.loader.name)), suspicious(ip(a.c2IP)))}
		}},
		{"rundll32", true, func(a *attack) spec {
			return spec{product: endpoint(), title: "Suspicious rundll32 activity", severity: "medium",
				text:     "rundll32.exe loaded an unsigned library from a temporary folder.",
				category: "DefenseEvasion", techniques: []string{"T1218.011"}, first: a.rundll.born, last: a.rundll.born.Add(time.Minute),
				evidence: a.onPC(suspicious(a.rundll.evidence()), malicious(a.loader.on(a.pc)))}
		}},
		{"run key", true, func(a *attack) spec {
			at := a.rundll.born.Add(2 * time.Minute)
			return spec{product: endpoint(), title: "Anomaly detected in ASEP registry", severity: "medium",
				text:     "A process wrote a start entry that runs a library at every sign-in.",
				category: "Persistence", techniques: []string{"T1547.001", "T1112"}, first: at, last: at,
				evidence: a.onPC(suspicious(runKey(a.pc, "DocumentUpdater", a.rundll.cmd), "created"), suspicious(a.shell.evidence()))}
		}},
		{"command and control", false, func(a *attack) spec {
			return spec{product: endpoint(), title: "Connection to a command-and-control server", severity: "high",
				text:     "A process keeps a regular connection to an address that is known to control malware.",
				category: "CommandAndControl", techniques: []string{"T1071.001", "T1573"}, first: a.rundll.born.Add(3 * time.Minute), last: a.after(26 * time.Hour),
				update: true, evidence: a.onPC(malicious(ip(a.c2IP), "commandAndControl"), malicious(url("https://"+a.c2Host+"/"), "commandAndControl"),
					suspicious(a.rundll.evidence()))}
		}},
	}
}
