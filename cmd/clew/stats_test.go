package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/clew-security/clew/graph/archive"
)

func TestStatsTellOfTheGraphInMemory(t *testing.T) {
	dir := t.TempDir()
	imported(t, dir, "--data", "store")
	var exported struct {
		archive.Summary
		Position struct{ Revision, Entities, Edges int }
	}
	out := clew(t, dir, "export", "tenant.gz", "--data", "store", "-o", "json").want(t, 0).out
	if err := json.Unmarshal([]byte(out), &exported); err != nil {
		t.Fatal(err)
	}
	want := exported.Position
	var told struct {
		Revision, Nodes, Edges int
		Kinds                  []struct {
			Kind  string
			Edges int
		}
		Memory map[string]float64
	}
	out = clew(t, dir, "stats", "--data", "store", "-o", "json").want(t, 0).out
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		t.Fatal(err)
	}
	observed := 0
	for _, k := range told.Kinds {
		if k.Kind != "possiblySameAs" {
			observed += k.Edges
		}
	}
	if told.Revision != want.Revision || told.Edges != want.Edges || observed != want.Edges || told.Nodes != want.Entities || told.Nodes == 0 {
		t.Errorf("told %+v, want %+v", told, want)
	}
	sum := 0.0
	for part, bytes := range told.Memory {
		if part != "total" && part != "perEdge" {
			sum += bytes
		}
	}
	if total := told.Memory["total"]; total == 0 || total != sum || told.Memory["perEdge"] != total/float64(told.Edges) {
		t.Errorf("memory of %v, %f in all", told.Memory, sum)
	}
	clew(t, dir, "stats", "--data", "store").want(t, 0,
		fmt.Sprintf("tenant default at revision %d: %d nodes, %d observed edges", want.Revision, want.Entities, want.Edges),
		fmt.Sprintf("%12d  %s\n", told.Kinds[0].Edges, told.Kinds[0].Kind), fmt.Sprintf("%.0f  nodes\n", told.Memory["nodes"]), " an edge\n")
	clew(t, dir, "stats", "--data", "store", "--tenant", "nobody").want(t, 0, "0 nodes, 0 observed edges")
	clew(t, dir, "check", "--data", "store").want(t, 0, "1 tenant read: 0 problems") // none was made
}

func TestStatsSaysHowItIsCalled(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "where is the store?", nil},
		{exitUsage, "use text or json", []string{"--data", "s", "-o", "xml"}},
		{exitFailed, "no store in", []string{"--data", "s"}},
		{exitUsage, "unknown command", []string{"--data", "s", "more"}},
		{exitUsage, "none.yaml", []string{"--config", "none.yaml"}},
	} {
		clew(t, dir, append([]string{"stats"}, c.args...)...).want(t, c.code, c.want)
	}
}
