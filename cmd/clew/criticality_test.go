package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// named is a device that is called so.
func named(name string) graph.Entity {
	k := graph.Key{Kind: graph.KindDevice, Type: graph.KeyHostName, Value: name}
	return graph.Entity{ID: k.ID(), Facts: graph.Facts{Keys: []graph.Key{k}}}
}

func TestTheDocumentedRulesWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/criticality.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	c, err := readCriticalities([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"lab-1": "Laboratory", "sql-pay-01": "Payment", "sql-pay-001": "", "ws-1": ""} {
		if got := c.Of(named(name)); got.Rule != want {
			t.Errorf("%s: %+v, want %q", name, got, want)
		}
	}
	for _, r := range graph.PredefinedCriticalityRules() {
		if name, _, _ := strings.Cut(r.Name, " ("); !strings.Contains(string(page), name) {
			t.Errorf("the page does not tell of %s", name)
		}
	}
}

func TestRulesThatCannotBeReadAreTold(t *testing.T) {
	rule := "rules: [{name: a, criticality: high, tags: [x]}]\n"
	for text, want := range map[string]string{
		"": "", "rules:\n": "", rule: "",
		"rules: [": "yaml: ", "[]": "it is a list", rule + "---\n" + rule: "more than one document",
		"rule: []":                      `unknown field "rule"`,
		"rules: [{name: a, tag: [x]}]":  `unknown field "tag"`,
		"rules: [{name: [a]}]":          "rules.name is a list, want a text",
		"rules: [{7: a}]":               "a key is no text",
		"rules: [{name: a, tags: [x]}]": "rule 1 (\"a\"): criticality: want low",
		"rules: [{name: a, criticality: urgent, tags: [x]}]":                      `criticality "urgent": use low, medium, high or veryHigh`,
		"rules: [{name: a, criticality: high, kinds: [computer]}]":                "kinds: number 1 is no kind",
		rule + "# " + strings.Repeat("x", 10) + "\nrules: []":                     "already defined",
		strings.Replace(rule, "[x]", "["+strings.Repeat("a", 201)+"]", 1):         "tags: pattern 1",
		"a: &a [x]\nrules: [{name: a, criticality: high, tags: *a}]":              `unknown field "a"`,
		"rules: [{name: a, criticality: high, tags: ['(a+)+$', '[', '\\']}]":      "",
		"rules: [{name: a, criticality: VERYHIGH, Kinds: [device], sids: [S-*]}]": "",
	} {
		_, err := readCriticalities([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadCriticalities(f *testing.F) {
	f.Add([]byte("rules: [{name: a, criticality: high, tags: ['*a?']}]"))
	f.Add([]byte("rules:\n- {name: a, kinds: [device], criticality: low}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := readCriticalities(text); err == nil {
			c.Of(named("pc-7"))
		}
	})
}

func TestConfigCheckTellsOfWrongRules(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rules.yaml", "rules: [{name: a, criticality: high}]\n")
	write(t, dir, "clew.yaml", "criticality: {rules: rules.yaml}\n")
	want := `clew.yaml:1: criticality.rules: "rules.yaml" cannot be used (criticality rule 1 ("a"): it has no condition and would match everything): mend it`
	if r := clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, exitUsage); !strings.Contains(r.err, want) {
		t.Errorf("%s", r.err)
	}
	var got checked
	r := clew(t, dir, "config", "check", "--config", "clew.yaml", "-o", "json").want(t, exitUsage)
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.OK || len(got.Problems) != 1 || got.Problems[0].Key != rulesKey {
		t.Errorf("%s (%v)", r.out, err)
	}
	clew(t, dir, "serve", "--dev", "--config", "clew.yaml", "--listen", "127.0.0.1:0").want(t, exitUsage)
	write(t, dir, "rules.yaml", "rules: [{name: a, criticality: high, kinds: [device]}]\n")
	clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, 0, "ok")
	write(t, dir, "clew.yaml", "criticality: {rules: none.yaml}\n")
	if r := clew(t, dir, "config", "check", "--config", "clew.yaml").want(t, exitUsage); !strings.Contains(r.err, "cannot be read") {
		t.Errorf("%s", r.err)
	}
}

// A service asks the rules of its configuration, and takes an analyst's word over HTTP.
func TestAServiceGradesByItsRulesAndTakesAnAnalystsWord(t *testing.T) {
	grade, err := readCriticalities([]byte("rules: [{name: mine, criticality: medium, names: [pc-*]}]"))
	if err != nil {
		t.Fatal(err)
	}
	store := newStore()
	h := newHandler(store, reach{grade: grade}, store.Ready, quiet())
	exchange(h, "POST", "/ingest/clew", `{"type":"entity","kind":"device","keys":{"hostName":"pc-7"},"observedAt":"2026-03-02T08:00:00Z"}`, asJSON)
	id := named("pc-7").ID.String()
	ask := func() string {
		return exchange(h, "POST", "/graphql", `{"query":"{entity(id: \"`+id+`\") {criticality criticalityReason {source rule setBy}}}"}`, asJSON).Body.String()
	}
	if got := ask(); !strings.Contains(got, `{"criticality":"medium","criticalityReason":{"source":"customRule","rule":"mine","setBy":null}}`) {
		t.Errorf("%s", got)
	}
	w := exchange(h, "POST", "/graphql", `{"query":"mutation {setAssetCriticality(input: {entityIds: [\"`+id+`\"], criticality: veryHigh}) {revision}}"}`, asJSON)
	if w.Header().Get(headerRevision) == "" || !strings.Contains(w.Body.String(), `"revision":`+w.Header().Get(headerRevision)) {
		t.Errorf("%s: %s", w.Header(), w.Body)
	}
	if got := ask(); !strings.Contains(got, `{"criticality":"veryHigh","criticalityReason":{"source":"analyst","rule":null,"setBy":"dev"}}`) {
		t.Errorf("%s", got)
	}
	foreign := map[string]string{"Content-Type": "application/json", "Origin": "http://evil.example"}
	if w := exchange(h, "POST", "/graphql", `{"query":"mutation {setAssetCriticality(input: {entityIds: [\"`+id+`\"], criticality: null}) {revision}}"}`, foreign); w.Code != 403 {
		t.Errorf("a page elsewhere is answered %d: %s", w.Code, w.Body)
	}
}
