package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/ingest"
)

type evalOptions struct {
	alerts []string
	truth  string
	format string
	output string
}

func evalCommand(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "eval",
		Short: "Measure against labelled data",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(evalCorrelationCommand(s))
	return c
}

func evalCorrelationCommand(s streams) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "correlation --alerts FILE… --truth FILE.csv",
		Short: "Compare correlation's incidents with labelled ones",
		Long: "Import alerts into a store of their own and compare the incidents with labels, pair by pair.\n\n" +
			"The truth is a CSV file with a header; the first column is an alert's id (the provider's, or the id or\n" +
			"SystemAlertId of its record), the last one the label of its incident.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return evalCorrelation(c.Context(), s, o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.alerts, "alerts", nil, "file of alerts and assets; may be given more than once")
	f.StringVar(&o.truth, "truth", "", "CSV file of labels")
	f.StringVar(&o.format, "format", ingest.Auto, "format of the alerts: "+formatNames())
	f.StringVarP(&o.output, "output", "o", "text", "how to print the result: text or json")
	return c
}

func evalCorrelation(ctx context.Context, s streams, o evalOptions) error {
	_, known := ingest.Formats()[o.format]
	if len(o.alerts) == 0 || o.truth == "" || !known || (o.output != "text" && o.output != "json") {
		return usageError{errors.New("give --alerts FILE, --truth FILE.csv, a known --format, and -o text or json")}
	}
	truth, err := readTruth(o.truth)
	if err != nil {
		return err
	}
	got, err := correlateFiles(ctx, s, o)
	if err != nil {
		return err
	}
	e := correlate.Score(labelled(truth, got))
	if e.Alerts == 0 {
		return fmt.Errorf("no alert of %s is in %s: is the first column an alert's id?", o.truth, strings.Join(o.alerts, ", "))
	}
	if o.output == "json" {
		return json.NewEncoder(s.out).Encode(e)
	}
	_, err = fmt.Fprintf(s.out, "%d labelled alerts in %d incidents: pair precision %.3f, pair recall %.3f, adjusted Rand %.3f\n",
		e.Alerts, e.Incidents, e.PairPrecision, e.PairRecall, e.AdjustedRand)
	return err
}

// labelled gives both partitions of the alerts that have a label, by alert.
func labelled(truth map[string]string, got []graph.Alert) (want, have map[string]string) {
	want, have = map[string]string{}, map[string]string{}
	for _, a := range got {
		for _, id := range idsOf(a) {
			if label, ok := truth[id]; ok {
				want[a.ID.String()], have[a.ID.String()] = label, a.Incident.String()
			}
		}
	}
	return want, have
}

// idsOf are the ids by which a label may name the alert, in lower case.
func idsOf(a graph.Alert) []string {
	var source struct {
		ID              string `json:"id"`
		ProviderAlertID string `json:"providerAlertId"`
		SystemAlertID   string `json:"SystemAlertId"`
		VendorID        string `json:"VendorOriginalId"`
	}
	_ = json.Unmarshal(a.Source, &source) // what is not there cannot match
	var out []string
	for _, id := range []string{a.ProviderAlertID, source.ID, source.ProviderAlertID, source.SystemAlertID, source.VendorID} {
		if id != "" {
			out = append(out, strings.ToLower(id))
		}
	}
	return out
}

// correlateFiles imports into a store that is thrown away, and returns its alerts.
func correlateFiles(ctx context.Context, s streams, o evalOptions) ([]graph.Alert, error) {
	dir, err := os.MkdirTemp("", "clew-eval-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	inputs, total, closeAll, err := openInputs(ctx, s.in, o.alerts)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	store, err := openDirectory(s.err, dir, embedded.Options{})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	bar := newProgress(s.err, "Correlating", total)
	p := ingest.Pipeline{
		Store: store, Tenant: devTenant, Decode: ingest.Formats()[o.format], Strict: true,
		Decide: correlate.New(correlate.DefaultSettings()), Actor: "cli", Cause: "clew eval", Progress: bar.show,
	}
	if _, err = p.Run(ctx, inputs...); err != nil {
		return nil, err
	}
	bar.done()
	return graph.AllAlerts(ctx, store, graph.View{Tenant: devTenant}, graph.AlertQuery{})
}

func readTruth(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := csv.NewReader(f)
	header, err := rows.Read()
	if err != nil || len(header) < 2 {
		return nil, fmt.Errorf("%s: want a header and at least two columns (%v)", path, err)
	}
	truth := map[string]string{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return truth, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		truth[strings.ToLower(strings.TrimSpace(row[0]))] = row[len(row)-1]
	}
}
