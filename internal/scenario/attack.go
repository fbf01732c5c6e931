package scenario

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// attack is the cast of one multi-stage attack: who and what its alerts share.
type attack struct {
	world *world
	d     dice
	label string
	start time.Time
	pace  float64

	victim, admin  *identity
	pc, server, dc *device
	mail           *letter
	// addresses: of the phishing kit's host, the foreign sign-in, and command and control.
	kitIP, signInIP, c2IP string
	kitURL, c2Host        string
	from                  place
	sessionID, requestID  string

	document, loader, dumper, dump *file
	word, shell, rundll, dumping   *proc
	service, remote, remoteDLL     *proc
}

// step is one alert of the attack.
type step struct {
	name string
	// optional steps may be missing from every attack but the first.
	optional bool
	tell     func(*attack) spec
}

// steps are the attack in the order in which it happens.
func steps() []step {
	return slices.Concat(mailSteps(), cloudSteps(), executionSteps(), credentialSteps(), lateralSteps(), finalSteps())
}

// casting hands out what attacks and outbreaks must not share, and what they do.
type casting struct {
	victims            *deck[*device]
	bystanders, admins *deck[*identity]
	servers            *deck[*device]
	kiosks             []*device
	addresses          int
}

// newCasting parts the people: those who fall for mail, and those who only receive it.
func newCasting(w *world) *casting {
	d := newDice(w.Seed, "casting")
	owned := newDeck(d, w.co.owned()).cards
	var others []*identity
	for _, v := range owned[len(owned)/2:] {
		others = append(others, v.owner)
	}
	servers := newDeck(d, w.co.targets)
	files := slices.Index(servers.cards, w.co.byName["FS-01"]) // the first attack is after the file server
	servers.cards[0], servers.cards[files] = servers.cards[files], servers.cards[0]
	return &casting{victims: &deck[*device]{cards: owned[:len(owned)/2]}, bystanders: newDeck(d, others),
		admins: newDeck(d, w.co.admins[2:]), servers: servers, kiosks: w.co.kiosks}
}

func (c *casting) address() string {
	c.addresses++
	return internetIP(c.addresses)
}

// attackStarts are n mornings of working days, in order, early enough that the third day is in the window.
func attackStarts(d dice, o Options, n int) []time.Time {
	starts := make([]time.Time, 0, n)
	days := startDays(o)
	for range n {
		day := pick(d, days)
		if n == 1 {
			day = days[len(days)/2]
		}
		starts = append(starts, day.Add(7*time.Hour+d.between(0, 5*time.Hour)))
	}
	slices.SortFunc(starts, time.Time.Compare)
	return starts
}

// startDays are the working days that an attack may begin on; every day where there is no working day.
func startDays(o Options) []time.Time {
	var working, all []time.Time
	for i := 1; i <= o.Days-5; i++ {
		day := o.Start.AddDate(0, 0, i)
		all = append(all, day)
		if !weekend(day) {
			working = append(working, day)
		}
	}
	if working == nil {
		return all
	}
	return working
}

func weekend(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }

func (w *world) attackAll(c *casting) {
	for i, start := range attackStarts(newDice(w.Seed, "attack starts"), w.Options, w.Attacks) {
		a := w.cast(c, i, start)
		for _, s := range steps() {
			if i > 0 && s.optional && a.d.IntN(100) < 20 {
				continue
			}
			w.raise(a.d, a.label, s.tell(a))
		}
	}
}

// cast chooses the people and machines. Every fourth attack comes through an anonymizer's exit that others use
// too, and every third carries a tool that administrators use: hubs, on purpose.
func (w *world) cast(c *casting, i int, start time.Time) *attack {
	d := newDice(w.Seed, fmt.Sprintf("attack %d", i))
	a := &attack{world: w, d: d, label: fmt.Sprintf("attack-%03d", i+1), start: start, pace: 0.85 + 0.25*d.Float64()}
	a.pc = c.victims.deal()
	a.victim, a.admin, a.server = a.pc.owner, c.admins.deal(), c.servers.deal()
	a.dc = w.co.domainControl[i%len(w.co.domainControl)]
	a.kitIP, a.signInIP, a.c2IP, a.from = c.address(), c.address(), c.address(), pick(d, places())
	if i%4 == 3 {
		a.signInIP = anonymizer(i / 4)
	}
	a.kitURL = fmt.Sprintf("https://docs-%s.example.net/view/%s", d.hex(5), d.hex(10))
	a.c2Host = fmt.Sprintf("cdn-%s.example.org", d.hex(6))
	a.sessionID, a.requestID = d.guid(), d.guid()
	w.logons = append(w.logons, logon{a.admin, a.pc, start.Add(-d.between(10*time.Hour, 20*time.Hour))})
	a.write(c, i)
	a.files(i)
	a.processes()
	return a
}

