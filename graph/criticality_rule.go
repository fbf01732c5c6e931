package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CriticalityRule makes the entities critical that fulfil all of its conditions; of a condition with several
// patterns any one will do. Refused are: no name, or one given twice; no condition at all; an unknown kind; no
// criticality; and patterns that are empty, not UTF-8, or beyond the bounds below.
//
// A pattern is a whole text without regard to case, in which * stands for any text and ? for any one character.
type CriticalityRule struct {
	// Name is told where the rule decides.
	Name        string      `json:"name"`
	Criticality Criticality `json:"criticality"`
	// Kinds limits the rule to these; nil means all.
	Kinds []Kind `json:"kinds,omitempty"`
	// Names are patterns of what it is called: its display name, host name (with and without its domain), account,
	// address.
	Names []string `json:"names,omitempty"`
	// Tags are patterns of tags: those of devices in Defender, those of accounts.
	Tags []string `json:"tags,omitempty"`
	// Roles are patterns of what it is for: the role of a device, the directory roles of an account.
	Roles []string `json:"roles,omitempty"`
	// JobTitles are patterns of an account's job title.
	JobTitles []string `json:"jobTitles,omitempty"`
	// Groups are patterns of groups that the source names at the entity: the device group, the account's
	// memberships. Edges are not looked at.
	Groups []string `json:"groups,omitempty"`
	// Platforms are patterns of a device's operating system, as osPlatform names it.
	Platforms []string `json:"platforms,omitempty"`
	// SIDs are patterns of security identifiers.
	SIDs []string `json:"sids,omitempty"`
}

// Bounds of rules. A name or pattern is counted in bytes.
const (
	MaxCriticalityRules    = 200
	MaxCriticalityPatterns = 100 // of one condition
	maxRuleName            = 100
	maxPattern             = 200
	// The others bound what is compared with the patterns: an entity may have a property of any
	// size, and is graded whenever it is read.
	maxRuleTexts = 100
	maxRuleText  = 500
	maxRuleValue = 64 << 10
)

// ruleField is where a condition finds its texts.
type ruleField struct {
	name       string
	patterns   func(CriticalityRule) []string
	properties []string
	keys       []KeyType
}

// ruleFields names properties as Graph and the hunting tables do, in camel case. Not among them is registryDeviceTag:
// whoever administers a device writes it, an attacker too.
var ruleFields = []ruleField{
	{"names", func(r CriticalityRule) []string { return r.Names }, nameProperties, nameKeys},
	{"tags", func(r CriticalityRule) []string { return r.Tags },
		[]string{"tags", "machineTags", "deviceManualTags", "deviceDynamicTags"}, nil},
	{"roles", func(r CriticalityRule) []string { return r.Roles },
		[]string{"role", "roles", "deviceRole", "deviceRoles", "osProductType", "assignedRoles", "privilegedEntraPimRoles"}, nil},
	{"jobTitles", func(r CriticalityRule) []string { return r.JobTitles }, []string{"jobTitle"}, nil},
	{"groups", func(r CriticalityRule) []string { return r.Groups },
		[]string{"rbacGroupName", "machineGroup", "groupMembership"}, nil},
	{"platforms", func(r CriticalityRule) []string { return r.Platforms }, []string{"osPlatform"}, nil},
	{"sids", func(r CriticalityRule) []string { return r.SIDs }, []string{"onPremSid", "cloudSid"}, []KeyType{KeySID}},
}

// compiledRule is a checked rule with patterns in lower case.
type compiledRule struct {
	name        string
	criticality Criticality
	kinds       []Kind
	conditions  []ruleCondition
}

type ruleCondition struct {
	of       *ruleField
	patterns []string
}

func compileRules(rules []CriticalityRule) ([]compiledRule, error) {
	if len(rules) > MaxCriticalityRules {
		return nil, fmt.Errorf("%w: %d criticality rules, at most %d are possible", ErrInvalid, len(rules), MaxCriticalityRules)
	}
	out, names := make([]compiledRule, 0, len(rules)), map[string]bool{}
	for i, r := range rules {
		c, err := r.compile()
		if err == nil && names[r.Name] {
			err = errors.New("an earlier rule has this name")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: criticality rule %d (%.40q): %v", ErrInvalid, i+1, r.Name, err)
		}
		names[r.Name], out = true, append(out, c)
	}
	return out, nil
}

func (r CriticalityRule) compile() (compiledRule, error) {
	c := compiledRule{name: r.Name, criticality: r.Criticality, kinds: slices.Clone(r.Kinds)}
	if err := r.check(); err != nil {
		return c, err
	}
	for i := range ruleFields {
		patterns, err := compilePatterns(ruleFields[i].patterns(r))
		if err != nil {
			return c, fmt.Errorf("%s: %w", ruleFields[i].name, err)
		}
		if len(patterns) > 0 {
			c.conditions = append(c.conditions, ruleCondition{&ruleFields[i], patterns})
		}
	}
	if len(c.kinds)+len(c.conditions) == 0 {
		return c, errors.New("it has no condition and would match everything")
	}
	return c, nil
}

