package correlate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/ingest"
	"github.com/clew-security/clew/ingest/format/sentinel"
)

var view = graph.View{Tenant: graphtest.Tenant}

// dataFile reads a file of the recorded data sets, which are not part of the project.
func dataFile(t testing.TB, name string) []byte {
	t.Helper()
	root := os.Getenv("CLEW_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(root, name))
	switch {
	case err == nil:
		return b
	case os.Getenv("CI") == "true":
		t.Fatalf("CLEW_TEST_DATA has no %s: %v", name, err)
	}
	t.Skipf("skipped: no %s; set CLEW_TEST_DATA to the folder of the data sets", name)
	return nil
}

// labelled are the projections of recorded alerts, and the incident that each belongs to, by alert id.
func labelled(t testing.TB) (all []ingest.Projection, truth map[string]string) {
	t.Helper()
	labels, err := csv.NewReader(bytes.NewReader(dataFile(t, "secrl/truth.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	bySystemID := map[string]string{}
	for _, row := range labels[1:] {
		bySystemID[row[0]] = row[1]
	}
	truth = map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(dataFile(t, "secrl/alerts.jsonl")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct{ SystemAlertID string }
		records, err := sentinel.Decode(bytes.Clone(lines.Bytes()))
		if err == nil {
			err = json.Unmarshal(lines.Bytes(), &row)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			p := ingest.Project(*r.Alert)
			all = append(all, p)
			truth[p.Alert.ID().String()] = bySystemID[row.SystemAlertID]
		}
	}
	return all, truth
}

func commit(t testing.TB, s graph.Store, all []ingest.Projection, size int) {
	t.Helper()
	for len(all) > 0 {
		b := graph.Batch{Decide: correlate.New(correlate.DefaultSettings())}
		for _, p := range all[:min(size, len(all))] {
			b.Alerts = append(b.Alerts, p.Alert)
			b.Entities = append(b.Entities, p.Entities...)
			b.Edges = append(b.Edges, p.Edges...)
		}
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
		all = all[min(size, len(all)):]
	}
}

func incidentsOf(t testing.TB, s graph.Store) map[string]string {
	t.Helper()
	alerts, err := graph.AllAlerts(context.Background(), s, view, graph.AlertQuery{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range alerts {
		out[a.ID.String()] = a.Incident.String()
	}
	return out
}

func TestLabelledIncidentsAreFound(t *testing.T) {
	all, truth := labelled(t)
	s := graphtest.NewModel(graphtest.NewClock().Now)
	commit(t, s, all, len(all))
	got := correlate.Score(truth, incidentsOf(t, s))
	t.Logf("%+v", got)
	if got.Alerts != len(truth) || got.PairPrecision < 0.90 || got.PairRecall < 0.60 {
		t.Errorf("got %+v of %d alerts, want precision of at least 0.90 and recall of at least 0.60", got, len(truth))
	}
	page, err := s.Incidents(context.Background(), view, graph.IncidentQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range page.Items {
		t.Logf("incident %s: %q, %d alerts, %d links", i.ID, i.DisplayName, i.AlertCount, len(i.Links))
	}
}

func TestLabelledIncidentsAreTheSameInAnyOrder(t *testing.T) {
	all, _ := labelled(t)
	digest := func(order []ingest.Projection, size int) string {
		s := graphtest.NewModel(graphtest.NewClock().Now)
		commit(t, s, order, size)
		d, err := graph.Digest(context.Background(), s, view)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	want, random := digest(all, len(all)), rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{9, 23} {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if digest(all, size) != want {
			t.Errorf("in batches of %d, shuffled, the digest differs", size)
		}
	}
}
