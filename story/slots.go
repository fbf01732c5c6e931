package story

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// slots are what a template may ask of a scene. An empty text means that the evidence does not say it.
var slots = map[string]func(*scene) value{
	"title": func(s *scene) value { return value{text: clean(s.alert.Title)} },
	"product": func(s *scene) value {
		return value{text: clean(cmp.Or(s.alert.ProductName, string(s.alert.ServiceSource), s.alert.Product))}
	},

	"device": func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindDevice)) },
	"host":   func(s *scene) value { return one(s.host)(s.culprit()) },
	"source": func(s *scene) value {
		return s.all(s.sides(actorRoles, targetRoles[:2], graph.KindDevice, graph.KindIPAddress))
	},
	"destination": func(s *scene) value {
		return s.all(s.sides(targetRoles[:2], actorRoles[:2], graph.KindDevice, graph.KindCloudResource))
	},

	"user":   user,
	"victim": func(s *scene) value { return s.all(s.best(targetRoles, actorRoles[:2], graph.KindIdentity)) },
	"created": func(s *scene) value {
		return s.all(withRoles(s.ofKind(graph.KindIdentity), []string{"created", "added"}))
	},
	"session": sessionUser,
	"loggedOn": func(s *scene) value {
		if len(s.ofType("hostLogonSessionEvidence")) == 0 {
			return value{}
		}
		return s.sole(s.ofKind(graph.KindDevice))
	},

	"process": func(s *scene) value { return one(s.of)(s.culprit()) },
	"account": func(s *scene) value { return one(s.processAccount)(s.culprit()) },

	"started":        func(s *scene) value { return one(s.of)(s.ending()) },
	"parent":         func(s *scene) value { return one(s.parentProcess)(s.ending()) },
	"startedAccount": func(s *scene) value { return one(s.processAccount)(s.ending()) },
	"startedHost":    func(s *scene) value { return one(s.host)(s.ending()) },

	"file": func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindFile)) },
	"fileHost": func(s *scene) value {
		if ts := s.best(targetRoles, nil, graph.KindFile); len(ts) > 0 {
			return s.host(ts[0])
		}
		return value{}
	},
	"malware": func(s *scene) value {
		named := s.all(s.ofKind(graph.KindMalware))
		return value{text: cmp.Or(named.text, quoted(graph.KindMalware, clean(s.alert.ThreatDisplayName)))}
	},
	"registry": func(s *scene) value {
		if values := s.best(targetRoles, nil, graph.KindRegistryValue); len(values) > 0 {
			return s.all(values)
		}
		return s.all(s.best(targetRoles, nil, graph.KindRegistryKey))
	},

	"ip":     func(s *scene) value { return s.all(s.best(actorRoles, targetRoles[:2], graph.KindIPAddress)) },
	"url":    func(s *scene) value { return s.all(s.best(nil, nil, graph.KindURL)) },
	"remote": remote,
	"app":    func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindCloudApplication)) },
	"oauth": func(s *scene) value {
		return s.all(s.best(targetRoles, nil, graph.KindOAuthApplication, graph.KindServicePrincipal))
	},
	"group":    func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindSecurityGroup)) },
	"resource": func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindCloudResource)) },
	"mailbox":  func(s *scene) value { return s.all(s.best(targetRoles, nil, graph.KindMailbox)) },

	"forwarded": func(s *scene) value { return s.configured("mailForwardingRule") },
	"ruled":     func(s *scene) value { return s.configured("userInboxRule") },
	"delegated": func(s *scene) value { return s.configured("mailDelegation") },

	"subject":     func(s *scene) value { return value{text: s.letters().subject} },
	"sender":      func(s *scene) value { return s.letters().sender },
	"delivered":   func(s *scene) value { return s.letters().to("delivered") },
	"junked":      func(s *scene) value { return s.letters().to("junked") },
	"quarantined": func(s *scene) value { return s.letters().to("quarantined") },
	"blocked":     func(s *scene) value { return s.letters().to("blocked") },
	"recipient":   func(s *scene) value { return s.letters().to("") },
	"attachment":  attachment,
	"link": func(s *scene) value {
		if len(s.ofType("analyzedMessageEvidence")) == 0 {
			return value{}
		}
		return s.all(s.best(nil, nil, graph.KindURL))
	},
}

func one(f func(thing) value) func(thing, bool) value {
	return func(t thing, ok bool) value {
		if !ok {
			return value{}
		}
		return f(t)
	}
}

func (s *scene) ofType(typ string) []thing {
	return filter(s.things, func(t thing) bool { return t.typ == typ })
}

// sides are those of the kinds that a role puts on this side and none on the other; the kinds are tried in
// order.
func (s *scene) sides(roles, others []string, kinds ...graph.Kind) []thing {
	for _, k := range kinds {
		here := filter(s.ofKind(k), func(t thing) bool { return withRoles([]thing{t}, others) == nil })
		if some := withRoles(here, roles); some != nil {
			return some
		}
	}
	return nil
}

// ending is the process at the end of the chain; that it ran is true whoever did the rest.
func (s *scene) ending() (thing, bool) { return s.latest(s.processes()) }

func (s *scene) parentProcess(t thing) value {
	if t.ParentImageFile.FileName == "" {
		return value{}
	}
	return s.party(mention(t, graph.KindProcess), graph.KindProcess, t.ParentImageFile.FileName)
}

