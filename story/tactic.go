package story

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
)

// tactics is a set of ATT&CK tactics; lower bits come earlier in the kill chain.
type tactics uint16

// The tactics in the order of the ATT&CK matrix.
const (
	reco tactics = 1 << iota
	resd
	init_
	exec
	pers
	priv
	evas
	cred
	disc
	late
	coll
	comm
	exfi
	impa
)

// tacticNames are ATT&CK's names, in the order of the bits.
var tacticNames = []string{
	"Reconnaissance", "Resource Development", "Initial Access", "Execution", "Persistence",
	"Privilege Escalation", "Defense Evasion", "Credential Access", "Discovery", "Lateral Movement",
	"Collection", "Command and Control", "Exfiltration", "Impact",
}

// technique is one row of the ATT&CK table.
type technique struct {
	name    string
	tactics tactics
}

// Tactics lists the ATT&CK tactics in the order of the kill chain.
func Tactics() []string { return slices.Clone(tacticNames) }

// TechniqueName is ATT&CK's name of a technique; of a sub-technique "Parent: Name". An id that the table does
// not have is its own name.
func TechniqueName(id string) string {
	row, ok := attack[id]
	if !ok {
		return id
	}
	if parent, _, sub := strings.Cut(id, "."); sub {
		return attack[parent].name + ": " + row.name
	}
	return row.name
}

// TechniqueTactics lists the tactics of a technique in the order of the kill chain; nil where it is unknown.
func TechniqueTactics(id string) []string {
	var out []string
	for t := tacticsOf(id); t != 0; t &^= t.first() {
		out = append(out, t.first().String())
	}
	return out
}

// tacticsOf a technique. A sub-technique that is not in the table has its parent's: in ATT&CK v18.0 that
// holds for all of them.
func tacticsOf(id string) tactics {
	if row, ok := attack[id]; ok {
		return row.tactics
	}
	parent, _, _ := strings.Cut(id, ".")
	return attack[parent].tactics
}

// first is the tactic that comes first in the kill chain, 0 of the empty set.
func (t tactics) first() tactics { return t & -t }

// order is the place in the kill chain of a single tactic; no tactic comes last.
func (t tactics) order() int {
	if t == 0 {
		return len(tacticNames)
	}
	return bits.TrailingZeros16(uint16(t))
}

// String is the name of the first tactic, "" of the empty set.
func (t tactics) String() string {
	if t == 0 {
		return ""
	}
	return tacticNames[t.order()]
}

// tacticOf decides an alert's one tactic: what its category says (Sentinel puts several there), else what
// its techniques may serve. Of several the one that most techniques share, then the earliest.
func tacticOf(category string, techniques []string) tactics {
	named := categoryTactics(category)
	among := named
	if among == 0 {
		among = ^tactics(0)
	}
	var best tactics
	most := 0
	for i := range tacticNames {
		t := tactics(1) << i
		if n := countServing(techniques, t&among); n > most {
			best, most = t, n
		}
	}
	if best == 0 {
		best = named.first()
	}
	return best
}

func countServing(techniques []string, t tactics) int {
	n := 0
	for _, id := range techniques {
		if tacticsOf(id)&t != 0 {
			n++
		}
	}
	return n
}

// categoryTactics reads the tactics a category names, in any spelling: "InitialAccess", "Lateral movement",
// "defence-evasion", "Execution, Persistence". Categories that are none (Malware, SuspiciousActivity) give 0.
func categoryTactics(category string) tactics {
	var out tactics
	for _, part := range strings.FieldsFunc(category, func(r rune) bool { return r == ',' || r == ';' }) {
		word := letters(part)
		for i, name := range tacticNames {
			if word == letters(name) {
				out |= 1 << i
			}
		}
	}
	return out
}

// letters are the letters of a text in lower case, in American spelling of the one word that matters.
func letters(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	return strings.ReplaceAll(s, "defence", "defense")
}