// anonymizer is one of four exits that attackers and ordinary people share.
func anonymizer(i int) string { return fmt.Sprintf("2001:db8:a::%x", 1+i%4) }

// write makes the mail: the victim and six others receive it; in every fifth attack an executive is among them.
func (a *attack) write(c *casting, i int) {
	to := append([]*identity{a.victim}, c.bystanders.hand(6)...)
	if i%5 == 0 {
		to[1] = a.world.co.executives[i/5%5]
	}
	a.mail = newLetter(a.d, a.start, to)
	a.mail.subject = pick(a.d, []string{"Overdue invoice %d", "Updated price list %d", "Delivery note %d", "Contract draft %d for signature"})
	a.mail.subject = fmt.Sprintf(a.mail.subject, 1000+a.d.IntN(9000))
	a.mail.sender("billing-"+a.d.hex(4)+".example.net", "accounts", "Accounts Receivable", a.kitIP)
	a.mail.url = a.kitURL
}

func (a *attack) files(i int) {
	seed := a.d.hex(32)
	home := `C:\Users\` + a.victim.account
	a.document = named(fmt.Sprintf("Invoice_%d.docm", 1000+a.d.IntN(9000)), home+`\Downloads`, "", "document "+seed)
	a.document.threat, a.document.threatCategory = "Trojan:O97M/Paperclip.A", "Trojan"
	a.loader = named(a.d.hex(6)+".dll", home+`\AppData\Local\Temp`, "", "loader "+seed)
	a.loader.threat, a.loader.threatCategory = "Backdoor:Win64/Lanternfish.B", "Backdoor"
	a.dumper = named("rdrleak.exe", `C:\ProgramData`, "", "dumper "+seed)
	if i%3 == 2 {
		a.dumper = commonTool("procdump64.exe", `C:\ProgramData`)
	}
	a.dumper.threat, a.dumper.threatCategory = "HackTool:Win64/Memlift.A", "HackTool"
	a.dump = named("debug.bin", `C:\ProgramData`, "", "dump "+seed)
	a.mail.attachment = a.document
}

// processes are the two trees: on the victim's device, and a day later on the server.
func (a *attack) processes() {
	opened := a.after(24 * time.Minute)
	d, shell := a.d, session(a.pc, opened)
	a.word = &proc{a.pc, newPID(d), opened, systemFile("winword.exe"), `"WINWORD.EXE" /n "` + a.document.path() + `"`, shell, a.victim}
	a.shell = a.word.child(d, 9*time.Second, systemFile("powershell.exe"),
		"powershell.exe -nop -w hidden -enc "+base64.StdEncoding.EncodeToString([]byte(d.hex(48))))
	a.rundll = a.shell.child(d, 40*time.Second, systemFile("rundll32.exe"), "rundll32.exe "+a.loader.path()+",Start")
	a.dumping = a.rundll.child(d, a.after(26*time.Hour).Sub(a.rundll.born), a.dumper, a.dumper.path()+" -accepteula -ma lsass.exe "+a.dump.path())
	services := system(a.server, "services.exe", `C:\Windows\system32\services.exe`)
	wmi := system(a.server, "wmiprvse.exe", `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`)
	moved := a.after(27*time.Hour + 20*time.Minute)
	psexec := commonTool("PSEXESVC.exe", `C:\Windows`)
	a.service = services.child(d, moved.Sub(services.born), psexec, `C:\Windows\PSEXESVC.exe`)
	a.remote = wmi.child(d, moved.Add(6*time.Minute).Sub(wmi.born), systemFile("powershell.exe"),
		"powershell.exe -nop -c \"Copy-Item \\\\"+a.pc.name+"\\c$\\ProgramData\\"+a.loader.name+" C:\\Windows\\Temp\"").as(a.admin)
	a.remoteDLL = a.remote.child(d, time.Minute, systemFile("rundll32.exe"), `rundll32.exe C:\Windows\Temp\`+a.loader.name+",Start")
}

// after is the instant that long after the start, at the attack's own pace and at most 60 hours on.
func (a *attack) after(offset time.Duration) time.Time {
	return a.start.Add(time.Duration(a.pace*float64(offset)) / 100 * 100)
}

// onPC and onServer are what every alert of Defender for Endpoint there begins with.
func (a *attack) onPC(more ...evidence) []evidence {
	return append([]evidence{suspicious(a.pc.full(), "compromised"), role(a.victim.full(), "compromised")}, more...)
}

func (a *attack) onServer(more ...evidence) []evidence {
	return append([]evidence{suspicious(a.server.full(), "compromised"), suspicious(a.admin.bySID(), "compromised")}, more...)
}
