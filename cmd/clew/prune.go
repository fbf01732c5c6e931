package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/retention"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/internal/config"
)

type pruneOptions struct {
	target
	tenant, output        string
	incidents, endedEdges string
	dry                   bool
}

func pruneCommand(s streams) *cobra.Command {
	var o pruneOptions
	c := &cobra.Command{
		Use:   "prune {--data DIR | --config FILE} [--incidents AGE] [--ended-edges AGE]",
		Short: "Remove what is older than the retention settings, and say what went",
		Long: "Remove incidents, with their alerts, whose last activity and last update are older than the setting, and\n" +
			"edges that nothing could use for as long. A service does the same by itself. Ages are such as 90d; without\n" +
			"a flag the configuration's retention.* holds, and what has no setting is kept for ever.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return prune(c.Context(), s, o, changedFlags(c, retentionFlags))
		},
	}
	o.flags(c)
	c.Flags().StringVar(&o.tenant, "tenant", string(devTenant), "the tenant")
	c.Flags().StringVar(&o.incidents, "incidents", "", "keep incidents and their alerts for so long")
	c.Flags().StringVar(&o.endedEdges, "ended-edges", "", "keep ended edges for so long")
	c.Flags().BoolVar(&o.dry, "dry-run", false, "only count what would go")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to tell: text or json")
	return c
}

var retentionFlags = map[string]string{"incidents": "retention.incidents", "ended-edges": "retention.endedEdges"}

func prune(ctx context.Context, s streams, o pruneOptions, flags []config.Override) (err error) {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	c, err := o.load(s, flags...)
	if err != nil {
		return err
	}
	settings := retentionOf(c)
	if settings.Incidents == 0 && settings.EndedEdges == 0 {
		return usageError{errors.New("nothing says how long to keep what: give --incidents or --ended-edges, or set retention.* in the configuration")}
	}
	store, err := openRecordThere(ctx, s, c, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	sum, err := retention.Run(ctx, store, graph.TenantID(o.tenant), settings, time.Now(), o.dry)
	return errors.Join(tellPruned(s.out, o, sum), err)
}

func tellPruned(w io.Writer, o pruneOptions, sum retention.Summary) error {
	if o.output == "json" {
		return encodeJSON(w, sum)
	}
	verb := "removed"
	if o.dry {
		verb = "would remove"
	}
	_, err := fmt.Fprintf(w, "%s %s\n", verb, sum)
	return err
}

func retentionOf(c config.Config) retention.Settings {
	return retention.Settings{
		Incidents: c.Retention.Incidents, EndedEdges: c.Retention.EndedEdges, CredentialLife: traverse.DefaultCredentialLife,
	}
}

// keepPruned removes what is over, again and again until ctx ends, and logs what went.
func keepPruned(ctx context.Context, store graph.Store, tenant graph.TenantID, c config.Config, log *slog.Logger) {
	settings := retentionOf(c)
	if settings.Incidents == 0 && settings.EndedEdges == 0 {
		return
	}
	for ticker := time.NewTicker(c.Retention.Interval); ; {
		sum, err := retention.Run(ctx, store, tenant, settings, time.Now(), false)
		switch {
		case ctx.Err() != nil:
			ticker.Stop()
			return
		case err != nil:
			log.Error("retention", "removed", sum.String(), "error", err)
		case sum != retention.Summary{}:
			log.Info("retention", "removed", sum.String())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}
