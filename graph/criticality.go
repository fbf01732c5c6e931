package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Criticality is how much the loss of an asset would hurt, as Microsoft Security Exposure Management grades it.
type Criticality uint8

// The criticalities, least first.
const (
	CriticalityUnknown Criticality = iota
	CriticalityLow
	CriticalityMedium
	CriticalityHigh
	CriticalityVeryHigh
)

var criticalityNames = [...]string{"unknown", "low", "medium", "high", "veryHigh"}

// String is the name on every wire.
func (c Criticality) String() string {
	if int(c) >= len(criticalityNames) {
		return criticalityNames[0]
	}
	return criticalityNames[c]
}

// ParseCriticality reads a name as String gives it, in any case.
func ParseCriticality(s string) (Criticality, bool) {
	i := slices.IndexFunc(criticalityNames[:], func(name string) bool { return strings.EqualFold(name, s) })
	return Criticality(max(i, 0)), i >= 0
}

// MarshalText gives the name.
func (c Criticality) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name in any case. Unlike other names, one that is not known is an error: it stands in a
// rule that somebody wrote.
func (c *Criticality) UnmarshalText(b []byte) error {
	known := false
	if *c, known = ParseCriticality(string(b)); !known {
		return fmt.Errorf("%w: criticality %.20q: use low, medium, high or veryHigh", ErrInvalid, b)
	}
	return nil
}

// CriticalitySource is what an entity's criticality rests on.
type CriticalitySource string

// The sources, the one that holds before all others first.
const (
	// CriticalityByAnalyst: a person set it here.
	CriticalityByAnalyst CriticalitySource = "analyst"
	// CriticalityByCustomRule: a rule of the configuration matches.
	CriticalityByCustomRule CriticalitySource = "customRule"
	// CriticalityByProduct: a product or an inventory reported it.
	CriticalityByProduct CriticalitySource = "product"
	// CriticalityByPredefinedRule: a rule of PredefinedCriticalityRules matches.
	CriticalityByPredefinedRule CriticalitySource = "predefinedRule"
)

// CriticalitySources lists them in their order.
func CriticalitySources() []CriticalitySource {
	return []CriticalitySource{CriticalityByAnalyst, CriticalityByCustomRule, CriticalityByProduct, CriticalityByPredefinedRule}
}

// GradedCriticality is an entity's criticality and why. Where it is unknown, all of it is zero.
type GradedCriticality struct {
	Criticality Criticality
	Source      CriticalitySource
	// Rule is the rule's name; empty where none decided.
	Rule string
	// By and Comment are the analyst's.
	By, Comment string
	// At is when the analyst set it, or the instant that the product spoke of; zero where neither is known.
	At time.Time
}

// Criticalities grades entities by rules. The zero value has the predefined ones alone. Safe for concurrent use.
type Criticalities struct{ custom []compiledRule }

// NewCriticalities is a grading with custom rules, of which the first that matches holds. The error wraps
// ErrInvalid and names the rule; see CriticalityRule for what is refused.
func NewCriticalities(custom []CriticalityRule) (Criticalities, error) {
	compiled, err := compileRules(custom)
	return Criticalities{compiled}, err
}

// Of is the entity's criticality: what an analyst set, else what a custom rule gives, else what a product
// reported, else what a predefined rule gives. It is a function of the entity and the rules alone.
func (c Criticalities) Of(e Entity) GradedCriticality {
	if s, ok := e.CriticalitySetting(); ok && s.Criticality != CriticalityUnknown {
		return GradedCriticality{Criticality: s.Criticality, Source: CriticalityByAnalyst, By: s.By, Comment: s.Comment, At: s.At}
	}
	if r := firstMatch(c.custom, e); r != nil {
		return GradedCriticality{Criticality: r.criticality, Source: CriticalityByCustomRule, Rule: r.name}
	}
	if reported, at := reportedCriticality(e); reported != CriticalityUnknown {
		return GradedCriticality{Criticality: reported, Source: CriticalityByProduct, At: at}
	}
	if r := firstMatch(predefined, e); r != nil {
		return GradedCriticality{Criticality: r.criticality, Source: CriticalityByPredefinedRule, Rule: r.name}
	}
	return GradedCriticality{}
}

// gradingVersion is counted up when Criticalities.Of grades by the same rules otherwise than before.
const gradingVersion = 1

// Digest tells gradings apart: those with equal ones grade every entity alike, also in other versions of this program.
func (c Criticalities) Digest() string {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, gradingVersion, reportedNames)
	for _, rules := range [][]compiledRule{c.custom, predefined} {
		_, _ = fmt.Fprintln(h, len(rules))
		for _, r := range rules {
			_, _ = fmt.Fprintf(h, "%d %d\n", r.criticality, r.kinds)
			for _, m := range r.conditions {
				_, _ = fmt.Fprintf(h, "%q %q %q\n", m.patterns, m.of.properties, m.of.keys)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CriticalityProperty names the entity property that holds the criticality where a product or inventory says it.
const CriticalityProperty = "criticality"

// criticalityLevel is Exposure Management's name of it (IdentityInfo.CriticalityLevel, rawData of the exposure
// graph's nodes), a number or an object that has it under the same name.
const criticalityLevel = "criticalityLevel"

// deviceValues are a device's worth by other names: DeviceInfo.AssetValue, and ioTDeviceEvidence.importance. Their
// "normal" is what nobody touched and says nothing.
var deviceValues = []string{"assetValue", "importance"}

var reportedNames = append([]string{CriticalityProperty, criticalityLevel}, deviceValues...)

// reportedCriticality is what a product says, and the instant it spoke of.
func reportedCriticality(e Entity) (Criticality, time.Time) {
	names := reportedNames
	if e.Kind() != KindDevice {
		names = names[:len(names)-len(deviceValues)]
	}
	for _, name := range names {
		p := e.Properties[name]
		if c := readCriticality(p.Value); c != CriticalityUnknown {
			return c, p.ObservedAt
		}
	}
	return CriticalityUnknown, time.Time{}
}

// readCriticality reads "veryHigh", "high", "medium", "low" in any case, or Exposure Management's level, where 0 is
// very high and 3 low. Anything else is unknown.
func readCriticality(v json.RawMessage) Criticality {
	if len(v) == 0 || len(v) > maxRuleValue {
		return CriticalityUnknown
	}
	var nested map[string]json.RawMessage
	if json.Unmarshal(v, &nested) == nil {
		v = nested[criticalityLevel]
	}
	text := string(v)
	var s string
	if json.Unmarshal(v, &s) == nil {
		text = s
	}
	if len(text) == 1 && '0' <= text[0] && text[0] <= '3' {
		return CriticalityVeryHigh - Criticality(text[0]-'0')
	}
	c, _ := ParseCriticality(text)
	return c
}
