package story

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestATacticIsTheCategoryOrFollowsFromTechniques(t *testing.T) {
	for _, c := range []struct{ name, category, techniques, want string }{
		{"a category in camel case", "InitialAccess", "", "Initial Access"},
		{"a category in words", "Lateral movement", "", "Lateral Movement"},
		{"a category with hyphens", "command-and-control", "", "Command and Control"},
		{"British spelling", "Defence evasion", "", "Defense Evasion"},
		{"the category wins over techniques", "Impact", "T1059", "Impact"},
		{"a category that is no tactic leaves it to the techniques", "SuspiciousActivity", "T1003.001", "Credential Access"},
		{"of several categories the one most techniques serve", "Execution, DefenseEvasion", "T1036 T1070 T1059", "Defense Evasion"},
		{"of several categories without techniques the earliest", "Persistence, Execution", "", "Execution"},
		{"techniques of several tactics: the one most share", "", "T1078 T1547 T1543", "Persistence"},
		{"a tie goes to the earliest", "", "T1078", "Initial Access"},
		{"an unknown sub-technique has its parent's tactic", "", "T1003.099", "Credential Access"},
		{"nothing known", "Malware", "T9999", ""},
		{"nothing at all", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := tacticOf(c.category, strings.Fields(c.techniques)).String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTechniquesHaveNamesAndTactics(t *testing.T) {
	for id, want := range map[string]string{
		"T1003": "OS Credential Dumping", "T1003.001": "OS Credential Dumping: LSASS Memory", "T9999": "T9999", "": "",
	} {
		if got := TechniqueName(id); got != want {
			t.Errorf("name of %q is %q, want %q", id, got, want)
		}
	}
	if got := TechniqueTactics("T1053.005"); !slices.Equal(got, []string{"Execution", "Persistence", "Privilege Escalation"}) {
		t.Errorf("tactics of T1053.005 are %q", got)
	}
	if got := TechniqueTactics("T9999"); got != nil {
		t.Errorf("tactics of an unknown technique are %q", got)
	}
}

func TestTheTableHoldsTogether(t *testing.T) {
	form := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	for id, row := range attack {
		parent, _, _ := strings.Cut(id, ".")
		switch {
		case !form.MatchString(id) || row.name == "" || row.tactics == 0:
			t.Errorf("%q: %+v", id, row)
		case attack[parent].tactics != row.tactics:
			t.Errorf("%q has other tactics than its parent", id)
		}
	}
	if len(attack) < 150 || len(Tactics()) != 14 {
		t.Errorf("%d techniques, %d tactics", len(attack), len(Tactics()))
	}
}
