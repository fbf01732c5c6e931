package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// asset is an entity of a kind with properties by name and JSON value.
func asset(kind graph.Kind, pairs ...string) graph.Entity {
	key := map[graph.Kind]graph.KeyType{
		graph.KindDevice: graph.KeyMdeDeviceID, graph.KindIdentity: graph.KeyAccountName, graph.KindMailbox: graph.KeyPrimaryAddress,
		graph.KindSecurityGroup: graph.KeyDisplayName,
	}[kind]
	k := graph.Key{Kind: kind, Type: key, Value: "x"}
	e := graph.Entity{ID: k.ID(), Facts: graph.Facts{Keys: []graph.Key{k}, Properties: map[string]graph.Property{}}}
	for i := 0; i < len(pairs); i += 2 {
		e.Properties[pairs[i]] = graph.Property{Value: json.RawMessage(pairs[i+1])}
	}
	return e
}

func custom(t testing.TB, rules ...graph.CriticalityRule) graph.Criticalities {
	t.Helper()
	c, err := graph.NewCriticalities(rules)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCriticalityIsReadByNameOrLevel(t *testing.T) {
	for value, want := range map[string]graph.Criticality{
		`"veryHigh"`: graph.CriticalityVeryHigh, `"High"`: graph.CriticalityHigh,
		`"medium"`: graph.CriticalityMedium, `"low"`: graph.CriticalityLow,
		`0`: graph.CriticalityVeryHigh, `1`: graph.CriticalityHigh, `2`: graph.CriticalityMedium,
		`3`: graph.CriticalityLow, `"0"`: graph.CriticalityVeryHigh, `{"criticalityLevel":1,"ruleNames":["x"]}`: graph.CriticalityHigh,
		`4`: graph.CriticalityUnknown, `-1`: graph.CriticalityUnknown, `"unknown"`: graph.CriticalityUnknown,
		`{}`: graph.CriticalityUnknown, `[]`: graph.CriticalityUnknown, ``: graph.CriticalityUnknown,
	} {
		for _, name := range []string{"criticality", "criticalityLevel"} {
			got := graph.Criticalities{}.Of(asset(graph.KindDevice, name, value))
			if got.Criticality != want || (got.Source == graph.CriticalityByProduct) != (want != graph.CriticalityUnknown) {
				t.Errorf("%s %s is read as %+v, want %s", name, value, got, want)
			}
		}
	}
}

func TestTheValueOfADeviceIsACriticalityUnlessNobodyTouchedIt(t *testing.T) {
	for value, want := range map[string]graph.Criticality{`"High"`: graph.CriticalityHigh, `"Low"`: graph.CriticalityLow, `"Normal"`: graph.CriticalityUnknown} {
		for _, name := range []string{"assetValue", "importance"} {
			if got := (graph.Criticalities{}).Of(asset(graph.KindDevice, name, value)).Criticality; got != want {
				t.Errorf("%s %s is %s", name, value, got)
			}
			if got := (graph.Criticalities{}).Of(asset(graph.KindMailMessage, name, value)).Criticality; got != graph.CriticalityUnknown {
				t.Errorf("%s %s of a message is %s", name, value, got)
			}
		}
	}
}

func TestCriticalityNamesReadBack(t *testing.T) {
	for c := graph.CriticalityUnknown; c <= graph.CriticalityVeryHigh; c++ {
		var back graph.Criticality
		if err := back.UnmarshalText([]byte(c.String())); err != nil || back != c {
			t.Errorf("%s is read as %s (%v)", c, back, err)
		}
	}
	var c graph.Criticality
	if err := c.UnmarshalText([]byte("urgent")); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("urgent is read as %s (%v)", c, err)
	}
}

