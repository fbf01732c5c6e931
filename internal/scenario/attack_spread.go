package scenario

import "time"

// credentialSteps are the theft of an administrator's credentials from the victim's device.
func credentialSteps() []step {
	return []step{
		{"tool found", true, func(a *attack) spec {
			return spec{product: endpoint(), title: "'" + a.dumper.family() + "' hacktool was detected", severity: "low", detection: "antivirus",
				text:     "A tool that reads credentials from memory was found and left in place by policy.",
				category: "CredentialAccess", techniques: []string{"T1003"}, threat: a.dumper, first: a.dumping.born.Add(-time.Minute), last: a.dumping.born,
				evidence: []evidence{role(a.pc.full()), malicious(a.dumper.on(a.pc)), malware(a.dumper, a.pc)}}
		}},
		{"memory of lsass", false, func(a *attack) spec {
			return spec{product: endpoint(), title: "Suspicious access to LSASS service", severity: "high",
				text:     "A process read the memory of the Local Security Authority and wrote it to a file; who was signed in must count as exposed.",
				category: "CredentialAccess", techniques: []string{"T1003.001"}, first: a.dumping.born, last: a.dumping.born.Add(20 * time.Second), route: asBoth,
				evidence: a.onPC(malicious(a.dumping.evidence()), suspicious(a.dump.on(a.pc), "created"), role(a.admin.bySID(), "attacked"))}
		}},
	}
}

// lateralSteps are the move to a server, seen by Defender for Identity (by DNS name and SID) and Endpoint.
func lateralSteps() []step {
	return []step{
		{"pass the hash", false, func(a *attack) spec {
			at := a.after(27 * time.Hour)
			return spec{product: identityProduct(), title: "Suspected identity theft (pass-the-hash)", detector: "PassTheHashSecurityAlert", severity: "high",
				text:     a.admin.display + "'s hash was taken on a computer that they had signed in to before, and used from " + a.pc.name + " towards " + a.server.name + ".",
				category: "LateralMovement", techniques: []string{"T1550.002"}, first: at, last: at.Add(4 * time.Minute), route: asBoth, evidence: []evidence{
					suspicious(a.admin.bySID(), "compromised"), suspicious(a.pc.byName(), "source"), role(a.server.byName(), "destination")}}
		}},
		{"remote execution", true, func(a *attack) spec {
			return spec{product: identityProduct(), title: "Remote code execution attempt", detector: "RemoteExecutionSecurityAlert", severity: "medium",
				text:     a.admin.display + " started commands on " + a.server.name + " from " + a.pc.name + ".",
				category: "Execution", techniques: []string{"T1047", "T1569.002"}, first: a.service.born, last: a.remote.born, route: asSentinel, evidence: []evidence{
					role(a.server.byName(), "destination"), suspicious(a.pc.byName(), "source"), suspicious(a.admin.bySID(), "source")}}
		}},
		{"remote service", false, func(a *attack) spec {
			at := a.service.born
			return spec{product: endpoint(), title: "Suspicious service launched", severity: "medium",
				text:     "A service was made and started from another device, as remote administration tools do.",
				category: "LateralMovement", techniques: []string{"T1569.002", "T1021.002"}, first: at.Add(-10 * time.Second), last: at,
				evidence: a.onServer(suspicious(a.service.evidence()), role(a.service.image.on(a.server)), role(ip(a.pc.ip), "source"), a.logon(at))}
		}},
		{"wmi", false, func(a *attack) spec {
			return spec{product: endpoint(), title: "Suspicious WMI process creation", severity: "medium",
				text:     "A process was created through WMI by an account that signed in over the network.",
				category: "LateralMovement", techniques: []string{"T1047", "T1570"}, first: a.remote.born, last: a.remoteDLL.born, route: asBoth,
				evidence: a.onServer(suspicious(a.remote.evidence()), malicious(a.remoteDLL.evidence()), malicious(a.loader.at(`C:\Windows\Temp`).on(a.server)))}
		}},
		{"loader on server", true, func(a *attack) spec {
			at := a.remoteDLL.born.Add(time.Hour)
			return spec{product: endpoint(), title: "'" + a.loader.family() + "' backdoor was prevented", severity: "low", detection: "antivirus",
				text:     "Antivirus removed a library that other devices have run before it was known.",
				category: "Malware", techniques: []string{"T1105"}, threat: a.loader, first: at, last: at,
				evidence: []evidence{role(a.server.full()), stopped(a.loader.at(`C:\Windows\Temp`).on(a.server))}}
		}},
		{"human operated", true, func(a *attack) spec {
			at := a.after(27*time.Hour + 50*time.Minute)
			return spec{product: suite(), title: "Possible hands-on-keyboard attack", severity: "high",
				text:     "Signals of several products on one account and two devices look like a person at work, not a program.",
				category: "LateralMovement", techniques: []string{"T1021"}, first: a.service.born, last: at, update: true, evidence: []evidence{
					suspicious(a.pc.full(), "source"), suspicious(a.server.full(), "destination"), suspicious(a.admin.full(), "compromised")}}
		}},
	}
}

