package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/internal/scenario"
)

func scenarioCommand(s streams) *cobra.Command {
	o := scenario.Default()
	incidents := 0
	c := &cobra.Command{
		Use:   "scenario DIR",
		Short: "Write the demonstration's files, to look at or to import by hand",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			options := o
			if incidents > 0 {
				options = scenario.Scale(incidents)
				options.Seed = o.Seed
			}
			options.Truth = true
			files, err := scenario.Write(args[0], options)
			for _, f := range files {
				fmt.Fprintln(s.out, f)
			}
			return err
		},
	}
	c.Flags().Uint64Var(&o.Seed, "seed", o.Seed, "the same seed gives the same bytes")
	c.Flags().IntVar(&incidents, "incidents", 0, "write a large scenario with about this many overlapping incidents, for evaluation")
	return c
}
