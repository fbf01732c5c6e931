package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
)

func restoreCommand(s streams) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "restore FILE --data DIR",
		Short: "Make a store of what 'clew backup' wrote",
		Long: "Make a store of what 'clew backup' wrote, in a directory that is empty or not there (- is standard input).\n" +
			"The directory can be opened only when all of FILE is in it and its checksums were right; a restore that was\n" +
			"cut short can be tried again.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runRestore(c.Context(), s, args[0], data) },
	}
	c.Flags().StringVar(&data, "data", "", "directory for the store: empty, or made")
	return c
}

func runRestore(ctx context.Context, s streams, file, data string) error {
	if data == "" {
		return usageError{errors.New("--data DIR is missing: where is the store to be made?")}
	}
	source, _, err := openSource(ctx, s.in, file)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := embedded.Restore(ctx, nil, source, data); err != nil {
		return err
	}
	store, err := openExisting(s.err, data, embedded.Options{})
	if err != nil {
		return err
	}
	at, err := store.Position(ctx, graph.View{Tenant: devTenant})
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: %s, %s, %s, %s; 'clew check --data %[1]s' looks whether all agrees\n", plain(data),
		counted(at.Alerts, "alert"), counted(at.Incidents, "incident"), counted(at.Edges, "edge"), countedEntities(at.Entities))
	return err
}

func countedEntities(n int) string {
	if n == 1 {
		return "1 entity"
	}
	return fmt.Sprintf("%d entities", n)
}