func (r CriticalityRule) check() error {
	switch {
	case r.Name == "" || len(r.Name) > maxRuleName || !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, unicode.IsControl):
		return fmt.Errorf("name: want 1 to %d bytes of printable text", maxRuleName)
	case r.Criticality == CriticalityUnknown || r.Criticality > CriticalityVeryHigh:
		return errors.New("criticality: want low, medium, high or veryHigh")
	}
	for i, k := range r.Kinds {
		if !k.Entity() {
			return fmt.Errorf("kinds: number %d is no kind of entity", i+1)
		}
	}
	return nil
}

func compilePatterns(patterns []string) ([]string, error) {
	if len(patterns) > MaxCriticalityPatterns {
		return nil, fmt.Errorf("%d patterns, at most %d are possible", len(patterns), MaxCriticalityPatterns)
	}
	out := make([]string, len(patterns))
	for i, p := range patterns {
		if p == "" || len(p) > maxPattern || !utf8.ValidString(p) {
			return nil, fmt.Errorf("pattern %d: want 1 to %d bytes of UTF-8", i+1, maxPattern)
		}
		out[i] = strings.ToLower(p)
	}
	return out, nil
}

// firstMatch is the first rule that matches, nil where none does.
func firstMatch(rules []compiledRule, e Entity) *compiledRule {
	for i := range rules {
		if rules[i].matches(e) {
			return &rules[i]
		}
	}
	return nil
}

func (r *compiledRule) matches(e Entity) bool {
	if r.kinds != nil && !slices.Contains(r.kinds, e.Kind()) {
		return false
	}
	for _, c := range r.conditions {
		if !c.holds(e) {
			return false
		}
	}
	return true
}

func (c ruleCondition) holds(e Entity) bool {
	return slices.ContainsFunc(c.of.texts(e), func(text string) bool {
		return slices.ContainsFunc(c.patterns, func(p string) bool { return matchPattern(p, text) })
	})
}

// texts of the entity in lower case: those of a property that is one or a list, also one that the hunting tables
// have as a text of JSON, and those of keys; of a host's full name the host too.
func (f *ruleField) texts(e Entity) []string {
	var all []string
	for _, name := range f.properties {
		if p, ok := e.Properties[name]; ok && len(p.Value) <= maxRuleValue {
			all = append(all, textsOf(p.Value)...)
		}
	}
	for _, k := range e.Keys {
		if slices.Contains(f.keys, k.Type) {
			all = append(all, k.Value)
		}
	}
	all = all[:min(len(all), maxRuleTexts)]
	for i, text := range all {
		all[i] = strings.ToLower(text[:min(len(text), maxRuleText)])
		if host, _, full := strings.Cut(all[i], "."); full && e.Kind() == KindDevice {
			all = append(all, host)
		}
	}
	return all
}

// textsOf are the texts, numbers and truth values of a JSON value or of a list of such.
func textsOf(v json.RawMessage) []string {
	if plainText(v) && !bytes.HasPrefix(v, []byte(`"[`)) { // as most are
		return []string{string(v[1 : len(v)-1])}
	}
	var text string
	if json.Unmarshal(v, &text) == nil {
		if list := listOf([]byte(text)); list != nil {
			return list
		}
		return []string{text}
	}
	if list := listOf(v); list != nil {
		return list
	}
	return []string{string(v)}
}

func listOf(v []byte) []string {
	var items []json.RawMessage
	if len(v) == 0 || v[0] != '[' || json.Unmarshal(v, &items) != nil {
		return nil
	}
	out := []string{}
	for _, item := range items[:min(len(items), maxRuleTexts)] {
		text := string(item)
		_ = json.Unmarshal(item, &text) // another value stays as it is written
		out = append(out, text)
	}
	return out
}

// matchPattern matches the whole text. It never goes back behind the last *, so it takes at most the product of
// both lengths.
func matchPattern(p, s string) bool {
	i, j, star, from := 0, 0, -1, 0
	for j < len(s) {
		_, width := utf8.DecodeRuneInString(s[j:])
		switch {
		case i < len(p) && p[i] == '*':
			star, from, i = i, j, i+1
		case i < len(p) && p[i] == '?':
			i, j = i+1, j+width
		case i < len(p) && p[i] == s[j]:
			i, j = i+1, j+1
		case star >= 0:
			_, width := utf8.DecodeRuneInString(s[from:])
			from += width
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}
