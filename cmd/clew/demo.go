package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/ingest"
	"github.com/clew-security/clew/internal/config"
	"github.com/clew-security/clew/internal/scenario"
)

type demoOptions struct {
	data, listen string
	once, all    bool
}

func demoCommand(s streams) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Read a bundled attack, tell its story, show its blast radius, and serve it",
		Long: "Read the bundled scenario (a multi-stage attack among hundreds of unrelated alerts, in the products'\n" +
			"own wire formats), print each incident's story and blast radius, and serve the result on loopback.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return demo(c.Context(), s, o) },
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "keep the store in this directory, which must hold no other data (default: a temporary one)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to serve on; port 0 picks a free one")
	f.BoolVar(&o.once, "once", false, "stop after printing")
	f.BoolVar(&o.all, "all", false, "print every incident in full, those of one alert too")
	return c
}

func demo(ctx context.Context, s streams, o demoOptions) error {
	var listener net.Listener
	if !o.once { // a taken port is told at once, not after the import
		l, err := listenLoopback(o.listen)
		if err != nil {
			return err
		}
		listener = l
		defer listener.Close()
	}
	dir := o.data
	if dir == "" {
		temporary, err := os.MkdirTemp("", "clew-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	store, err := openDirectory(s.err, dir, embedded.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := checkDemo(ctx, store, dir); err != nil {
		return err
	}
	if err := showDemo(ctx, s, o, store); err != nil || o.once {
		return err
	}
	printAddresses(s.out, listener.Addr())
	log := slog.New(slog.NewTextHandler(s.err, nil))
	inMemory := config.Config{Replica: config.Replica{Bytes: demoGraphBytes, Dir: config.ReplicaDirOff}}
	all := follow(ctx, store, inMemory, graph.Criticalities{}, nil, log)
	r := reach{ground: heldOf(all, store, graph.Criticalities{}, store.Position)}
	return errors.Join(serveHTTP(ctx, listener, newHandler(store, r, store.Ready, log), log), all.Close(), store.Close())
}

// demoGraphBytes is far more than the bundled scenario's graph takes in memory.
const demoGraphBytes = 64 << 20

func showDemo(ctx context.Context, s streams, o demoOptions, store graph.Store) error {
	start := time.Now()
	summary, err := importScenario(ctx, s, store)
	if err != nil {
		return err
	}
	if err := markDemo(ctx, store, true); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Read in %.1f s. ", time.Since(start).Seconds())
	if err := printSummary(s.out, "text", summary, true); err != nil {
		return err
	}
	r := report{streams: s, store: store, view: graph.View{Tenant: devTenant}, all: o.all}
	return r.print(ctx)
}

// importScenario reads the generated files as any others: their bytes go through the same pipeline.
func importScenario(ctx context.Context, s streams, store graph.Store) (ingest.Summary, error) {
	corpus, err := scenario.Generate(scenario.Default())
	if err != nil {
		return ingest.Summary{}, err
	}
	var total int64
	for _, f := range corpus.Files {
		total += int64(len(f.Data))
	}
	bar := newProgress(s.err, "Reading", total)
	defer bar.done()
	var sum ingest.Summary
	var before int64
	for _, f := range corpus.Files {
		p := ingest.Pipeline{
			Store: store, Tenant: devTenant, Decode: ingest.Formats()[f.Format], Strict: true,
			Decide: correlate.New(correlate.DefaultSettings()), Actor: "cli", Cause: "clew demo",
			Progress: func(at ingest.Progress) { bar.at(before+at.Bytes, sum.Read+at.Records) },
		}
		done, err := p.Run(ctx, ingest.Input{Name: f.Name, Reader: bytes.NewReader(f.Data)})
		sum, before = addSummaries(sum, done), before+int64(len(f.Data))
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// demoMark names the document that tells a demonstration's store from one with a user's data. Its value counts
// what the demonstration imported, once the import is whole.
var demoMark = graph.DocumentKey{Collection: "demo", Key: "imported"}

// checkDemo refuses a store that holds anything but the demonstration, and marks an empty one as its own.
func checkDemo(ctx context.Context, store graph.Store, dir string) error {
	view := graph.View{Tenant: devTenant}
	at, err := store.Position(ctx, view)
	if err != nil {
		return err
	}
	if at.Revision == 0 {
		return markDemo(ctx, store, false)
	}
	found, err := store.Documents(ctx, view, graph.DocumentQuery{Collection: demoMark.Collection, Prefix: demoMark.Key})
	if err != nil {
		return err
	}
	var imported demoCounts
	if len(found) == 1 && json.Unmarshal(found[0].Value, &imported) == nil && (!imported.Whole || imported == countsOf(at)) {
		return nil
	}
	return usageError{fmt.Errorf("--data %s holds other data than the demonstration's, which must not mix: name another directory", dir)}
}

// demoCounts are what a demonstration's store holds.
type demoCounts struct {
	Whole                   bool
	Alerts, Entities, Edges int
}

func countsOf(at graph.Position) demoCounts {
	return demoCounts{Whole: true, Alerts: at.Alerts, Entities: at.Entities, Edges: at.Edges}
}

func markDemo(ctx context.Context, store graph.Store, whole bool) error {
	at, err := store.Position(ctx, graph.View{Tenant: devTenant})
	if err != nil {
		return err
	}
	counts := demoCounts{}
	if whole {
		counts = countsOf(at)
	}
	value, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	_, err = store.Apply(ctx, devTenant, graph.Batch{Actor: "cli", Cause: "clew demo",
		Documents: []graph.Document{{DocumentKey: demoMark, Value: value}}})
	return err
}
