package story

import "strings"

// template is one way to tell an alert. It applies to alerts of its tactics and techniques whose evidence
// fills every slot of the text outside brackets; what stands in brackets is left out where a slot is empty.
type template struct {
	// on are the tactics; 0 is any, even none.
	on tactics
	// by are technique ids, their sub-techniques included; none is any.
	by string
	// text has slots in braces.
	text string
	// actor and target are slots; where several stand, the first that is filled.
	actor, verb, target string
}

// templates are tried in order: what names its technique first, then what a tactic and the evidence say
// together, then the title. The texts claim what the technique or tactic means and the evidence names.
var templates = []template{
	// Mail.
	{by: "T1566 T1534 T1598", text: "Mail[ {subject}][ from {sender}][ with attachment {attachment}][ with link {link}] was delivered to {delivered}", actor: "sender", verb: "delivered mail to", target: "delivered"},
	{by: "T1566 T1534 T1598", text: "Mail[ {subject}][ from {sender}][ with attachment {attachment}][ with link {link}] went to the junk folder of {junked}", actor: "sender", verb: "sent mail to", target: "junked"},
	{by: "T1566 T1534 T1598", text: "Mail[ {subject}][ from {sender}][ with attachment {attachment}][ with link {link}] was sent to {recipient}", actor: "sender", verb: "sent mail to", target: "recipient"},
	{by: "T1566 T1534 T1598", text: "Mail[ {subject}][ from {sender}][ with attachment {attachment}][ with link {link}] to {quarantined} was quarantined", actor: "sender", verb: "sent mail to", target: "quarantined"},
	{by: "T1566 T1534 T1598", text: "Mail[ {subject}][ from {sender}][ with attachment {attachment}][ with link {link}] to {blocked} was blocked", actor: "sender", verb: "tried to send mail to", target: "blocked"},
	{by: "T1204.001", text: "{user} opened the link {url}[ on {device}]", actor: "user", verb: "opened", target: "url"},

	// Mailbox configuration, told by the evidence itself.
	{text: "A forwarding rule was set on {forwarded}'s mailbox[ with account {user}][ from {ip}]", actor: "user ip", verb: "set a forwarding rule on", target: "forwarded"},
	{text: "An inbox rule was set on {ruled}'s mailbox[ with account {user}][ from {ip}]", actor: "user ip", verb: "set an inbox rule on", target: "ruled"},
	{text: "Access to {delegated}'s mailbox was delegated[ with account {user}][ from {ip}]", actor: "user ip", verb: "delegated access to", target: "delegated"},
	{by: "T1114.003", text: "A forwarding rule was set on {mailbox}'s mailbox[ from {ip}]", actor: "user ip", verb: "set a forwarding rule on", target: "mailbox"},
	{by: "T1564.008", text: "An inbox rule that hides mail was set on {mailbox}'s mailbox[ from {ip}]", actor: "user ip", verb: "set an inbox rule on", target: "mailbox"},
	{by: "T1564.008", text: "An inbox rule that hides mail was set with account {user}[ from {ip}]", actor: "user", verb: "set an inbox rule"},

	// Credential access.
	{by: "T1003.001", text: "Credentials were taken from LSASS on {host}[ by {process}][ as {account}]", actor: "process", verb: "took credentials from", target: "host"},
	{by: "T1003.001", text: "Credentials were taken from LSASS on {device}", actor: "user", verb: "took credentials from", target: "device"},
	{by: "T1003.002", text: "Credentials were taken from the Security Account Manager on {device}[ by {process}][ as {account}]", actor: "process", verb: "took credentials from", target: "device"},
	{by: "T1003.003", text: "Credentials were taken from the directory database on {device}[ by {process}][ as {account}]", actor: "process", verb: "took credentials from", target: "device"},
	{by: "T1003.006", text: "Directory credentials were replicated from {destination}[ to {source}][ with account {user}]", actor: "source user", verb: "replicated credentials from", target: "destination"},
	{by: "T1003", text: "Credentials were taken on {device}[ by {process}][ as {account}]", actor: "process user", verb: "took credentials from", target: "device"},
	{by: "T1558.003", text: "{user} asked for Kerberos service tickets to crack[ from {source}]", actor: "user", verb: "asked for service tickets of", target: "destination"},
	{by: "T1110.003", text: "Passwords were sprayed at {victim}[ from {ip}]", actor: "ip", verb: "sprayed passwords at", target: "victim"},
	{by: "T1110", text: "Passwords were guessed for {victim}[ from {ip}]", actor: "ip source", verb: "guessed passwords of", target: "victim"},
	{by: "T1555", text: "Stored passwords were taken on {device}[ by {process}][ as {account}]", actor: "process user", verb: "took stored passwords from", target: "device"},
	{by: "T1552", text: "Unprotected credentials were read on {device}[ by {process}][ as {account}]", actor: "process user", verb: "read credentials on", target: "device"},
	{by: "T1528", text: "Access tokens of {victim} were taken through the application {oauth}", actor: "oauth", verb: "took access tokens of", target: "victim"},

	// Exfiltration, collection, impact.
	{on: exfi, text: "Data went from {host} to {remote}[ by {process}][ as {account}]", actor: "host", verb: "sent data to", target: "remote"},
	{on: exfi, text: "Data went from {device} to {app}[ as {user}]", actor: "device", verb: "sent data to", target: "app"},
	{on: exfi, text: "Data went from {device} to {remote}[ as {user}]", actor: "device", verb: "sent data to", target: "remote"},
	{on: exfi, text: "Data went to {app} as {user}[ from {ip}]", actor: "user", verb: "sent data to", target: "app"},
	{by: "T1560", text: "Data on {host} was archived[ into {file}] by {process}[ as {account}]", actor: "process", verb: "archived data on", target: "host"},
	{by: "T1114", text: "Mail of {mailbox} was collected[ from {ip}]", actor: "ip", verb: "collected mail of", target: "mailbox"},
	{by: "T1213 T1530", text: "{user} collected data from {app}[ from {ip}]", actor: "user", verb: "collected data from", target: "app"},
	{by: "T1530", text: "Data was collected from {resource}[ from {ip}]", actor: "ip user", verb: "collected data from", target: "resource"},
	{by: "T1486", text: "Files were encrypted on {device}[ by {process}][ as {account}]", actor: "process", verb: "encrypted files on", target: "device"},
	{by: "T1490", text: "Recovery was disabled on {device}[ by {process}][ as {account}]", actor: "process", verb: "disabled recovery on", target: "device"},
	{by: "T1489", text: "Services were stopped on {device}[ by {process}][ as {account}]", actor: "process", verb: "stopped services on", target: "device"},
	{by: "T1485", text: "Data was destroyed on {device}[ by {process}][ as {account}]", actor: "process", verb: "destroyed data on", target: "device"},

	// Persistence and privilege.
	{by: "T1053.005", text: "A scheduled task was set on {host} by {process}[ as {account}]", actor: "process", verb: "set a scheduled task on", target: "host"},
	{by: "T1053", text: "A scheduled task or job was set on {device}[ by {process}][ as {account}]", actor: "process", verb: "set a scheduled task on", target: "device"},
	{by: "T1543.003 T1569.002", text: "A service was set up or run on {device}[ by {process}][ as {account}]", actor: "process source user", verb: "set up a service on", target: "device"},
	{by: "T1547.001", text: "{registry} was set to start at logon[ on {device}][ by {process}]", actor: "process", verb: "set to start at logon", target: "registry"},
	{by: "T1136", text: "Account {created} was created[ by {user}][ on {device}]", actor: "user", verb: "created", target: "created"},
	{by: "T1098", text: "{created} was added to {group}[ by {user}]", actor: "user", verb: "changed membership of", target: "group"},
	{by: "T1098.001", text: "Credentials were added to the application {oauth}[ by {user}][ from {ip}]", actor: "user", verb: "added credentials to", target: "oauth"},
	{by: "T1505.003", text: "A web shell was placed on {device}[: {file}]", actor: "file", verb: "was placed on", target: "device"},

	// Defence evasion.
	{by: "T1562", text: "Security tools were tampered with on {device}[ by {process}][ as {account}]", actor: "process", verb: "tampered with security tools on", target: "device"},
	{by: "T1070", text: "Traces were removed on {device}[ by {process}][ as {account}]", actor: "process", verb: "removed traces on", target: "device"},
	{by: "T1055", text: "Process injection on {host} involved {process}[ as {account}]", actor: "process", verb: "took part in process injection on", target: "host"},

	// Lateral movement needs both sides told apart by their roles.
	{on: late, text: "{source} reached {destination}[ with account {user}]", actor: "source", verb: "reached", target: "destination"},

	// Command and control.
	{by: "T1105", text: "{file} was brought to {device}[ from {remote}][ by {process}]", actor: "process remote", verb: "brought a file to", target: "device"},
	{on: comm, text: "{process} on {host} connected to {remote}[ as {account}]", actor: "process", verb: "connected to", target: "remote"},
	{on: comm, text: "{device} connected to {remote}", actor: "device", verb: "connected to", target: "remote"},

	// Sign-in.
	{on: init_ | pers | priv | evas | cred, text: "{session} signed in from {ip}[ to {app}]", actor: "session", verb: "signed in from", target: "ip"},
	{by: "T1078", text: "{user} signed in from {ip}[ to {app}]", actor: "user", verb: "signed in from", target: "ip"},
	{by: "T1078", text: "{user} logged on to {loggedOn}", actor: "user", verb: "logged on to", target: "loggedOn"},
	{by: "T1190", text: "{device} was attacked through an exposed service[ from {ip}]", actor: "ip", verb: "attacked", target: "device"},

	// What ran, and what was looked at.
	{on: disc, text: "{source} gathered information from {destination}[ with account {user}]", actor: "source", verb: "gathered information from", target: "destination"},
	{on: disc, text: "{process} gathered information on {host}[ as {account}]", actor: "process", verb: "gathered information on", target: "host"},
	{on: init_ | exec | pers | priv | evas | disc, text: "{parent} started {started}[ on {startedHost}][ as {startedAccount}]", actor: "parent", verb: "started", target: "started"},
	{on: init_ | exec, text: "{started} ran on {startedHost}[ as {startedAccount}]", actor: "started", verb: "ran on", target: "startedHost"},
	{on: exec, by: "T1204", text: "{file} was opened on {fileHost}", actor: "file", verb: "was opened on", target: "fileHost"},
	{text: "Malware {malware} was found in {file}[ on {fileHost}]", actor: "file", verb: "was found on", target: "fileHost"},

	// The title.
	{text: "{title} on {device}[ ({user})]", actor: "source", verb: "", target: "device"},
	{text: "{title} ({user})", actor: "source", verb: "", target: "user"},
	{text: "{title} ({mailbox})", actor: "source", verb: "", target: "mailbox"},
	{text: "{title} on {resource}", actor: "source", verb: "", target: "resource"},
	{text: "{title}"},
	{text: "Alert from {product}"},
	{text: "Alert without a title"},
}

