package story

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/clew-security/clew/graph"
)

// nodes are the entities of an incident by every id that evidence names them with.
type nodes map[graph.ID]graph.Entity

// scene is one alert with its evidence, as templates ask about it.
type scene struct {
	alert  graph.Alert
	tactic tactics
	things []thing
	nodes  nodes
	// slots and mails keep what was asked before: templates share most questions.
	slots map[string]value
	mails *mails
}

func newScene(a graph.Alert, known nodes) *scene {
	return &scene{alert: a, tactic: tacticOf(a.Category, a.MitreTechniques), things: things(a), nodes: known, slots: map[string]value{}}
}

// slot is the value of a slot.
func (s *scene) slot(name string) value {
	v, ok := s.slots[name]
	if !ok {
		v = slots[name](s)
		s.slots[name] = v
	}
	return v
}

// value fills a slot: the text for the sentence, and the node it speaks of where there is one.
type value struct {
	text  string
	party *Party
	// inferred is set where a weak key was followed to the party.
	inferred bool
}

// party is the node behind an id, called name where given. A weak-only node that is the same as just one
// other is followed to it.
func (s *scene) party(id graph.ID, kind graph.Kind, name string) value {
	e := s.nodes[id]
	known := cmp.Or(graph.Entity.Name(s.nodes[e.SameAs]), graph.Entity.Name(e))
	if known != "" && (name == "" || !evidenceNames[kind]) {
		name = known
	}
	name = clean(name)
	v := value{text: quoted(kind, name)}
	if name == "" {
		name = "unnamed " + words(kind.String())
		v.text = "an " + name
	}
	if id.IsZero() {
		return v
	}
	id = cmp.Or(e.ID, id)
	if !e.SameAs.IsZero() {
		id, v.inferred = e.SameAs, true
	}
	v.party = &Party{ID: id, Kind: id.Kind(), Name: name}
	return v
}

// words spaces a name in camel case: "mailMessage" is "mail message".
func words(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// of is the value of one piece of evidence.
func (s *scene) of(t thing) value { return s.party(t.entity, t.kind, t.name()) }

// all is the value of several: their names listed, the first as party.
func (s *scene) all(ts []thing) value {
	var out value
	var names []string
	seen := map[string]bool{}
	for i, t := range ts {
		v := s.of(t)
		if i == 0 {
			out = v
		}
		if !seen[v.text] {
			seen[v.text], names = true, append(names, v.text)
		}
	}
	out.text = list(names)
	return out
}

func (s *scene) ofKind(kinds ...graph.Kind) []thing {
	var out []thing
	for _, t := range s.things {
		if slices.Contains(kinds, t.kind) {
			out = append(out, t)
		}
	}
	return out
}

// The roles that say which side of a deed a thing was on, the clearest first (evidenceRole).
var (
	actorRoles  = []string{"attacker", "source", "compromised"}
	targetRoles = []string{"attacked", "destination", "created", "edited", "added", "compromised"}
)

// withRoles are those with the first of the roles that any has; nil where none has one.
func withRoles(ts []thing, roles []string) []thing {
	for _, role := range roles {
		if some := filter(ts, func(t thing) bool { return t.hasRole(role) }); len(some) > 0 {
			return some
		}
	}
	return nil
}

// best are the things of the kinds that a sentence should name in this part: those with its roles, else those
// that are not on the other side and more than context; of these the ones with the worst verdict.
func (s *scene) best(roles, others []string, kinds ...graph.Kind) []thing {
	ts := s.ofKind(kinds...)
	some := withRoles(ts, roles)
	if some == nil {
		some = filter(ts, func(t thing) bool { return withRoles([]thing{t}, others) == nil && !t.hasRole("contextual") })
	}
	if some == nil {
		some = filter(ts, func(t thing) bool { return withRoles([]thing{t}, others) == nil })
	}
	worst := 0
	for _, t := range some {
		worst = max(worst, t.badness())
	}
	return filter(some, func(t thing) bool { return t.badness() == worst })
}

func filter(ts []thing, keep func(thing) bool) []thing {
	var out []thing
	for _, t := range ts {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

// processes are those that a sentence may be about: the worst verdict, without the ones that only started
// others of them and those that something was done to.
func (s *scene) processes() []thing {
	ts := filter(s.best(nil, targetRoles[:2], graph.KindProcess), func(t thing) bool {
		return !strings.EqualFold(t.ImageFile.FileName, "lsass.exe") // what credentials are taken from
	})
	parents := map[graph.ID]bool{}
	for _, t := range ts {
		parents[mention(t, graph.KindProcess)] = true
	}
	return filter(ts, func(t thing) bool { return t.entity.IsZero() || !parents[t.entity] })
}

// culprit is the one process that can have done it; false where there are several.
func (s *scene) culprit() (thing, bool) {
	ts := s.processes()
	for _, t := range ts {
		if t.entity != ts[0].entity || t.name() != ts[0].name() {
			return thing{}, false
		}
	}
	return s.latest(ts)
}

// latest is the last of the processes to start, the end of the chain.
func (s *scene) latest(ts []thing) (thing, bool) {
	if len(ts) == 0 {
		return thing{}, false
	}
	return slices.MinFunc(ts, func(a, b thing) int {
		return cmp.Or(cmp.Compare(b.ProcessCreation, a.ProcessCreation), compareThings(a, b))
	}), true
}

// host is the device a process or file was on: the one it names, or the alert's only one.
func (s *scene) host(t thing) value {
	devices := s.ofKind(graph.KindDevice)
	for _, d := range devices {
		if t.MdeDeviceID != "" && strings.EqualFold(d.MdeDeviceID, t.MdeDeviceID) {
			return s.of(d)
		}
	}
	return s.sole(devices)
}

// sole is the value of things that are all the same one; empty where they differ.
func (s *scene) sole(ts []thing) value {
	var out value
	for i, t := range ts {
		v := s.of(t)
		if i > 0 && v.text != out.text {
			return value{}
		}
		out = v
	}
	return out
}

// mention is the one node of the kind that the evidence names; zero where there is none or several.
func mention(t thing, kind graph.Kind) graph.ID {
	var found graph.ID
	for _, id := range t.mentions {
		if id.Kind() == kind && id != t.entity {
			if !found.IsZero() {
				return graph.ID{}
			}
			found = id
		}
	}
	return found
}

// bearing is the node among those the evidence names that bears the mail address; zero where none does.
func (s *scene) bearing(t thing, address string) graph.ID {
	for _, kind := range []graph.Kind{graph.KindMailbox, graph.KindIdentity} {
		for _, id := range t.mentions {
			if id.Kind() == kind && slices.ContainsFunc(s.nodes[id].Keys, func(k graph.Key) bool { return strings.EqualFold(k.Value, address) }) {
				return id
			}
		}
	}
	return graph.ID{}
}
