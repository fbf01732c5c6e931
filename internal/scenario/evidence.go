package scenario

import "time"

// Constructors of evidence. Each product names the same thing by what it knows of it: Defender for Endpoint by
// its own ids, Defender for Identity by DNS name and SID, the cloud products by Entra id and UPN.

// mark sets verdict, remediation and roles.
func mark[E evidence](e E, verdict, remediation string, roles ...string) E {
	b := e.head()
	b.Verdict, b.Remediation, b.Roles = verdict, remediation, append(list(nil), roles...)
	return e
}

func suspicious[E evidence](e E, roles ...string) E { return mark(e, "suspicious", "none", roles...) }
func malicious[E evidence](e E, roles ...string) E  { return mark(e, "malicious", "none", roles...) }
func clean[E evidence](e E, roles ...string) E      { return mark(e, "noThreatsFound", "none", roles...) }
func stopped[E evidence](e E, roles ...string) E    { return mark(e, "malicious", "prevented", roles...) }
func role[E evidence](e E, roles ...string) E       { return mark(e, "unknown", "none", roles...) }

// full is the device as Defender for Endpoint shows it.
func (v *device) full() *deviceEvidence {
	e := v.byName()
	e.FirstSeen, e.MdeDeviceID, e.AzureADDeviceID = when(v.boot.AddDate(0, 0, -90)), text(v.mdeID), text(v.aadID)
	e.OsPlatform, e.OsBuild, e.Version = text(v.platform), &v.build, text(v.version)
	e.HealthStatus, e.RiskScore, e.OnboardingStatus, e.AvStatus = "active", "medium", "onboarded", "updated"
	e.RbacGroupName = "Workstations"
	if v.server() {
		e.RbacGroupName = "Servers"
	}
	e.LastIP, e.LastExternalIP, e.IPInterfaces = text(v.ip), proxyIP, list{v.ip, "127.0.0.1"}
	if v.owner != nil {
		e.LoggedOnUsers = []loggedOnUser{{v.owner.account, netbiosName}}
	}
	e.DetailedRoles = list{"PrimaryDevice"}
	return e
}

// byName is the device as Defender for Identity shows it: without the endpoint product's ids.
func (v *device) byName() *deviceEvidence {
	return &deviceEvidence{base: newBase("deviceEvidence"), DeviceDNSName: text(v.fqdn()), HostName: text(v.name),
		NtDomain: netbiosName, DNSDomain: adDomain, HealthStatus: "unknown", RiskScore: "none",
		OnboardingStatus: "insufficientInfo", AvStatus: "unknown", LoggedOnUsers: []loggedOnUser{}}
}

func user(a userAccount) *userEvidence {
	return &userEvidence{base: newBase("userEvidence"), UserAccount: a}
}

func (u *identity) accountFull() userAccount {
	return userAccount{text(u.account), netbiosName, text(u.sid), text(u.entraID), text(u.upn()), text(u.display)}
}

// bySID is how Defender for Identity, and often Defender for Endpoint, name an account.
func (u *identity) bySID() *userEvidence {
	return user(userAccount{AccountName: text(u.account), DomainName: netbiosName, UserSID: text(u.sid), DisplayName: text(u.display)})
}

// byUPN is how Defender for Cloud Apps names a user.
func (u *identity) byUPN() *userEvidence {
	return user(userAccount{AccountName: text(u.account), UserPrincipalName: text(u.upn()), DisplayName: text(u.display)})
}

// byEntra is how Entra ID Protection names a user.
func (u *identity) byEntra() *userEvidence {
	return user(userAccount{AzureADUserID: text(u.entraID), UserPrincipalName: text(u.upn())})
}

func (u *identity) full() *userEvidence { return user(u.accountFull()) }

func (u *identity) box() *mailboxEvidence {
	a := userAccount{AccountName: text(u.account), AzureADUserID: text(u.entraID), UserPrincipalName: text(u.upn()), DisplayName: text(u.display)}
	return &mailboxEvidence{newBase("mailboxEvidence"), u.upn(), u.display, u.upn(), a}
}

func (f *file) details() fileDetails {
	return fileDetails{FileName: f.name, FilePath: text(f.dir), FileSize: &f.size, FilePublisher: text(f.publisher),
		Signer: text(f.publisher), SHA1: text(f.sha1), SHA256: text(f.sha256), MD5: text(f.md5)}
}

// on is the file as found on a device; nil for an attachment in the mail.
func (f *file) on(v *device) *fileEvidence {
	e := &fileEvidence{base: newBase("fileEvidence"), DetectionStatus: "detected", FileDetails: f.details()}
	if v == nil {
		e.DetectionStatus, e.FileDetails.FilePath, e.FileDetails.SHA1, e.FileDetails.MD5 = "", "", "", ""
		return e
	}
	e.MdeDeviceID = text(v.mdeID)
	return e
}