// telling is what a template made of an alert.
type telling struct {
	sentence, verb string
	actor, target  *Party
	inferred       bool
}

// tell uses the first template that fits.
func (s *scene) tell() telling {
	t, sentence, inferred := s.match()
	actor, byActor := s.filled(t.actor)
	target, byTarget := s.filled(t.target)
	if actor != nil && target != nil && actor.ID == target.ID {
		actor = nil
	}
	return telling{sentence, t.verb, actor, target, inferred || byActor || byTarget}
}

// match finds the first template that fits; the last always does.
func (s *scene) match() (t template, sentence string, inferred bool) {
	for _, t = range templates {
		if !s.applies(t) {
			continue
		}
		if sentence, inferred, ok := s.fill(t.text); ok {
			return t, sentence, inferred
		}
	}
	return t, t.text, false
}

// applies reports whether tactic and techniques call for the template. Of an alert's many techniques only
// those count that serve its tactic.
func (s *scene) applies(t template) bool {
	if t.on != 0 && t.on&s.tactic == 0 {
		return false
	}
	if t.by == "" {
		return true
	}
	for _, want := range strings.Fields(t.by) {
		for _, id := range s.alert.MitreTechniques {
			serves := s.tactic == 0 || tacticsOf(id)&s.tactic != 0
			if serves && (id == want || strings.HasPrefix(id, want+".")) {
				return true
			}
		}
	}
	return false
}