func TestWhatIsCriticalWithoutAnybodySayingSo(t *testing.T) {
	for _, c := range []struct {
		what string
		e    graph.Entity
		rule string
	}{
		{"a domain controller by its role", asset(graph.KindDevice, "role", `"domainController"`), "Domain Controller"},
		{"one of several roles", asset(graph.KindDevice, "deviceRoles", `["DNS","Domain Controller"]`), "Domain Controller"},
		{"an account of that role", asset(graph.KindIdentity, "role", `"domainController"`), ""},
		{"a tagged one", asset(graph.KindDevice, "machineTags", `["x","Domain Controllers"]`), "Domain Controller (tag)"},
		{"tags as the hunting tables have them", asset(graph.KindDevice, "deviceManualTags", `"[\"Tier 0\"]"`), "Tier 0"},
		{"a tag that the device's own administrator wrote", asset(graph.KindDevice, "registryDeviceTag", `"Tier 0"`), ""},
		{"a server called like one", asset(graph.KindDevice, "osPlatform", `"WindowsServer2022"`, "hostName", `"FRA-DC-02"`), "Domain Controller (name)"},
		{"by its full name", asset(graph.KindDevice, "osPlatform", `"WindowsServer2022"`, "deviceDnsName", `"dc1.contoso.com"`), "Domain Controller (name)"},
		{"a workstation called so", asset(graph.KindDevice, "osPlatform", `"Windows11"`, "hostName", `"dc1"`), ""},
		{"a server with such letters", asset(graph.KindDevice, "osPlatform", `"WindowsServer2022"`, "hostName", `"podcast"`), ""},
		{"a global administrator", asset(graph.KindIdentity, "assignedRoles", `["Global Administrator"]`), "Privileged directory role"},
		{"a domain administrator", asset(graph.KindIdentity, "groupMembership", `["Domain Users","CONTOSO\\Domain Admins"]`), "Privileged group member"},
		{"a lesser administrator", asset(graph.KindIdentity, "assignedRoles", `["Intune Administrator"]`), "Administrative directory role"},
		{"a chief executive", asset(graph.KindIdentity, "jobTitle", `"Chief Financial Officer"`), "Executive"},
		{"his mailbox", asset(graph.KindMailbox, "jobTitle", `"CEO"`), "Executive"},
		{"his assistant", asset(graph.KindIdentity, "jobTitle", `"Assistant to the CEO"`), ""},
		{"a priority account", asset(graph.KindMailbox, "tags", `["Priority account"]`), "Priority account"},
		{"a sensitive account", asset(graph.KindIdentity, "tags", `["Sensitive"]`), "Sensitive"},
		{"a crown jewel of any kind", asset(graph.KindCloudResource, "tags", `["Crown Jewel"]`), "High value asset"},
		{"nothing known", asset(graph.KindDevice), ""},
	} {
		got := graph.Criticalities{}.Of(c.e)
		if got.Rule != c.rule || (c.rule != "") != (got.Source == graph.CriticalityByPredefinedRule && got.Criticality >= graph.CriticalityHigh) {
			t.Errorf("%s: %+v, want the rule %q", c.what, got, c.rule)
		}
	}
}

func TestPredefinedGroupsAreKnownInEveryLanguage(t *testing.T) {
	for sid, want := range map[string]bool{"S-1-5-21-1-2-3-512": true, "S-1-5-21-1-2-3-513": false, "S-1-5-32-544": true, "S-1-5-32-545": false} {
		k, ok := graph.NewKey(graph.KindSecurityGroup, graph.KeySID, sid)
		if !ok {
			t.Fatal(sid)
		}
		e := graph.Entity{ID: k.ID(), Facts: graph.Facts{Keys: []graph.Key{k}}}
		if got := (graph.Criticalities{}).Of(e); (got.Rule == "Privileged group") != want {
			t.Errorf("%s: %+v", sid, got)
		}
	}
}

// The gravest first, so that the first that matches is the greatest.
func TestPredefinedRulesAreInOrderAndCanBeCustom(t *testing.T) {
	rules := graph.PredefinedCriticalityRules()
	if len(rules) < 10 || !slices.IsSortedFunc(rules, func(a, b graph.CriticalityRule) int { return int(b.Criticality) - int(a.Criticality) }) {
		t.Errorf("%d rules, not the gravest first", len(rules))
	}
	custom(t, rules...)
}

