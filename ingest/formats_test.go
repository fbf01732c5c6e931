package ingest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
)

// read tells what a file of a format brings: its batches and its rejects.
func read(t *testing.T, formatName, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rejects bytes.Buffer
	s := &recorder{}
	p := pipeline(s)
	p.Decode, p.Rejects = Formats()[formatName], &rejects
	if _, err := p.Run(t.Context(), Input{Name: filepath.Base(path), Reader: bytes.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	var all graph.Batch
	for _, b := range s.batches {
		all.Entities, all.Edges, all.Alerts = append(all.Entities, b.Entities...), append(all.Edges, b.Edges...), append(all.Alerts, b.Alerts...)
	}
	return toldBatch(all) + "\n" + rejects.String()
}

// toldBatch writes a batch for people: what is there, how it is related, and what the alerts say.
func toldBatch(all graph.Batch) string {
	var b strings.Builder
	names := map[graph.ID]string{}
	stamp := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return at.Format(time.RFC3339Nano)
	}
	for _, e := range all.Entities {
		id := e.ID()
		if names[id] == "" {
			names[id] = fmt.Sprintf("%s#%d", id.Kind(), len(names))
		}
		fmt.Fprintf(&b, "%s at %s by %s\n", names[id], stamp(e.ObservedAt), e.Source)
		for _, k := range e.Keys {
			fmt.Fprintf(&b, "  %s=%s\n", k.Type, strings.ReplaceAll(k.Value, "\x1f", " | "))
		}
		for _, name := range slices.Sorted(maps.Keys(e.Properties)) {
			fmt.Fprintf(&b, "    %s: %s\n", name, e.Properties[name])
		}
	}
	b.WriteString("\n")
	for _, e := range all.Edges {
		fmt.Fprintf(&b, "%s %s %s from %s to %s", names[e.From], e.Kind, names[e.To], stamp(e.FirstSeen), stamp(e.LastSeen))
		if !e.EndedAt.IsZero() {
			fmt.Fprintf(&b, " ended %s", stamp(e.EndedAt))
		}
		if e.Inferred {
			b.WriteString(" (inferred)")
		}
		fmt.Fprintf(&b, " by %s\n", e.Source)
	}
	b.WriteString("\n")
	for _, a := range all.Alerts {
		fmt.Fprintf(&b, "alert %s %s: %s (%s, %s, %s) %s to %s, updated %s\n", a.Product, a.ProviderAlertID, a.Title, a.Severity, a.Category,
			strings.Join(a.MitreTechniques, " "), stamp(a.FirstActivity), stamp(a.LastActivity), stamp(a.SourceUpdated))
		for _, e := range a.Evidence {
			fmt.Fprintf(&b, "  %s %s %s\n", e.Type, names[e.Entity], e.Body)
		}
	}
	return b.String()
}

// Every format has samples, testdata/formats/NAME/*.json, and what they bring is recorded beside them. Their shape alone
// tells the format.
func TestFormatsReadTheirSamplesAsRecorded(t *testing.T) {
	for _, f := range formats {
		samples, err := filepath.Glob(filepath.Join("testdata", "formats", f.Name, "*.json"))
		if err != nil || len(samples) == 0 {
			t.Errorf("%s has no samples (%v)", f.Name, err)
		}
		for _, path := range samples {
			t.Run(f.Name+"/"+filepath.Base(path), func(t *testing.T) {
				got, golden := read(t, f.Name, path), strings.TrimSuffix(path, ".json")+".golden"
				if auto := read(t, Auto, path); auto != got {
					t.Errorf("by its shape it is read otherwise:\n%s", cmp.Diff(got, auto))
				}
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