func (p *proc) evidence() *processEvidence {
	e := &processEvidence{base: newBase("processEvidence"), DetectionStatus: "detected", MdeDeviceID: p.device.mdeID,
		ProcessID: p.pid, CommandLine: p.cmd, CreationTime: when(p.born), ImageFile: p.image.details()}
	e.ImageFile.MD5 = ""
	if q := p.parent; q != nil {
		image := fileDetails{FileName: q.image.name, FilePath: text(q.image.dir), FilePublisher: text(q.image.publisher)}
		e.ParentID, e.ParentCreation, e.ParentImage = &q.pid, when(q.born), &image
	}
	if p.user != nil {
		a := p.user.accountFull()
		e.UserAccount = &a
	}
	return e
}

func ip(address string) *ipEvidence {
	return &ipEvidence{base: newBase("ipEvidence"), IPAddress: address}
}

func ipAt(address string, p place) *ipEvidence {
	e := ip(address)
	e.CountryLetterCode, e.Location = text(p.country), &geoLocation{p.city, p.name, text(p.state)}
	return e
}

func url(u string) *urlEvidence { return &urlEvidence{newBase("urlEvidence"), u} }

func application(name string, id int64) *cloudApplicationEvidence {
	return &cloudApplicationEvidence{newBase("cloudApplicationEvidence"), id, name, 0, name, id}
}

func (g *group) evidence() *securityGroupEvidence {
	return &securityGroupEvidence{newBase("securityGroupEvidence"), g.name, text(g.id), g.sid}
}

// copyFor is the copy of the letter that the i-th recipient got.
func (l *letter) copyFor(i int, action, location string) *analyzedMessageEvidence {
	e := &analyzedMessageEvidence{base: newBase("analyzedMessageEvidence"), NetworkMessageID: l.networkIDs[i],
		InternetMessageID: l.internetID, Subject: l.subject, Language: "en", SenderIP: l.senderIP,
		RecipientEmailAddress: l.to[i].upn(), AntiSpamDirection: "inbound", DeliveryAction: action,
		DeliveryLocation: location, Urn: "urn:MailEntity:" + l.networkIDs[i], Threats: list{"Phish"},
		ThreatDetectionMethods: list{"URLReputation"}, Received: when(l.received),
		P1Sender: emailSender{l.from, "", l.fromDomain}, P2Sender: emailSender{l.from, text(l.fromName), l.fromDomain}}
	if l.attachment != nil {
		e.AttachmentsCount, e.Threats, e.ThreatDetectionMethods = 1, list{"Malware", "Phish"}, list{"FileDetonation"}
	}
	if l.url != "" {
		e.URLCount, e.Urls = 1, list{l.url}
	}
	return e
}

func (l *letter) cluster() *mailClusterEvidence {
	by := l.fingerprint + ";" + l.fromDomain + ";1"
	query := `( (( (BodyFingerprintBin1:"` + l.fingerprint + `") ) AND ( (P2SenderDomain:"` + l.fromDomain + `") )) )`
	return &mailClusterEvidence{newBase("mailClusterEvidence"), "BodyFingerprintBin1;P2SenderDomain;ContentType", by,
		len(l.to), append(list(nil), l.networkIDs...), query, l.urn}
}

func cloudSession(u *identity, id, agent string, start time.Time) *cloudLogonSessionEvidence {
	return &cloudLogonSessionEvidence{newBase("cloudLogonSessionEvidence"), u.byEntra(), id, "", "", text(agent), when(start)}
}

func request(id string) *cloudLogonRequestEvidence {
	return &cloudLogonRequestEvidence{newBase("cloudLogonRequestEvidence"), id}
}

func malware(f *file, v *device) *malwareEvidence {
	return &malwareEvidence{newBase("malwareEvidence"), f.threat, f.threatCategory, []fileEvidence{*malicious(f.on(v))}}
}

func runKey(v *device, name, value string) *registryValueEvidence {
	return &registryValueEvidence{newBase("registryValueEvidence"), v.mdeID, "HKEY_CURRENT_USER",
		`SOFTWARE\Microsoft\Windows\CurrentVersion\Run`, value, name, "String"}
}

// stamp sets the instant at which the product added the evidence, in what it holds as well.
func stamp(e evidence, at time.Time) {
	e.head().Created = when(at)
	switch e := e.(type) {
	case *cloudLogonSessionEvidence:
		stamp(e.Account, at)
	case *hostLogonSessionEvidence:
		stamp(e.Account, at)
		stamp(e.Host, at)
	case *malwareEvidence:
		for i := range e.Files {
			stamp(&e.Files[i], at)
		}
	}
}