func TestConditionsMustAllHoldAndOfAConditionAnyPattern(t *testing.T) {
	c := custom(t, graph.CriticalityRule{Name: "r", Criticality: graph.CriticalityMedium, Kinds: []graph.Kind{graph.KindDevice},
		Names: []string{"sql-*", "ora-??"}, Groups: []string{"prod*"}, Platforms: []string{"linux"}})
	full := []string{"displayName", `"ORA-01"`, "rbacGroupName", `"Production"`, "osPlatform", `"Linux"`}
	if got := c.Of(asset(graph.KindDevice, full...)); got.Rule != "r" || got.Source != graph.CriticalityByCustomRule || got.Criticality != graph.CriticalityMedium {
		t.Errorf("all hold: %+v", got)
	}
	for i := 0; i < len(full); i += 2 {
		for _, other := range []string{`"other"`, `7`, `[]`, `{}`, `["other"]`, `"["`} {
			some := slices.Clone(full)
			some[i+1] = other
			if got := c.Of(asset(graph.KindDevice, some...)); got.Rule != "" {
				t.Errorf("%s is %s: %+v", full[i], other, got)
			}
		}
	}
	if got := c.Of(asset(graph.KindCloudResource, full...)); got.Rule != "" {
		t.Errorf("another kind: %+v", got)
	}
}

func TestOfSeveralCustomRulesTheFirstHolds(t *testing.T) {
	low := graph.CriticalityRule{Name: "laboratory", Criticality: graph.CriticalityLow, Names: []string{"lab-*"}}
	high := graph.CriticalityRule{Name: "servers", Criticality: graph.CriticalityHigh, Kinds: []graph.Kind{graph.KindDevice}}
	e := asset(graph.KindDevice, "displayName", `"lab-1"`)
	if got := custom(t, low, high).Of(e); got.Rule != "laboratory" {
		t.Errorf("%+v", got)
	}
	if got := custom(t, high, low).Of(e); got.Rule != "servers" {
		t.Errorf("%+v", got)
	}
}

func TestRulesThatCannotBeAreRefusedByName(t *testing.T) {
	right := graph.CriticalityRule{Name: "right", Criticality: graph.CriticalityLow, Tags: []string{"x"}}
	many := make([]graph.CriticalityRule, graph.MaxCriticalityRules+1)
	for i := range many {
		many[i] = right
		many[i].Name = fmt.Sprint(i)
	}
	custom(t, many[1:]...) // the control
	for want, change := range map[string]func(*graph.CriticalityRule){
		"name":              func(r *graph.CriticalityRule) { r.Name = "" },
		"name:":             func(r *graph.CriticalityRule) { r.Name = strings.Repeat("n", 101) },
		"printable":         func(r *graph.CriticalityRule) { r.Name = "a\nb" },
		"criticality: want": func(r *graph.CriticalityRule) { r.Criticality = graph.CriticalityUnknown },
		"high or veryHigh":  func(r *graph.CriticalityRule) { r.Criticality = 9 },
		"kinds: number 2":   func(r *graph.CriticalityRule) { r.Kinds = []graph.Kind{graph.KindDevice, graph.KindAlert} },
		"no condition":      func(r *graph.CriticalityRule) { r.Tags = nil },
		"tags: pattern 2":   func(r *graph.CriticalityRule) { r.Tags = []string{"x", ""} },
		"names: pattern 1":  func(r *graph.CriticalityRule) { r.Names = []string{strings.Repeat("n", 201)} },
		"roles: pattern 1":  func(r *graph.CriticalityRule) { r.Roles = []string{"\xff"} },
		"groups: 101":       func(r *graph.CriticalityRule) { r.Groups = slices.Repeat([]string{"x"}, 101) },
		"earlier rule":      func(r *graph.CriticalityRule) { r.Name = "right" },
	} {
		wrong := right
		wrong.Name = "wrong"
		change(&wrong)
		_, err := graph.NewCriticalities([]graph.CriticalityRule{right, wrong})
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), "rule 2") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := graph.NewCriticalities(many); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("%d rules: %v", len(many), err)
	}
}

