package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph/embedded"
)

type checkOptions struct {
	place
	output string
}

// whatToDo is told where a store has problems.
const whatToDo = "What to do: keep the directory as it is. Restore the last sound backup into a new one ('clew restore'), and check it;\n" +
	"or save the tenants that need nothing of what is damaged ('clew export --salvage'; it fails where it meets damage)\n" +
	"and import them into a new store. A damaged file means a failing disk or memory; problems without one are an error\n" +
	"of this program: please report them."

func checkCommand(s streams) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check {--data DIR | --url URL}",
		Short: "Read the whole store and tell what is damaged or does not agree",
		Long: "Read the whole store and tell what is damaged or does not agree: records, their indexes, counters, identity.\n" +
			"The exit code is 1 where there are problems.\n\n" + whatToDo,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runCheck(c.Context(), s, o) },
	}
	o.flags(c)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to print the report: text or json")
	return c
}

func runCheck(ctx context.Context, s streams, o checkOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := checkOutput(o.output); err != nil {
		return err
	}
	report, err := o.report(ctx, s)
	if err != nil {
		return err
	}
	if err := printReport(s.out, o.output, report); err != nil {
		return err
	}
	if report.Problems > 0 {
		return errors.New(counted(int(report.Problems), "problem") + " found")
	}
	return nil
}

func (o checkOptions) report(ctx context.Context, s streams) (r embedded.Report, err error) {
	if o.url != "" {
		body, err := administer(ctx, o.url, "check")
		if err != nil {
			return r, err
		}
		return r, errors.Join(json.NewDecoder(io.LimitReader(body, 4<<20)).Decode(&r), body.Close())
	}
	store, err := openExisting(s.err, o.data, embedded.Options{Salvage: true})
	if err != nil {
		return r, err // it says what helps; nothing can be read or saved
	}
	last := time.Now()
	r, err = store.Check(ctx, func(rows int64) {
		if time.Since(last) >= lineEvery {
			last = time.Now()
			fmt.Fprintf(s.err, "Checking: %d rows\n", rows)
		}
	})
	return r, errors.Join(err, store.Close())
}

func printReport(w io.Writer, how string, r embedded.Report) error {
	if how == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	for _, p := range r.First {
		if _, err := fmt.Fprintln(w, plain(p.String())); err != nil {
			return err
		}
	}
	if more := r.Problems - int64(len(r.First)); more > 0 {
		fmt.Fprintf(w, "… and %d more\n", more)
	}
	_, err := fmt.Fprintf(w, "%s of %s read: %s\n", counted(int(r.Rows), "row"), counted(r.Tenants, "tenant"), counted(int(r.Problems), "problem"))
	onlyImports := r.Problems == int64(len(r.First)) && !slices.ContainsFunc(r.First, func(p embedded.Problem) bool { return !p.Importing })
	if !onlyImports && err == nil {
		_, err = fmt.Fprintln(w, whatToDo)
	}
	return err
}