func (s *scene) processAccount(t thing) value {
	if t.UserAccount.name() == "" {
		return value{}
	}
	return s.party(mention(t, graph.KindIdentity), graph.KindIdentity, t.UserAccount.name())
}

// user is the account that acted, or was acted through.
func user(s *scene) value {
	return s.all(s.best(actorRoles, targetRoles[:5], graph.KindIdentity))
}

// sessionUser is who signed in: the users of an alert that has a cloud session or request, or comes from the
// product that judges sign-ins.
func sessionUser(s *scene) value {
	signIn := s.alert.ServiceSource == graph.ServiceEntraProtection || len(s.ofType("cloudLogonSessionEvidence")) > 0 ||
		len(s.ofType("cloudLogonRequestEvidence")) > 0
	if !signIn {
		return value{}
	}
	return user(s)
}

// remote is the far end of a connection, where a role says that it is: of urls, domains and addresses the
// first kind that has one.
func remote(s *scene) value {
	for _, kind := range []graph.Kind{graph.KindURL, graph.KindDomain, graph.KindIPAddress} {
		ts := filter(s.ofKind(kind), func(t thing) bool {
			return withRoles([]thing{t}, []string{"commandAndControl", "destination", "attacker"}) != nil
		})
		if len(ts) > 0 {
			return s.all(ts)
		}
	}
	return value{}
}

// configured is the mailbox of a configuration of that type (mailboxConfigurationType).
func (s *scene) configured(typ string) value {
	for _, t := range s.ofType("mailboxConfigurationEvidence") {
		if !strings.EqualFold(t.ConfigurationType, typ) {
			continue
		}
		address := cmp.Or(t.MailboxAddress, t.UPN)
		id := s.bearing(t, address)
		if id.IsZero() {
			id = s.mailboxes()[strings.ToLower(address)]
		}
		if address != "" {
			return s.party(id, graph.KindMailbox, address)
		}
	}
	return value{}
}

// mailboxes are the nodes of the alert's mailbox evidence by address in lower case.
func (s *scene) mailboxes() map[string]graph.ID {
	out := map[string]graph.ID{}
	for _, t := range s.ofKind(graph.KindMailbox) {
		if address := strings.ToLower(t.PrimaryAddress); address != "" && out[address].IsZero() {
			out[address] = t.entity
		}
	}
	return out
}

// mails is what an alert says of the mails of one sender.
type mails struct {
	subject string
	sender  value
	fates   map[string][]value
}

// letters reads the mails once.
func (s *scene) letters() mails {
	if s.mails == nil {
		m := s.readMails(s.ofType("analyzedMessageEvidence"))
		s.mails = &m
	}
	return *s.mails
}

// readMails takes the messages of the sender whose mail went furthest.
func (s *scene) readMails(ts []thing) mails {
	if len(ts) == 0 {
		return mails{}
	}
	boxes := s.mailboxes()
	head := slices.MinFunc(ts, func(a, b thing) int {
		return cmp.Or(slices.Index(fates, a.fate())-slices.Index(fates, b.fate()), compareThings(a, b))
	})
	m := mails{fates: map[string][]value{}}
	if head.Subject != "" {
		m.subject = quote(clean(head.Subject))
	}
	if from := head.body.sender(); from != "" {
		m.sender = s.party(s.bearing(head, from), graph.KindMailMessage, from)
	}
	for _, t := range ts {
		if t.Recipient == "" || !strings.EqualFold(t.body.sender(), head.body.sender()) {
			continue
		}
		id := s.bearing(t, t.Recipient)
		if id.IsZero() {
			id = boxes[strings.ToLower(t.Recipient)]
		}
		m.fates[t.fate()] = append(m.fates[t.fate()], s.party(id, graph.KindMailbox, t.Recipient))
	}
	return m
}

// fates of a mail, the furthest first.
var fates = []string{"delivered", "junked", "", "quarantined", "blocked"}

// fate reads deliveryAction and deliveryLocation; "" where neither tells. Mail that was removed after its
// delivery is reported as blocked and in quarantine too, so of that only the quarantine is certain.
func (b body) fate() string {
	where := place(b.DeliveryLocation)
	if what := place(b.DeliveryAction); what != "" && (what != "blocked" || where != "quarantined") {
		return what
	}
	return where
}

func place(word string) string {
	switch strings.ToLower(word) {
	case "delivered", "inbox", "inbox_folder", "inbox/folder":
		return "delivered"
	case "deliveredasspam", "junked", "junkfolder":
		return "junked"
	case "quarantine":
		return "quarantined"
	case "blocked", "replaced", "dropped", "failed":
		return "blocked"
	}
	return ""
}

// to lists who the mails with that fate went to.
func (m mails) to(fate string) value {
	var out value
	var names []string
	vs := slices.SortedFunc(slices.Values(m.fates[fate]), func(a, b value) int { return cmp.Compare(a.text, b.text) })
	for i, v := range vs {
		if i == 0 {
			out = v
		}
		names = append(names, v.text)
	}
	out.text = list(slices.Compact(names))
	return out
}

// attachment are the files of an alert about mail that are on no device, where the mail had any.
func attachment(s *scene) value {
	if !slices.ContainsFunc(s.ofType("analyzedMessageEvidence"), func(t thing) bool { return t.AttachmentsCount > 0 }) {
		return value{}
	}
	return s.all(filter(s.best(nil, nil, graph.KindFile), func(t thing) bool { return t.MdeDeviceID == "" }))
}
