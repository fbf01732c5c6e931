package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The labelled real alerts, where they are at hand.
func TestCorrelationOnRealAlerts(t *testing.T) {
	data := os.Getenv("CLEW_TEST_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	alerts := filepath.Join(data, "secrl", "alerts.jsonl")
	if _, err := os.Stat(alerts); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v (set CLEW_TEST_DATA)", err)
		}
		t.Skipf("no labelled alerts at %s: set CLEW_TEST_DATA", alerts)
	}
	alerts, _ = filepath.Abs(alerts)
	dir := t.TempDir()
	if s := summary(t, clew(t, dir, "ingest", alerts, "--data", "store", "-o", "json").want(t, 0)); s.Read != 62 || s.Alerts != 62 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	r := clew(t, dir, "eval", "correlation", "--alerts", alerts, "--truth", filepath.Join(filepath.Dir(alerts), "truth.csv"), "-o", "json").want(t, 0)
	var e struct {
		Alerts, Incidents                       int
		PairPrecision, PairRecall, AdjustedRand float64
	}
	if err := json.Unmarshal([]byte(r.out), &e); err != nil {
		t.Fatalf("%v in %q", err, r.out)
	}
	t.Log(strings.TrimSpace(r.out))
	if e.Alerts != 62 || e.PairPrecision < 0.90 || e.PairRecall < 0.60 {
		t.Errorf("%+v, want precision ≥ 0.90 and recall ≥ 0.60", e)
	}
}
