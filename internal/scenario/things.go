package scenario

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// file is one content under one name. MD5 and SHA-1 are here because the products send them.
type file struct {
	name, dir              string
	publisher              string
	size                   int64
	sha256, sha1, md5      string
	threat, threatCategory string
}

func (f *file) path() string { return f.dir + `\` + f.name }

// named is the file whose content is what seed says: the same seed, the same hashes.
func named(name, dir, publisher, seed string) *file {
	a, b, c := sha256.Sum256([]byte(seed)), sha1.Sum([]byte(seed)), md5.Sum([]byte(seed))
	size := 20000 + int64(a[0])*4096 + int64(a[1])
	return &file{name: name, dir: dir, publisher: publisher, size: size,
		sha256: hex.EncodeToString(a[:]), sha1: hex.EncodeToString(b[:]), md5: hex.EncodeToString(c[:])}
}

// systemFile is part of the operating system: the same bytes on every device, and so a hub.
func systemFile(name string) *file {
	dir := `C:\Windows\System32`
	switch name {
	case "explorer.exe":
		dir = `C:\Windows`
	case "powershell.exe":
		dir += `\WindowsPowerShell\v1.0`
	case "wmiprvse.exe":
		dir += `\wbem`
	case "winword.exe", "outlook.exe", "excel.exe":
		dir = `C:\Program Files\Microsoft Office\root\Office16`
	}
	return named(name, dir, "Microsoft Corporation", "system file "+name)
}

// commonTool is a legitimate tool that administrators and attackers alike carry: also a hub.
func commonTool(name, dir string) *file { return named(name, dir, "", "common tool "+name) }

// testFile is the antivirus industry's harmless test file, with its well-known hashes.
func testFile() *file {
	return &file{name: "eicar.com", dir: `C:\Temp`, size: 68, md5: "44d88612fea8a8f36de82e1278abb02f",
		sha1:   "3395856ce81f2b7382dee72602f798b642f14140",
		sha256: "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
		threat: "Virus:DOS/EICAR_Test_File", threatCategory: "Virus"}
}

// at is the same content in another folder.
func (f *file) at(dir string) *file {
	g := *f
	g.dir = dir
	return &g
}

// proc is one process on one device; its identity is the device, the pid and the instant it began.
type proc struct {
	device *device
	pid    int
	born   time.Time
	image  *file
	cmd    string
	parent *proc
	user   *identity
}

// child is a process that p started.
func (p *proc) child(d dice, after time.Duration, image *file, cmd string) *proc {
	return &proc{p.device, newPID(d), p.born.Add(after).Add(d.between(0, time.Second)), image, cmd, p, p.user}
}

// as is the same start under another account.
func (p *proc) as(u *identity) *proc { p.user = u; return p }

func newPID(d dice) int { return 4 * (300 + d.IntN(6000)) }

// session is the shell of whoever works on the device that day: one process for all that is started by hand.
func session(v *device, at time.Time) *proc {
	day := at.UTC().Truncate(24 * time.Hour).Add(5 * time.Hour)
	if day.Add(time.Hour).After(at) {
		day = day.Add(-24 * time.Hour)
	}
	d := newDice(uint64(day.Unix()), "session "+v.mdeID)
	return &proc{v, newPID(d), day.Add(d.between(0, time.Hour)), systemFile("explorer.exe"), `C:\Windows\Explorer.EXE`, nil, v.owner}
}

// system is a process that runs since the device was started, such as services.exe.
func system(v *device, image, cmd string) *proc {
	d := newDice(uint64(v.boot.Unix()), image+v.mdeID)
	return &proc{device: v, pid: newPID(d), born: v.boot.Add(d.between(time.Second, time.Minute)), image: systemFile(image), cmd: cmd}
}

// letter is one mail sent to several recipients; each has a copy of its own.
type letter struct {
	subject, from, fromName, fromDomain, senderIP string
	internetID, url, fingerprint, urn             string
	attachment                                    *file
	received                                      time.Time
	to                                            []*identity
	networkIDs                                    []string
}

func newLetter(d dice, at time.Time, to []*identity) *letter {
	l := &letter{received: at, to: to, internetID: fmt.Sprintf("<%s@mx.example.net>", d.hex(24)),
		fingerprint: fmt.Sprint(1<<31 + d.Uint32N(1<<31)), urn: "urn:MailClusterEntity:" + d.hex(32)}
	for range to {
		l.networkIDs = append(l.networkIDs, d.guid())
	}
	return l
}

func (l *letter) sender(domain, account, display, ip string) {
	l.from, l.fromDomain, l.fromName, l.senderIP = account+"@"+domain, domain, display, ip
}
