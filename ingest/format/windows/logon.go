package windows

import (
	"strconv"
	"strings"

	"github.com/clew-security/clew/graph"
)

// logon is event 4624: an account logged on.
func (s *says) logon() error {
	a := s.account("Target")
	properties := map[string]any{"sessionId": a.session}
	if n, ok := s.fields.Integer("LogonType"); ok {
		properties["logonType"] = n
	}
	who := s.loggedOn(a)
	from := with(s.session(a), properties)
	s.relate(graph.EdgeOfSession, from, who, once)
	if len(from.Keys) == 0 {
		from = who
	}
	if len(who.Keys) > 0 {
		s.relate(graph.EdgeSignedInFrom, s.thing(from.Keys), s.address(s.text("IpAddress")), s.moment())
	}
	return nil
}

// privileges is event 4672: the session that has begun is an administrator's.
func (s *says) privileges() error {
	s.inSession(s.account("Subject"))
	return nil
}

// credentials is event 4648: one account used the name and password of another, which were on the device then.
func (s *says) credentials() error {
	s.inSession(s.account("Subject"))
	if e := s.relate(graph.EdgeLoggedOn, s.thing(s.account("Target").keys()), s.device, s.moment()); e != nil {
		e.Inferred = true
	}
	return nil
}

// logoff are events 4634 and 4647. The session ends; that the account was logged on stays true.
func (s *says) logoff() error {
	if e := s.inSession(s.account("Target")); e != nil {
		e.EndedAt = s.at
	}
	return nil
}

// inSession says that the account is logged on, and gives whose its session is; nil where either is not known.
func (s *says) inSession(a account) *graph.EdgeObservation {
	return s.relate(graph.EdgeOfSession, s.session(a), s.loggedOn(a), once)
}

func (s *says) loggedOn(a account) graph.EntityObservation {
	who := s.thing(a.keys())
	s.relate(graph.EdgeLoggedOn, who, s.device, s.sessionOr(a))
	return who
}

// session is the account's logon session on the device.
func (s *says) session(a account) graph.EntityObservation {
	k := keys{kind: graph.KindLogonSession}
	if a.session != "" {
		k.add(graph.KeyHostSession, graph.Scoped(s.host, a.session))
	}
	return s.thing(k.list)
}

// sessionOr is the sighting of a logon: its session, or where that is not known the moment.
func (s *says) sessionOr(a account) string {
	if a.session != "" {
		return a.session
	}
	return s.moment()
}

// account is whom an event names.
type account struct {
	sid, domain, name string
	// session is the id of its logon session, as hexadecimal digits behind 0x; empty where there is none.
	session string
	// service is set where the session is one that every machine has.
	service bool
}

// account reads the fields that begin with the word, Subject or Target.
func (s *says) account(word string) account {
	a := account{sid: s.text(word + "UserSid"), domain: s.text(word + "DomainName"), name: s.text(word + "UserName")}
	a.session, a.service = s.sessionID(word + "LogonId")
	return a
}

// user is whom Sysmon names, without a SID and in the machine's own language. On Linux there is no domain.
func (s *says) user() account {
	domain, name, found := strings.Cut(s.text("User"), `\`)
	if !found {
		domain, name = "", domain
	}
	a := account{domain: domain, name: name}
	a.session, a.service = s.sessionID("LogonId")
	return a
}

// sessionID writes the id of a logon session one way. The sessions of Windows' own accounts have the same on every
// machine (learn.microsoft.com, "LUID": network service 0x3e4, local service 0x3e5, anonymous 0x3e6, system 0x3e7).
func (s *says) sessionID(name string) (id string, service bool) {
	n, ok := s.fields.Integer(name)
	switch {
	case !ok || n <= 0:
		return "", false
	case n >= 0x3e4 && n <= 0x3e7:
		return "", true
	}
	return "0x" + strconv.FormatInt(n, 16), false
}

// systemDomains are those of the accounts that every machine has (learn.microsoft.com, "Security identifiers").
var systemDomains = map[string]bool{"nt authority": true, "nt service": true, "nt virtual machine": true, "builtin": true,
	"font driver host": true, "window manager": true, "iis apppool": true}

// keys of an account that belongs to somebody: none for a machine's and for those that every machine has, which would join
// all devices.
func (a account) keys() []graph.Key {
	sid := strings.ToUpper(a.sid)
	if !strings.HasPrefix(sid, "S-1-") || sid == "S-1-0-0" { // some sources write a name in its place, or nobody's
		sid = ""
	}
	builtIn := sid != "" && graph.IsBuiltInSID(sid)
	if builtIn || a.service || systemDomains[strings.ToLower(a.domain)] || strings.HasSuffix(a.name, "$") {
		return nil
	}
	k := keys{kind: graph.KindIdentity}
	k.add(graph.KeySID, sid)
	k.add(graph.KeyUserPrincipalName, a.name)
	if a.domain != "" && a.name != "" && !strings.Contains(a.name, "@") {
		k.add(graph.KeyAccountName, a.domain+`\`+a.name)
	}
	return k.list
}