// FuzzPatterns compares with regular expressions, which cannot run away.
func FuzzPatterns(f *testing.F) {
	for _, s := range [][2]string{{"dc-*", "DC-01"}, {"*-dc??", "fra-dc01"}, {"*a*a*a*b", strings.Repeat("a", 200)}, {"?", "é"}, {"*?", ""}, {"İ*", "i̇x"}, {"a.c", "abc"}, {"*\n*", "a\nb"}, {"**", "x"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		c, err := graph.NewCriticalities([]graph.CriticalityRule{{Name: "r", Criticality: graph.CriticalityLow, Tags: []string{pattern}}})
		quoted, jsonErr := json.Marshal([]string{text})
		if err != nil || jsonErr != nil || len(text) > 400 || strings.ToValidUTF8(text, "") != text {
			return
		}
		words := regexp.QuoteMeta(strings.ToLower(pattern))
		words = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(words)
		want := regexp.MustCompile(`(?s)\A` + words + `\z`).MatchString(strings.ToLower(text))
		if got := c.Of(asset(graph.KindMailbox, "tags", string(quoted))); (got.Rule != "") != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, !want, want)
		}
	})
}

// What is graded whenever it is read must not take long, however large.
func TestOfHugePropertiesLittleIsLookedAt(t *testing.T) {
	c := custom(t, graph.CriticalityRule{Name: "r", Criticality: graph.CriticalityLow, Tags: []string{"*last"}})
	list := func(n int) string {
		return `[` + strings.Repeat(`"x",`, n-1) + `"last"]`
	}
	for value, want := range map[string]bool{
		list(100): true, list(101): false,
		`"` + strings.Repeat("x", 400) + `last"`: true, `"` + strings.Repeat("x", 500) + `last"`: false,
		`["last","` + strings.Repeat("x", 65_000) + `"]`: true, `["last","` + strings.Repeat("x", 66_000) + `"]`: false,
	} {
		if got := c.Of(asset(graph.KindMailbox, "tags", value)); (got.Rule != "") != want {
			t.Errorf("%d bytes: %+v", len(value), got)
		}
	}
}

var settingEpoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func set(t interface{ Fatal(...any) }, e graph.Entity, s graph.CriticalitySetting) graph.Entity {
	o, err := e.SetCriticality(s)
	if err != nil {
		t.Fatal(err)
	}
	e.Facts = e.Facts.Merge(o.Facts())
	return e
}

func TestWhoSaysHowCriticalAnAssetIs(t *testing.T) {
	rules := custom(t, graph.CriticalityRule{Name: "mine", Criticality: graph.CriticalityMedium, Tags: []string{"mine"}})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) bool { return rapid.Bool().Draw(t, name) }
		e := asset(graph.KindDevice)
		want := graph.CriticalitySource("")
		if draw("predefined") {
			e.Properties["role"], want = graph.Property{Value: json.RawMessage(`"domainController"`)}, graph.CriticalityByPredefinedRule
		}
		if draw("product") {
			e.Properties["criticality"], want = graph.Property{Value: json.RawMessage(`"high"`)}, graph.CriticalityByProduct
		}
		if draw("custom") {
			e.Properties["tags"], want = graph.Property{Value: json.RawMessage(`["Mine"]`)}, graph.CriticalityByCustomRule
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "words") {
			before := rules.Of(e)
			word := graph.Criticality(rapid.IntRange(0, 4).Draw(t, "word"))
			e = set(t, e, graph.CriticalitySetting{Criticality: word, By: "ann", Comment: fmt.Sprint(i), At: settingEpoch})
			got := rules.Of(e)
			switch {
			case word != graph.CriticalityUnknown:
				if got.Source != graph.CriticalityByAnalyst || got.Criticality != word || got.By != "ann" || got.Comment != fmt.Sprint(i) {
					t.Fatalf("set to %s over %+v: %+v", word, before, got)
				}
			case got.Source != want:
				t.Fatalf("taken back over %+v: %+v, want what %q says", before, got, want)
			}
		}
		if s, said := e.CriticalitySetting(); (!said || s.Criticality == graph.CriticalityUnknown) && rules.Of(e).Source != want {
			t.Fatalf("%+v, want what %q says", rules.Of(e), want)
		}
	})
}

// The word is dated behind one that a replica with a faster clock dated, so that whoever speaks last is heard.
func TestAWordIsHeardWhateverTheClockSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := asset(graph.KindDevice)
		for range rapid.IntRange(1, 6).Draw(t, "words") {
			offset := rapid.OneOf(rapid.IntRange(-1, 1), rapid.IntRange(-3_000_000, 3_000_000)).Draw(t, "at") // often at the same instant
			at := settingEpoch.Add(time.Duration(offset) * time.Microsecond)
			word := graph.Criticality(rapid.IntRange(0, 4).Draw(t, "word"))
			e = set(t, e, graph.CriticalitySetting{Criticality: word, By: rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "by"), At: at})
			if s, ok := e.CriticalitySetting(); !ok || s.Criticality != word {
				t.Fatalf("set to %s: %+v", word, s)
			}
		}
	})
}