func (a *attack) logon(at time.Time) *hostLogonSessionEvidence {
	return &hostLogonSessionEvidence{newBase("hostLogonSessionEvidence"), a.admin.bySID(), a.server.full(), "0x" + a.d.hex(6), when(at), when(a.after(47 * time.Hour))}
}

// finalSteps are the look around at the domain controller and the way out to a storage service.
func finalSteps() []step {
	return []step{
		{"ldap reconnaissance", false, func(a *attack) spec {
			at := a.after(28 * time.Hour)
			return spec{product: identityProduct(), title: "Security principal reconnaissance (LDAP)", detector: "LdapSearchReconnaissanceSecurityAlert", severity: "medium",
				text:     "Searches from " + a.server.name + " listed members of sensitive groups on " + a.dc.name + ".",
				category: "Discovery", techniques: []string{"T1087.002", "T1069.002"}, first: at, last: at.Add(11 * time.Minute), evidence: []evidence{
					suspicious(a.admin.bySID(), "source"), suspicious(a.server.byName(), "source"), role(a.dc.byName(), "destination"), role(a.world.co.groups[0].evidence())}}
		}},
		{"smb reconnaissance", true, func(a *attack) spec {
			at := a.after(28*time.Hour + 30*time.Minute)
			return spec{product: identityProduct(), title: "User and IP address reconnaissance (SMB)", detector: "EnumerateSessionsSecurityAlert", severity: "medium",
				text:     "Sessions on " + a.dc.name + " were listed from " + a.server.name + ".",
				category: "Discovery", techniques: []string{"T1049", "T1018"}, first: at, last: at.Add(2 * time.Minute), route: asSentinel, evidence: []evidence{
					role(a.dc.byName(), "destination"), suspicious(a.server.byName(), "source"), suspicious(a.admin.bySID(), "source")}}
		}},
		{"exploration", true, func(a *attack) spec {
			look := a.remoteDLL.child(a.d, time.Hour, systemFile("net.exe"), `net group "Domain Admins" /domain`)
			return spec{product: endpoint(), title: "Suspicious sequence of exploration activities", severity: "low",
				text:     "Several commands in a row asked about accounts, groups and shares.",
				category: "Discovery", techniques: []string{"T1018", "T1033", "T1069.002", "T1135"}, first: look.born, last: look.born.Add(9 * time.Minute),
				evidence: a.onServer(suspicious(look.evidence()))}
		}},
		{"archive", true, func(a *attack) spec {
			tool := commonTool("7z.exe", `C:\Windows\Temp`)
			packing := a.remoteDLL.child(a.d, a.after(46*time.Hour).Sub(a.remoteDLL.born), tool, `7z.exe a -p* -v500m C:\Windows\Temp\sync.7z D:\Shares\Finance`)
			sync := named("sync.7z.001", `C:\Windows\Temp`, "", "archive "+a.sessionID)
			return spec{product: endpoint(), title: "Sensitive files archived in an unusual place", severity: "medium",
				text:     "An archiver packed many files of a share into parts with a password.",
				category: "Collection", techniques: []string{"T1560.001", "T1074.001"}, first: packing.born, last: packing.born.Add(40 * time.Minute),
				evidence: a.onServer(suspicious(packing.evidence()), suspicious(sync.on(a.server), "created"))}
		}},
		{"exfiltration", false, func(a *attack) spec {
			at := a.after(48 * time.Hour)
			return spec{product: cloudApps(), title: "Mass upload to a storage app that is not sanctioned", detector: "MCAS_ALERT_ANUBIS_DETECTION_DATA_EXFILTRATION", severity: "high",
				text:     "An account that never did so before sent several gigabytes to a storage app outside the organisation.",
				category: "Exfiltration", techniques: []string{"T1567.002"}, first: at, last: at.Add(95 * time.Minute), update: true, evidence: []evidence{
					suspicious(a.victim.byUPN(), "compromised"), suspicious(application("Harbor Drive", 29990), "destination"),
					role(ipAt(proxyIP, home()), "source"), suspicious(ipAt(a.signInIP, a.from), "attacker")}}
		}},
	}
}