// filled is the party of the first of the slots that has one.
func (s *scene) filled(names string) (p *Party, inferred bool) {
	for _, name := range strings.Fields(names) {
		if v := s.slot(name); v.party != nil {
			return v.party, v.inferred
		}
	}
	return nil, false
}

// fill puts the slots' values into a text. Values are never read as text again, so braces in a file name
// stay braces.
func (s *scene) fill(text string) (sentence string, inferred, ok bool) {
	var b strings.Builder
	for text != "" {
		head, rest, found := strings.Cut(text, "[")
		part, in, filled := s.fillPart(head)
		if !filled {
			return "", false, false
		}
		b.WriteString(part)
		inferred = inferred || in
		if !found {
			break
		}
		optional, after, _ := strings.Cut(rest, "]")
		if part, in, filled := s.fillPart(optional); filled {
			b.WriteString(part)
			inferred = inferred || in
		}
		text = after
	}
	return b.String(), inferred, true
}

func (s *scene) fillPart(text string) (part string, inferred, ok bool) {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(text, "{")
		b.WriteString(head)
		if !found {
			return b.String(), inferred, true
		}
		name, after, _ := strings.Cut(rest, "}")
		v := s.slot(name)
		if v.text == "" {
			return "", false, false
		}
		b.WriteString(v.text)
		inferred = inferred || v.inferred
		text = after
	}
}