func TestASettingChangesNothingElse(t *testing.T) {
	e := asset(graph.KindDevice, "displayName", `"pc"`)
	e.FirstSeen, e.LastSeen, e.Sources = settingEpoch, settingEpoch, []string{"endpoint"}
	after := set(t, e, graph.CriticalitySetting{Criticality: graph.CriticalityHigh, By: "ann", At: settingEpoch.AddDate(1, 0, 0)})
	if !after.LastSeen.Equal(e.LastSeen) || !after.FirstSeen.Equal(e.FirstSeen) || !slices.Equal(after.Sources, e.Sources) || !slices.Equal(after.Keys, e.Keys) || len(after.Properties) != 2 {
		t.Errorf("%+v became %+v", e.Facts, after.Facts)
	}
}

func TestSettingsThatCannotBeKeptAreRefused(t *testing.T) {
	e := asset(graph.KindDevice)
	for what, s := range map[string]graph.CriticalitySetting{
		"a long comment": {Comment: strings.Repeat("c", graph.MaxCriticalityComment+1), At: settingEpoch},
		"a long name":    {By: strings.Repeat("c", graph.MaxCriticalityBy+1), At: settingEpoch},
		"no UTF-8":       {Comment: "\xff", At: settingEpoch}, "no time": {}, "year 10000": {At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := e.SetCriticality(s); !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := (graph.Entity{}).SetCriticality(graph.CriticalitySetting{At: settingEpoch}); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("no entity: %v", err)
	}
}

func TestAStoredSettingThatCannotBeReadIsNone(t *testing.T) {
	for _, v := range []string{`7`, `{}`, `{"at":"yesterday","criticality":"high"}`, `{"at":"2026-03-02T08:00:00.000000Z","criticality":"urgent"}`, `{"at":7}`} {
		if s, ok := asset(graph.KindDevice, "clew.criticality", v).CriticalitySetting(); ok {
			t.Errorf("%s is read as %+v", v, s)
		}
	}
}

func TestADigestTellsGradingsApart(t *testing.T) {
	seen := map[string]string{}
	for name, rules := range map[string][]graph.CriticalityRule{
		"none":            nil,
		"a rule":          {{Name: "a", Criticality: graph.CriticalityHigh, Tags: []string{"x"}}},
		"another grade":   {{Name: "a", Criticality: graph.CriticalityLow, Tags: []string{"x"}}},
		"another kind":    {{Name: "a", Criticality: graph.CriticalityHigh, Kinds: []graph.Kind{graph.KindDevice}, Tags: []string{"x"}}},
		"another pattern": {{Name: "a", Criticality: graph.CriticalityHigh, Tags: []string{"y"}}},
		"two patterns":    {{Name: "a", Criticality: graph.CriticalityHigh, Tags: []string{"x", "y"}}},
		"another field":   {{Name: "a", Criticality: graph.CriticalityHigh, Groups: []string{"x"}}},
		"two rules":       {{Name: "a", Criticality: graph.CriticalityHigh, Tags: []string{"x"}}, {Name: "b", Criticality: graph.CriticalityHigh, Tags: []string{"y"}}},
		"the other order": {{Name: "b", Criticality: graph.CriticalityHigh, Tags: []string{"y"}}, {Name: "a", Criticality: graph.CriticalityHigh, Tags: []string{"x"}}},
	} {
		c, err := graph.NewCriticalities(rules)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[c.Digest()]; twice {
			t.Errorf("%s is as %s", name, other)
		}
		seen[c.Digest()] = name
		if again, _ := graph.NewCriticalities(rules); again.Digest() != c.Digest() {
			t.Errorf("%s is not as itself", name)
		}
	}
	if (graph.Criticalities{}).Digest() != func() string { c, _ := graph.NewCriticalities(nil); return c.Digest() }() {
		t.Error("the zero value is not as no rules")
	}
}
