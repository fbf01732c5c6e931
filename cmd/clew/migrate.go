package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph/neo4j"
	"github.com/clew-security/clew/internal/config"
)

func migrateCommand(s streams) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "migrate --config FILE",
		Short: "Make or upgrade the schema of the Neo4j database",
		Long: "Make the constraints and indexes that this program needs in the configured Neo4j database, or bring older\n" +
			"ones up to its version. It can be run again at any time, and while services run; services refuse to start\n" +
			"on an older schema. An embedded store needs no migration: it is upgraded when it is opened.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return migrate(c.Context(), s, target{config: file}) },
	}
	configFlag(c, &file)
	return c
}

func migrate(ctx context.Context, s streams, t target) error {
	c, err := t.load(s)
	if err != nil {
		return err
	}
	if c.Store.Kind != config.StoreNeo4j {
		return usageError{errors.New("the configured store is the embedded one, which is upgraded when it is opened: nothing to migrate")}
	}
	o, err := neo4jOptions(c.Store.Neo4j)
	if err != nil {
		return err
	}
	from, to, err := neo4j.Migrate(ctx, o)
	if err != nil {
		return fmt.Errorf("cannot migrate: %w", err)
	}
	if from == to {
		_, err = fmt.Fprintf(s.out, "schema is at version %d\n", to)
		return err
	}
	_, err = fmt.Fprintf(s.out, "schema brought from version %d to %d\n", from, to)
	return err
}
