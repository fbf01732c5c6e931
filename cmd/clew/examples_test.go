package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every tab of the explorer is answered by the demonstration, and those with ids of it in their variables find what
// they name.
func TestEveryTabOfTheExplorerIsAnsweredByTheDemo(t *testing.T) {
	text, err := os.ReadFile("../../explorer/web/src/tabs.json")
	if err != nil {
		t.Fatal(err)
	}
	var tabs []struct {
		Name      string          `json:"name"`
		Query     string          `json:"query"`
		Variables json.RawMessage `json:"variables"`
	}
	if err := json.Unmarshal(text, &tabs); err != nil {
		t.Fatal(err)
	}
	shows := map[string][]string{
		"Blast radius": {`"witness":[{`},
		"Attack paths": {`"nearest":{"hops":1`, `"routes":[{`},
		"Choke points": {`"points":[{`},
		"Containment":  {`"responses":[{`, `"targets":{"nodes":[{`},
		"What changed": {`"earlier":{"score":`, `"nodes":[{"entity"`},
	}
	demo := start(t, t.TempDir(), "demo", "--listen", "127.0.0.1:0")
	for _, tab := range tabs {
		body, err := json.Marshal(map[string]any{"query": tab.Query, "variables": tab.Variables})
		if err != nil {
			t.Fatal(err)
		}
		code, answer := demo.do(t, "POST", "/graphql", string(body), asJSON)
		if code != 200 || strings.Contains(answer, `"errors"`) {
			t.Errorf("%s: %d %.500s", tab.Name, code, answer)
		}
		for _, part := range shows[tab.Name] {
			if !strings.Contains(answer, part) {
				t.Errorf("%s does not show %s: %.500s", tab.Name, part, answer)
			}
		}
		delete(shows, tab.Name)
	}
	if len(shows) > 0 {
		t.Errorf("there is no tab for %v", shows)
	}
	demo.stop(t)
}
